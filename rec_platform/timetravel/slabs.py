"""Facts of titles, countries and the platform as of the ticks of one kind, cut out of a sweep, the newest ticks kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.timetravel.declared import APART, DISTINCT, INSTANTS, Fact, column_of
from rec_platform.timetravel.gathered import Gathered
from rec_platform.timetravel.kernels import ALL_TIME, HOUR, NONE, Int64
from rec_platform.timetravel.ticks import Column, Sweep, TickTable, earliest
from rec_platform.timetravel.timeline import Timeline

#: An entity of facts by tick, and whether they are instants.
Group = tuple[str, bool]


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
        self._kept: OrderedDict[int, dict[Group, npt.NDArray[Any]]] = OrderedDict()
        self.bytes = 8 * len(facts) * max(len(timeline.titles), 1) * max(len(countries), 1)

    @cached_property
    def groups(self) -> Mapping[Group, Sequence[Fact]]:
        """The facts by entity, and by whether they are instants."""
        found: dict[Group, list[Fact]] = {}
        for fact in self.facts:
            found.setdefault((fact.entity, fact.measure in INSTANTS), []).append(fact)
        return found

    def slabs(self, tick: int, keep: int) -> dict[Group, npt.NDArray[Any]]:
        """Per group of facts the slab (places, titles or 1, facts) of a tick."""
        with self._lock:
            if tick not in self._kept:
                table = self._sweep.table(tick)
                self._kept[tick] = {key: self._cut(table, facts) for key, facts in self.groups.items()}
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

    def _cut(self, table: TickTable, facts: Sequence[Fact]) -> npt.NDArray[Any]:
        dtype = np.int64 if facts[0].measure in INSTANTS else np.float64
        parts = [self._values(table, fact) for fact in facts]
        slab: npt.NDArray[Any] = np.empty((*parts[0].shape, len(parts)), dtype=dtype)
        for column, part in enumerate(parts):
            slab[..., column] = part
        return slab

    def _values(self, table: TickTable, fact: Fact) -> Int64:
        apart, per_title = fact.entity in APART, fact.level == "item"
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
