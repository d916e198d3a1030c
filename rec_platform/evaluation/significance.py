"""How sure a paired difference is: tests over totals of profiles, corrections for many tests.

Contexts of one profile resemble each other, so tests never pair contexts. Profiles are put into `GROUPS` groups by a hash
of their id, the same on every date and in every country; what is kept per group is a sum, so months and the world are
tested from stored sums, and all contexts of a profile stand in one group. With a difference D = sum d / sum w (ratio of
totals) and e_g = d_g - D w_g:

- paired t: t = D / s with G - 1 degrees of freedom, s^2 = (G-1)/G sum (e_g / (1 - w_g / sum w))^2 / (sum w)^2: the
  cluster-robust t whose error is the jackknife's, leaving out one group at a time (Bell and McCaffrey, "Bias reduction in
  standard errors for linear regression with multi-stage samples", 2002). With equal weights it is Student's paired t.
- randomisation: were the models exchangeable, the sign of each d_g would be a coin's; p is the share of sign flips whose
  |sum of d| is at least that seen, the observed one counted (Fisher 1935; Smucker, Allan and Carterette, "A comparison of
  statistical significance tests for information retrieval evaluation", 2007).

What is read from tallies (coverage, Gini, a median) is no mean, so it has no totals to pair. Its difference is tested by the
delete-a-group jackknife over 20 groups of profiles (`accumulators.paired_errors`): t = D / s with 19 degrees of freedom.

Wilcoxon's test is not offered: its null hypothesis is not about the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from rec_platform.contexts.hashing import mix, seeded
from rec_platform.evaluation.ties import Floats, Ints

#: Groups of profiles: as many as a 64-bit word has signs.
GROUPS: Final = 64
#: Sign flips of a randomisation test; its smallest p is 1 / (FLIPS + 1).
FLIPS: Final = 9_999
#: Two sums closer than this share of the larger are equal: they are sums of the same numbers in another order.
_EQUAL: Final = 1e-12


def group_of(profile_id: Ints) -> Ints:
    """The group of each profile, 0 ... GROUPS - 1, whatever the seed of the bootstrap."""
    return (mix(seeded(0, purpose="profile group"), profile_id) % np.uint64(GROUPS)).astype(np.int64)


def paired_t(differences: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Standard error and two-sided p of each difference of means.

    Args:
        differences: float64 (tests, G): a group's total of weight x (a - b).
        weights: float64 (tests, G): its total weight.

    NaN with fewer than two groups that weigh anything. A difference that is the same in every group has error 0: p is 0,
    and 1 if it is 0.
    """
    from scipy.special import stdtr  # half a second of import that only tests of significance pay

    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = differences.sum(axis=1) / total
        used = (weights > 0).sum(axis=1)
        spread = (differences - mean[:, None] * weights) / (1.0 - weights / total[:, None])
        error = np.sqrt((used - 1.0) / used * (spread**2).sum(axis=1)) / total
        error = np.where(error < _EQUAL * np.abs(mean), 0.0, error)
        t = np.where(mean == 0, 0.0, np.abs(mean) / error)
        p = 2 * stdtr(np.maximum(used - 1.0, 1.0), -t)
    enough = used >= 2
    return np.where(enough, error, np.nan), np.where(enough, p, np.nan)


def by_t(difference: Floats, error: Floats, freedom: Ints) -> tuple[Floats, Floats, Floats]:
    """Low and high of the 95 % interval of each difference, and its two-sided p, by Student's t. NaN where the error is.

    An error of 0 gives an interval of one point: p is 0, and 1 where the difference is 0.
    """
    from scipy.special import stdtr, stdtrit  # see `paired_t`

    known = np.maximum(freedom, 1).astype(np.float64)
    reach = stdtrit(known, 0.975) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(difference == 0, 0.0, np.abs(difference) / error)
    p = np.where(np.isnan(error), np.nan, 2 * stdtr(known, -t))
    return difference - reach, difference + reach, p


def randomisation(differences: Floats, seed: int) -> Floats:
    """Two-sided p of each difference by sign flips of its groups, an exact function of the seed.

    Never below 1 / (FLIPS + 1).
    """
    words = mix(seeded(seed, purpose="sign flips"), np.arange(FLIPS))
    bits = (words[None, :] >> np.arange(GROUPS, dtype=np.uint64)[:, None]) & np.uint64(1)
    signs = bits.astype(np.float64) * 2 - 1
    seen = np.abs(differences.sum(axis=1))[:, None] - _EQUAL * np.abs(differences).sum(axis=1)[:, None]
    return np.asarray((1 + (np.abs(differences @ signs) >= seen).sum(axis=1)) / (FLIPS + 1))


def holm(p: Floats) -> Floats:
    """Adjusted p-values that bound the chance of any false discovery (Holm 1979): reject where <= the level. NaN stays.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    return _adjusted(p, lambda ordered, n: np.maximum.accumulate(ordered * (n - np.arange(n))))


def benjamini_hochberg(p: Floats) -> Floats:
    """Adjusted p-values that bound the expected share of false discoveries (Benjamini and Hochberg 1995). NaN stays.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    return _adjusted(p, lambda ordered, n: np.minimum.accumulate((ordered * n / np.arange(1, n + 1))[::-1])[::-1])


def _adjusted(p: Floats, step: Callable[[Floats, int], Floats]) -> Floats:
    """`step` applied to the p-values that are numbers, ascending; at most 1."""
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(step(p[order], len(order)), 1.0)
    return adjusted
