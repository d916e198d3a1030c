"""The stages `candidate_models` and `ranker_models`: models as of 00:00 UTC of a date."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import midnight, usable_days
from rec_platform.config import Settings
from rec_platform.errors import ConfigError
from rec_platform.models.artefact import Artefact, from_rows, libraries, to_rows
from rec_platform.models.features import feature_notes
from rec_platform.models.parallel import in_order
from rec_platform.models.raising import said, tried
from rec_platform.models.registry import CANDIDATE_TRAINERS, RANKER_TRAINERS, own_rankers, ranker_trainers
from rec_platform.models.training import in_words_of
from rec_platform.models.window import TrainingDay, TrainingWindow, thinned
from rec_platform.partition import Partition
from rec_platform.stage import Built, Input, Reader, Stage, Standing
from rec_platform.tables import CANDIDATE_MODELS, INSTANT, PLAY_FACTS, RANKER_MODELS, TITLES, TRAINING_SETS, TableSpec

#: What candidate models read of a play.
PLAY_COLUMNS: Final = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.ENGAGED, c.COUNTRY)

#: Memory a fit takes per value it reads: XGBoost's matrix, where a feature is mostly missing (4 for the bin, 1 for the column,
#: 8 for the row); the design of `logistic` takes 8.
BYTES_PER_VALUE: Final = 13


class CandidateModels(Stage):
    """Popularity and collaborative models, fitted on all plays visible at 00:00 UTC of the date, of every country."""

    name: ClassVar[str] = "candidate_models"
    about: ClassVar[str] = (
        "Models fitted on plays alone (popularity per country, implicit ALS), as of 00:00 UTC of the date. Their scores "
        "are features of training sets, scores and recommendations."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (CANDIDATE_MODELS,)
    code_version: ClassVar[int] = 1

    def config(self, settings: Settings) -> dict[str, Any]:
        versions = {trainer.name: trainer.code_version for trainer in CANDIDATE_TRAINERS}
        return {"candidates": settings.candidates.model_dump(mode="json"), "trainers": versions}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day = partition.day
        first = day - timedelta(days=_history_days(settings))
        return (
            Input(PLAY_FACTS.name, first, day - timedelta(days=1), every_country=True, cut=day, optional=True),
            Input(TITLES.name, cut=day),
        )

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        """Plays of all dates are read once; each fit leaves out what its own date cannot see."""
        days = [partition.day for partition in partitions]
        first, last = days[0] - timedelta(days=_history_days(settings)), days[-1] - timedelta(days=1)
        wanted = [part for part in reader.published(PLAY_FACTS.name) if first <= part.day <= last]
        plays = reader.read(PLAY_FACTS.name, wanted, PLAY_COLUMNS)
        titles = reader.read(TITLES.name, [Partition()])
        yield from in_order(
            partial(_fitted_candidates, partition, plays, _known(titles, partition.day), settings)
            for partition in partitions
        )


def _history_days(settings: Settings) -> int:
    return max(settings.candidates.history_days, settings.candidates.popularity_days)


def _known(titles: pa.Table, day: date) -> pa.Table:
    instant = pa.scalar(midnight(day), pa.int64()).cast(INSTANT)
    return titles.filter(pc.less(titles.column(c.KNOWN_AT), instant))


def _fitted_candidates(partition: Partition, plays: pa.Table, titles: pa.Table, settings: Settings) -> Built:
    made = [
        trainer.fit(plays, as_of=partition.day, titles=titles, config=settings.candidates, seed=settings.seed)
        for trainer in CANDIDATE_TRAINERS
    ]
    extra = {
        artefact.model: {"plays": artefact.manifest["data"]["plays"], "sha256": artefact.sha256} for artefact in made
    }
    return Built(partition, {CANDIDATE_MODELS.name: to_rows(made)}, {"models": extra})


class RankerModels(Stage):
    """Rankers, fitted on the training sets of the usable days before the date, of all configured countries."""

    name: ClassVar[str] = "ranker_models"
    about: ClassVar[str] = (
        "Models that rank (logistic regression, XGBoost rank:ndcg), fitted on the training sets whose label windows had "
        "closed by 00:00 UTC of the date. With too few days none is fitted and the baselines stand alone."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (RANKER_MODELS,)
    code_version: ClassVar[int] = 1
    rebuilds: ClassVar[bool] = True
    has_parts: ClassVar[bool] = True

    def config(self, settings: Settings) -> dict[str, Any]:
        ranker_trainers(settings.rankers)  # a name that is none is refused when a run is planned, not midway
        versions = {trainer.name: trainer.code_version for trainer in RANKER_TRAINERS}
        notes = feature_notes(settings)
        words = [[note.about, note.unit] for note in notes]
        own = {
            one.name: [one.code_version, one.code, *([words] if one.reads_words else [])]
            for one in own_rankers(settings.rankers.files)
        }
        return {
            "rankers": settings.rankers.model_dump(mode="json", exclude={"files"}),
            **({"own": own} if own else {}),
            "labels": settings.labels.model_dump(mode="json"),
            "trainers": versions,
            "features": [note.name for note in notes],
        }

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        days = usable_days(partition.day, settings.rankers.training_days, settings.labels.horizon_days)
        everywhere = settings.countries is None
        return (
            Input(TRAINING_SETS.name, days[0], days[-1], settings.countries, every_country=everywhere, optional=True),
        )

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        """Days slide through memory: each is read, as far as fits read it, and let go when no later date needs it."""
        return self.rebuild({}, partitions, reader, settings)

    def rebuild(
        self,
        standing: Mapping[Partition, Standing],
        partitions: Sequence[Partition],
        reader: Reader,
        settings: Settings,
    ) -> Iterator[Built]:
        """As `build`, and of what stands the models that another choice of rankers, or another's code, did not change."""
        config = self.config(settings)
        kept = {partition: _unchanged(one, config, partition) for partition, one in standing.items()}
        window, rankers, horizon = TrainingWindow(reader, settings), settings.rankers, settings.labels.horizon_days
        fits = (
            partial(
                _fitted_rankers,
                partition,
                window.days(usable_days(partition.day, rankers.training_days, horizon)),
                settings,
                kept.get(partition, {}),
            )
            for partition in partitions
        )
        yield from in_order(fits, job_bytes=rankers.max_items * len(feature_notes(settings)) * BYTES_PER_VALUE)

    def worded_as(self, published: Mapping[str, pa.Table], tables: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
        """Artefacts say of their features what these said of themselves when they were fitted, of which nothing hangs."""
        then, now = (from_rows(one[RANKER_MODELS.name], place=RANKER_MODELS.name) for one in (published, tables))
        said = [in_words_of(made, then[name]) if name in then else made for name, made in now.items()]
        return {RANKER_MODELS.name: to_rows(said)}


def known_by(found: Mapping[date, Set[str]]) -> str | None:
    """By what rule the training sets of these days were built, None without any; `ConfigError` if by several."""
    kinds = sorted({kind for kinds in found.values() for kind in kinds})
    if len(kinds) > 1:
        told = ", ".join(f"{kind} on {min(day for day in found if kind in found[day])}" for kind in kinds)
        raise ConfigError(
            f"training sets of several kinds of known_by: {told}", place="ranker_models",
            repair="Run all training days of all countries after changing [training] known_by; a model is fitted on one kind.",
        )  # fmt: skip
    return kinds[0] if kinds else None


def _unchanged(one: Standing, config: Mapping[str, Any], partition: Partition) -> dict[str, Artefact]:
    """The models that stand and that a fit by this configuration would make again."""
    if _of_every_model(one.config) != _of_every_model(config):
        return {}
    before, now = one.config.get("own", {}), config.get("own", {})
    found = from_rows(one.rows[RANKER_MODELS.name], place=f"{RANKER_MODELS.name} {partition.key}")
    return {name: made for name, made in found.items() if before.get(name) == now.get(name) and _same_libraries(made)}


def _same_libraries(artefact: Artefact) -> bool:
    """Whether the libraries a model names are installed in the versions it was made with."""
    made_with = artefact.manifest.get("libraries", {})
    try:
        return bool(made_with == libraries(*made_with))
    except PackageNotFoundError:
        return False


def _of_every_model(config: Mapping[str, Any]) -> str:
    """What all rankers are fitted by: the configuration without their choice, and without the code of a user's files."""
    shared = {name: part for name, part in config.items() if name != "own"}
    return json.dumps(shared | {"rankers": dict(config["rankers"]) | {"models": None}}, sort_keys=True)


def _fitted_rankers(
    partition: Partition, days: Mapping[date, TrainingDay], settings: Settings, kept: Mapping[str, Artefact]
) -> Built:  # fmt: skip
    kind = known_by({day: one.known_by for day, one in days.items()})
    if len(days) < settings.rankers.min_training_days:
        why = f"{len(days)} usable days with contexts, fewer than min_training_days = {settings.rankers.min_training_days}"
        return Built(
            partition, {RANKER_MODELS.name: to_rows([])}, {"models": {}, "baselines_only": why, "known_by": kind}
        )
    frames, notes, rankers = thinned(days), feature_notes(settings), settings.rankers
    fitted = {
        name: kept.get(name) or tried(partial(trainer.fit, frames, features=notes, config=rankers, seed=settings.seed))
        for name, trainer in ranker_trainers(rankers).items()
    }
    raised = {name: one for name, one in fitted.items() if isinstance(one, Exception)}
    lacks = {name: said(error) for name, error in raised.items()}
    if raised and len(raised) == len(fitted):
        raise _first_of(raised, lacks)
    made = [one for one in fitted.values() if isinstance(one, Artefact)]
    extra: dict[str, Any] = {
        "models": {artefact.model: artefact.manifest["data"] | {"artefact": artefact.sha256} for artefact in made},
        "days": [day.isoformat() for day in days],
        "known_by": kind,
    }
    if not made:
        extra["baselines_only"] = "no context of these days holds both an engaged and an unengaged title"
    return Built(partition, {RANKER_MODELS.name: to_rows(made)}, extra, lacks=lacks)


def _first_of(raised: Mapping[str, Exception], lacks: Mapping[str, str]) -> Exception:
    """What the first ranker raised, with a note of each other one."""
    first, *others = raised
    for name in others:
        raised[first].add_note(f"{name}: {lacks[name]}")
    return raised[first]
