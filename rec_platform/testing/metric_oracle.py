"""Metrics the slow, obvious way: full ranked lists, straight from the definitions, every order of equal scores tried.

A list here is labels in rank order, best first; an unreachable positive stands in `lost` (its label), never in the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, permutations, product
from typing import Final

Labels = Sequence[float]


def nmrr(labels: Labels, lost: Labels, k: int) -> float:
    positives = sum(label > 0 for label in labels) + len(lost)
    found = sum(1 / rank for rank, label in enumerate(labels, 1) if label > 0)
    return found / sum(1 / rank for rank in range(1, positives + 1))


def mrr(labels: Labels, lost: Labels, k: int) -> float:
    return next((1 / rank for rank, label in enumerate(labels, 1) if label > 0), 0.0)


def _dcg(labels: Labels) -> float:
    return sum(label / math.log2(rank + 1) for rank, label in enumerate(labels, 1))


def ndcg(labels: Labels, lost: Labels, k: int) -> float:
    ideal = sorted([*labels, *lost], reverse=True)
    return _dcg(labels[:k]) / _dcg(ideal[:k])


def recall(labels: Labels, lost: Labels, k: int) -> float:
    return sum(label > 0 for label in labels[:k]) / (sum(label > 0 for label in labels) + len(lost))


def precision(labels: Labels, lost: Labels, k: int) -> float:
    return sum(label > 0 for label in labels[:k]) / k


def r_precision(labels: Labels, lost: Labels, k: int) -> float:
    return precision(labels, lost, sum(label > 0 for label in labels) + len(lost))


def average_precision(labels: Labels, lost: Labels, k: int) -> float:
    at = [precision(labels, lost, rank) for rank, label in enumerate(labels, 1) if label > 0]
    return sum(at) / (len(at) + len(lost))


def hit_rate(labels: Labels, lost: Labels, k: int) -> float:
    return float(any(label > 0 for label in labels[:k]))


def auc(labels: Labels, lost: Labels, k: int) -> float:
    """Over all pairs of a positive and another candidate; lost positives lose every pair."""
    others = [rank for rank, label in enumerate(labels) if label <= 0]
    positives = [rank for rank, label in enumerate(labels) if label > 0]
    won = sum(mine < theirs for mine in positives for theirs in others)
    return won / (len(others) * (len(positives) + len(lost)))


def percentile_rank(labels: Labels, lost: Labels, k: int) -> float:
    """The share of the other candidates above each positive found, averaged."""
    above = [rank for rank, label in enumerate(labels) if label > 0]
    return sum(above) / len(above) / max(len(labels) - 1, 1)


#: The metrics by name, as `rec_platform.evaluation.STANDARD` names them.
BY_NAME: Final[dict[str, Callable[[Labels, Labels, int], float]]] = {
    "nmrr": nmrr, "mrr": mrr, "ndcg": ndcg, "recall": recall, "precision": precision, "r_precision": r_precision,
    "map": average_precision, "hit_rate": hit_rate, "auc": auc,
    "percentile_rank": percentile_rank,
}  # fmt: skip


def orders(scores: Sequence[float], labels: Labels) -> Iterator[list[float]]:
    """The labels in every order that sorting by falling score allows, each order of equal scores once."""
    ties = [[label for score, label in zip(scores, labels, strict=True) if score == one] for one in sorted(set(scores))]
    for order in product(*(permutations(tie) for tie in reversed(ties))):
        yield [label for tie in order for label in tie]


def expected(metric: str, scores: Sequence[float], labels: Labels, lost: Labels = (), k: int = 0) -> float:
    """The metric's mean over all orders of equal scores.

    >>> expected("mrr", [1.0, 1.0], [1.0, 0.0])   # first or second
    0.75
    """
    values = [BY_NAME[metric](order, lost, k) for order in orders(scores, labels)]
    return sum(values) / len(values)


def novelty(shown: Sequence[int], popularity: Sequence[float]) -> float:
    """Of a list of titles (positions in `popularity`), best first."""
    return _mean(-math.log2(popularity[title]) for title in shown)


def diversity(shown: Sequence[int], genres: Sequence[set[str]]) -> float:
    """1 - cosine of two sets of genres, over all pairs of the list; 0 without a pair."""
    pairs = combinations([genres[title] for title in shown], 2)
    return _mean(1 - len(one & other) / math.sqrt(len(one) * len(other)) for one, other in pairs)


def popularity_lift(shown: Sequence[int], played: Sequence[int], popularity: Sequence[float]) -> float:
    return _mean(popularity[title] for title in shown) / _mean(popularity[title] for title in played) - 1


def genre_divergence(shown: Sequence[int], played: Sequence[int], genres: Sequence[set[str]]) -> float:
    """Steck's C_KL with alpha = .01, natural logarithm."""
    names = set().union(*genres)
    p, q = (
        {name: _mean((name in genres[title]) / len(genres[title]) for title in titles) for name in names}
        for titles in (played, shown)
    )
    return sum(p[name] * math.log(p[name] / (0.99 * q[name] + 0.01 * p[name])) for name in names if p[name] > 0)


def gini(exposures: Sequence[float]) -> float:
    """Mean absolute difference of all pairs over twice the mean."""
    n, total = len(exposures), sum(exposures)
    return sum(abs(one - other) for one in exposures for other in exposures) / (2 * n * total)


def _mean(values: Iterable[float]) -> float:
    given = list(values)
    return sum(given) / len(given) if given else 0.0


def over_orders(scores: Sequence[float], k: int, value: Callable[[list[int]], float]) -> float:
    """The mean of a number of the first k titles (positions in `scores`), over all orders of equal scores.

    >>> over_orders([1.0, 2.0, 2.0], 1, lambda shown: shown[0])
    1.5
    """
    return _mean(value([int(title) for title in order][:k]) for order in orders(scores, range(len(scores))))
