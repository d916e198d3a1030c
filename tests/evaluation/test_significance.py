"""Tests of paired differences: published examples, exact small cases, and what p-values promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rec_platform.evaluation.significance import (
    FLIPS,
    GROUPS,
    benjamini_hochberg,
    group_of,
    holm,
    paired_t,
    randomisation,
)

#: Benjamini and Hochberg (1995), section 3.2: 15 hypotheses about thrombolysis.
PUBLISHED = np.array(
    [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
)  # fmt: skip


def test_the_published_example_rejects_four_by_bh_and_three_by_holm():
    assert (benjamini_hochberg(PUBLISHED) <= 0.05).tolist() == [True] * 4 + [False] * 11
    assert (holm(PUBLISHED) <= 0.05).tolist() == [True] * 3 + [False] * 12
    shuffled = np.random.default_rng(1).permutation(15)
    for adjust in (benjamini_hochberg, holm):
        assert (adjust(PUBLISHED[shuffled]) == adjust(PUBLISHED)[shuffled]).all()


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=12))
def test_corrections_follow_their_step_rules(p):
    """Rejected at a level iff the step rule of the paper rejects: step down for Holm, step up for BH."""
    given_p = np.array(p)
    ordered = sorted(value for value in p if not math.isnan(value))
    n = len(ordered)
    for level in (0.01, 0.05, 0.3):
        down = next((i for i, value in enumerate(ordered) if value * (n - i) > level), n)
        up = max((i + 1 for i, value in enumerate(ordered) if value * n / (i + 1) <= level), default=0)
        with np.errstate(invalid="ignore"):
            assert (holm(given_p) <= level).sum() == down
            assert (benjamini_hochberg(given_p) <= level).sum() == up
    assert np.isnan(holm(given_p)).tolist() == np.isnan(given_p).tolist()


def test_with_equal_weights_it_is_students_paired_t():
    rng = np.random.default_rng(2)
    differences = rng.normal(0.2, 1, (5, GROUPS))
    error, p = paired_t(differences, np.ones((5, GROUPS)))
    expected = stats.ttest_1samp(differences, 0, axis=1)
    assert p == pytest.approx(expected.pvalue, rel=1e-9)
    assert error == pytest.approx(differences.std(axis=1, ddof=1) / math.sqrt(GROUPS), rel=1e-12)


def test_groups_without_profiles_do_not_count():
    differences, weights = np.zeros((1, GROUPS)), np.zeros((1, GROUPS))
    differences[0, :4], weights[0, :4] = [1.0, 3.0, 2.0, 4.0], 1.0
    assert paired_t(differences, weights)[1][0] == pytest.approx(stats.ttest_1samp([1, 3, 2, 4], 0).pvalue)


def test_edges_of_the_t_test():
    one, same, equal = np.zeros((4, 3)), np.ones((1, 3)), np.zeros((1, 3))
    one[0, 0] = 1.0
    assert np.isnan(paired_t(one[:1], one[:1])).all()
    assert paired_t(same * 0.1, same)[1].tolist() == [0.0]
    assert paired_t(equal, same)[1].tolist() == [1.0]
    assert np.isnan(paired_t(equal, equal)[1]).all()


def test_randomisation_comes_near_the_share_over_all_sign_flips():
    differences = np.zeros((2, GROUPS))
    differences[0, :10] = [1, 2, -1, 3, 1, 0.5, 2, -0.5, 1, 0.1]
    differences[1, :10] = [1, -2, -1, 3, -1, 0.5, 2, -0.5, 1, 0.1]
    for row, p in zip(differences[:, :10], randomisation(differences, seed=3), strict=True):
        flips = np.array(list(itertools.product((-1, 1), repeat=10))) @ row
        exact = (np.abs(flips) >= abs(row.sum()) - 1e-9).mean()
        assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / FLIPS)


def test_randomisation_is_a_function_of_the_seed_and_counts_what_was_seen():
    differences = np.random.default_rng(4).normal(size=(3, GROUPS))
    assert (randomisation(differences, 1) == randomisation(differences, 1)).all()
    assert (randomisation(differences, 1) != randomisation(differences, 2)).any()
    assert randomisation(np.ones((1, GROUPS)), 1).tolist() == [1 / (FLIPS + 1)]
    assert randomisation(np.zeros((1, GROUPS)), 1).tolist() == [1.0]


def test_groups_do_not_depend_on_the_partition_and_are_even():
    profiles = np.arange(64_000)
    sizes = np.bincount(group_of(profiles), minlength=GROUPS)
    assert stats.chisquare(sizes).pvalue > 0.001
    assert (group_of(profiles[::-1])[::-1] == group_of(profiles)).all()
    assert group_of(np.array([1, 2, -3])).tolist() == PINNED


#: A change of these makes stored sums of groups unmergeable with new ones: raise `Metrics.code_version`.
PINNED = [13, 31, 21]
