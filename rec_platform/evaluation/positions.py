"""How high up the page: the rank of what was watched.

A rank is its expectation over the orders of equal scores, kept in halves: of each reachable positive (exact), and of the
first positive of a context (to the nearest half). Ranks are counted, not averaged, so a median is exact and merges.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.metrics import Population
from rec_platform.evaluation.tallies import Tally
from rec_platform.evaluation.view import View

#: Cells are ranks times this.
HALVES: Final = 2


def each(view: View, k: int) -> Added:
    """The expected rank of each reachable positive: above + 1 + equal / 2."""
    truth = view.truth
    above, equal = view.block.scored.ranks[view.model]
    ids = HALVES * above + equal + HALVES
    return Added(truth.context[truth.reachable], ids[truth.reachable])


def first(view: View, k: int) -> Added:
    """The expected rank of each context's first positive: start + (size + 1) / (positives + 1)."""
    groups = view.groups
    rank = groups.start + (groups.size + 1) / (groups.positives + 1)
    return Added(groups.context[groups.firsts], np.rint(HALVES * rank[groups.firsts]).astype(np.int64))


def mean(tally: Tally) -> float:
    """The mean rank, weighted."""
    weight = tally.totals
    return float((tally.ids * weight).sum() / (HALVES * weight.sum())) if weight.sum() else float("nan")


def median(tally: Tally) -> float:
    """The rank that half of the weight lies at or above; the middle of two where exactly half does."""
    until = np.cumsum(tally.totals)
    if not len(until):
        return float("nan")
    half = until[-1] / 2
    low, high = np.searchsorted(until, half, "left"), np.searchsorted(until, half, "right")
    return float((tally.ids[low] + tally.ids[min(high, len(until) - 1)]) / (2 * HALVES))


RANK: Final = Accumulator(
    "rank", each, {"mean_rank": mean, "median_rank": median}, population=Population.REACHABLE
)  # fmt: skip
FIRST_RANK: Final = Accumulator(
    "first_rank", first, {"mean_first_rank": mean, "median_first_rank": median}, population=Population.REACHABLE
)
