"""Titles on offer."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import NONE, Int32, Int64, compiled
from rec_platform.timetravel.kernels.search import home_slot


@compiled
def offered_since(
    table: Int32,
    keys: Int64,
    shift: int,
    starts: Int64,
    begins: Int64,
    ends: Int64,
    known: Int64,
    n_titles: int,
    country: Int32,
    at: Int64,
    offsets: Int64,
    item: Int32,
) -> Int64:
    """Per item, from when the offer that holds at the context's instant runs (the earliest if several); `NONE` if none.

    Offers stand in order of (key, begin, known), key = country * n_titles + title; of several with the same begin the
    newest known before the instant counts.
    """
    out = np.full(len(item), NONE, dtype=np.int64)
    mask = len(table) - 1
    for i in range(len(at)):
        for j in range(offsets[i], offsets[i + 1]):
            if country[i] < 0 or item[j] < 0:
                continue
            key = np.int64(country[i]) * n_titles + item[j]
            slot = home_slot(key, shift)
            while table[slot] >= 0 and keys[table[slot]] != key:
                slot = (slot + 1) & mask
            if table[slot] < 0:
                continue
            end = starts[table[slot] + 1]
            for r in range(starts[table[slot]], end):
                newer = r + 1 < end and begins[r + 1] == begins[r] and known[r + 1] < at[i]
                if not newer and known[r] < at[i] and begins[r] <= at[i] and at[i] < ends[r]:
                    out[j] = begins[r]
                    break
    return out
