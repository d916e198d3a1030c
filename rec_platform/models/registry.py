"""The models there are: the platform's, each a file of its own and one line here, and rankers of a user's files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rec_platform.config import RankerConfig
from rec_platform.errors import ArtefactError, ConfigError
from rec_platform.models.artefact import Artefact
from rec_platform.models.baselines import BASELINES
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.models.contract import CandidateModel, CandidateTrainer, FeatureNote, RankerTrainer, Scorer
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.own import OwnTrainer, declared_in
from rec_platform.models.popularity import PopularityTrainer

CANDIDATE_TRAINERS: Final[tuple[CandidateTrainer, ...]] = (CollaborativeTrainer(), PopularityTrainer())
RANKER_TRAINERS: Final[tuple[RankerTrainer, ...]] = (LogisticTrainer(), BoostedTreesTrainer())
#: The name under which metrics tell the best that any model could reach.
CEILING: Final = "ceiling"


def candidate_trainers() -> dict[str, CandidateTrainer]:
    """Candidate models by name."""
    return {trainer.name: trainer for trainer in CANDIDATE_TRAINERS}


def known_rankers(files: Sequence[str] = ()) -> dict[str, RankerTrainer]:
    """Every ranker by name: the platform's, then those that a user's files declare.

    `ConfigError` for a file that declares none, or one that cannot be meant, and for a name that is taken.
    """
    known: dict[str, RankerTrainer] = {trainer.name: trainer for trainer in RANKER_TRAINERS}
    names = (*known, *candidate_trainers(), *(baseline.name for baseline in BASELINES), CEILING)
    taken = dict.fromkeys(names, "the platform")
    for trainer in own_rankers(files):
        if trainer.name in taken:
            raise ConfigError(
                f"a model {trainer.name!r} is there already, of {taken[trainer.name]}",
                place=f"ranker file {trainer.file}" + ("" if trainer.line is None else f", line {trainer.line}"),
                repair="Give the ranker a name of its own.",
            )  # fmt: skip
        taken[trainer.name] = str(trainer.file)
        known[trainer.name] = trainer
    return known


def own_rankers(files: Sequence[str]) -> tuple[OwnTrainer, ...]:
    """The rankers that a user's files declare, file by file."""
    return tuple(trainer for file in dict.fromkeys(files) for trainer in declared_in(file))


def ranker_trainers(config: RankerConfig) -> dict[str, RankerTrainer]:
    """The rankers to fit: those named, and those of a user's files; `ConfigError` listing what there is for a name of none."""
    known = known_rankers(config.files)
    for name in config.models:
        if name not in known:
            raise ConfigError(
                f"there is no ranker {name!r}", place="rankers.models", repair=f"Rankers: {', '.join(known)}."
            )
    return {name: known[name] for name in (*config.models, *(one.name for one in own_rankers(config.files)))}


def check_listing(names: Sequence[str], files: Sequence[str] = ()) -> None:
    """`ConfigError` for a name of `recommend.models` that no model has, here or in a user's files."""
    there = (*known_rankers(files), *(baseline.name for baseline in BASELINES))
    for name in names:
        if name not in there:
            raise ConfigError(
                f"there is no model {name!r}", place="recommend.models", repair=f"Models: {', '.join(there)}."
            )


def candidate_notes() -> tuple[FeatureNote, ...]:
    """The features of all candidate models, in order of model name."""
    return tuple(note for trainer in CANDIDATE_TRAINERS for note in trainer.notes)


def score_scales(files: Sequence[str] = ()) -> dict[str, str]:
    """Model -> `probability` or `log_odds`, for the models whose scores are probabilities, of a user's files too."""
    return {name: trainer.scale for name, trainer in known_rankers(files).items() if trainer.scale}


def load_candidate_model(artefact: Artefact) -> CandidateModel:
    """The candidate model of an artefact; `ArtefactError` if this version of the code cannot read it."""
    trainer = candidate_trainers().get(artefact.model)
    if trainer is None:
        raise _unreadable(artefact, f"no candidate model of that name; there are {sorted(candidate_trainers())}")
    _same_code(artefact, trainer.code_version)
    return trainer.load(artefact)


def load_scorer(artefact: Artefact, files: Sequence[str] = ()) -> Scorer:
    """The scorer of a ranker's artefact; `ArtefactError` if this version of the code, or of its file, cannot read it."""
    known = known_rankers(files)
    if artefact.model not in known and "code" in artefact.manifest:
        raise ArtefactError(
            f"it was made by a file that [rankers] files does not name; rankers there are: {sorted(known)}",
            place=f"artefact of model {artefact.model}",
            repair="Name the file again, or run `rec-platform run` for its date: it makes ranker_models without it.",
        )
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
