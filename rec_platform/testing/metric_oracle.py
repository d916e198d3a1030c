"""Metrics the slow, obvious way: full ranked lists, straight from the definitions, every order of equal scores tried.

A list here is labels in rank order, best first; an unreachable positive stands in `lost` (its label), never in the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
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
