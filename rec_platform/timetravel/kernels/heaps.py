"""Heaps that meld: many over the same nodes, each known by its least node, -1 where it is empty."""

from __future__ import annotations

from rec_platform.timetravel.kernels.compiling import Int32, compiled


@compiled
def melded(rows: Int32, left: Int32, right: Int32, one: int, other: int) -> int:
    """The heap of the nodes of two: a skew heap, so that n nodes take O(n log n) in whatever order they come and go.

    `rows` is what nodes are compared by; `left` and `right` are the nodes below each, -1 for none. The heap without its
    least node is `melded(rows, left, right, left[least], right[least])`.
    """
    if one < 0 or other < 0:
        return max(one, other)
    if rows[other] < rows[one]:
        one, other = other, one
    least = one
    while True:
        below = right[one]
        right[one] = left[one]
        if below < 0:
            left[one] = other
            return least
        if rows[other] < rows[below]:
            below, other = other, below
        left[one] = below
        one = below
