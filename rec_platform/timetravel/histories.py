"""The profiles' side of the timeline: each profile's plays in the order they were played.

*Ana's evening* (clock.py) stands at its place among Ana's plays; that it became known two days later is in `known`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Bools, Int32, Int64
from rec_platform.timetravel.log import Log, Values


@dataclass(frozen=True)
class Histories:
    """Plays sorted by (profile, played_at); row numbers below are positions in that order.

    Attributes:
        starts: profile p's plays are rows starts[p]:starts[p + 1].
        played: when each play began.
        known: from when on it is visible, max(played_at, known_at).
        title: its title's code.
        measures: integer columns of the plays.
        n_titles: how many titles there are.
    """

    starts: Int64
    played: Int64
    known: Int64
    title: Int32
    measures: Mapping[str, Values]
    n_titles: int

    @classmethod
    def of(cls, log: Log, n_profiles: int, n_titles: int) -> Histories:
        """Histories of plays in any order; codes of profiles and titles are below `n_profiles`, `n_titles`."""
        starts = kernels.group_starts(log.profile, n_profiles)
        places = np.empty(len(log), dtype=np.int32)
        kernels.group_places(log.profile, starts, places)
        played, known, title = (_placed(values, places) for values in (log.played, log.known, log.title))
        measures = {name: _placed(values, places) for name, values in log.measures.items()}
        del places
        _order(starts, played, (played, known, title, *measures.values()))
        return cls(starts, played, known, title, measures, n_titles)

    @cached_property
    def next_of_title(self) -> Int32:
        """For each row, the profile's next play of the same title; -1 if there is none."""
        out = np.empty(len(self.title), dtype=np.int32)
        kernels.next_of_title(self.starts, self.title, np.full(self.n_titles, -1, dtype=np.int64), out)
        return out

    @cached_property
    def known_sorted(self) -> Int64:
        """`known` of each profile's plays in ascending order: the first k are those visible to a context with k plays."""
        known = self.known.copy()
        _order(self.starts, known, (known,))
        return known

    def moves(self, profile: Int32, at: Int64, opens: Bools, window: int) -> Moves:
        """The moves of a window (microseconds; ALL_TIME: nothing goes out) over contexts that stand in runs."""
        return Moves(
            self, opens, *kernels.window_moves(self.starts, self.played, self.known, profile, at, opens, window)
        )


@dataclass(frozen=True)
class Moves:
    """The plays that come into a window and go out of it, from each context to the next; see `kernels.window_moves`."""

    of: Histories
    opens: Bools
    bounds: Int64
    moves: Int32

    @cached_property
    def titles(self) -> Int32:
        """The title of each moved play."""
        return kernels.moved_keys(self.of.title, self.moves)

    @cached_property
    def _signs(self) -> Int64:
        return kernels.signs_of(self.moves)

    def amounts(self, column: str | None) -> Int64:
        """What each move adds to a sum: of a column of the plays, or 1 (None: plays are counted)."""
        return self._signs if column is None else kernels.signed(self.of.measures[column], self.moves)

    def distinct(self, keys: Int64, counts: Int64) -> Int64:
        """What each move adds to a count of distinct keys; `counts` is all zeros, and left so."""
        return kernels.first_moves(self.bounds, self.opens, keys, self.moves, counts)


def _placed(values: Values, places: Int32) -> Values:
    out = np.empty_like(values)
    kernels.place(values, places, out)
    return out


def _order(starts: Int64, keys: Int64, columns: Sequence[Values]) -> None:
    """Put the rows of each group in order of their keys, equal keys as they stand: all columns, in place."""
    groups = kernels.unsorted_groups(starts, keys)
    if len(groups):
        order = np.arange(len(keys), dtype=np.int32)
        kernels.sort_within(starts, groups, order, keys)
        for values in columns:
            kernels.rearrange(starts, groups, order, values)
