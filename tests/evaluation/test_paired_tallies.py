"""Coverage, Gini and ranks of two models, paired: by leaving out the same profiles of both; what the intervals promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rec_platform.evaluation import STANDARD, Slices, compare, compare_all, evaluate, merge, metric_rows
from rec_platform.evaluation.accumulators import left_out, paired_errors
from rec_platform.evaluation.comparison import BOOTSTRAP, JACKKNIFE, NO_VERDICT, only
from rec_platform.evaluation.exposure import coverage, gini
from rec_platform.evaluation.intervals import POWER
from rec_platform.evaluation.plan import CONTEXT, PROFILE
from rec_platform.evaluation.positions import mean, median
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.significance import by_t
from rec_platform.evaluation.tallies import GROUPS, ONE, group_of, tallied

READ = ("coverage", "gini", "mean_rank", "median_rank", "mean_first_rank", "median_first_rank")
SEED = 3


def judged(frame, **changes):
    options = {"seed": SEED, "metrics": (), "cutoffs": (3,), "slices": Slices(("country",)), "replicates": 20,
               "list_length": 30}  # fmt: skip
    return evaluate(frame, **(options | changes))


def values(frame, **changes):
    rows = metric_rows(judged(frame, replicates=0, **changes)).to_pylist()
    return {(row["model"], row["metric"]): row["value"] for row in rows if row["slice"] == "all"}


@pytest.mark.parametrize("estimand", [CONTEXT, PROFILE])
def test_they_are_read_again_without_each_group_of_profiles(full, estimand):
    """Brute force: the contexts of each group's profiles taken out of the frame, and everything evaluated anew."""
    frame = full(8, contexts=160, profiles=150, titles=60)
    frame = frame.with_items({"reachable": np.ones(frame.n_items, dtype=bool)})  # so that the catalogue stays as it is
    group = group_of(frame.context("profile_id"), SEED)
    whole = values(frame, estimand=estimand)
    without = [values(frame.take(np.flatnonzero(group != g)), estimand=estimand) for g in np.unique(group)]
    n = len(without)
    compared = compare(judged(frame, estimand=estimand), "a", "b").to_pylist()
    rows = {row["metric"]: row for row in compared if row["slice"] == "all"}
    assert set(rows) == set(READ)
    assert {row["estimand"] for row in compared} == {estimand}
    for name, row in rows.items():
        differences = np.array([one["a", name] - one["b", name] for one in without])
        error = np.sqrt((n - 1) / n * ((differences - differences.mean()) ** 2).sum())
        difference = whole["a", name] - whole["b", name]
        reach = stats.t.ppf(0.975, n - 1) * error
        assert row["difference"] == pytest.approx(difference, abs=1e-9)
        assert (row["low"], row["high"]) == (pytest.approx(difference - reach), pytest.approx(difference + reach))
        assert row["p_t"] == pytest.approx(2 * stats.t.sf(abs(difference) / error, n - 1), abs=1e-12)
        assert row["detectable"] == pytest.approx(POWER * error)
        assert (row["method"], row["n"]) == (JACKKNIFE, 160 if name in ("coverage", "gini") else row["n"])
        assert np.isnan([row["p_randomisation"], row["effect"]]).all()


def test_a_model_is_no_different_from_itself(full):
    rows = compare(judged(full(8)), "a", "a", min_contexts=2).to_pylist()
    assert {(row["difference"], row["low"], row["high"], row["p_t"]) for row in rows} == {(0.0, 0.0, 0.0, 1.0)}
    assert {row["verdict"] for row in rows} == {"no difference shown"}


def test_one_family_of_tests_with_the_means(full):
    sums = judged(full(8, contexts=200), metrics=STANDARD)
    table = compare_all(sums).to_pandas()
    assert set(table["method"]) == {BOOTSTRAP, JACKKNIFE}
    assert (table["method"] == JACKKNIFE).sum() == 6 * 3 * len(
        READ
    )  # pairs of a, b, random and ceiling; all, FR and GB
    known = table[table["p_t"].notna()]
    assert known["p_holm"].max() <= 1
    least = known.loc[known["p_t"].idxmin()]
    assert least["p_holm"] == pytest.approx(least["p_t"] * len(known))
    assert compare(sums, "a", "b", accumulators=()).num_rows < compare(sums, "a", "b").num_rows


def test_too_few_contexts_and_other_contexts_have_no_verdict(full):
    sums = judged(full(8))
    assert {row["verdict"] for row in compare(sums, "a", "b", min_contexts=1_000).to_pylist()} == {NO_VERDICT}
    both = merge(sums, judged(full(9), models=("a",)))
    assert {row["verdict"] for row in compare(both, "a", "b").to_pylist()} == {"different contexts"}


def test_profiles_of_one_group_have_no_error(full):
    one = np.full(4, 7)
    tallies = [tallied(np.arange(4) * step, one, np.full(4, ONE), 9) for step in (1, 2)]
    a, b = (left_out(each, [gini]) for each in tallies)
    error, freedom = paired_errors(a, b, tallies[0].used | tallies[1].used)
    assert (np.isnan(error).all(), freedom) == (True, 0)
    low, high, p = by_t(a[:, 0] - b[:, 0], error, np.array([freedom]))
    assert np.isnan([low, high, p]).all()


def test_chosen_rows_are_compared_as_among_all(full):
    sums = judged(full(8), metrics=(), slices=Slices(("country", "device")))
    few = compare(only(sums, lambda key: key.slice == "country"), "a", "b").to_pandas()
    whole = compare(sums, "a", "b").to_pandas()
    names = ["metric", "slice_value", "difference", "low", "high", "p_t"]
    assert few[names].equals(whole[whole["slice"] == "country"][names].reset_index(drop=True))


# --- promises --------------------------------------------------------------------------------------------------------

PROFILES, TITLES, PLACES = 150, 100, 4


def lists_of(rng, taste, group, profile, likes):
    """Lists of one model: titles by popularity, the taste of the profile, and the model's own chance."""
    score = likes + taste[profile] + rng.gumbel(size=(len(profile), TITLES))
    best = np.argpartition(-score, PLACES, axis=1)[:, :PLACES]
    return tallied(best.ravel(), np.repeat(group[profile], PLACES), np.full(best.size, ONE), TITLES)


def world(rng, likes):
    """Tallies of lists, and of ranks, of two models on the same contexts; those of a profile (1 to 12) resemble each other."""
    profile = np.repeat(np.arange(PROFILES), np.minimum(rng.zipf(1.8, PROFILES), 12))
    group, taste = rng.integers(0, GROUPS, PROFILES), 0.5 * rng.gumbel(size=(PROFILES, TITLES))
    hard = rng.geometric(0.15, PROFILES)[profile]
    amount = np.full(len(profile), ONE)
    lists = [lists_of(rng, taste, group, profile, one) for one in likes]
    ranks = [tallied(2 * (hard + rng.geometric(0.3, len(profile))), group[profile], amount) for _ in likes]
    return lists, ranks


def interval_of(a, b, reading):
    """Difference, low, high and p."""
    found = [left_out(one, [reading]) for one in (a, b)]
    error, freedom = paired_errors(*found, a.used | b.used)
    difference = found[0][:, 0] - found[1][:, 0]
    low, high, p = by_t(difference, error, np.array([freedom]))
    return difference[0], low[0], high[0], p[0]


def rate(count, of):
    """The exact 99 % interval of a rate."""
    found = stats.binomtest(int(count), of).proportion_ci(0.99, method="exact")
    return float(found.low), float(found.high)


@pytest.mark.slow
def test_equal_models_are_told_apart_in_at_most_5_percent():
    """Means and Gini in 5 %; coverage and medians, which jump, in fewer."""
    rng, pairs = np.random.default_rng(20_250_315), 250
    likes = -1.2 * np.log(np.arange(1, TITLES + 1))
    rejected = dict.fromkeys((coverage, gini, mean, median), 0)
    for _ in range(pairs):
        lists, ranks = world(rng, [likes, likes])
        for reading in rejected:
            rejected[reading] += interval_of(*(lists if reading in (coverage, gini) else ranks), reading)[3] <= 0.05
    for reading, count in rejected.items():
        low, high = rate(count, pairs)
        print(f"{reading.__name__}: {count / pairs:.3f} of {pairs} equal pairs rejected [{low:.3f}, {high:.3f}]")
        assert low <= 0.05, reading.__name__
        assert high >= 0.05 or reading in (coverage, median), reading.__name__


@pytest.mark.slow
def test_intervals_of_differences_hold_the_expected_difference():
    """Of a model that shows more of the tail than the other; the truth is the mean over many such worlds."""
    rng, worlds = np.random.default_rng(20_250_316), 200
    tail = -np.log(np.arange(1, TITLES + 1))
    found = {reading: [] for reading in (coverage, gini)}
    for _ in range(worlds):
        lists, _ = world(rng, [1.0 * tail, 2.0 * tail])
        for reading in found:
            found[reading].append(interval_of(*lists, reading))
    for reading, rows in found.items():
        difference, low, high, p = np.array(rows).T
        covered = ((low <= difference.mean()) & (difference.mean() <= high)).sum()
        least, most = rate(covered, worlds)
        print(
            f"{reading.__name__}: {covered / worlds:.3f} of {worlds} intervals hold the difference [{least:.3f}, {most:.3f}]"
        )
        assert most >= 0.95, reading.__name__
        assert (p <= 0.05).mean() > 0.5, reading.__name__


def test_every_reading_of_the_platform_is_paired():
    assert {name for one in ACCUMULATORS for name in one.readings} >= set(READ)
