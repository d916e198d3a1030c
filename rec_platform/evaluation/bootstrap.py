"""Poisson bootstrap by profile: how often each replicate counts a profile.

The Poisson bootstrap (Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams", 2012)
replaces drawing n of n with replacement by an independent Poisson(1) count for each unit. Here a count is a pure function
of (seed, profile_id, replicate), the same in every date, country and model, so sums per replicate of two partitions add
up to those of their union, and two models are compared under the same counts.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform.contexts.hashing import mix, seeded

#: One 64-bit hash gives this many draws of 16 bits.
LANES: Final = 4


@cache
def _table() -> npt.NDArray[np.uint8]:
    """Poisson(1) by inverse CDF: a 16-bit number -> a count of 0 ... 8; mean and variance are 1 within 1e-4."""
    chances = [math.exp(-1.0) / math.factorial(count) for count in range(9)]
    ends = np.round(np.cumsum(chances) * 2**16)
    ends[-1] = 2**16
    table = np.searchsorted(ends, np.arange(2**16), side="right").astype(np.uint8)
    table.setflags(write=False)
    return table


def poisson_weights(profile_id: npt.NDArray[np.int64], replicates: int, seed: int) -> npt.NDArray[np.uint8]:
    """How often each replicate counts each profile: uint8 of shape (len(profile_id), replicates).

    The first columns do not depend on how many replicates are asked for.

    >>> few, many = (poisson_weights(np.array([7, 8]), n, seed=1) for n in (3, 50))
    >>> bool((few == many[:, :3]).all())
    True
    """
    words = -(-replicates // LANES)
    state = mix(seeded(seed, purpose="poisson"), profile_id)
    hashes = mix(state[:, None], np.arange(words)[None, :])
    lanes = hashes[:, :, None] >> (np.uint64(16) * np.arange(LANES, dtype=np.uint64))
    draws = (lanes & np.uint64(0xFFFF)).reshape(len(profile_id), words * LANES)
    return np.asarray(_table()[draws[:, :replicates]])


def weights_of_contexts(profile_id: npt.NDArray[np.int64], replicates: int, seed: int) -> npt.NDArray[np.uint8]:
    """The same for a column with repeated profiles: drawn once per distinct profile."""
    profiles, which = np.unique(profile_id, return_inverse=True)
    return poisson_weights(profiles, replicates, seed)[which]
