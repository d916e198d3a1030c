"""Title-side sums as of chosen ticks, gathered from plays in any order, of which none is kept.

The walk of ticks.py needs all plays at hand to roll from tick to tick. Where the ticks that will be read are known
beforehand, a play can say on the way past in which of them it counts: from the first it is visible at (*Ana's evening*:
from the 13th on) until its window has left it. Memory is ticks x places x titles x columns, whatever the log.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Texts
from rec_platform.timetravel.kernels import FOREVER, HOUR, NONE, Int32, Int64
from rec_platform.timetravel.log import Log
from rec_platform.timetravel.ticks import Column, TickTable, TitlePlays


class Gathered:
    """Sums of some ticks, read as a `Sweep` is: places are those of `countries`, then one for all others.

    Args:
        columns: the sums to keep, distinct.
        countries: those with a place of their own.
        ticks: the ticks, ascending.
        n_titles: how many titles there are.
        per_tick: hours of a tick.
        ends: keep first and last plays too.
    """

    def __init__(
        self, columns: tuple[Column, ...], countries: tuple[str, ...], ticks: Int64, n_titles: int, *, per_tick: int,
        ends: bool,
    ) -> None:  # fmt: skip
        self.countries, self._ticks, self._per_tick, self._ends = countries, ticks, per_tick, ends
        self._names = tuple(dict.fromkeys(name for name, _ in columns))
        self._measures = np.array([self._names.index(name) for name, _ in columns], dtype=np.int64)
        self._windows = np.array([window for _, window in columns], dtype=np.int64)
        self._slab = (len(countries) + 1, max(n_titles, 1))
        self._n_titles, self._running = n_titles, False
        shape = (len(ticks), *self._slab) if ends else (len(ticks), self._slab[0], 0)
        self._sums = np.zeros((len(ticks), *self._slab, len(columns)), dtype=np.int64)
        self._first, self._last = np.full(shape, FOREVER, dtype=np.int64), np.full(shape, NONE, dtype=np.int64)

    @property
    def bytes_per_day(self) -> int:
        """What the ticks of one day take, at most."""
        places, titles = self._slab
        return 8 * places * titles * (len(self._windows) + 2 * self._ends) * (24 // self._per_tick)

    def place(self, country: str) -> int:
        """The place of a country, -1 if it has none."""
        return self.countries.index(country) if country in self.countries else -1

    def take_in(self, log: Log, place: Int32) -> None:
        """Add plays, each at its place; all must come before a table is asked for."""
        plays = TitlePlays.of(log, self._n_titles)
        if len(self._windows):
            kernels.add_to_ticks(
                self._sums, self._ticks, self._windows, self._measures,
                plays.amounts(self._names, np.arange(len(log), dtype=np.int32)), self._per_tick, place, plays.title,
                kernels.plain(plays.played, np.int64), plays.visible_hour,
            )  # fmt: skip
        if self._ends:
            kernels.add_ends_to_ticks(
                self._first, self._last, self._ticks, self._per_tick, place, plays.title,
                kernels.plain(plays.played, np.int64), plays.visible_hour,
            )  # fmt: skip

    def table(self, tick: int) -> TickTable:
        """The state as of the start of one of the ticks."""
        self._run()
        at = int(np.searchsorted(self._ticks, tick))
        return TickTable(tick, self._sums[at], self._first[at], self._last[at])

    def _run(self) -> None:
        """Changes from tick to tick become states, once."""
        if not self._running:
            np.cumsum(self._sums, axis=0, out=self._sums)
            np.minimum.accumulate(self._first, axis=0, out=self._first)
            np.maximum.accumulate(self._last, axis=0, out=self._last)
            self._first[self._first == FOREVER] = NONE
            self._running = True


class Gathering:
    """The title-side sums of one set of plays, of all kinds that are asked for, as of the ticks of some instants.

    Whoever will read them asks once before the plays are taken in, and finds the same sums again afterwards.

    Args:
        at: the instants of the contexts that will read.
        countries: their countries.
        n_titles: how many titles there are.
    """

    def __init__(self, at: Int64, countries: Sequence[str], n_titles: int) -> None:
        self._at, self._countries, self._n_titles = at, Texts(tuple(countries)), n_titles
        self._kinds: dict[tuple[tuple[Column, ...], int, bool], Gathered] = {}

    @property
    def countries(self) -> Texts:
        """The countries whose codes `take_in` expects; -1 for any other."""
        return self._countries

    @property
    def bytes_per_day(self) -> int:
        """What the ticks of one day take, at most."""
        return sum(kind.bytes_per_day for kind in self._kinds.values())

    def sweep(self, columns: tuple[Column, ...], *, per_tick: int, ends: bool) -> Gathered:
        """The sums of one kind, as `Timeline.sweep`."""
        key = (columns, per_tick, ends)
        if key not in self._kinds:
            self._kinds[key] = Gathered(
                columns, self._countries.texts, np.unique(self._at // (per_tick * HOUR)), self._n_titles,
                per_tick=per_tick, ends=ends,
            )  # fmt: skip
        return self._kinds[key]

    def take_in(self, log: Log) -> None:
        """Add plays to all sums asked for so far."""
        place = np.where(log.country < 0, len(self._countries), log.country).astype(np.int32)
        for kind in self._kinds.values():
            kind.take_in(log, place)
