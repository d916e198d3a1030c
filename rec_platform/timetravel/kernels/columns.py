"""Columns of a frame's items: taken from it, and filled."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import Float32, Float64, Int32, Int64, compiled


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
def spread(values: Float32, rows: Int64, offsets: Int64, out: Float32) -> None:
    """Write each run's one value to all of its rows."""
    for i in range(len(rows)):
        value, run = values[i], out[rows[i] : rows[i] + offsets[i + 1] - offsets[i]]
        for j in range(len(run)):
            run[j] = value


@compiled
def distinct_titles(
    order: Int64, group: Int64, n_groups: int, rows: Int64, offsets: Int64, title: Int32, n_titles: int
) -> tuple[Int64, Int64, Int32]:
    """The distinct titles of each group of runs; runs are those of `gathered`, `order` has them group by group.

    Args:
        group: of each run.
        title: the code of each item; those without a code (-1) are one title.

    Returns:
        bounds (groups + 1): the titles of group g are bounds[g]:bounds[g + 1] of all; for each a row where it stands; and
        for each item which of them it is.
    """
    bounds, found, which = np.zeros(n_groups + 1, np.int64), np.empty(len(title), np.int64), np.empty_like(title)
    newest = np.zeros(
        n_titles + 1, dtype=np.int32
    )  # a title's count when it was last found; above `begin`: in this group
    made, begin, mine = 0, 0, 0
    for i in order:
        if group[i] != mine:
            mine, begin = group[i], made
        row = rows[i] - offsets[i]
        for j in range(offsets[i], offsets[i + 1]):
            if newest[title[j]] <= begin:
                found[made] = row + j
                made += 1
                newest[title[j]] = made
            which[j] = newest[title[j]] - 1
        bounds[mine + 1] = made
    return bounds, found[:made].copy(), which


@compiled
def looked_up(values: Float32, which: Int32, rows: Int64, offsets: Int64, out: Float32) -> None:
    """Write values[which] of each item to its row; the reverse of `gathered`."""
    for i in range(len(rows)):
        mine = which[offsets[i] : offsets[i + 1]]
        run = out[rows[i] : rows[i] + len(mine)]
        for j in range(len(mine)):
            run[j] = values[mine[j]]
