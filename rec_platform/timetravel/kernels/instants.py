"""Instants of a profile: local hours, first plays, the first and last plays of a local hour."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import DAY, HOUR, NONE, Bools, Int32, Int64, compiled
from rec_platform.timetravel.kernels.heaps import melded
from rec_platform.timetravel.kernels.search import lower_bound, row_of


@compiled
def local_keys(
    bounds: Int64,
    moves: Int32,
    played: Int64,
    at: Int64,
    zone: Int32,
    zone_starts: Int64,
    zone_from: Int64,
    zone_offset: Int64,
    hours: bool,
) -> tuple[Int32, Int32]:
    """The local hour (0..23), or weekday (0..6, 0 is a Thursday), of each moved play and of each context itself.

    The zone is the context's. Zones are steps: from zone_from[k] on, local time is UTC + zone_offset[k].
    """
    keys, own = np.empty(len(moves), dtype=np.int32), np.empty(len(at), dtype=np.int32)
    for i in range(len(at)):
        begin, end = zone_starts[zone[i]], zone_starts[zone[i] + 1]
        z = begin
        for m in range(bounds[i], bounds[i + 1]):
            instant = played[row_of(moves[m])]
            z = _step(zone_from, z, end, instant)
            local = instant + zone_offset[z]
            keys[m] = local // HOUR % 24 if hours else local // DAY % 7
        z = _step(zone_from, z, end, at[i])
        local = at[i] + zone_offset[z]
        own[i] = local // HOUR % 24 if hours else local // DAY % 7
    return keys, own


@compiled
def _step(zone_from: Int64, z: int, end: int, instant: int) -> int:
    """The step that holds at an instant, looked for from step z on; the first step begins before all time."""
    while z + 1 < end and zone_from[z + 1] <= instant:
        z += 1
    while zone_from[z] > instant:
        z -= 1
    return z


@compiled
def first_played(
    starts: Int64,
    played: Int64,
    known: Int64,
    profile: Int32,
    at: Int64,
    window: int,
) -> Int64:
    """The first visible play of each context's profile in [at - window, at); `NONE` if none."""
    out = np.full(len(at), NONE, dtype=np.int64)
    for i in range(len(at)):
        p = profile[i]
        if p < 0 or starts[p] == starts[p + 1]:
            continue
        row = starts[p]
        if window >= 0:
            row = lower_bound(played, row, starts[p + 1], at[i] - window)
        while row < starts[p + 1] and played[row] < at[i]:
            if known[row] < at[i]:
                out[i] = played[row]
                break
            row += 1
    return out


@compiled
def local_lasts(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
    keys: Int32,
    own: Int32,
    n_keys: int,
    played: Int64,
    at: Int64,
    window: int,
) -> Int64:
    """The last play in each context's window of those in its own local hour, or weekday; `NONE` if none.

    `keys` and `own` are those of `local_keys`. Of a key the last that ever came in goes out last: where it is too old,
    nothing is left.
    """
    out = np.full(len(own), NONE, dtype=np.int64)
    last = np.empty(n_keys, dtype=np.int32)
    for i in range(len(own)):
        if opens[i]:
            last[:] = -1
        for m in range(bounds[i], bounds[i + 1]):
            last[keys[m]] = max(last[keys[m]], moves[m])
        row = last[own[i]]
        if row >= 0 and (window < 0 or played[row] >= at[i] - window):
            out[i] = played[row]
    return out


@compiled
def local_firsts(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
    keys: Int32,
    own: Int32,
    n_keys: int,
    played: Int64,
    at: Int64,
    window: int,
) -> Int64:
    """The first play in each context's window of those in its own local hour, or weekday; `NONE` if none.

    `keys` and `own` are those of `local_keys`. Late plays come in before plays that were known in time, so the plays of
    each key stand in a heap (of their moves); those that have gone out leave it when their key is next asked for.
    """
    out = np.full(len(own), NONE, dtype=np.int64)
    left, right = np.empty(len(moves), dtype=np.int32), np.empty(len(moves), dtype=np.int32)
    first = np.empty(n_keys, dtype=np.int32)
    for i in range(len(own)):
        if opens[i]:
            first[:] = -1
        for m in range(bounds[i], bounds[i + 1]):
            if moves[m] >= 0:
                left[m], right[m] = -1, -1
                first[keys[m]] = melded(moves, left, right, first[keys[m]], m)
        node = first[own[i]]
        while node >= 0 and window >= 0 and played[moves[node]] < at[i] - window:
            node = melded(moves, left, right, left[node], right[node])
        first[own[i]] = node
        if node >= 0:
            out[i] = played[moves[node]]
    return out
