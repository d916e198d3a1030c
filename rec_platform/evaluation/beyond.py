"""Beyond accuracy: what a list is like, besides whether it holds what was watched. Sources: docs/metrics.md."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.metrics import Population, metric
from rec_platform.evaluation.ties import Floats
from rec_platform.evaluation.view import EXPECTED, GENRES, LISTS, PLAYS, TASTES, View

#: Steck's weight of the profile's own genres in the list's, so that a genre the list lacks has a finite price.
ALPHA: Final = 0.01


@metric(
    "novelty", about="mean over the first k of -log2 of the title's popularity", cut=True,
    population=Population.LISTED, needs=(LISTS, PLAYS),
)  # fmt: skip
def novelty(view: View, k: int) -> Floats:
    return view.lists.mean(-np.log2(view.block.popularity), k)


@metric(
    "diversity", about="mean over the pairs in the first k of 1 - cosine of their genres", cut=True,
    population=Population.LISTED, needs=(LISTS, GENRES),
)  # fmt: skip
def diversity(view: View, k: int) -> Floats:
    """Each title is the unit vector of its genres, so a sum over pairs is (|sum of vectors|^2 - titles) / 2.

    Of the group of s titles that k cuts, d stand inside: a pair of one of them and one above it counts d/s, a pair of two
    of them d(d - 1)/(s(s - 1)). A list of one title has no pair, and counts 0.
    """
    lists = view.lists
    pairs = view.block.genres
    unit = 1.0 / np.sqrt(np.bincount(pairs[0], minlength=len(lists.titles)))[pairs[0]]
    width = len(view.titles.names)
    first, last, drawn = lists.border(k)
    above = lists.sums(pairs, unit, width, np.zeros_like(first), first)
    tied = lists.sums(pairs, unit, width, first, last)
    size = last - first
    alike = (
        ((above**2).sum(axis=1) - first) / 2
        + (above * tied).sum(axis=1) * drawn / np.maximum(size, 1)
        + ((tied**2).sum(axis=1) - size) / 2 * drawn * (drawn - 1) / np.maximum(size * (size - 1), 1)
    )
    inside = np.minimum(lists.length, k)
    n_pairs = inside * (inside - 1) / 2
    return np.where(n_pairs > 0, 1.0 - alike / np.maximum(n_pairs, 1), 0.0)


@metric(
    "serendipity", about="positives in the first k that popularity does not place there, over k", cut=True,
    needs=(EXPECTED,),
)  # fmt: skip
def serendipity(view: View, k: int) -> Floats:
    expected = view.chance(k, view.block.knowledge.expected)
    found = view.chance(k)
    if view.model == view.block.knowledge.expected:
        expected = found = np.zeros_like(found)
    truth = view.truth
    return np.bincount(truth.context, weights=found * (1.0 - expected), minlength=truth.n_contexts) / k


@metric(
    "popularity_lift", about="mean popularity of the first k over that of what the profile played, less 1", cut=True,
    population=Population.TASTE, needs=(LISTS, PLAYS, TASTES),
)  # fmt: skip
def popularity_lift(view: View, k: int) -> Floats:
    shown = view.lists.mean(view.block.popularity, k)
    row = view.block.taste
    usual = np.where(row >= 0, np.append(view.tastes.popularity, np.nan)[row], np.nan)
    return shown / usual - 1.0


@metric(
    "genre_divergence", about="Kullback-Leibler divergence of the first k's genres from those the profile played",
    cut=True, population=Population.TASTE, needs=(LISTS, GENRES, TASTES),
)  # fmt: skip
def genre_divergence(view: View, k: int) -> Floats:
    """Not linear in the list, so ties are in the seeded order."""
    lists, titles = view.lists, view.titles
    pairs = view.block.genres
    each = 1.0 / np.bincount(pairs[0], minlength=len(lists.titles))[pairs[0]]
    inside = np.minimum(lists.length, k)
    shown = lists.sums(pairs, each, len(titles.names), np.zeros_like(inside), inside)
    row = view.block.taste
    played = view.tastes.genres[row] if len(view.tastes.genres) else np.zeros_like(shown)
    return divergence(played, shown / np.maximum(inside, 1)[:, None])


def divergence(played: Floats, shown: Floats, alpha: float = ALPHA) -> Floats:
    """Sum over genres of p ln(p / ((1 - alpha) q + alpha p)), row by row; genres with p = 0 add nothing.

    >>> divergence(np.array([[0.7, 0.3]]), np.array([[1.0, 0.0]])).round(4).tolist()
    [1.134]
    """
    smooth = (1 - alpha) * shown + alpha * played
    ratio = np.divide(played, smooth, out=np.ones_like(played), where=played > 0)
    return np.asarray((played * np.log(ratio)).sum(axis=1))


#: Of lists and of what is known of titles and profiles.
BEYOND: Final = (novelty, diversity, serendipity, popularity_lift, genre_divergence)
