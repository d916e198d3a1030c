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

#: Numbers that tell a kind of tie group: kind of context, start, size, positives, before.
FIELDS: Final = 5
#: Units of a sum, and the bound of one number in it, as in `sums.fixed`.
ONE: Final = 2.0**30
BOUND: Final = 2.0**29

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_SPREAD: Final = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB, 0x2545F4914F6CDD1D, 0x51AFD7ED558CCD6D)
_30, _27, _31, _16, _LOW = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16), np.uint64(0xFFFF)


# -------------------------------------------------------------------------------------------------------------- places


@compiled
def places(
    scores: Float64, offsets: Int64, values: Float64, first: Int64, most: int, above: Int64, equal: Int64
) -> np.int64:
    """Write, for each positive, how many of its context's scores are above its own value and how many equal.

    `scores` cannot be written to; NaN is neither above nor equal. Contexts with more than `most` positives are left as they
    are. Returns how many scores are NaN, those of such contexts too: it is seen while they are in the cache.
    """
    wrong = np.int64(0)
    for i in range(len(first) - 1):
        own = scores[offsets[i] : offsets[i + 1]]
        for j in range(len(own)):
            wrong += np.int64(own[j] != own[j])
        if first[i + 1] - first[i] > most:
            continue
        for place in range(first[i], first[i + 1]):
            mine = values[place]
            more, same = np.int64(0), np.int64(0)
            for j in range(len(own)):
                more += np.int64(own[j] > mine)
                same += np.int64(own[j] == mine)
            above[place], equal[place] = more, same
    return wrong


# --------------------------------------------------------------------------------------------------------------- kinds


@compiled
def _slot(
    table: Int32, keys: Int64, mask: np.int64, context: int, start: int, size: int, positives: int, before: int
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
    """Enter the first `n` keys into an empty table."""
    mask = np.int64(len(table) - 1)
    for kind in range(n):
        key = keys[kind]
        table[_slot(table, keys, mask, key[0], key[1], key[2], key[3], key[4])] = kind


@compiled
def kinds_of_groups(
    above: Int64, equal: Int64, reachable: Bools, kept: Bools, first: Int64, n_candidates: Int64, context_kind: Int64,
    table: Int32, keys: Int64, n: int, begin: int, kind: Int32, bounds: Int64,
) -> tuple[np.int64, np.int64]:  # fmt: skip
    """The tie groups of contexts from `begin` on, each as its kind; new kinds are entered.

    Args:
        above, equal: per positive, candidates above and other candidates equal, over the whole candidate set.
        reachable, kept: per positive; those not kept leave the lists.
        n_candidates, context_kind: per context.
        table, keys, n: kinds known; (len(table) / 2, FIELDS) keys.
        kind, bounds: written: context i has the groups bounds[i]:bounds[i + 1] of `kind`, from the highest score down.

    Returns the context it stopped at (all done, or the table is half full; -1 where the counts cannot be), and the kinds
    known now.
    """
    contexts = len(first) - 1
    longest = 0
    for i in range(contexts):
        longest = max(longest, first[i + 1] - first[i])
    order = np.empty(longest, dtype=np.int64)
    mask = np.int64(len(table) - 1)
    written = bounds[begin]
    for i in range(begin, contexts):
        if 2 * (n + first[i + 1] - first[i]) > len(table):
            return np.int64(i), np.int64(n)
        many = 0
        for row in range(first[i], first[i + 1]):
            if reachable[row]:
                place = many
                while place > 0 and above[order[place - 1]] > above[row]:
                    order[place] = order[place - 1]
                    place -= 1
                order[place] = row
                many += 1
        place, before, left = 0, 0, 0
        while place < many:
            start, size = above[order[place]], equal[order[place]] + 1
            positives, leaving = 0, 0
            while place < many and above[order[place]] == start:
                if equal[order[place]] + 1 != size:
                    return np.int64(-1), np.int64(n)
                if kept[order[place]]:
                    positives += 1
                else:
                    leaving += 1
                place += 1
            if start < 0 or start + size > n_candidates[i] or positives + leaving > size:
                return np.int64(-1), np.int64(n)
            if positives > 0:
                slot = _slot(table, keys, mask, context_kind[i], start - left, size - leaving, positives, before)
                if table[slot] < 0:
                    keys[n, 0], keys[n, 1], keys[n, 2] = context_kind[i], start - left, size - leaving
                    keys[n, 3], keys[n, 4] = positives, before
                    table[slot] = n
                    n += 1
                kind[written] = table[slot]
                written += 1
                before += positives
            left += leaving
        bounds[i + 1] = written
    return np.int64(contexts), np.int64(n)


@compiled
def weigh(
    out: Int64, row: Int64, column: int, weight: Float64, kind: Int32, bounds: Int64, parts: Float64,
    context_kind: Int64, over: Float64,
) -> float:  # fmt: skip
    """Add weight x (sum of parts of a context's groups / over), in fixed point, to the context's row of `out`.

    Args:
        out: int64 (rows, columns); columns from `column` on are added to.
        row, weight, context_kind: per context.
        kind, bounds: the groups of each context, as kinds.
        parts: (kinds of groups, metrics).
        over: (kinds of contexts, metrics), never 0.

    Rounds as `sums.fixed` does. Returns the largest |number| added before rounding; infinite where one is no number below
    2^29.
    """
    metrics = parts.shape[1]
    sums, most, wrong = np.zeros(metrics), np.zeros(metrics), np.zeros(metrics, dtype=np.int64)
    for i in range(len(row)):
        sums[:] = 0.0
        for group in range(bounds[i], bounds[i + 1]):
            part = parts[kind[group]]
            for one in range(metrics):
                sums[one] += part[one]
        below, target, times = over[context_kind[i]], out[row[i], column : column + metrics], weight[i]
        for one in range(metrics):
            value = np.divide(sums[one], below[one]) * times
            wrong[one] += np.int64(not np.abs(value) < BOUND)
            most[one] = max(most[one], np.abs(value))
            target[one] += np.int64(np.rint(value * ONE))
    return np.inf if wrong.any() else most.max()


@compiled
def add_rows(out: Int64, row: Int64, column: int, given: Int64, begin: int, end: int) -> None:
    """Add columns begin:end of each row of `given` to a row of `out`, from `column` on."""
    for i in range(len(row)):
        target, source = out[row[i]], given[i]
        for one in range(end - begin):
            target[column + one] += source[begin + one]


@compiled
def add_slices(out: Int64, base: Int64, begin: Int64, end: Int64, codes: Int64, given: Int64) -> None:
    """Add each row of `given` to one row of every slice's table, in one pass.

    Args:
        out: int64: the tables of all slices, flat, one after the other; slice s starts at base[s].
        begin, end: the columns of `given` that slice s adds up.
        codes: (n, slices): the row of the slice's table.
    """
    for i in range(len(given)):
        for one in range(len(base)):
            columns = end[one] - begin[one]
            start = base[one] + codes[i, one] * columns
            target, source = out[start : start + columns], given[i, begin[one] : end[one]]
            for column in range(columns):
                target[column] += source[column]


# -------------------------------------------------------------------------------------------------------------- hashes


@compiled
def _mixed(state: np.uint64, word: np.uint64) -> np.uint64:
    """`contexts.hashing.mix` of one word."""
    mixed = (state ^ word) + _GOLDEN
    mixed = (mixed ^ (mixed >> _30)) * _FIRST
    mixed = (mixed ^ (mixed >> _27)) * _SECOND
    return np.uint64(mixed ^ (mixed >> _31))


@compiled
def draw(states: Words, replicates: int, table: Bytes) -> Bytes:
    """Poisson counts, four draws of 16 bits from each hash: uint8 (len(states), replicates)."""
    counts = np.empty((len(states), replicates), dtype=np.uint8)
    for i in range(len(states)):
        for word in range((replicates + 3) // 4):
            hashed = _mixed(states[i], np.uint64(word))
            for lane in range(4 * word, min(4 * word + 4, replicates)):
                counts[i, lane] = table[hashed & _LOW]
                hashed >>= _16
    return counts


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
