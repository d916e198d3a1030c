"""Facts of titles, countries and the platform as of the ticks of one kind, cut out of a sweep, the newest ticks kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from rec_platform import columns as c
from rec_platform.timetravel.declared import APART, DISTINCT, INSTANTS, Fact, column_of
from rec_platform.timetravel.gathered import Gathered
from rec_platform.timetravel.kernels import ALL_TIME, HOUR, NONE, Int64
from rec_platform.timetravel.ticks import Column, Sweep, TickTable, earliest
from rec_platform.timetravel.timeline import Timeline

#: An entity of facts by tick, and whether they are instants.
Group = tuple[str, bool]
_SUMS_OF_TITLES: Final[tuple[Group, ...]] = (("title", False), ("title_country", False))


class Slab(NamedTuple):
    """Facts of a group as of a tick: fact k is values[..., columns[k]], (places, titles or 1), whole sums or instants."""

    values: Int64
    columns: Int64


class Slabs:
    """Facts by ticks of `micros` microseconds; safe to use from several threads.

    Attributes:
        place: of each country, its place in slabs; negative for one without plays.
        bytes: of the slabs of a tick.
    """

    def __init__(self, timeline: Timeline, facts: Sequence[Fact], countries: Sequence[str], micros: int) -> None:
        self.facts, self.micros = tuple(facts), micros
        sums = (fact for fact in facts if fact.measure not in INSTANTS)
        self._columns: tuple[Column, ...] = tuple(dict.fromkeys(self._column(fact) for fact in sums))
        self._sweep: Sweep | Gathered = timeline.sweep(
            self._columns, countries, per_tick=micros // HOUR, ends=any(fact.measure in INSTANTS for fact in facts)
        )
        self.place = np.array([self._sweep.place(country) for country in countries], dtype=np.int32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, dict[Group, Slab]] = OrderedDict()
        self.bytes = 8 * len(facts) * max(len(timeline.titles), 1) * (len(countries) + 1)

    @cached_property
    def groups(self) -> Mapping[Group, Sequence[Fact]]:
        """The facts by entity, and by whether they are instants."""
        found: dict[Group, list[Fact]] = {}
        for fact in self.facts:
            found.setdefault((fact.entity, fact.measure in INSTANTS), []).append(fact)
        return found

    def slabs(self, tick: int, keep: int) -> dict[Group, Slab]:
        """Per group of facts its slab of a tick."""
        with self._lock:
            if tick not in self._kept:
                table = self._sweep.table(tick)
                self._kept[tick] = {key: self._cut(table, key, facts) for key, facts in self.groups.items()}
                while len(self._kept) > keep:
                    self._kept.popitem(last=False)
            return self._kept[tick]

    def columns(self, names: Collection[str]) -> dict[Group, Int64]:
        """Per group that has some of these facts, their columns in its slabs."""
        found = {
            key: np.array([k for k, fact in enumerate(facts) if fact.name in names], dtype=np.int64)
            for key, facts in self.groups.items()
        }
        return {key: columns for key, columns in found.items() if len(columns)}

    def _column(self, fact: Fact) -> Column:
        name = c.PLAYS if fact.measure == DISTINCT else column_of(fact.measure) or c.PLAYS
        return name, ALL_TIME if fact.micros < 0 else fact.micros // self.micros

    def _cut(self, table: TickTable, key: Group, facts: Sequence[Fact]) -> Slab:
        """Sums of titles stand in the table as they are read; of others the few that are asked for are made."""
        if key in _SUMS_OF_TITLES:
            columns = [self._columns.index(self._column(fact)) for fact in facts]
            return Slab(_sums(table, facts[0]), np.array(columns, dtype=np.int64))
        return Slab(np.stack([self._values(table, fact) for fact in facts], axis=-1), np.arange(len(facts)))

    def _values(self, table: TickTable, fact: Fact) -> Int64:
        apart, per_title = fact.entity in APART, fact.level == "item"
        if fact.measure == "first_played_at":
            full = table.first if apart else table.total_first
            return full if per_title else earliest(full, axis=1)
        if fact.measure == "last_played_at":
            full = table.last if apart else table.total_last
            full = full if per_title else full.max(axis=1, keepdims=True)
            return full if fact.micros < 0 else np.where(full >= table.tick * self.micros - fact.micros, full, NONE)
        full = _sums(table, fact)[:, :, self._columns.index(self._column(fact))]
        if fact.measure == DISTINCT:
            return np.count_nonzero(full, axis=1, keepdims=True)
        return np.asarray(full.sum(axis=1, keepdims=True))


def _sums(table: TickTable, fact: Fact) -> Int64:
    return table.sums if fact.entity in APART else table.total
