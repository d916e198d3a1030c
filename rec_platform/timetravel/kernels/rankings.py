"""Where items stand among all scores of their context: without sorting them.

Words: a catalogue is one context's candidates under one model; context i has the items offsets[i]:offsets[i + 1], of which
the first n_candidates[i] are candidates. Scores are numbers (none NaN).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel.kernels.compiling import Bools, Float64, Int32, Int64, compiled

Words = npt.NDArray[np.uint64]

#: Scores searched for together: they, their places and the marks stay in the first cache.
BLOCK: Final = 1024


@compiled
def _select(values: npt.NDArray[Any], many: int | np.int64) -> Any:
    """The value that stands at place `many`, from 1, in ascending order; `values` change places (Hoare's FIND)."""
    low, high, wanted = 0, len(values) - 1, many - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left, right = left + 1, right - 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            break
    return values[wanted]


@compiled
def _least(values: npt.NDArray[Any], many: int | np.int64) -> Any:
    """The value that stands at place `many`, from 1, in ascending order.

    Of the least values of more than `many` stripes the one at place `many` bounds it: nearly all values are beyond.
    """
    n, stripes = len(values), 4 * many
    if n < 2 * stripes:
        return _select(values.copy(), many)
    least = values[:stripes].copy()
    for start in range(stripes, n - stripes + 1, stripes):
        row = values[start : start + stripes]
        for stripe in range(stripes):
            least[stripe] = min(least[stripe], row[stripe])
    bound = _select(least, many)
    near = np.empty_like(values)
    stay = np.int64(0)
    for place in range(n):
        near[stay] = values[place]
        stay += np.int64(values[place] <= bound)
    return _select(near[:stay], many)


@compiled
def _keep_level(own: Float64, words: Words, border: float, free: np.int64, kept: Bools) -> None:
    """Mark `free` of the items that score `border`: those of the smallest words, of equal words the first."""
    level = np.flatnonzero(own == border)
    mine = words[level]
    last = _least(mine, free)
    for place in range(len(level)):
        if mine[place] < last:
            kept[level[place]] = True
            free -= np.int64(1)
    for place in range(len(level)):
        if free > 0 and mine[place] == last:
            kept[level[place]] = True
            free -= np.int64(1)


@compiled
def keep_best(scores: Float64, offsets: Int64, n_candidates: Int64, words: Words, top: int, kept: Bools) -> np.int64:
    """Mark in `kept` the `top` best candidates of every catalogue; scores are (models, items).

    Of those equal at the border the ones of the smallest words. Returns how many scores are NaN; marks mean nothing then.
    """
    wrong = np.int64(0)
    for i in range(len(n_candidates)):
        begin, end = offsets[i], offsets[i] + n_candidates[i]
        mine = kept[begin:end]
        for model in range(len(scores)):
            whole = scores[model, begin : offsets[i + 1]]
            for item in range(len(whole)):
                wrong += np.int64(whole[item] != whole[item])
            if wrong > 0 or len(mine) <= top:
                mine[:] = True
                continue
            own = scores[model, begin:end]
            border = -_least(-own, top)
            better, level = np.int64(0), np.int64(0)
            for item in range(len(own)):
                better += np.int64(own[item] > border)
                level += np.int64(own[item] == border)
            for item in range(len(own)):
                mine[item] |= own[item] > border
            if better + level == top:
                for item in range(len(own)):
                    mine[item] |= own[item] == border
            else:
                _keep_level(own, words[begin:end], border, top - better, mine)
    return wrong


@compiled
def _guide(marks: Float64, many: int, guide: Int32) -> tuple[float, float, float, int]:
    """Write how many of the ascending marks lie before each of len(guide) - 1 equally wide cells from the first to the last.

    Returns the first mark, the last, cells per unit, and the rounds in which halving searches the fullest cell. Marks whose
    range is no number are one cell.
    """
    first, last = marks[0], marks[many - 1]
    cells = (len(guide) - 2) / (last - first) if last > first else 0.0
    if not (0.0 < cells < np.inf and last - first < np.inf):
        first, last, cells = 0.0, 0.0, 0.0
    guide[:] = 0
    for mark in range(many):
        guide[np.int64((min(max(marks[mark], first), last) - first) * cells) + 1] += 1
    most = 0
    for cell in range(1, len(guide)):
        most = max(most, guide[cell])
        guide[cell] += guide[cell - 1]
    rounds = 1
    while (1 << rounds) - 1 < most:
        rounds += 1
    return first, last, cells, rounds


@compiled
def _places(own: Float64, marks: Float64, many: int, guide: Int32, place: Int32) -> None:
    """Write for each score how many of the `many` ascending marks, infinity after them, are below it.

    A search without branches, a block at a time, so that all lanes of the processor take part.
    """
    first, last, cells, rounds = _guide(marks, many, guide)
    for begin in range(0, len(own), BLOCK):
        block, found = own[begin : begin + BLOCK], place[begin : begin + BLOCK]
        for j in range(len(block)):
            score = first if block[j] < first else block[j]
            score = last if score > last else score
            found[j] = guide[np.int64((score - first) * cells)]
        for halving in range(rounds - 1, -1, -1):
            step = np.int32(1 << halving)
            ahead = marks[(1 << halving) - 1 :]
            for j in range(len(block)):
                found[j] += step * np.int32(ahead[np.uint32(found[j])] < block[j])


@compiled
def count_above(
    scores: Float64, offsets: Int64, n_candidates: Int64, rows: Int64, bounds: Int64, values: Float64,
    above: Int64, equal: Int64,
) -> None:  # fmt: skip
    """Write how many candidates score above some items, and how many others equal.

    Args:
        scores: (models, items).
        rows, bounds: items, ascending; those of context i are rows[bounds[i]:bounds[i + 1]].
        values: (models, len(rows)): the items' scores, ascending in each context.
        above, equal: (models, len(rows)); an item that is no candidate has every candidate above it and none equal.
    """
    longest = n_candidates.max() if len(n_candidates) else 0
    place = np.empty(longest, dtype=np.int32)
    for i in range(len(n_candidates)):
        begin, n = offsets[i], n_candidates[i]
        first, last = bounds[i], bounds[i + 1]
        above[:, first:last], equal[:, first:last] = n, 0
        while last > first and rows[last - 1] >= begin + n:
            last -= 1
        if last == first:
            continue
        mine = rows[first:last] - begin
        for model in range(len(scores)):
            own = scores[model, begin : begin + n]
            marks, many = np.full(3 * (bounds[i + 1] - first) + 1, np.inf), 0
            for value in values[model, first : bounds[i + 1]]:
                if many == 0 or value != marks[many - 1]:
                    marks[many] = value
                    many += 1
            _places(own, marks, many, np.empty(2 * many + 2, dtype=np.int32), place)
            hits = np.zeros(2 * many + 2, dtype=np.int64)
            for item in range(n):
                mark = np.int64(place[item])
                hits[2 * mark + np.int64(marks[mark] == own[item])] += 1
            for cell in range(2 * many, -1, -1):
                hits[cell] += hits[cell + 1]
            for k in range(len(mine)):
                mark = np.int64(place[mine[k]])
                above[model, first + k] = hits[2 * mark + 2]
                equal[model, first + k] = hits[2 * mark + 1] - hits[2 * mark + 2] - 1
