"""Poisson bootstrap by profile: how often each replicate counts a profile.

The Poisson bootstrap (Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams", 2012)
replaces drawing n of n with replacement by an independent Poisson(1) count for each unit. Here a count is a pure function
of (seed, profile_id, replicate), the same in every date, country and model, so sums per replicate of two partitions add
up to those of their union, and two models are compared under the same counts.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from rec_platform.contexts.hashing import mix, seeded
from rec_platform.evaluation import kernels


@cache
def _ends() -> npt.NDArray[np.uint16]:
    """Poisson(1) by inverse CDF: a 16-bit number counts the ends it has reached, 0 ... 8; mean and variance are 1 within 1e-4."""
    chances = [math.exp(-1.0) / math.factorial(count) for count in range(8)]
    ends = np.round(np.cumsum(chances) * 2**16)
    return ends[ends < 2**16].astype(np.uint16)


def poisson_weights(profile_id: npt.NDArray[np.int64], replicates: int, seed: int) -> npt.NDArray[np.uint8]:
    """How often each replicate counts each profile: uint8 of shape (len(profile_id), replicates).

    The first columns do not depend on how many replicates are asked for.

    >>> few, many = (poisson_weights(np.array([7, 8]), n, seed=1) for n in (3, 50))
    >>> bool((few == many[:, :3]).all())
    True
    """
    return kernels.draw(mix(seeded(seed, purpose="poisson"), profile_id), replicates, _ends())


def weights_of_contexts(profile_id: npt.NDArray[np.int64], replicates: int, seed: int) -> npt.NDArray[np.uint8]:
    """The same for a column with repeated profiles: drawn once per distinct profile."""
    profiles, which = np.unique(profile_id, return_inverse=True)
    return poisson_weights(profiles, replicates, seed)[which]
