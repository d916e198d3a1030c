"""Rankers fitted on the training sets of the usable days before a date."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import LAYER, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="models",
    description=STAGES["ranker_models"].about,
    kinds={"deltalake", "xgboost"},
    partitions_def=UNIVERSE.days_and_today,
    backfill_policy=SINGLE_RUN,
    deps=[dg.AssetDep("training_sets", partition_mapping=LAYER)],
    check_specs=check_specs("ranker_models"),
)
def ranker_models(
    context: dg.AssetExecutionContext, home: Home
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "ranker_models")
