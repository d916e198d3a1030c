"""All facts as of 00:00 UTC, rolled day by day."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="features",
    description=STAGES["feature_snapshots"].about,
    kinds={"deltalake", "numpy"},
    partitions_def=UNIVERSE.cells_and_today,
    backfill_policy=SINGLE_RUN,
    deps=[dg.AssetDep("facts", partition_mapping=LAYER), dg.AssetDep("reference")],
    check_specs=check_specs("feature_snapshots"),
)
def feature_snapshots(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "feature_snapshots")
