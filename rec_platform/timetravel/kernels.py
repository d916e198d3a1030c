"""Compiled code: loops over histories and ticks, plain arrays in and out, integers throughout.

Each kernel works on its own contexts, touches nothing shared and releases the interpreter lock; the feature generator
runs chunks of contexts in threads, a live request calls the same kernel on one context. So there is one body, one
signature and one result, whatever the number of threads (decision 0021).

Words used below: `known` is max(played_at, known_at), so that a play is visible at T iff known < T. A history is the
slice starts[p]:starts[p + 1] of arrays sorted by (profile, played_at). `NONE` stands where there is no instant.
**Moves** are the plays that come into a window, and go out of it, from one context of a profile to its next: every fact
of a profile is a running count over them (decision 0052).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]
Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., Any])

#: "No such instant"; also what `first_visible_play` and `signup_at` give where there is none.
NONE: Final = -(2**63)
#: After every instant.
FOREVER: Final = 2**63 - 1
#: The window of facts over all time.
ALL_TIME: Final = -1
DAY: Final = 86_400_000_000
HOUR: Final = 3_600_000_000

if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(Path(sys.prefix) / "var" / "rec-platform" / "numba")


def compiled(function: Function) -> Function:
    """`function` compiled on first use, cached in the environment, run without the interpreter lock."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def plain(values: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """`values` as a contiguous, writable array: kernels are compiled for that one kind (Arrow gives read-only ones)."""
    return np.require(values, dtype=dtype, requirements=["C", "W"])


# ---------------------------------------------------------------------------------------------------- ids to codes


@compiled
def _slot(key: int, shift: int) -> np.int64:
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))


@compiled
def hash_table(ids: Int64, shift: int) -> Int32:
    """An open-addressing table of 2^(64 - shift) slots: the position in `ids`, -1 in free slots."""
    table = np.full(1 << (64 - shift), -1, dtype=np.int32)
    mask = len(table) - 1
    for code in range(len(ids)):
        slot = _slot(ids[code], shift)
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = code
    return table


@compiled
def hash_codes(table: Int32, ids: Int64, shift: int, wanted: Int64) -> Int32:
    """The position in `ids` of each wanted id; -1 where it is not there."""
    codes = np.empty(len(wanted), dtype=np.int32)
    mask = len(table) - 1
    for i in range(len(wanted)):
        slot = _slot(wanted[i], shift)
        while table[slot] >= 0 and ids[table[slot]] != wanted[i]:
            slot = (slot + 1) & mask
        codes[i] = table[slot]
    return codes


@compiled
def take_in(table: Int32, ids: Int64, n: int, shift: int, given: Int64, codes: Int32) -> tuple[int, int]:
    """Write the code of each given id; ids never seen get the next codes, in `ids` from position `n` on.

    Stops when half the slots are taken. Returns how many given ids are done and how many ids there are.
    """
    mask = len(table) - 1
    for i in range(len(given)):
        slot = _slot(given[i], shift)
        while table[slot] >= 0 and ids[table[slot]] != given[i]:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            if 2 * n >= len(table):
                return i, n
            ids[n] = given[i]
            table[slot] = n
            n += 1
        codes[i] = table[slot]
    return len(given), n


# ------------------------------------------------------------------------------------------------ building histories


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
def group_order(codes: Int32, starts: Int64) -> Int32:
    """The rows in order of code, equal codes in their given order (a counting sort)."""
    heads = starts[:-1].copy()
    order = np.empty(len(codes), dtype=np.int32)
    for row in range(len(codes)):
        code = codes[row]
        order[heads[code]] = row
        heads[code] += 1
    return order


@compiled
def next_of_title(starts: Int64, title: Int32, latest: Int64) -> Int32:
    """The profile's next play of the same title, for each row; -1 if there is none. `latest` is -1 for each title."""
    out = np.full(len(title), -1, dtype=np.int32)
    for p in range(len(starts) - 1):
        for row in range(starts[p + 1] - 1, starts[p] - 1, -1):
            out[row] = latest[title[row]]
            latest[title[row]] = row
        for row in range(starts[p], starts[p + 1]):
            latest[title[row]] = -1
    return out


@compiled
def sort_within(starts: Int64, order: Int32, keys: Int64) -> None:
    """Sort each group's rows by `keys[row]` in place, equal keys in their given order.

    Groups that are nearly in order (the usual case: a log comes day by day) cost little more than one look.
    """
    for group in range(len(starts) - 1):
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
def take_least(least: Int64, codes: Int32, values: Int64) -> None:
    """Lower least[code] to the smallest value of the code."""
    for i in range(len(codes)):
        if values[i] < least[codes[i]]:
            least[codes[i]] = values[i]


# ------------------------------------------------------------------------------------ moves of windows over histories


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
def _push(heap: Int32, n: int, known: Int64, row: int) -> None:
    """Put a row into the first n + 1 places of a heap whose top is known first."""
    while n > 0 and known[heap[(n - 1) >> 1]] > known[row]:
        heap[n] = heap[(n - 1) >> 1]
        n = (n - 1) >> 1
    heap[n] = row


@compiled
def _pop(heap: Int32, n: int, known: Int64) -> None:
    """Take the top out of a heap of n rows."""
    row, place = heap[n - 1], 0
    while 2 * place + 1 < n - 1:
        child = 2 * place + 1
        if child + 1 < n - 1 and known[heap[child + 1]] < known[heap[child]]:
            child += 1
        if known[heap[child]] >= known[row]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = row


@compiled
def _span(starts: Int64, played: Int64, profile: int, first: int, last: int, window: int) -> tuple[int, int]:
    """The profile's rows that windows ending from `first` to `last` can hold."""
    if profile < 0:
        return 0, 0
    lo, hi = starts[profile], starts[profile + 1]
    end = lower_bound(played, lo, hi, last)
    return (lo if window < 0 else lower_bound(played, lo, end, first - window)), end


@compiled
def window_moves(
    starts: Int64,
    played: Int64,
    known: Int64,
    profile: Int32,
    at: Int64,
    opens: Bools,
    window: int,
) -> tuple[Int64, Int32, Int64]:
    """The plays that come into and go out of [at - window, at), by both clocks, from each context to the next.

    Contexts stand in runs of one profile in order of time; `opens` is true where a run begins, with an empty window.
    Plays are walked once as they were played. Those not known yet wait in a heap and come in when they are, if the
    window still holds them then (*Ana's evening* waits two days).

    Returns:
        bounds (n + 1): the moves before context i are bounds[i]:bounds[i + 1] of the others; rows of plays; signs, 1
        for a play that comes in, -1 for one that goes out.
    """
    n = len(at)
    room, longest, i = 0, 0, 0
    while i < n:
        j = i + 1
        while j < n and not opens[j]:
            j += 1
        lo, hi = _span(starts, played, profile[i], at[i], at[j - 1], window)
        room += hi - lo if window < 0 or j == i + 1 else 2 * (hi - lo)
        longest = max(longest, hi - lo)
        i = j
    bounds = np.zeros(n + 1, dtype=np.int64)
    rows, signs = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int64)
    heap = np.empty(longest, dtype=np.int32)
    made, waiting, come, go, hi, i, before = 0, 0, 0, 0, 0, 0, np.int64(NONE)
    for i in range(n):
        now = at[i]
        since = now - window if window >= 0 else np.int64(NONE)
        if opens[i]:
            waiting, before = 0, np.int64(NONE)
            come, hi = _span(starts, played, profile[i], now, FOREVER, window)
            go = come
        while go < come and played[go] < since:
            if known[go] < before:
                rows[made], signs[made] = go, -1
                made += 1
            go += 1
        while waiting > 0 and known[heap[0]] < now:
            row = heap[0]
            _pop(heap, waiting, known)
            waiting -= 1
            if played[row] >= since:
                rows[made], signs[made] = row, 1
                made += 1
        while come < hi and played[come] < now:
            if played[come] < since:
                go = come + 1
            elif known[come] < now:
                rows[made], signs[made] = come, 1
                made += 1
            else:
                _push(heap, waiting, known, come)
                waiting += 1
            come += 1
        before = now
        bounds[i + 1] = made
    return bounds, rows[:made], signs[:made]


@compiled
def first_moves(bounds: Int64, opens: Bools, keys: Int64, signs: Int64, counts: Int64) -> Int64:
    """For each move 1 if it brings its key's first play into the window, -1 if it takes out the last, else 0.

    Running sums of these count distinct keys. `counts` is all zeros, one per key, and is left so.
    """
    out = np.zeros(len(keys), dtype=np.int64)
    begin = 0
    for i in range(len(opens)):
        if opens[i]:
            for m in range(begin, bounds[i]):
                counts[keys[m]] = 0
            begin = bounds[i]
        for m in range(bounds[i], bounds[i + 1]):
            had = counts[keys[m]]
            counts[keys[m]] = had + signs[m]
            if signs[m] > 0 and had == 0:
                out[m] = 1
            elif signs[m] < 0 and had == 1:
                out[m] = -1
    for m in range(begin, len(keys)):
        counts[keys[m]] = 0
    return out


@compiled
def moved_sums(bounds: Int64, opens: Bools, amounts: Int64) -> Float64:
    """The sum of what is in each context's window; `amounts` of moves that go out are negative."""
    out = np.empty(len(opens), dtype=np.float64)
    total = np.int64(0)
    for i in range(len(opens)):
        if opens[i]:
            total = np.int64(0)
        for m in range(bounds[i], bounds[i + 1]):
            total += amounts[m]
        out[i] = total
    return out


@compiled
def moved_lasts(bounds: Int64, opens: Bools, rows: Int32, signs: Int64, played: Int64) -> Int64:
    """The last play of each context's window; `NONE` if none. It is the last that ever came in, since it goes out last."""
    out = np.full(len(opens), NONE, dtype=np.int64)
    held, last = np.int64(0), np.int32(-1)
    for i in range(len(opens)):
        if opens[i]:
            held, last = np.int64(0), np.int32(-1)
        for m in range(bounds[i], bounds[i + 1]):
            held += signs[m]
            if signs[m] > 0:
                last = max(last, rows[m])
        if held > 0:
            out[i] = played[last]
    return out


@compiled
def moved_lookups(
    bounds: Int64, opens: Bools, keys: Int64, amounts: Int64, offsets: Int64, wanted: Int64, sums: Int64
) -> Float64:
    """Per wanted key of each context, the sum over the plays with that key in its window; 0 for keys below 0.

    Keys are titles (wanted: those of the items) or local hours or weekdays (wanted: the context's own). `sums` is all
    zeros, one per key, and is left so.
    """
    out = np.zeros(len(wanted), dtype=np.float64)
    begin = 0
    for i in range(len(opens)):
        if opens[i]:
            for m in range(begin, bounds[i]):
                sums[keys[m]] = 0
            begin = bounds[i]
        for m in range(bounds[i], bounds[i + 1]):
            sums[keys[m]] += amounts[m]
        for j in range(offsets[i], offsets[i + 1]):
            if wanted[j] >= 0:
                out[j] = sums[wanted[j]]
    for m in range(begin, len(keys)):
        sums[keys[m]] = 0
    return out


@compiled
def moved_title_ends(
    bounds: Int64,
    opens: Bools,
    rows: Int32,
    signs: Int64,
    at: Int64,
    played: Int64,
    known: Int64,
    title: Int32,
    following: Int32,
    offsets: Int64,
    item: Int32,
    held: Int64,
    first: Int64,
    last: Int64,
) -> Int64:
    """Per item, the first and last play of its title in the context's window, shape (2, items); `NONE` if none.

    When a title's first play goes out, the next that had come in takes its place; `following` has the profile's next
    play of the same title for each row, and is read only where plays go out. `held` is all zeros, one per title, and is
    left so; `first` and `last` hold rows and mean nothing where `held` is 0.
    """
    out = np.full((2, len(item)), NONE, dtype=np.int64)
    begin = 0
    for i in range(len(opens)):
        if opens[i]:
            for m in range(begin, bounds[i]):
                held[title[rows[m]]] = 0
            begin = bounds[i]
        for m in range(bounds[i], bounds[i + 1]):
            row = rows[m]
            t = title[row]
            held[t] += signs[m]
            if signs[m] > 0:
                first[t] = row if held[t] == 1 else min(first[t], row)
                last[t] = row if held[t] == 1 else max(last[t], row)
            elif held[t] > 0 and first[t] == row:
                row = following[row]
                while row >= 0 and known[row] >= at[i - 1]:
                    row = following[row]
                first[t] = row if row >= 0 else last[t]
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] >= 0 and held[item[j]] > 0:
                out[0, j], out[1, j] = played[first[item[j]]], played[last[item[j]]]
    for m in range(begin, len(rows)):
        held[title[rows[m]]] = 0
    return out


@compiled
def local_keys(
    bounds: Int64,
    rows: Int32,
    played: Int64,
    at: Int64,
    zone: Int32,
    zone_starts: Int64,
    zone_from: Int64,
    zone_offset: Int64,
) -> tuple[Int64, Int64, Int64, Int64]:
    """The local hour (0..23) and weekday (0..6, 0 is a Thursday) of each moved play and of each context itself.

    The zone is the context's. Zones are steps: from zone_from[k] on, local time is UTC + zone_offset[k].
    """
    hours, weekdays = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
    hour, weekday = np.empty(len(at), dtype=np.int64), np.empty(len(at), dtype=np.int64)
    for i in range(len(at)):
        begin, end = zone_starts[zone[i]], zone_starts[zone[i] + 1]
        z = begin
        for m in range(bounds[i], bounds[i + 1]):
            z = _step(zone_from, z, end, played[rows[m]])
            local = played[rows[m]] + zone_offset[z]
            hours[m], weekdays[m] = local // HOUR % 24, local // DAY % 7
        z = _step(zone_from, z, end, at[i])
        local = at[i] + zone_offset[z]
        hour[i], weekday[i] = local // HOUR % 24, local // DAY % 7
    return hours, weekdays, hour, weekday


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
def revision(starts: Int64, known: Int64, key: int, now: int) -> int:
    """The newest revision of `key` known before `now`; -1 if none. Revisions stand in order of (key, known)."""
    r: int = starts[key + 1] - 1
    while r >= starts[key]:
        if known[r] < now:
            return r
        r -= 1
    return -1


@compiled
def moved_attributes(
    bounds: Int64,
    opens: Bools,
    titles: Int64,
    amounts: Int64,
    at: Int64,
    offsets: Int64,
    item: Int32,
    revision_starts: Int64,
    revision_known: Int64,
    value_starts: Int64,
    values: Int32,
    n_values: int,
) -> Float64:
    """Per item, over the values its title has in a list attribute: mean (row 0) and maximum (row 1) of the sum of the
    profile's visible plays, in the window, of titles with that value. NaN for a title without values.

    What values a title has is itself read as known at the context's instant; a run of contexts must end where that
    changes for a title with visible plays. `titles` are those of the moved plays.
    """
    out = np.full((2, len(item)), np.nan, dtype=np.float64)
    sums = np.zeros(n_values, dtype=np.int64)
    for i in range(len(at)):
        now = at[i]
        if opens[i]:
            sums[:] = 0
        for m in range(bounds[i], bounds[i + 1]):
            r = revision(revision_starts, revision_known, titles[m], now)
            if r >= 0 and amounts[m] != 0:
                for v in range(value_starts[r], value_starts[r + 1]):
                    sums[values[v]] += amounts[m]
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] < 0:
                continue
            r = revision(revision_starts, revision_known, item[j], now)
            if r < 0 or value_starts[r] == value_starts[r + 1]:
                continue
            total, most = np.int64(0), sums[values[value_starts[r]]]
            for v in range(value_starts[r], value_starts[r + 1]):
                total += sums[values[v]]
                most = max(most, sums[values[v]])
            out[0, j] = total / (value_starts[r + 1] - value_starts[r])
            out[1, j] = most
    return out


@compiled
def seen_titles(
    starts: Int64,
    played: Int64,
    known: Int64,
    title: Int32,
    n_titles: int,
    profile: Int32,
    at: Int64,
    offsets: Int64,
    codes: Int32,
    last: Int64,
) -> None:
    """The distinct visible titles of each context's profile. Counts into `offsets` when `codes` is empty; else fills.

    Two calls: the first leaves in offsets[i + 1] how many titles context i has, the second, with offsets summed up,
    writes codes (ascending) and the last visible play of each.
    """
    stamp = np.full(n_titles, -1, dtype=np.int64)
    newest = np.empty(n_titles, dtype=np.int64)
    fill = len(codes) > 0
    for i in range(len(at)):
        p = profile[i]
        found = 0
        if p >= 0:
            row = starts[p]
            while row < starts[p + 1] and played[row] < at[i]:
                if known[row] < at[i]:
                    t = title[row]
                    if stamp[t] != i:
                        stamp[t] = i
                        if fill:
                            codes[offsets[i] + found] = t
                        found += 1
                    newest[t] = played[row]
                row += 1
        if fill:
            mine = codes[offsets[i] : offsets[i] + found]
            mine.sort()
            for j in range(found):
                last[offsets[i] + j] = newest[mine[j]]
        else:
            offsets[i + 1] = found


@compiled
def revisions_at(starts: Int64, known: Int64, key: Int32, at: Int64) -> Int64:
    """The newest revision of each key known before its instant; -1 where there is none."""
    out = np.full(len(key), -1, dtype=np.int64)
    for i in range(len(key)):
        if key[i] >= 0:
            out[i] = revision(starts, known, key[i], at[i])
    return out


# -------------------------------------------------------------------------------------------- title-side facts by tick


@compiled
def add_plays(
    sums: Int64,
    windows: Int64,
    measures: Int64,
    rows: Int32,
    amounts: Int64,
    tick: int,
    per_tick: int,
    place: Int32,
    country: Int16,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
    only: int,
) -> None:
    """Add plays to the sums (places, titles, columns) of `tick`; ticks are numbered hours // per_tick since 1970.

    `rows` are the plays that may enter; those not visible at the tick are skipped, and so are those that did not become
    visible in the tick `only` (ALL_TIME: any). A column takes a play of tick - window or later. `amounts` has a row per
    measure; `measures` tells which one each column sums. `place` maps country codes to rows of the state.
    """
    for r in range(len(rows)):
        row = rows[r]
        visible = visible_hour[row] // per_tick
        if visible >= tick or (only != ALL_TIME and visible != only):
            continue
        mine = sums[place[country[row]], title[row]]
        when = played[row] // (per_tick * HOUR)
        for k in range(len(windows)):
            if windows[k] < 0 or when >= tick - windows[k]:
                mine[k] += amounts[measures[k], r]


@compiled
def add_ends(
    first: Int64,
    last: Int64,
    rows: Int32,
    tick: int,
    per_tick: int,
    place: Int32,
    country: Int16,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
    only: int,
) -> None:
    """As `add_plays`, for the first and last visible play ever (places, titles)."""
    for row in rows:
        visible = visible_hour[row] // per_tick
        if visible >= tick or (only != ALL_TIME and visible != only):
            continue
        at, t = place[country[row]], title[row]
        if first[at, t] == NONE or played[row] < first[at, t]:
            first[at, t] = played[row]
        last[at, t] = max(last[at, t], played[row])


@compiled
def drop_plays(
    sums: Int64,
    column: int,
    rows: Int32,
    amounts: Int64,
    tick: int,
    per_tick: int,
    place: Int32,
    country: Int16,
    title: Int32,
    visible_hour: Int32,
) -> None:
    """Take the plays in `rows` (those that leave the column's window after `tick`) out of it, if they were counted."""
    for r in range(len(rows)):
        row = rows[r]
        if visible_hour[row] // per_tick < tick:
            sums[place[country[row]], title[row], column] -= amounts[r]


@compiled
def add_to_ticks(
    changes: Int64,
    ticks: Int64,
    windows: Int64,
    measures: Int64,
    amounts: Int64,
    per_tick: int,
    place: Int32,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """Write what plays change in the sums of chosen ticks (ticks, places, titles, columns), from each tick to the next.

    `ticks` ascend. A play comes into a column at the first tick that it is visible at, and goes out at the first whose
    window has left it; running sums along the ticks make the state of `add_plays` at each. `place` is one per play.
    """
    for row in range(len(title)):
        begin = lower_bound(ticks, 0, len(ticks), visible_hour[row] // per_tick + 1)
        when = played[row] // (per_tick * HOUR)
        for k in range(len(windows)):
            amount, end = amounts[measures[k], row], len(ticks)
            if windows[k] >= 0:
                end = lower_bound(ticks, begin, end, when + windows[k] + 1)
            if begin < end:
                changes[begin, place[row], title[row], k] += amount
                if end < len(ticks):
                    changes[end, place[row], title[row], k] -= amount


@compiled
def add_ends_to_ticks(
    first: Int64,
    last: Int64,
    ticks: Int64,
    per_tick: int,
    place: Int32,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """As `add_to_ticks`, for the first and last play (ticks, places, titles) that became visible since the tick before.

    `FOREVER` stands in `first`, and `NONE` in `last`, where there is none.
    """
    for row in range(len(title)):
        begin = lower_bound(ticks, 0, len(ticks), visible_hour[row] // per_tick + 1)
        if begin < len(ticks):
            at, t = place[row], title[row]
            first[begin, at, t] = min(first[begin, at, t], played[row])
            last[begin, at, t] = max(last[begin, at, t], played[row])


@compiled
def item_columns(
    slab: Float64 | Int64, place: Int32, members: Int32, offsets: Int64, item: Int32, out: Float64 | Int64
) -> None:
    """out[column, item] = slab[place of the context, title of the item, column] for the items of `members`.

    Sums (float64) or instants (int64), slab and out alike. Unknown countries and titles keep what is there.
    """
    for i in members:
        if place[i] < 0:
            continue
        mine, first, last = slab[place[i]], offsets[i], offsets[i + 1]
        titles = item[first:last]
        for k in range(slab.shape[2]):
            column, values = mine[:, k], out[k, first:last]
            for j in range(len(titles)):
                if titles[j] >= 0:
                    values[j] = column[titles[j]]


# ------------------------------------------------------------------------------------------- columns of a frame's items


@compiled
def gathered(values: Int64, rows: Int64, offsets: Int64) -> Int64:
    """The values of some runs: run i begins at rows[i] and goes to offsets[i]:offsets[i + 1] of what is returned."""
    out = np.empty(offsets[-1], dtype=np.int64)
    for i in range(len(rows)):
        run = out[offsets[i] : offsets[i + 1]]
        given = values[rows[i] : rows[i] + len(run)]
        for j in range(len(run)):
            run[j] = given[j]
    return out


@compiled
def scatter(values: Float64, rows: Int64, offsets: Int64, out: Float32) -> None:
    """Write runs of values, narrowed, to where they belong: the reverse of `gathered`."""
    for i in range(len(rows)):
        given = values[offsets[i] : offsets[i + 1]]
        run = out[rows[i] : rows[i] + len(given)]
        for j in range(len(given)):
            run[j] = np.float32(given[j])


@compiled
def spread(values: Float64, rows: Int64, offsets: Int64, out: Float32) -> None:
    """Write each run's one value, narrowed, to all of its rows."""
    for i in range(len(rows)):
        value, run = np.float32(values[i]), out[rows[i] : rows[i] + offsets[i + 1] - offsets[i]]
        for j in range(len(run)):
            run[j] = value


# ---------------------------------------------------------------------------------------------------- availability


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
            slot = _slot(key, shift)
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


def warm_up() -> None:
    """Load every kernel from the environment's cache, compiling what is not there yet (`make` does it once).

    Runs all facts over an empty timeline, which meets every signature there is.
    """
    from rec_platform.timetravel.warm_up import run_everything

    run_everything()
