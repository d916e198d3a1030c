"""Counts above and equal, tops and ties, by hand and against a slow oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.errors import NumericError
from rec_platform.scoring.ranking import best_first, standing, standings, tie_words, top_mask

#: Ties, a huge and a tiny range, both zeros, numbers next to each other, no bound at all.
ODD = [0.0, -0.0, 1.0, np.nextafter(1.0, 2.0), 5e-324, -5e-324, 1e308, -1e308, np.inf, -np.inf]


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


def test_no_contexts_at_all():
    got = standings(np.zeros((2, 0)), np.array([0]), np.array([]), np.zeros(0, dtype=bool), words(0), top=5)
    assert (got.rows.tolist(), got.bounds.tolist(), got.above.shape) == ([], [0], (2, 0))


def test_best_first_orders_equal_scores_by_word():
    assert best_first(np.array([1.0, 2.0, 1.0, 2.0]), words(4), 3).tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    "rank", [lambda s: standing(s[None], 2, s > 0, words(3), 1), lambda s: top_mask(s, words(3), 1)]
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_score_that_is_no_number_is_refused(rank, place):
    scores = np.ones(3)
    scores[place] = np.nan
    with pytest.raises(NumericError, match="1 scores are not a number"):
        rank(scores)


def sorted_out(scores: np.ndarray, n: int, always: np.ndarray, tie: np.ndarray, top: int):
    """One context by sorting every catalogue whole: rows, counts above, counts equal."""
    kept = always.copy()
    for own in scores[:, :n]:
        kept[np.lexsort((np.arange(n), tie[:n], -own))[:top]] = True
    rows = np.flatnonzero(kept)
    above, equal = np.full((len(scores), len(rows)), n), np.zeros((len(scores), len(rows)), dtype=int)
    for model, own in enumerate(scores[:, :n]):
        ascending, inside = np.sort(own), rows[rows < n]
        low, high = (np.searchsorted(ascending, own[inside], side=side) for side in ("left", "right"))
        above[model, : len(inside)], equal[model, : len(inside)] = n - high, high - low - 1
    return rows, above, equal


def drawn(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    match kind:
        case "even":
            return rng.random(shape)
        case "skewed":
            return np.exp(40 * rng.standard_normal(shape))
        case "ties":
            return rng.integers(0, 4, shape).astype(float)
        case "equal":
            return np.full(shape, rng.random())
        case "rising":
            return np.arange(np.prod(shape), dtype=float).reshape(shape) * rng.choice([-1, 1])
    return rng.choice(ODD, shape)


@given(
    seed=st.integers(0, 2**32), models=st.integers(1, 4), top=st.integers(1, 9), dtype=st.sampled_from(["f8", "f4"]),
    kind=st.sampled_from(["even", "skewed", "ties", "equal", "rising", "odd"]), same_words=st.booleans(),
    sizes=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 3)), max_size=5),
)  # fmt: skip
def test_standings_are_those_of_sorted_catalogues(seed, models, top, dtype, kind, same_words, sizes):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum([n + outside for n, outside in sizes])]).astype(np.int64)
    with np.errstate(over="ignore"):
        scores = drawn(kind, (models, offsets[-1]), rng).astype(dtype)
    always = rng.random(offsets[-1]) < 0.05
    tie = (
        np.ones(offsets[-1], dtype=np.uint64)
        if same_words
        else tie_words(1, np.full(offsets[-1], 7), np.arange(offsets[-1]))
    )
    got = standings(scores, offsets, np.array([n for n, _ in sizes], dtype=np.int64), always, tie, top)
    for i, (n, _) in enumerate(sizes):
        own, mine = slice(offsets[i], offsets[i + 1]), slice(got.bounds[i], got.bounds[i + 1])
        rows, above, equal = sorted_out(scores[:, own], n, always[own], tie[own], top)
        assert np.array_equal(got.rows[mine], rows + offsets[i])
        assert np.array_equal(got.above[:, mine], above)
        assert np.array_equal(got.equal[:, mine], equal)
        alone = standing(scores[:, own], n, always[own], tie[own], top)
        assert np.array_equal(alone.rows, rows) and np.array_equal(alone.above, above)


def test_a_large_catalogue_counted_item_by_item():
    """More than a block of scores, and marks that are crowded: half of all scores within a millionth of the range."""
    rng = np.random.default_rng(3)
    scores = np.where(rng.random((2, 5_000)) < 0.5, rng.random((2, 5_000)) * 1e-6, rng.integers(0, 300, (2, 5_000)))
    got = standing(scores, 5_000, rng.random(5_000) < 0.02, tie_words(1, np.zeros(5_000), np.arange(5_000)), 100)
    for model, own in enumerate(scores):
        assert got.above[model].tolist() == [int((own > own[row]).sum()) for row in got.rows]
        assert got.equal[model].tolist() == [int((own == own[row]).sum()) - 1 for row in got.rows]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 10))
def test_a_top_has_exactly_its_size(values, top):
    scores = np.array(values, dtype=float)
    mask = top_mask(scores, tie_words(3, np.zeros(len(scores)), np.arange(len(scores))), top)
    assert mask.sum() == min(top, len(scores))


def test_tie_words_depend_on_seed_context_and_title_alone():
    title = np.arange(50)
    first = tie_words(1, np.full(50, 3), title)
    assert np.array_equal(first[10:20], tie_words(1, np.full(10, 3), title[10:20]))
    assert not np.array_equal(first, tie_words(2, np.full(50, 3), title))
    assert not np.array_equal(np.argsort(first), np.argsort(tie_words(1, np.full(50, 4), title)))
    assert len(np.unique(first)) == 50
