"""Every model scores the date's contexts over the whole candidate set."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, SAME, SAME_DATE, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="evaluation",
    description=STAGES["scores"].about,
    kinds={"deltalake", "xgboost"},
    partitions_def=UNIVERSE.cells,
    backfill_policy=SINGLE_RUN,
    deps=[
        dg.AssetDep("facts", partition_mapping=LAYER),
        dg.AssetDep("reference"),
        dg.AssetDep("training_sets", partition_mapping=SAME),
        dg.AssetDep("candidate_models", partition_mapping=SAME_DATE),
        dg.AssetDep("ranker_models", partition_mapping=SAME_DATE),
    ],
    check_specs=check_specs("scores"),
)
def scores(context: dg.AssetExecutionContext, home: Home) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "scores")
