"""What hangs on hashes: draws of the bootstrap, and what was judged."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation.kernels.types import Bytes, Halves, Index, Words
from rec_platform.timetravel.kernels import Bools, Int64, compiled

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _16, _LOW = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16), np.uint64(0xFFFF)


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
    seed: np.uint64, ids: Words, weight: Words, n_candidates: Words, context: Int64, titles: Words, gain: Words,
    reachable: Bools,
) -> np.uint64:  # fmt: skip
    """`protocol.data_hash`: the sum of a hash per context and per positive, modulo 2^64; numbers as the words they are."""
    words = np.empty(len(ids), dtype=np.uint64)
    total = np.uint64(0)
    for i in range(Index(len(ids))):
        words[i] = _mixed(_mixed(seed, ids[i]), weight[i] + n_candidates[i])
        total += words[i]
    for place in range(Index(len(context))):
        total += _mixed(words[Index(context[place])] + titles[place], gain[place] + np.uint64(reachable[place]))
    return total
