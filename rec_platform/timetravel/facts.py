"""Facts: counts, sums and instants about the past, declared as data and computed for any contexts and items.

A `Fact` says whose past is looked at (entity), what is measured and over which window. Facts about profiles are exact
at the context's own instant by both clocks; facts about titles, countries and the platform are exact as of the last tick
(00:00 UTC) at or before it. At 00:00 both agree with the snapshot tables to the bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from rec_platform.clock import DAY
from rec_platform.errors import ConfigError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.declared import (
    FACTS_VERSION,
    INSTANTS,
    MEASURES,
    OF_RECORDS,
    SUMS,
    Entity,
    Fact,
    Measure,
)
from rec_platform.timetravel.kernels import ALL_TIME, NONE, Float64, Int32, Int64
from rec_platform.timetravel.revisions import value_at
from rec_platform.timetravel.ticks import TickRoller, TickTable, earliest
from rec_platform.timetravel.timeline import Timeline, countries_of
from rec_platform.timetravel.zones import Zones

Values = Float64 | Int64

_KEPT_TICKS: Final = 2


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
    """Contexts and items as codes, all of one tick."""

    profile: Int32
    place: Int32
    at: Int64
    offsets: Int64
    item: Int32
    day: int


class _Tick:
    """The slabs of one tick, cut to the columns that facts of each scope read."""

    def __init__(self, table: TickTable, columns: tuple[tuple[str, int], ...]) -> None:
        self._table = table
        self._position = {column: k for k, column in enumerate(columns)}
        self._cut: dict[tuple[str, tuple[tuple[str, int], ...]], Int64] = {}

    def slab(self, scope: str, columns: tuple[tuple[str, int], ...]) -> Int64:
        """int64 (places, titles or 1, columns) of a scope: title_country, title, country, platform."""
        key = (scope, columns)
        if key not in self._cut:
            self._cut[key] = np.ascontiguousarray(self._made(scope, columns))
        return self._cut[key]

    def _made(self, scope: str, columns: tuple[tuple[str, int], ...]) -> Int64:
        parts = [self._column(scope, measure, window) for measure, window in columns]
        return np.stack(parts, axis=-1)

    def _column(self, scope: str, measure: str, window: int) -> Int64:
        table, apart = self._table, scope in ("title_country", "country")
        if measure in SUMS:
            full = (table.sums if apart else table.total)[:, :, self._position[measure, window]]
            return full if scope.startswith("title") else full.sum(axis=1, keepdims=True)
        if measure == "first_played_at":
            full = table.first if apart else table.total_first
            return full if scope.startswith("title") else earliest(full, axis=1)
        full = table.last if apart else table.total_last
        full = full if scope.startswith("title") else full.max(axis=1, keepdims=True)
        return full if window < 0 else np.where(full >= (table.tick - window) * DAY, full, NONE)


class FactReader:
    """Reads facts of many batches of contexts from one timeline; batches in order of time are cheapest.

    Safe to use from several threads; a batch's values never depend on the batches before it.

    Args:
        timeline: what is read.
        facts: the facts wanted.
        countries: the countries that contexts will come from.
    """

    def __init__(self, timeline: Timeline, facts: Sequence[Fact], countries: Sequence[str]) -> None:
        self.facts = tuple(facts)
        self._timeline = timeline
        self._countries = {country: place for place, country in enumerate(countries)}
        self._zones = Zones.of(tuple(countries), timeline.rules.time_zones)
        self._lock = Lock()
        self._ticks: OrderedDict[int, _Tick] = OrderedDict()
        ticked = [fact for fact in self.facts if fact.by_tick and fact.measure in SUMS]
        self._columns = tuple(dict.fromkeys((fact.measure, _days(fact)) for fact in ticked))
        self._roller = self._new_roller(countries)

    def _new_roller(self, countries: Sequence[str]) -> TickRoller:
        elsewhere = len(countries)
        place = [self._countries.get(country, elsewhere) for country in self._timeline.countries.texts]
        return TickRoller(self._timeline.days, self._columns, np.array(place, dtype=np.int32), elsewhere + 1)

    def read(
        self,
        *,
        profile_id: npt.ArrayLike,
        country: Sequence[str] | npt.NDArray[np.generic],
        at: npt.ArrayLike,
        offsets: npt.ArrayLike,
        title_id: npt.ArrayLike,
    ) -> dict[str, Values]:
        """As `compute`, for contexts of the reader's countries; `ConfigError` for another one."""
        place = np.array([self._place(name) for name in np.asarray(country, dtype=object)], dtype=np.int32)
        profile = self._timeline.profiles.codes(profile_id)
        item = self._timeline.titles.codes(title_id)
        now, bounds = kernels.plain(at, np.int64), kernels.plain(offsets, np.int64)
        days = now // DAY
        if len(days) and (days == days[0]).all():
            return self._of_tick(_Asked(profile, place, now, bounds, item, int(days[0])))
        out: dict[str, Values] = {
            fact.name: _empty(fact, len(now) if fact.level == "context" else len(item)) for fact in self.facts
        }
        for day in np.unique(days):
            members = np.flatnonzero(days == day)
            rows, inner = _rows_of(bounds, members)
            part = self._of_tick(_Asked(profile[members], place[members], now[members], inner, item[rows], int(day)))
            for fact in self.facts:
                out[fact.name][members if fact.level == "context" else rows] = part[fact.name]
        return out

    def _place(self, country: str) -> int:
        if country not in self._countries:
            raise ConfigError(
                f"a context of country {country!r}", place="fact reader",
                repair=f"This reader was made for {list(self._countries)}; name every country when making it.",
            )  # fmt: skip
        return self._countries[country]

    def _tick(self, day: int) -> _Tick:
        with self._lock:
            if day not in self._ticks:
                self._ticks[day] = _Tick(self._roller.table(day), self._columns)
                if len(self._ticks) > _KEPT_TICKS:
                    self._ticks.popitem(last=False)
            return self._ticks[day]

    def _of_tick(self, asked: _Asked) -> dict[str, Values]:
        out: dict[str, Values] = {}
        for family, read in _FAMILIES:
            facts = [fact for fact in self.facts if family(fact)]
            if facts:
                out.update(read(self, asked, facts))
        return out

    # -- one method per family of facts; each shares what its facts have in common --------------------------------

    def _profile_sums(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        h, out = self._timeline.histories, {}
        for measure in dict.fromkeys(fact.measure for fact in facts):
            mine = [fact for fact in facts if fact.measure == measure]
            windows = np.array([fact.micros for fact in mine], dtype=np.int64)
            sums = kernels.window_sums(
                h.starts, h.played, h.known, h.known_sorted, h.by_played(measure), h.by_known(measure),
                h.side_starts, h.side_rows, asked.profile, asked.at, windows,
            )  # fmt: skip
            out.update({fact.name: row.astype(np.float64) for fact, row in zip(mine, sums, strict=True)})
        return cast(dict[str, Values], out)

    def _profile_instants(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        h, rows = self._timeline.histories, self._timeline.profile_rows
        out: dict[str, Values] = {}
        for fact in facts:
            if fact.measure == "signup_at":
                out[fact.name] = value_at(rows.starts, rows.known, rows.signup_at, asked.profile, asked.at)
            elif fact.measure == "last_played_at":
                out[fact.name] = kernels.last_played(
                    h.starts, h.played, h.known_sorted, h.newest, asked.profile, asked.at, fact.micros
                )
            else:
                out[fact.name] = kernels.first_played(
                    h.starts, h.played, h.known, h.known_sorted, asked.profile, asked.at, fact.micros
                )
        return out

    def _profile_clock(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        h, z, out = self._timeline.histories, self._zones, {}
        for measure, window in dict.fromkeys((fact.measure, fact.micros) for fact in facts):
            rows = kernels.clock_sums(
                h.starts, h.played, h.known, h.by_played(measure), asked.profile, asked.at, window,
                asked.place, z.starts, z.begins, z.offsets,
            )  # fmt: skip
            for fact in facts:
                if (fact.measure, fact.micros) == (measure, window):
                    out[fact.name] = rows[0 if fact.entity == "profile_hour" else 1].astype(np.float64)
        return cast(dict[str, Values], out)

    def _profile_title(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        h, made, out = self._timeline.histories, {}, cast(dict[str, Values], {})
        for fact in facts:
            measure = fact.measure if fact.measure in SUMS else "plays"
            if (measure, fact.micros) not in made:
                made[measure, fact.micros] = kernels.pair_facts(
                    h.starts, h.played, h.known, h.title, len(self._timeline.titles), h.by_played(measure),
                    asked.profile, asked.at, fact.micros, asked.offsets, asked.item,
                )  # fmt: skip
            sums, first, last = made[measure, fact.micros]
            instant = first if fact.measure == "first_played_at" else last
            out[fact.name] = sums.astype(np.float64) if fact.measure in SUMS else instant
        return out

    def _profile_attribute(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        h, titles, made = self._timeline.histories, self._timeline.title_rows, {}
        for key in dict.fromkeys((fact.attribute, fact.measure, fact.micros) for fact in facts):
            attribute = titles.lists[key[0]]
            made[key] = kernels.attribute_facts(
                h.starts, h.played, h.known, h.title, h.by_played(key[1]), asked.profile, asked.at, key[2],
                asked.offsets, asked.item, titles.starts, titles.known, attribute.starts, attribute.values,
                len(attribute.names),
            )  # fmt: skip
        return {
            fact.name: made[fact.attribute, fact.measure, fact.micros][0 if fact.over == "mean" else 1]
            for fact in facts
        }

    def _ticked(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        tick, out = self._tick(asked.day), cast(dict[str, Values], {})
        for scope in dict.fromkeys(fact.entity for fact in facts):
            for missing, wanted in ((0, SUMS), (NONE, INSTANTS)):
                mine = [fact for fact in facts if fact.entity == scope and fact.measure in wanted]
                if mine:
                    slab = tick.slab(scope, tuple((fact.measure, _days(fact)) for fact in mine))
                    rows = _looked_up(slab, scope, asked, missing)
                    for fact, row in zip(mine, rows, strict=True):
                        out[fact.name] = row.astype(np.float64) if wanted is SUMS else row
        return out

    def _records(self, asked: _Asked, facts: list[Fact]) -> dict[str, Values]:
        out: dict[str, Values] = {}
        rows, at = self._timeline.title_rows, np.repeat(asked.at, np.diff(asked.offsets))
        for fact in facts:
            if fact.measure == "available_from":
                out[fact.name] = self._offered_since(asked, at)
            elif fact.measure == "released_at":
                out[fact.name] = value_at(rows.starts, rows.known, rows.released_at, asked.item, at)
            else:
                found = value_at(rows.starts, rows.known, rows.runtime_ms, asked.item, at)
                out[fact.name] = np.where(found == NONE, np.nan, found.astype(np.float64))
        return out

    def _offered_since(self, asked: _Asked, at: Int64) -> Int64:
        timeline = self._timeline
        if timeline.offers is not None:
            country = np.array([timeline.offers.countries.code(name) for name in self._countries], dtype=np.int32)
            return timeline.offers.since(country[asked.place], asked.at, asked.offsets, asked.item)
        if not len(timeline.titles):
            return np.full(len(at), NONE, dtype=np.int64)
        since = timeline.first_visible[np.maximum(asked.item, 0)]
        return np.where((asked.item >= 0) & (since < at), since, NONE)


_Read = Callable[[FactReader, _Asked, list[Fact]], dict[str, Values]]
_FAMILIES: Final[tuple[tuple[Callable[[Fact], bool], _Read], ...]] = (
    (lambda fact: fact.entity == "profile" and fact.measure in SUMS, FactReader._profile_sums),
    (lambda fact: fact.entity == "profile" and fact.measure in INSTANTS, FactReader._profile_instants),
    (lambda fact: fact.entity in ("profile_hour", "profile_weekday"), FactReader._profile_clock),
    (lambda fact: fact.entity == "profile_title", FactReader._profile_title),
    (lambda fact: fact.entity == "profile_attribute", FactReader._profile_attribute),
    (lambda fact: fact.by_tick, FactReader._ticked),
    (lambda fact: fact.entity in ("title", "title_country") and fact.measure in OF_RECORDS, FactReader._records),
)


def _days(fact: Fact) -> int:
    return ALL_TIME if fact.window is None else fact.micros // DAY


def _empty(fact: Fact, rows: int) -> Values:
    if fact.measure in INSTANTS:
        return np.full(rows, NONE, dtype=np.int64)
    return np.zeros(rows, dtype=np.float64)


def _looked_up(slab: Int64, scope: str, asked: _Asked, missing: int) -> Int64:
    """The slab's values for each item or context: shape (columns, items or contexts)."""
    place = asked.place if scope in ("title_country", "country") else np.zeros_like(asked.place)
    if scope.startswith("title"):
        return kernels.item_columns(slab, place, asked.offsets, asked.item, missing)
    if not slab.shape[1]:
        return np.full((slab.shape[2], len(place)), missing, dtype=np.int64)
    return np.ascontiguousarray(slab[place, 0, :].T)


def _rows_of(offsets: Int64, members: npt.NDArray[np.intp]) -> tuple[Int64, Int64]:
    """The item rows of some contexts, and their own offsets."""
    lengths = np.diff(offsets)[members]
    inner = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(inner[-1]) + np.repeat(offsets[:-1][members] - inner[:-1], lengths), inner


__all__ = ["FACTS_VERSION", "MEASURES", "Entity", "Fact", "FactReader", "Measure", "Values", "compute"]
