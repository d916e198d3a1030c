"""Totals of rows of amounts in every value of every slice: the sum, the sum in each replicate, that of each group of profiles.

Amounts are whole numbers in fixed point. They are multiplied with the counts of the replicates in float64, where every
partial sum is a whole number below 2^53 and so exact in any order; where that cannot be sure they are split
(`sums.product`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from rec_platform.evaluation import kernels, significance
from rec_platform.evaluation.bootstrap import poisson_weights
from rec_platform.evaluation.sums import LIMIT, added, added_exactly, product, width
from rec_platform.evaluation.tallies import distinct
from rec_platform.evaluation.ties import Floats, Ints

#: Fewer rows than this in a matrix product waste it.
ROWS_PER_PRODUCT: Final = 32
#: Rows multiplied at a time: their counts, 8 bytes each, stay in the cache.
ROWS: Final = 2**11
#: Products that wait to be added to the slices they are in.
RUNS: Final = 32


@dataclass(frozen=True)
class Slice:
    """A slice of some rows: the position of each one's value in `labels`; what it adds up are the columns begin:end."""

    name: str
    codes: Ints
    labels: list[str]
    begin: int = 0
    end: int = 0

    def of(self, rows: Ints) -> Slice:
        """Of some of the rows, in that order."""
        return replace(self, codes=self.codes[rows])

    def reading(self, begin: int, end: int) -> Slice:
        """Adding up these columns."""
        return replace(self, begin=begin, end=end)


def coded(slices: Mapping[str, pa.Array]) -> list[Slice]:
    """Slices of rows from a text per row."""
    encoded = {name: column.dictionary_encode() for name, column in slices.items()}
    return [
        Slice(name, one.indices.to_numpy().astype(np.int64), one.dictionary.to_pylist())
        for name, one in encoded.items()
    ]


@dataclass(frozen=True)
class Drawn:
    """Of some rows: how often each counts in each replicate (uint8, (n, R)), and the group of its profile."""

    counts: npt.NDArray[np.uint8]
    group: Ints

    def of(self, rows: Ints) -> Drawn:
        return Drawn(self.counts[rows], self.group[rows])


def drawn_by(profile: Ints, replicates: int, seed: int) -> Drawn:
    """Of rows with these profiles; without replicates everything is one group."""
    if not replicates:
        return Drawn(np.zeros((len(profile), 0), dtype=np.uint8), np.zeros(len(profile), dtype=np.int64))
    return Drawn(poisson_weights(profile, replicates, seed), significance.group_of(profile))


def totals(slices: Sequence[Slice], amounts: Ints | Floats, largest: float, rows: int, drawn: Drawn) -> list[Ints]:
    """What each slice's values add up to: int64 (labels, width(R), columns) per slice.

    Args:
        slices: of the rows of amounts.
        amounts: whole numbers, (n, columns).
        largest, rows: a bound of one |amount| of `rows` rows, of which each of these may hold many.
    """
    replicates = drawn.counts.shape[1]
    safe, groups = largest * rows < LIMIT, significance.GROUPS if replicates else 1
    grouped = _grouped(slices, amounts, drawn.group, groups, safe=safe)
    sums = [one.sum(axis=1) if safe else reduce(added, np.moveaxis(one, 1, 0)) for one in grouped]
    if not replicates:
        return [one[:, None] for one in sums]
    parts = zip(sums, replicate(slices, amounts, largest, drawn.counts), grouped, strict=True)
    found = [np.concatenate([one[:, None], drawn_sums.swapaxes(1, 2), by], axis=1) for one, drawn_sums, by in parts]
    assert not found or found[0].shape[1] == width(replicates)
    return found


def _grouped(slices: Sequence[Slice], amounts: Ints | Floats, group: Ints, groups: int, *, safe: bool) -> list[Ints]:
    """The totals in each group of profiles of each slice's values: int64 (labels, groups, columns) per slice."""
    codes = [one.codes * groups + group for one in slices]
    shapes = [(len(one.labels), groups, one.end - one.begin) for one in slices]
    if not safe:
        whole = amounts.astype(np.int64)
        return [
            added_exactly(whole[:, one.begin : one.end], code, math.prod(shape[:2])).reshape(shape)
            for one, code, shape in zip(slices, codes, shapes, strict=True)
        ]
    base = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    begin, end = np.array([(one.begin, one.end) for one in slices], dtype=np.int64).reshape(-1, 2).T.copy()
    out = np.zeros(base[-1], dtype=np.int64)
    kernels.add_slices(out, base[:-1], begin, end, np.column_stack(codes), amounts)
    return [part.reshape(shape) for part, shape in zip(np.split(out, base[1:-1]), shapes, strict=True)]


def replicate(
    slices: Sequence[Slice], amounts: Ints | Floats, largest: float, counts: npt.NDArray[np.uint8]
) -> list[Ints]:
    """The totals in each replicate of each slice's values: int64 (labels, columns, R) per slice.

    Rows that agree in the slices are multiplied once; their product is added to each value they are in. Products this
    small lose by threads (measured: decision 0041).
    """
    exact = largest * float(kernels.most_drawn(counts)) < 2.0**53
    kind: type[np.generic] = np.float64 if exact else np.int64
    found = {id(one): np.zeros((len(one.labels), one.end - one.begin, counts.shape[1]), kind) for one in slices}
    with _libraries().limit(limits=1, user_api="blas"):
        for some in _together(slices):
            order, ends = _runs(joint(some, len(amounts)))
            for few in (ends[first : first + RUNS + 1] for first in range(0, len(ends) - 1, RUNS)):
                begin, end = min(one.begin for one in some), max(one.end for one in some)
                made = _products(order, few, amounts[:, begin:end], counts, exact=exact)
                for same in _alike(some):
                    inside = made[:, same[0].begin - begin : same[0].end - begin]
                    _spread([found[id(one)] for one in same], [one.codes[order[few[:-1]]] for one in same], inside)
    return [found[id(one)].astype(np.int64) for one in slices]


@cache
def _libraries() -> Any:
    """What computes in threads of its own, looked for once: that takes as long as the products of a small partition."""
    return ThreadpoolController()


def _together(slices: Sequence[Slice]) -> list[list[Slice]]:
    """The slices in one list where rows fall into few joint values, else each on its own (those of one value in one)."""
    n = len(slices[0].codes)
    if (int(joint(slices, n).max(initial=-1)) + 1) * ROWS_PER_PRODUCT <= n:
        return [list(slices)]
    plain, told = ([one for one in slices if (len(one.labels) > 1) is more] for more in (False, True))
    return [part for part in (plain, *([one] for one in told)) if part]


def _runs(codes: Ints) -> tuple[Ints, Ints]:
    """Rows in order of their code, and where runs of one code begin, and end: at most ROWS long."""
    order = np.arange(len(codes)) if np.all(codes[:-1] <= codes[1:]) else np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(codes[order]) != 0)[: len(codes)])
    ends = np.append(starts[1:], len(codes))[: len(starts)]
    pieces = [np.arange(first, last, ROWS) for first, last in zip(starts.tolist(), ends.tolist(), strict=True)]
    return order, np.append(np.concatenate([starts[:0], *pieces]), len(codes))


def _products(
    order: Ints, ends: Ints, amounts: npt.NDArray[Any], counts: npt.NDArray[np.uint8], *, exact: bool
) -> npt.NDArray[Any]:
    """amounts.T @ counts of each run of rows: (runs, columns, R); in float64 where that is exact."""
    made = np.empty((len(ends) - 1, amounts.shape[1], counts.shape[1]), dtype=np.float64 if exact else np.int64)
    for run, (first, last) in enumerate(pairwise(ends.tolist())):
        rows = order[first:last]
        mine = slice(first, last) if rows[0] == first and rows[-1] == last - 1 and len(rows) == last - first else rows
        given, times = amounts[mine], counts[mine].astype(np.float64)
        if exact:
            np.matmul(given.astype(np.float64, copy=False).T, times, out=made[run])
        else:
            made[run] = product(times, given.astype(np.int64)).T
    return made


def _alike(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Those that add up the same columns, together."""
    found: dict[tuple[int, int], list[Slice]] = {}
    for one in slices:
        found.setdefault((one.begin, one.end), []).append(one)
    return list(found.values())


def _spread(sums: Sequence[npt.NDArray[Any]], codes: Sequence[Ints], made: npt.NDArray[Any]) -> None:
    """Add each run's product to its value of every slice: in float64 as one product with zeros and ones."""
    if made.dtype == np.int64:
        for total, code in zip(sums, codes, strict=True):
            for place, one in zip(code.tolist(), made, strict=True):
                total[place] = added(total[place], one)
        return
    inside = np.concatenate([np.arange(len(total))[:, None] == code for total, code in zip(sums, codes, strict=True)])
    more = inside.astype(np.float64) @ made.reshape(len(made), -1)
    ends = np.cumsum([len(total) for total in sums])[:-1]
    for total, part in zip(sums, np.split(more, ends), strict=True):
        total += part.reshape(total.shape)


def joint(slices: Sequence[Slice], n: int) -> Ints:
    """A code of each row's values in all slices, from 0 on without a gap: n values."""
    codes = np.zeros(n, dtype=np.int64)
    for one in slices:
        if len(one.labels) > 1:
            codes = distinct(codes * len(one.labels) + one.codes)[1]
    return codes


def first_of_each(codes: Ints) -> Ints:
    """The first row of each of the codes 0, 1, ..."""
    if not codes.any():
        return np.zeros(min(len(codes), 1), dtype=np.int64)
    first = np.empty(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first
