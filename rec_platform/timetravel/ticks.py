"""The titles' side of the timeline: sums per title and country as of the last tick, rolled from tick to tick.

A tick is 00:00 UTC of a day, or the full hour. The state of a tick is a dense slab (places, titles, columns); rolling it
one tick forward adds the plays that became visible since and takes out those of the tick that leaves the windows, so a
sweep over 90 days touches each play a few times, late plays change exactly the ticks after they became known, and memory
does not grow with the number of days.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Final

import numpy as np

from rec_platform import columns as c
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import ALL_TIME, HOUR, NONE, Int16, Int32, Int64
from rec_platform.timetravel.log import Log, Values

#: A sum: (column of the plays or `plays`, window in ticks or ALL_TIME).
Column = tuple[str, int]

#: Plays taken at a time, so that what is made of them stays in the processor's caches.
_PIECE: Final = 1 << 15
#: Before every hour.
_NO_HOUR: Final = -(1 << 31)
#: A roll costs about what adding so many plays does, so where there are few plays a tick far ahead is made anew.
_ROLL_IN_PLAYS: Final = 10_000
_FAR: Final = 64
_KEPT_BYTES: Final = 1 << 27


@dataclass(frozen=True)
class TitlePlays:
    """Plays for title-side facts; rows are plays in the order they came.

    Attributes:
        country, title: codes.
        played: when each play began.
        visible_hour: the hour (since 1970, UTC) it became visible in.
        measures: integer columns of the plays.
        n_titles: how many titles there are.
    """

    country: Int16
    title: Int32
    played: Int64
    visible_hour: Int32
    measures: Mapping[str, Values]
    n_titles: int
    _groups: dict[int, TickGroups] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, log: Log, n_titles: int) -> TitlePlays:
        """The plays of a log, in its order (day by day is fastest)."""
        return cls(log.country, log.title, log.played, _ticks(log.known, 1), log.measures, n_titles)

    def by_tick(self, per_tick: int) -> TickGroups:
        """The plays grouped by tick, of so many hours each."""
        if per_tick not in self._groups:
            visible = self.visible_hour if per_tick == 1 else self.visible_hour // per_tick
            self._groups[per_tick] = TickGroups.of(_ticks(self.played, per_tick), visible)
        return self._groups[per_tick]

    def amounts(self, names: tuple[str, ...], rows: Int32) -> Int64:
        """int64 (names, rows): what each play adds to each measure."""
        out = np.ones((len(names), len(rows)), dtype=np.int64)
        for row, name in zip(out, names, strict=True):
            if name != c.PLAYS:
                row[:] = self.measures[name][rows]
        return out


def _ticks(instants: Int64, per_tick: int) -> Int32:
    out = np.empty(len(instants), dtype=np.int32)
    kernels.ticks_of(instants, per_tick, out)
    return out


@dataclass(frozen=True)
class TickGroups:
    """Rows of plays by the tick they were played in; tick `first` + g has order[starts[g]:starts[g + 1]].

    `order` is None where the plays stand by tick already. `late` are rows that became visible in a later tick than they
    were played in, by the tick they became visible in (`late_ticks`).
    """

    first: int
    starts: Int64
    order: Int32 | None
    late: Int32
    late_ticks: Int32

    @classmethod
    def of(cls, played: Int32, visible: Int32) -> TickGroups:
        first, last = (int(played.min()), int(played.max())) if len(played) else (0, -1)
        late = np.flatnonzero(visible > played).astype(np.int32)
        late = late[np.argsort(visible[late], kind="stable")]
        since_first = played - np.int32(first)
        starts = kernels.group_starts(since_first, last - first + 1)
        order = None
        if not (played[1:] >= played[:-1]).all():
            order = np.empty_like(played)
            kernels.group_order(since_first, starts, order)
        return cls(first, starts, order, late, visible[late])

    def played_in(self, first: int, last: int) -> Iterator[Int32]:
        """Rows of plays of the ticks from `first` to `last`, the latter excluded, in pieces."""
        lo, hi = np.clip([first - self.first, last - self.first], 0, len(self.starts) - 1)
        begin, end = int(self.starts[lo]), int(self.starts[max(lo, hi)])
        for row in range(begin, end, _PIECE):
            stop = min(row + _PIECE, end)
            yield np.arange(row, stop, dtype=np.int32) if self.order is None else self.order[row:stop]

    def late_in(self, tick: int) -> Int32:
        """Rows of plays of earlier ticks that became visible in this one."""
        lo, hi = np.searchsorted(self.late_ticks, np.array([tick, tick + 1], dtype=np.int32))
        return self.late[lo:hi]


@dataclass(frozen=True)
class TickTable:
    """Title-side sums as of a tick.

    Attributes:
        tick: its number since 1970.
        sums: int64 (places, titles, columns).
        first, last: int64 (places, titles): first and last visible play, ever; `NONE` if none. Without titles where
            nobody asked for them.
    """

    tick: int
    sums: Int64
    first: Int64
    last: Int64

    @cached_property
    def total(self) -> Int64:
        """Sums over all countries: (1, titles, columns)."""
        return np.asarray(self.sums.sum(axis=0, keepdims=True))

    @cached_property
    def total_last(self) -> Int64:
        return np.asarray(self.last.max(axis=0, keepdims=True, initial=NONE))

    @cached_property
    def total_first(self) -> Int64:
        return earliest(self.first, axis=0)


def earliest(instants: Int64, *, axis: int) -> Int64:
    """The smallest instant along an axis, leaving `NONE` out."""
    big = kernels.FOREVER
    least = np.where(instants == NONE, big, instants).min(axis=axis, keepdims=True, initial=big)
    return np.where(least == big, NONE, least)


class TickRoller:
    """Walks from tick to tick over the plays, keeping one state.

    Args:
        plays: the plays.
        columns: the sums to keep, distinct.
        place: int32 per country code: its place in the state.
        n_places: places in all.
        per_tick: hours of a tick.
        ends: keep first and last plays too.
    """

    def __init__(
        self, plays: TitlePlays, columns: tuple[Column, ...], place: Int32, n_places: int, *, per_tick: int = 24,
        ends: bool = False,
    ) -> None:  # fmt: skip
        self._plays, self._place, self._per_tick, self._ends = plays, place, per_tick, ends
        self._groups = plays.by_tick(per_tick)
        self._names = tuple(dict.fromkeys(name for name, _ in columns))
        self._measures = np.array([self._names.index(name) for name, _ in columns], dtype=np.int64)
        self._windows = np.array([window for _, window in columns], dtype=np.int64)
        self._shape = (n_places, max(plays.n_titles, 1), len(columns))
        self._tick: int | None = None
        self._far = max(_FAR, len(plays.played) // _ROLL_IN_PLAYS)

    @property
    def bytes(self) -> int:
        """The size of a table."""
        places, titles, n_columns = self._shape
        return 8 * places * titles * (n_columns + (2 if self._ends else 0))

    def table(self, tick: int) -> TickTable:
        """The state as of the start of a tick; rolls forward, or starts anew for an earlier one and for one far ahead."""
        if self._tick is None or not 0 <= tick - self._tick <= self._far:
            self._start(tick)
        while self._tick is not None and self._tick < tick:
            self._roll(self._tick)
            self._tick += 1
        return TickTable(tick, self._sums.copy(), self._first.copy(), self._last.copy())

    def _start(self, tick: int) -> None:
        ends = self._shape[:2] if self._ends else (self._shape[0], 0)
        self._sums = np.zeros(self._shape, dtype=np.int64)
        self._first, self._last = np.full(ends, NONE, dtype=np.int64), np.full(ends, NONE, dtype=np.int64)
        whole = self._ends or ALL_TIME in self._windows
        since = self._groups.first if whole else tick - int(self._windows.max(initial=0))
        for rows in self._groups.played_in(since, tick):
            self._add(rows, tick, _NO_HOUR)
        self._tick = tick

    def _roll(self, tick: int) -> None:
        for window in np.unique(self._windows[self._windows >= 0]).tolist():
            for rows in self._groups.played_in(tick - window, tick - window + 1):
                self._drop(window, rows, tick)
        for rows in (*self._groups.played_in(tick, tick + 1), self._groups.late_in(tick)):
            self._add(rows, tick + 1, tick * self._per_tick)

    def _add(self, rows: Int32, tick: int, first_hour: int) -> None:
        """Add plays visible at a tick but not before some hour."""
        p = self._plays
        if len(self._windows):
            since = np.where(self._windows < 0, NONE, (tick - self._windows) * self._per_tick * HOUR)
            kernels.add_plays(
                self._sums, since, self._measures, rows, p.amounts(self._names, rows), first_hour, tick * self._per_tick,
                self._place, p.country, p.title, p.played, p.visible_hour,
            )  # fmt: skip
        if self._ends:
            kernels.add_ends(
                self._first, self._last, rows, first_hour, tick * self._per_tick, self._place, p.country, p.title,
                p.played, p.visible_hour,
            )  # fmt: skip

    def _drop(self, window: int, rows: Int32, tick: int) -> None:
        p = self._plays
        kernels.drop_plays(
            self._sums, np.flatnonzero(self._windows == window), self._measures, rows, p.amounts(self._names, rows),
            tick * self._per_tick, self._place, p.country, p.title, p.visible_hour,
        )  # fmt: skip


@dataclass
class Sweep:
    """A roller shared by all who ask for the same columns: ticks asked in order of time cost one walk over the plays.

    It keeps the newest few tables, so that several countries or readers may ask for a tick again. Its places are those of
    `countries`, then one for all others.
    """

    roller: TickRoller
    countries: tuple[str, ...]
    _lock: Lock = field(default_factory=Lock)
    _tables: OrderedDict[int, TickTable] = field(default_factory=OrderedDict)

    def place(self, country: str) -> int:
        """The place of a country, -1 if it has none."""
        return self.countries.index(country) if country in self.countries else -1

    def table(self, tick: int) -> TickTable:
        with self._lock:
            if tick not in self._tables:
                self._tables[tick] = self.roller.table(tick)
                while len(self._tables) > max(1, _KEPT_BYTES // max(self.roller.bytes, 1)):
                    self._tables.popitem(last=False)
            return self._tables[tick]
