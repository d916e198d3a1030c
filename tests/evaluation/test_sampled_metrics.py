"""Krichene and Rendle's example: drawn candidates reverse the order of recommenders. The table of docs/metrics.md."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rec_platform.evaluation import metrics as m
from rec_platform.evaluation.ties import Truth, tie_groups

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
N, DRAWN = 10_000, 99
RANKS = {"A": (100, 100, 100, 100, 100), "B": (40, 40, 8437, 9266, 4482), "C": (212, 2, 743, 5342, 1548)}
COLUMNS = ((m.auc, 0), (m.average_precision, 0), (m.ndcg, N), (m.recall, 10))


def values(ranks, candidates):
    """Each column's value of contexts with one positive at these ranks: shape (columns, contexts)."""
    n = len(ranks)
    truth = Truth(n, np.arange(n), np.ones(n), np.ones(n, bool), np.full(n, candidates))
    groups = tie_groups(truth, np.asarray(ranks) - 1, np.zeros(n, np.int64))
    return np.array([metric(groups, k) for metric, k in COLUMNS])


def exact(name):
    return values(RANKS[name], N).mean(axis=1)


def drawn(name):
    """With titles drawn with replacement, the rank is 1 + a binomial number of those above."""
    at = values(np.arange(1, DRAWN + 2), DRAWN + 1)
    chances = [[math.comb(DRAWN, x) * q**x * (1 - q) ** (DRAWN - x) for x in range(DRAWN + 1)]
               for q in ((rank - 1) / (N - 1) for rank in RANKS[name])]  # fmt: skip
    return at @ np.mean(chances, axis=0)


@pytest.mark.parametrize("name", list(RANKS))
def test_the_table_in_the_docs_is_computed(name):
    for label, numbers in ((f"{name}, exact", exact(name)), (f"{name}, {DRAWN} drawn", drawn(name))):
        row = f"| {label} | " + " | ".join(f"{one:.3f}" for one in numbers) + " |"
        assert row in PAGE.read_text()


def test_the_order_is_reversed():
    for column in (1, 2, 3):
        assert max(RANKS, key=lambda name: exact(name)[column]) == "C"
        assert max(RANKS, key=lambda name: drawn(name)[column]) == "A"
    assert exact("C")[1] > exact("B")[1] * 10
    assert drawn("C")[1] < drawn("B")[1]


def test_auc_alone_survives():
    for name in RANKS:
        assert drawn(name)[0] == pytest.approx(exact(name)[0], abs=1e-9)
