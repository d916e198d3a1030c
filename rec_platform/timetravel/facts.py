"""Facts of any contexts and items, computed by the kernels from one timeline. What a fact is: declared.py.

Everything of a profile is a running count over the moves of a window (kernels/windows.py), so contexts are read in runs: by
profile, country and time. Everything of titles, countries and the platform is looked up in the slabs of a tick.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform.errors import ConfigError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.asked import Asked, Values, put_back, rows_of
from rec_platform.timetravel.codes import Coded
from rec_platform.timetravel.declared import (
    APART,
    DISTINCT,
    FACTS_VERSION,
    INSTANTS,
    MEASURES,
    OF_RECORDS,
    Entity,
    Fact,
    Measure,
    column_of,
)
from rec_platform.timetravel.histories import Moves
from rec_platform.timetravel.kernels import HOUR, NONE, Int32, Int64
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.revisions import value_at
from rec_platform.timetravel.slabs import Group, Slabs
from rec_platform.timetravel.timeline import Timeline
from rec_platform.timetravel.zones import Zones

Countries: TypeAlias = Sequence[str] | npt.NDArray[np.generic] | pa.Array | pa.ChunkedArray

#: What the slabs that a reader keeps may take, in bytes.
KEPT_BYTES: Final = 1 << 28


class _Scratch(threading.local):
    """Zeros that kernels use and leave as zeros, one array per thread and use."""

    def __init__(self) -> None:
        self._arrays: dict[str, Int64] = {}

    def zeros(self, n: int, use: str = "sums") -> Int64:
        if use not in self._arrays or len(self._arrays[use]) < n:
            self._arrays[use] = np.zeros(n, dtype=np.int64)
        return self._arrays[use]


_SCRATCH: Final = _Scratch()


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
    ticked: Sequence[tuple[Slabs, Mapping[Group, Int64]]]


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
        self._ticks = [Slabs(timeline, mine, self._countries, micros) for micros, mine in by_micros.items()]

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

    def _kept(self, ticks: Slabs) -> int:
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
        """Each fact's values as `reading.compute` gives them; `ConfigError` for a context of another country than the reader's.

        Contexts in order of (profile, country as this reader has them, time) are read as they stand; others are sorted
        first, and their values put back. `only`: the names of the facts to read, if not all.
        """
        wanted = self._choose(None if only is None else frozenset(only))
        if not wanted.facts:
            return {}
        asked = Asked(
            self._timeline.histories, self._timeline.profiles.codes(profile_id), self._places(country),
            kernels.plain(at, np.int64), kernels.plain(offsets, np.int64), self._timeline.titles.codes(title_id),
        )  # fmt: skip
        if not wanted.own or asked.in_runs:
            return self._read(asked, wanted)
        order = np.lexsort((asked.at, asked.place, asked.profile))
        rows, inner = rows_of(asked.offsets, order)
        found = self._read(
            Asked(asked.histories, asked.profile[order], asked.place[order], asked.at[order], inner, asked.item[rows]),
            wanted,
        )
        return {
            name: put_back(found[name], order if fact.level == "context" else rows)
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
            column = column_of(fact.measure) if _summed(fact) else None
            if column is not None and column not in held:
                raise ConfigError(
                    f"fact {fact.name!r} sums {column!r}, which this timeline does not hold", place="fact reader",
                    repair=f"It was built with measures {list(held)}; name {column!r} there.",
                )  # fmt: skip

    def _read(self, asked: Asked, wanted: _Chosen) -> dict[str, Values]:
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
        return moves.amounts(column_of(fact.measure))

    def _profile_sum(self, asked: Asked, fact: Fact) -> Values:
        moves = asked.moves(fact.micros)
        return kernels.moved_sums(moves.bounds, moves.opens, self._amounts(moves, fact))

    def _profile_instant(self, asked: Asked, fact: Fact) -> Values:
        h, rows = self._timeline.histories, self._timeline.profile_rows
        if fact.measure == "signup_at":
            return value_at(rows.starts, rows.known, rows.signup_at, asked.profile, asked.at)
        if fact.measure == "first_played_at":
            return kernels.first_played(h.starts, h.played, h.known, asked.profile, asked.at, fact.micros)
        moves = asked.moves(fact.micros)
        return kernels.moved_lasts(moves.bounds, moves.opens, moves.moves, h.played)

    def _profile_clock(self, asked: Asked, fact: Fact) -> Values:
        z, moves, n_titles = self._zones, asked.moves(fact.micros), len(self._timeline.titles)
        keys, wanted, n = asked.local(fact.entity, fact.micros, z)
        if fact.measure in INSTANTS:
            end = kernels.local_firsts if fact.measure == "first_played_at" else kernels.local_lasts
            return end(
                moves.bounds, moves.opens, moves.moves, keys, wanted, n, self._timeline.histories.played, asked.at,
                fact.micros,
            )  # fmt: skip
        if fact.measure == DISTINCT:
            amounts = moves.distinct(
                keys.astype(np.int64) * n_titles + moves.titles, _SCRATCH.zeros(n * n_titles, "distinct")
            )
        else:
            amounts = self._amounts(moves, fact)
        return kernels.moved_lookups(
            moves.bounds, moves.opens, keys, amounts, np.arange(len(wanted) + 1), wanted, _SCRATCH.zeros(n)
        )

    def _profile_title(self, asked: Asked, fact: Fact) -> Values:
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

    def _profile_attribute(self, asked: Asked, fact: Fact) -> Values:
        titles, attribute = self._timeline.title_rows, self._timeline.title_rows.lists[fact.attribute]
        moves = asked.moves_between(self._timeline.changes(fact.attribute), fact.attribute, fact.micros)
        if fact.measure in INSTANTS:
            read = (
                moves.bounds, moves.opens, moves.moves, self._timeline.histories.played, moves.titles, asked.at,
                asked.offsets, asked.item, titles.starts, titles.known, attribute.starts, attribute.values,
                len(attribute.names), fact.micros,
            )  # fmt: skip
            if fact.measure == "first_played_at" and fact.window is not None:
                return kernels.moved_attribute_firsts(*read)
            return kernels.moved_attribute_ends(*read, fact.measure == "last_played_at")
        newest = titles.newest[fact.attribute]
        return kernels.moved_attributes(
            moves.bounds, moves.opens, moves.titles, self._amounts(moves, fact), asked.at, asked.offsets, asked.item,
            titles.starts, titles.known, newest.since, newest.pair, attribute.starts, attribute.values,
            len(attribute.names), fact.over == "max",
        )  # fmt: skip

    def _record(self, asked: Asked, fact: Fact) -> Values:
        rows, at = self._timeline.title_rows, np.repeat(asked.at, np.diff(asked.offsets))
        if fact.measure == "available_from":
            return self._offered_since(asked, at)
        if fact.measure == "released_at":
            return value_at(rows.starts, rows.known, rows.released_at, asked.item, at)
        found = value_at(rows.starts, rows.known, rows.runtime_ms, asked.item, at)
        return np.where(found == NONE, np.nan, found.astype(np.float64))

    def _offered_since(self, asked: Asked, at: Int64) -> Int64:
        timeline = self._timeline
        if timeline.offers is not None:
            country = np.array([timeline.offers.countries.code(name) for name in self._countries], dtype=np.int32)
            return timeline.offers.since(country[asked.place], asked.at, asked.offsets, asked.item)
        if not len(timeline.titles):
            return np.full(len(at), NONE, dtype=np.int64)
        since = timeline.first_visible[np.maximum(asked.item, 0)]
        return np.where((asked.item >= 0) & (since < at), since, NONE)

    def _ticked(self, asked: Asked, ticks: Slabs, columns: Mapping[Group, Int64]) -> dict[str, Values]:
        made: dict[Group, npt.NDArray[Any]] = {}
        for key, mine in columns.items():
            rows = len(asked.item if key[0].startswith("title") else asked.at)
            made[key] = np.full((len(mine), rows), NONE if key[1] else 0, dtype=np.int64 if key[1] else np.float64)
        tick, nowhere = asked.at // ticks.micros, np.zeros_like(asked.place)
        for one in sorted(set(tick.tolist())):
            members = np.flatnonzero(tick == one).astype(np.int32)
            slabs = ticks.slabs(one, self._kept(ticks))
            for key, mine in columns.items():
                entity, (slab, of_fact) = key[0], slabs[key]
                place = ticks.place[asked.place] if entity in APART else nowhere
                if entity.startswith("title"):
                    kernels.item_columns(slab, of_fact[mine], place, members, asked.offsets, asked.item, made[key])
                elif slab.shape[1]:
                    known = members[place[members] >= 0]
                    with self._counting(*(ticks.groups[key][k].name for k in mine.tolist())):
                        made[key][:, known] = slab[place[known], 0][:, of_fact[mine]].T
        return {
            ticks.groups[key][k].name: row
            for key, mine in columns.items()
            for k, row in zip(mine.tolist(), made[key], strict=True)
        }


_FREE: Final = nullcontext()
_NO_ROWS: Final[Int32] = np.empty(0, dtype=np.int32)
_Read = Callable[[FactReader, Asked, Fact], Values]
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


__all__ = ["FACTS_VERSION", "MEASURES", "Entity", "Fact", "FactReader", "Measure", "Values"]
