"""Arrangements: where the positives of a context stand together, each alone at its score; contexts judged by them.

A context of n candidates with p positives has n over p of them. They are numbered by the combinatorial number system: places
c1 < c2 < ... < cp, from 0, have the number C(c1, 1) + C(c2, 2) + ... + C(cp, p) (Knuth, The Art of Computer Programming 4A,
7.2.1.3), which a loop works out without a table.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.kernels.types import BOUND, ONE, Index, Numbers
from rec_platform.timetravel.kernels import Float64, Int32, Int64, compiled, lanes

#: Positives of a context whose arrangements have numbers.
TOGETHER: Final = 3
#: Contexts whose numbers are asked for ahead: tables of arrangements are larger than the processor's nearest caches.
_AHEAD: Final = np.uint64(8)


@compiled
def arrange(groups: Int32, parts: Float64, over: Float64, values: Float64, fixed: Int64) -> float:
    """Write the numbers of each arrangement, in the order of theirs; added, divided and rounded as `judge` does it.

    Args:
        groups: (n, p): the group of a positive alone at a place with so many positives before it; where there can be one.
        parts, over: (groups, metrics); (metrics,).
        values, fixed: (arrangements, metrics): as they are, and in fixed point.

    Returns the largest |value|: infinite where one is no number below 2^29, and then `fixed` is not to be read.
    """
    place, most, wrong = np.arange(groups.shape[1]), 0.0, False
    for number in range(Index(len(values))):
        for metric in range(Index(len(over))):
            total = 0.0
            for before in range(Index(len(place))):
                total += parts[Index(groups[Index(place[before]), before]), metric]
            value = np.divide(total, over[metric])
            wrong |= not np.abs(value) < BOUND
            most = max(most, np.abs(value))
            values[number, metric], fixed[number, metric] = value, np.int64(np.rint(value * ONE))
        first = 0  # the next: the first place that can move up does, and all before it start again
        while first + 1 < len(place) and place[first] + 1 == place[first + 1]:
            place[first] = first
            first += 1
        place[first] += 1
    return np.inf if wrong else most


@compiled
def number_arrangements(
    contexts: Int64, above: Int64, equal: Int64, first: Int64, n_candidates: Int64, kind: Int64, base: Int64,
    arranged: Int64, rows: Int32, later: Int64,
) -> tuple[np.int64, np.int64]:  # fmt: skip
    """Number the arrangement that each context shows under each model, where it is one.

    Args:
        contexts: some of them.
        above, equal: (models, positives): candidates above and other candidates equal.
        n_candidates, kind: of every context.
        base: per kind of context, where its arrangements begin; below 0 where they are not there.
        arranged, rows: written: positions in `contexts`, and (position, model) the arrangements.
        later: written: positions in `contexts` that are left: other kinds, ties, counts that cannot be.

    Returns how many are arranged and how many left; contexts without a positive, of which every metric is 0, are neither.
    """
    models, done, waiting = Index(len(above)), Index(0), Index(0)
    for position in range(Index(len(contexts))):
        own = Index(contexts[position])
        begin, end = Index(first[own]), Index(first[own + Index(1)])
        if begin == end:
            continue
        at, n, many = base[Index(kind[own])], n_candidates[own], end - begin
        second, third, odd = begin + Index(1), begin + Index(2), at < 0
        if odd:
            pass
        elif many == Index(1):
            for model in range(models):
                high = above[model, begin]
                odd |= (equal[model, begin] != 0) | (high < 0) | (high >= n)
                rows[done, model] = at + high
        elif many == Index(2):
            for model in range(models):
                one, other = above[model, begin], above[model, second]
                low, high = min(one, other), max(one, other)
                odd |= ((equal[model, begin] | equal[model, second]) != 0) | (low < 0) | (low == high) | (high >= n)
                rows[done, model] = at + low + high * (high - 1) // 2
        else:
            for model in range(models):
                one, other, last = above[model, begin], above[model, second], above[model, third]
                low, high = min(one, other), max(one, other)
                middle = max(low, min(high, last))
                low, high = min(low, last), max(high, last)
                ties = equal[model, begin] | equal[model, second] | equal[model, third]
                odd |= (ties != 0) | (low < 0) | (low == middle) | (middle == high) | (high >= n)
                rows[done, model] = at + low + middle * (middle - 1) // 2 + high * (high - 1) * (high - 2) // 6
        arranged[done] = later[waiting] = position
        waiting += Index(odd)
        done += Index(not odd)
    return np.int64(done), np.int64(waiting)


@compiled
def add_arrangements(
    contexts: Int64, arranged: Int64, rows: Int32, row: Int64, weight: Float64, kind: Int64, values: Float64,
    fixed: Int64, exact: Float64, exact_fixed: Int64, out: Numbers, column: int,
) -> float:  # fmt: skip
    """Add weight x metric of every model, in fixed point, to the row of `out` of each context arranged; rounds as `judge`.

    Args:
        contexts, arranged, rows: as `number_arrangements` has them, of those arranged.
        row: of each of `contexts`.
        weight, kind: of every context.
        values, fixed: (arrangements, metrics): as they are, and in fixed point, which is what weight 1 adds.
        exact, exact_fixed: (kinds of contexts, columns): the same of the models that depend on nothing else.
        out: columns from `column` on: the exact models, then the others, metrics side by side.

    Returns the largest |number| of another weight than 1 before rounding: infinite where one is no number below 2^29.
    """
    models, metrics, exacts = Index(rows.shape[1]), Index(values.shape[1]), Index(exact.shape[1])
    most, wrong, known = 0.0, False, Index(len(arranged))
    for one in range(known):
        coming = min(one + _AHEAD, known - Index(1))
        for model in range(models):
            lanes.ask(fixed, Index(rows[coming, model]) * metrics)
        position = Index(arranged[one])
        own, target, to = Index(contexts[position]), Index(row[position]), Index(column)
        context, times = Index(kind[own]), weight[own]
        if times == 1.0:
            for place in range(exacts):
                out[target, to + place] += out.dtype.type(exact_fixed[context, place])
            to += exacts
            for model in range(models):
                here = Index(rows[one, model])
                for place in range(metrics):
                    out[target, to + place] += out.dtype.type(fixed[here, place])
                to += metrics
            continue
        for place in range(exacts):
            value = exact[context, place] * times
            wrong |= not np.abs(value) < BOUND
            most = max(most, np.abs(value))
            out[target, to + place] += out.dtype.type(np.rint(value * ONE))
        to += exacts
        for model in range(models):
            here = Index(rows[one, model])
            for place in range(metrics):
                value = values[here, place] * times
                wrong |= not np.abs(value) < BOUND
                most = max(most, np.abs(value))
                out[target, to + place] += out.dtype.type(np.rint(value * ONE))
            to += metrics
    return np.inf if wrong else most
