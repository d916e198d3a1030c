"""Runs of rows: the few array helpers that contexts, labels and candidate sets share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def offsets_of(lengths: npt.NDArray[np.integer]) -> Ints:
    """List offsets from list lengths: one value more, from 0.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The row numbers start, start + 1, ... of every run, one run after the other.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = offsets_of(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1], dtype=np.int64)


def run_starts(*keys: npt.NDArray[np.generic]) -> Mask:
    """Which rows differ in any key from the row before; the first row always does.

    >>> run_starts(np.array([1, 1, 1, 2]), np.array([7, 7, 8, 8])).tolist()
    [True, False, True, True]
    """
    changed = np.zeros(len(keys[0]), dtype=np.bool_)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return changed
