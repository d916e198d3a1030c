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
