"""Standing in a ranking, exactly: who is in a model's top, and how many candidates score above and equal.

Rank metrics are exact from these counts: an item with `a` candidates above and `e` others equal stands, in the expectation over
random orders of equal scores, on ranks a + 1 to a + 1 + e with equal probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rec_platform.contexts.hashing import mix, seeded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Standing:
    """The kept items of one context.

    Attributes:
        rows: their rows in the context, ascending (k).
        above: candidates that score strictly above, shape (models, k).
        equal: other candidates that score equal, shape (models, k).
    """

    rows: Ints
    above: Ints
    equal: Ints


def tie_words(seed: int, context_id: Ints, title_id: Ints) -> Words:
    """The word that orders equal scores, a pure function of seed, context and title; the smaller stands first."""
    return mix(mix(seeded(seed, purpose="ties"), context_id), title_id)


def standing(scores: Floats, n_candidates: int, always: Mask, words: Words, top: int) -> Standing:
    """Where the items of one context stand under each model.

    Args:
        scores: shape (models, m): the candidates first, then items outside the candidate set.
        n_candidates: how many of the m are candidates.
        always: items kept whatever they score (m).
        words: what breaks ties at the border of a top (m).
        top: how many candidates of each model's top are kept.

    An item outside the candidate set has every candidate above it and none equal.
    """
    candidates = scores[:, :n_candidates]
    ascending = np.sort(candidates, axis=1)
    kept = always.copy()
    for model in range(len(scores)):
        kept[:n_candidates] |= top_mask(candidates[model], ascending[model], words[:n_candidates], top)
    rows = np.flatnonzero(kept)
    reached = int(np.searchsorted(rows, n_candidates))
    above = np.full((len(scores), len(rows)), n_candidates, dtype=np.int64)
    equal = np.zeros_like(above)
    for model in range(len(scores)):
        mine = candidates[model, rows[:reached]]
        right = np.searchsorted(ascending[model], mine, side="right")
        above[model, :reached] = n_candidates - right
        equal[model, :reached] = right - np.searchsorted(ascending[model], mine, side="left") - 1
    return Standing(rows, above, equal)


def top_mask(scores: Floats, ascending: Floats, words: Words, top: int) -> Mask:
    """Which items are the `top` best; among those equal at the border, the ones of the smallest words.

    >>> scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    >>> top_mask(scores, np.sort(scores), np.array([9, 8, 1, 5, 0], dtype=np.uint64), 3).tolist()
    [True, False, True, True, False]
    """
    if len(scores) <= top:
        return np.ones(len(scores), dtype=np.bool_)
    border = ascending[-top]
    chosen: Mask = np.asarray(scores > border)
    level = np.flatnonzero(scores == border)
    free = top - int(chosen.sum())
    chosen[level[np.argpartition(words[level], free - 1)[:free]]] = True
    return chosen


def best_first(scores: Floats, words: Words, top: int) -> Ints:
    """The rows of the `top` best, best first, equal scores by ascending word."""
    rows = np.flatnonzero(top_mask(scores, np.sort(scores), words, top))
    return rows[np.lexsort((words[rows], -scores[rows]))]
