"""Rank metrics: each one a small function over tie groups, exact in expectation over the order of equal scores.

A metric sees `TieGroups` and a cut-off k (0 where it has none) and returns one number per context. It may return anything
where the context is outside the metric's population (no positive); those contexts are left out and counted. Writing one
takes a function and the decorator, in a file of your own:

    from rec_platform.evaluation.metrics import expected_gain, metric

    @metric("found@k", cut=True, about="positives in the first k")
    def found(groups, k):
        return expected_gain(groups, groups.positives, k, np.ones)

Formulas, sources and edge cases: docs/metrics.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from rec_platform.errors import ConfigError
from rec_platform.evaluation.ties import Bools, Floats, Ints, TieGroups, Truth


class Population(StrEnum):
    """The contexts that a metric is a mean over."""

    POSITIVE = "positive"  # at least one positive, reachable or not
    PAIR = "pair"  # at least one positive and one candidate that is none
    ANY = "any"  # every context


def members(population: str, truth: Truth) -> Bools:
    """Which contexts belong to a population: bool, n values."""
    if population == Population.ANY:
        return np.ones(truth.n_contexts, dtype=bool)
    positive = truth.n_positives > 0
    return positive if population == Population.POSITIVE else positive & (truth.n_negatives > 0)


@dataclass(frozen=True)
class Metric:
    """A rank metric.

    Attributes:
        name: unique; what tables show.
        about: one line for docs and reports.
        value: (groups, k) -> float64, n values.
        cut: whether it has a cut-off.
        population: the contexts it is defined on.
    """

    name: str
    about: str
    value: Callable[[TieGroups, int], Floats]
    cut: bool
    population: Population

    def __call__(self, groups: TieGroups, k: int = 0) -> Floats:
        return self.value(groups, k)

    def cutoffs(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return wanted if self.cut else (0,)


def metric(
    name: str, *, about: str, cut: bool = False, population: Population = Population.POSITIVE
) -> Callable[[Callable[[TieGroups, int], Floats]], Metric]:
    """Make a function (groups, k) -> one value per context into a `Metric`."""
    return lambda value: Metric(name, about, value, cut, population)


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


def expected_gain(groups: TieGroups, gains: Ints | Floats, k: int, discount: Callable[[Floats], Floats]) -> Floats:
    """Sum over positives of gain x discount(rank), ranks up to k, in expectation: linear in the discount.

    Each position of a tie group is equally likely for each of its positives, so a group adds its gain times the mean
    discount of its positions (McSherry and Najork, "Computing information retrieval performance measures efficiently in
    the presence of tied scores", 2008).
    """
    first, last = _within(groups, k)
    sums = prefix(discount, int(last.max(initial=0)))
    return groups.total(gains * (sums[last] - sums[first]) / groups.size)


def _log2(rank: Floats) -> Floats:
    return np.asarray(1.0 / np.log2(rank + 1.0))


def _ratio(numerator: Floats, denominator: Ints | Floats) -> Floats:
    """Element-wise, 0 where the denominator is 0 (such contexts are outside the population)."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)


@metric("nmrr", about="sum over positives of 1/rank, over 1 + 1/2 + ... + 1/P")
def nmrr(groups: TieGroups, k: int) -> Floats:
    positives = groups.truth.n_positives
    best = harmonic(int(positives.max(initial=0)))[positives]
    return _ratio(expected_gain(groups, groups.positives, 0, np.reciprocal), best)


@metric("ndcg", about="sum of gain / log2(1 + rank) in the first k, over its best possible value", cut=True)
def ndcg(groups: TieGroups, k: int) -> Floats:
    truth = groups.truth
    best = np.where(truth.ideal_rank <= k, truth.ideal_gain * _log2(truth.ideal_rank.astype(np.float64)), 0.0)
    ideal = np.bincount(truth.context, weights=best, minlength=truth.n_contexts).astype(np.float64)
    return _ratio(expected_gain(groups, groups.gain, k, _log2), ideal)


@metric("recall", about="share of the positives found in the first k", cut=True)
def recall(groups: TieGroups, k: int) -> Floats:
    return _ratio(expected_gain(groups, groups.positives, k, np.ones_like), groups.truth.n_positives)


@metric("precision", about="positives in the first k, over k", cut=True)
def precision(groups: TieGroups, k: int) -> Floats:
    return expected_gain(groups, groups.positives, k, np.ones_like) / k


@metric("r_precision", about="positives in the first P, over P")
def r_precision(groups: TieGroups, k: int) -> Floats:
    positives = groups.truth.n_positives
    inside = np.clip(positives[groups.context] - groups.start, 0, groups.size)
    return _ratio(groups.total(groups.positives * inside / groups.size), positives)


@metric("map", about="average precision: the mean over positives of precision at their rank")
def average_precision(groups: TieGroups, k: int) -> Floats:
    """Pairwise: a positive at position x of its group has, among the x - 1 before it, (x - 1)(p - 1)/(s - 1) of the
    group's other positives, so precision there is (before + 1 + (x - 1) c) / (start + x) with c = (p - 1)/(s - 1).
    The sum over x of (x - 1)/(start + x) is s - (start + 1)(H(start + s) - H(start)).
    """
    sums = harmonic(int((groups.start + groups.size).max(initial=0)))
    reciprocals = sums[groups.start + groups.size] - sums[groups.start]
    others = (groups.positives - 1) / np.maximum(groups.size - 1, 1)
    precisions = (groups.before + 1) * reciprocals + others * (groups.size - (groups.start + 1) * reciprocals)
    return _ratio(groups.total(groups.positives / groups.size * precisions), groups.truth.n_positives)


@metric(
    "auc", about="share of (positive, other candidate) pairs in the right order, ties 1/2", population=Population.PAIR
)
def auc(groups: TieGroups, k: int) -> Floats:
    """An unreachable positive has every other candidate above it."""
    others = groups.truth.n_negatives
    tied = groups.size - groups.positives
    below = others[groups.context] - (groups.start - groups.before) - tied
    right = groups.total(groups.positives * (below + tied / 2))
    return _ratio(right, others * groups.truth.n_positives)


@metric("hit_rate", about="whether a positive is in the first k", cut=True)
def hit_rate(groups: TieGroups, k: int) -> Floats:
    """Only the first group can be cut by k and decide: it misses if none of its k - start drawn positions holds a
    positive, which is hypergeometric."""
    first = groups.firsts
    drawn = np.clip(k - groups.start[first], 0, groups.size[first])
    values = np.zeros(groups.truth.n_contexts)
    values[groups.context[first]] = 1.0 - _none_drawn(groups.size[first], groups.positives[first], drawn)
    return values


def _none_drawn(size: Ints, positives: Ints, drawn: Ints) -> Floats:
    """C(size - positives, drawn) / C(size, drawn): no positive among `drawn` of `size`."""
    chance = np.where(drawn == 0, 1.0, np.where(drawn >= size, 0.0, 1.0))
    open_ = np.flatnonzero((drawn > 0) & (drawn < size))
    for already in range(int(positives[open_].max(initial=0))):
        open_ = open_[positives[open_] > already]
        left = size[open_] - already
        chance[open_] *= np.maximum(left - drawn[open_], 0) / left
    return np.asarray(chance)


@metric("mrr", about="1/rank of the first positive")
def mrr(groups: TieGroups, k: int) -> Floats:
    """With only positives in the first group it is 1 / (start + 1); otherwise worked out once per distinct group."""
    first = groups.firsts
    start, size, positives = groups.start[first], groups.size[first], groups.positives[first]
    reciprocal = 1.0 / (start + 1.0)
    tied = size > positives
    kinds, which = np.unique(np.column_stack([start, size, positives])[tied], axis=0, return_inverse=True)
    reciprocal[tied] = np.array([_first_reciprocal(*kind) for kind in kinds.tolist()])[which.ravel()]
    values = np.zeros(groups.truth.n_contexts)
    values[groups.context[first]] = reciprocal
    return values


def _first_reciprocal(start: int, size: int, positives: int) -> float:
    """E[1 / (start + X)], X the first of `positives` among `size` positions; E[1/rank] is not 1/E[rank].

    P(X = x) = C(size - x, positives - 1) / C(size, positives), made from x = 1 on by its ratio to the one before.
    """
    place = np.arange(1.0, size - positives + 2)
    ratios = (size - place[:-1] - positives + 1) / (size - place[:-1])
    chance = positives / size * np.append(1.0, np.cumprod(ratios))
    return float(np.sum(chance / (start + place)))


#: The metrics evaluated unless told otherwise.
STANDARD: Final = (nmrr, mrr, ndcg, recall, precision, r_precision, average_precision, hit_rate, auc)


def fingerprints(files: tuple[str, ...]) -> list[str]:
    """SHA-256 of each file of metrics: a changed metric makes stored numbers stale."""
    return [hashlib.sha256(_python_file(file).read_bytes()).hexdigest() for file in files]


def load(files: tuple[str, ...]) -> tuple[Metric, ...]:
    """The metrics defined in Python files of the user's own, file by file, by name within a file."""
    return tuple(found for file in files for found in _of_file(_python_file(file)))


def _python_file(file: str) -> Path:
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError("not a Python file", place=file, repair="Name a .py file that defines metrics.")
    return path


def _of_file(path: Path) -> list[Metric]:
    spec = importlib.util.spec_from_file_location(f"rec_platform_metrics_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = {id(standard) for standard in STANDARD}
    found = [thing for thing in vars(module).values() if isinstance(thing, Metric) and id(thing) not in known]
    if not found:
        raise ConfigError(
            "no metric in it", place=str(path), repair="Decorate a function with @metric(name, about=...)."
        )
    return sorted(found, key=lambda thing: thing.name)


def distinct(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """`metrics` if their names are distinct, else `ConfigError`."""
    names = [one.name for one in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two metrics are called {twice[0]!r}", place="metrics", repair="Give each a name of its own."
        )
    return metrics
