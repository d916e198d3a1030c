"""Positives, and how many candidates of their contexts score above and equal."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.kernels.types import Floating, Index
from rec_platform.timetravel.kernels import Float64, Int64, compiled, lanes

EIGHT: Final = np.uint64(lanes.LANES)
#: Labels looked at at once: the bits of a word.
WORD: Final = np.uint64(64)


@compiled
def positives(
    label: Float64, offsets: Int64, rows: Int64, first: Int64, context: Int64, gain: Float64
) -> np.int64:  # fmt: skip
    """Write the row, the context and the label of each item with a label above 0, and where each context's begin.

    `label` cannot be written to; `rows`, `context` and `gain` have room for every item, and only as much of it is touched as is
    found. Returns how many there are.
    """
    found = Index(0)
    for i in range(Index(len(offsets) - 1)):
        begin, end = Index(offsets[i]), Index(offsets[i + Index(1)])
        while begin < end:  # as many labels as a word has bits
            stop, bits, place = min(end, begin + WORD), Index(0), begin
            while place + EIGHT <= stop:
                bits |= lanes.above(label, place, 0.0) << (place - begin)
                place += EIGHT
            while place < stop:
                bits |= Index(label[place] > 0) << (place - begin)
                place += Index(1)
            while bits:
                row = begin + lanes.lowest(bits)
                rows[found], context[found], gain[found] = row, i, label[row]
                bits &= bits - Index(1)
                found += Index(1)
            begin = stop
        first[i + Index(1)] = found
    return np.int64(found)


@compiled
def _equal(counted: Floating, mine: float, begin: Index, end: Index) -> np.int64:
    equal = np.int64(0)
    for j in range(begin, end):
        equal += np.int64(counted[j] == mine)
    return equal


@compiled
def _incomplete(scores: Floating, begin: Index, end: Index) -> bool:
    """Whether a score is NaN."""
    missing = False
    for j in range(begin, end):
        missing |= bool(scores[j] != scores[j])
    return missing


@compiled
def places(
    scores: Floating,
    counted: Floating,
    offsets: Int64,
    rows: Int64,
    first: Int64,
    most: int,
    above: Int64,
    equal: Int64,
) -> tuple[bool, bool]:
    """Write, for each positive, how many of its context's candidates score above it and how many others equal.

    What scores neither above nor below is looked for only where the two do not make up the list.

    Args:
        scores, counted: cannot be written to; `counted` is the same but NaN, neither above nor equal, where an item is no
            candidate.
        rows: the positives; context i has rows[first[i]:first[i + 1]].
        most: contexts with more positives than this are left as they are.

    Returns whether a score is NaN, of contexts left as they are too; and whether there are such contexts.
    """
    missing, crowded = False, False
    for i in range(Index(len(first) - 1)):
        begin, end = Index(offsets[i]), Index(offsets[i + Index(1)])
        unclear = bool(not 0 < first[i + Index(1)] - first[i] <= most)
        crowded |= bool(first[i + Index(1)] - first[i] > most)
        rest = (end - begin) % EIGHT
        whole = end - rest
        last = end - EIGHT if end - begin >= EIGHT else end  # the list's last eight, of which the rest is new
        news = (Index(0xFF) << (EIGHT - rest)) & Index(0xFF)
        for place in range(Index(first[i]), Index(first[i] if unclear else first[i + Index(1)])):
            row = Index(rows[place])
            mine, more, less = scores[row], Index(0), Index(0)
            for j in range(begin, whole, EIGHT):
                more += lanes.ones(lanes.above(counted, j, mine))
                less += lanes.ones(lanes.below(counted, j, mine))
            if last != end:
                more += lanes.ones(lanes.above(counted, last, mine) & news)
                less += lanes.ones(lanes.below(counted, last, mine) & news)
            else:
                for j in range(whole, end):
                    more += Index(counted[j] > mine)
                    less += Index(counted[j] < mine)
            above[place], equal[place] = more, 0
            if mine != mine or more + less + Index(1) != end - begin:
                equal[place] = _equal(counted, mine, begin, end) - np.int64(counted[row] == mine)
                unclear = True
        if unclear:
            missing |= _incomplete(scores, begin, end)
    return missing, crowded
