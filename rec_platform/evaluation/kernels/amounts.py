"""Amounts added to rows and slices, contexts counted."""

from __future__ import annotations

import numpy as np

from rec_platform.evaluation.kernels.types import Index, Numbers
from rec_platform.timetravel.kernels import Bools, Int64, compiled


@compiled
def count(out: Int64, code: Int64, member: Bools, unreachable: Int64) -> None:
    """Add each context to out[code]: per population 1 to its contexts or to those left out, and its unreachable positives."""
    for i in range(Index(len(code))):
        to = Index(code[i])
        for population in range(Index(member.shape[1])):
            inside = np.int64(member[i, population])
            out[to, population, 0] += inside
            out[to, population, 1] += 1 - inside
            out[to, population, 2] += unreachable[i]


@compiled
def weighed(member: Bools, weight: Int64) -> Int64:
    """What each context weighs in each population: (n, populations)."""
    out = np.empty(member.shape, dtype=np.int64)
    for i in range(Index(len(member))):
        for population in range(Index(member.shape[1])):
            out[i, population] = weight[i] if member[i, population] else 0
    return out


@compiled
def add_rows(out: Numbers, row: Int64, column: int, given: Int64, begin: int, end: int) -> None:
    """Add columns begin:end of each row of `given` to a row of `out`, from `column` on."""
    for i in range(Index(len(row))):
        to = Index(row[i])
        for one in range(Index(end - begin)):
            out[to, Index(column) + one] += given[i, Index(begin) + one]


@compiled
def add_slices(out: Int64, base: Int64, begin: Int64, end: Int64, codes: Int64, given: Numbers) -> None:
    """Add each row of `given` to one row of every slice's table, in one pass.

    Args:
        out: int64: the tables of all slices, flat, one after the other; slice s starts at base[s].
        begin, end: the columns of `given` that slice s adds up.
        codes: (n, slices): the row of the slice's table.
        given: whole numbers, as int64 or float64.
    """
    for i in range(len(given)):
        for one in range(len(base)):
            columns = end[one] - begin[one]
            start = base[one] + codes[i, one] * columns
            target, source = out[start : start + columns], given[i, begin[one] : end[one]]
            for column in range(columns):
                target[column] += np.int64(source[column])
