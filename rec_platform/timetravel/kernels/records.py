"""Records of titles and profiles as they were known, and titles seen before."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import NONE, Bools, Float64, Int32, Int64, compiled
from rec_platform.timetravel.kernels.heaps import melded
from rec_platform.timetravel.kernels.search import row_of


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
def _values_of(starts: Int64, known: Int64, value_starts: Int64, title: int, now: int) -> tuple[int, int]:
    """Where the values that a title has in a list attribute, as known before `now`, begin and end."""
    r = revision(starts, known, title, now)
    return (value_starts[r], value_starts[r + 1]) if r >= 0 else (0, 0)


@compiled
def moved_attributes(
    bounds: Int64,
    opens: Bools,
    titles: Int32,
    amounts: Int64,
    at: Int64,
    offsets: Int64,
    item: Int32,
    revision_starts: Int64,
    revision_known: Int64,
    since: Int64,
    pair: Int32,
    value_starts: Int64,
    values: Int32,
    n_values: int,
    greatest: bool,
) -> Float64:
    """Per item, over the values its title has in a list attribute: mean, or maximum (`greatest`), of the sum of the
    profile's visible plays, in the window, of titles with that value. NaN for a title without values.

    What values a title has is itself read as known at the context's instant; a run of contexts must end where that
    changes for a title with visible plays. `titles` are those of the moved plays. `since` and `pair` are a shortcut, since
    most titles have a value or two, in no order that a processor could foresee: from since[t] on, title t has the values
    pair[t], the same twice if it has one, `n_values` if it has none (whose sum is NaN). Sums are whole and below 2^53, so
    half of a sum of two is as exact as a division.
    """
    out = np.empty(len(item), dtype=np.float64)
    sums = np.zeros(n_values + 1, dtype=np.float64)
    for i in range(len(at)):
        now = at[i]
        if opens[i]:
            sums[:] = 0
            sums[n_values] = np.nan
        for m in range(bounds[i], bounds[i + 1]):
            t = titles[m]
            if since[t] < now:
                sums[pair[t, 0]] += amounts[m]
                if pair[t, 1] != pair[t, 0]:
                    sums[pair[t, 1]] += amounts[m]
            else:
                begin, end = _values_of(revision_starts, revision_known, value_starts, t, now)
                for v in range(begin, end):
                    sums[values[v]] += amounts[m]
        for j in range(offsets[i], offsets[i + 1]):
            t = item[j]
            if t < 0:
                out[j] = np.nan
            elif since[t] < now:
                first, last = sums[pair[t, 0]], sums[pair[t, 1]]
                out[j] = max(first, last) if greatest else (first + last) / 2
            else:
                begin, end = _values_of(revision_starts, revision_known, value_starts, t, now)
                out[j] = _over(sums, values, begin, end, greatest)
    return out


@compiled
def moved_attribute_ends(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
    played: Int64,
    titles: Int32,
    at: Int64,
    offsets: Int64,
    item: Int32,
    revision_starts: Int64,
    revision_known: Int64,
    value_starts: Int64,
    values: Int32,
    n_values: int,
    window: int,
    last: bool,
) -> Int64:
    """Per item, when the last (else the first) of the profile's visible plays in the window began, of titles that share a
    value of a list attribute with the item's; `NONE` if there is none.

    As of values, and of runs, as `moved_attributes`. Plays stand in order of `played`, so of a value the last that ever came
    in goes out last: where it is too old, nothing is left. The first is asked for over all time only, and never goes out
    (`moved_attribute_firsts` is for windows).
    """
    out = np.full(len(item), NONE, dtype=np.int64)
    held = np.full(n_values, -1, dtype=np.int32)
    for i in range(len(at)):
        now = at[i]
        if opens[i]:
            held[:] = -1
        for m in range(bounds[i], bounds[i + 1]):
            if moves[m] < 0:
                continue
            row = row_of(moves[m])
            begin, end = _values_of(revision_starts, revision_known, value_starts, titles[m], now)
            for v in range(begin, end):
                other = held[values[v]]
                if other < 0 or (row > other) == last:
                    held[values[v]] = row
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] < 0:
                continue
            found = np.int32(-1)
            begin, end = _values_of(revision_starts, revision_known, value_starts, item[j], now)
            for v in range(begin, end):
                other = held[values[v]]
                if other >= 0 and (found < 0 or (other > found) == last):
                    found = other
            if found >= 0 and (window < 0 or played[found] >= now - window):
                out[j] = played[found]
    return out


@compiled
def moved_attribute_firsts(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
    played: Int64,
    titles: Int32,
    at: Int64,
    offsets: Int64,
    item: Int32,
    revision_starts: Int64,
    revision_known: Int64,
    value_starts: Int64,
    values: Int32,
    n_values: int,
    window: int,
) -> Int64:
    """Per item, when the first of the profile's visible plays in the window began, of titles that share a value of a list
    attribute with the item's; `NONE` if there is none.

    As of values, and of runs, as `moved_attributes`. Late plays come in before plays that were known in time, so the plays
    of each value stand in a heap; those that have gone out leave it when their value is next asked for.
    """
    out = np.full(len(item), NONE, dtype=np.int64)
    room = _most_held(bounds, opens, moves, titles, at, revision_starts, revision_known, value_starts)
    rows, left, right = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    first = np.full(n_values, -1, dtype=np.int32)
    made = 0
    for i in range(len(at)):
        now = at[i]
        if opens[i]:
            first[:] = -1
            made = 0
        for m in range(bounds[i], bounds[i + 1]):
            if moves[m] < 0:
                continue
            begin, end = _values_of(revision_starts, revision_known, value_starts, titles[m], now)
            for v in range(begin, end):
                rows[made], left[made], right[made] = moves[m], -1, -1
                first[values[v]] = melded(rows, left, right, first[values[v]], made)
                made += 1
        for j in range(offsets[i], offsets[i + 1]):
            if item[j] < 0:
                continue
            begin, end = _values_of(revision_starts, revision_known, value_starts, item[j], now)
            for v in range(begin, end):
                node = first[values[v]]
                while node >= 0 and played[rows[node]] < now - window:
                    node = melded(rows, left, right, left[node], right[node])
                first[values[v]] = node
                if node >= 0 and (out[j] == NONE or played[rows[node]] < out[j]):
                    out[j] = played[rows[node]]
    return out


@compiled
def _most_held(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
    titles: Int32,
    at: Int64,
    revision_starts: Int64,
    revision_known: Int64,
    value_starts: Int64,
) -> int:
    """The most values, each as often as a play brings it, that come in during one run."""
    most, held = 0, 0
    for i in range(len(at)):
        if opens[i]:
            held = 0
        for m in range(bounds[i], bounds[i + 1]):
            if moves[m] >= 0:
                begin, end = _values_of(revision_starts, revision_known, value_starts, titles[m], at[i])
                held += end - begin
        most = max(most, held)
    return most


@compiled
def _over(sums: Float64, values: Int32, begin: int, end: int, greatest: bool) -> float:
    """The mean, or the maximum, of the sums of some values; NaN of none."""
    if begin == end:
        return np.nan
    total: float = 0.0
    most: float = sums[values[begin]]
    for v in range(begin, end):
        total += sums[values[v]]
        most = max(most, sums[values[v]])
    return most if greatest else total / (end - begin)


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
