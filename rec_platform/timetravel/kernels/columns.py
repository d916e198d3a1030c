"""Columns of a frame's items: taken from it, and filled."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import Float32, Float64, Int64, compiled


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
