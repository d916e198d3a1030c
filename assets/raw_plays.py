"""Delivered rows become valid plays, or quarantined rows with the rule they broke."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="plays",
    description=STAGES["raw_plays"].about,
    kinds={"deltalake", "duckdb"},
    partitions_def=UNIVERSE.cells,
    backfill_policy=SINGLE_RUN,
    deps=[dg.AssetDep("landing")],
    check_specs=check_specs("raw_plays"),
)
def raw_plays(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "raw_plays")
