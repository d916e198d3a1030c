"""Numbers that are no mean over contexts: counted by cell, merged as integers, read at the end.

Coverage, Gini, a median and a reliability curve need to know how much fell into which cell (a title, a rank, a bin of
probability), not one number per context. An `Accumulator` says what a context adds to which cells; its sums are a `Tally`,
kept per hash group of profiles, so partitions merge exactly and every reading has an interval by leaving out each group
in turn. Writing one takes two functions, in a file of your own:

    from rec_platform.evaluation.accumulators import Accumulator, Added

    def listed(view, k):
        context, title = view.lists.shown(k)
        return Added(context, title)

    SHOWN = Accumulator("shown", listed, {"titles_shown": lambda tally: float(len(tally.ids))}, cut=True, needs=("lists",))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rec_platform.evaluation.metrics import Population, counted_in
from rec_platform.evaluation.sums import fixed
from rec_platform.evaluation.tallies import GROUPS, Tally, tallied
from rec_platform.evaluation.ties import Bools, Floats, Ints

if TYPE_CHECKING:
    from rec_platform.evaluation.view import View

#: An error below this share of what is read without a group is rounding.
EQUAL: Final = 1e-12


@dataclass(frozen=True)
class Added:
    """What some contexts add: a row per addition.

    Attributes:
        context: int64: the row of the context in its block.
        ids: int64: the cell.
        amount: float64: how much, before the context's weight; None adds 1 each.
        size: how many cells each context could hit at most (the size of its candidate set), int64 per context of the
            block; the largest is kept. None if that means nothing.
    """

    context: Ints
    ids: Ints
    amount: Floats | None = None
    size: Ints | None = None


@dataclass(frozen=True)
class Accumulator:
    """What contexts add to which cells, and the metrics read from the sums.

    Attributes:
        name: unique; names its rows of `metric_sums`.
        take: (view, k) -> what the block's contexts add; k is 0 where there is no cut-off.
        readings: metric name -> its value of a tally; NaN where it has none.
        cut: whether it has a cut-off.
        needs: what of a `View` it reads besides the ranks of the positives (see `rec_platform.evaluation.view`).
        bounds: intervals are cut to it.
        population: the contexts that can add anything, which are counted.
    """

    name: str
    take: Callable[[View, int], Added]
    readings: Mapping[str, Callable[[Tally], float]]
    cut: bool = False
    needs: tuple[str, ...] = ()
    bounds: tuple[float, float] = (0.0, math.inf)
    population: Population = Population.LISTED

    @property
    def counted_in(self) -> str:
        """The population, with what is needed: as of a metric."""
        return counted_in(self.population, self.needs)

    def cutoffs(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return wanted if self.cut else (0,)


def tally(added: Added, weight: Floats, group: Ints, chosen: Bools) -> Tally:
    """The tally of the chosen contexts: each addition times its context's weight, rounded once.

    Args:
        weight, group, chosen: one value per context of the block.
    """
    inside = chosen[added.context]
    context = added.context[inside]
    amount = fixed(weight)[context] if added.amount is None else fixed(added.amount[inside] * weight[context])
    size = 0 if added.size is None else int(added.size[chosen].max(initial=0))
    return tallied(added.ids[inside], group[context], amount, size)


def joined(parts: Sequence[Added], starts: Ints) -> Added:
    """What contexts of several blocks add, as of one block; `starts` is the row of each block's first context."""
    amounts = [one.amount for one in parts if one.amount is not None]
    sizes = [one.size for one in parts if one.size is not None]
    return Added(
        np.concatenate([one.context + start for one, start in zip(parts, starts, strict=False)]).astype(np.int64),
        np.concatenate([one.ids for one in parts]),
        np.concatenate(amounts) if amounts else None,
        np.concatenate(sizes) if sizes else None,
    )


def left_out(given: Tally, readings: Iterable[Callable[[Tally], float]]) -> Floats:
    """Each reading of the tally, then of what is left of it without each hash group of profiles in turn.

    float64 of shape (readings, 1 + GROUPS).
    """
    tallies = [given, *(given.without(group) for group in range(GROUPS))]
    values = [
        [value(given), *(math.nan if other is given else value(other) for other in tallies[1:])] for value in readings
    ]
    found = np.array(values, dtype=np.float64).reshape(-1, 1 + GROUPS)
    same = np.array([other is given for other in tallies])
    return np.where(same, found[:, :1], found)


def with_errors(given: Tally, readings: Iterable[Callable[[Tally], float]]) -> list[tuple[float, float]]:
    """Each reading, and its standard error by leaving out each hash group of profiles in turn.

    The delete-a-group jackknife: (G - 1)/G times the sum of squared deviations of the G values from their mean. NaN where
    one group holds everything.
    """
    found = left_out(given, readings)
    moved = found[:, 1:] - found[:, :1]
    error = np.sqrt((GROUPS - 1) / GROUPS * ((moved - moved.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    return list(zip(found[:, 0].tolist(), error.tolist(), strict=True))


def paired_errors(a: Floats, b: Floats, used: Bools) -> tuple[Floats, int]:
    """Standard error of each difference a - b of readings, and its degrees of freedom.

    The delete-a-group jackknife of the difference: both tallies without the same group of profiles, so what both models
    share cancels. NaN with fewer than two groups, or where a reading has no number without one of them.

    Args:
        a, b: of `left_out`, by the same readings.
        used: bool, GROUPS values: the groups whose profiles hit anything in either tally.
    """
    n = int(used.sum())
    if n < 2:
        return np.full(len(a), np.nan), 0
    moved = (a - b)[:, 1:][:, used]
    size = np.abs(moved).max(axis=1)
    moved = moved - moved.mean(axis=1, keepdims=True)
    error = np.sqrt((n - 1) / n * (moved**2).sum(axis=1))
    return np.where(error < EQUAL * size, 0.0, error), n - 1
