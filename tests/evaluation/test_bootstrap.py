"""The Poisson weights, and what intervals made with them promise."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Slices, compare, evaluate, metric_rows
from rec_platform.evaluation.bootstrap import poisson_weights, weights_of_contexts
from rec_platform.evaluation.metrics import mrr

SIMULATIONS = 300


def test_weights_are_poisson_of_mean_one():
    weights = poisson_weights(np.arange(20_000), 50, seed=3)
    shares = np.bincount(weights.ravel(), minlength=9)[:6] / weights.size
    expected = [math.exp(-1) / math.factorial(count) for count in range(6)]
    assert np.abs(shares - expected).max() < 4 * math.sqrt(0.25 / weights.size)


def test_profiles_replicates_and_seeds_are_unrelated():
    weights = poisson_weights(np.arange(4_000), 40, seed=3).astype(float)
    other = poisson_weights(np.arange(4_000), 40, seed=4).astype(float)
    bound = 5 / math.sqrt(4_000)
    between = np.corrcoef(weights.T) - np.eye(40)
    assert np.abs(between).max() < bound
    assert max(abs(np.corrcoef(weights[:, r], other[:, r])[0, 1]) for r in range(40)) < bound
    assert abs(np.corrcoef(weights[:-1].ravel(), weights[1:].ravel())[0, 1]) < 5 / math.sqrt(160_000)


def test_a_weight_depends_on_seed_profile_and_replicate_alone():
    profiles = np.array([5, -3, 2**62, 5])
    weights = weights_of_contexts(profiles, 9, seed=1)
    assert (weights[0] == weights[3]).all()
    for row, profile in enumerate(profiles):
        assert (weights[row] == poisson_weights(np.array([profile]), 50, seed=1)[0, :9]).all()
    assert poisson_weights(np.array([1, 2, 3]), 6, seed=0).tolist() == PINNED


#: A change of these numbers makes stored sums unmergeable with new ones: raise `Metrics.code_version`.
PINNED = [[2, 2, 1, 0, 1, 1], [0, 0, 1, 1, 1, 3], [3, 0, 0, 0, 0, 0]]


def simulated(rng: np.random.Generator, effect: float, profiles: int = 120) -> Frame:
    """Profiles with 1 to 5 contexts of 2 candidates, one of them positive, and a taste of their own for finding it."""
    profile = np.repeat(np.arange(profiles), rng.integers(1, 6, profiles))
    skill = rng.beta(2, 2, profiles)[profile]
    found = {"a": rng.random(len(profile)) < skill, "b": rng.random(len(profile)) < np.clip(skill + effect, 0, 1)}
    items = {"title_id": np.tile([1, 2], len(profile)), "label": np.tile([1.0, 0.0], len(profile))}
    scores = {name: np.column_stack([hit, ~hit]).ravel().astype(float) for name, hit in found.items()}
    contexts = pa.table({"profile_id": profile + int(rng.integers(2**40))})
    return Frame.of(contexts, np.arange(len(profile) + 1) * 2, items=items, scores=scores)


@pytest.fixture(scope="module")
def simulations():
    """(interval of a's MRR, interval of a - b) over many worlds where both models are equally good."""
    rng = np.random.default_rng(2025)
    values, pairs = [], []
    for _ in range(SIMULATIONS):
        sums = evaluate(
            simulated(rng, 0.0), seed=1, metrics=(mrr,), replicates=200, slices=Slices(()), cutoffs=(), accumulators=()
        )
        values.append(next(row for row in metric_rows(sums).to_pylist() if row["model"] == "a"))
        pairs.append(compare(sums, "a", "b").to_pylist()[0])
    return values, pairs


def within_its_error(count: int, rate: float) -> bool:
    """Whether a count of successes lies within 3 standard errors of the rate (and a bootstrap's small-sample shortfall)."""
    return abs(count / SIMULATIONS - rate) < 3 * math.sqrt(rate * (1 - rate) / SIMULATIONS) + 0.01


def test_intervals_of_a_value_cover_the_truth(simulations):
    """E[MRR] of a context: 1/2 found first, else 1/2: (1/2)(1) + (1/2)(1/2) = 3/4."""
    covered = sum(row["low"] <= 3 / 4 <= row["high"] for row in simulations[0])
    assert within_its_error(covered, 0.95), covered


def test_equal_models_are_told_apart_as_often_as_promised(simulations):
    rejected = sum(row["verdict"] in ("a is higher", "b is higher") for row in simulations[1])
    assert within_its_error(rejected, 0.05), rejected


def test_the_detectable_difference_is_found_four_times_in_five(simulations):
    detectable = float(np.median([row["detectable"] for row in simulations[1]]))
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(60):
        # MRR is 1/2 + 1/2 P(found), so a difference of d in MRR is 2d in P(found); clipping at 1 costs a little
        frame = simulated(rng, 2.2 * detectable)
        sums = evaluate(frame, seed=1, metrics=(mrr,), replicates=100, slices=Slices(()), cutoffs=(), accumulators=())
        found += compare(sums, "b", "a").to_pylist()[0]["verdict"] == "a is higher"
    assert 0.6 < found / 60 < 0.95
