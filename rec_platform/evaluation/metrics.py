"""Metrics of a context: each one a small function over tie groups, exact in expectation over the order of equal scores.

A metric sees `TieGroups` and a cut-off k (0 where it has none) and returns one number per context. It may return anything
where the context is outside the metric's population (no positive); those contexts are left out and counted. Writing one
takes a function and the decorator, in a file of your own:

    from rec_platform.evaluation.metrics import expected_gain, metric

    @metric("found", cut=True, about="positives in the first k")
    def found(groups, k):
        return expected_gain(groups, groups.positives, k, np.ones_like)

Nearly all are a sum over a context's tie groups, over a number of the context. One that says so (`over`) gives a number per
group, of the group's and the context's own counts alone; it is then worked out once per kind of group (`kinds`):

    @metric("found", cut=True, about="positives in the first k", over=lambda truth, k: np.ones(truth.n_contexts))
    def found(groups, k):
        return gain_of_groups(groups, groups.positives, k, np.ones_like)

A metric that reads more than tie groups (lists, probabilities, what is known of titles and profiles) names it in `needs` and
is given the whole `View` in place of the groups. Numbers that are no mean over contexts are `Accumulator`s.

Formulas, sources and edge cases: docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rec_platform.evaluation.ties import Bools, Floats, Ints, TieGroups, Truth

if TYPE_CHECKING:
    from rec_platform.evaluation.view import View


class Population(StrEnum):
    """The contexts that a metric is a mean over."""

    POSITIVE = "positive"  # at least one positive, reachable or not
    PAIR = "pair"  # at least one positive and one candidate that is none
    REACHABLE = "reachable"  # at least one positive in the candidate set
    LISTED = "listed"  # at least one candidate
    TASTE = "taste"  # at least one candidate, and a profile that played before
    ANY = "any"  # every context


def members(population: str, truth: Truth, has_taste: Bools | None = None) -> Bools:
    """Which contexts belong to a population: bool, n values; `has_taste` (n values) is none where it is not known.

    What a population's metrics need may follow its name after a colon: those contexts were judged with it.
    """
    name = population.partition(":")[0]
    inside = _INSIDE[name](truth)
    if name != Population.TASTE:
        return inside
    return np.zeros_like(inside) if has_taste is None else inside & has_taste


_INSIDE: Final[Mapping[str, Callable[[Truth], Bools]]] = {
    Population.POSITIVE: lambda truth: truth.n_positives > 0,
    Population.PAIR: lambda truth: (truth.n_positives > 0) & (truth.n_negatives > 0),
    Population.REACHABLE: lambda truth: truth.n_reachable > 0,
    Population.LISTED: lambda truth: truth.n_candidates > 0,
    Population.TASTE: lambda truth: truth.n_candidates > 0,  # and a taste
    Population.ANY: lambda truth: np.ones(truth.n_contexts, dtype=bool),
}


def counted_in(population: str, needs: tuple[str, ...]) -> str:
    """The name of the denominator of what is defined on a population and needs something."""
    return f"{population}: {', '.join(sorted(needs))}" if needs else str(population)


@dataclass(frozen=True)
class ByGroup:
    """A metric that is a sum over tie groups, over a number of the context; 0 where that is 0.

    Attributes:
        part: (tie groups, k) -> a number per group, from its own start, size, positives, gain, before and its context's
            counts, not from other groups.
        over: (truth, k) -> a number per context, from its own counts and gains.
    """

    part: Callable[[TieGroups, int], Floats]
    over: Callable[[Truth, int], Ints | Floats]

    def __call__(self, groups: TieGroups, k: int) -> Floats:
        return _ratio(groups.total(self.part(groups, k)), self.over(groups.truth, k))


@dataclass(frozen=True)
class Metric:
    """A mean over contexts of a number per context.

    Attributes:
        name: unique; what tables show.
        about: one line for docs and reports.
        value: (tie groups, or the view where `needs` is not empty; k) -> float64, n values.
        cut: whether it has a cut-off.
        population: the contexts it is defined on.
        needs: what of a `View` it reads besides the tie groups (see `rec_platform.evaluation.view`).
    """

    name: str
    about: str
    value: Callable[[Any, int], Floats]
    cut: bool
    population: Population
    needs: tuple[str, ...] = ()

    def __call__(self, groups: Any, k: int = 0) -> Floats:
        return self.value(groups, k)

    @property
    def by_group(self) -> ByGroup | None:
        """Its parts, where it is a sum over tie groups."""
        return self.value if isinstance(self.value, ByGroup) else None

    @property
    def counted_in(self) -> str:
        """The population, with what is needed: contexts judged without it must not enter this metric's denominator."""
        return counted_in(self.population, self.needs)

    def of(self, view: View, k: int) -> Floats:
        """Its value of each context of a view."""
        return self.value(view if self.needs else view.groups, k)

    def cutoffs(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return wanted if self.cut else (0,)


def metric(
    name: str,
    *,
    about: str,
    cut: bool = False,
    population: Population = Population.POSITIVE,
    needs: tuple[str, ...] = (),
    over: Callable[[Truth, int], Ints | Floats] | None = None,
) -> Callable[[Callable[[Any, int], Floats]], Metric]:
    """Make a function (groups, k), or (view, k) with `needs`, -> one value per context into a `Metric`.

    With `over` the function gives one value per *group* (`ByGroup`).
    """

    def made(value: Callable[[Any, int], Floats]) -> Metric:
        return Metric(name, about, value if over is None else ByGroup(value, over), cut, population, needs)

    return made


def prefix(discount: Callable[[Floats], Floats], longest: int) -> Floats:
    """Sums of discount(1) ... discount(r) for r = 0 ... longest.

    >>> prefix(lambda rank: 1 / rank, 2).tolist()
    [0.0, 1.0, 1.5]
    """
    return np.append(0.0, np.cumsum(discount(np.arange(1.0, longest + 1))))


def harmonic(longest: int) -> Floats:
    """H(0) ... H(longest), H(n) = 1 + 1/2 + ... + 1/n."""
    return prefix(np.reciprocal, longest)


def _within(groups: TieGroups, k: int) -> tuple[Ints, Ints]:
    """The ranks 0-based [from, to) that each group has inside the first k (all ranks if k is 0)."""
    end = groups.start + groups.size
    return (groups.start, end) if k == 0 else (np.minimum(groups.start, k), np.minimum(end, k))


def gain_of_groups(groups: TieGroups, gains: Ints | Floats, k: int, discount: Callable[[Floats], Floats]) -> Floats:
    """Sum over a group's positives of gain x discount(rank), ranks up to k, in expectation: linear in the discount.

    Each position of a tie group is equally likely for each of its positives, so a group adds its gain times the mean
    discount of its positions (McSherry and Najork, "Computing information retrieval performance measures efficiently in
    the presence of tied scores", 2008).
    """
    first, last = _within(groups, k)
    sums = prefix(discount, int(last.max(initial=0)))
    return np.asarray(gains * (sums[last] - sums[first]) / groups.size)


def expected_gain(groups: TieGroups, gains: Ints | Floats, k: int, discount: Callable[[Floats], Floats]) -> Floats:
    """The same summed over the groups of each context."""
    return groups.total(gain_of_groups(groups, gains, k, discount))


def _log2(rank: Floats) -> Floats:
    return np.asarray(1.0 / np.log2(rank + 1.0))


def _ratio(numerator: Floats, denominator: Ints | Floats) -> Floats:
    """Element-wise, 0 where the denominator is 0 (such contexts are outside the population)."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)


def _positives(truth: Truth, k: int) -> Ints:
    return truth.n_positives


def _best_nmrr(truth: Truth, k: int) -> Floats:
    positives = truth.n_positives
    return np.asarray(harmonic(int(positives.max(initial=0)))[positives])


@metric("nmrr", about="sum over positives of 1/rank, over 1 + 1/2 + ... + 1/P", over=_best_nmrr)
def nmrr(groups: TieGroups, k: int) -> Floats:
    return gain_of_groups(groups, groups.positives, 0, np.reciprocal)


def _best_dcg(truth: Truth, k: int) -> Floats:
    best = np.where(truth.ideal_rank <= k, truth.ideal_gain * _log2(truth.ideal_rank.astype(np.float64)), 0.0)
    return np.bincount(truth.context, weights=best, minlength=truth.n_contexts).astype(np.float64)


@metric("ndcg", about="sum of gain / log2(1 + rank) in the first k, over its best possible value", cut=True,
        over=_best_dcg)  # fmt: skip
def ndcg(groups: TieGroups, k: int) -> Floats:
    return gain_of_groups(groups, groups.gain, k, _log2)


@metric("recall", about="share of the positives found in the first k", cut=True, over=_positives)
def recall(groups: TieGroups, k: int) -> Floats:
    return gain_of_groups(groups, groups.positives, k, np.ones_like)


@metric(
    "precision", about="positives in the first k, over k", cut=True, over=lambda truth, k: np.full(truth.n_contexts, k)
)
def precision(groups: TieGroups, k: int) -> Floats:
    return gain_of_groups(groups, groups.positives, k, np.ones_like)


@metric("r_precision", about="positives in the first P, over P", over=_positives)
def r_precision(groups: TieGroups, k: int) -> Floats:
    inside = np.clip(groups.truth.n_positives[groups.context] - groups.start, 0, groups.size)
    return np.asarray(groups.positives * inside / groups.size)


@metric("map", about="average precision: the mean over positives of precision at their rank", over=_positives)
def average_precision(groups: TieGroups, k: int) -> Floats:
    """Pairwise: a positive at position x of its group has, among the x - 1 before it, (x - 1)(p - 1)/(s - 1) of the
    group's other positives, so precision there is (before + 1 + (x - 1) c) / (start + x) with c = (p - 1)/(s - 1).
    The sum over x of (x - 1)/(start + x) is s - (start + 1)(H(start + s) - H(start)).
    """
    sums = harmonic(int((groups.start + groups.size).max(initial=0)))
    reciprocals = sums[groups.start + groups.size] - sums[groups.start]
    others = (groups.positives - 1) / np.maximum(groups.size - 1, 1)
    precisions = (groups.before + 1) * reciprocals + others * (groups.size - (groups.start + 1) * reciprocals)
    return np.asarray(groups.positives / groups.size * precisions)


@metric(
    "auc", about="share of (positive, other candidate) pairs in the right order, ties 1/2", population=Population.PAIR,
    over=lambda truth, k: truth.n_negatives * truth.n_positives,
)  # fmt: skip
def auc(groups: TieGroups, k: int) -> Floats:
    """An unreachable positive has every other candidate above it."""
    tied = groups.size - groups.positives
    below = groups.truth.n_negatives[groups.context] - (groups.start - groups.before) - tied
    return np.asarray(groups.positives * (below + tied / 2))


@metric(
    "percentile_rank", about="mean over the reachable positives of the share of other candidates above them",
    population=Population.REACHABLE, over=lambda truth, k: truth.n_reachable * np.maximum(truth.n_candidates - 1, 1),
)  # fmt: skip
def percentile_rank(groups: TieGroups, k: int) -> Floats:
    """0 at the top of the list, 1 at its end; others that score the same count 1/2."""
    return np.asarray(groups.positives * (groups.start + (groups.size - 1) / 2))


def _one(truth: Truth, k: int) -> Floats:
    return np.ones(truth.n_contexts)


def _of_firsts(groups: TieGroups, values: Floats) -> Floats:
    """A value of each context's first group, 0 of the others."""
    parts = np.zeros(len(groups.context))
    parts[groups.firsts] = values
    return parts


@metric("hit_rate", about="whether a positive is in the first k", cut=True, over=_one)
def hit_rate(groups: TieGroups, k: int) -> Floats:
    """Only the first group can be cut by k and decide: it misses if none of its k - start drawn positions holds a
    positive, which is hypergeometric."""
    first = groups.firsts
    drawn = np.clip(k - groups.start[first], 0, groups.size[first])
    return _of_firsts(groups, 1.0 - _none_drawn(groups.size[first], groups.positives[first], drawn))


def _none_drawn(size: Ints, positives: Ints, drawn: Ints) -> Floats:
    """C(size - positives, drawn) / C(size, drawn): no positive among `drawn` of `size`."""
    chance = np.where(drawn == 0, 1.0, np.where(drawn >= size, 0.0, 1.0))
    open_ = np.flatnonzero((drawn > 0) & (drawn < size))
    for already in range(int(positives[open_].max(initial=0))):
        open_ = open_[positives[open_] > already]
        left = size[open_] - already
        chance[open_] *= np.maximum(left - drawn[open_], 0) / left
    return np.asarray(chance)


@metric("mrr", about="1/rank of the first positive", over=_one)
def mrr(groups: TieGroups, k: int) -> Floats:
    """With only positives in the first group it is 1 / (start + 1); otherwise worked out once per distinct group."""
    first = groups.firsts
    start, size, positives = groups.start[first], groups.size[first], groups.positives[first]
    reciprocal = np.asarray(1.0 / (start + 1.0), dtype=np.float64)
    tied = size > positives
    kinds, which = np.unique(np.column_stack([start, size, positives])[tied], axis=0, return_inverse=True)
    reciprocal[tied] = np.array([_first_reciprocal(*kind) for kind in kinds.tolist()])[which.ravel()]
    return _of_firsts(groups, reciprocal)


def _first_reciprocal(start: int, size: int, positives: int) -> float:
    """E[1 / (start + X)], X the first of `positives` among `size` positions; E[1/rank] is not 1/E[rank].

    P(X = x) = C(size - x, positives - 1) / C(size, positives), made from x = 1 on by its ratio to the one before.
    """
    place = np.arange(1.0, size - positives + 2)
    ratios = (size - place[:-1] - positives + 1) / (size - place[:-1])
    chance = positives / size * np.append(1.0, np.cumprod(ratios))
    return float(np.sum(chance / (start + place)))


#: Of every model, from its tie groups alone.
STANDARD: Final = (nmrr, mrr, ndcg, recall, precision, r_precision, average_precision, hit_rate, auc, percentile_rank)
