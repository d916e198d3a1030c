"""Building histories: plays in order of profile and time.

What has a value per play is written to an array given (`out`): NumPy asks for huge pages where it makes large arrays, numba does
not, and with small ones each first touch is a fault of 4 KB (decision 0125).
"""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import Int32, Int64, Integers, compiled


@compiled
def group_starts(codes: Int32, n: int) -> Int64:
    """Where each of `n` groups would start if rows were sorted by code; n + 1 values."""
    starts = np.zeros(n + 1, dtype=np.int64)
    for code in codes:
        starts[code + 1] += 1
    for code in range(n):
        starts[code + 1] += starts[code]
    return starts


@compiled
def group_order(codes: Int32, starts: Int64, out: Int32) -> None:
    """The rows in order of code, equal codes in their given order (a counting sort)."""
    heads = starts[:-1].copy()
    for row in range(len(codes)):
        code = codes[row]
        out[heads[code]] = row
        heads[code] += 1


@compiled
def group_places(codes: Int32, starts: Int64, out: Int32) -> None:
    """Where each row goes so that rows stand in order of code, equal codes in their given order; see `place`."""
    heads = starts[:-1].copy()
    for row in range(len(codes)):
        code = codes[row]
        out[row] = heads[code]
        heads[code] += 1


@compiled
def place(values: Integers, places: Int32, out: Integers) -> None:
    """out[places[i]] = values[i], for integers of any width; each place is there once.

    Rows of a log that comes in order of time fill each group's lines of memory one after the other, so that these are
    written while in the cache; values[order] would fetch each anew for every row.
    """
    for row in range(len(values)):
        out[places[row]] = values[row]


@compiled
def next_of_title(starts: Int64, title: Int32, latest: Int64, out: Int32) -> None:
    """The profile's next play of the same title, for each row; -1 if there is none. `latest` is -1 for each title."""
    for p in range(len(starts) - 1):
        for row in range(starts[p + 1] - 1, starts[p] - 1, -1):
            out[row] = latest[title[row]]
            latest[title[row]] = row
        for row in range(starts[p], starts[p + 1]):
            latest[title[row]] = -1


@compiled
def unsorted_groups(starts: Int64, keys: Int64) -> Int64:
    """The groups whose keys do not ascend."""
    found = np.zeros(len(starts) - 1, dtype=np.bool_)
    for group in range(len(starts) - 1):
        for row in range(starts[group] + 1, starts[group + 1]):
            if keys[row] < keys[row - 1]:
                found[group] = True
                break
    return np.flatnonzero(found)


@compiled
def sort_within(starts: Int64, groups: Int64, order: Int32, keys: Int64) -> None:
    """Sort the rows of some groups by `keys[row]` in place, equal keys in their given order.

    Groups that are nearly in order (the usual case: a log comes day by day) cost little more than one look.
    """
    for group in groups:
        lo, hi = starts[group], starts[group + 1]
        shifts = 4 * (hi - lo)
        for i in range(lo + 1, hi):
            row, key, j = order[i], keys[order[i]], i
            while j > lo and keys[order[j - 1]] > key:
                order[j] = order[j - 1]
                j -= 1
            order[j] = row
            shifts -= i - j
            if shifts < 0:
                rows = order[lo:hi].copy()
                values = np.empty(hi - lo, dtype=np.int64)
                for r in range(hi - lo):
                    values[r] = keys[rows[r]]
                order[lo:hi] = rows[np.argsort(values, kind="mergesort")]
                break


@compiled
def rearrange(starts: Int64, groups: Int64, order: Int32, values: Integers) -> None:
    """Put `values` of some groups in the order that `sort_within` found for their rows, in place."""
    for group in groups:
        lo, hi = starts[group], starts[group + 1]
        given = values[lo:hi].copy()
        for row in range(lo, hi):
            values[row] = given[order[row] - lo]


@compiled
def take_least(least: Int64, codes: Int32, values: Int64) -> None:
    """Lower least[code] to the smallest value of the code."""
    for i in range(len(codes)):
        if values[i] < least[codes[i]]:
            least[codes[i]] = values[i]
