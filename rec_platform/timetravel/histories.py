"""The profiles' side of the timeline: each profile's plays in both orders, with running sums.

*Ana's evening* (clock.py) stands at its place among Ana's plays by `played`, and two days later by `known`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Int32, Int64


@dataclass(frozen=True)
class Histories:
    """Plays sorted by (profile, played_at); row numbers below are positions in that order.

    Attributes:
        starts: profile p's plays are rows starts[p]:starts[p + 1].
        played: when each play began.
        known: from when on it is visible, max(played_at, known_at).
        title: its title's code.
        watched, engaged: running sums in row order, one value more than rows.
        known_order: the rows sorted by (profile, known).
        known_sorted: `known` in that order.
        side_starts, side_rows: per profile, the rows known more than a day after they were played.
    """

    starts: Int64
    played: Int64
    known: Int64
    title: Int32
    watched: Int64
    engaged: Int64
    known_order: Int32
    known_sorted: Int64
    side_starts: Int64
    side_rows: Int32

    @classmethod
    def of(
        cls,
        profile: Int32,
        n_profiles: int,
        *,
        played: Int64,
        known: Int64,
        title: Int32,
        watched: Int64,
        engaged: npt.NDArray[np.int8],
    ) -> Histories:
        """Histories of plays in any order; `profile` holds codes below `n_profiles`."""
        starts = kernels.group_starts(profile, n_profiles)
        order = kernels.group_order(profile, starts)
        kernels.sort_within(starts, order, played)
        played, known = played[order], known[order]
        known_order = np.arange(len(order), dtype=np.int32)
        kernels.sort_within(starts, known_order, known)
        side = np.flatnonzero(known - played > kernels.DAY).astype(np.int32)
        return cls(
            starts, played, known, title[order],
            kernels.running_sum(watched, order), kernels.running_sum(engaged, order),
            known_order, known[known_order], np.searchsorted(side, starts).astype(np.int64), side,
        )  # fmt: skip

    @cached_property
    def newest(self) -> Int32:
        """In known order, the latest row so far of the profile."""
        return kernels.newest_so_far(self.starts, self.known_order)

    @cached_property
    def watched_by_known(self) -> Int64:
        """Running sums of `watched` in known order."""
        return kernels.reordered_sum(self.watched, self.known_order)

    @cached_property
    def engaged_by_known(self) -> Int64:
        """Running sums of `engaged` in known order."""
        return kernels.reordered_sum(self.engaged, self.known_order)

    def by_played(self, measure: str) -> Int64 | None:
        """The running sums of a measure in row order; None for plays, which are counted by position."""
        return {"watched_ms": self.watched, "engaged_plays": self.engaged}.get(measure)

    def by_known(self, measure: str) -> Int64 | None:
        """The running sums of a measure in known order; None for plays."""
        if measure == "plays":
            return None
        return self.watched_by_known if measure == "watched_ms" else self.engaged_by_known
