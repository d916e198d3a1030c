"""How well each feature alone ranks the items of a context: the check that finds a feature that knows the answer.

The measure is the AUC inside a context, averaged over contexts that hold both labels: the share of (positive, other item)
pairs in which the positive has the larger value, ties counting 1/2 (Mann and Whitney 1947). Values of different contexts
are never compared, for a ranker never does. NaN is a value too (trees send it either way), so each feature is measured
with NaN below all numbers and with NaN above them, and the more extreme of the two counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A feature that alone reaches this AUC (or 1 - it) is taken for a leak; the evidence is in docs/decisions/0046.
LEAK_AUC: Final = 0.98
#: With fewer contexts holding both labels nothing is judged: chance reaches far.
MIN_CONTEXTS: Final = 100
#: Contexts that are looked at per partition, evenly spread: their mean is exact enough (about 0.01) and the cost small.
SAMPLED_CONTEXTS: Final = 256


@dataclass(frozen=True)
class Pairs:
    """Every (positive, other item) pair of some contexts.

    Attributes:
        positive, other: item rows, one per pair; pairs of a context stand together.
        starts: the first pair of each context that has any.
        counts: pairs of each of them.
    """

    positive: Ints
    other: Ints
    starts: Ints
    counts: Ints

    @property
    def n_contexts(self) -> int:
        return len(self.starts)


def pairs_of(label: Floats, offsets: Ints) -> Pairs:
    """The pairs of contexts given by list offsets; an item is a positive if its label is above 0.

    >>> pairs_of(np.array([1.0, 0.0, 0.0, 1.0]), np.array([0, 3, 4])).other.tolist()
    [1, 2]
    """
    is_positive = label > 0
    before = np.concatenate([[0], np.cumsum(is_positive)])
    positives = np.diff(before[offsets])
    others = np.diff(offsets) - positives
    context = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    other_rows, first_other = np.flatnonzero(~is_positive), np.concatenate([[0], np.cumsum(others)])
    rows = np.flatnonzero(is_positive)
    repeats = others[context[rows]]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    counts = (positives * others)[positives * others > 0]
    return Pairs(
        positive=np.repeat(rows, repeats),
        other=other_rows[np.repeat(first_other[context[rows]], repeats) + within],
        starts=np.cumsum(counts) - counts,
        counts=counts,
    )


def context_auc(values: Floats, pairs: Pairs) -> Floats:
    """One feature's AUC in each context that has pairs. `values` has one number per item, none of them NaN.

    >>> context_auc(np.array([3.0, 1.0, 3.0]), pairs_of(np.array([1.0, 0.0, 0.0]), np.array([0, 3]))).tolist()
    [0.75]
    """
    if not pairs.n_contexts:
        return np.empty(0)
    a, b = values[pairs.positive], values[pairs.other]
    won = (a > b) + 0.5 * (a == b)
    return np.asarray(np.add.reduceat(won, pairs.starts) / pairs.counts)


@dataclass
class RankingPower:
    """Sums of AUCs over contexts, per feature; sums of several partitions add up to those of all.

    Attributes:
        contexts: contexts that held both labels.
        below, above: per feature the sum of its AUC with NaN below, and above, all numbers.
    """

    contexts: int = 0
    below: dict[str, float] = field(default_factory=dict)
    above: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, features: Mapping[str, Floats], label: Floats, offsets: Ints) -> RankingPower:
        """The power of each feature (one value per item) over the contexts given by `offsets`."""
        pairs = pairs_of(label, offsets)
        power = cls(pairs.n_contexts)
        for name, values in features.items():
            missing = np.isnan(values)
            power.below[name] = float(context_auc(np.where(missing, -np.inf, values), pairs).sum())
            power.above[name] = (
                float(context_auc(np.where(missing, np.inf, values), pairs).sum())
                if missing.any()
                else power.below[name]
            )
        return power

    def add(self, other: RankingPower) -> None:
        """Take in the sums of other contexts. A feature one side lacks counts there as telling nothing (1/2)."""
        for mine, theirs in ((self.below, other.below), (self.above, other.above)):
            for name in mine.keys() | theirs.keys():
                mine[name] = mine.get(name, self.contexts / 2) + theirs.get(name, other.contexts / 2)
        self.contexts += other.contexts

    def auc(self) -> dict[str, float]:
        """Each feature's mean AUC, the strongest first (farthest from 1/2, then by name); empty without contexts."""
        if not self.contexts:
            return {}
        means = {
            name: max(self.below[name] / self.contexts, self.above[name] / self.contexts, key=_distance)
            for name in self.below
        }
        return dict(sorted(means.items(), key=lambda pair: (-_distance(pair[1]), pair[0])))


def _distance(auc: float) -> float:
    return abs(auc - 0.5)


def strongest(power: RankingPower) -> tuple[float | None, str]:
    """The most extreme AUC of any feature, and the features behind it in words: those that leak, else the strongest.

    None where too few contexts were seen to judge.
    """
    ranked = power.auc()
    if power.contexts < MIN_CONTEXTS or not ranked:
        return None, f"{power.contexts} contexts with both labels, too few to judge"
    leaking = {name: auc for name, auc in ranked.items() if _distance(auc) > LEAK_AUC - 0.5}
    named = leaking or dict(list(ranked.items())[:1])
    listing = ", ".join(f"{name} AUC {auc:.4f}" for name, auc in named.items())
    return next(iter(ranked.values())), f"{listing} over {power.contexts} contexts"
