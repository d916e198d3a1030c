"""The models there are. A new one is a file of its own and one line here."""

from __future__ import annotations

from typing import Final

from rec_platform.errors import ArtefactError, ConfigError
from rec_platform.models.artefact import Artefact
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.models.contract import CandidateModel, CandidateTrainer, FeatureNote, RankerTrainer, Scorer
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.popularity import PopularityTrainer

CANDIDATE_TRAINERS: Final[tuple[CandidateTrainer, ...]] = (CollaborativeTrainer(), PopularityTrainer())
RANKER_TRAINERS: Final[tuple[RankerTrainer, ...]] = (LogisticTrainer(), BoostedTreesTrainer())


def candidate_trainers() -> dict[str, CandidateTrainer]:
    """Candidate models by name."""
    return {trainer.name: trainer for trainer in CANDIDATE_TRAINERS}


def ranker_trainers(names: tuple[str, ...]) -> dict[str, RankerTrainer]:
    """The rankers of these names; `ConfigError` listing what there is for one that is not."""
    known = {trainer.name: trainer for trainer in RANKER_TRAINERS}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"there is no ranker {name!r}", place="rankers.models", repair=f"Rankers: {', '.join(known)}."
            )
    return {name: known[name] for name in names}


def candidate_notes() -> tuple[FeatureNote, ...]:
    """The features of all candidate models, in order of model name."""
    return tuple(note for trainer in CANDIDATE_TRAINERS for note in trainer.notes)


def score_scales() -> dict[str, str]:
    """Model -> `probability` or `log_odds`, for the models whose scores are probabilities."""
    return {trainer.name: trainer.scale for trainer in RANKER_TRAINERS if trainer.scale}


def load_candidate_model(artefact: Artefact) -> CandidateModel:
    """The candidate model of an artefact; `ArtefactError` if this version of the code cannot read it."""
    trainer = candidate_trainers().get(artefact.model)
    if trainer is None:
        raise _unreadable(artefact, f"no candidate model of that name; there are {sorted(candidate_trainers())}")
    _same_code(artefact, trainer.code_version)
    return trainer.load(artefact)


def load_scorer(artefact: Artefact) -> Scorer:
    """The scorer of a ranker's artefact; `ArtefactError` if this version of the code cannot read it."""
    known = {trainer.name: trainer for trainer in RANKER_TRAINERS}
    if artefact.model not in known:
        raise _unreadable(artefact, f"no ranker of that name; there are {sorted(known)}")
    _same_code(artefact, known[artefact.model].code_version)
    return known[artefact.model].load(artefact)


def _same_code(artefact: Artefact, code_version: int) -> None:
    made_by = artefact.manifest.get("code_version")
    if made_by != code_version:
        raise _unreadable(artefact, f"made by code version {made_by}, this is {code_version}")


def _unreadable(artefact: Artefact, fault: str) -> ArtefactError:
    return ArtefactError(
        fault,
        place=f"artefact of model {artefact.model}",
        repair="Run candidate_models and ranker_models with --force.",
    )
