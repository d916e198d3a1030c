"""Contexts are added to the sums: of every model, metric and slice, with bootstrap replicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError
from rec_platform.evaluation import kernels
from rec_platform.evaluation.accumulators import Added, joined, tally
from rec_platform.evaluation.kinds import kinds_of
from rec_platform.evaluation.metrics import members
from rec_platform.evaluation.plan import PROFILE, Plan
from rec_platform.evaluation.protocol import Evidence, data_hash
from rec_platform.evaluation.scored import Scored, scored, weights
from rec_platform.evaluation.slices import ALL
from rec_platform.evaluation.sums import LIMIT, TALLY, Key, MetricSums, added, fixed, width
from rec_platform.evaluation.tallies import ONE, Tally, group_of, merged
from rec_platform.evaluation.ties import Bools, Floats, Ints, Truth
from rec_platform.evaluation.totals import Slice, coded, drawn_by, first_of_each, joint, totals
from rec_platform.evaluation.trec import TREC, in_trec_order
from rec_platform.evaluation.view import Block, View


@dataclass(frozen=True)
class _Part:
    """Contexts with all positives, or with those of one value of an item slice.

    Attributes:
        block: what is left.
        keep: which of all positives that is; None for all.
        views: of each model.
        columns: how many of the plan's columns, from the first on, it has.
        member: which contexts are in which population: (n, populations).
        slices: the slices its contexts count in: n texts each.
    """

    block: Block
    keep: Bools | None
    views: Mapping[str, View]
    columns: int
    member: Bools
    slices: Mapping[str, pa.Array]

    @property
    def truth(self) -> Truth:
        return self.block.scored.truth

    @property
    def unreachable(self) -> Ints:
        """Positives outside the candidate set: n values."""
        return self.truth.n_positives - self.truth.n_reachable


@dataclass(frozen=True)
class _Values:
    """Metric values of some contexts, and the slices these values count in.

    `values` has shape (n, columns), `member` (n, populations), `unreachable` n; `slices` n texts per slice. The columns are
    all of the plan's, or the first so many where the values are of an item slice.
    """

    values: Floats
    member: Bools
    unreachable: Ints
    slices: Mapping[str, pa.Array]


@dataclass(frozen=True)
class _Rows:
    """Contexts with their values, one block over all positives, then one per value of each item slice; and what they add
    to each tally."""

    profile: Ints
    weight: Floats
    blocks: tuple[_Values, ...]
    counted: tuple[Added, ...]


@dataclass
class _Cell:
    """Sums of one slice value: counts (populations, 3), totals (width(R), columns + populations)."""

    counts: Ints
    totals: Ints | None = None


@dataclass(frozen=True)
class _Contexts:
    """Contexts to be added to the sums: over all positives, then over those of each value of each item slice.

    Attributes:
        parts, slices: each part, and the slices its contexts count in.
        weight, profile: n values.
    """

    parts: Sequence[_Part]
    slices: Sequence[Sequence[Slice]]
    weight: Floats
    profile: Ints

    @property
    def scored(self) -> Scored:
        return self.parts[0].block.scored

    @property
    def all_slices(self) -> list[Slice]:
        return [one for slices in self.slices for one in slices]


class Evaluation:
    """The sums so far, and how to add contexts to them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._tallies: dict[Key, Tally] = {}
        self._waiting: list[_Rows] = []
        self._evidence = plan.evidence
        self._kinds = kinds_of(plan.wanted)
        self._scratch = np.zeros(0)  # fresh pages for every chunk cost as much as what is written to them

    def take(self, frame: Frame) -> None:
        """Evaluate a frame's contexts; means over profiles wait until all are there."""
        plan = self.plan
        frame = in_trec_order(frame, plan.models) if plan.protocol.ties == TREC else frame
        block = Block(
            frame, scored(frame, plan.models), plan.knowledge, longest=plan.list_length, seed=plan.seed
        )  # fmt: skip
        weight, profile = weights(frame), np.asarray(frame.context(c.PROFILE), dtype=np.int64)
        self._evidence += Evidence(data=data_hash(_ids(frame), weight, block.scored.truth, block.scored.titles))
        parts = list(self._parts(block))
        counted = (one.take(parts[0].views[model], k) for model, one, k in plan.counted)
        if plan.estimand == PROFILE:
            self._waiting.append(_Rows(profile, weight, tuple(self._values(part) for part in parts), tuple(counted)))
            return
        self._add(_Contexts(parts, [coded(part.slices) for part in parts], weight, profile))
        slices = self._tallied(parts[0].slices)
        self._add_tallies(slices, counted, profile, [[weight] * len(plan.counted)] * len(slices))

    def _tallied(self, slices: Mapping[str, pa.Array]) -> list[Slice]:
        """The slices that have tallies: everything, and countries."""
        names = (ALL, *(name for name in self.plan.slices.contexts if name == c.COUNTRY))
        return coded({name: slices[name] for name in names}) if self.plan.counted else []

    def _add_tallies(
        self, slices: Sequence[Slice], counted: Iterable[Added], profile: Ints, weights: Sequence[Sequence[Floats]]
    ) -> None:
        """Add what each model's contexts add to each accumulator, with the weights of each slice and accumulator."""
        plan = self.plan
        group = group_of(profile, plan.seed) if plan.counted else profile
        for place, ((model, one, k), adds) in enumerate(zip(plan.counted, counted, strict=True)):
            named, whole = one.name + plan.suffix, None
            key = Key(plan.protocol.kind, plan.estimand, model, named, k, "", "", TALLY, one.counted_in)
            for by, weight in zip(slices, weights, strict=True):
                for code, label in enumerate(by.labels):
                    alone = len(by.labels) == 1  # then the tally is that of all contexts, in any slice
                    part = whole if alone and whole else tally(adds, weight[place], group, by.codes == code)
                    whole = part if alone else whole
                    mine = key._replace(slice=by.name, slice_value=label)
                    self._tallies[mine] = merged([self._tallies[mine], part]) if mine in self._tallies else part

    def _parts(self, whole: Block) -> Iterator[_Part]:
        slices = self.plan.slices
        found = slices.of_contexts(whole.frame.contexts)
        yield self._part(whole, None, len(self.plan.columns), found)
        for division in slices.divisions:
            codes = division.of(whole.scored.titles)
            for code, label in enumerate(division.labels):
                keep, inside = codes == code, slices.of_division(division, label, found)
                yield self._part(whole.only(keep), keep, self.plan.by_item, inside)

    def _part(self, block: Block, keep: Bools | None, columns: int, slices: Mapping[str, pa.Array]) -> _Part:
        truth, taste = block.scored.truth, block.has_taste
        member = np.empty((truth.n_contexts, len(self.plan.populations)), dtype=np.bool_)
        for place, name in enumerate(self.plan.populations):
            member[:, place] = members(name, truth, taste)
        views = {model: View(block, model) for model in self.plan.everyone}
        return _Part(block, keep, views, columns, member, slices)

    def _values(self, part: _Part, begin: int = 0) -> _Values:
        """The values of the part's columns from `begin` on."""
        values = np.empty((len(part.member), part.columns - begin))
        for place, column in enumerate(self.plan.columns[begin : part.columns]):
            inside = part.member[:, self.plan.population[begin + place]]
            values[:, place] = np.where(inside, column.metric.of(part.views[column.model], column.k), 0.0)
        return _Values(values, part.member, part.unreachable, part.slices)

    def _add(self, contexts: _Contexts) -> None:
        """Add contexts to the sums; by kind of tie group what can be and gives numbers, else context by context."""
        for part, slices in zip(contexts.parts, contexts.slices, strict=True):
            self._count(slices, part.member, part.unreachable)
        work, found = self._replicated if self.plan.replicates else self._plain, None
        if self._kinds.suit(contexts.scored):
            found = work(contexts, len(self.plan.wanted) * len(self.plan.everyone))
        found = work(contexts, 0) if found is None else found
        assert found is not None
        for slices, sums in zip(contexts.slices, found, strict=True):
            self._add_totals(slices, sums)

    def _plain(self, contexts: _Contexts, quick: int) -> list[list[Ints]] | None:
        """Totals without replicates: contexts that agree in every slice share a row of amounts.

        The first `quick` columns are worked out by kind; None where that gives no numbers.
        """
        n, populations = len(contexts.weight), len(self.plan.populations)
        ends = np.cumsum([0, *(part.columns + populations for part in contexts.parts)]).tolist()
        row = joint(contexts.all_slices, n)
        rest = [self._rest(part, contexts.weight, quick) for part in contexts.parts]
        for rows in (first_of_each(row), np.arange(n)):
            row = row if len(rows) < n else rows
            amounts, largest = np.zeros((len(rows), ends[-1]), dtype=np.int64), 0.0
            for part, begin, numbers in zip(contexts.parts, ends, rest, strict=False):
                largest = max(largest, self._weigh(amounts, row, begin, contexts, part, None, quick, numbers))
            if largest == np.inf:
                return None
            if largest * n < LIMIT:  # else sums of rows might wrap where nobody looks
                break
        slices = (
            one.of(rows).reading(begin, end)
            for own, begin, end in zip(contexts.slices, ends[:-1], ends[1:], strict=True)
            for one in own
        )
        found = iter(totals(list(slices), amounts, largest, n, drawn_by(contexts.profile[rows], 0, 0)))
        return [[next(found) for _ in own] for own in contexts.slices]

    def _replicated(self, contexts: _Contexts, quick: int) -> list[list[Ints]] | None:
        """Totals with replicates: a row per context, in the order of what contexts agree in.

        Where a context has no positive of an item slice's value, all is 0 but what it weighs in populations: it has no row
        there, and these weights stand beside its row of all positives.

        The first `quick` columns are worked out by kind; None where that gives no numbers.
        """
        plan, n, populations = self.plan, len(contexts.weight), len(self.plan.populations)
        order = np.argsort(joint(contexts.all_slices, n), kind="stable")
        drawn = drawn_by(contexts.profile[order], plan.replicates, plan.seed)
        rest = [self._rest(part, contexts.weight, quick) for part in contexts.parts]
        numbers = [one[:, : one.shape[1] - populations] for one in rest]
        numbers[0] = np.hstack([numbers[0], *(one[:, one.shape[1] - populations :] for one in rest)])
        found: list[list[Ints]] = []
        for place, (part, own) in enumerate(zip(contexts.parts, contexts.slices, strict=True)):
            there = np.arange(n)
            if place:
                there = np.flatnonzero(((part.truth.n_positives > 0) | numbers[place].any(axis=1))[order])
            columns, rows = numbers[place].shape[1] + quick, order[there]
            amounts = self._empty(len(rows), columns)
            largest = self._weigh(amounts, np.arange(len(rows)), 0, contexts, part, rows, quick, numbers[place])
            if largest == np.inf:
                return None
            ends = part.columns + populations * np.arange(1, len(contexts.parts) + 1)
            slices = [one.of(rows).reading(0, part.columns if place else ends[0]) for one in own]
            if not place:
                for more, end in zip(contexts.slices[1:], ends[1:].tolist(), strict=True):
                    slices += [one.of(rows).reading(end - populations, end) for one in more]
            found.append(totals(slices, amounts, largest, n, drawn if not place else drawn.of(there)))
        weighed = iter(found[0][len(contexts.slices[0]) :])
        return [
            found[0][: len(contexts.slices[0])],
            *([np.concatenate([one, next(weighed)], axis=2) for one in sums] for sums in found[1:]),
        ]

    def _empty(self, rows: int, columns: int) -> Floats:
        """Zeros of that shape, until they are asked for again."""
        if len(self._scratch) < rows * columns:
            self._scratch = np.empty(rows * columns)
        amounts = self._scratch[: rows * columns].reshape(rows, columns)
        amounts[:] = 0.0
        return amounts

    def _weigh(
        self, out: Ints | Floats, row: Ints, begin: int, contexts: _Contexts, part: _Part, rows: Ints | None, quick: int,
        rest: Ints,
    ) -> float:  # fmt: skip
        """Add the amounts of some contexts (`rows`; None for all), `quick` ones and the `rest`, to rows of `out`.

        Returns a bound of each |amount|; infinite where those by kind are no numbers.
        """
        largest = 0.0
        if quick:
            largest = self._kinds.add(
                out, row, begin, contexts.weight, contexts.scored, part.truth, part.keep, rows
            )  # fmt: skip
        rest = rest if rows is None else rest[rows]
        kernels.add_rows(out, row, begin + quick, rest, 0, rest.shape[1])
        return max(largest * ONE + 1, float(rest.max(initial=0)), -float(rest.min(initial=0)))

    def _rest(self, part: _Part, weight: Floats, quick: int) -> Ints:
        """The amounts of the columns from `quick` on, then those of the populations."""
        if quick == part.columns:
            return kernels.weighed(part.member, fixed(weight))
        return self._amounts(self._values(part, quick), weight[:, None] * part.member, quick)

    def _amounts(self, block: _Values, weight: Floats, first: int = 0) -> Ints:
        """weight x metric per column, then the weight per population, in fixed point: (n, columns + populations)."""
        try:
            used = self.plan.population[first : first + block.values.shape[1]]
            return fixed(np.hstack([block.values * weight[:, used], weight]))
        except NumericError:
            self._name_fault(block, first)
            raise

    def _name_fault(self, block: _Values, first: int) -> None:
        wrong = np.flatnonzero(~np.isfinite(block.values).all(axis=0))
        if len(wrong):
            column = self.plan.columns[first + wrong[0]]
            raise NumericError(
                f"metric {column.metric.name!r} is not finite for model {column.model!r}", place="evaluate",
                repair="A metric must return a number for every context of its population.",
            )  # fmt: skip

    def _add_profiles(self, rows: _Rows) -> None:
        """Add contexts by their shares of their profiles, which differ from slice to slice."""
        drawn, n = drawn_by(rows.profile, self.plan.replicates, self.plan.seed), len(rows.profile)
        populations = [self.plan.populations.index(one.counted_in) for _, one, _ in self.plan.counted]
        slices = self._tallied(rows.blocks[0].slices)
        shares = [_shares(rows, rows.blocks[0], one.codes) for one in slices]
        self._add_tallies(
            slices, rows.counted, rows.profile, [[part[:, place] for place in populations] for part in shares]
        )
        for block in rows.blocks:
            for one in coded(block.slices):
                amounts = self._amounts(block, _shares(rows, block, one.codes))
                self._count([one], block.member, block.unreachable)
                largest = float(np.abs(amounts).max(initial=0))
                self._add_totals([one], totals([one.reading(0, amounts.shape[1])], amounts, largest, n, drawn))

    def _count(self, slices: Sequence[Slice], member: Bools, unreachable: Ints) -> None:
        """Add to n, n_excluded and n_unreachable of each population."""
        for one in slices:
            numbers = np.zeros((len(one.labels), member.shape[1], 3), dtype=np.int64)
            kernels.count(numbers, one.codes, member, unreachable)
            for label, given in zip(one.labels, numbers, strict=True):
                cell = self._cells.setdefault((one.name, label), _Cell(np.zeros_like(given)))
                cell.counts = cell.counts + given

    def _add_totals(self, slices: Sequence[Slice], sums: Sequence[Ints]) -> None:
        """Add what each slice's values add up to."""
        for one, found in zip(slices, sums, strict=True):
            for label, given in zip(one.labels, found, strict=True):
                cell = self._cells[one.name, label]
                cell.totals = given if cell.totals is None else added(cell.totals, given)

    def sums(self) -> MetricSums:
        """The sums of all contexts taken."""
        if self._waiting:
            self._add_profiles(_joined(self._waiting))
            self._waiting = []
        keys: list[Key] = []
        counts, totals = [np.zeros((0, 3), np.int64)], [np.zeros((0, width(self.plan.replicates)), np.int64)]
        for where, cell in self._cells.items():
            assert cell.totals is not None
            named, population, column = self.plan.keys(where, cell.totals.shape[1] - len(self.plan.populations))
            keys += named
            counts.append(cell.counts[population])
            totals.append(cell.totals.T[column])
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return MetricSums(
            self.plan.seed, self.plan.replicates, tuple(keys[row] for row in order),
            np.concatenate(counts)[order], np.concatenate(totals)[order],
            dict(sorted(self._tallies.items())), self.plan.protocol, self._evidence,
        )  # fmt: skip


def _shares(rows: _Rows, block: _Values, codes: Ints) -> Floats:
    """Each context's share of its profile's weight in its slice value, per population: a profile's shares add up to 1."""
    _, which = np.unique(np.column_stack([rows.profile, codes]), axis=0, return_inverse=True)
    weight = rows.weight[:, None] * block.member
    totals = np.column_stack([np.bincount(which.ravel(), weights=one) for one in weight.T])[which.ravel()]
    return np.divide(weight, totals, out=np.zeros_like(weight), where=totals > 0)


def _joined(parts: list[_Rows]) -> _Rows:
    """All contexts in one."""
    blocks = [
        _Values(
            np.concatenate([block.values for block in same]),
            np.concatenate([block.member for block in same]),
            np.concatenate([block.unreachable for block in same]),
            {name: pa.concat_arrays([block.slices[name] for block in same]) for name in same[0].slices},
        )
        for same in zip(*(part.blocks for part in parts), strict=True)
    ]
    starts = np.cumsum([0, *(len(part.profile) for part in parts)])
    counted = [joined(same, starts) for same in zip(*(part.counted for part in parts), strict=True)]
    return _Rows(
        np.concatenate([part.profile for part in parts]), np.concatenate([part.weight for part in parts]), tuple(blocks),
        tuple(counted),
    )  # fmt: skip


def _ids(frame: Frame) -> Ints:
    """What tells contexts apart: their id, else their profile."""
    name = c.CONTEXT_ID if c.CONTEXT_ID in frame.contexts.column_names else c.PROFILE
    return np.asarray(frame.context(name), dtype=np.int64)
