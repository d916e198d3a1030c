"""Titles, profiles and availability, as known from each moment on."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import check_specs, materialise
from assets.partitions import LAYER
from rec_platform.flow import STAGES


@dg.asset(
    group_name="plays",
    description=STAGES["reference"].about,
    kinds={"deltalake", "duckdb"},
    deps=[dg.AssetDep("landing", partition_mapping=LAYER)],
    check_specs=check_specs("reference"),
)
def reference(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "reference")
