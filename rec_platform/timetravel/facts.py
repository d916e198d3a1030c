"""Facts of any contexts and items, computed by the kernels from one timeline. What a fact is: declared.py.

Everything of a profile is a running count over the moves of a window (kernels/windows.py), so contexts are read in runs: by
country, profile and time. Everything of titles, countries and the platform is looked up in the slabs of a tick.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import ConfigError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Coded
from rec_platform.timetravel.declared import (
    DISTINCT,
    FACTS_VERSION,
    INSTANTS,
    MEASURES,
    OF_RECORDS,
    Entity,
    Fact,
    Measure,
)
from rec_platform.timetravel.gathered import Gathered
from rec_platform.timetravel.histories import Histories, Moves
from rec_platform.timetravel.kernels import ALL_TIME, HOUR, NONE, Bools, Float64, Int32, Int64
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.revisions import value_at
from rec_platform.timetravel.ticks import Column, Sweep, TickTable, earliest
from rec_platform.timetravel.timeline import Timeline, countries_of
from rec_platform.timetravel.zones import Zones

Values = Float64 | Int64
#: An entity of facts by tick, and whether they are instants.
_Group = tuple[str, bool]
Countries: TypeAlias = Sequence[str] | npt.NDArray[np.generic] | pa.Array | pa.ChunkedArray

#: What the slabs that a reader keeps may take, in bytes.
KEPT_BYTES: Final = 1 << 28
#: The column of the plays that a measure sums; another measure is a column itself.
_SUMMED: Final = {c.PLAYS: None, c.ENGAGED_PLAYS: c.ENGAGED}


def compute(
    timeline: Timeline,
    facts: Sequence[Fact],
    *,
    profile_id: npt.ArrayLike,
    country: Sequence[str] | npt.NDArray[np.generic],
    at: npt.ArrayLike,
    offsets: npt.ArrayLike,
    title_id: npt.ArrayLike,
) -> dict[str, Values]:
    """Each fact's values, by name: n for facts of contexts, m for facts of items.

    Args:
        profile_id, country, at: n contexts: who, where, and the instant (int64 microseconds).
        offsets: n + 1; the items of context i are title_id[offsets[i]:offsets[i + 1]].
        title_id: m items.

    Returns:
        float64 for sums and runtimes, int64 for instants (`NONE` where there is none). Ids nobody knows have no past.
    """
    reader = FactReader(timeline, facts, countries_of(country))
    return reader.read(profile_id=profile_id, country=country, at=at, offsets=offsets, title_id=title_id)


@dataclass(frozen=True)
class _Asked:
    """Contexts and items as codes, in runs: by place, profile and time. `opens` is true where a run begins."""

    histories: Histories
    profile: Int32
    place: Int32
    at: Int64
    offsets: Int64
    item: Int32
    attributes: dict[tuple[str, str, int], Float64] = field(default_factory=dict)
    _moves: dict[tuple[int, str], Moves] = field(default_factory=dict)
    _local: dict[tuple[str, int], tuple[Int32, Int32]] = field(default_factory=dict)

    @cached_property
    def opens(self) -> Bools:
        opens = np.ones(len(self.at), dtype=np.bool_)
        opens[1:] = (self.profile[1:] != self.profile[:-1]) | (self.place[1:] != self.place[:-1])
        return opens

    def local(self, entity: str, window: int, zones: Zones) -> tuple[Int32, Int32, int]:
        """The local hour or weekday of a window's moves and of each context, and how many there may be."""
        moves, hours = self.moves(window), entity == "profile_hour"
        if (entity, window) not in self._local:
            self._local[entity, window] = kernels.local_keys(
                moves.bounds, moves.moves, self.histories.played, self.at, self.place, zones.starts, zones.begins,
                zones.offsets, hours,
            )  # fmt: skip
        return (*self._local[entity, window], 24 if hours else 7)

    @property
    def in_runs(self) -> bool:
        """Whether they stand as promised."""
        if len(self.at) < 2:
            return True
        by_place, by_profile, by_time = np.diff(self.place), np.diff(self.profile), np.diff(self.at)
        later = (by_place == 0) & ((by_profile > 0) | ((by_profile == 0) & (by_time >= 0)))
        return bool(((by_place > 0) | later).all())

    def moves(self, window: int) -> Moves:
        """The moves of a window."""
        if (window, "") not in self._moves:
            self._moves[window, ""] = self.histories.moves(self.profile, self.at, self.opens, window)
        return self._moves[window, ""]

    def moves_between(self, changes: Int64, name: str, window: int) -> Moves:
        """The moves of a window where runs end at some instants, too; `name` is the instants'."""
        before = np.searchsorted(changes, self.at)
        opens = self.opens.copy()
        opens[1:] |= before[1:] != before[:-1]
        if (opens == self.opens).all():
            return self.moves(window)
        if (window, name) not in self._moves:
            self._moves[window, name] = self.histories.moves(self.profile, self.at, opens, window)
        return self._moves[window, name]


class _Scratch(threading.local):
    """Zeros that kernels use and leave as zeros, one array per thread and use."""

    def __init__(self) -> None:
        self._arrays: dict[str, Int64] = {}

    def zeros(self, n: int, use: str = "sums") -> Int64:
        if use not in self._arrays or len(self._arrays[use]) < n:
            self._arrays[use] = np.zeros(n, dtype=np.int64)
        return self._arrays[use]


_SCRATCH: Final = _Scratch()


class _Ticks:
    """The slabs of facts of one kind of tick, newest ticks kept; `_LOOKED_UP` tells what is looked up how."""

    def __init__(self, timeline: Timeline, facts: Sequence[Fact], countries: Sequence[str], micros: int) -> None:
        self.facts, self.micros = tuple(facts), micros
        sums = (fact for fact in facts if fact.measure not in INSTANTS)
        self._columns: tuple[Column, ...] = tuple(dict.fromkeys(self._column(fact) for fact in sums))
        self._sweep: Sweep | Gathered = timeline.sweep(
            self._columns, countries, per_tick=micros // HOUR, ends=any(fact.measure in INSTANTS for fact in facts)
        )
        self.place = np.array([self._sweep.place(country) for country in countries], dtype=np.int32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, dict[_Group, npt.NDArray[Any]]] = OrderedDict()
        self.bytes = 8 * len(facts) * max(len(timeline.titles), 1) * max(len(countries), 1)

    @cached_property
    def groups(self) -> Mapping[_Group, Sequence[Fact]]:
        """The facts by entity, and by whether they are instants."""
        found: dict[_Group, list[Fact]] = {}
        for fact in self.facts:
            found.setdefault((fact.entity, fact.measure in INSTANTS), []).append(fact)
        return found

    def slabs(self, tick: int, keep: int) -> dict[_Group, npt.NDArray[Any]]:
        """Per group of facts the slab (places, titles or 1, facts) of a tick."""
        with self._lock:
            if tick not in self._kept:
                table = self._sweep.table(tick)
                self._kept[tick] = {key: self._cut(table, facts) for key, facts in self.groups.items()}
                while len(self._kept) > keep:
                    self._kept.popitem(last=False)
            return self._kept[tick]

    def columns(self, names: Collection[str]) -> dict[_Group, Int64]:
        """Per group that has some of these facts, their columns in its slabs."""
        found = {
            key: np.array([k for k, fact in enumerate(facts) if fact.name in names], dtype=np.int64)
            for key, facts in self.groups.items()
        }
        return {key: columns for key, columns in found.items() if len(columns)}

    def _column(self, fact: Fact) -> Column:
        name = c.PLAYS if fact.measure == DISTINCT else _column_of(fact.measure) or c.PLAYS
        return name, ALL_TIME if fact.micros < 0 else fact.micros // self.micros

    def _cut(self, table: TickTable, facts: Sequence[Fact]) -> npt.NDArray[Any]:
        dtype = np.int64 if facts[0].measure in INSTANTS else np.float64
        parts = [self._values(table, fact) for fact in facts]
        return np.stack(parts, axis=-1).astype(dtype, order="C")

    def _values(self, table: TickTable, fact: Fact) -> Int64:
        apart, per_title = fact.entity in ("title_country", "country"), fact.level == "item"
        if fact.measure == "first_played_at":
            full = table.first if apart else table.total_first
            return full if per_title else earliest(full, axis=1)
        if fact.measure == "last_played_at":
            full = table.last if apart else table.total_last
            full = full if per_title else full.max(axis=1, keepdims=True)
            return full if fact.micros < 0 else np.where(full >= table.tick * self.micros - fact.micros, full, NONE)
        full = (table.sums if apart else table.total)[:, :, self._columns.index(self._column(fact))]
        if fact.measure == DISTINCT:
            return np.count_nonzero(full, axis=1, keepdims=True)
        return full if per_title else full.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class _Chosen:
    """Facts that are wanted together.

    Attributes:
        facts: all of them, by name.
        own: those read at the contexts' own instants, each with how.
        ticked: per kind of tick, the columns of its slabs to look up.
    """

    facts: Mapping[str, Fact]
    own: Sequence[tuple[str, Fact, _Read]]
    ticked: Sequence[tuple[_Ticks, Mapping[_Group, Int64]]]


class FactReader:
    """Reads facts of many batches of contexts from one timeline; batches in order of time are cheapest.

    Reads facts without filters, and no shares: `DeclaredReader` (reading.py) reads those through readers like this one.
    Safe to use from several threads; a batch's values never depend on the batches before it.

    Args:
        timeline: what is read.
        facts: the facts wanted.
        countries: the countries that contexts will come from.
        metered: the names of facts whose reading `meter` counts. What they share with a fact before them costs nothing.
    """

    def __init__(
        self, timeline: Timeline, facts: Sequence[Fact], countries: Sequence[str], *, metered: Collection[str] = (),
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.facts = tuple(facts)
        self._metered, self._meter = frozenset(metered), meter
        self._timeline = timeline
        self._countries = tuple(countries)
        self._place_of = {country: place for place, country in enumerate(self._countries)}
        self._chosen: dict[frozenset[str] | None, _Chosen] = {}
        self._zones = Zones.of(self._countries, timeline.rules.time_zones)
        self._check()
        by_micros: dict[int, list[Fact]] = {}
        for fact in self.facts:
            if fact.by_tick:
                by_micros.setdefault(fact.tick_micros, []).append(fact)
        self._ticks = [_Ticks(timeline, mine, self._countries, micros) for micros, mine in by_micros.items()]

    @property
    def days_kept(self) -> int:
        """For how many days the slabs of their ticks are kept at once."""
        bytes_per_day = sum(ticks.bytes * (24 * HOUR // ticks.micros) for ticks in self._ticks)
        return max(1, KEPT_BYTES // max(bytes_per_day, 1))

    def prepare(self, at: npt.ArrayLike) -> None:
        """Make the slabs that contexts at these instants read, in order of time, ahead of threads that read them.

        They stay until others take their place: those of `days_kept` days together.
        """
        for ticks in self._ticks:
            for tick in np.unique(np.asarray(at, dtype=np.int64) // ticks.micros).tolist():
                ticks.slabs(tick, self._kept(ticks))

    def _kept(self, ticks: _Ticks) -> int:
        return self.days_kept * (24 * HOUR // ticks.micros)

    def read(
        self,
        *,
        profile_id: npt.ArrayLike | Coded,
        country: Countries,
        at: npt.ArrayLike,
        offsets: npt.ArrayLike,
        title_id: npt.ArrayLike | Coded,
        only: Collection[str] | None = None,
    ) -> dict[str, Values]:
        """As `compute`, for contexts of the reader's countries; `ConfigError` for another one.

        Contexts in order of (country as this reader has them, profile, time) are read as they stand; others are sorted
        first, and their values put back. `only`: the names of the facts to read, if not all.
        """
        wanted = self._choose(None if only is None else frozenset(only))
        if not wanted.facts:
            return {}
        asked = _Asked(
            self._timeline.histories, self._timeline.profiles.codes(profile_id), self._places(country),
            kernels.plain(at, np.int64), kernels.plain(offsets, np.int64), self._timeline.titles.codes(title_id),
        )  # fmt: skip
        if not wanted.own or asked.in_runs:
            return self._read(asked, wanted)
        order = np.lexsort((asked.at, asked.profile, asked.place))
        rows, inner = _rows_of(asked.offsets, order)
        found = self._read(
            _Asked(asked.histories, asked.profile[order], asked.place[order], asked.at[order], inner, asked.item[rows]),
            wanted,
        )
        return {
            name: _put_back(found[name], order if fact.level == "context" else rows)
            for name, fact in wanted.facts.items()
        }

    def _choose(self, only: frozenset[str] | None) -> _Chosen:
        """The facts of some names, worked out once for each choice."""
        if only not in self._chosen:
            facts = {fact.name: fact for fact in self.facts if only is None or fact.name in only}
            own = tuple((name, fact, _FAMILIES[_family(fact)]) for name, fact in facts.items() if not fact.by_tick)
            ticked = tuple((ticks, columns) for ticks in self._ticks if (columns := ticks.columns(facts)))
            self._chosen[only] = _Chosen(facts, own, ticked)
        return self._chosen[only]

    def _places(self, country: Countries) -> Int32:
        if isinstance(country, pa.DictionaryArray):
            place: Int32 = self._places(country.dictionary.to_pylist())[country.indices.to_numpy()]
            return place
        names = country.to_pylist() if isinstance(country, (pa.Array, pa.ChunkedArray)) else country
        try:
            return np.array([self._place_of[name] for name in names], dtype=np.int32)
        except KeyError as error:
            raise ConfigError(
                f"a context of country {error.args[0]!r}", place="fact reader",
                repair=f"This reader was made for {list(self._countries)}; name every country when making it.",
            ) from None  # fmt: skip

    def _check(self) -> None:
        held = self._timeline.histories.measures
        for fact in self.facts:
            column = _column_of(fact.measure) if _summed(fact) else None
            if column is not None and column not in held:
                raise ConfigError(
                    f"fact {fact.name!r} sums {column!r}, which this timeline does not hold", place="fact reader",
                    repair=f"It was built with measures {list(held)}; name {column!r} there.",
                )  # fmt: skip

    def _read(self, asked: _Asked, wanted: _Chosen) -> dict[str, Values]:
        out: dict[str, Values] = {}
        for name, fact, read in wanted.own:
            with self._counting(name):
                out[name] = read(self, asked, fact)
        for ticks, columns in wanted.ticked:
            out.update(self._ticked(asked, ticks, columns))
        return out

    def _counting(self, *names: str) -> AbstractContextManager[None]:
        if self._meter is None or not names or not self._metered.issuperset(names):
            return _FREE
        return self._meter.counting()

    # -- one method per family of facts ---------------------------------------------------------------------------

    def _amounts(self, moves: Moves, fact: Fact) -> Int64:
        if fact.measure == DISTINCT:
            return moves.distinct(moves.titles.astype(np.int64), _SCRATCH.zeros(len(self._timeline.titles)))
        return moves.amounts(_column_of(fact.measure))

    def _profile_sum(self, asked: _Asked, fact: Fact) -> Values:
        moves = asked.moves(fact.micros)
        return kernels.moved_sums(moves.bounds, moves.opens, self._amounts(moves, fact))

    def _profile_instant(self, asked: _Asked, fact: Fact) -> Values:
        h, rows = self._timeline.histories, self._timeline.profile_rows
        if fact.measure == "signup_at":
            return value_at(rows.starts, rows.known, rows.signup_at, asked.profile, asked.at)
        if fact.measure == "first_played_at":
            return kernels.first_played(h.starts, h.played, h.known, asked.profile, asked.at, fact.micros)
        moves = asked.moves(fact.micros)
        return kernels.moved_lasts(moves.bounds, moves.opens, moves.moves, h.played)

    def _profile_clock(self, asked: _Asked, fact: Fact) -> Values:
        z, moves, n_titles = self._zones, asked.moves(fact.micros), len(self._timeline.titles)
        keys, wanted, n = asked.local(fact.entity, fact.micros, z)
        if fact.measure == DISTINCT:
            amounts = moves.distinct(
                keys.astype(np.int64) * n_titles + moves.titles, _SCRATCH.zeros(n * n_titles, "distinct")
            )
        else:
            amounts = self._amounts(moves, fact)
        return kernels.moved_lookups(
            moves.bounds, moves.opens, keys, amounts, np.arange(len(wanted) + 1), wanted, _SCRATCH.zeros(n)
        )

    def _profile_title(self, asked: _Asked, fact: Fact) -> Values:
        h, moves, n = self._timeline.histories, asked.moves(fact.micros), len(self._timeline.titles)
        if fact.measure not in INSTANTS:
            return kernels.moved_lookups(
                moves.bounds, moves.opens, moves.titles, self._amounts(moves, fact), asked.offsets, asked.item,
                _SCRATCH.zeros(n),
            )  # fmt: skip
        following = h.next_of_title if fact.micros >= 0 else _NO_ROWS
        ends = kernels.moved_title_ends(
            moves.bounds, moves.opens, moves.moves, asked.at, h.played, h.known, h.title, following,
            asked.offsets, asked.item, _SCRATCH.zeros(n), _SCRATCH.zeros(n, "first"), _SCRATCH.zeros(n, "last"),
        )  # fmt: skip
        return cast(Int64, ends[0 if fact.measure == "first_played_at" else 1])

    def _profile_attribute(self, asked: _Asked, fact: Fact) -> Values:
        titles, attribute = self._timeline.title_rows, self._timeline.title_rows.lists[fact.attribute]
        key = (fact.attribute, fact.measure, fact.micros)
        if key not in asked.attributes:
            moves = asked.moves_between(self._timeline.changes(fact.attribute), fact.attribute, fact.micros)
            asked.attributes[key] = kernels.moved_attributes(
                moves.bounds, moves.opens, moves.titles, self._amounts(moves, fact), asked.at, asked.offsets, asked.item,
                titles.starts, titles.known, titles.newest[fact.attribute], attribute.starts, attribute.values,
                len(attribute.names),
            )  # fmt: skip
        return cast(Float64, asked.attributes[key][0 if fact.over == "mean" else 1])

    def _record(self, asked: _Asked, fact: Fact) -> Values:
        rows, at = self._timeline.title_rows, np.repeat(asked.at, np.diff(asked.offsets))
        if fact.measure == "available_from":
            return self._offered_since(asked, at)
        if fact.measure == "released_at":
            return value_at(rows.starts, rows.known, rows.released_at, asked.item, at)
        found = value_at(rows.starts, rows.known, rows.runtime_ms, asked.item, at)
        return np.where(found == NONE, np.nan, found.astype(np.float64))

    def _offered_since(self, asked: _Asked, at: Int64) -> Int64:
        timeline = self._timeline
        if timeline.offers is not None:
            country = np.array([timeline.offers.countries.code(name) for name in self._countries], dtype=np.int32)
            return timeline.offers.since(country[asked.place], asked.at, asked.offsets, asked.item)
        if not len(timeline.titles):
            return np.full(len(at), NONE, dtype=np.int64)
        since = timeline.first_visible[np.maximum(asked.item, 0)]
        return np.where((asked.item >= 0) & (since < at), since, NONE)

    def _ticked(self, asked: _Asked, ticks: _Ticks, columns: Mapping[_Group, Int64]) -> dict[str, Values]:
        made: dict[_Group, npt.NDArray[Any]] = {}
        for key, mine in columns.items():
            rows = len(asked.item if key[0].startswith("title") else asked.at)
            made[key] = np.full((len(mine), rows), NONE if key[1] else 0, dtype=np.int64 if key[1] else np.float64)
        tick, nowhere = asked.at // ticks.micros, np.zeros_like(asked.place)
        for one in sorted(set(tick.tolist())):
            members = np.flatnonzero(tick == one).astype(np.int32)
            slabs = ticks.slabs(one, self._kept(ticks))
            for key, mine in columns.items():
                entity, slab = key[0], slabs[key]
                place = ticks.place[asked.place] if entity in _APART else nowhere
                if entity.startswith("title"):
                    kernels.item_columns(slab, mine, place, members, asked.offsets, asked.item, made[key])
                elif slab.shape[1]:
                    known = members[place[members] >= 0]
                    with self._counting(*(ticks.groups[key][k].name for k in mine.tolist())):
                        made[key][:, known] = slab[place[known], 0][:, mine].T
        return {
            ticks.groups[key][k].name: row
            for key, mine in columns.items()
            for k, row in zip(mine.tolist(), made[key], strict=True)
        }


_FREE: Final = nullcontext()
_APART: Final = ("title_country", "country")
_NO_ROWS: Final[Int32] = np.empty(0, dtype=np.int32)
_Read = Callable[[FactReader, _Asked, Fact], Values]
_FAMILIES: Final[dict[str, _Read]] = {
    "sum": FactReader._profile_sum, "instant": FactReader._profile_instant, "clock": FactReader._profile_clock,
    "profile_title": FactReader._profile_title, "profile_attribute": FactReader._profile_attribute,
    "record": FactReader._record,
}  # fmt: skip


def _family(fact: Fact) -> str:
    if fact.entity in ("profile_hour", "profile_weekday"):
        return "clock"
    if fact.entity == "profile":
        return "instant" if fact.measure in INSTANTS else "sum"
    return "record" if fact.measure in OF_RECORDS else fact.entity


def _summed(fact: Fact) -> bool:
    return fact.measure not in (*INSTANTS, *OF_RECORDS, DISTINCT)


def _column_of(measure: str) -> str | None:
    """The column of the plays that a measure sums; None where plays are counted."""
    return _SUMMED.get(measure, measure)


def _put_back(values: Values, order: npt.NDArray[np.intp]) -> Values:
    out = np.empty_like(values)
    out[order] = values
    return out


def _rows_of(offsets: Int64, members: npt.NDArray[np.intp]) -> tuple[Int64, Int64]:
    """The item rows of some contexts, and their own offsets."""
    lengths = np.diff(offsets)[members]
    inner = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(inner[-1]) + np.repeat(offsets[:-1][members] - inner[:-1], lengths), inner


__all__ = ["FACTS_VERSION", "MEASURES", "Entity", "Fact", "FactReader", "Measure", "Values", "compute"]
