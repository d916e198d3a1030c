"""Metrics worked out once per kind of tie group instead of once per group.

With gains of 1, a metric that is a sum over tie groups (`ByGroup`) sees nothing of a group but five small integers: the kind of
its context, its start, its size, the positives in it and those before it. Among millions of groups there are thousands of
such kinds. So the loops of `kernels` name each group's kind, every metric's own function is asked once about the new kinds,
and the numbers are added up per context in the order, and with the divisions, of `ByGroup` itself: equal to the last bit.

The kind of a context is its candidates, reachable positives and positives. `random` and `ceiling` depend on nothing else, so
their metrics are worked out once per kind of context.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.evaluation import kernels
from rec_platform.evaluation.metrics import Metric, Population, members
from rec_platform.evaluation.scored import CEILING, RANDOM, Rank, Scored, at_best, at_random
from rec_platform.evaluation.tallies import distinct
from rec_platform.evaluation.ties import Bools, Floats, Ints, TieGroups, Truth, tie_groups
from rec_platform.timetravel.kernels import Int32, plain

#: Kinds kept from one block to the next; past it they are named anew.
MOST: Final = 2**18
#: Positives of a context are put in order by insertion: with more than this there is a better way.
LONGEST: Final = 1024
#: Contexts whose numbers are written model after model while their rows are in the processor's cache.
ROWS: Final = 2**10


def depends_on_kind(metric: Metric) -> bool:
    """Whether the kind of a group tells all that this metric reads of it."""
    return metric.by_group is not None and not metric.needs and metric.population != Population.TASTE


class Kinds:
    """Kinds met so far, and the numbers of `wanted` metrics (each with its cut-off) of each."""

    def __init__(self, wanted: tuple[tuple[Metric, int], ...]) -> None:
        self.wanted = wanted
        self._forget()

    def _forget(self) -> None:
        metrics = len(self.wanted)
        self._contexts: dict[tuple[int, int, int], int] = {}
        self._facts = np.zeros((0, 3), dtype=np.int64)
        self._over = np.zeros((0, metrics))
        self._exact = {RANDOM: np.zeros((0, metrics)), CEILING: np.zeros((0, metrics))}
        self._table = np.full(2**12, -1, dtype=np.int32)
        self._keys = np.zeros((2**11, kernels.FIELDS), dtype=np.int64)
        self._n = 0
        self._parts = np.zeros((0, metrics))

    def add(
        self, out: Ints, row: Ints, column: int, weight: Floats, whole: Scored, part: Scored, keep: Bools | None
    ) -> float:
        """Add weight x metric, in fixed point, to each context's row of `out`: models side by side from `column` on.

        Args:
            whole: everything.
            part, keep: what is left where positives not kept leave the lists; `whole` and None for everything.

        Returns the largest |number| added before rounding; infinite where `out` is not to be used, because gains are not
        all 1, or a number is wrong: working it out without kinds names the fault.
        """
        if not self.wanted or np.any(whole.truth.gain != 1.0) or whole.truth.n_positives.max(initial=0) > LONGEST:
            return np.inf
        if max(self._n, len(self._facts)) > MOST:
            self._forget()
        contexts = self._kinds_of_contexts(part.truth)
        kept = np.ones(len(whole.titles), dtype=bool) if keep is None else keep
        alone = contexts.astype(np.int32), np.arange(len(contexts) + 1)
        found = [
            alone if model in self._exact else self._kinds_of_groups(whole.truth, whole.ranks[model], kept, contexts)
            for model in whole.ranks
        ]
        largest, ones = 0.0, np.ones_like(self._over)
        for first in range(0, len(contexts), ROWS):
            some, within = slice(first, first + ROWS), slice(first, first + ROWS + 1)
            for place, (model, named) in enumerate(zip(whole.ranks, found, strict=True)):
                if named is None:
                    return np.inf
                kind, bounds = named
                parts, over = (self._exact[model], ones) if model in self._exact else (self._parts, self._over)
                at = column + place * len(self.wanted)
                most = kernels.weigh(
                    out, row[some], at, weight[some], kind, bounds[within], parts, contexts[some], over
                )  # fmt: skip
                largest = max(largest, most)
        return float(largest)

    def _kinds_of_contexts(self, truth: Truth) -> Ints:
        reachable, positives = truth.n_reachable, truth.n_positives
        bases = int(reachable.max(initial=0)) + 1, int(positives.max(initial=0)) + 1
        codes, which = distinct((truth.n_candidates * bases[0] + reachable) * bases[1] + positives)
        rest, last = np.divmod(codes, bases[1])
        facts = np.column_stack([*np.divmod(rest, bases[0]), last])
        before = len(self._contexts)
        kinds = [self._contexts.setdefault(one, len(self._contexts)) for one in map(tuple, facts.tolist())]
        if len(self._contexts) > before:
            self._learn_contexts(facts[np.array(kinds) >= before])
        return np.array(kinds, dtype=np.int64)[which]

    def _learn_contexts(self, facts: Ints) -> None:
        truth = _truth(facts)
        inside = {one.population: members(one.population, truth) for one, _ in self.wanted}
        self._facts = np.concatenate([self._facts, facts])
        over = [self._denominator(one, k, truth, inside[one.population]) for one, k in self.wanted]
        self._over = np.concatenate([self._over, np.column_stack(over)])
        for model, rank in ((RANDOM, at_random), (CEILING, at_best)):
            groups = tie_groups(truth, *rank(truth))
            values = [np.where(inside[one.population], one.value(groups, k), 0.0) for one, k in self.wanted]
            self._exact[model] = np.concatenate([self._exact[model], np.column_stack(values)])

    @staticmethod
    def _denominator(metric: Metric, k: int, truth: Truth, inside: Bools) -> Floats:
        """What sums are divided by: infinite, which gives 0, where there is nothing to divide."""
        assert metric.by_group is not None
        over = np.asarray(metric.by_group.over(truth, k), dtype=np.float64)
        return np.where(inside & (over != 0), over, np.inf)

    def _kinds_of_groups(self, truth: Truth, rank: Rank, kept: Bools, contexts: Ints) -> tuple[Int32, Ints] | None:
        """The kind of each group, and where each context's begin; None where the counts cannot be."""
        kind, bounds = np.empty(len(kept), dtype=np.int32), np.zeros(truth.n_contexts + 1, dtype=np.int64)
        above, equal, first, candidates = (plain(one, np.int64) for one in (*rank, truth.first, truth.n_candidates))
        reachable, done = plain(truth.reachable, np.bool_), 0
        while done < truth.n_contexts:
            if done:
                self._grow()
            reached, n = kernels.kinds_of_groups(
                above, equal, reachable, kept, first, candidates, contexts,
                self._table, self._keys, self._n, done, kind, bounds,
            )  # fmt: skip
            done, self._n = int(reached), int(n)
            if done < 0:
                return None
            if done == 0:
                self._grow()
        if self._n > len(self._parts):
            self._learn_groups(self._keys[len(self._parts) : self._n])
        return kind, bounds

    def _grow(self) -> None:
        self._table = np.full(2 * len(self._table), -1, dtype=np.int32)
        self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)])
        kernels.rehash(self._table, self._keys, self._n)

    def _learn_groups(self, keys: Ints) -> None:
        known, context = np.unique(keys[:, 0], return_inverse=True)
        _, start, size, positives, before = (np.ascontiguousarray(one) for one in keys.T)
        truth = _truth(self._facts[known])
        groups = TieGroups(truth, context, start, size, positives, positives.astype(np.float64), before)
        parts = [one.by_group.part(groups, k) for one, k in self.wanted if one.by_group is not None]
        self._parts = np.concatenate([self._parts, np.column_stack(parts)])


def _truth(facts: Ints) -> Truth:
    """A context of each kind (candidates, reachable positives, positives), with gains of 1."""
    candidates, reachable, positives = facts.T
    context = np.repeat(np.arange(len(facts)), positives)
    place = np.arange(len(context)) - np.repeat(np.cumsum(positives) - positives, positives)
    return Truth(
        len(facts), context, np.ones(len(context)), place < reachable[context], np.ascontiguousarray(candidates)
    )
