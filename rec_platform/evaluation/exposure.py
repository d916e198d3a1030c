"""What models show: coverage and Gini of exposure, from how often each title stood in a list.

Coverage@k is the share of the catalogue that stood in some list's first k. Gini@k is the Gini coefficient of the exposure of
the catalogue's titles, those never shown counting 0: 0 if all are shown alike, 1 - k/n if every list holds the same k of n.
The catalogue is the union of the candidate sets, as far as it was seen (`catalogued`): the titles that stood in any model's
list, `random`'s among them, or the largest candidate set of a context, where that is more (decision 0104).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.scored import SAMPLED
from rec_platform.evaluation.sums import Key
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


def catalogued(tallies: Mapping[Key, Tally]) -> dict[Key, Tally]:
    """The tallies, those of exposure with the catalogue of their slice as their size: the same for all its models.

    `random` shows each context a simple random sample of its candidate set, so what it never showed is hardly there: a title
    that is a candidate of c contexts of n candidates each is missed by its first k with probability (1 - k/n)^c.
    """
    slices: dict[Key, list[Tally]] = {}
    for key, tally in tallies.items():
        if key.metric in _NAMES:
            slices.setdefault(key._replace(model="", k=0), []).append(tally)
    sizes = {
        where: max(len(np.unique(np.concatenate([one.ids for one in some]))), *(one.size for one in some))
        for where, some in slices.items()
    }
    made: dict[tuple[int, int], Tally] = {}  # of one country, `all` and the country share a tally
    found = dict(tallies)
    for key, tally in tallies.items():
        if key.metric in _NAMES:
            size = sizes[key._replace(model="", k=0)]
            found[key] = made.setdefault((id(tally), size), replace(tally, size=size) if size > tally.size else tally)
    return found


EXPOSURE: Final = Accumulator(
    "exposure", shown, {"coverage": coverage, "gini": gini}, cut=True, needs=(LISTS,), bounds=(0.0, 1.0)
)
_NAMES: Final = (EXPOSURE.name, EXPOSURE.name + SAMPLED)
