"""Many models, many metrics, every slice, with intervals, in one pass."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, SAME, UNIVERSE, same_date_and_country
from rec_platform.flow import STAGES


@dg.asset(
    group_name="evaluation",
    description=STAGES["metrics"].about,
    kinds={"deltalake", "numpy"},
    partitions_def=UNIVERSE.cells,
    backfill_policy=SINGLE_RUN,
    deps=[
        dg.AssetDep("facts", partition_mapping=LAYER),
        dg.AssetDep("reference"),
        dg.AssetDep("scores", partition_mapping=SAME),
        dg.AssetDep("feature_snapshots", partition_mapping=same_date_and_country()),
    ],
    check_specs=check_specs("metrics"),
)
def metrics(context: dg.AssetExecutionContext, home: Home) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "metrics")
