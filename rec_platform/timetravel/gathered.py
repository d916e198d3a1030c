"""Title-side sums as of chosen ticks, gathered from plays in any order, of which none is kept.

The walk of ticks.py needs all plays at hand to roll from tick to tick. Where the ticks that will be read are known
beforehand, a play can say on the way past in which of them it counts: from the first it is visible at (*Ana's evening*:
from the 13th on) until its window has left it. Memory is ticks x places x titles x columns, whatever the log.

So with the order in which plays became known, which certificates ask about where the count of a tick ends: of each tick
the newest play it can see and the oldest it cannot are kept.

Plays may also be gathered in several places, some in each: `Gathering.parts` are what to join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rec_platform.errors import ConfigError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Texts
from rec_platform.timetravel.kernels import FOREVER, HOUR, NONE, Int32, Int64
from rec_platform.timetravel.log import Log
from rec_platform.timetravel.ticks import Column, TickTable, TitlePlays


class Part(NamedTuple):
    """An array that plays are gathered in, as rows where it stands.

    Attributes:
        rows: int64, 2-d.
        none: what stands everywhere before the first play.
        join: of what two places gathered, what one would have.
    """

    rows: Int64
    none: int
    join: np.ufunc


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

    def parts(self) -> Iterator[Part]:
        """What is gathered, a row per tick and place; before a table is asked for."""
        for values, none, join in (
            (self._sums, 0, np.add), (self._first, FOREVER, np.minimum), (self._last, NONE, np.maximum),
        ):  # fmt: skip
            if values.size:
                yield Part(values.reshape(len(self._ticks) * self._slab[0], -1), none, join)

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


class KnownOrder:
    """Plays in the order they became known, as far as it matters where the visible ones of a tick end.

    Args:
        ticks: the ticks, ascending.
        per_tick: hours of a tick.
    """

    def __init__(self, ticks: Int64, per_tick: int) -> None:
        self._ticks, self._micros = ticks, per_tick * HOUR
        #: By how many of the ticks cannot see a play: how many there are, the newest of them negated, and the oldest.
        self._counts = np.zeros(len(ticks) + 1, dtype=np.int64)
        self._newest, self._oldest = np.full((2, len(ticks) + 1), FOREVER, dtype=np.int64)

    def take_in(self, log: Log) -> None:
        """Add plays; all must come before anything is asked."""
        unseen_by = np.searchsorted(self._ticks * self._micros, log.known, side="right").astype(np.int32)
        self._counts += np.bincount(unseen_by, minlength=len(self._counts))
        kernels.take_least(self._newest, unseen_by, -log.known)
        kernels.take_least(self._oldest, unseen_by, kernels.plain(log.known, np.int64))

    def parts(self) -> Iterator[Part]:
        """What is gathered, one row each."""
        yield Part(self._counts[None], 0, np.add)
        yield Part(self._newest[None], FOREVER, np.minimum)
        yield Part(self._oldest[None], FOREVER, np.minimum)

    def last_of(self, counts: Int64, at: Int64) -> Int64:
        """`known` of the last of the first so many plays, counted as of the tick of each instant; `NONE` of no plays.

        A count beyond what the tick can see gives the oldest play it cannot: evidence of a lookup that reached too far.
        """
        tick = np.searchsorted(self._ticks, at // self._micros)
        newest, oldest = -np.minimum.accumulate(self._newest), np.minimum.accumulate(self._oldest[::-1])[::-1]
        visible = np.cumsum(self._counts)[tick]
        return np.where(counts > 0, np.where(counts <= visible, newest[tick], oldest[tick + 1]), NONE)


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
        self._orders: dict[int, KnownOrder] = {}
        self._closed = False

    @property
    def countries(self) -> Texts:
        """The countries whose codes `take_in` expects; -1 for any other."""
        return self._countries

    @property
    def bytes_per_day(self) -> int:
        """What the ticks of one day take, at most."""
        return sum(kind.bytes_per_day for kind in self._kinds.values())

    def __bool__(self) -> bool:
        """Whether anything was asked for."""
        return bool(self._kinds)

    def sweep(self, columns: tuple[Column, ...], *, per_tick: int, ends: bool) -> Gathered:
        """The sums of one kind, as `Timeline.sweep`; `ConfigError` for a kind that nobody asked for beforehand."""
        key = (columns, per_tick, ends)
        if key not in self._kinds:
            if self._closed:
                raise ConfigError(
                    f"sums of {[name for name, _ in columns]} by {per_tick} h were not gathered", place="swept timeline",
                    repair="A step must ask for the same sums of no contexts as of some: read facts through FactReader.",
                )  # fmt: skip
            ticks = np.unique(self._at // (per_tick * HOUR))
            self._kinds[key] = Gathered(
                columns, self._countries.texts, ticks, self._n_titles, per_tick=per_tick, ends=ends
            )
            self._orders.setdefault(per_tick, KnownOrder(ticks, per_tick))
        return self._kinds[key]

    def known_order(self, per_tick: int) -> KnownOrder:
        """The order in which plays became known, for ticks of so many hours; some sums of theirs were asked for."""
        return self._orders[per_tick]

    def take_in(self, log: Log) -> None:
        """Add plays to all sums asked for so far."""
        place = np.where(log.country < 0, len(self._countries), log.country).astype(np.int32)
        for kind in self._kinds.values():
            kind.take_in(log, place)
        for order in self._orders.values():
            order.take_in(log)

    def parts(self) -> Iterator[Part]:
        """What is gathered, in an order that is the same wherever the same was asked for."""
        for kind in self._kinds.values():
            yield from kind.parts()
        for order in self._orders.values():
            yield from order.parts()

    def close(self) -> None:
        """All plays were taken in: sums that were not asked for before cannot be asked for any more."""
        self._closed = True
