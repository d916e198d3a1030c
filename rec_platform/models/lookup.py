"""Finding ids in a model's sorted id arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def positions(known: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each wanted id stands in the sorted array `known`; len(known) for an id that is not there.

    >>> positions(np.array([3, 5, 9]), np.array([9, 4, 3])).tolist()
    [2, 3, 0]
    """
    if not len(known):
        return np.zeros(len(wanted), dtype=np.int64)
    found = np.searchsorted(known, wanted)
    inside = np.minimum(found, len(known) - 1)
    return np.where(known[inside] == wanted, inside, len(known))
