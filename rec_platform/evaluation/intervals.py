"""From sums to numbers: values with percentile intervals, and paired comparisons of two models."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import KeyRefused
from rec_platform.evaluation.accumulators import Accumulator, with_error
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import SAMPLED
from rec_platform.evaluation.sums import MEAN, Key, MetricSums
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.tables import METRICS

#: Both intervals and differences speak at 95 %.
TAILS: Final = (0.025, 0.975)
#: Standard normal quantiles of .975 and .8: a difference of their sum times its standard error is found 4 times in 5.
Z: Final = 1.959964
POWER: Final = 1.959964 + 0.841621
#: The smallest n that gets a verdict, unless told otherwise.
MIN_CONTEXTS: Final = 30

COMPARISON: Final = pa.schema(
    [
        *(field for field in METRICS.schema if field.name in ("protocol", "estimand")),
        *((name, pa.string()) for name in ("model_a", "model_b")),
        *(METRICS.schema.field(name) for name in (c.METRIC, c.CUTOFF, c.SLICE, c.SLICE_VALUE)),
        *((name, pa.float64()) for name in ("value_a", "value_b", "difference", c.LOW, c.HIGH, c.DETECTABLE)),
        (c.N, pa.int64()),
        ("verdict", pa.string()),
    ]
)


def _means(sums: MetricSums, rows: Ints) -> tuple[Floats, Floats]:
    """Value of each row, and in each replicate: float64 (rows,), (rows, R). NaN where nothing was weighed."""
    place = {key: row for row, key in enumerate(sums.keys)}
    below = np.array([place[sums.keys[row].denominator] for row in rows], dtype=np.int64)
    over, under = sums.totals[rows].astype(np.float64), sums.totals[below].astype(np.float64)
    means = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return means[:, 0], means[:, 1:]


def _percentiles(replicates: Floats, n: Ints, min_contexts: int) -> tuple[Floats, Floats, Floats]:
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


def metric_rows(
    sums: MetricSums, *, min_contexts: int = MIN_CONTEXTS, accumulators: tuple[Accumulator, ...] = ACCUMULATORS
) -> pa.Table:
    """The METRICS table of these sums: value, 95 % interval, n; a NaN interval is "no verdict".

    `detectable` is the smallest difference between two independent numbers like this one that a test at 5 % would find
    with 80 % power: 2.80 x sqrt(2) x standard error. A paired comparison usually finds smaller ones.
    """
    rows = np.array([row for row, key in enumerate(sums.keys) if key.kind == MEAN], dtype=np.int64)
    value, replicates = _means(sums, rows)
    counts = sums.counts[rows]
    low, high, error = _percentiles(replicates, counts[:, 0], min_contexts)
    keys = [sums.keys[row] for row in rows]
    means = _table(keys, value, low, high, error, counts)
    shown = pa.concat_tables([means, _tally_rows(sums, accumulators, min_contexts)])
    return shown.sort_by([(name, "ascending") for name in METRICS.order])


def _table(keys: list[Key], value: Floats, low: Floats, high: Floats, error: Floats, counts: Ints) -> pa.Table:
    numbers = {
        c.VALUE: value, c.LOW: low, c.HIGH: high, c.DETECTABLE: POWER * np.sqrt(2) * error,
        c.N: counts[:, 0], c.N_EXCLUDED: counts[:, 1], c.N_UNREACHABLE: counts[:, 2],
    }  # fmt: skip
    names = {name: [key[Key._fields.index(name)] for key in keys] for name in METRICS.order}
    columns = {**names, **numbers}
    return pa.Table.from_arrays(
        [pa.array(columns[one.name], one.type) for one in METRICS.schema], schema=METRICS.schema
    )


def _tally_rows(sums: MetricSums, accumulators: tuple[Accumulator, ...], min_contexts: int) -> pa.Table:
    """What is read from tallies, with a delete-a-group jackknife over hash groups of profiles."""
    place = {key: row for row, key in enumerate(sums.keys)}
    known = {one.name + suffix: (one, suffix) for one in accumulators for suffix in ("", SAMPLED)}
    keys, pairs, bounds = [], [], []
    for key, tally in sums.tallies.items():
        if key.metric in known:
            one, suffix = known[key.metric]
            for name, reading in one.readings.items():
                keys.append(key._replace(metric=name + suffix))
                pairs.append(with_error(tally, reading))
                bounds.append(one.bounds)
    counts = np.array([sums.counts[place[key.denominator]] for key in keys], dtype=np.int64).reshape(-1, 3)
    value, error = np.array(pairs, dtype=np.float64).reshape(-1, 2).T.copy()
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


def compare(sums: MetricSums, model_a: str, model_b: str, *, min_contexts: int = MIN_CONTEXTS) -> pa.Table:
    """The paired difference A - B of every metric, cut-off and slice, with its 95 % interval.

    Both models are weighed by the same replicates, so what all models find hard cancels. `detectable` is the smallest
    paired difference found with 80 % power. Verdict: `a is higher`, `b is higher`, `no difference shown`, `no verdict`, or
    `different contexts` (one model is absent on some of the days: merge only days that have both). Columns: `COMPARISON`.
    Raises `KeyRefused` for a model that was not evaluated.
    """
    place = {key: row for row, key in enumerate(sums.keys) if key.kind == MEAN}
    models = {key.model for key in place}
    for model in (model_a, model_b):
        if model not in models:
            raise KeyRefused(f"no model {model!r}", place="compare", repair=f"Evaluated: {', '.join(sorted(models))}.")
    keys = [key for key in place if key.model == model_a and key._replace(model=model_b) in place]
    rows_a = np.array([place[key] for key in keys], dtype=np.int64)
    rows_b = np.array([place[key._replace(model=model_b)] for key in keys], dtype=np.int64)
    (value_a, replicates_a), (value_b, replicates_b) = _means(sums, rows_a), _means(sums, rows_b)
    n = sums.counts[rows_a, 0]
    alike = _same_contexts(sums, keys, model_b)
    low, high, error = _percentiles(replicates_a - replicates_b, np.where(alike, n, -1), min_contexts)
    columns = {
        **{name: [key[Key._fields.index(name)] for key in keys] for name in COMPARISON.names if name in Key._fields},
        "model_a": [model_a] * len(keys), "model_b": [model_b] * len(keys),
        "value_a": value_a, "value_b": value_b, "difference": value_a - value_b,
        c.LOW: low, c.HIGH: high, c.DETECTABLE: POWER * error, c.N: n, "verdict": _verdicts(low, high, alike),
    }  # fmt: skip
    return pa.Table.from_arrays([pa.array(columns[one.name], one.type) for one in COMPARISON], schema=COMPARISON)


def _same_contexts(sums: MetricSums, keys: list[Key], other: str) -> Bools:
    """Whether the other model was judged on the same contexts: the weights are equal in every replicate."""
    place = {key: row for row, key in enumerate(sums.keys)}
    rows = np.array([place[key.denominator] for key in keys], dtype=np.int64)
    others = np.array([place[key.denominator._replace(model=other)] for key in keys], dtype=np.int64)
    return np.asarray((sums.totals[rows] == sums.totals[others]).all(axis=1))


def _verdicts(low: Floats, high: Floats, alike: Bools) -> list[str]:
    choices = [~alike, np.isnan(low), low > 0, high < 0]
    words = ["different contexts", "no verdict", "a is higher", "b is higher"]
    return [str(one) for one in np.select(choices, words, "no difference shown")]
