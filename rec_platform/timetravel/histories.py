"""The profiles' side of the timeline: each profile's plays in the order they were played.

*Ana's evening* (clock.py) stands at its place among Ana's plays; that it became known two days later is in `known`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Bools, Int32, Int64
from rec_platform.timetravel.log import Log, Values

_PIECE: Final = 1 << 20


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
        order = kernels.group_order(log.profile, starts)
        kernels.sort_within(starts, order, log.played)
        measures = {name: taken(values, order) for name, values in log.measures.items()}
        return cls(
            starts, taken(log.played, order), taken(log.known, order), taken(log.title, order), measures, n_titles
        )

    @cached_property
    def next_of_title(self) -> Int32:
        """For each row, the profile's next play of the same title; -1 if there is none."""
        return kernels.next_of_title(self.starts, self.title, np.full(self.n_titles, -1, dtype=np.int64))

    @cached_property
    def known_sorted(self) -> Int64:
        """`known` of each profile's plays in ascending order: the first k are those visible to a context with k plays."""
        order = np.arange(len(self.known), dtype=np.int32)
        kernels.sort_within(self.starts, order, self.known)
        return np.asarray(taken(self.known, order))

    def moves(self, profile: Int32, at: Int64, opens: Bools, window: int) -> Moves:
        """The moves of a window (microseconds; ALL_TIME: nothing goes out) over contexts that stand in runs."""
        bounds, rows, signs = kernels.window_moves(self.starts, self.played, self.known, profile, at, opens, window)
        return Moves(self, opens, bounds, rows, signs)


@dataclass(frozen=True)
class Moves:
    """The plays that come into a window and go out of it, from each context to the next; see `kernels.window_moves`."""

    of: Histories
    opens: Bools
    bounds: Int64
    rows: Int32
    signs: Int64

    @cached_property
    def titles(self) -> Int64:
        """The title of each moved play."""
        return self.of.title[self.rows].astype(np.int64)

    def amounts(self, column: str | None) -> Int64:
        """What each move adds to a sum: of a column of the plays, or 1 (None: plays are counted)."""
        return self.signs if column is None else self.of.measures[column][self.rows] * self.signs

    def distinct(self, keys: Int64, counts: Int64) -> Int64:
        """What each move adds to a count of distinct keys; `counts` is all zeros, and left so."""
        return kernels.first_moves(self.bounds, self.opens, keys, self.signs, counts)


def taken(values: npt.NDArray[Any], order: Int32) -> npt.NDArray[Any]:
    """values[order], piece by piece, because NumPy widens what it indexes by."""
    out = np.empty(len(order), dtype=values.dtype)
    for first in range(0, len(order), _PIECE):
        piece = slice(first, first + _PIECE)
        np.take(values, order[piece], out=out[piece], mode="clip")
    return out
