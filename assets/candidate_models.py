"""Models fitted on the plays visible at 00:00 UTC of a date."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="models",
    description=STAGES["candidate_models"].about,
    kinds={"deltalake", "numpy"},
    partitions_def=UNIVERSE.days_and_today,
    backfill_policy=SINGLE_RUN,
    deps=[dg.AssetDep("facts", partition_mapping=LAYER), dg.AssetDep("reference")],
    check_specs=check_specs("candidate_models"),
)
def candidate_models(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "candidate_models")
