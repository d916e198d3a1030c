"""Everything Dagster loads."""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets import (
    candidate_models,
    facts,
    feature_snapshots,
    landing,
    metrics,
    ranker_models,
    raw_plays,
    recommendations,
    reference,
    scores,
    training_sets,
)
from assets.home import Home, home_folder
from assets.jobs import DAILY_FLOW, STAGE_JOBS, TAKE_IN
from assets.schedules import SCHEDULES
from assets.sensors import SENSORS

ASSETS: Final = (
    landing.landing,
    reference.reference,
    raw_plays.raw_plays,
    facts.facts,
    feature_snapshots.feature_snapshots,
    candidate_models.candidate_models,
    training_sets.training_sets,
    ranker_models.ranker_models,
    scores.scores,
    metrics.metrics,
    recommendations.recommendations,
)

defs = dg.Definitions(
    assets=ASSETS,
    jobs=(*STAGE_JOBS, DAILY_FLOW, TAKE_IN),
    schedules=SCHEDULES,
    sensors=SENSORS,
    # Assets store nothing through Dagster; ops pass on the list of what failed, in memory.
    resources={"home": Home(folder=str(home_folder())), "io_manager": dg.mem_io_manager},
    executor=dg.in_process_executor,
)
