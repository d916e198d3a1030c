"""Models compared: paired differences with intervals, tests, corrections and effect sizes, all from stored sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import KeyRefused
from rec_platform.evaluation.accumulators import Accumulator, left_out, paired_errors
from rec_platform.evaluation.exposure import catalogued
from rec_platform.evaluation.intervals import MIN_CONTEXTS, POWER, percentiles, ratios
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import SAMPLED
from rec_platform.evaluation.significance import benjamini_hochberg, by_t, holm, paired_t, randomisation
from rec_platform.evaluation.sums import MEAN, Key, MetricSums
from rec_platform.evaluation.tallies import ONE
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.tables import METRICS

#: How a difference is paired and its interval made: replicates, and totals of 64 groups of profiles; or readings of tallies
#: without each of 20 groups of profiles, in both models alike.
BOOTSTRAP, JACKKNIFE = "bootstrap", "jackknife"
HIGHER, LOWER, LEVEL = "a is higher", "b is higher", "no difference shown"
NO_VERDICT, DIFFERENT_CONTEXTS = "no verdict", "different contexts"
#: Holm's p up to which a difference is sure, and very sure.
SURE: Final = 0.05
VERY_SURE: Final = 0.001

COMPARISON: Final = pa.schema(
    [
        *(field for field in METRICS.schema if field.name in ("protocol", "estimand")),
        *((name, pa.string()) for name in ("model_a", "model_b")),
        *(METRICS.schema.field(name) for name in (c.METRIC, c.CUTOFF, c.SLICE, c.SLICE_VALUE)),
        *((name, pa.float64()) for name in ("value_a", "value_b", "difference", c.LOW, c.HIGH, c.DETECTABLE)),
        (c.N, pa.int64()),
        *((name, pa.float64()) for name in ("effect", "p_t", "p_randomisation", "p_holm", "p_bh")),
        ("verdict", pa.string()),
        ("method", pa.string()),
    ]
)


Accumulators = tuple[Accumulator, ...]


def compare(
    sums: MetricSums, model_a: str, model_b: str, *, min_contexts: int = MIN_CONTEXTS,
    accumulators: Accumulators = ACCUMULATORS,
) -> pa.Table:  # fmt: skip
    """The paired difference A - B of every metric, cut-off and slice, with its 95 % interval and tests: `compare_pairs`."""
    return compare_pairs(sums, [(model_a, model_b)], min_contexts=min_contexts, accumulators=accumulators)


def compare_all(
    sums: MetricSums, models: Iterable[str] | None = None, *, min_contexts: int = MIN_CONTEXTS,
    accumulators: Accumulators = ACCUMULATORS,
) -> pa.Table:  # fmt: skip
    """Every pair of these models (None: all that were evaluated), corrected for all their tests together."""
    names = sorted({key.model for key in sums.keys}) if models is None else list(models)
    return compare_pairs(sums, list(combinations(names, 2)), min_contexts=min_contexts, accumulators=accumulators)


def compare_pairs(
    sums: MetricSums, pairs: Sequence[tuple[str, str]], *, min_contexts: int = MIN_CONTEXTS,
    accumulators: Accumulators = ACCUMULATORS,
) -> pa.Table:  # fmt: skip
    """The paired differences A - B of these models in every metric, cut-off and slice.

    Both models are weighed by the same replicates, so what all models find hard cancels in `low` and `high`. `detectable`
    is the smallest paired difference found with 80 % power: 2.80 standard errors, of the replicates, or where there is no
    verdict of the groups of profiles. `p_t` and `p_randomisation` test it over totals of groups of profiles
    (`significance`); `p_holm` and `p_bh` correct `p_t` for all rows of this table with a verdict: choose rows with
    `corrected` to make a smaller family. `effect` is the difference over the standard deviation of a context's difference,
    as if contexts were unrelated: difference / (standard error x sqrt(n)).

    Metrics read from tallies (coverage, Gini, ranks, calibration) come after the others, those of `accumulators`. `method`
    tells them apart: `jackknife` for them, `bootstrap` for the rest. Both tallies are read without the same group of profiles
    in turn; `low`, `high` and `p_t` are by the t of the jackknife (`by_t`). They have no `p_randomisation` and no `effect`:
    they are no means over contexts.

    Verdict: `a is higher` and `b is higher` where the difference is sure among all rows of this table: `p_holm` is at most
    `SURE`, so that the chance of any wrong one among them is, and the interval does not hold 0. `no difference shown` else;
    `no verdict` (too few contexts, or too few profiles), `different contexts` (one model is absent on some of the days: merge
    only days that have both). Intervals are each row's by itself and not widened: one may lie beside 0 where no difference
    is shown. Columns: `COMPARISON`. Raises `KeyRefused` for a model that was not evaluated.
    """
    place = {key: row for row, key in enumerate(sums.keys)}
    _check_models(sums, {model for pair in pairs for model in pair})
    found = [(key, b) for a, b in pairs for key in sums.keys
             if key.kind == MEAN and key.model == a and key._replace(model=b) in place]  # fmt: skip
    left = np.array([place[key] for key, _ in found], dtype=np.int64)
    right = np.array([place[key._replace(model=b)] for key, b in found], dtype=np.int64)
    (value_a, replicates_a), (value_b, replicates_b) = ratios(sums, left), ratios(sums, right)
    below = np.array([place[key.denominator] for key, _ in found], dtype=np.int64)
    others = np.array([place[key.denominator._replace(model=b)] for key, b in found], dtype=np.int64)
    n = sums.counts[left, 0]
    alike = np.asarray((sums.totals[below] == sums.totals[others]).all(axis=1), dtype=bool)
    low, high, error = percentiles(replicates_a - replicates_b, np.where(alike, n, -1), min_contexts)
    error_of_groups, p_t, p_flips = _tests(sums, left, right, below, alike)
    known = ~np.isnan(low)
    error = np.where(known, error, error_of_groups)
    columns = {
        **_names([key for key, _ in found]), "model_b": [b for _, b in found],
        "value_a": value_a, "value_b": value_b, "difference": value_a - value_b, c.LOW: low, c.HIGH: high,
        c.DETECTABLE: POWER * error, c.N: n, "effect": _effect(value_a - value_b, error_of_groups, n),
        "p_t": np.where(known, p_t, np.nan), "p_randomisation": np.where(known, p_flips, np.nan),
        "p_holm": np.full(len(n), np.nan), "p_bh": np.full(len(n), np.nan), "verdict": _before(alike),
        "method": [BOOTSTRAP] * len(n),
    }  # fmt: skip
    return corrected(pa.concat_tables([_table(columns), _of_tallies(sums, pairs, min_contexts, accumulators)]))


def only(sums: MetricSums, keep: Callable[[Key], bool]) -> MetricSums:
    """The sums of some rows and tallies: comparing few costs little."""
    rows = np.array([row for row, key in enumerate(sums.keys) if keep(key)], dtype=np.int64)
    return replace(
        sums, keys=tuple(sums.keys[row] for row in rows), counts=sums.counts[rows], totals=sums.totals[rows],
        tallies={key: tally for key, tally in sums.tallies.items() if keep(key)},
    )  # fmt: skip


def _of_tallies(
    sums: MetricSums, pairs: Sequence[tuple[str, str]], min_contexts: int, accumulators: Accumulators
) -> pa.Table:
    """The paired differences of everything read from tallies."""
    by_name = {one.name + suffix: (one, suffix) for one in accumulators for suffix in ("", SAMPLED)}
    wanted = {model for pair in pairs for model in pair}
    read = {
        key: left_out(tally, by_name[key.metric][0].readings.values())
        for key, tally in catalogued(sums.tallies).items()
        if key.metric in by_name and key.model in wanted
    }
    found = [(key, key._replace(model=b)) for a, b in pairs for key in read
             if key.model == a and key._replace(model=b) in read]  # fmt: skip
    keys: list[Key] = []
    values: list[tuple[float, float, float, float, int, bool, int]] = []
    for left, right in found:
        one, suffix = by_name[left.metric]
        a, b = read[left], read[right]
        below, other = (sums.row[key.denominator] for key in (left, right))
        alike, n = bool((sums.totals[below] == sums.totals[other]).all()), int(sums.counts[below, 0])
        error, freedom = paired_errors(a, b, sums.tallies[left].used | sums.tallies[right].used)
        keys += [left._replace(metric=name + suffix) for name in one.readings]
        values += [
            (*numbers, freedom, alike, n) for numbers in zip(a[:, 0], b[:, 0], a[:, 0] - b[:, 0], error, strict=True)
        ]
    value_a, value_b, difference, error, freedom_, alike_, n_ = np.array(values, dtype=np.float64).reshape(-1, 7).T
    same = alike_ > 0
    known = same & (n_ >= min_contexts) & (sums.replicates > 0)
    low, high, p = by_t(difference, np.where(known, error, np.nan), freedom_.astype(np.int64))
    nothing = np.full(len(keys), np.nan)
    columns = {
        **_names(keys), "model_b": [right.model for left, right in found for _ in by_name[left.metric][0].readings],
        "value_a": value_a, "value_b": value_b, "difference": difference, c.LOW: low, c.HIGH: high,
        c.DETECTABLE: np.where(same, POWER * error, np.nan), c.N: n_.astype(np.int64), "effect": nothing, "p_t": p,
        "p_randomisation": nothing, "p_holm": nothing, "p_bh": nothing, "verdict": _before(same),
        "method": [JACKKNIFE] * len(keys),
    }  # fmt: skip
    return _table(columns)


def _table(columns: Mapping[str, Any]) -> pa.Table:
    return pa.Table.from_arrays([pa.array(columns[one.name], one.type) for one in COMPARISON], schema=COMPARISON)


def corrected(rows: pa.Table) -> pa.Table:
    """The rows of a comparison with `p_holm`, `p_bh` and verdict for these rows as the family of tests."""
    p = rows.column("p_t").to_numpy()
    p_holm = holm(p)
    found = {"p_holm": p_holm, "p_bh": benjamini_hochberg(p), "verdict": _verdicts(rows, p_holm)}
    for name, values in found.items():
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values, field.type))
    return rows


def sureness(row: Mapping[str, Any]) -> int | None:
    """How sure a row's difference is: -2 very surely lower, -1 surely, 0 not shown, 1, 2; None where there is no verdict.

    Its verdict, and very sure from Holm's p of `VERY_SURE` down: a picture coloured by it says what the verdicts say.

    >>> sureness({"verdict": HIGHER, "p_holm": 0.02}), sureness({"verdict": LOWER, "p_holm": 0.0004})
    (1, -2)
    >>> sureness({"verdict": LEVEL, "p_holm": 0.3}), sureness({"verdict": NO_VERDICT, "p_holm": float("nan")})
    (0, None)
    """
    side = {HIGHER: 1, LOWER: -1, LEVEL: 0}.get(row["verdict"])
    return side if side is None or row["p_holm"] > VERY_SURE else 2 * side


def _check_models(sums: MetricSums, wanted: Iterable[str]) -> None:
    models = {key.model for key in sums.keys}
    for model in sorted(set(wanted) - models):
        raise KeyRefused(f"no model {model!r}", place="compare", repair=f"Evaluated: {', '.join(sorted(models))}.")


def _names(keys: Sequence[Key]) -> dict[str, list[str | int]]:
    fields = [name for name in COMPARISON.names if name in Key._fields]
    names: dict[str, list[str | int]] = {name: [getattr(key, name) for key in keys] for name in fields}
    return names | {"model_a": [key.model for key in keys]}


def _tests(sums: MetricSums, left: Ints, right: Ints, below: Ints, alike: Bools) -> tuple[Floats, Floats, Floats]:
    """Standard error of each difference over groups of profiles, p of the paired t test, p by randomisation."""
    if not sums.by_group.shape[1] or not len(left):
        nothing = np.full(len(left), np.nan)
        return nothing, nothing, nothing
    differences = (sums.by_group[left] - sums.by_group[right]) / ONE
    error, p_t = paired_t(differences, sums.by_group[below] / ONE)
    p_flips = np.where(np.isnan(p_t), np.nan, randomisation(differences, sums.seed))
    return tuple(np.where(alike, one, np.nan) for one in (error, p_t, p_flips))  # type: ignore[return-value]


def _effect(difference: Floats, error: Floats, n: Ints) -> Floats:
    """0 where both models agree everywhere."""
    spread = error * np.sqrt(n)
    return np.divide(difference, spread, out=np.where(difference == 0, 0.0, np.nan), where=spread > 0)


def _before(alike: Bools) -> list[str]:
    """What `corrected` need not ask: which rows compare the same contexts."""
    return [LEVEL if one else DIFFERENT_CONTEXTS for one in alike.tolist()]


def _verdicts(rows: pa.Table, p_holm: Floats) -> list[str]:
    low, high = (rows.column(name).to_numpy() for name in (c.LOW, c.HIGH))
    different = np.asarray(rows.column("verdict").to_numpy(zero_copy_only=False) == DIFFERENT_CONTEXTS, dtype=bool)
    sure = p_holm <= SURE
    choices = [different, np.isnan(low) | np.isnan(p_holm), sure & (low > 0), sure & (high < 0)]
    return [str(one) for one in np.select(choices, [DIFFERENT_CONTEXTS, NO_VERDICT, HIGHER, LOWER], LEVEL)]
