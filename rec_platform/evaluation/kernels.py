"""The compiled loops of evaluation, compiled and cached as those of time travel are: plain arrays in and out.

Words: context i has the positives first[i]:first[i + 1]. A **kind** of context is what metrics can depend on: candidates,
reachable positives, positives. A kind of tie group is a kind of context with the group's start, size, positives and the
positives before it (`rec_platform.evaluation.kinds`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel.kernels import Bools, Float64, Int32, Int64, compiled

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
#: Unsigned, as what an index is: a signed one has to be asked at every look whether it counts from the end, which no vector
#: instruction does.
Index = np.uint64
Halves = npt.NDArray[np.uint16]
#: Scores as they are given.
Floating = npt.NDArray[np.float32] | npt.NDArray[np.float64]
#: Whole numbers: int64 where sums of them may be large, float64 where they are to be multiplied.
Numbers = Int64 | Float64

#: Numbers that tell a kind of tie group: kind of context, start, size, positives, before.
FIELDS: Final = 5
#: Units of a sum, and the bound of one number in it, as in `sums.fixed`.
ONE: Final = 2.0**30
BOUND: Final = 2.0**29

#: Items compared at a time: how many are above fits into a byte, and eight times as many bytes as words are added at once.
STRIP: Final = np.uint64(248)

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_SPREAD: Final = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB, 0x2545F4914F6CDD1D, 0x51AFD7ED558CCD6D)
_30, _27, _31, _16, _LOW = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16), np.uint64(0xFFFF)


# -------------------------------------------------------------------------------------------------------------- places


@compiled
def positives(label: Float64, offsets: Int64, rows: Int64, first: Int64) -> np.int64:
    """Write the rows of items with a label above 0: context i has rows[first[i]:first[i + 1]]. Returns how many there are.

    `label` cannot be written to; `rows` has room for every item.
    """
    found = Index(0)
    for i in range(len(offsets) - 1):
        for j in range(Index(offsets[i]), Index(offsets[i + 1])):
            rows[found] = j  # kept where the next line counts it: no branch that cannot be foreseen
            found += Index(label[j] > 0)
        first[i + 1] = found
    return np.int64(found)


@compiled
def facts_of(
    label: Float64, title: Int64, rows: Int64, first: Int64, context: Int64, gain: Float64, titles: Int64
) -> None:
    """Write the context, the label and the title of each positive; `label` and `title` cannot be written to."""
    for i in range(len(first) - 1):
        for place in range(Index(first[i]), Index(first[i + 1])):
            row = Index(rows[place])
            context[place], gain[place], titles[place] = i, label[row], title[row]


@compiled
def _compared(counted: Floating, mine: float, begin: Index, end: Index) -> tuple[np.int64, np.int64]:
    """How many of a list are above and how many below, strip by strip."""
    above, below = np.int64(0), np.int64(0)
    for start in range(begin, end, STRIP):
        more, less = np.uint8(0), np.uint8(0)
        for j in range(Index(start), min(end, Index(start + STRIP))):
            more = np.uint8(more + np.uint8(counted[j] > mine))
            less = np.uint8(less + np.uint8(counted[j] < mine))
        above, below = above + np.int64(more), below + np.int64(less)
    return above, below


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
    for i in range(len(first) - 1):
        begin, end = Index(offsets[i]), Index(offsets[i + 1])
        unclear = bool(not 0 < first[i + 1] - first[i] <= most)
        crowded |= bool(first[i + 1] - first[i] > most)
        for place in range(Index(first[i]), Index(first[i] if unclear else first[i + 1])):
            row = Index(rows[place])
            mine = scores[row]
            if end - begin <= STRIP:  # most lists: a call costs more than to compare fifty scores
                above_it, below_it = np.uint8(0), np.uint8(0)
                for j in range(begin, end):
                    above_it = np.uint8(above_it + np.uint8(counted[j] > mine))
                    below_it = np.uint8(below_it + np.uint8(counted[j] < mine))
                more, less = np.int64(above_it), np.int64(below_it)
            else:
                more, less = _compared(counted, mine, begin, end)
            above[place], equal[place] = more, 0
            if mine != mine or more + less + 1 != np.int64(end - begin):
                equal[place] = _equal(counted, mine, begin, end) - np.int64(counted[row] == mine)
                unclear = True
        if unclear:
            missing |= _incomplete(scores, begin, end)
    return missing, crowded


# --------------------------------------------------------------------------------------------------------------- kinds


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


@compiled
def count(out: Int64, code: Int64, member: Bools, unreachable: Int64) -> None:
    """Add each context to out[code]: per population 1 to its contexts or to those left out, and its unreachable positives."""
    for i in range(len(code)):
        target = out[code[i]]
        for population in range(member.shape[1]):
            inside = np.int64(member[i, population])
            target[population, 0] += inside
            target[population, 1] += 1 - inside
            target[population, 2] += unreachable[i]


@compiled
def add_rows(out: Numbers, row: Int64, column: int, given: Int64, begin: int, end: int) -> None:
    """Add columns begin:end of each row of `given` to a row of `out`, from `column` on."""
    for i in range(len(row)):
        target, source = out[row[i]], given[i]
        for one in range(end - begin):
            target[column + one] += source[begin + one]


@compiled
def add_slices(out: Int64, base: Int64, begin: Int64, end: Int64, codes: Int64, given: Numbers) -> None:
    """Add each row of `given` to one row of every slice's table, in one pass.

    Args:
        out: int64: the tables of all slices, flat, one after the other; slice s starts at base[s].
        begin, end: the columns of `given` that slice s adds up.
        codes: (n, slices): the row of the slice's table.
        given: whole numbers, as int64 or float64.
    """
    for i in range(len(given)):
        for one in range(len(base)):
            columns = end[one] - begin[one]
            start = base[one] + codes[i, one] * columns
            target, source = out[start : start + columns], given[i, begin[one] : end[one]]
            for column in range(columns):
                target[column] += np.int64(source[column])


# -------------------------------------------------------------------------------------------------------------- hashes


@compiled
def _mixed(state: np.uint64, word: np.uint64) -> np.uint64:
    """`contexts.hashing.mix` of one word."""
    mixed = (state ^ word) + _GOLDEN
    mixed = (mixed ^ (mixed >> _30)) * _FIRST
    mixed = (mixed ^ (mixed >> _27)) * _SECOND
    return np.uint64(mixed ^ (mixed >> _31))


@compiled
def draw(states: Words, replicates: int, ends: Halves) -> Bytes:
    """Poisson counts, four draws of 16 bits from each hash: uint8 (len(states), replicates).

    A draw counts how many of `ends` it has reached: compared for many draws at once, which no table allows.
    """
    counts = np.empty((len(states), replicates), dtype=np.uint8)
    lanes = np.empty(4 * ((replicates + 3) // 4), dtype=np.uint16)
    for i in range(len(states)):
        for word in range(len(lanes) // 4):
            hashed = _mixed(states[i], np.uint64(word))
            for lane in range(4):
                lanes[4 * word + lane] = np.uint16((hashed >> (_16 * np.uint64(lane))) & _LOW)
        own = counts[i]
        own[:] = 0
        for end in ends:
            for one in range(replicates):
                own[one] += np.uint8(lanes[one] >= end)
    return counts


@compiled
def most_drawn(counts: Bytes) -> np.int64:
    """The largest sum of a replicate's counts."""
    sums = np.zeros(counts.shape[1], dtype=np.int64)
    for i in range(len(counts)):
        own = counts[i]
        for one in range(len(own)):
            sums[one] += own[one]
    return np.int64(sums.max()) if len(sums) else np.int64(0)


@compiled
def judged(
    seed: np.uint64, ids: Words, facts: Words, context: Int64, titles: Words, facts_of_positives: Words
) -> np.uint64:
    """`protocol.data_hash`: the sum of a hash per context and per positive, modulo 2^64."""
    words = np.empty(len(ids), dtype=np.uint64)
    total = np.uint64(0)
    for i in range(len(ids)):
        words[i] = _mixed(_mixed(seed, ids[i]), facts[i])
        total += words[i]
    for place in range(len(context)):
        total += _mixed(words[context[place]] + titles[place], facts_of_positives[place])
    return total
