"""How well each feature alone ranks the items of a context: the check that finds a feature that knows the answer.

The measure is the AUC inside a context, averaged over contexts that hold both labels: the share of (positive, other item)
pairs in which the positive has the larger value, ties counting 1/2 (Mann and Whitney 1947). Values of different contexts
are never compared, for a ranker never does. NaN is a value too (trees send it either way), so each feature is measured
with NaN below all numbers and with NaN above them, and the more extreme of the two counts.

Two questions are asked of each feature: does it know the label (positives against the rest), and does it know the
context's own play (the title played at the context's very instant against the rest). A feature leaks if its AUC is nearly
perfect, or if its AUC is very high and it is empty (0 or missing) for most other items yet never for those it should not
know: a count that includes the play itself is never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rec_platform.contexts.hashing import Words, mix, seeded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: A feature that alone reaches this AUC (or 1 - it) leaks; docs/decisions/0046 has the evidence for these four.
LEAK_AUC: Final = 0.98
#: So does one that reaches this AUC and is 0 (or missing) for `MANY` of the other items and `HARDLY_ANY` of the targets.
HIGH_AUC: Final = 0.90
MANY: Final = 0.5
HARDLY_ANY: Final = 0.005
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


def pairs_of(is_positive: Bools, offsets: Ints) -> Pairs:
    """The pairs of contexts given by list offsets, from a mask over items.

    >>> pairs_of(np.array([True, False, False, True]), np.array([0, 3, 4])).other.tolist()
    [1, 2]
    """
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

    >>> context_auc(np.array([3.0, 1.0, 3.0]), pairs_of(np.array([True, False, False]), np.array([0, 3]))).tolist()
    [0.75]
    """
    if not pairs.n_contexts:
        return np.empty(0)
    a, b = values[pairs.positive], values[pairs.other]
    won = (a > b) + 0.5 * (a == b)
    return np.asarray(np.add.reduceat(won, pairs.starts) / pairs.counts)


def play_keys(profile_id: Ints, at: Ints, title_id: Ints) -> Words:
    """One 64-bit key per (profile, instant, title); equal keys are equal plays but for a chance of 2^-64 a pair."""
    return mix(mix(seeded(0, purpose="own play"), profile_id), at) ^ mix(seeded(1, purpose="own play"), title_id)


def own_play(titles: Ints, context_of_item: Ints, profile_id: Ints, at: Ints, plays: Words) -> Bools:
    """The titles each context began with: those its profile played at its very instant.

    Args:
        titles, context_of_item: per item (m).
        profile_id, at: per context (n).
        plays: `play_keys` of the plays there were.
    """
    return np.isin(play_keys(profile_id[context_of_item], at[context_of_item], titles), plays)


class Sums(NamedTuple):
    """What is known of one feature, added up over contexts.

    Attributes:
        below, above: the sum of the contexts' AUCs with NaN below, and above, all numbers.
        zero_targets, missing_targets: the sum of the contexts' shares of pairs whose target is 0, or is NaN.
        zero_others, missing_others: likewise of the other item.
    """

    below: float
    above: float
    zero_targets: float
    missing_targets: float
    zero_others: float
    missing_others: float

    def plus(self, other: Sums) -> Sums:
        return Sums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


@dataclass
class RankingPower:
    """How well features find some target items; the sums of parts add up to those of the whole.

    Attributes:
        contexts: contexts that held a target and another item.
        features: the sums of each feature.
    """

    contexts: int = 0
    features: dict[str, Sums] = field(default_factory=dict)

    @classmethod
    def of(cls, features: Mapping[str, Floats], is_target: Bools, offsets: Ints) -> RankingPower:
        """The power of each feature (one value per item) over the contexts given by `offsets`."""
        pairs = pairs_of(is_target, offsets)
        return cls(pairs.n_contexts, {name: _sums(values, pairs) for name, values in features.items()})

    def add(self, other: RankingPower) -> None:
        """Take in other contexts. A feature that one side lacks told nothing there: AUC 1/2, all missing."""
        nothing, more = _nothing(self.contexts), _nothing(other.contexts)
        for name in self.features.keys() | other.features.keys():
            self.features[name] = self.features.get(name, nothing).plus(other.features.get(name, more))
        self.contexts += other.contexts

    def auc(self) -> dict[str, float]:
        """Each feature's mean AUC, the strongest first (farthest from 1/2, then by name); empty without contexts."""
        if not self.contexts:
            return {}
        means = {
            name: max(sums.below / self.contexts, sums.above / self.contexts, key=_distance)
            for name, sums in self.features.items()
        }
        return dict(sorted(means.items(), key=lambda pair: (-_distance(pair[1]), pair[0])))

    def leaking(self) -> dict[str, float]:
        """The features that leak, with their AUC; none where fewer than `MIN_CONTEXTS` contexts were seen."""
        if self.contexts < MIN_CONTEXTS:
            return {}
        return {name: auc for name, auc in self.auc().items() if _leaks(auc, self.features[name], self.contexts)}


def _sums(values: Floats, pairs: Pairs) -> Sums:
    missing, zero = np.isnan(values), values == 0
    below = context_auc(np.where(missing, -np.inf, values), pairs).sum()
    above = context_auc(np.where(missing, np.inf, values), pairs).sum() if missing.any() else below
    shares = [_share(mask[rows], pairs) for rows in (pairs.positive, pairs.other) for mask in (zero, missing)]
    return Sums(float(below), float(above), *shares)


def _share(mask: Bools, pairs: Pairs) -> float:
    """The sum over contexts of the share of their pairs for which `mask` holds."""
    return float((np.add.reduceat(mask.astype(np.float64), pairs.starts) / pairs.counts).sum()) if len(mask) else 0.0


def _nothing(contexts: int) -> Sums:
    return Sums(contexts / 2, contexts / 2, 0.0, float(contexts), 0.0, float(contexts))


def _distance(auc: float) -> float:
    return abs(auc - 0.5)


def _leaks(auc: float, sums: Sums, contexts: int) -> bool:
    if _distance(auc) > LEAK_AUC - 0.5:
        return True
    return _distance(auc) > HIGH_AUC - 0.5 and (
        _only_others(sums.zero_targets, sums.zero_others, contexts)
        or _only_others(sums.missing_targets, sums.missing_others, contexts)
    )


def _only_others(targets: float, others: float, contexts: int) -> bool:
    """Whether most other items and hardly any target are empty."""
    return targets <= HARDLY_ANY * contexts and others >= MANY * contexts


def verdict(powers: Iterable[RankingPower]) -> tuple[dict[str, float], str]:
    """The features that leak by any of the powers, and words: each of them with its AUC, else the strongest feature."""
    seen = [power for power in powers if power.contexts >= MIN_CONTEXTS and power.features]
    if not seen:
        return {}, "too few contexts to judge"
    leaking: dict[str, float] = {}
    for power in seen:
        leaking = {**power.leaking(), **leaking}
    shown = leaking or dict(list(seen[0].auc().items())[:1])
    contexts = max(power.contexts for power in seen)
    return leaking, f"{', '.join(f'{name} AUC {auc:.4f}' for name, auc in shown.items())} over {contexts} contexts"
