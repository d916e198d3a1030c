"""The compiled loops of evaluation, compiled and cached as those of time travel are: plain arrays in and out.

Words: context i has the positives first[i]:first[i + 1]. A **kind** of context is what metrics can depend on: candidates,
reachable positives, positives. A kind of tie group is a kind of context with the group's start, size, positives and the
positives before it (`rec_platform.evaluation.kinds`).
"""

from __future__ import annotations

from rec_platform.evaluation.kernels.amounts import add_rows, add_slices, count, weighed
from rec_platform.evaluation.kernels.arrangements import TOGETHER, add_arrangements, arrange, number_arrangements
from rec_platform.evaluation.kernels.hashes import draw, judged, most_drawn
from rec_platform.evaluation.kernels.kinds import FIELDS, judge, kinds_of, rehash
from rec_platform.evaluation.kernels.places import places, positives
from rec_platform.evaluation.kernels.types import BOUND, ONE, Words

__all__ = [
    "BOUND",
    "FIELDS",
    "ONE",
    "TOGETHER",
    "Words",
    "add_arrangements",
    "add_rows",
    "add_slices",
    "arrange",
    "count",
    "draw",
    "judge",
    "judged",
    "kinds_of",
    "most_drawn",
    "number_arrangements",
    "places",
    "positives",
    "rehash",
    "weighed",
]
