"""From ranked contexts to tie groups: the only thing a rank metric needs to see.

A rank metric depends on a model only through its tie groups that hold a positive: how many candidates stand above the
group, how many are in it, how many of those are positives. So nothing is sorted: for each positive it is counted how many
candidates score above it (`above`) and how many *others* score equal (`equal`), over the whole candidate set. The `scores`
table stores exactly these two numbers; from full lists they are counted here.

A positive is an item with label > 0; its label is its gain. An unreachable positive (outside the candidate set) counts
among the positives and can never be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rec_platform.errors import NumericError, SchemaError
from rec_platform.evaluation import kernels
from rec_platform.timetravel.kernels import plain

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Contexts with more positives than this are sorted instead of compared pair by pair.
MANY: Final = 64


@dataclass(frozen=True)
class Truth:
    """What happened in n contexts: P positives, the same for every model.

    Attributes:
        n_contexts: n.
        context: int64, P values, ascending: the context of each positive.
        gain: float64, P values > 0: the label.
        reachable: bool, P values: whether the title is in the context's candidate set.
        n_candidates: int64, n values: the size of the candidate set.
        bounds: `first`, where somebody has it.
    """

    n_contexts: int
    context: Ints
    gain: Floats
    reachable: Bools
    n_candidates: Ints
    bounds: Ints | None = None

    def __post_init__(self) -> None:
        if np.any(self.context[1:] < self.context[:-1]):
            raise SchemaError(
                "positives are not in the order of their contexts", place="truth of an evaluation",
                repair="Give them context by context, as list offsets do.",
            )  # fmt: skip
        if np.any(self.n_reachable > self.n_candidates):
            raise NumericError(
                "a context has more reachable positives than candidates", place="truth of an evaluation",
                repair="n_candidates counts the whole candidate set, positives included.",
            )  # fmt: skip

    def count(self, chosen: Bools | None = None) -> Ints:
        """Positives per context (of those chosen): int64, n values."""
        rows = self.context if chosen is None else self.context[chosen]
        return np.bincount(rows, minlength=self.n_contexts).astype(np.int64)

    @cached_property
    def n_positives(self) -> Ints:
        return np.diff(self.first)

    @cached_property
    def first(self) -> Ints:
        """The rows of context i's positives are first[i]:first[i + 1] (n + 1 values)."""
        return np.append(0, np.cumsum(self.count())) if self.bounds is None else self.bounds

    @cached_property
    def n_reachable(self) -> Ints:
        return self.n_positives if self.reachable.all() else self.count(self.reachable)

    @cached_property
    def n_negatives(self) -> Ints:
        """Candidates that are no positive: int64, n values."""
        return self.n_candidates - self.n_reachable

    @cached_property
    def ideal_gain(self) -> Floats:
        """Gains by falling gain within each context (P values, contexts ascending)."""
        return self.gain[np.lexsort((-self.gain, self.context))]

    @cached_property
    def ideal_rank(self) -> Ints:
        """The rank, from 1, that each of `ideal_gain` has in the best possible order."""
        starts = np.cumsum(self.n_positives) - self.n_positives
        return np.arange(1, len(self.context) + 1) - starts[self.context]


@dataclass(frozen=True)
class TieGroups:
    """The tie groups of one model that hold at least one reachable positive, G groups over n contexts.

    Attributes:
        truth: the contexts.
        context: int64, G values, ascending; within a context groups stand from the highest score down.
        start: candidates that score above the group, so its ranks are start + 1 ... start + size.
        size: candidates in the group, positives included.
        positives: reachable positives in the group, at least 1.
        gain: the sum of their gains.
        before: reachable positives in the context's earlier groups.
    """

    truth: Truth
    context: Ints
    start: Ints
    size: Ints
    positives: Ints
    gain: Floats
    before: Ints

    def total(self, values: Floats) -> Floats:
        """The sum of a value per group over each context: float64, n values."""
        sums = np.bincount(self.context, weights=values, minlength=self.truth.n_contexts)
        return np.asarray(sums, dtype=np.float64)

    @cached_property
    def firsts(self) -> Bools:
        """Whether a group is its context's first."""
        return np.asarray(self.before == 0)


def tie_groups(truth: Truth, above: Ints, equal: Ints) -> TieGroups:
    """The tie groups from, per positive, the candidates above and the other candidates equal (P values each).

    Values at unreachable positives are not read. Raises `NumericError` where the counts cannot be.

    >>> truth = Truth(1, np.array([0, 0]), np.ones(2), np.array([True, True]), np.array([5]))
    >>> groups = tie_groups(truth, np.array([1, 1]), np.array([2, 2]))
    >>> groups.start, groups.size, groups.positives
    (array([1]), array([3]), array([2]))
    """
    order = _by_rank(truth, above)
    context, start, size = truth.context[order], above[order], equal[order] + 1
    _check(context, start, size, truth.n_candidates)
    first = _starts(context, start)
    positives = np.diff(np.append(first, len(order)))
    gain = np.add.reduceat(truth.gain[order], first) if len(first) else np.zeros(0)
    if np.any(np.repeat(size[first], positives) != size) or np.any(positives > size[first]):
        raise _impossible("positives that score equal disagree on how many do")
    reached = np.cumsum(truth.n_reachable) - truth.n_reachable
    return TieGroups(truth, context[first], start[first], size[first], positives, gain, first - reached[context[first]])


def _by_rank(truth: Truth, above: Ints) -> Ints:
    """Rows of the reachable positives by context, then rank."""
    rows = np.flatnonzero(truth.reachable)
    return rows[np.lexsort((above[rows], truth.context[rows]))]


def _starts(context: Ints, start: Ints) -> Ints:
    """Where a new (context, start) begins in sorted rows."""
    if not len(context):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(True, (np.diff(context) != 0) | (np.diff(start) != 0)))


def _check(context: Ints, start: Ints, size: Ints, n_candidates: Ints) -> None:
    if np.any(start < 0) or np.any(size < 1) or np.any(start + size > n_candidates[context]):
        raise _impossible("a positive stands outside the candidate set")


def _impossible(fault: str) -> NumericError:
    return NumericError(
        fault, place="n_above and n_equal of the scores",
        repair="n_above counts candidates that score higher, n_equal OTHER candidates that score the same.",
    )  # fmt: skip


def restricted(truth: Truth, keep: Bools) -> Truth:
    """The truth where positives not kept leave the list (reachable ones leave the candidate set too)."""
    gone = truth.count(truth.reachable & ~keep)
    return Truth(
        truth.n_contexts, truth.context[keep], truth.gain[keep], truth.reachable[keep], truth.n_candidates - gone
    )


def restricted_positions(truth: Truth, above: Ints, equal: Ints, keep: Bools) -> tuple[Ints, Ints]:
    """`above` and `equal` of the kept positives once the others have left the list.

    Two positives of a context score equal iff as many candidates stand above them, so what leaves above and beside each
    one can be counted from the positives alone.
    """
    order = _by_rank(truth, above)
    first = _starts(truth.context[order], above[order])
    leaving = np.append(0, np.cumsum(~keep[order]))
    rows_of_group = np.diff(np.append(first, len(order)))
    reached = np.cumsum(truth.n_reachable) - truth.n_reachable
    earlier = leaving[first] - leaving[reached[truth.context[order][first]]]
    beside = leaving[first + rows_of_group] - leaving[first]
    new_above, new_equal = above.copy(), equal.copy()
    new_above[order] -= np.repeat(earlier, rows_of_group)
    new_equal[order] -= np.repeat(beside, rows_of_group)
    return new_above[keep], new_equal[keep]


def positions(scores: Scores, offsets: Ints, rows: Ints, context: Ints, candidate: Bools) -> tuple[Ints, Ints]:
    """Candidates above and other candidates equal, for the items `rows`, from full score lists.

    Args:
        scores: m values; context i owns offsets[i]:offsets[i + 1].
        rows, context: the items asked for, by context ascending, and their contexts.
        candidate: m values; items outside the candidate set are never counted.
    """
    above, equal = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    first = np.append(0, np.cumsum(np.bincount(context, minlength=len(offsets) - 1)))
    place(scores, offsets, rows, first, None if candidate.all() else candidate, above, equal)
    return above, equal


def place(
    scores: Scores, offsets: Ints, rows: Ints, first: Ints, candidate: Bools | None, above: Ints, equal: Ints
) -> bool:
    """Write the same where context i asks for rows[first[i]:first[i + 1]], in `above` and `equal`.

    Args:
        candidate: None where all are.

    Returns whether a score is NaN. Scores of 32 bits are compared as they are.
    """
    given = _read_only(scores)
    counted = given if candidate is None else _read_only(np.where(candidate, scores, scores.dtype.type(np.nan)))
    bounds = plain(offsets, np.int64)
    missing, crowded = kernels.places(
        given, counted, bounds, plain(rows, np.int64), plain(first, np.int64), MANY, above, equal
    )
    for one in np.flatnonzero(np.diff(first) > MANY) if crowded else ():
        own = slice(first[one], first[one + 1])
        above[own], equal[own] = _by_sorting(counted[bounds[one] : bounds[one + 1]], given[rows[own]])
        equal[own] -= counted[rows[own]] == given[rows[own]]
    return bool(missing)


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Contiguous and not to be written, which kernels of scores and labels are compiled for (Arrow's arrays are so)."""
    seen = np.ascontiguousarray(values).view()
    seen.flags.writeable = False
    return seen


def positives(label: Floats, offsets: Ints) -> tuple[Ints, Ints, Ints, Floats]:
    """The items with a label above 0: rows, where each context's begin among them, contexts and labels.

    P, n + 1, P and P values.
    """
    rows, context = np.empty((2, len(label)), dtype=np.int64)
    gain, first = np.empty(len(label)), np.zeros(len(offsets), dtype=np.int64)
    found = kernels.positives(_read_only(label), plain(offsets, np.int64), rows, first, context, gain)
    return rows[:found], first, context[:found], gain[:found]


def _by_sorting(counted: Scores, values: Scores) -> tuple[Ints, Ints]:
    """Above and equal for one context by binary search: sorted once, NaN (no candidate) last."""
    ordered = np.sort(counted[~np.isnan(counted)])
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return len(ordered) - right, right - left
