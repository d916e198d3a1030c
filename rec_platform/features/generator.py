"""The transformer that adds features to a frame, each context's as of its own instant."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.dmc12.frame import Frame
from rec_platform.features.encoders import COLUMNS, Array
from rec_platform.features.feature_set import FeatureSet, Grain
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel import kernels
from rec_platform.timetravel.certificate import Witness, certificate_columns
from rec_platform.timetravel.codes import Coded
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.kernels import Bools, Float32, Int32, Int64
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import Timeline

#: Items of a chunk of contexts: what is in float64 at a time, so that it stays in the processor's caches; with half as
#: many the calls per chunk are a tenth of `in_runs`.
CHUNK: Final = 1 << 18
#: What titles have by country and tick takes about so many bytes at a time, in each thread: they stay in its caches.
TABLE_BYTES: Final = 1 << 24
#: In how many parts a band is written at least, if it is large: threads then end about together.
_SHARES: Final = 8
#: How many numbers there may be from the least to the greatest of some keys, for each key, that a table takes less than sorting.
_SPARSEST: Final = 4

_TYPES: Final = {
    c.PROFILE: pa.int64(), c.COUNTRY: pa.string(), c.AT: INSTANT, c.DEVICE: pa.string(), c.TENURE_DAYS: pa.float64(),
    c.TITLE: pa.int64(),
}  # fmt: skip


@dataclass(frozen=True)
class FeatureGenerator(Transformer):
    """Adds a float32 column per feature. Needs a `Timeline` among the sources.

    Works in bands of days, whose ticks are kept together, and walks a band's contexts twice: by profile, country and time,
    so that a profile's plays are walked once; and by tick, in the order of the frame, to write what is one number for a
    whole context, or for all contexts between two ticks (or those of a country), title by title. Either in parts, in as
    many threads as there are processors. Besides the float32 columns it holds the items' codes, the contexts' own
    features, and a part's numbers per thread. The values do not depend on bands, parts or threads.

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
            list(pool.map(filling.code, _chunks(np.arange(frame.n_contexts), frame.offsets, CHUNK)))
            for band in _bands(asked.at, asked.reader.days_kept):
                ticks = pool.submit(asked.reader.prepare, asked.at[band])
                stretches = pool.submit(filling.stretches, band)
                runs = asked.by_run(band)
                if filling.runs_read_ticks:
                    ticks.result()
                list(pool.map(filling.in_runs, _chunks(runs, frame.offsets, CHUNK)))
                ticks.result()
                list(pool.map(filling.in_order, stretches.result()))
        made = frame.with_features(dict(zip(self.feature_set.names, filling.out, strict=True)))
        return made.with_contexts(certificate_columns(*filling.newest)) if witness else made


class _Members(NamedTuple):
    """What some contexts have: see `kernels.contexts`."""

    profile: Int32
    place: Int32
    at: Int64
    begins: Int64
    offsets: Int64


@dataclass(frozen=True)
class _Asked:
    """A frame's contexts and items, as facts are read and features written by them.

    Attributes:
        columns: columns as NumPy, by name.
        profile: the contexts' profiles as codes of the timeline.
        place, countries: the contexts' countries: their codes and their names.
        title: the items' titles as codes of the timeline, filled in chunk by chunk.
    """

    reader: DeclaredReader
    offsets: Int64
    columns: Mapping[str, Array]
    profile: Int32
    place: Int32
    countries: pa.StringArray
    title: Int32

    @classmethod
    def of(
        cls, frame: Frame, timeline: Timeline, facts: Sequence[Fact], names: Collection[str], *,
        beside: Sequence[Fact], meter: Meter,
    ) -> _Asked:  # fmt: skip
        country = frame.contexts.column(c.COUNTRY)
        countries = pc.unique(country)
        place = kernels.plain(pc.index_in(country, value_set=countries).to_numpy(), np.int32)
        columns = {
            name: frame.context(name) if level == "context" else frame.item(name)
            for name, level in COLUMNS.items()
            if name in names
        }
        reader = DeclaredReader(timeline, facts, countries.to_pylist(), beside=beside, meter=meter)
        profile, title = timeline.profiles.codes(columns[c.PROFILE]), np.empty(frame.n_items, dtype=np.int32)
        return cls(reader, frame.offsets, columns, profile, place, countries, title)

    @property
    def at(self) -> Array:
        return self.columns[c.AT]

    def by_run(self, members: Int64) -> Int64:
        """Contexts in order of profile, country and time: the order that facts are read in, unknown profiles first."""
        in_time = members[stable_order(self.at[members])]
        profile = self.profile[in_time].astype(np.int64)
        return in_time[stable_order(profile * len(self.countries) + self.place[in_time])]

    def groups(self, members: Int64, grain: Grain) -> Int64:
        """A number for all contexts of a grain, ascending with time: that of each context."""
        tick = self.at[members] // grain.tick
        return np.asarray(tick * len(self.countries) + self.place[members] if grain.apart else tick)

    def ends(self, members: Int64) -> tuple[Int64, Int64]:
        """The first row of each context's items, and the row after the last."""
        return self.offsets[members], self.offsets[members + 1]

    def of_members(self, members: Int64) -> _Members:
        at, offsets = kernels.readable(self.at, np.int64), kernels.readable(self.offsets, np.int64)
        return _Members(*kernels.contexts(members, self.profile, self.place, at, offsets))

    def read(self, some: _Members, offsets: Int64, title: Int32, facts: Sequence[Fact]) -> dict[str, Array]:
        """Some facts of contexts, of items of their own (`offsets`, `title`)."""
        return dict(
            self.reader.read(
                profile_id=Coded(some.profile), at=some.at, offsets=offsets, title_id=Coded(title),
                country=pa.DictionaryArray.from_arrays(some.place, self.countries), only=[fact.name for fact in facts],
            )
        )  # fmt: skip


class _Stretch:
    """Contexts that titles' features are written of together, in groups: those in one country between two ticks.

    Attributes:
        members: the contexts, ascending.
        some: a context of each group, groups ascending with time.
        group: the group of each context.
        wanted: bool (groups, 1 + titles): the titles that contexts of a group ask for; the first stands for all that the
            timeline does not know.
    """

    def __init__(self, asked: _Asked, members: Int64, tick: int, n_titles: int) -> None:
        self.asked, self.members = asked, members
        first, self.group = numbered(asked.groups(members, Grain(tick, apart=True)))
        self.some = members[first]
        self.wanted = np.zeros((len(first), 1 + n_titles), dtype=np.bool_)
        kernels.mark(self.wanted, self.group, *asked.ends(members), asked.title)


class _Table:
    """The features of a grain, encoded once for each title that a context of a group asks for.

    Groups are the contexts of the grain: one or more groups of the stretch.

    Attributes:
        group: the group of each of the stretch's contexts.
        values: float32 (features, groups, 1 + titles), made for those that contexts ask for.
    """

    def __init__(self, part: FeatureSet, grain: Grain, stretch: _Stretch) -> None:
        self._part, self._asked = part, stretch.asked
        first, place = numbered(stretch.asked.groups(stretch.some, grain))
        self._some, self.group = stretch.some[first], place[stretch.group]
        wanted = np.zeros((len(first), stretch.wanted.shape[1]), dtype=np.bool_)
        for mine, titles in zip(place, stretch.wanted, strict=True):
            wanted[mine] |= titles
        self.values = _ROOM.of((len(part.names), *wanted.shape), grain)
        for piece in self._pieces(wanted):
            self._fill(piece, wanted[piece])

    @staticmethod
    def _pieces(wanted: Bools) -> Iterator[slice]:
        """Groups in order, with about a chunk of titles asked for."""
        ends = np.cumsum(np.count_nonzero(wanted, axis=1))
        cuts = np.flatnonzero(np.diff(ends // CHUNK)) + 1
        yield from (slice(int(a), int(b)) for a, b in itertools.pairwise([0, *cuts, len(ends)]))

    def _fill(self, piece: slice, wanted: Bools) -> None:
        """Read the facts of some groups' titles, and encode them."""
        some, (bounds, title) = self._some[piece], kernels.marked(wanted)
        values = self._asked.read(self._asked.of_members(some), bounds, title, self._part.needed)
        values |= {name: self._asked.columns[name][some] for name in self._part.columns}
        for name, feature in self._part.encode(values, np.diff(bounds)):
            mine = self.values[self._part.names.index(name), piece]
            kernels.enter(kernels.plain(feature, np.float64), bounds, title, mine)


class _Room(threading.local):
    """Memory of a thread for the values of tables, one after another: fresh memory costs more than filling it."""

    def __init__(self) -> None:
        self._held: dict[Grain, Float32] = {}

    def of(self, shape: tuple[int, ...], use: Grain) -> Float32:
        """An array of some shape, with anything in it, that the next of the same use may overwrite."""
        size = int(np.prod(shape))
        if use not in self._held or len(self._held[use]) < size:
            self._held[use] = np.empty(size, dtype=np.float32)
        return self._held[use][:size].reshape(shape)


_ROOM: Final = _Room()


class _Filling:
    """The output, and how chunks of contexts are written to it; chunks share nothing that they write to.

    Attributes:
        out: float32 (features, items).
    """

    def __init__(
        self, features: FeatureSet, frame: Frame, timeline: Timeline, witness: Witness | None, meter: Meter
    ) -> None:
        self._witness, self._meter, self._titles, self._parts = witness, meter, timeline.titles, features.by_grain
        self._own = self._parts.get(None)
        beside = witness.facts if witness else ()
        self._facts = (*(self._own.needed if self._own else ()), *beside)
        witnessed = (c.PROFILE, c.COUNTRY, c.AT, c.TITLE) if witness else ()
        self._columns = {*(self._own.columns if self._own else ()), *witnessed}
        names = (c.PROFILE, c.AT, c.TITLE, *features.columns, *witnessed)
        self.asked = _Asked.of(frame, timeline, features.needed, names, beside=beside, meter=meter)
        self.newest = np.empty((2, frame.n_contexts), dtype=np.int64)
        self.out = np.empty((len(features.names), frame.n_items), dtype=np.float32)
        self._row = {name: row for row, name in enumerate(features.names)}
        of_contexts = [name for name in features.names if features.feature_level(name) == "context"]
        self._of_contexts = {name: row for row, name in enumerate(of_contexts)}
        self._kept = np.empty((frame.n_contexts, len(of_contexts)), dtype=np.float32)

    @property
    def runs_read_ticks(self) -> bool:
        """Whether `in_runs` reads facts as of ticks; otherwise ticks may be made meanwhile."""
        return any(fact.by_tick for fact in self._facts)

    @property
    def _ticked(self) -> list[tuple[Grain, FeatureSet]]:
        return [(grain, part) for grain, part in self._parts.items() if grain is not None]

    @property
    def _least_tick(self) -> int | None:
        """The least distance of ticks that features of titles have."""
        return min((grain.tick for grain, _ in self._ticked), default=None)

    def stretches(self, band: Int64) -> list[Int64]:
        """A band's contexts by tick and country, so many at a time as a table may take, or as keep all threads at work.

        Each ascending. All contexts in one country between two ticks (the least distance that features have) together.
        """
        asked, least = self.asked, self._least_tick
        share = max(CHUNK, int(np.diff(asked.offsets)[band].sum()) // _SHARES)
        if least is None:
            return list(_chunks(band, asked.offsets, share))
        first, group = numbered(asked.groups(band, Grain(least, apart=True)))
        items = np.bincount(group, np.diff(asked.offsets)[band], len(first))
        of_title = sum(
            (4 * len(part.names) + 1) / (1 if grain.apart else len(asked.countries)) for grain, part in self._ticked
        )
        bytes_ = (len(self._titles) + 1) * (1 + of_title)
        cost = np.cumsum(np.maximum(items / share, bytes_ / TABLE_BYTES))
        part = np.cumsum(np.diff(cost.astype(np.int64), prepend=0) > 0)[group]
        return [band[part == one] for one in np.unique(part)]

    def code(self, members: Int64) -> None:
        """The codes of the titles of contexts that follow one another."""
        items = slice(self.asked.offsets[members[0]], self.asked.offsets[members[-1] + 1])
        self._titles.write_codes(
            kernels.readable(self.asked.columns[c.TITLE][items], np.int64), self.asked.title[items]
        )

    def in_runs(self, members: Int64) -> None:
        """Contexts by profile, country and time: their own features, kept, and those that differ by item, written."""
        if not self._facts:
            return
        asked, some = self.asked, self.asked.of_members(members)
        rows, inner = some.begins, some.offsets
        values = {
            name: column[members] if COLUMNS[name] == "context" else kernels.gathered(column, rows, inner)
            for name, column in asked.columns.items()
            if name in self._columns
        }
        values |= asked.read(some, inner, kernels.gathered(asked.title, rows, inner), self._facts)
        kept = np.empty((self._kept.shape[1], len(members)), dtype=np.float32)
        for name, feature in self._own.encode(values, np.diff(inner)) if self._own else ():
            if name in self._of_contexts:
                kept[self._of_contexts[name]] = narrowed(feature)
            else:
                kernels.scatter(kernels.plain(feature, np.float64), rows, inner, self.out[self._row[name]])
        kernels.keep(kept, members, self._kept)
        if self._witness:
            with self._meter.counting():
                self.newest[:, members] = self._witness.newest(values, inner)

    def in_order(self, members: Int64) -> None:
        """A stretch in the order of the frame: what `in_runs` kept, and what titles have by country and tick."""
        asked, (begins, ends) = self.asked, self.asked.ends(members)
        kernels.spread(self._kept[members], begins, ends, self._rows(self._of_contexts), self.out)
        if self._least_tick is None:
            return
        stretch = _Stretch(asked, members, self._least_tick, len(self._titles))
        for grain, part in self._ticked:
            table = _Table(part, grain, stretch)
            kernels.look_up(table.values, table.group, begins, ends, asked.title, self._rows(part.names), self.out)

    def _rows(self, names: Iterable[str]) -> Int64:
        return np.array([self._row[name] for name in names], dtype=np.int64)


def narrowed(feature: Array) -> Float32:
    """Numbers as float32, by way of float64 whatever they are."""
    with np.errstate(over="ignore"):
        return feature.astype(np.float64, copy=False).astype(np.float32)


def stable_order(keys: Int64) -> Int64:
    """As `np.argsort(keys, kind="stable")`, 16 bits at a time: NumPy sorts those by radix, a tenth of the time.

    >>> stable_order(np.array([7, 3, 1 << 40, 3])).tolist()
    [1, 3, 0, 2]
    """
    order = np.arange(len(keys))
    if not len(keys) or bool((keys[1:] >= keys[:-1]).all()):
        return order
    left = keys.view(np.uint64) - np.uint64(keys.min())  # differences of int64 fit into uint64, whatever their signs
    while left.any():
        order = order[np.argsort(left[order].astype(np.uint16), kind="stable")]
        left >>= np.uint64(16)
    return order


def numbered(keys: Int64) -> tuple[Int64, Int64]:
    """The first place of each distinct key, keys ascending, and the number that each place's key has among them.

    As `np.unique` with index and inverse, without its sort where keys lie close together.

    >>> first, number = numbered(np.array([7, 3, 7]))
    >>> first.tolist(), number.tolist()
    ([1, 0], [1, 0, 1])
    """
    least, greatest = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if greatest - least > _SPARSEST * len(keys):
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        return first.astype(np.int64), number.astype(np.int64)
    place, first = keys - least, np.full(greatest - least + 1, -1, dtype=np.int64)
    first[place[::-1]] = np.arange(len(keys))[::-1]  # of equal places the last that is written stays
    held = np.flatnonzero(first >= 0)
    number = np.empty(len(first), dtype=np.int64)
    number[held] = np.arange(len(held))
    return first[held], number[place]


def _bands(at: Array, days: int) -> Iterator[Int64]:
    """The contexts of so many days at a time, days in order."""
    of_days, day = numbered(at // DAY)
    for first in range(0, len(of_days), days):
        yield np.flatnonzero((first <= day) & (day < first + days))


def _chunks(members: Int64, offsets: Int64, items: int) -> Iterator[Int64]:
    """Contexts in chunks of about so many items (at least one context each)."""
    ends = np.cumsum(np.diff(offsets)[members])
    cuts = np.flatnonzero(np.diff(ends // items)) + 1
    yield from (chunk for chunk in np.split(members, cuts) if len(chunk))
