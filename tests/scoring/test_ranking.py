"""Counts above and equal, tops and ties, by hand and against a slow oracle."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.scoring.ranking import best_first, standing, tie_words, top_mask


def words(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint64)[::-1].copy()


def test_counts_by_hand():
    """Candidates score 3 2 2 1; a fifth item, outside the set, scores 2: all four stand above it, none is equal."""
    scores = np.array([[3.0, 2.0, 2.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0, 9.0]])
    got = standing(scores, 4, np.array([False, True, False, True, True]), words(5), top=1)
    assert got.rows.tolist() == [0, 1, 3, 4]
    assert got.above.tolist() == [[0, 1, 3, 4], [0, 0, 0, 4]]
    assert got.equal.tolist() == [[0, 1, 0, 0], [3, 3, 3, 0]]


def test_each_models_top_is_kept():
    scores = np.array([[5.0, 1.0, 0.0, 2.0], [0.0, 1.0, 5.0, 2.0]])
    got = standing(scores, 4, np.zeros(4, dtype=bool), words(4), top=2)
    assert got.rows.tolist() == [0, 2, 3]


def test_no_candidates_at_all():
    got = standing(np.array([[1.0]]), 0, np.array([True]), words(1), top=5)
    assert (got.rows.tolist(), got.above.tolist(), got.equal.tolist()) == ([0], [[0]], [[0]])


def test_best_first_orders_equal_scores_by_word():
    assert best_first(np.array([1.0, 2.0, 1.0, 2.0]), words(4), 3).tolist() == [3, 1, 2]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=12), min_size=1, max_size=1),
    st.integers(1, 6), st.integers(0, 3),
)  # fmt: skip
def test_counts_and_tops_agree_with_counting_one_by_one(models, top, outside):
    scores = np.array(models, dtype=float)
    m = scores.shape[1]
    n = m - min(outside, m - 1)
    tie = tie_words(1, np.full(m, 7), np.arange(m))
    got = standing(scores, n, np.arange(m) >= n, tie, top)
    for model in range(len(scores)):
        ranked = sorted(range(n), key=lambda row: (-scores[model, row], int(tie[row])))
        assert set(ranked[:top]) <= set(got.rows.tolist())
        for position, row in enumerate(got.rows):
            higher = sum(scores[model, other] > scores[model, row] for other in range(n))
            equal = sum(scores[model, other] == scores[model, row] for other in range(n) if other != row)
            expected = (higher, equal) if row < n else (n, 0)
            assert (got.above[model, position], got.equal[model, position]) == expected
    assert len(got.rows) == len({*(r for r in range(n, m)), *got.rows.tolist()})


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 10))
def test_a_top_has_exactly_its_size(values, top):
    scores = np.array(values, dtype=float)
    mask = top_mask(scores, np.sort(scores), tie_words(3, np.zeros(len(scores)), np.arange(len(scores))), top)
    assert mask.sum() == min(top, len(scores))


def test_tie_words_depend_on_seed_context_and_title_alone():
    title = np.arange(50)
    first = tie_words(1, np.full(50, 3), title)
    assert np.array_equal(first[10:20], tie_words(1, np.full(10, 3), title[10:20]))
    assert not np.array_equal(first, tie_words(2, np.full(50, 3), title))
    assert not np.array_equal(np.argsort(first), np.argsort(tie_words(1, np.full(50, 4), title)))
    assert len(np.unique(first)) == 50
