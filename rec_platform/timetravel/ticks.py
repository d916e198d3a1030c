"""The titles' side of the timeline: sums per title, country and column as of a tick, rolled from tick to tick.

A tick is 00:00 UTC of a day. The state of a tick is a dense slab (places, titles, columns); rolling it one day forward
adds the plays that became visible on that day and takes out those of the days that leave the windows, so a sweep over
90 days touches each play a few times, late plays change exactly the ticks after they became known, and memory does not
grow with the number of days.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rec_platform.clock import DAY
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import ALL_TIME, NONE, Int32, Int64

#: The codes of summed measures inside the kernels.
SUMMED = {"plays": 0, "watched_ms": 1, "engaged_plays": 2}


@dataclass(frozen=True)
class DayPlays:
    """Plays grouped by the UTC day they were played on, for title-side facts. Rows are plays in their given order."""

    country: Int32
    title: Int32
    played: Int64
    visible_day: Int32
    watched: Int64
    engaged: npt.NDArray[np.int8]
    n_titles: int
    first_day: int
    day_starts: Int64
    day_order: Int32
    late_rows: Int32
    late_days: Int32

    @classmethod
    def of(
        cls, *, country: Int32, title: Int32, played: Int64, known: Int64, watched: Int64,
        engaged: npt.NDArray[np.int8], n_titles: int,
    ) -> DayPlays:  # fmt: skip
        """Plays in any order; `known` is max(played_at, known_at)."""
        day = played // DAY
        first, last = (int(day.min()), int(day.max())) if len(day) else (0, -1)
        since_first = (day - first).astype(np.int32)
        starts = kernels.group_starts(since_first, last - first + 1)
        visible = (known // DAY).astype(np.int32)
        late = np.flatnonzero(visible > day).astype(np.int32)
        late = late[np.argsort(visible[late], kind="stable")]
        order = kernels.group_order(since_first, starts)
        return cls(
            country, title, played, visible, watched, engaged, n_titles, first, starts, order, late, visible[late]
        )

    def of_days(self, first: int, last: int) -> Int32:
        """Rows of plays played from day number `first` to `last`, the latter excluded."""
        lo, hi = np.clip([first - self.first_day, last - self.first_day], 0, len(self.day_starts) - 1)
        return self.day_order[self.day_starts[lo] : self.day_starts[max(lo, hi)]]

    def late_on(self, day: int) -> Int32:
        """Rows of plays of earlier days that became known on this day."""
        lo, hi = np.searchsorted(self.late_days, [day, day + 1])
        return self.late_rows[lo:hi]


@dataclass(frozen=True)
class TickTable:
    """Title-side sums as of a tick.

    Attributes:
        sums: int64 (places, titles, columns): one place per country asked for, in turn, then one for all others.
        first, last: int64 (places, titles): first and last visible play, ever; `NONE` if none.
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
        return np.asarray(self.last.max(axis=0, keepdims=True))

    @cached_property
    def total_first(self) -> Int64:
        return earliest(self.first, axis=0)


def earliest(instants: Int64, *, axis: int) -> Int64:
    """The smallest instant along an axis, leaving `NONE` out."""
    big = np.iinfo(np.int64).max
    least = np.where(instants == NONE, big, instants).min(axis=axis, keepdims=True)
    return np.where(least == big, NONE, least)


class TickRoller:
    """Walks from tick to tick over the plays, keeping one state.

    Args:
        plays: the plays.
        columns: (measure, window in days or ALL_TIME), distinct.
        place: int32 per country code: its place in the state; the last place holds all other countries.
        n_places: places in all.
    """

    def __init__(self, plays: DayPlays, columns: tuple[tuple[str, int], ...], place: Int32, n_places: int) -> None:
        self._plays = plays
        self._place = place
        self._measures = np.array([SUMMED[measure] for measure, _ in columns], dtype=np.int64)
        self._windows = np.array([window for _, window in columns], dtype=np.int64)
        self._shape = (n_places, max(plays.n_titles, 1), len(columns))
        self._day: int | None = None

    def table(self, day: int) -> TickTable:
        """The state as of 00:00 UTC of a day number; rolls forward, or starts anew for an earlier day."""
        if self._day is None or day < self._day:
            self._start(day)
        while self._day is not None and self._day < day:
            self._roll(self._day)
            self._day += 1
        return TickTable(day, self._sums.copy(), self._first.copy(), self._last.copy())

    def _start(self, day: int) -> None:
        self._sums = np.zeros(self._shape, dtype=np.int64)
        self._first = np.full(self._shape[:2], NONE, dtype=np.int64)
        self._last = np.full(self._shape[:2], NONE, dtype=np.int64)
        self._add(self._plays.of_days(self._plays.first_day, day), day, ALL_TIME)
        self._day = day

    def _roll(self, day: int) -> None:
        for column, window in enumerate(self._windows):
            if window >= 0:
                self._drop(column, self._plays.of_days(day - int(window), day - int(window) + 1), day)
        self._add(self._plays.of_days(day, day + 1), day + 1, day)
        self._add(self._plays.late_on(day), day + 1, day)

    def _add(self, rows: Int32, day: int, only_day: int) -> None:
        p = self._plays
        kernels.add_day(
            self._sums, self._first, self._last, self._windows, self._measures, rows, day, self._place,
            p.country, p.title, p.played, p.visible_day, p.watched, p.engaged, only_day,
        )  # fmt: skip

    def _drop(self, column: int, rows: Int32, day: int) -> None:
        p = self._plays
        kernels.drop_day(
            self._sums, column, int(self._measures[column]), rows, day, self._place,
            p.country, p.title, p.visible_day, p.watched, p.engaged,
        )  # fmt: skip
