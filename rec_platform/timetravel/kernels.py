"""The only compiled code: loops over histories and ticks, plain arrays in and out, integers throughout.

Each kernel works on its own contexts, touches nothing shared and releases the interpreter lock; the feature generator
runs chunks of contexts in threads, a live request calls the same kernel on one context. So there is one body, one
signature and one result, whatever the number of threads (decision 0021).

Words used below: `known` is max(played_at, known_at), so that a play is visible at T iff known < T. A history is the
slice starts[p]:starts[p + 1] of arrays sorted by (profile, played_at). `NONE` stands where there is no instant.
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
Float64 = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

#: "No such instant"; also what `first_visible_play` and `signup_at` give where there is none.
NONE: Final = -(2**63)
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
def sort_within(starts: Int64, order: Int32, keys: Int64) -> None:
    """Sort each group's rows by `keys[row]` in place; groups already in order (the usual case) cost one look."""
    for group in range(len(starts) - 1):
        lo, hi = starts[group], starts[group + 1]
        for i in range(lo + 1, hi):
            if keys[order[i]] < keys[order[i - 1]]:
                rows = order[lo:hi].copy()
                values = np.empty(hi - lo, dtype=np.int64)
                for j in range(hi - lo):
                    values[j] = keys[rows[j]]
                order[lo:hi] = rows[np.argsort(values, kind="mergesort")]
                break


@compiled
def running_sum(values: npt.NDArray[np.generic], order: Int32) -> Int64:
    """Sums over the first k rows of `order`, k = 0..len(order)."""
    out = np.empty(len(order) + 1, dtype=np.int64)
    out[0] = 0
    for i in range(len(order)):
        out[i + 1] = out[i] + values[order[i]]
    return out


@compiled
def reordered_sum(prefix: Int64, order: Int32) -> Int64:
    """`running_sum` of the values whose sums in row order are `prefix`, taken in another order."""
    out = np.empty(len(order) + 1, dtype=np.int64)
    out[0] = 0
    for i in range(len(order)):
        out[i + 1] = out[i] + prefix[order[i] + 1] - prefix[order[i]]
    return out


@compiled
def newest_so_far(starts: Int64, order: Int32) -> Int32:
    """Per group, the largest row among the first k of `order`: in known order, the last play that is visible."""
    out = np.empty(len(order), dtype=np.int32)
    for group in range(len(starts) - 1):
        best = np.int32(-1)
        for i in range(starts[group], starts[group + 1]):
            best = max(best, order[i])
            out[i] = best
    return out


@compiled
def take_least(least: Int64, codes: Int32, values: Int64) -> None:
    """Lower least[code] to the smallest value of the code."""
    for i in range(len(codes)):
        if values[i] < least[codes[i]]:
            least[codes[i]] = values[i]


# ---------------------------------------------------------------------------------------- facts of one profile's past


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
def window_sums(
    starts: Int64,
    played: Int64,
    known: Int64,
    known_sorted: Int64,
    by_played: Int64 | None,
    by_known: Int64 | None,
    side_starts: Int64,
    side_rows: Int32,
    profile: Int32,
    at: Int64,
    windows: Int64,
) -> Int64:
    """Sums over the visible plays of each context's profile in [at - w, at), per window: shape (windows, contexts).

    The design's formula, both clocks exact: [known < T] - [played < T - w] + [played < T - w and known >= T]. The last
    term runs over the profile's side list, the plays that became known more than a day after they were played (*Ana's
    evening* is one). `by_played` and `by_known` are running sums in the two orders; None counts plays.
    """
    out = np.zeros((len(windows), len(at)), dtype=np.int64)
    for i in range(len(at)):
        p = profile[i]
        if p < 0:
            continue
        lo, hi, now = starts[p], starts[p + 1], at[i]
        k = lower_bound(known_sorted, lo, hi, now)
        visible = k - lo if by_known is None else by_known[k] - by_known[lo]
        for j in range(len(windows)):
            total = visible
            if windows[j] >= 0:
                since = now - windows[j]
                a = lower_bound(played, lo, hi, since)
                if by_played is None:
                    total -= a - lo
                else:
                    total -= by_played[a] - by_played[lo]
                for s in range(side_starts[p], side_starts[p + 1]):
                    r = side_rows[s]
                    if played[r] >= since:
                        break
                    if known[r] >= now:
                        if by_played is None:
                            total += 1
                        else:
                            total += by_played[r + 1] - by_played[r]
            out[j, i] = total
    return out


@compiled
def last_played(
    starts: Int64,
    played: Int64,
    known_sorted: Int64,
    newest: Int32,
    profile: Int32,
    at: Int64,
    window: int,
) -> Int64:
    """The last visible play of each context's profile in [at - window, at); `NONE` if none. A prefix maximum."""
    out = np.full(len(at), NONE, dtype=np.int64)
    for i in range(len(at)):
        p = profile[i]
        if p < 0:
            continue
        k = lower_bound(known_sorted, starts[p], starts[p + 1], at[i])
        if k > starts[p]:
            last = played[newest[k - 1]]
            if window < 0 or last >= at[i] - window:
                out[i] = last
    return out


@compiled
def first_played(
    starts: Int64,
    played: Int64,
    known: Int64,
    known_sorted: Int64,
    profile: Int32,
    at: Int64,
    window: int,
) -> Int64:
    """The first visible play of each context's profile in [at - window, at); `NONE` if none."""
    out = np.full(len(at), NONE, dtype=np.int64)
    for i in range(len(at)):
        p = profile[i]
        if p < 0 or starts[p] == starts[p + 1] or known_sorted[starts[p]] >= at[i]:
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
def clock_sums(
    starts: Int64,
    played: Int64,
    known: Int64,
    by_played: Int64 | None,
    profile: Int32,
    at: Int64,
    window: int,
    zone: Int32,
    zone_starts: Int64,
    zone_from: Int64,
    zone_offset: Int64,
) -> Int64:
    """Sums over visible plays in the window that began in the context's local hour (row 0) or weekday (row 1).

    Zones are steps: from zone_from[k] on, local time is UTC + zone_offset[k].
    """
    out = np.zeros((2, len(at)), dtype=np.int64)
    for i in range(len(at)):
        p, now = profile[i], at[i]
        if p < 0:
            continue
        z, z_end = zone_starts[zone[i]], zone_starts[zone[i] + 1]
        here = z
        while here + 1 < z_end and zone_from[here + 1] <= now:
            here += 1
        today = (now + zone_offset[here]) // DAY
        hour_starts = (now + zone_offset[here]) // HOUR * HOUR - today * DAY
        row = starts[p]
        if window >= 0:
            row = lower_bound(played, row, starts[p + 1], now - window)
        while row < starts[p + 1] and played[row] < now:
            if known[row] < now:
                while z + 1 < z_end and zone_from[z + 1] <= played[row]:
                    z += 1
                local = played[row] + zone_offset[z]
                amount = np.int64(1)
                if by_played is not None:
                    amount = by_played[row + 1] - by_played[row]
                day = local // DAY
                if hour_starts <= local - day * DAY < hour_starts + HOUR:
                    out[0, i] += amount
                if (today - day) % 7 == 0:
                    out[1, i] += amount
            row += 1
    return out


# ----------------------------------------------------------------------- facts of a profile and each item of a context


@compiled
def pair_facts(
    starts: Int64,
    played: Int64,
    known: Int64,
    title: Int32,
    n_titles: int,
    by_played: Int64 | None,
    profile: Int32,
    at: Int64,
    window: int,
    offsets: Int64,
    item: Int32,
) -> Int64:
    """Per item: sum, first and last over the profile's visible plays of that title in the window; shape (3, items).

    One walk over the profile's history per context fills a scratch row per title; its items then look theirs up.
    """
    out = np.empty((3, len(item)), dtype=np.int64)
    scratch = np.full((n_titles, 4), -1, dtype=np.int64)  # context that wrote it, sum, first, last
    for i in range(len(at)):
        p, now = profile[i], at[i]
        if p >= 0:
            row = starts[p]
            if window >= 0:
                row = lower_bound(played, row, starts[p + 1], now - window)
            while row < starts[p + 1] and played[row] < now:
                if known[row] < now:
                    amount = np.int64(1)
                    if by_played is not None:
                        amount = by_played[row + 1] - by_played[row]
                    mine = scratch[title[row]]
                    if mine[0] != i:
                        mine[0] = i
                        mine[1] = 0
                        mine[2] = played[row]
                    mine[1] += amount
                    mine[3] = played[row]
                row += 1
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] >= 0 and scratch[item[j], 0] == i:
                out[0, j] = scratch[item[j], 1]
                out[1, j] = scratch[item[j], 2]
                out[2, j] = scratch[item[j], 3]
            else:
                out[0, j] = 0
                out[1, j] = NONE
                out[2, j] = NONE
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
def attribute_facts(
    starts: Int64,
    played: Int64,
    known: Int64,
    title: Int32,
    by_played: Int64 | None,
    profile: Int32,
    at: Int64,
    window: int,
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

    What values a title has is itself read as known at the context's instant.
    """
    out = np.full((2, len(item)), np.nan, dtype=np.float64)
    scratch = np.full((n_values, 2), -1, dtype=np.int64)  # context that wrote it, sum
    for i in range(len(at)):
        p, now = profile[i], at[i]
        if p >= 0:
            row = starts[p]
            if window >= 0:
                row = lower_bound(played, row, starts[p + 1], now - window)
            while row < starts[p + 1] and played[row] < now:
                if known[row] < now:
                    r = revision(revision_starts, revision_known, title[row], now)
                    if r >= 0:
                        amount = np.int64(1)
                        if by_played is not None:
                            amount = by_played[row + 1] - by_played[row]
                        for v in range(value_starts[r], value_starts[r + 1]):
                            mine = scratch[values[v]]
                            if mine[0] != i:
                                mine[0] = i
                                mine[1] = 0
                            mine[1] += amount
                row += 1
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] < 0:
                continue
            r = revision(revision_starts, revision_known, item[j], now)
            if r < 0 or value_starts[r] == value_starts[r + 1]:
                continue
            total = np.int64(0)
            most = np.int64(0)
            for v in range(value_starts[r], value_starts[r + 1]):
                mine = scratch[values[v]]
                if mine[0] == i:
                    total += mine[1]
                    most = max(most, mine[1])
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
def add_day(
    sums: Int64,
    first: Int64,
    last: Int64,
    windows: Int64,
    measures: Int64,
    rows: Int32,
    tick: int,
    place: Int32,
    country: Int32,
    title: Int32,
    played: Int64,
    visible_day: Int32,
    watched: Int64,
    engaged: npt.NDArray[np.int8],
    only_day: int,
) -> None:
    """Add plays to the state of `tick` (a day number): sums (places, titles, columns), first and last (places, titles).

    `rows` are the plays that may enter; those whose visible_day is not `only_day` are skipped (ALL_TIME: those not
    visible at the tick). A column takes a play whose UTC day is at or after tick - window. `place` maps country codes
    to rows of the state.
    """
    for row in rows:
        if visible_day[row] >= tick or (only_day != ALL_TIME and visible_day[row] != only_day):
            continue
        at, t = place[country[row]], title[row]
        day = played[row] // DAY
        for k in range(len(windows)):
            if windows[k] < 0 or day >= tick - windows[k]:
                sums[at, t, k] += _amount(measures[k], watched[row], engaged[row])
        if first[at, t] == NONE or played[row] < first[at, t]:
            first[at, t] = played[row]
        last[at, t] = max(last[at, t], played[row])


@compiled
def _amount(measure: int, watched: int, engaged: int) -> int | np.int64:
    if measure == 0:
        return 1
    return watched if measure == 1 else np.int64(engaged)


@compiled
def drop_day(
    sums: Int64,
    column: int,
    measure: int,
    rows: Int32,
    tick: int,
    place: Int32,
    country: Int32,
    title: Int32,
    visible_day: Int32,
    watched: Int64,
    engaged: npt.NDArray[np.int8],
) -> None:
    """Take the plays in `rows` (those of the day that leaves the column's window) out of it, if they were counted."""
    for row in rows:
        if visible_day[row] < tick:
            sums[place[country[row]], title[row], column] -= _amount(measure, watched[row], engaged[row])


@compiled
def item_columns(table: Int64, place: Int32, offsets: Int64, item: Int32, missing: int) -> Int64:
    """table[place of the context, title of the item, column] for each item: shape (columns, items); `missing` for
    unknown countries and titles."""
    n_columns = table.shape[2]
    out = np.empty((n_columns, len(item)), dtype=np.int64)
    for i in range(len(place)):
        for j in range(offsets[i], offsets[i + 1]):
            if place[i] < 0 or item[j] < 0:
                for k in range(n_columns):
                    out[k, j] = missing
            else:
                for k in range(n_columns):
                    out[k, j] = table[place[i], item[j], k]
    return out


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
