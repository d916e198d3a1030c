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
from assets.jobs import STAGE_JOBS
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
    jobs=STAGE_JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={"home": Home(folder=str(home_folder()))},
    executor=dg.in_process_executor,
)
