"""The stages, in flow order, and their layers."""

from __future__ import annotations

from typing import Final

from rec_platform.contexts.stage import TrainingSets
from rec_platform.evaluation.stage import Metrics
from rec_platform.facts.stage import Facts
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.stage import CandidateModels, RankerModels
from rec_platform.plays.mapping import SourceMapping
from rec_platform.plays.raw import RawPlays
from rec_platform.plays.reference import Reference
from rec_platform.scoring.stage import Recommendations, Scores
from rec_platform.stage import Stage
from rec_platform.timetravel.snapshots import FeatureSnapshots

#: Stage names by layer, in the order they run.
LAYERS: Final = (
    ("reference", "raw_plays", "facts"),
    ("feature_snapshots", "candidate_models"),
    ("training_sets",),
    ("ranker_models",),
    ("scores", "metrics"),
    ("recommendations",),
)

#: Every stage by name, in the order of the layers.
STAGES: Final[dict[str, type[Stage]]] = {
    stage.name: stage
    for stage in (
        Reference,
        RawPlays,
        Facts,
        FeatureSnapshots,
        CandidateModels,
        TrainingSets,
        RankerModels,
        Scores,
        Metrics,
        Recommendations,
    )
}


def stages_for(mapping: SourceMapping) -> dict[str, Stage]:
    """The stages as they work on one source, by name."""
    extension = CandidateFeatures()
    made: list[Stage] = [
        Reference(mapping),
        RawPlays(mapping),
        Facts(),
        FeatureSnapshots(),
        CandidateModels(),
        TrainingSets(extension),
        RankerModels(),
        Scores(extension),
        Metrics(),
        Recommendations(extension),
    ]
    return {stage.name: stage for stage in made}
