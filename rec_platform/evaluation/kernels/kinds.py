"""Kinds of tie groups: named, and what they count for added up."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.kernels.types import BOUND, ONE, Index, Numbers
from rec_platform.timetravel.kernels import Bools, Float64, Int32, Int64, compiled

#: Numbers that tell a kind of tie group: kind of context, start, size, positives, before.
FIELDS: Final = 5

_SPREAD: Final = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB, 0x2545F4914F6CDD1D, 0x51AFD7ED558CCD6D)


@compiled
def _slot(
    table: Int32, keys: Int64, mask: np.int64, context: np.int64, start: int, size: int, positives: int, before: int
) -> np.int64:
    """Where in the table the kind is, or would be."""
    word = np.int64(
        context * _SPREAD[0] + start * _SPREAD[1] + size * _SPREAD[2] + positives * _SPREAD[3] + before * _SPREAD[4]
    )
    word ^= word >> np.int64(32)
    slot = (word >> np.int64(20)) & mask
    while table[slot] >= 0:
        key = keys[table[slot]]
        if (
            key[0] == context
            and key[1] == start
            and key[2] == size
            and key[3] == positives
            and key[4] == before
        ):  # fmt: skip
            break
        slot = (slot + 1) & mask
    return slot


@compiled
def rehash(table: Int32, keys: Int64, n: int) -> None:
    """Enter the first `n` keys into a table that holds some of them, or none."""
    mask = np.int64(len(table) - 1)
    for kind in range(n):
        key = keys[kind]
        table[_slot(table, keys, mask, key[0], key[1], key[2], key[3], key[4])] = kind


@compiled
def kinds_of(
    n_candidates: Int64, reachable: Int64, positives: Int64, table: Int32, keys: Int64, recent: Int64, kind: Int64
) -> np.int64:  # fmt: skip
    """Write the kind of each context, -1 where the table has none. Returns of how many that is.

    Args:
        table, keys: the kinds of contexts known, as `rehash` enters them: candidates, reachable positives, positives, 0, 0.
        recent: written: per number of positives the kind met last, where most are found.
    """
    mask, unknown = np.int64(len(table) - 1), np.int64(0)
    for i in range(Index(len(kind))):
        candidates, some, many = n_candidates[i], reachable[i], positives[i]
        found = recent[Index(many)]
        if found < 0 or keys[Index(found), 0] != candidates or keys[Index(found), 1] != some:
            found = np.int64(table[_slot(table, keys, mask, candidates, some, many, 0, 0)])
            recent[Index(many)] = found
            unknown += np.int64(found < 0)
        kind[i] = found
    return np.int64(unknown)


@compiled
def _groups(
    model: Index, begin: Index, end: Index, above: Int64, equal: Int64, reachable: Bools, kept: Bools, n_candidates: int,
    context: np.int64, base: int, width: int, direct: Int32, table: Int32, keys: Int64, n: np.int64, known: int, order: Int64,
    named: Int64,
) -> tuple[np.int64, np.int64]:  # fmt: skip
    """Name the groups of one context under one model, whatever their size: how many, and the kinds entered now.

    -1 groups where the counts cannot be. Kinds that are new are entered; `direct` is told of those that have numbers, the
    first `known`.
    """
    many = 0
    for row in range(begin, end):
        if reachable[row]:
            place = many
            while place > 0 and above[model, order[place - 1]] > above[model, row]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = row
            many += 1
    groups, place, before, left = 0, 0, 0, 0
    while place < many:
        start, size = above[model, order[place]], equal[model, order[place]] + 1
        positives, leaving = 0, 0
        while place < many and above[model, order[place]] == start:
            if equal[model, order[place]] + 1 != size:
                return np.int64(-1), n
            if kept[order[place]]:
                positives += 1
            else:
                leaving += 1
            place += 1
        if start < 0 or start + size > n_candidates or positives + leaving > size:
            return np.int64(-1), n
        if positives > 0:
            start, size = start - left, size - leaving
            slot = _slot(table, keys, np.int64(len(table) - 1), context, start, size, positives, before)
            if table[slot] < 0:
                keys[n, 0], keys[n, 1], keys[n, 2], keys[n, 3], keys[n, 4] = context, start, size, positives, before
                table[slot] = n
                n += np.int64(1)
            if base >= 0 and size == 1 and start >= 0 and table[slot] < known:
                direct[base + start * width + before] = table[slot]
            named[model, groups] = table[slot]
            groups += 1
            before += positives
        left += leaving
    return np.int64(groups), n


@compiled
def judge(
    contexts: Int64, row: Int64, weight: Float64, above: Int64, equal: Int64, reachable: Bools, kept: Bools, first: Int64,
    n_candidates: Int64, kind: Int64, base: Int64, width: Int64, direct: Int32, table: Int32, keys: Int64, n: int,
    exact: Float64, parts: Float64, over: Float64, out: Numbers, column: int, later: Int64,
) -> tuple[np.int64, np.int64, float]:  # fmt: skip
    """Add weight x metric of every model, in fixed point, to a row of `out` for each of some contexts.

    A metric is the sum of the parts of the context's tie groups, from the highest score down, over a number of the context;
    rounded as `sums.fixed` does.

    Args:
        contexts, row: the contexts, and the row of `out` of each.
        weight, n_candidates, kind: of every context.
        above, equal: (models, positives): candidates above and other candidates equal, over the whole candidate set.
        reachable, kept: per positive; those not kept leave the lists.
        base, width, direct: per kind of context, where `direct` holds its groups of one candidate, start x width + before
            (base -1: nowhere).
        table, keys, n: kinds of groups known, of which the first len(parts) have numbers; len(table) / 2 keys.
        exact: (kinds of contexts, models that depend on nothing else x metrics).
        parts, over: (kinds of groups, metrics), (kinds of contexts, metrics); `over` is never 0.
        out: columns from `column` on: the exact models, then the others, metrics side by side.
        later: written: positions in `contexts` to be judged again once the kinds entered have numbers.

    Returns how many these are (-1 where the counts cannot be), the kinds known now, and the largest |number| added before
    rounding: infinite where one is no number below 2^29.
    """
    models, metrics, known = len(above), parts.shape[1], len(parts)
    longest = 0
    for i in range(len(first) - 1):
        longest = max(longest, first[i + 1] - first[i])
    order, many = np.empty(longest, dtype=np.int64), np.empty(models, dtype=np.int64)
    named = np.empty((models, longest), dtype=np.int64)
    sums, values = np.empty(metrics), np.empty(exact.shape[1] + models * metrics)
    most, wrong = np.zeros(len(values)), np.zeros(len(values), dtype=np.bool_)
    waiting, entered = 0, np.int64(n)
    for position in range(len(contexts)):
        own = Index(contexts[position])
        context, begin, end = Index(kind[own]), Index(first[own]), Index(first[own + Index(1)])
        if begin == end:  # nothing to find: every metric is 0
            continue
        ready, place_of, before_of = True, base[context], width[context]
        for model in range(models):
            # The common case, groups of one candidate that `direct` knows: nothing to look up but a number per positive.
            reached, left, last, groups = 0, 0, np.int64(-1), 0
            odd = np.bool_(place_of < 0)
            for positive in range(begin, end):
                if reachable[positive]:
                    odd |= equal[model, positive] != 0
                    mine = 2 * above[model, positive] + np.int64(kept[positive])
                    for place in range(Index(reached)):  # no branch: which of two is higher cannot be foreseen
                        held = order[place]
                        order[place], mine = min(held, mine), max(held, mine)
                    order[Index(reached)] = mine
                    reached += 1
            for place in range(reached):
                start = order[place] >> 1
                odd |= start <= last or start >= n_candidates[own]
                if odd:
                    break
                last = start
                if order[place] & 1:
                    found = direct[Index(place_of + (start - left) * before_of + groups)]
                    odd |= found < 0
                    named[model, Index(groups)] = found
                    groups += 1
                else:
                    left += 1
            if odd:
                if 2 * (entered + np.int64(end - begin)) > len(table):
                    ready = False
                    break
                named_here, entered = _groups(
                    Index(model), begin, end, above, equal, reachable, kept, n_candidates[own], np.int64(context), place_of,
                    before_of, direct, table, keys, entered, known, order, named,
                )  # fmt: skip
                if named_here < 0:
                    return np.int64(-1), entered, np.inf
                groups = int(named_here)
                for group in range(groups):
                    ready = bool(ready and named[model, group] < known)
            many[model] = groups
        if not ready:
            later[waiting] = position
            waiting += 1
            continue
        for one in range(exact.shape[1]):
            values[one] = exact[context, one]
        at = Index(exact.shape[1])
        for model in range(models):
            for one in range(metrics):
                sums[one] = 0.0
            for group in range(many[model]):
                part = Index(named[model, group])
                for one in range(metrics):
                    sums[one] += parts[part, one]
            for one in range(metrics):
                values[at + Index(one)] = np.divide(sums[one], over[context, one])
            at += Index(metrics)
        times, target = weight[own], Index(row[position])
        for one in range(len(values)):  # all models at once: a loop over few numbers costs more than they do
            value = values[one] * times
            wrong[one] |= not np.abs(value) < BOUND
            most[one] = max(most[one], np.abs(value))
            out[target, Index(column) + Index(one)] += out.dtype.type(np.rint(value * ONE))
    return np.int64(waiting), entered, np.inf if wrong.any() else most.max()
