"""What the numbers promise, by simulation with fixed seeds: level of the tests, cover of the intervals, no bias by sampling.

Run alone with `-s` to see the rates.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Slices, compare, evaluate, metric_rows
from rec_platform.evaluation.metrics import mrr
from rec_platform.evaluation.protocol import Protocol
from rec_platform.evaluation.significance import GROUPS, benjamini_hochberg, group_of, holm, paired_t, randomisation

PAIRS = 1_000
PROFILES = 300
BARE = {"seed": 1, "metrics": (mrr,), "accumulators": (), "slices": Slices(()), "cutoffs": ()}


def interval_of(successes: int, of: int) -> tuple[float, float]:
    """The exact (Clopper-Pearson) 99 % interval of a rate: a true promise fails this check once in 100 changes of seed."""
    found = stats.binomtest(successes, of).proportion_ci(0.99, method="exact")
    return float(found.low), float(found.high)


@pytest.fixture(scope="module")
def alike():
    """Totals by group of 1,000 pairs of equally good models: profiles with 1 to 12 contexts that resemble each other,
    unequal weights; (differences, weights) of shape (pairs, groups)."""
    rng = np.random.default_rng(20_250_310)
    differences, weights = np.zeros((PAIRS, GROUPS)), np.zeros((PAIRS, GROUPS))
    for pair in range(PAIRS):
        size = np.minimum(rng.zipf(1.8, PROFILES), 12)
        profile = np.repeat(np.arange(PROFILES), size)
        taste = rng.normal(0, 0.2, PROFILES)[profile]
        noise = rng.choice([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0], len(profile))
        weight = rng.choice([1.0, 1.0, 4.0], len(profile))
        group = group_of(profile + pair * PROFILES)
        differences[pair] = np.bincount(group, weights=weight * (taste + noise), minlength=GROUPS)
        weights[pair] = np.bincount(group, weights=weight, minlength=GROUPS)
    return differences, weights


@pytest.mark.slow
def test_a_thousand_equal_pairs_are_told_apart_in_5_percent(alike):
    _, p_t = paired_t(*alike)
    p_flips = np.concatenate([randomisation(alike[0][i : i + 100], seed=7) for i in range(0, PAIRS, 100)])
    for name, p in (("paired t", p_t), ("randomisation", p_flips)):
        rejected = int((p <= 0.05).sum())
        low, high = interval_of(rejected, PAIRS)
        print(
            f"{name}: {rejected / PAIRS:.3f} of {PAIRS} equal pairs rejected at .05, 99 % interval [{low:.3f}, {high:.3f}]"
        )
        assert low <= 0.05 <= high, name


@pytest.mark.slow
def test_families_of_equal_pairs_are_corrected(alike):
    """Families of 10 independent true hypotheses: any rejection is a false one, in at most 5 % of families."""
    _, p = paired_t(*alike)
    for name, adjust in (("Holm", holm), ("Benjamini-Hochberg", benjamini_hochberg)):
        false = sum(bool((adjust(family) <= 0.05).any()) for family in p.reshape(-1, 10))
        print(f"{name}: {false / 100:.2f} of 100 families with a false rejection")
        assert interval_of(int(false), PAIRS // 10)[0] <= 0.05, name
    uncorrected = sum((family <= 0.05).any() for family in p.reshape(-1, 10))
    assert uncorrected > 20


def sampled_world(rng):
    """A population of contexts in two strata whose MRR differs, kept with probability 1 or 0.2."""
    n = 3_000
    rare = rng.random(n) < 0.2
    found = rng.random(n) < np.where(rare, 0.8, 0.3)
    profile = rng.integers(0, 600, n)
    chance = np.where(rare, 1.0, 0.2)
    items = {"title_id": np.tile([1, 2], n), "label": np.tile([1.0, 0.0], n)}
    scores = {"a": np.column_stack([found, ~found]).ravel().astype(float)}
    contexts = pa.table({"profile_id": profile, "inclusion_probability": chance})
    return Frame.of(contexts, np.arange(n + 1) * 2, items=items, scores=scores), chance


@pytest.mark.slow
def test_weighted_samples_are_unbiased_and_intervals_hold_the_truth():
    """Over many samples of one population: numerator and denominator equal the population's in the mean; the ratio's
    interval holds the population's ratio in about 95 %."""
    rng = np.random.default_rng(11)
    frame, chance = sampled_world(rng)
    whole = frame.with_contexts({"inclusion_probability": np.ones(frame.n_contexts)})
    truth = evaluate(whole, **BARE, replicates=0)
    row, below = (next(place for place, key in enumerate(truth.keys) if key.model == "a" and key.kind == kind
                       and key.population.startswith("positive")) for kind in ("mean", "weight"))  # fmt: skip
    value = truth.totals[row, 0] / truth.totals[below, 0]
    samples, covered, sums = 100, 0, []
    for sample in range(samples):
        kept = np.flatnonzero(rng.random(frame.n_contexts) < chance)
        found = evaluate(frame.take(kept), **(BARE | {"seed": sample}), replicates=200)
        sums.append((found.totals[row, 0], found.totals[below, 0]))
        shown = next(one for one in metric_rows(found).to_pylist() if one["model"] == "a")
        covered += shown["low"] <= value <= shown["high"]
    for mine, true in zip(np.array(sums, dtype=float).T, (truth.totals[row, 0], truth.totals[below, 0]), strict=True):
        error = mine.std(ddof=1) / math.sqrt(samples)
        assert abs(mine.mean() - true) < 3 * error
    low, high = interval_of(int(covered), samples)
    print(
        f"intervals hold the population's ratio in {covered / samples:.3f} of {samples} samples [{low:.3f}, {high:.3f}]"
    )
    # profiles are drawn anew by the bootstrap, but here they are fixed: the intervals may be a little wide, never narrow
    assert high >= 0.95


@pytest.mark.slow
def test_intervals_cover_95_percent():
    """Both the mean of a model and the difference of two equally good ones, over worlds whose truth is known: 3/4 and 0."""
    rng = np.random.default_rng(2025)
    worlds, means, pairs = 200, 0, 0
    for _ in range(worlds):
        profile = np.repeat(np.arange(200), rng.integers(1, 6, 200))
        skill = rng.beta(2, 2, 200)[profile]
        hits = {name: rng.random(len(profile)) < skill for name in "ab"}
        items = {"title_id": np.tile([1, 2], len(profile)), "label": np.tile([1.0, 0.0], len(profile))}
        scores = {name: np.column_stack([hit, ~hit]).ravel().astype(float) for name, hit in hits.items()}
        contexts = pa.table({"profile_id": profile + int(rng.integers(2**40))})
        sums = evaluate(
            Frame.of(contexts, np.arange(len(profile) + 1) * 2, items=items, scores=scores), **BARE, replicates=200
        )
        row = next(one for one in metric_rows(sums).to_pylist() if one["model"] == "a")
        pair = compare(sums, "a", "b").to_pylist()[0]
        means += row["low"] <= 3 / 4 <= row["high"]
        pairs += pair["low"] <= 0 <= pair["high"]
    for name, count in (("a mean", means), ("a paired difference", pairs)):
        low, high = interval_of(count, worlds)
        print(f"95 % intervals of {name} cover the truth in {count / worlds:.3f} of {worlds} [{low:.3f}, {high:.3f}]")
        assert low <= 0.95 <= high, name


def test_protocols_that_differ_are_refused_by_the_rule_that_differs():
    from rec_platform.errors import ConfigError
    from rec_platform.evaluation import merge

    rng = np.random.default_rng(1)
    frame, _ = sampled_world(rng)
    one, other = (evaluate(frame.take(np.arange(50)), **BARE, replicates=20, protocol=protocol) for protocol in
                  (Protocol(seen="keep"), Protocol(seen="drop")))  # fmt: skip
    with pytest.raises(ConfigError, match="seen is 'keep' in one and 'drop' in the other"):
        merge(one, other)
