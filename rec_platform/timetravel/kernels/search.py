"""Searches that kernels of several files share: compiled once, and inlined where they are called."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import Int64, compiled


@compiled
def home_slot(key: int, shift: int) -> np.int64:
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))


@compiled
def lower_bound(values: Int64, lo: int, hi: int, bound: int) -> int:
    """The first position in [lo, hi) whose value is not below `bound`; hi if there is none."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if values[middle] < bound:
            lo = middle + 1
        else:
            hi = middle
    return lo


@compiled
def row_of(move: int) -> int:
    """The row of the play that moves."""
    return move if move >= 0 else ~move


@compiled
def sign_of(move: int) -> int:
    """1 for a play that comes in, -1 for one that goes out."""
    return 1 if move >= 0 else -1
