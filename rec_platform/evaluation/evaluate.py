"""One pass over scored contexts: all models, all metrics, every slice, with bootstrap replicates, as mergeable sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, NumericError
from rec_platform.evaluation import kernels, significance
from rec_platform.evaluation.accumulators import Accumulator, tally
from rec_platform.evaluation.bootstrap import poisson_weights
from rec_platform.evaluation.kinds import Kinds, depends_on_kind
from rec_platform.evaluation.knowledge import NOTHING, Knowledge
from rec_platform.evaluation.metrics import Metric, Population, members
from rec_platform.evaluation.protocol import Evidence, Protocol, data_hash
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS, check_names
from rec_platform.evaluation.scored import CEILING, RANDOM, SAMPLED, Scored, sampled, scored, weights
from rec_platform.evaluation.slices import ALL, Slices, context_values
from rec_platform.evaluation.sums import (
    LIMIT,
    MEAN,
    TALLY,
    WEIGHT,
    Key,
    MetricSums,
    added,
    added_by,
    added_exactly,
    fixed,
    nothing,
    product,
    width,
)
from rec_platform.evaluation.tallies import ONE, Tally, distinct, group_of, merged
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.evaluation.trec import TREC, in_trec_order
from rec_platform.evaluation.view import EXPECTED, LISTS, Block, View, offered

#: Contexts evaluated at a time: bounds memory to about 100 bytes x models x metrics x cut-offs each.
CHUNK: Final = 2**15
#: Fewer rows than this in a matrix product waste it.
ROWS_PER_PRODUCT: Final = 32
CONTEXT, PROFILE = "context", "profile"


@dataclass(frozen=True)
class _Part:
    """Contexts with all positives, or with those of one value of an item slice.

    Attributes:
        block: what is left.
        keep: which of all positives that is; None for all.
        views: of each model.
        columns: how many of the plan's columns, from the first on, it has.
        slices: the slices its contexts count in: n texts each.
    """

    block: Block
    keep: Bools | None
    views: Mapping[str, View]
    columns: int
    slices: Mapping[str, pa.Array]


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
    """Contexts with their values: one block over all positives, then one per value of each item slice."""

    profile: Ints
    weight: Floats
    blocks: tuple[_Values, ...]


@dataclass(frozen=True)
class _Slice:
    """A slice of n contexts: the position of each one's value in `labels`; its amounts are the columns begin:end."""

    name: str
    codes: Ints
    labels: list[str]
    begin: int
    end: int


@dataclass(frozen=True)
class _Column:
    model: str
    metric: Metric
    k: int


@dataclass
class _Cell:
    """Sums of one slice value: counts (populations, 3), totals (1 + R, columns + populations)."""

    counts: Ints
    totals: Ints | None = None


@dataclass(frozen=True)
class _Drawn:
    """Of n rows: how often each counts in each replicate (uint8, (n, R)), and the group of its profile."""

    counts: npt.NDArray[np.uint8]
    group: Ints


@dataclass(frozen=True)
class _Plan:
    """What `evaluate` was asked for; `suffix` ends every metric's name.

    The first `by_item` of the columns are worked out in item slices too. The very first ones, model by model the same
    `wanted`, depend on kinds of tie groups alone.
    """

    models: tuple[str, ...]
    columns: tuple[_Column, ...]
    by_item: int
    wanted: tuple[tuple[Metric, int], ...]
    counted: tuple[tuple[str, Accumulator, int], ...]
    knowledge: Knowledge
    list_length: int
    slices: Slices
    replicates: int
    seed: int
    protocol: Protocol
    evidence: Evidence
    estimand: str
    suffix: str


class _Evaluation:
    """The sums so far, and how to add contexts to them."""

    def __init__(self, plan: _Plan) -> None:
        self.plan, self.columns = plan, plan.columns
        names = [one.metric.counted_in for one in plan.columns]
        counted = {one.counted_in for _, one, _ in plan.counted}
        self._populations = tuple(sorted({*names, *counted, Population.ANY.value}))
        self._population = np.array([self._populations.index(name) for name in names], dtype=np.int64)
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._tallies: dict[Key, Tally] = {}
        self._waiting: list[_Rows] = []
        self._evidence = plan.evidence
        self._kinds = Kinds(plan.wanted)
        self._scratch = np.zeros(
            0, dtype=np.int64
        )  # fresh pages for every chunk cost as much as what is written to them

    def take(self, frame: Frame) -> None:
        """Evaluate a frame's contexts; means over profiles wait until all are there."""
        plan = self.plan
        frame = in_trec_order(frame, plan.models) if plan.protocol.ties == TREC else frame
        block = Block(
            frame, scored(frame, plan.models), plan.knowledge, longest=plan.list_length, seed=plan.seed
        )  # fmt: skip
        views = {model: View(block, model) for model in (RANDOM, CEILING, *plan.models)}
        weight, profile = weights(frame), np.asarray(frame.context(c.PROFILE), dtype=np.int64)
        self._evidence += Evidence(data=data_hash(_ids(frame), weight, block.scored.truth, block.scored.titles))
        parts = list(self._parts(block, views, frame))
        if plan.estimand == PROFILE:
            self._waiting.append(_Rows(profile, weight, tuple(self._values(part) for part in parts)))
        else:
            self._add(parts, weight, profile)
        for key, part in _tallies(frame, plan, views):
            self._tallies[key] = merged([self._tallies[key], part]) if key in self._tallies else part

    def _parts(self, whole: Block, views: Mapping[str, View], frame: Frame) -> Iterator[_Part]:
        slices = self.plan.slices
        found = slices.of_contexts(frame.contexts)
        yield _Part(whole, None, views, len(self.columns), found)
        for division in slices.divisions:
            codes = division.of(whole.scored.titles)
            for code, label in enumerate(division.labels):
                keep = codes == code
                inside = slices.of_division(division, label, found)
                part = whole.only(keep)
                shown = {model: View(part, model) for model in views}
                yield _Part(part, keep, shown, self.plan.by_item, inside)

    def _values(self, part: _Part, begin: int = 0) -> _Values:
        """The values of the part's columns from `begin` on."""
        truth, member = part.block.scored.truth, self._member(part)
        values = np.empty((truth.n_contexts, part.columns - begin))
        for place, column in enumerate(self.columns[begin : part.columns]):
            inside = member[:, self._population[begin + place]]
            values[:, place] = np.where(inside, column.metric.of(part.views[column.model], column.k), 0.0)
        return _Values(values, member, truth.count(~truth.reachable), part.slices)

    def _member(self, part: _Part) -> Bools:
        """Which contexts are in which population: (n, populations)."""
        truth, taste = part.block.scored.truth, part.block.has_taste
        return np.column_stack([members(name, truth, taste) for name in self._populations])

    def _add(self, parts: Sequence[_Part], weight: Floats, profile: Ints) -> None:
        """Add contexts to the sums. Without replicates, those that agree in every slice share a row of amounts."""
        ends = np.cumsum([0, *(part.columns + len(self._populations) for part in parts)]).tolist()
        slices = [
            _Slice(name, *_codes(column), begin, end)
            for part, begin, end in zip(parts, ends[:-1], ends[1:], strict=True)
            for name, column in part.slices.items()
        ]
        for part, begin in zip(parts, ends[:-1], strict=True):
            truth = part.block.scored.truth
            mine = [one for one in slices if one.begin == begin]
            self._count(mine, self._member(part), truth.count(~truth.reachable))
        n = len(weight)
        rows = row = np.arange(n)
        if not self.plan.replicates:
            rows, row = _distinct(_joint(slices, n))
        amounts, largest = self._weighed(parts, ends, weight, row, len(rows))
        if len(rows) < n and largest * n >= LIMIT:  # such sums might wrap where nobody looks
            rows = row = np.arange(n)
            amounts, largest = self._weighed(parts, ends, weight, row, n)
        told = [replace(one, codes=one.codes[rows]) for one in slices]
        self._add_amounts(told, amounts, largest, largest * n, self._drawn_by(profile[rows]))

    def _weighed(
        self, parts: Sequence[_Part], ends: Sequence[int], weight: Floats, row: Ints, rows: int
    ) -> tuple[Ints, float]:
        """The amounts of all parts side by side, added up by row; and a bound of each context's."""
        if len(self._scratch) < rows * ends[-1]:
            self._scratch = np.empty(rows * ends[-1], dtype=np.int64)
        amounts, largest = self._scratch[: rows * ends[-1]].reshape(rows, ends[-1]), 0.0
        amounts[:] = 0
        for part, begin in zip(parts, ends, strict=False):
            largest = max(largest, self._weigh(amounts, row, begin, part, parts[0].block.scored, weight))
        return amounts, largest

    def _weigh(self, out: Ints, row: Ints, begin: int, part: _Part, whole: Scored, weight: Floats) -> float:
        """Add weight x metric per column, then the weight per population, in fixed point, to rows of `out`.

        Returns a bound of each |amount|.
        """
        quick = len(self.plan.wanted) * len(whole.ranks)
        largest = self._kinds.add(out, row, begin, weight, whole, part.block.scored, part.keep)
        if largest == np.inf:
            out[:, begin : begin + quick] = 0
            quick, largest = 0, 0.0
        rest = self._values(part, quick)
        amounts = self._amounts(rest, weight[:, None] * rest.member, quick)
        largest = largest * ONE + 1
        if len(amounts):
            largest = max(largest, float(amounts.max()), -float(amounts.min()))
        kernels.add_rows(out, row, begin + quick, amounts, 0, amounts.shape[1])
        return largest

    def _amounts(self, block: _Values, weight: Floats, first: int = 0) -> Ints:
        """weight x metric per column, then the weight per population, in fixed point: (n, columns + populations)."""
        try:
            used = self._population[first : first + block.values.shape[1]]
            return fixed(np.hstack([block.values * weight[:, used], weight]))
        except NumericError:
            self._name_fault(block, first)
            raise

    def _name_fault(self, block: _Values, first: int) -> None:
        wrong = np.flatnonzero(~np.isfinite(block.values).all(axis=0))
        if len(wrong):
            column = self.columns[first + wrong[0]]
            raise NumericError(
                f"metric {column.metric.name!r} is not finite for model {column.model!r}", place="evaluate",
                repair="A metric must return a number for every context of its population.",
            )  # fmt: skip

    def _add_profiles(self, rows: _Rows) -> None:
        """Add contexts by their shares of their profiles, which differ from slice to slice."""
        drawn_by, n = self._drawn_by(rows.profile), len(rows.profile)
        for block in rows.blocks:
            for name, column in block.slices.items():
                codes, labels = _codes(column)
                amounts = self._amounts(block, _shares(rows, block, codes))
                one = _Slice(name, codes, labels, 0, amounts.shape[1])
                self._count([one], block.member, block.unreachable)
                largest = float(np.abs(amounts).max(initial=0))
                self._add_amounts([one], amounts, largest, largest * n, drawn_by)

    def _drawn_by(self, profile: Ints) -> _Drawn:
        """How often each row counts in each replicate, and its group of profiles."""
        if not self.plan.replicates:
            return _Drawn(np.zeros((len(profile), 0), dtype=np.uint8), np.zeros(len(profile), dtype=np.int64))
        counts = poisson_weights(profile, self.plan.replicates, self.plan.seed)
        return _Drawn(counts, significance.group_of(profile))

    def _count(self, slices: Sequence[_Slice], member: Bools, unreachable: Ints) -> None:
        """Add to n, n_excluded and n_unreachable of each population."""
        populations = len(self._populations)
        facts = np.column_stack([member, unreachable, np.ones(len(member))]).astype(np.int64)
        for one in slices:
            sums = added_by(facts, one.codes, len(one.labels))
            n, lost, whole = sums[:, :populations], sums[:, [populations]], sums[:, [-1]]
            numbers = np.stack([n, whole - n, np.broadcast_to(lost, n.shape)], axis=2)
            for label, given in zip(one.labels, numbers, strict=True):
                cell = self._cells.setdefault((one.name, label), _Cell(np.zeros_like(given)))
                cell.counts = cell.counts + given

    def _add_amounts(
        self, slices: Sequence[_Slice], amounts: Ints, largest: float, whole: float, drawn: _Drawn
    ) -> None:
        """Add rows of amounts to the totals of each slice.

        Args:
            slices: with a code per row.
            largest, whole: bounds of one |amount|, and of the sum of all in a column.
            drawn: of each row.
        """
        safe, groups = whole < LIMIT, significance.GROUPS if self.plan.replicates else 1
        grouped = _grouped(slices, amounts, drawn.group, groups, safe=safe)
        replicates = replicate(slices, amounts, largest, drawn.counts)
        for one, by_group, replicated in zip(slices, grouped, replicates, strict=True):
            total = by_group.sum(axis=1) if safe else reduce(added, np.moveaxis(by_group, 1, 0))
            for place, label in enumerate(one.labels):
                pieces = [total[place][None], replicated[place].T, by_group[place][: width(self.plan.replicates) - 1]]
                cell, given = self._cells[one.name, label], np.concatenate(pieces)
                cell.totals = given if cell.totals is None else added(cell.totals, given)

    def sums(self) -> MetricSums:
        """The sums of all contexts taken."""
        if self._waiting:
            self._add_profiles(_joined(self._waiting))
            self._waiting = []
        keys: list[Key] = []
        counts, totals = [np.zeros((0, 3), np.int64)], [np.zeros((0, width(self.plan.replicates)), np.int64)]
        for where, cell in self._cells.items():
            named, population, column = self._cell_rows(where, cell)
            keys += named
            counts.append(cell.counts[population])
            totals.append(np.asarray(cell.totals).T[column])
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return MetricSums(
            self.plan.seed, self.plan.replicates, tuple(keys[row] for row in order),
            np.concatenate(counts)[order], np.concatenate(totals)[order],
            dict(sorted(self._tallies.items())), self.plan.protocol, self._evidence,
        )  # fmt: skip

    def _cell_rows(self, where: tuple[str, str], cell: _Cell) -> tuple[list[Key], list[int], list[int]]:
        """The rows of one slice value, denominators then numerators: keys, and where in the cell's counts and totals."""
        assert cell.totals is not None
        columns = self.columns[: cell.totals.shape[1] - len(self._populations)]
        of = self.plan.protocol.kind, self.plan.estimand
        used = self._population[: len(columns)].tolist()
        whole = {(model, Population.ANY.value) for model in (RANDOM, CEILING, *self.plan.models)}
        if len(columns) == len(self.columns):
            whole |= {(model, one.counted_in) for model, one, _ in self.plan.counted}
        whole |= {(one.model, self._populations[place]) for one, place in zip(columns, used, strict=True)}
        below = [Key(*of, model, "", 0, *where, WEIGHT, population) for model, population in whole]
        above = [
            Key(*of, one.model, one.metric.name + self.plan.suffix, one.k, *where, MEAN, self._populations[place])
            for one, place in zip(columns, used, strict=True)
        ]
        places = [self._populations.index(key.population) for key in below]
        return below + above, places + used, [len(columns) + place for place in places] + list(range(len(columns)))


def _grouped(slices: Sequence[_Slice], amounts: Ints, group: Ints, groups: int, *, safe: bool) -> list[Ints]:
    """The totals in each group of profiles of each slice's values: int64 (labels, groups, columns) per slice."""
    codes = [one.codes * groups + group for one in slices]
    shapes = [(len(one.labels), groups, one.end - one.begin) for one in slices]
    if not safe:
        return [
            added_exactly(amounts[:, one.begin : one.end], code, math.prod(shape[:2])).reshape(shape)
            for one, code, shape in zip(slices, codes, shapes, strict=True)
        ]
    base = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    begin, end = (
        np.array(ends, dtype=np.int64) for ends in zip(*((one.begin, one.end) for one in slices), strict=True)
    )
    out = np.zeros(base[-1], dtype=np.int64)
    kernels.add_slices(out, base[:-1], begin, end, np.column_stack(codes), amounts)
    return [part.reshape(shape) for part, shape in zip(np.split(out, base[1:-1]), shapes, strict=True)]


def replicate(slices: Sequence[_Slice], amounts: Ints, largest: float, counts: npt.NDArray[np.uint8]) -> list[Ints]:
    """The totals in each replicate of each slice's values: int64 (labels, columns, R) per slice.

    Contexts that agree in the slices are multiplied once; their product is added to each value they are in. Sums are exact
    in float64 while all are below 2^53. Products this small lose by threads (measured: decision 0041).
    """
    exact = largest * float(counts.sum(axis=0, dtype=np.int64).max(initial=0)) < 2.0**53
    kind: type[np.generic] = np.float64 if exact else np.int64
    totals = {id(one): np.zeros((len(one.labels), one.end - one.begin, counts.shape[1]), kind) for one in slices}
    if not counts.shape[1]:
        return [totals[id(one)].astype(np.int64) for one in slices]
    with threadpool_limits(limits=1, user_api="blas"):
        for together in _together(slices):
            begin, end = min(one.begin for one in together), max(one.end for one in together)
            for rows in _alike(_joint(together, len(amounts))):
                found = _product(amounts[rows, begin:end], counts[rows], exact=exact)
                for one in together:
                    total, more = totals[id(one)][one.codes[rows[0]]], found[one.begin - begin : one.end - begin]
                    if exact:
                        np.add(total, more, out=total)
                    else:
                        total[:] = added(total, more)
    return [totals[id(one)].astype(np.int64) for one in slices]


def _product(amounts: Ints, counts: npt.NDArray[np.uint8], *, exact: bool) -> npt.NDArray[Any]:
    """amounts.T @ counts, in float64 where that is exact."""
    times = counts.astype(np.float64)
    return amounts.astype(np.float64).T @ times if exact else product(times, amounts).T


def _together(slices: Sequence[_Slice]) -> list[list[_Slice]]:
    """The slices in one list where contexts fall into few joint values, else each on its own (those of one value in one)."""
    n = len(slices[0].codes)
    if len(_distinct(_joint(slices, n))[0]) * ROWS_PER_PRODUCT <= n:
        return [list(slices)]
    plain, told = ([one for one in slices if (len(one.labels) > 1) is more] for more in (False, True))
    return [part for part in (plain, *([one] for one in told)) if part]


def _joint(slices: Sequence[_Slice], n: int) -> Ints:
    """A code of each context's values in all slices: n values, below n."""
    joint = np.zeros(n, dtype=np.int64)
    for one in slices:
        if len(one.labels) > 1:
            joint = distinct(joint * len(one.labels) + one.codes)[1]
    return joint


def _distinct(joint: Ints) -> tuple[Ints, Ints]:
    """A context of each joint value, and the position of each context's value among these."""
    _, rows, row = np.unique(joint, return_index=True, return_inverse=True)
    return rows, row


def _alike(joint: Ints) -> list[Ints]:
    """The rows of each joint value, ascending within it."""
    order = np.argsort(joint, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(joint[order])) + 1) if len(order) else []


def _codes(column: pa.Array) -> tuple[Ints, list[str]]:
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


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
    return _Rows(
        np.concatenate([part.profile for part in parts]), np.concatenate([part.weight for part in parts]), tuple(blocks)
    )


def _ids(frame: Frame) -> Ints:
    """What tells contexts apart: their id, else their profile."""
    name = c.CONTEXT_ID if c.CONTEXT_ID in frame.contexts.column_names else c.PROFILE
    return np.asarray(frame.context(name), dtype=np.int64)


def _models(frame: Frame, models: tuple[str, ...] | None) -> tuple[str, ...]:
    names = tuple(frame.scores.column_names) if models is None else models
    return tuple(name for name in names if name not in (RANDOM, CEILING))


def _slices(frame: Frame) -> Slices:
    there = frame.contexts.column_names
    return Slices(contexts=tuple(name for name in Slices().contexts if name in there))


def _columns(
    models: tuple[str, ...],
    metrics: tuple[Metric, ...],
    cutoffs: tuple[int, ...],
    there: Mapping[str, frozenset[str]],
    list_length: int,
) -> tuple[tuple[_Column, ...], int]:
    """A column per model, metric and cut-off whose needs are there, those that item slices have first; and how many.

    The very first are those that depend on kinds of tie groups.
    """
    columns = [
        _Column(model, one, k)
        for model in models
        for one in metrics
        if there[model].issuperset(one.needs)
        for k in one.cutoffs(cutoffs)
        if LISTS not in one.needs or k <= list_length
    ]
    by_item = [one for one in columns if {EXPECTED}.issuperset(one.metric.needs)]
    by_item.sort(key=lambda one: not depends_on_kind(one.metric))
    rest = [one for one in columns if not {EXPECTED}.issuperset(one.metric.needs)]
    return (*by_item, *rest), len(by_item)


def _wanted(columns: tuple[_Column, ...]) -> tuple[tuple[Metric, int], ...]:
    """What depends on kinds of tie groups: the same of every model."""
    return tuple((one.metric, one.k) for one in columns if one.model == RANDOM and depends_on_kind(one.metric))


def _counted(
    accumulators: tuple[Accumulator, ...],
    cutoffs: tuple[int, ...],
    there: Mapping[str, frozenset[str]],
    list_length: int,
) -> tuple[tuple[str, Accumulator, int], ...]:
    """Model, accumulator and cut-off of every tally."""
    return tuple(
        (model, one, k)
        for model, given in there.items()
        for one in accumulators
        if given.issuperset(one.needs)
        for k in one.cutoffs(cutoffs)
        if LISTS not in one.needs or k <= list_length
    )


def _tallies(frame: Frame, plan: _Plan, views: Mapping[str, View]) -> Iterator[tuple[Key, Tally]]:
    """What each model's contexts add to each accumulator, of all contexts and per country."""
    if not plan.counted:
        return
    weight = weights(frame)
    group = group_of(np.asarray(frame.context(c.PROFILE), dtype=np.int64), plan.seed)
    by = (ALL, *(name for name in plan.slices.contexts if name == c.COUNTRY))
    groups = [(name, *_codes(context_values(frame.contexts, name))) for name in by]
    for model, one, k in plan.counted:
        added_up = one.take(views[model], k)
        named = one.name + plan.suffix
        key = Key(plan.protocol.kind, plan.estimand, model, named, k, "", "", TALLY, one.counted_in)
        whole = tally(added_up, weight, group, np.ones(len(weight), dtype=np.bool_))
        for name, codes, labels in groups:
            for code, label in enumerate(labels):
                part = whole if len(labels) == 1 else tally(added_up, weight, group, codes == code)
                yield key._replace(slice=name, slice_value=label), part


def _chunks(frames: Frame | Iterable[Frame]) -> Iterator[Frame]:
    for frame in (frames,) if isinstance(frames, Frame) else frames:
        for first in range(0, frame.n_contexts, CHUNK):
            last = min(first + CHUNK, frame.n_contexts)
            yield frame if (first, last) == (0, frame.n_contexts) else _cut(frame, first, last)


def _cut(frame: Frame, first: int, last: int) -> Frame:
    """Contexts first:last, nothing copied."""
    start, end = int(frame.offsets[first]), int(frame.offsets[last])
    flat = [part.slice(start, end - start) for part in (frame.items, frame.features, frame.scores)]
    return Frame(frame.contexts.slice(first, last - first), frame.offsets[first : last + 1] - start, *flat)


def evaluate(
    frames: Frame | Iterable[Frame],
    *,
    seed: int,
    models: tuple[str, ...] | None = None,
    metrics: tuple[Metric, ...] = ALL_METRICS,
    accumulators: tuple[Accumulator, ...] = ACCUMULATORS,
    cutoffs: tuple[int, ...] = (5, 10, 20, 100),
    slices: Slices | None = None,
    replicates: int = 100,
    protocol: Protocol | None = None,
    cut: date | None = None,
    estimand: str = CONTEXT,
    list_length: int = 100,
    knowledge: Knowledge = NOTHING,
) -> MetricSums:
    """The sums behind every metric of every model in every slice, in one pass; memory is that of one chunk.

    Args:
        frames: scored contexts, in the form of the `scores` table or as full lists (see `scored`). With `profile_id`,
            and `inclusion_probability`, `n_candidates` and the slice columns where there are any.
        seed: of the bootstrap draws and of the order of equal scores in lists.
        models: the models; None is all that the first frame has scores of. `random` (the constant scorer, exact) and
            `ceiling` (the best order of the candidate set) are always added.
        metrics, accumulators: what to work out; one whose needs are not there has no rows.
        cutoffs: the k of metrics that have one.
        slices: what to slice by; None takes those of the usual context columns that the first frame has.
        replicates: of the bootstrap; 0 gives numbers without intervals.
        protocol: how the contexts are judged, written into every row; numbers of different protocols are never merged.
            With `ties="trec"` equal scores are ordered as trec_eval orders them.
        cut: the day at whose 00:00 UTC the models stopped seeing; written into every row.
        estimand: `context`, the mean over contexts weighted by 1 / inclusion_probability; or `profile`, the mean over
            profiles of each profile's weighted mean, which holds every context's values in memory and does not merge.
        list_length: how many of each model's best the frames hold; cut-offs beyond have no numbers about lists (full lists: any).
        knowledge: titles, tastes of profiles and scales of scores, which some metrics need.

    Raises:
        NumericError: a NaN score, a metric that is not finite, a sum past its bound.
        ConfigError: an unknown estimand, two metrics of one name.
    """
    if estimand not in (CONTEXT, PROFILE):
        raise ConfigError(f"no estimand {estimand!r}", place="evaluate", repair=f"Use {CONTEXT} or {PROFILE}.")
    work: _Evaluation | None = None
    for frame in _chunks(frames):
        if work is None:
            names = _models(frame, models)
            check_names(metrics, accumulators)
            there = {model: offered(frame, model, names, knowledge) for model in (RANDOM, CEILING, *names)}
            columns, by_item = _columns(tuple(there), metrics, cutoffs, there, list_length)
            plan = _Plan(
                models=names, columns=columns, by_item=by_item, wanted=_wanted(columns),
                counted=_counted(accumulators, cutoffs, there, list_length),
                knowledge=knowledge, list_length=list_length,
                slices=_slices(frame) if slices is None else slices,
                replicates=replicates, seed=seed, estimand=estimand, protocol=protocol or Protocol(),
                evidence=Evidence() if cut is None else Evidence(cut.isoformat(), cut.isoformat()),
                suffix=SAMPLED if sampled(frame) else "",
            )  # fmt: skip
            work = _Evaluation(plan)
        work.take(frame)
    return nothing(seed, replicates) if work is None else work.sums()
