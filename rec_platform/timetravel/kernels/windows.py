"""Moves of windows over histories, and what is counted over them."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import (
    FOREVER,
    NONE,
    Bools,
    Float64,
    Int32,
    Int64,
    Integers,
    compiled,
)
from rec_platform.timetravel.kernels.search import lower_bound, row_of, sign_of


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
def signs_of(moves: Int32) -> Int64:
    """The sign of each move."""
    out = np.empty(len(moves), dtype=np.int64)
    for m in range(len(moves)):
        out[m] = sign_of(moves[m])
    return out


@compiled
def signed(values: Integers, moves: Int32) -> Int64:
    """What each move adds to a sum of the plays' values."""
    out = np.empty(len(moves), dtype=np.int64)
    for m in range(len(moves)):
        out[m] = np.int64(values[row_of(moves[m])]) * sign_of(moves[m])
    return out


@compiled
def moved_keys(keys: Int32, moves: Int32) -> Int32:
    """The key of each play that moves."""
    out = np.empty(len(moves), dtype=np.int32)
    for m in range(len(moves)):
        out[m] = keys[row_of(moves[m])]
    return out


@compiled
def window_moves(
    starts: Int64,
    played: Int64,
    known: Int64,
    profile: Int32,
    at: Int64,
    opens: Bools,
    window: int,
) -> tuple[Int64, Int32]:
    """The plays that come into and go out of [at - window, at), by both clocks, from each context to the next.

    Contexts stand in runs of one profile in order of time; `opens` is true where a run begins, with an empty window.
    Plays are walked once as they were played. Those not known yet wait in a heap and come in when they are, if the
    window still holds them then (*Ana's evening* waits two days).

    Returns:
        bounds (n + 1): the moves before context i are bounds[i]:bounds[i + 1] of all; the moves: the row of a play that
        comes in, ~row of one that goes out (`row_of`, `sign_of`).
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
    moves = np.empty(room, dtype=np.int32)
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
                moves[made] = ~go
                made += 1
            go += 1
        while waiting > 0 and known[heap[0]] < now:
            row = heap[0]
            _pop(heap, waiting, known)
            waiting -= 1
            if played[row] >= since:
                moves[made] = row
                made += 1
        while come < hi and played[come] < now:
            if played[come] < since:
                go = come + 1
            elif known[come] < now:
                moves[made] = come
                made += 1
            else:
                _push(heap, waiting, known, come)
                waiting += 1
            come += 1
        before = now
        bounds[i + 1] = made
    return bounds, moves[:made]


@compiled
def first_moves(bounds: Int64, opens: Bools, keys: Int64, moves: Int32, counts: Int64) -> Int64:
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
            had, sign = counts[keys[m]], sign_of(moves[m])
            counts[keys[m]] = had + sign
            if had == (0 if sign > 0 else 1):
                out[m] = sign
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
def moved_lasts(bounds: Int64, opens: Bools, moves: Int32, played: Int64) -> Int64:
    """The last play of each context's window; `NONE` if none. It is the last that ever came in, since it goes out last."""
    out = np.full(len(opens), NONE, dtype=np.int64)
    held, last = np.int64(0), np.int32(-1)
    for i in range(len(opens)):
        if opens[i]:
            held, last = np.int64(0), np.int32(-1)
        for m in range(bounds[i], bounds[i + 1]):
            held += sign_of(moves[m])
            last = max(last, moves[m])
        if held > 0:
            out[i] = played[last]
    return out


@compiled
def moved_lookups(
    bounds: Int64, opens: Bools, keys: Int32, amounts: Int64, offsets: Int64, wanted: Int32, sums: Int64
) -> Float64:
    """Per wanted key of each context, the sum over the plays with that key in its window; 0 for keys below 0.

    Keys are titles (wanted: those of the items) or local hours or weekdays (wanted: the context's own). `sums` is all
    zeros, one per key, and is left so.
    """
    out = np.empty(len(wanted), dtype=np.float64)
    begin = 0
    for i in range(len(opens)):
        if opens[i]:
            for m in range(begin, bounds[i]):
                sums[keys[m]] = 0
            begin = bounds[i]
        for m in range(bounds[i], bounds[i + 1]):
            sums[keys[m]] += amounts[m]
        for j in range(offsets[i], offsets[i + 1]):
            out[j] = sums[wanted[j]] if wanted[j] >= 0 else 0
    for m in range(begin, len(keys)):
        sums[keys[m]] = 0
    return out


@compiled
def moved_title_ends(
    bounds: Int64,
    opens: Bools,
    moves: Int32,
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
                held[title[row_of(moves[m])]] = 0
            begin = bounds[i]
        for m in range(bounds[i], bounds[i + 1]):
            row = row_of(moves[m])
            t = title[row]
            held[t] += sign_of(moves[m])
            if moves[m] >= 0:
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
    for m in range(begin, len(moves)):
        held[title[row_of(moves[m])]] = 0
    return out
