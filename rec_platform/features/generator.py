"""The transformer that adds features to a frame, each context's as of its own instant."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.dmc12.frame import Frame
from rec_platform.features.encoders import COLUMNS, Array
from rec_platform.features.feature_set import FeatureSet
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel import kernels
from rec_platform.timetravel.certificate import Witness, certificate_columns
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.kernels import Float32, Int64
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import Timeline

#: Items of a chunk of contexts in runs: what is in float64 at a time, so that it stays in the processor's caches.
CHUNK: Final = 1 << 17
#: Items of a chunk of contexts as they stand: many, for a title of a country and tick is encoded once in each.
PIECE: Final = 1 << 18

_TYPES: Final = {
    c.PROFILE: pa.int64(), c.COUNTRY: pa.string(), c.AT: INSTANT, c.DEVICE: pa.string(), c.TENURE_DAYS: pa.float64(),
    c.TITLE: pa.int64(),
}  # fmt: skip


@dataclass(frozen=True)
class FeatureGenerator(Transformer):
    """Adds a float32 column per feature. Needs a `Timeline` among the sources.

    Works in bands of days, whose ticks are kept together, in two passes over a band's contexts: by country, profile and
    time, so that a profile's plays are walked once; and as they stand in the frame, to write what is one number for a
    whole context, or for all contexts of a country between two ticks, title by title. Either in chunks, in as many
    threads as there are processors. Besides the float32 columns it holds the contexts' own features and a chunk's numbers
    per thread. The values do not depend on bands, chunks or threads.

    Attributes:
        feature_set: the features.
        certified: add each context's certificate too (`newest_played_at`, `newest_known_at`; timetravel/certificate.py).
            A `Meter` among the sources counts what that costs: facts that no feature reads, and telling the newest.
    """

    feature_set: FeatureSet
    certified: bool = False

    name: ClassVar[str] = "feature_generator"

    @property
    def reads(self) -> tuple[Column, ...]:
        return tuple(
            Column(Level.CONTEXT if level == "context" else Level.ITEM, name, _TYPES[name])
            for name, level in COLUMNS.items()
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        certificate = (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT) if self.certified else ()
        return (
            *(Column(Level.FEATURE, name, pa.float32()) for name in self.feature_set.names),
            *(Column(Level.CONTEXT, name, INSTANT) for name in certificate),
        )

    def to_json(self) -> dict[str, Any]:
        return {"features": self.feature_set.to_json(), "digest": self.feature_set.digest}

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        timeline = sources.need(Timeline, step=self.name)
        witness = Witness(timeline, self.feature_set.needed) if self.certified else None
        filling = _Filling(self.feature_set, frame, timeline, witness, sources.find(Meter) or Meter())
        asked = filling.asked
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for band in _bands(asked.at, asked.reader.days_kept):
                ticks = pool.submit(asked.reader.prepare, asked.at[band])
                if filling.runs_read_ticks:
                    ticks.result()
                list(pool.map(filling.in_runs, _chunks(asked.by_run(band), frame.offsets, CHUNK)))
                ticks.result()
                list(pool.map(filling.in_order, _chunks(band, frame.offsets, PIECE)))
        made = frame.with_features(filling.out)
        return made.with_contexts(certificate_columns(*filling.newest)) if witness else made


@dataclass(frozen=True)
class _Asked:
    """A frame's contexts and items, as facts are read and features written by them.

    Attributes:
        columns: columns as NumPy, by name.
        country: as Arrow has it; `place` is its code.
    """

    reader: DeclaredReader
    offsets: Int64
    columns: Mapping[str, Array]
    country: pa.ChunkedArray
    place: Int64

    @classmethod
    def of(
        cls, frame: Frame, timeline: Timeline, facts: Sequence[Fact], names: Collection[str], *,
        beside: Sequence[Fact], meter: Meter,
    ) -> _Asked:  # fmt: skip
        country = frame.contexts.column(c.COUNTRY)
        countries = pc.unique(country)
        place = kernels.plain(pc.index_in(country, value_set=countries).to_numpy(), np.int64)
        columns = {
            name: frame.context(name) if level == "context" else frame.item(name)
            for name, level in COLUMNS.items()
            if name in names
        }
        reader = DeclaredReader(timeline, facts, countries.to_pylist(), beside=beside, meter=meter)
        return cls(reader, frame.offsets, columns, country, place)

    @property
    def at(self) -> Array:
        return self.columns[c.AT]

    def by_run(self, members: Int64) -> Int64:
        """Contexts in order of country, profile and time."""
        return members[np.lexsort((self.at[members], self.columns[c.PROFILE][members], self.place[members]))]

    def rows(self, members: Int64) -> tuple[Int64, Int64]:
        """The first row of each context's items, and the offsets of their items put together."""
        rows = self.offsets[members]
        return rows, np.concatenate([[0], np.cumsum(self.offsets[members + 1] - rows)]).astype(np.int64)

    def titles(self, members: Int64) -> Int64:
        """The titles of the contexts' items."""
        return kernels.gathered(self.columns[c.TITLE], *self.rows(members))

    def read(self, members: Int64, offsets: Int64, title_id: Int64, facts: Sequence[Fact]) -> dict[str, Array]:
        """Some facts of the contexts, of items of their own (`offsets`, `title_id`)."""
        return dict(
            self.reader.read(
                profile_id=self.columns[c.PROFILE][members], country=self.country.take(members), at=self.at[members],
                offsets=offsets, title_id=title_id, only=[fact.name for fact in facts],
            )
        )  # fmt: skip


class _Filling:
    """The output columns, and how chunks of contexts are written to them; chunks share nothing that they write to."""

    def __init__(
        self, features: FeatureSet, frame: Frame, timeline: Timeline, witness: Witness | None, meter: Meter
    ) -> None:
        self._witness, self._meter, self._titles = witness, meter, timeline.titles
        self._own = features.by_tick.get(None)
        self._ticked = [(tick, part) for tick, part in features.by_tick.items() if tick is not None]
        beside = witness.facts if witness else ()
        self._facts = (*(self._own.needed if self._own else ()), *beside)
        names = (c.PROFILE, c.AT, c.TITLE, *features.columns, *((c.COUNTRY,) if witness else ()))
        self.asked = _Asked.of(frame, timeline, features.needed, names, beside=beside, meter=meter)
        self.newest = np.empty((2, frame.n_contexts), dtype=np.int64)
        self.out = {name: np.empty(frame.n_items, dtype=np.float32) for name in features.names}
        self._of_contexts = {
            name: np.empty(frame.n_contexts, dtype=np.float32)
            for name in features.names
            if features.feature_level(name) == "context"
        }

    @property
    def runs_read_ticks(self) -> bool:
        """Whether `in_runs` reads facts as of ticks; otherwise ticks may be made meanwhile."""
        return any(fact.by_tick for fact in self._facts)

    def in_runs(self, members: Int64) -> None:
        """Contexts by country, profile and time: their own features, kept, and those that differ by item, written."""
        if not self._facts:
            return
        asked, (rows, inner) = self.asked, self.asked.rows(members)
        values = {
            name: column[members] if COLUMNS[name] == "context" else asked.titles(members)
            for name, column in asked.columns.items()
        }
        values |= asked.read(members, inner, values[c.TITLE], self._facts)
        for name, feature in self._own.encode(values, np.diff(inner)) if self._own else ():
            if name in self._of_contexts:
                self._of_contexts[name][members] = narrowed(feature)
            else:
                kernels.scatter(kernels.plain(feature, np.float64), rows, inner, self.out[name])
        if self._witness:
            with self._meter.counting():
                self.newest[:, members] = self._witness.newest(values, inner)

    def in_order(self, members: Int64) -> None:
        """Contexts as they stand: what `in_runs` kept of them, and the features that a country's titles have by tick."""
        rows, inner = self.asked.rows(members)
        for name, values in self._of_contexts.items():
            kernels.spread(values[members], rows, inner, self.out[name])
        for tick, part in self._ticked:
            self._by_tick(tick, part, members)

    def _by_tick(self, tick: int, part: FeatureSet, members: Int64) -> None:
        """Each distinct title of a country and tick is read and encoded once, and looked up for all items that have it."""
        asked, (rows, inner) = self.asked, self.asked.rows(members)
        key = asked.at[members] // tick * (asked.place.max(initial=0) + 1) + asked.place[members]
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        code = [self._titles.codes(asked.titles(few)) for few in _chunks(members, asked.offsets, CHUNK)]
        bounds, stand_ins, which = kernels.distinct_titles(
            np.argsort(group, kind="stable"), group, len(first), rows, inner, np.concatenate(code), len(self._titles)
        )
        values = asked.read(members[first], bounds, asked.columns[c.TITLE][stand_ins], part.needed)
        values |= {name: asked.columns[name][members[first]] for name in part.columns}
        for name, feature in part.encode(values, np.diff(bounds)):
            kernels.looked_up(narrowed(feature), which, rows, inner, self.out[name])


def narrowed(feature: Array) -> Float32:
    """Numbers as float32, by way of float64 whatever they are."""
    with np.errstate(over="ignore"):
        return feature.astype(np.float64).astype(np.float32)


def _bands(at: Array, days: int) -> Iterator[Int64]:
    """The contexts of so many days at a time, days in order."""
    held, day = np.unique(at // DAY, return_inverse=True)
    for first in range(0, len(held), days):
        yield np.flatnonzero((first <= day) & (day < first + days))


def _chunks(members: Int64, offsets: Int64, items: int) -> Iterator[Int64]:
    """Contexts in chunks of about so many items (at least one context each)."""
    ends = np.cumsum(offsets[members + 1] - offsets[members])
    yield from np.split(members, np.flatnonzero(np.diff(ends // items)) + 1)
