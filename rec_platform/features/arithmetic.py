"""What encoders often need. Their numbers hang on this file, so it is part of every feature set's digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rec_platform.clock import DAY
from rec_platform.timetravel.kernels import NONE

Array = npt.NDArray[Any]


def same(value: Array) -> Array:
    """The value itself."""
    return value


@dataclass(frozen=True)
class Divided:
    """Divides by a constant."""

    divisor: float

    def __call__(self, value: Array) -> Array:
        return np.asarray(value / self.divisor)


def ratio(part: Array, whole: Array) -> Array:
    """part / whole; NaN where whole is 0.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    out: Array = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    np.divide(part, whole, out=out, where=whole != 0)
    return out


def smoothed_rate(successes: Array, trials: Array, *, prior: float, weight: float) -> Array:
    """(successes + prior * weight) / (trials + weight): the rate, drawn to `prior` as if by `weight` more trials.

    >>> smoothed_rate(np.array([3.0]), np.array([5.0]), prior=0.5, weight=5.0).tolist()
    [0.55]
    """
    return np.asarray((successes + prior * weight) / (trials + weight))


def days_since(instant: Array, at: Array) -> Array:
    """Days from an instant to `at`; NaN where there is no such instant.

    >>> days_since(np.array([0, NONE]), np.array([DAY // 2, DAY])).tolist()
    [0.5, nan]
    """
    missing = instant == NONE
    return np.where(missing, np.nan, (at - np.where(missing, at, instant)) / DAY)
