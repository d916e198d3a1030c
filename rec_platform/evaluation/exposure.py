"""What models show: coverage and Gini of exposure, from how often each title stood in a list.

Coverage@k is the share of the catalogue that stood in some list's first k. Gini@k is the Gini coefficient of the exposure of
the catalogue's titles, those never shown counting 0: 0 if all are shown alike, 1 - k/n if every list holds the same k of n.
The catalogue is the largest candidate set of any context (or the titles shown, where they are more), so both are exact where
one context could see everything (decision 0044).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.tallies import Tally
from rec_platform.evaluation.view import LISTS, View


def shown(view: View, k: int) -> Added:
    """Each title in a context's first k, in the seeded order."""
    context, title = view.lists.shown(k)
    return Added(context, title, size=view.lists.size)


def _catalogue(tally: Tally) -> int:
    return max(tally.size, len(tally.ids))


def coverage(tally: Tally) -> float:
    """Titles shown over the catalogue."""
    return len(tally.ids) / _catalogue(tally) if _catalogue(tally) else float("nan")


def gini(tally: Tally) -> float:
    """Sum over titles by rising exposure x of (2 i - n - 1) x_i, over n times the sum of x (i from 1 to n).

    >>> uniform = Tally(np.array([1, 2]), np.array([1, 1]), np.array([5, 5]), size=4)
    >>> gini(uniform)
    0.5
    """
    exposure, n = np.sort(tally.totals), _catalogue(tally)
    total = exposure.sum()
    if not total:
        return float("nan")
    rank = np.arange(n - len(exposure) + 1, n + 1)
    return float(((2 * rank - n - 1) * exposure).sum() / (n * total))


EXPOSURE: Final = Accumulator(
    "exposure", shown, {"coverage": coverage, "gini": gini}, cut=True, needs=(LISTS,), bounds=(0.0, 1.0)
)
