"""Metrics worked out once per kind of tie group instead of once per group.

With gains of 1, a metric that is a sum over tie groups (`ByGroup`) sees nothing of a group but five small integers: the kind of
its context, its start, its size, the positives in it and those before it. Among millions of groups there are thousands of
such kinds. So the loops of `kernels` name each group's kind, every metric's own function is asked once about the new kinds,
and the numbers are added up per context in the order, and with the divisions, of `ByGroup` itself: equal to the last bit.

The kind of a context is its candidates, reachable positives and positives. `random` and `ceiling` depend on nothing else, so
their metrics are worked out once per kind of context.

Of contexts with few positives, each alone at its score, there are few kinds as wholes (`arrangements`): these have their numbers
in one row, rounded already.
"""

from __future__ import annotations

import threading
from math import comb
from typing import Final

import numpy as np

from rec_platform.evaluation import kernels
from rec_platform.evaluation.metrics import Metric, Population, members
from rec_platform.evaluation.scored import Scored, at_best, at_random
from rec_platform.evaluation.ties import Bools, Floats, Ints, TieGroups, Truth, tie_groups
from rec_platform.timetravel.kernels import plain

#: Kinds kept from one block to the next; past it they are named anew.
MOST: Final = 2**18
#: Slots of the table of kinds to begin with; it grows.
SLOTS: Final = 2**14
#: Positives of a context are put in order by insertion: with more than this there is a better way.
LONGEST: Final = 1024
#: Groups of one candidate that are found without a look in the table: 16 MB.
DIRECT: Final = 2**22
#: Numbers of arrangements that are kept: 16 MB, and as much again of them in fixed point.
ARRANGED: Final = 2**21

#: Instead of where the arrangements of a kind of context are: they have no numbers yet, or never will.
_NOT_YET, _NEVER = -1, -2

_LOCAL: Final = threading.local()


def kinds_of(wanted: tuple[tuple[Metric, int], ...]) -> Kinds:
    """Kinds with the numbers of these metrics, those that this thread met before among them.

    Small partitions would else spend most of their time on naming the same kinds again.
    """
    if getattr(_LOCAL, "kinds", None) is None or _LOCAL.kinds.wanted != wanted:
        _LOCAL.kinds = Kinds(wanted)
    found: Kinds = _LOCAL.kinds
    return found


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
        self._facts = np.zeros((0, 3), dtype=np.int64)
        self._context_table, self._context_keys = (
            np.full(2, -1, dtype=np.int32),
            np.zeros((0, kernels.FIELDS), np.int64),
        )
        self._over, self._exact = np.zeros((0, metrics)), np.zeros((0, 2 * metrics))
        self._base, self._direct = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
        self._named = np.zeros(0, dtype=bool)
        self._table = np.full(SLOTS, -1, dtype=np.int32)
        self._keys = np.zeros((SLOTS // 2, kernels.FIELDS), dtype=np.int64)
        self._n = 0
        self._parts = np.zeros((0, metrics))
        self._arranged, self._n_arranged, self._largest = np.zeros(0, dtype=np.int64), 0, 0.0
        room = ARRANGED // max(metrics, 1), metrics
        self._values, self._fixed = np.empty(room), np.empty(room, dtype=np.int64)  # what nobody touches costs nothing
        self._exact_fixed = np.zeros((0, 2 * metrics), dtype=np.int64)

    def suit(self, whole: Scored) -> bool:
        """Whether these contexts can be judged by kind: gains of 1, and not too many positives."""
        truth = whole.truth
        return bool(self.wanted) and truth.n_positives.max(initial=0) <= LONGEST and bool(np.all(truth.gain == 1.0))

    def add(
        self, out: Ints | Floats, row: Ints, column: int, weight: Floats, whole: Scored, truth: Truth,
        keep: Bools | None = None, contexts: Ints | None = None,
    ) -> float:  # fmt: skip
        """Add weight x metric, in fixed point, of some contexts to rows of `out`: models side by side from `column` on.

        Args:
            row: of each of `contexts`.
            weight: of every context.
            whole: everything; it must `suit`.
            truth, keep: what is left where positives not kept leave the lists; None for everything.
            contexts: None for all.

        Returns the largest |number| added before rounding; infinite where `out` is not to be used, because a number is
        wrong: working it out without kinds names the fault.
        """
        if max(self._n, len(self._facts)) > MOST:
            self._forget()
        try:
            return self._added(out, row, column, weight, whole, truth, keep, contexts)
        except BaseException:  # an interrupt, too: what was being learnt is half there
            self._forget()
            raise

    def _added(
        self, out: Ints | Floats, row: Ints, column: int, weight: Floats, whole: Scored, truth: Truth,
        keep: Bools | None, contexts: Ints | None,
    ) -> float:  # fmt: skip
        assert whole.places is not None
        above, equal = whole.places
        kind = self._kinds_of_contexts(truth, len(above))
        kept = np.ones(len(whole.titles), dtype=bool) if keep is None else keep
        given = (
            plain(weight, np.float64), above, equal, plain(whole.truth.reachable, np.bool_), kept, whole.truth.first,
            plain(whole.truth.n_candidates, np.int64), kind,
        )  # fmt: skip
        left, width = np.arange(truth.n_contexts) if contexts is None else contexts, self._facts[:, 1].copy()
        later, largest = np.empty(len(left), dtype=np.int64), 0.0
        if keep is None:
            arranged, rows = np.empty(len(left), dtype=np.int64), np.empty((len(left) + 1, len(above)), dtype=np.int32)
            done, waiting = kernels.number_arrangements(
                left, above, equal, *given[5:], self._arranged, arranged, rows, later
            )
            most = kernels.add_arrangements(
                left, arranged[:done], rows, row, given[0], kind, self._values, self._fixed, self._exact,
                self._exact_fixed, out, column,
            )  # fmt: skip
            if most == np.inf:
                return np.inf
            largest = max(float(most), self._largest)
            left, row = left[later[:waiting]], row[later[:waiting]]
        while len(left):
            before = self._n
            waiting, n, most = kernels.judge(
                left, row, *given, self._base, width, self._direct, self._table, self._keys, before,
                self._exact, self._parts, self._over, out, column, later,
            )  # fmt: skip
            self._n, largest = int(n), max(largest, float(most))
            if waiting < 0 or largest == np.inf:
                return np.inf
            if waiting and (self._n == before or 4 * self._n > len(self._table)):
                self._grow()
            if self._n > len(self._parts):
                self._learn_groups(self._keys[len(self._parts) : self._n])
            left, row = left[later[:waiting]], row[later[:waiting]]
        return largest

    def _kinds_of_contexts(self, truth: Truth, models: int) -> Ints:
        given = plain(truth.n_candidates, np.int64), truth.n_reachable, truth.n_positives
        kind, recent = np.empty(truth.n_contexts, dtype=np.int64), np.full(LONGEST + 1, -1, dtype=np.int64)
        if kernels.kinds_of(*given, self._context_table, self._context_keys, recent, kind):
            self._learn_contexts(np.unique(np.column_stack(given)[kind < 0], axis=0))
            kernels.kinds_of(*given, self._context_table, self._context_keys, recent, kind)
        if not self._named.all() or (self._arranged == _NOT_YET).any():
            here = np.bincount(kind, minlength=len(self._facts))
            met = np.flatnonzero(here)
            self._name_all(met[~self._named[met]], models * int(truth.n_reachable.sum()))
            self._arrange(met, models * here[met])
        return kind

    def _learn_contexts(self, facts: Ints) -> None:
        """Work out what depends on new kinds of contexts alone."""
        truth = _truth(facts)
        inside = {one.population: members(one.population, truth) for one, _ in self.wanted}
        self._facts = np.concatenate([self._facts, facts])
        self._context_keys = np.pad(self._facts, [(0, 0), (0, kernels.FIELDS - facts.shape[1])])
        self._context_table = np.full(4 << len(self._facts).bit_length(), -1, dtype=np.int32)
        kernels.rehash(self._context_table, self._context_keys, len(self._facts))
        over = [self._denominator(one, k, truth, inside[one.population]) for one, k in self.wanted]
        self._over = np.concatenate([self._over, np.column_stack(over)])
        exact: list[Floats] = []
        for rank in (at_random, at_best):
            groups = tie_groups(truth, *rank(truth))
            exact += [np.where(inside[one.population], one.value(groups, k), 0.0) for one, k in self.wanted]
        new = np.column_stack(exact)
        small = np.asarray(np.abs(new) < kernels.BOUND)
        rounded = np.rint(np.where(small, new, 0.0) * kernels.ONE).astype(np.int64)
        self._exact, self._exact_fixed = (
            np.concatenate([self._exact, new]),
            np.concatenate([self._exact_fixed, rounded]),
        )
        few = (facts[:, 1] == facts[:, 2]) & (facts[:, 1] > 0) & (facts[:, 1] <= kernels.TOGETHER)
        self._arranged = np.append(self._arranged, np.where(few & small.all(axis=1), _NOT_YET, _NEVER))
        self._make_room(facts)

    def _make_room(self, facts: Ints) -> None:
        """A place in `_direct` for each group of one candidate of each new kind of context, while there is room."""
        groups = facts[:, 0] * facts[:, 1]
        ends = len(self._direct) + np.cumsum(groups)
        inside = ends <= DIRECT
        base = np.where(inside, ends - groups, -1)
        self._base = np.concatenate([self._base, base])
        more = np.full(int(ends[inside].max(initial=len(self._direct))) - len(self._direct), -1, dtype=np.int32)
        self._direct = np.concatenate([self._direct, more])
        self._named = np.append(self._named, ~inside | (groups == 0))

    def _name_all(self, contexts: Ints, at_hand: int) -> None:
        """Name every group of one candidate in these kinds of contexts, which have places in `_direct`.

        If they are no more than the groups at hand: else only those met get a name.
        """
        candidates, reachable = self._facts[contexts, 0], self._facts[contexts, 1]
        if not len(contexts) or (candidates * reachable).sum() > min(at_hand, MOST - self._n):
            return
        context = np.repeat(np.arange(len(contexts)), candidates * reachable)
        place = np.arange(len(context)) - (np.cumsum(candidates * reachable) - candidates * reachable)[context]
        start, before = np.divmod(place, reachable[context])
        places = self._base[contexts][context] + place
        there = np.flatnonzero((before <= start) & (self._direct[places] < 0))
        ones = np.ones(len(there), dtype=np.int64)
        keys = np.column_stack([contexts[context[there]], start[there], ones, ones, before[there]])
        self._direct[places[there]] = self._n + np.arange(len(keys))
        self._named[contexts] = True
        while 4 * (self._n + len(keys)) > len(self._table):
            self._grow()
        self._keys[self._n : self._n + len(keys)] = keys
        self._n += len(keys)
        kernels.rehash(self._table, self._keys, self._n)
        self._learn_groups(self._keys[len(self._parts) : self._n])

    def _arrange(self, contexts: Ints, at_hand: Ints) -> None:
        """Put numbers to all arrangements of these kinds of contexts, if they are no more than the contexts at hand."""
        n, p = self._facts[contexts, 0], self._facts[contexts, 1]
        many = np.choose(np.minimum(p, 3), [1, n, n * (n - 1) // 2, n * (n - 1) * (n - 2) // 6])
        wanted = (self._arranged[contexts] == _NOT_YET) & self._named[contexts] & (self._base[contexts] >= 0)
        for kind in contexts[wanted & (many <= at_hand)].tolist():
            self._arrange_kind(kind)

    def _arrange_kind(self, kind: int) -> None:
        n, p, _ = self._facts[kind].tolist()
        base, begin, end = int(self._base[kind]), self._n_arranged, self._n_arranged + comb(n, p)
        if end > len(self._values):
            return
        groups = self._direct[base : base + n * p].reshape(n, p)
        room = self._values[begin:end], self._fixed[begin:end]
        largest = float(kernels.arrange(groups, self._parts, self._over[kind], *room))
        if largest == np.inf:  # left to those who name the fault
            self._arranged[kind] = _NEVER
            return
        self._arranged[kind], self._n_arranged = begin, end
        self._largest = max(self._largest, largest, float(np.abs(self._exact[kind]).max()))

    @staticmethod
    def _denominator(metric: Metric, k: int, truth: Truth, inside: Bools) -> Floats:
        """What sums are divided by: infinite, which gives 0, where there is nothing to divide."""
        assert metric.by_group is not None
        over = np.asarray(metric.by_group.over(truth, k), dtype=np.float64)
        return np.where(inside & (over != 0), over, np.inf)

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
