"""Columns of a frame's items: taken from it, and filled."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from rec_platform.timetravel.kernels.compiling import Bools, Float32, Float64, Int32, Int64, compiled
from rec_platform.timetravel.kernels.lanes import ask, ask_to_write

Whole = TypeVar("Whole", Int32, Int64)

#: Numbers of 4 bytes in a cache line, and how many contexts ahead `look_up` has lines fetched (12 is no better than 4).
_LINE: Final = 16
_AHEAD: Final = 4
#: The least number that is rounded to an infinity of float32: half a unit in the last place above its greatest number.
_INFINITE: Final = 2.0**128 - 2.0**103


@compiled
def gathered(values: Whole, rows: Int64, offsets: Int64) -> Whole:
    """The values of some runs: run i begins at rows[i] and goes to offsets[i]:offsets[i + 1] of what is returned."""
    out = np.empty(offsets[-1], dtype=values.dtype)
    for i in range(len(rows)):
        run = out[offsets[i] : offsets[i + 1]]
        given = values[rows[i] : rows[i] + len(run)]
        for j in range(len(run)):
            run[j] = given[j]
    return out


@compiled
def contexts(
    members: Int64, profile: Int32, place: Int32, at: Int64, offsets: Int64
) -> tuple[Int32, Int32, Int64, Int64, Int64]:
    """What some contexts have: profile, place, instant, their items' first row, and the offsets of their items put together.

    In one walk, since members in no order wait for memory, and for five columns no longer than for one.
    """
    n = len(members)
    profiles, places = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    instants, begins, inner = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        one = np.uint64(members[i])
        profiles[i], places[i], instants[i], begins[i] = profile[one], place[one], at[one], offsets[one]
        inner[i + 1] = inner[i] + offsets[one + np.uint64(1)] - offsets[one]
    return profiles, places, instants, begins, inner


@compiled
def keep(values: Float32, members: Int64, kept: Float32) -> None:
    """Write values (features, contexts) to the rows of kept (contexts, features) that are the members'."""
    for i in range(len(members)):
        row = kept[np.uint64(members[i])]
        for k in range(len(values)):
            row[k] = values[k, i]


@compiled
def scatter(values: Float64, rows: Int64, offsets: Int64, out: Float32) -> None:
    """Write runs of values, narrowed, to where they belong: the reverse of `gathered`."""
    for i in range(len(rows)):
        given = values[offsets[i] : offsets[i + 1]]
        run = out[rows[i] : rows[i] + len(given)]
        for j in range(len(given)):
            run[j] = np.float32(given[j])


@compiled
def infinite(values: Float64) -> bool:
    """Whether any value is an infinity once it is a float32."""
    found = False
    for i in range(len(values)):
        found |= abs(values[i]) >= _INFINITE
    return found


@compiled
def spread(values: Float32, begins: Int64, ends: Int64, columns: Int64, out: Float32) -> None:
    """Write the values (contexts, features) to all of each context's items: out[columns[k], begins[i]:ends[i]]."""
    for k in range(len(columns)):
        column = out[columns[k]]
        for i in range(len(begins)):
            value, run = values[i, k], column[begins[i] : ends[i]]
            for j in range(len(run)):
                run[j] = value


@compiled
def mark(asked: Bools, group: Int64, begins: Int64, ends: Int64, title: Int32) -> None:
    """Set asked[group of the context, title + 1] for the items of some contexts; those unknown (-1) come first."""
    for i in range(len(begins)):
        mine = asked[group[i]]
        for j in range(begins[i], ends[i]):
            mine[np.uint64(title[j] + 1)] = True  # unsigned: numba looks at the sign of others, each time


@compiled
def marked(asked: Bools) -> tuple[Int64, Int32]:
    """What `mark` set: of group g the titles at bounds[g]:bounds[g + 1] of those returned, ascending."""
    bounds = np.zeros(len(asked) + 1, dtype=np.int64)
    titles = np.empty(np.count_nonzero(asked), dtype=np.int32)
    made = 0
    for group in range(len(asked)):
        mine = asked[group]
        for place in range(len(mine)):
            if mine[place]:
                titles[made] = place - 1
                made += 1
        bounds[group + 1] = made
    return bounds, titles


@compiled
def enter(values: Float64, bounds: Int64, titles: Int32, table: Float32) -> None:
    """Write the values of each group's titles, narrowed, to table[group, title + 1]; see `marked`."""
    for group in range(len(table)):
        mine = table[group]
        for j in range(bounds[group], bounds[group + 1]):
            mine[titles[j] + 1] = np.float32(values[j])


@compiled
def look_up(
    table: Float32, group: Int64, begins: Int64, ends: Int64, title: Int32, columns: Int64, out: Float32
) -> None:
    """out[columns[k], item] = table[k, group of the context, title of the item + 1]; those unknown (-1) come first.

    Contexts of one stretch lie apart in the frame, where no processor foresees the next: it is told.
    """
    for k in range(len(columns)):
        column = out[columns[k]]
        for i in range(len(begins)):
            if i + _AHEAD < len(begins):
                for j in range(begins[i + _AHEAD], ends[i + _AHEAD], _LINE):
                    ask(title, np.uint64(j))
                    ask_to_write(column, np.uint64(j))
            mine, titles = table[k, group[i]], title[begins[i] : ends[i]]
            run = column[begins[i] : ends[i]]
            for j in range(len(titles)):
                run[j] = mine[np.uint64(titles[j] + 1)]
