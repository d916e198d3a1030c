"""Sampled contexts with items, labels, weights, and features as of each context's own instant."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, SAME_DATE, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="training",
    description=STAGES["training_sets"].about,
    kinds={"deltalake", "arrow"},
    partitions_def=UNIVERSE.cells,
    backfill_policy=SINGLE_RUN,
    deps=[
        dg.AssetDep("facts", partition_mapping=LAYER),
        dg.AssetDep("reference"),
        dg.AssetDep("candidate_models", partition_mapping=SAME_DATE),
    ],
    check_specs=check_specs("training_sets"),
)
def training_sets(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "training_sets")
