"""Instants of a profile: local hours, first plays."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import DAY, HOUR, NONE, Int32, Int64, compiled
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
