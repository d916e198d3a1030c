"""Metrics against hand-worked fractions, brute force over orders, and an independent library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from rec_platform.errors import ConfigError, NumericError
from rec_platform.evaluation import STANDARD, metric, own, registry
from rec_platform.evaluation import metrics as m
from rec_platform.evaluation.ties import Truth, positions, restricted, restricted_positions, tie_groups
from rec_platform.testing import metric_oracle

BY_NAME = {one.name: one for one in STANDARD}


def groups_of(scores, labels, reachable=None):
    """Tie groups of one context from its full list; unreachable items are no candidates."""
    scores, labels = np.asarray(scores, float), np.asarray(labels, float)
    candidate = np.ones(len(labels), bool) if reachable is None else np.asarray(reachable, bool)
    rows = np.flatnonzero(labels > 0)
    context = np.zeros(len(rows), np.int64)
    above, equal = positions(scores, np.array([0, len(scores)]), rows, context, candidate)
    truth = Truth(1, context, labels[rows], candidate[rows], np.array([candidate.sum()]))
    return tie_groups(truth, above, equal)


def value(name, groups, k=0):
    return float(BY_NAME[name](groups, k)[0])


# the list: positives at ranks 2 and 4 of 5
RANKED = ([5, 4, 3, 2, 1], [0, 1, 0, 1, 0])
# the same with the titles at ranks 2, 3 and 4 tied
TIED = ([5, 4, 4, 4, 1], [0, 1, 0, 1, 0])
# every title tied
CONSTANT = ([7, 7, 7, 7, 7], [0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    ("given_list", "name", "k", "expected"),
    [
        (RANKED, "nmrr", 0, (1 / 2 + 1 / 4) / (1 + 1 / 2)),
        (RANKED, "mrr", 0, 1 / 2),
        (RANKED, "ndcg", 3, (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        (RANKED, "ndcg", 5, (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))),
        (RANKED, "ndcg", 1, 0.0),
        (RANKED, "recall", 3, 1 / 2),
        (RANKED, "precision", 3, 1 / 3),
        (RANKED, "precision", 10, 2 / 10),
        (RANKED, "recall", 10, 1.0),
        (RANKED, "r_precision", 0, 1 / 2),
        (RANKED, "map", 0, (1 / 2 + 2 / 4) / 2),
        (RANKED, "hit_rate", 1, 0.0),
        (RANKED, "hit_rate", 2, 1.0),
        (RANKED, "auc", 0, (2 + 1) / 6),
        (TIED, "nmrr", 0, 2 * (1 / 2 + 1 / 3 + 1 / 4) / 3 / (3 / 2)),
        (TIED, "mrr", 0, 2 / 3 * 1 / 2 + 1 / 3 * 1 / 3),
        (TIED, "recall", 3, 2 / 3),
        (TIED, "precision", 2, 2 / 3 / 2),
        (TIED, "hit_rate", 2, 2 / 3),
        (TIED, "hit_rate", 3, 1.0),
        (TIED, "map", 0, ((1 / 2 + 2 / 3) + (1 / 2 + 2 / 4) + (1 / 3 + 2 / 4)) / 3 / 2),
        (TIED, "auc", 0, 2 * (1 + 1 / 2) / 6),
        (TIED, "r_precision", 0, 1 / 3),
        (CONSTANT, "recall", 2, 2 / 5),
        (CONSTANT, "precision", 2, 2 / 5),
        (CONSTANT, "hit_rate", 2, 1 - (3 / 5) * (2 / 4)),
        (CONSTANT, "auc", 0, 1 / 2),
        (CONSTANT, "nmrr", 0, 2 / 5 * (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / (3 / 2)),
        (CONSTANT, "mrr", 0, 4 / 10 * 1 + 3 / 10 / 2 + 2 / 10 / 3 + 1 / 10 / 4),
    ],
)
def test_hand_worked(given_list, name, k, expected):
    assert value(name, groups_of(*given_list), k) == pytest.approx(expected, abs=1e-12)


def test_graded_gains_count_in_ndcg_only():
    groups = groups_of([3, 2, 1], [1, 0, 3])
    assert value("ndcg", groups, 3) == pytest.approx((1 + 3 / 2) / (3 + 1 / math.log2(3)))
    assert value("recall", groups, 1) == 1 / 2


def test_an_unreachable_positive_counts_in_the_denominators_and_is_never_found():
    groups = groups_of([3, 2, 9], [1, 0, 1], reachable=[True, True, False])
    assert value("recall", groups, 100) == 1 / 2
    assert value("nmrr", groups) == pytest.approx(1 / (1 + 1 / 2))
    assert value("map", groups) == 1 / 2
    assert value("auc", groups) == 1 / 2
    assert value("ndcg", groups, 5) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_contexts_without_a_positive_are_outside_the_population():
    truth = Truth(2, np.array([1]), np.ones(1), np.array([True]), np.array([5, 1]))
    assert m.members("positive", truth).tolist() == [False, True]
    assert m.members("pair", truth).tolist() == [False, False]
    assert m.members("any", truth).tolist() == [True, True]


LISTS = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.sampled_from([0, 0, 1, 2]), min_size=n, max_size=n),
    )
)


@given(LISTS, st.lists(st.sampled_from([1, 2]), max_size=2), st.integers(1, 8), st.randoms(use_true_random=False))
def test_every_metric_is_its_mean_over_the_orders_of_equal_scores(drawn, lost, k, random):
    scores, labels = drawn
    if not any(labels) and not lost:
        return
    rows = [*zip(scores, labels, [True] * len(labels), strict=True), *((9, label, False) for label in lost)]
    random.shuffle(rows)
    groups = groups_of(*zip(*rows, strict=True))
    for name, one in BY_NAME.items():
        if m.members(one.population, groups.truth)[0]:
            expected = metric_oracle.expected(name, scores, labels, lost, k)
            assert value(name, groups, k) == pytest.approx(expected, abs=1e-12), name


@given(st.integers(0, 10_000))
def test_ndcg_and_auc_agree_with_sklearn_under_ties(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 30), rng.integers(0, 3, 30)
    labels[:2] = 0, 2
    groups = groups_of(scores, labels)
    assert value("ndcg", groups, 10) == pytest.approx(ndcg_score([labels], [scores], k=10), abs=1e-12)
    assert value("auc", groups) == pytest.approx(roc_auc_score(labels > 0, scores), abs=1e-12)


@given(st.integers(0, 10_000))
def test_counting_pairs_and_sorting_agree(seed):
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(rng.integers(1, 150, 5)))
    scores, candidate = rng.integers(0, 10, offsets[-1]).astype(float), rng.random(offsets[-1]) < 0.9
    rows = np.flatnonzero(rng.random(offsets[-1]) < 0.6)
    context = np.searchsorted(offsets, rows, side="right") - 1
    above, equal = positions(scores, offsets, rows, context, candidate)
    for row, one, higher, same in zip(rows, context, above, equal, strict=True):
        others = [i for i in range(offsets[one], offsets[one + 1]) if candidate[i] and i != row]
        assert higher == sum(scores[i] > scores[row] for i in others)
        assert same == sum(scores[i] == scores[row] for i in others)


@given(st.integers(0, 10_000))
def test_positives_outside_a_slice_leave_the_list_and_all_else_stays(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 4, 12), rng.integers(0, 2, 12)
    reachable, keep = rng.random(12) < 0.8, rng.random(12) < 0.5
    groups = groups_of(scores, labels, reachable)
    stays = (labels == 0) | keep
    direct = groups_of(scores[stays], labels[stays], reachable[stays])
    kept = keep[labels > 0]
    above, equal = positions(
        scores.astype(float), np.array([0, 12]), np.flatnonzero(labels > 0), groups.truth.context, reachable
    )
    ours = tie_groups(restricted(groups.truth, kept), *restricted_positions(groups.truth, above, equal, kept))
    for name in ("start", "size", "positives", "gain", "before"):
        assert getattr(ours, name).tolist() == getattr(direct, name).tolist(), name
    assert ours.truth.n_candidates.tolist() == direct.truth.n_candidates.tolist()


def test_the_first_of_many_tied_positives_is_exact_at_size():
    """With P of N tied, E[1/first] for P = N/2 nears sum of 2^-x / x = ln 2."""
    assert m._first_reciprocal(0, 20_000, 10_000) == pytest.approx(math.log(2), abs=1e-4)
    assert m._first_reciprocal(10, 5, 1) == pytest.approx(sum(1 / rank for rank in range(11, 16)) / 5)


@pytest.mark.parametrize(("above", "equal"), [([3], [0]), ([-1], [0]), ([0], [3]), ([0], [-1])])
def test_counts_that_cannot_be_are_refused(above, equal):
    truth = Truth(1, np.array([0]), np.ones(1), np.array([True]), np.array([3]))
    with pytest.raises(NumericError, match="n_above and n_equal"):
        tie_groups(truth, np.array(above), np.array(equal))


def test_equal_positives_must_agree_on_how_many_are_equal():
    truth = Truth(1, np.array([0, 0]), np.ones(2), np.array([True, True]), np.array([3]))
    with pytest.raises(NumericError, match="disagree"):
        tie_groups(truth, np.array([0, 0]), np.array([1, 2]))


def test_a_metric_in_a_file_of_its_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "from rec_platform.evaluation.metrics import expected_gain, metric, recall\n"
        "@metric('found', cut=True, about='positives in the first k')\n"
        "def found(groups, k):\n"
        "    return expected_gain(groups, groups.positives, k, np.ones_like)\n"
    )
    (found,) = own.load((str(file),)).metrics
    assert (found.name, found(groups_of(*RANKED), 2).tolist()) == ("found", [1.0])
    before = own.fingerprints((str(file),))
    file.write_text(file.read_text().replace("first k", "top k"))
    assert own.fingerprints((str(file),)) != before


def test_files_without_a_metric_and_names_twice_are_refused(tmp_path):
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ConfigError, match="no metric in it"):
        own.load((str(tmp_path / "empty.py"),))
    with pytest.raises(ConfigError, match="no such file"):
        own.load((str(tmp_path / "absent.py"),))
    again = metric("mrr", about="")(lambda groups, k: np.zeros(1))
    with pytest.raises(ConfigError, match="two metrics are called 'mrr'"):
        registry.check_names((*STANDARD, again), ())
