"""What the numbers of a column look like, what is odd about them, and how far one day's stand from another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Bins of a drift measure: tenths of the reference, missing values apart.
TENTHS: Final = 10
#: A bin is taken to hold at least this share, so that an empty one gives a large number rather than an infinite one.
LEAST_SHARE: Final = 1e-4
#: Population stability index from which a change is worth a look, and from which it is large (Siddiqi 2006).
NOTABLE: Final = 0.10
LARGE: Final = 0.25
#: A value this many interquartile ranges outside the quartiles is an outlier (Tukey 1977: far out).
FAR_OUT: Final = 3.0
#: Half width of the band of what is expected, in robust standard deviations; days looked back on; the fewest of them.
BAND: Final = 3.0
LOOK_BACK: Final = 28
FEWEST: Final = 5
#: The fewest days of the same weekday that are looked at alone, and the least half width as a share of the median.
ALIKE: Final = 3
WEEK: Final = 7
LEAST_WIDTH: Final = 0.1
#: The median absolute deviation of a normal distribution is this share of its standard deviation's inverse.
_MAD_TO_SD: Final = 1.4826


@dataclass(frozen=True)
class Distribution:
    """A column in numbers.

    Attributes:
        n: values, missing ones included.
        missing: share that is NaN.
        zero: share that is 0.
        quantiles: at 0.01, 0.25, 0.5, 0.75, 0.99 of those that are there; NaN without any.
        skew: (mean - median) / standard deviation, in [-1, 1]: Pearson's second coefficient over 3; 0 for a constant.
        outliers: share of those that are there more than 3 interquartile ranges outside the quartiles; where both
            quartiles are equal no value is called an outlier.
    """

    n: int
    missing: float
    zero: float
    quantiles: tuple[float, float, float, float, float]
    skew: float
    outliers: float

    @property
    def constant(self) -> bool:
        """Whether all values that are there are (nearly) one."""
        return self.quantiles[0] == self.quantiles[-1] or self.missing == 1.0


def distribution(values: Floats) -> Distribution:
    """The numbers of a column.

    >>> distribution(np.array([0.0, 1.0, 2.0, np.nan])).missing
    0.25
    """
    there = values[~np.isnan(values)]
    if not len(there):
        nan = float("nan")
        return Distribution(len(values), 1.0 if len(values) else 0.0, 0.0, (nan,) * 5, 0.0, 0.0)
    low, first, middle, third, high = (float(one) for one in np.quantile(there, (0.01, 0.25, 0.5, 0.75, 0.99)))
    spread, deviation = third - first, float(there.std())
    far = (there < first - FAR_OUT * spread) | (there > third + FAR_OUT * spread)
    return Distribution(
        len(values), 1 - len(there) / len(values), float((there == 0).mean()), (low, first, middle, third, high),
        (float(there.mean()) - middle) / deviation if deviation > 0 else 0.0,
        float(far.mean()) if spread > 0 else 0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """A column that others are held against: bins by its tenths (fewer where values repeat), and the share of each.

    Attributes:
        edges: upper bounds of all bins but the last, ascending.
        shares: of each bin, and last of what is missing; empty if there were no values at all.
    """

    edges: Floats
    shares: Floats

    @classmethod
    def of(cls, values: Floats) -> Reference:
        there = values[~np.isnan(values)]
        edges = np.unique(np.quantile(there, np.arange(1, TENTHS) / TENTHS)) if len(there) else np.empty(0)
        return cls(edges, _shares(values, edges) if len(values) else np.empty(0))

    def stability(self, values: Floats) -> float:
        """The population stability index of `values`: sum of (p - q) ln(p / q) over bins.

        Below 0.1 is little change, from 0.25 it is large (Siddiqi 2006, Credit Risk Scorecards). NaN where one side has no
        values at all.
        """
        if not len(self.shares) or not len(values):
            return float("nan")
        p, q = _shares(values, self.edges), self.shares
        return float(((p - q) * np.log(p / q)).sum())


def stability(reference: Floats, values: Floats) -> float:
    """The population stability index of `values` against `reference`, as `Reference.stability` says.

    >>> stability(np.arange(100.0), np.arange(100.0))
    0.0
    """
    return Reference.of(reference).stability(values)


def _shares(values: Floats, edges: Floats) -> Floats:
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    shares = np.append(counts, missing.sum()) / len(values)
    return np.asarray(np.maximum(shares, LEAST_SHARE))


def expected(values: Sequence[float]) -> list[tuple[float, float]]:
    """For each day the band its value was expected in, from up to 28 days before it; NaN with fewer than 5 of them.

    The band is a middle and `BAND` standard deviations around it, never nearer to it than a tenth of it. Where at least 3 days
    of the same weekday have a value, the middle is their median, and the deviation is told by how much days usually differ from
    the same weekday a week before: 1.4826 / sqrt(2) x the median of those differences, times sqrt(1 + pi / (2 n)) for a
    median of n days. (A median absolute deviation of three or four values is near 0 too often: of days drawn alike it called
    5 to 21 % unexpected; this one 2 to 3 %.) Else both are those of all days: the median, 1.4826 x the median absolute deviation.

    Args:
        values: one for each day, NaN where there is none: weekdays are told by position.

    >>> expected([100.0] * 5 + [300.0])[5]
    (90.0, 110.0)
    """
    given = np.array(values, dtype=np.float64)
    return [_band(given[max(0, day - LOOK_BACK) : day]) for day in range(len(given))]


def _band(before: Floats) -> tuple[float, float]:
    """The band of the day after these days."""
    weekdays = before[::-1][WEEK - 1 :: WEEK]
    alike = _there(weekdays)
    if len(weekdays) >= ALIKE > len(alike):  # a weekday that seldom has a value is not held against the others
        return float("nan"), float("nan")
    weekly = _there(np.abs(before[WEEK:] - before[:-WEEK]))
    if len(alike) >= ALIKE and len(weekly) >= FEWEST:
        middle = float(np.median(alike))
        deviation = float(np.median(weekly)) / np.sqrt(2) * np.sqrt(1 + np.pi / (2 * len(alike)))
    else:
        every = _there(before)
        if len(before) < FEWEST or len(every) < ALIKE:
            return float("nan"), float("nan")
        middle = float(np.median(every))
        deviation = float(np.median(np.abs(every - middle)))
    width = max(BAND * _MAD_TO_SD * deviation, LEAST_WIDTH * abs(middle))
    return max(middle - width, 0.0), middle + width


def _there(values: Floats) -> Floats:
    return np.asarray(values[~np.isnan(values)])
