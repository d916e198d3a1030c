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
from typing import TYPE_CHECKING

import numpy as np

from rec_platform.evaluation.metrics import Population, counted_in
from rec_platform.evaluation.sums import fixed
from rec_platform.evaluation.tallies import GROUPS, Tally, tallied
from rec_platform.evaluation.ties import Bools, Floats, Ints

if TYPE_CHECKING:
    from rec_platform.evaluation.view import View


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


def with_errors(given: Tally, readings: Iterable[Callable[[Tally], float]]) -> list[tuple[float, float]]:
    """Each reading, and its standard error by leaving out each hash group of profiles in turn.

    The delete-a-group jackknife: (G - 1)/G times the sum of squared deviations of the G values from their mean. NaN where
    one group holds everything.
    """
    others = [given.without(group) for group in range(GROUPS)]
    return [_with_error(value, value(given), given, others) for value in readings]


def _with_error(
    value: Callable[[Tally], float], whole: float, given: Tally, others: Sequence[Tally]
) -> tuple[float, float]:
    moved = np.array([whole if other is given else value(other) for other in others]) - whole
    return whole, math.sqrt((GROUPS - 1) / GROUPS * ((moved - moved.mean()) ** 2).sum())
