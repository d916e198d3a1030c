"""Stable hashes of integers: context ids, and draws that depend on nothing but a seed and ids.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
2014): a bijection of 64-bit words, so distinct ids stay distinct. A draw made this way is the same in every chunk,
order, thread and process, which a generator with a state is not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def mix(state: Words, part: npt.NDArray[np.generic] | int) -> Words:
    """`state` with one more integer mixed in, element by element (uint64; integers wrap modulo 2^64)."""
    word = np.asarray(part).astype(np.int64).astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed = (np.asarray(state, dtype=np.uint64) ^ word) + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def seeded(seed: int, *, purpose: str) -> Words:
    """The starting word of a family of draws: one seed gives unrelated draws for different purposes."""
    state = mix(np.zeros(1, dtype=np.uint64), seed)
    for letter in purpose.encode():
        state = mix(state, letter)
    return state


def uniform(words: Words) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1), multiples of 2^-53.

    >>> uniform(np.array([0, 2**63], dtype=np.uint64)).tolist()
    [0.0, 0.5]
    """
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def country_number(country: str) -> int:
    """A country's two letters as an integer.

    >>> country_number("AB") == 65 * 256 + 66
    True
    """
    return int.from_bytes(country.encode("ascii"), "big")


def context_ids(profile_id: Ints, country: str, at: Ints) -> Ints:
    """The 63-bit id of each context, from its profile, country and instant (int64, never negative)."""
    state = mix(seeded(0, purpose="context"), country_number(country))
    return (mix(mix(state, profile_id), at) >> np.uint64(1)).astype(np.int64)
