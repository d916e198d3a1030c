"""From sums to numbers: values with percentile intervals."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.evaluation.accumulators import Accumulator, with_errors
from rec_platform.evaluation.exposure import catalogued
from rec_platform.evaluation.protocol import to_text
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import SAMPLED
from rec_platform.evaluation.significance import paired_t
from rec_platform.evaluation.sums import MEAN, Key, MetricSums
from rec_platform.evaluation.tallies import ONE
from rec_platform.evaluation.ties import Floats, Ints
from rec_platform.tables import METRICS

#: Both intervals and differences speak at 95 %.
TAILS: Final = (0.025, 0.975)
#: Standard normal quantiles of .975 and .8: a difference of their sum times its standard error is found 4 times in 5.
Z: Final = 1.959964
POWER: Final = 1.959964 + 0.841621
#: The smallest n that gets a verdict, unless told otherwise.
MIN_CONTEXTS: Final = 30

#: `metrics` without what is the same in every row.
_NUMBERS: Final = pa.schema([one for one in METRICS.schema if one.name != "rules"])


def ratios(sums: MetricSums, rows: Ints) -> tuple[Floats, Floats]:
    """Value of each row, and in each replicate: float64 (rows,), (rows, R). NaN where nothing was weighed."""
    below = sums.denominators[rows]
    over, under = (sums.totals[some, : 1 + sums.replicates].astype(np.float64) for some in (rows, below))
    means = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return means[:, 0], means[:, 1:]


def percentiles(replicates: Floats, n: Ints, min_contexts: int) -> tuple[Floats, Floats, Floats]:
    """Low, high and standard error per row; NaN where there is no verdict.

    No verdict: fewer than `min_contexts` contexts, no replicates, or a replicate that holds none of the contexts (few
    profiles).
    """
    low, high, error = (np.full(len(n), np.nan) for _ in range(3))
    sure = (n >= min_contexts) & np.isfinite(replicates).all(axis=1) & (replicates.shape[1] > 1)
    if sure.any():
        low[sure], high[sure] = np.quantile(replicates[sure], TAILS, axis=1)
        error[sure] = replicates[sure].std(axis=1, ddof=1)
    return low, high, error


def _error_of_groups(sums: MetricSums, rows: Ints) -> Floats:
    """Standard error of each row from its groups of profiles; NaN where fewer than two hold anything."""
    if not sums.by_group.shape[1] or not len(rows):
        return np.full(len(rows), np.nan)
    return paired_t(sums.by_group[rows] / ONE, sums.by_group[sums.denominators[rows]] / ONE)[0]


def metric_rows(
    sums: MetricSums, *, min_contexts: int = MIN_CONTEXTS, accumulators: tuple[Accumulator, ...] = ACCUMULATORS
) -> pa.Table:
    """The METRICS table of these sums: value, 95 % interval, n; a NaN interval is "no verdict".

    `detectable` is the smallest difference between two independent numbers like this one that a test at 5 % would find
    with 80 % power: 2.80 x sqrt(2) x standard error; without a verdict the error is that of groups of profiles. A paired
    comparison usually finds smaller ones.
    """
    rows = np.array([row for row, key in enumerate(sums.keys) if key.kind == MEAN], dtype=np.int64)
    value, replicates = ratios(sums, rows)
    counts = sums.counts[rows]
    low, high, error = percentiles(replicates, counts[:, 0], min_contexts)
    keys = [sums.keys[row] for row in rows]
    unsure = np.isnan(low)
    error[unsure] = _error_of_groups(sums, rows[unsure])
    means = _table(keys, value, low, high, error, counts)
    shown = pa.concat_tables([means, _tally_rows(sums, accumulators, min_contexts)])
    rules = to_text(sums.protocol, sums.evidence, sums.seed)
    shown = shown.append_column("rules", pa.array([rules] * shown.num_rows, pa.string())).cast(METRICS.schema)
    return shown.sort_by([(name, "ascending") for name in METRICS.order])


def _table(keys: list[Key], value: Floats, low: Floats, high: Floats, error: Floats, counts: Ints) -> pa.Table:
    numbers = {
        c.VALUE: value, c.LOW: low, c.HIGH: high, c.DETECTABLE: POWER * np.sqrt(2) * error,
        c.N: counts[:, 0], c.N_EXCLUDED: counts[:, 1], c.N_UNREACHABLE: counts[:, 2],
    }  # fmt: skip
    names = {name: [key[place] for key in keys] for place, name in enumerate(Key._fields) if name in METRICS.order}
    columns = {**names, **numbers}
    return pa.Table.from_arrays([pa.array(columns[one.name], one.type) for one in _NUMBERS], schema=_NUMBERS)


def _tally_rows(sums: MetricSums, accumulators: tuple[Accumulator, ...], min_contexts: int) -> pa.Table:
    """What is read from tallies, with a delete-a-group jackknife over hash groups of profiles."""
    known = {one.name + suffix: (one, suffix) for one in accumulators for suffix in ("", SAMPLED)}
    keys, pairs, bounds = [], [], []
    read: dict[tuple[int, str], list[tuple[float, float]]] = {}  # of one country, `all` and the country share a tally
    for key, tally in catalogued(sums.tallies).items():
        if key.metric in known:
            one, suffix = known[key.metric]
            same = (id(tally), one.name)
            if same not in read:
                read[same] = with_errors(tally, one.readings.values())
            keys += [key._replace(metric=name + suffix) for name in one.readings]
            pairs += read[same]
            bounds += [one.bounds] * len(one.readings)
    counts = sums.counts[np.array([sums.row[key.denominator] for key in keys], dtype=np.int64)]
    value, error = np.array(pairs, dtype=np.float64).reshape(-1, 2).T.copy()
    nothing = np.isnan(value)  # nothing was there to be read in any context
    counts[nothing, 1] += counts[nothing, 0]
    counts[nothing, 0] = 0
    least, most = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
    error[(counts[:, 0] < min_contexts) | (sums.replicates == 0)] = np.nan
    return _table(keys, value, np.maximum(value - Z * error, least), np.minimum(value + Z * error, most), error, counts)


def measured(sums: MetricSums, accumulators: tuple[Accumulator, ...] = ACCUMULATORS) -> list[tuple[str, int]]:
    """The metrics these sums hold, with their cut-offs (0: none)."""
    means = {(key.metric, key.k) for key in sums.keys if key.kind == MEAN}
    read = {
        (name + suffix, key.k)
        for key in sums.tallies
        for one in accumulators
        for suffix in ("", SAMPLED)
        if key.metric == one.name + suffix
        for name in one.readings
    }
    return sorted(means | read)
