"""Mergeable sums in fixed point: what is stored so that days add up to months and countries to the whole, exactly.

A number `w x m` is kept as the integer nearest to it in units of 2^-30. Integers add up to the same whatever the order,
the threads and the partitions, so merged parts equal the whole to the last bit. Bounds: the sum of |w x m| over a row may
reach 2^32 (four thousand million contexts of weight 1); past it is an error, never a wrap. The rounding of one context
moves its value by less than 5e-10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import ConfigError, NumericError
from rec_platform.evaluation.protocol import Evidence, Protocol, check_same, of_text, to_text
from rec_platform.evaluation.significance import GROUPS
from rec_platform.evaluation.tallies import ONE, Tally, merged
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.tables import METRIC_SUMS

#: Sums must stay below, so that adding two of them cannot wrap.
LIMIT: Final = 2**62
#: A factor is split at this bit, so that both halves multiply exactly in float64.
SPLIT: Final = 26
#: Rows multiplied at a time.
ROWS: Final = 2**16

WEIGHT: Final = "weight"
MEAN: Final = "mean"
TALLY: Final = "tally"


class Key(NamedTuple):
    """What a row of sums is about.

    Rows of kind `weight` are the denominators of a model on a population: no metric. They are kept per model, because a
    model may be absent on some days of a month, and its mean is over the contexts it scored.
    """

    protocol: str
    estimand: str
    model: str
    metric: str
    k: int
    slice: str
    slice_value: str
    kind: str
    population: str

    @property
    def denominator(self) -> Key:
        return Key(self[0], self[1], self[2], "", 0, self[5], self[6], WEIGHT, self[8])


#: What a key has in common with its denominator's.
_shared = itemgetter(0, 1, 2, 5, 6, 8)


@dataclass(frozen=True)
class MetricSums:
    """Sums of some contexts, for every model, metric, cut-off and slice.

    Attributes:
        seed: of the replicates; sums of different seeds do not merge.
        replicates: R.
        keys: one per row, ascending.
        counts: int64 of shape (rows, 3): n, n_excluded, n_unreachable.
        totals: int64 of shape (rows, width(R)) in units of 2^-30: the sum, then the sum in each replicate, then that of
            each hash group of profiles (`significance`); without replicates the sum alone.
        tallies: amounts by cell, for the keys of kind `tally`.
    """

    seed: int
    replicates: int
    keys: tuple[Key, ...]
    counts: Ints
    totals: Ints
    tallies: Mapping[Key, Tally] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    evidence: Evidence = field(default_factory=Evidence)

    @cached_property
    def row(self) -> Mapping[Key, int]:
        """The row of each key."""
        return {key: row for row, key in enumerate(self.keys)}

    @cached_property
    def denominators(self) -> Ints:
        """The row of each row's denominator: int64, a value per row."""
        rows = {_shared(key): row for row, key in enumerate(self.keys) if key.kind == WEIGHT}
        return np.array([rows[_shared(key)] for key in self.keys], dtype=np.int64)

    @property
    def replicated(self) -> Ints:
        """int64 of shape (rows, R)."""
        return self.totals[:, 1 : 1 + self.replicates]

    @property
    def by_group(self) -> Ints:
        """int64 of shape (rows, GROUPS), or (rows, 0) without replicates."""
        return self.totals[:, 1 + self.replicates :]


def width(replicates: int) -> int:
    """Numbers kept per row."""
    return 1 + replicates + (GROUPS if replicates else 0)


def nothing(seed: int, replicates: int) -> MetricSums:
    """The sums of no context."""
    return MetricSums(seed, replicates, (), np.zeros((0, 3), np.int64), np.zeros((0, width(replicates)), np.int64))


def fixed(values: Floats) -> Ints:
    """Numbers in units of 2^-30, as int64; `NumericError` where one is not below 2^29 (or is no number)."""
    if not np.all(np.abs(values) < 2.0**29):
        raise NumericError(
            "weight x metric is not a number below 2^29", place="metric sums",
            repair="Look for a tiny inclusion probability, or a metric that returns NaN or infinity in its population.",
        )  # fmt: skip
    return np.rint(values * ONE).astype(np.int64)


def product(counts: Floats, amounts: Ints) -> Ints:
    """counts.T @ amounts, exactly: (n, R) counts up to 8 and (n, C) fixed-point amounts give int64 (R, C)."""
    total = np.zeros((counts.shape[1], amounts.shape[1]), dtype=np.int64)
    for first in range(0, len(amounts), ROWS):
        rows = slice(first, first + ROWS)
        total = added(total, _exact(counts[rows], amounts[rows]))
    return total


def _exact(counts: Floats, amounts: Ints) -> Ints:
    """The matrix product in float64, where every partial sum is an integer below 2^53, so exact in any order.

    Amounts small enough for that are multiplied as they are. Others (below 2^59) are split in parts below 2^34, which with
    at most 2^16 rows and counts up to 8 stay below 2^53.
    """
    if float(np.abs(amounts).max(initial=0)) * float(counts.sum(axis=0).max(initial=0)) < 2.0**53:
        return (counts.T @ amounts.astype(np.float64)).astype(np.int64)
    high, low = amounts >> SPLIT, amounts & (2**SPLIT - 1)
    upper, lower = counts.T @ high.astype(np.float64), counts.T @ low.astype(np.float64)
    _bounded(upper, LIMIT >> (SPLIT + 1))
    return np.asarray((upper.astype(np.int64) << SPLIT) + lower.astype(np.int64))


def added_exactly(amounts: Ints, code: Ints, n: int) -> Ints:
    """The rows of amounts added up by code, `NumericError` before a sum could wrap: int64 (n, C)."""
    return product((code[:, None] == np.arange(n)).astype(np.float64), amounts)


def added(left: Ints, right: Ints) -> Ints:
    """left + right, `NumericError` before it could ever wrap."""
    total = np.asarray(left + right)
    _bounded(total, LIMIT)
    return total


def _bounded(values: Floats | Ints, limit: int) -> None:
    if values.size and np.abs(values).max() >= limit:
        raise NumericError(
            "a sum passes 2^32 in weight x metric", place="metric sums",
            repair="Merge fewer partitions at a time, or weigh by shares instead of counts.",
        )  # fmt: skip


def merge(*sums: MetricSums) -> MetricSums:
    """The sums of all parts together: what one evaluation of all their contexts would have given, to the last bit.

    Raises `ConfigError` if protocols, seeds or replicates differ, or the estimand is `profile` (a mean over profiles does
    not follow from the means of parts that share profiles).
    """
    parts = [part for part in sums if part.keys or part.tallies] or list(sums[:1])
    if len(parts) == 1:
        return parts[0]
    _mergeable(parts)
    keys = tuple(sorted(set().union(*(part.keys for part in parts))))
    row = {key: number for number, key in enumerate(keys)}
    counts = np.zeros((len(keys), 3), dtype=np.int64)
    totals = np.zeros((len(keys), width(parts[0].replicates)), dtype=np.int64)
    for part in parts:
        rows = np.fromiter((row[key] for key in part.keys), np.int64, len(part.keys))
        counts[rows] += part.counts
        totals[rows] = added(totals[rows], part.totals)
    counted = sorted(set().union(*(part.tallies for part in parts)))
    tallies = {key: merged([part.tallies[key] for part in parts if key in part.tallies]) for key in counted}
    evidence = sum((part.evidence for part in parts[1:]), parts[0].evidence)
    return MetricSums(parts[0].seed, parts[0].replicates, keys, counts, totals, tallies, parts[0].protocol, evidence)


def _mergeable(parts: Sequence[MetricSums]) -> None:
    for part in parts[1:]:
        check_same(parts[0].protocol, part.protocol, place="merge")
    if len({(part.seed, part.replicates) for part in parts}) > 1:
        raise ConfigError(
            "sums of different bootstrap seeds or replicates", place="merge",
            repair="Compute the metrics of all partitions under one configuration (`run --force`).",
        )  # fmt: skip
    if any(key.estimand == "profile" for part in parts for key in part.keys[:1]):
        raise ConfigError(
            "means over profiles do not merge", place="merge",
            repair="Give all frames to one `evaluate(..., estimand='profile')`.",
        )  # fmt: skip


def to_table(sums: MetricSums) -> pa.Table:
    """The sums as rows of the METRIC_SUMS table, in its order."""
    mixed = [*sums.keys, *sums.tallies]
    order = sorted(range(len(mixed)), key=mixed.__getitem__)  # the table's order is that of the fields of a key
    keys = [mixed[row] for row in order]
    tallied = np.array([row >= len(sums.keys) for row in order], dtype=bool)
    counted = [sums.tallies[key] for key in keys if key.kind == TALLY]
    numbers = np.zeros((len(keys), 4), dtype=np.int64)
    numbers[~tallied] = np.column_stack([sums.counts, sums.totals[:, 0]])
    numbers[tallied, 3] = [one.size for one in counted]
    columns = {
        **{name: [key[place] for key in keys] for place, name in enumerate(Key._fields)},
        "rules": pa.repeat(to_text(sums.protocol, sums.evidence, sums.seed), len(keys)),
        "seed": np.full(len(keys), sums.seed),
        **dict(zip((c.N, c.N_EXCLUDED, c.N_UNREACHABLE, "total"), numbers.T, strict=True)),
        "replicates": _lists(~tallied, list(sums.replicated)),
        "by_group": _lists(~tallied, list(sums.by_group)),
        "cells": _lists(tallied, [one.ids for one in counted]),
        "weights": _lists(tallied, [one.weights for one in counted]),
        "groups": _lists(tallied, [one.groups for one in counted]),
    }
    return pa.Table.from_arrays(
        [pa.array(columns[one.name], one.type) for one in METRIC_SUMS.schema], schema=METRIC_SUMS.schema
    )


def _lists(there: Bools, parts: Sequence[Ints]) -> pa.Array:
    """A list per row: the next part where there is one, else none."""
    sizes = np.zeros(len(there) + 1, dtype=np.int32)
    sizes[1:][there] = [len(part) for part in parts]
    values = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return pa.ListArray.from_arrays(np.cumsum(sizes, dtype=np.int32), pa.array(values))


def of_table(table: pa.Table) -> MetricSums:
    """The sums that rows of the METRIC_SUMS table hold; the inverse of `to_table`. One partition at a time.

    Raises `ConfigError` for rows that do not say by which rules they were judged: older code wrote them.
    """
    if not table.num_rows:
        return nothing(0, 0)
    if table.column("rules").null_count:
        raise ConfigError(
            "stored sums were written by older code, which did not keep the rules of a judgement", place="metric_sums",
            repair="Run `rec-platform run --from A --to B` for these days: it makes their metrics again.",
        )  # fmt: skip
    table = table.combine_chunks()
    keys = [Key._make(values) for values in zip(*(_values(table.column(name)) for name in Key._fields), strict=True)]
    number = {name: table.column(name).to_numpy() for name in (c.N, c.N_EXCLUDED, c.N_UNREACHABLE, "total", "seed")}
    lists = {
        name: _parts(table.column(name).chunk(0)) for name in ("replicates", "by_group", "cells", "weights", "groups")
    }
    order = sorted((row for row, key in enumerate(keys) if key.kind != TALLY), key=keys.__getitem__)
    counts = np.column_stack([number[name][order] for name in (c.N, c.N_EXCLUDED, c.N_UNREACHABLE)])
    drawn = max((len(lists["replicates"][row]) for row in order), default=0)
    totals = np.zeros((len(order), width(drawn)), dtype=np.int64)
    totals[:, 0] = number["total"][order]
    for place, row in enumerate(order):
        totals[place, 1 : 1 + drawn] = lists["replicates"][row]
        totals[place, 1 + drawn :] = lists["by_group"][row]
    tallies = {
        key: Tally(lists["cells"][row], lists["groups"][row], lists["weights"][row], int(number["total"][row]))
        for row, key in enumerate(keys)
        if key.kind == TALLY
    }
    rows = tuple(keys[row] for row in order)
    protocol, evidence = of_text(table.column("rules")[0].as_py())
    return MetricSums(int(number["seed"][0]), drawn, rows, counts, totals, tallies, protocol, evidence)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values as Python's, each distinct one made once."""
    encoded = column.chunk(0).dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    return [distinct[code] for code in encoded.indices.to_pylist()]


def _parts(lists: pa.ListArray) -> list[Ints]:
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy()
    return [values[first:last] for first, last in pairwise(offsets.tolist())]
