"""Scores of candidate models as features: each context from the models of its own date.

A context of date d reads `candidate_models(d)`, else the newest of the `LOOKBACK_DAYS` before d; the age in days is a
feature, and without any model all are NaN. The rule is the same in training, scoring and recommending, so nothing
leaks and ages agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame
from rec_platform.models.artefact import Artefact, from_rows
from rec_platform.models.contract import CandidateModel, FeatureNote, Floats32, Pairs
from rec_platform.models.registry import candidate_notes, load_candidate_model
from rec_platform.partition import Partition
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.stage import Input, Reader
from rec_platform.tables import CANDIDATE_MODELS, INSTANT
from rec_platform.timetravel.kernels import NONE

LOOKBACK_DAYS: Final = 7
#: Dates whose models stay in memory: contexts come in order of date.
KEPT_DATES: Final = 2
AGE: Final = FeatureNote("candidate_age_days", "age of the candidate models", "days")


def candidate_feature_notes() -> tuple[FeatureNote, ...]:
    """The features this module adds, in order."""
    return (*candidate_notes(), AGE)


@dataclass(frozen=True)
class CandidateModelsByDay:
    """Loaded candidate models by as-of date; the source of `AddCandidateFeatures`.

    With `only`, every context from that date on reads the models of that date, however old: how models age.
    """

    days: Mapping[date, Mapping[str, CandidateModel]] = field(default_factory=dict)
    only: date | None = None

    @classmethod
    def of(cls, artefacts: Mapping[date, Iterable[Artefact]]) -> CandidateModelsByDay:
        return cls({day: {a.model: load_candidate_model(a) for a in found} for day, found in artefacts.items()})

    @classmethod
    def read(cls, reader: Reader, days: Iterable[date]) -> CandidateModelsByDay:
        """The models that contexts of these days read, each loaded when a context asks for it; a few stay in memory."""
        published = {partition.day for partition in reader.published(CANDIDATE_MODELS.name)}
        wanted = {newest_within(published, day) for day in days} - {None}
        return cls(_Loaded(tuple(sorted(day for day in wanted if day is not None)), _loader(reader)))

    def for_day(self, day: date) -> tuple[date, Mapping[str, CandidateModel]] | None:
        """The newest models a context of `day` may read, with their date; None if there are none."""
        newest = newest_within(self.days, day) if self.only is None or day < self.only else self.only
        return None if newest is None else (newest, self.days[newest])


@dataclass(frozen=True)
class _Loaded(Mapping[date, Mapping[str, CandidateModel]]):
    """Models of some dates, each a file of vectors of every profile and title: read when they are asked for."""

    of: tuple[date, ...]
    load: Callable[[date], Mapping[str, CandidateModel]]

    def __getitem__(self, day: date) -> Mapping[str, CandidateModel]:
        if day not in self.of:
            raise KeyError(day)
        return self.load(day)

    def __iter__(self) -> Iterator[date]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)


def _loader(reader: Reader) -> Callable[[date], Mapping[str, CandidateModel]]:
    return lru_cache(maxsize=KEPT_DATES)(lambda day: _load(reader, day))


def newest_within(days: Iterable[date], day: date) -> date | None:
    """The newest of `days` not after `day` and at most `LOOKBACK_DAYS` before it.

    >>> newest_within([date(2025, 3, 1), date(2025, 3, 9), date(2025, 3, 11)], date(2025, 3, 10))
    datetime.date(2025, 3, 9)
    >>> newest_within([date(2025, 3, 2)], date(2025, 3, 10)) is None
    True
    """
    return max((d for d in days if day - timedelta(days=LOOKBACK_DAYS) <= d <= day), default=None)


def _load(reader: Reader, day: date) -> dict[str, CandidateModel]:
    rows = reader.read(CANDIDATE_MODELS.name, [Partition(day)])
    found = from_rows(rows, place=f"{CANDIDATE_MODELS.name} {day}")
    return {name: load_candidate_model(artefact) for name, artefact in found.items()}


@dataclass(frozen=True)
class AddCandidateFeatures(Transformer):
    """Adds the features of `candidate_feature_notes()` to every item."""

    name = "candidate_features"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (
            Column(Level.CONTEXT, c.PROFILE, pa.int64()),
            Column(Level.CONTEXT, c.COUNTRY, pa.string()),
            Column(Level.CONTEXT, c.AT, INSTANT),
            Column(Level.ITEM, c.TITLE, pa.int64()),
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        return tuple(Column(Level.FEATURE, note.name, pa.float32()) for note in candidate_feature_notes())

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        models = sources.need(CandidateModelsByDay, step=self.name)
        out = {note.name: np.full(frame.n_items, np.nan, dtype=np.float32) for note in candidate_feature_notes()}
        day_of_context = frame.context(c.AT).astype(np.int64) // clock.DAY
        day_of_item = day_of_context[frame.context_of_item]
        for day in np.unique(day_of_context):
            found = models.for_day(clock.day_of(int(day) * clock.DAY))
            if found is not None:
                _fill(out, frame, np.flatnonzero(day_of_item == day), found, clock.day_of(int(day) * clock.DAY))
        return frame.with_features(out)

    def to_json(self) -> dict[str, Any]:
        return {"lookback_days": LOOKBACK_DAYS}


def _fill(
    out: dict[str, Floats32],
    frame: Frame,
    rows: np.ndarray[Any, np.dtype[np.int64]],
    found: tuple[date, Mapping[str, CandidateModel]],
    day: date,
) -> None:
    made, models = found
    titles = frame.item(c.TITLE).astype(np.int64)[rows]
    countries = np.asarray(frame.context(c.COUNTRY), dtype=object)
    pairs = Pairs(frame.context(c.PROFILE).astype(np.int64), countries, frame.context_of_item[rows], titles)
    for model in models.values():
        for name, values in model.features(pairs).items():
            out[name][rows] = values
    out[AGE.name][rows] = (day - made).days


class CandidateFeatures:
    """The extension by which the training-set, scores and recommendations stages get these features.

    Implements `rec_platform.contexts.extension.FeatureExtension`.
    """

    def config(self, settings: Settings) -> dict[str, Any]:
        """What a fingerprint must cover besides the inputs."""
        return {"step": AddCandidateFeatures.name, "lookback_days": LOOKBACK_DAYS, "code_version": 1}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        """The models of the partition's date and of the days before it that may stand in."""
        first = partition.day - timedelta(days=LOOKBACK_DAYS)
        return (Input(CANDIDATE_MODELS.name, first=first, last=partition.day, optional=True),)

    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[tuple[Transformer, ...], tuple[object, ...]]:
        """The step, and the models that contexts of these days read."""
        return (AddCandidateFeatures(),), (CandidateModelsByDay.read(reader, days),)

    def as_of(self, frame: Frame) -> np.ndarray[Any, np.dtype[np.int64]]:
        """00:00 UTC of the date of the models whose scores the frame holds: told by their age, a feature of every item."""
        age = np.asarray(frame.features.column(AGE.name), dtype=np.float64)
        read = np.flatnonzero(~np.isnan(age))
        day = frame.context(c.AT).astype(np.int64) // clock.DAY
        context = frame.context_of_item[read]
        made = np.full(frame.n_contexts, NONE, dtype=np.int64)
        np.maximum.at(made, context, (day[context] - age[read].astype(np.int64)) * clock.DAY)
        return made
