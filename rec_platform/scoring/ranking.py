"""Standing in a ranking, exactly: who is in a model's top, and how many candidates score above and equal.

Rank metrics are exact from these counts: an item with `a` candidates above and `e` others equal stands, in the expectation over
random orders of equal scores, on ranks a + 1 to a + 1 + e with equal probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rec_platform.contexts.hashing import mix, seeded
from rec_platform.errors import NumericError
from rec_platform.timetravel import kernels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Standing:
    """The kept items of contexts.

    Attributes:
        rows: their rows, ascending (k).
        bounds: the items of context i are rows[bounds[i]:bounds[i + 1]] (contexts + 1).
        above: candidates that score strictly above, shape (models, k).
        equal: other candidates that score equal, shape (models, k).
    """

    rows: Ints
    bounds: Ints
    above: Ints
    equal: Ints


def tie_words(seed: int, context_id: Ints, title_id: Ints) -> Words:
    """The word that orders equal scores, a pure function of seed, context and title; the smaller stands first."""
    return mix(mix(seeded(seed, purpose="ties"), context_id), title_id)


def standings(scores: Floats, offsets: Ints, n_candidates: Ints, always: Mask, words: Words, top: int) -> Standing:
    """Where the items of contexts stand under each model.

    Args:
        scores: shape (models, m); the items of context i are offsets[i]:offsets[i + 1], its candidates first.
        n_candidates: how many of a context's items are candidates.
        always: items kept whatever they score (m).
        words: what breaks ties at the border of a top (m); the smaller stands first.
        top: how many candidates of each model's top are kept, at least 1.

    An item outside the candidate set has every candidate above it and none equal. No catalogue is sorted: the border of a
    top is selected, and candidates are counted between the scores of the kept ones (docs/decisions/0099).

    Raises `NumericError` where a score is NaN.
    """
    scores = kernels.plain(scores, np.float64)
    ends, sizes = kernels.plain(offsets, np.int64), kernels.plain(n_candidates, np.int64)
    rows = np.flatnonzero(kept(scores, ends, sizes, always, words, top))
    bounds = np.searchsorted(rows, ends)
    values = scores[:, rows]
    for start, stop in pairwise(bounds):
        values[:, start:stop].sort(axis=1)
    above, equal = np.empty(values.shape, dtype=np.int64), np.empty(values.shape, dtype=np.int64)
    kernels.count_above(scores, ends, sizes, rows, bounds, values, above, equal)
    return Standing(rows, bounds, above, equal)


def kept(scores: Floats, offsets: Ints, n_candidates: Ints, always: Mask, words: Words, top: int) -> Mask:
    """Which items are kept: those of `always` and the union of each model's top (arguments as of `standings`)."""
    mask = always.copy()
    scores, order = kernels.plain(scores, np.float64), kernels.plain(words, np.uint64)
    ends, sizes = kernels.plain(offsets, np.int64), kernels.plain(n_candidates, np.int64)
    _refuse_nan(kernels.keep_best(scores, ends, sizes, order, top, mask))
    return mask


def standing(scores: Floats, n_candidates: int, always: Mask, words: Words, top: int) -> Standing:
    """`standings` of a single context."""
    return standings(scores, np.array([0, scores.shape[1]]), np.array([n_candidates]), always, words, top)


def _refuse_nan(wrong: np.int64) -> None:
    if wrong:
        raise NumericError(
            f"{wrong} scores are not a number", place="scores to be ranked",
            repair="A model must give every item a number; correct the one that does not.",
        )  # fmt: skip


def top_mask(scores: Floats, words: Words, top: int) -> Mask:
    """Which items are the `top` best; among those equal at the border, the ones of the smallest words.

    >>> scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    >>> top_mask(scores, np.array([9, 8, 1, 5, 0], dtype=np.uint64), 3).tolist()
    [True, False, True, True, False]
    """
    ends, kept = np.array([0, len(scores)]), np.zeros(len(scores), dtype=np.bool_)
    own, order = kernels.plain(scores, np.float64), kernels.plain(words, np.uint64)
    _refuse_nan(kernels.keep_best(own[None, :], ends, np.diff(ends), order, top, kept))
    return kept


def best_first(scores: Floats, words: Words, top: int) -> Ints:
    """The rows of the `top` best, best first, equal scores by ascending word."""
    rows = np.flatnonzero(top_mask(scores, words, top))
    return rows[np.lexsort((words[rows], -scores[rows]))]
