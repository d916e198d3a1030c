"""One pass over scored contexts: all models, all metrics, every slice, with bootstrap replicates, as mergeable sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, NumericError
from rec_platform.evaluation import significance
from rec_platform.evaluation.accumulators import Accumulator, tally
from rec_platform.evaluation.bootstrap import weights_of_contexts
from rec_platform.evaluation.knowledge import NOTHING, Knowledge
from rec_platform.evaluation.metrics import Metric, Population, members
from rec_platform.evaluation.protocol import Evidence, Protocol, data_hash
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS, check_names
from rec_platform.evaluation.scored import CEILING, RANDOM, SAMPLED, sampled, scored, weights
from rec_platform.evaluation.slices import ALL, Slices, context_values
from rec_platform.evaluation.sums import (
    MEAN,
    TALLY,
    WEIGHT,
    Key,
    MetricSums,
    added,
    fixed,
    nothing,
    product,
    width,
)
from rec_platform.evaluation.tallies import Tally, group_of, merged
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.evaluation.trec import TREC, in_trec_order
from rec_platform.evaluation.view import EXPECTED, LISTS, Block, View, offered

#: Contexts evaluated at a time: bounds memory to about 100 bytes x models x metrics x cut-offs each.
CHUNK: Final = 2**14
#: Fewer rows than this in a matrix product waste it.
ROWS_PER_PRODUCT: Final = 32
CONTEXT, PROFILE = "context", "profile"


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
class _Column:
    model: str
    metric: Metric
    k: int


@dataclass
class _Cell:
    """Sums of one slice value: counts (populations, 3), totals (1 + R, columns + populations)."""

    counts: Ints
    totals: Ints


@dataclass(frozen=True)
class _Plan:
    """What `evaluate` was asked for; `suffix` ends every metric's name.

    The first `by_item` of the columns are worked out in item slices too.
    """

    models: tuple[str, ...]
    columns: tuple[_Column, ...]
    by_item: int
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

    def take(self, frame: Frame) -> None:
        """Evaluate a frame's contexts; means over profiles wait until all are there."""
        plan = self.plan
        frame = in_trec_order(frame, plan.models) if plan.protocol.ties == TREC else frame
        block = Block(
            frame, scored(frame, plan.models), plan.knowledge, longest=plan.list_length, seed=plan.seed
        )  # fmt: skip
        views = {model: View(block, model) for model in (RANDOM, CEILING, *plan.models)}
        rows = self._rows(frame, block, views)
        if plan.estimand == PROFILE:
            self._waiting.append(rows)
        else:
            self._add(rows)
        for key, part in _tallies(frame, plan, views):
            self._tallies[key] = merged([self._tallies[key], part]) if key in self._tallies else part

    def _rows(self, frame: Frame, whole: Block, views: Mapping[str, View]) -> _Rows:
        """The metric values of a frame's contexts."""
        slices, scores = self.plan.slices, whole.scored
        self._evidence += Evidence(data=data_hash(_ids(frame), weights(frame), scores.truth, scores.titles))
        found = slices.of_contexts(frame.contexts)
        blocks = [self._values(whole, views, self.columns, found)]
        for division in slices.divisions:
            codes = division.of(scores.titles)
            for code, label in enumerate(division.labels):
                part = whole.only(codes == code)
                views = {model: View(part, model) for model in scores.ranks}
                columns = self.columns[: self.plan.by_item]
                blocks.append(self._values(part, views, columns, slices.of_division(division, label, found)))
        return _Rows(np.asarray(frame.context(c.PROFILE), dtype=np.int64), weights(frame), tuple(blocks))

    def _values(
        self, block: Block, views: Mapping[str, View], columns: tuple[_Column, ...], slices: Mapping[str, pa.Array]
    ) -> _Values:
        truth = block.scored.truth
        member = np.column_stack([members(name, truth, block.has_taste) for name in self._populations])
        values = np.empty((truth.n_contexts, len(columns)))
        for place, column in enumerate(columns):
            inside = member[:, self._population[place]]
            values[:, place] = np.where(inside, column.metric.of(views[column.model], column.k), 0.0)
        return _Values(values, member, truth.count(~truth.reachable), slices)

    def _counts(self, profile: Ints) -> Floats:
        """How often each context counts in the whole, in each replicate, in each group of profiles: (n, width(R))."""
        drawn = self.plan.replicates
        counts = np.zeros((len(profile), width(drawn)))
        counts[:, 0] = 1.0
        if drawn:
            counts[:, 1 : 1 + drawn] = weights_of_contexts(profile, drawn, self.plan.seed)
            counts[np.arange(len(profile)), 1 + drawn + significance.group_of(profile)] = 1.0
        return counts

    def _add(self, rows: _Rows) -> None:
        """Add contexts to the sums. Matrix products this small lose by threads (measured: decision 0041)."""
        counts = self._counts(rows.profile)
        with threadpool_limits(limits=1, user_api="blas"):
            for block in rows.blocks:
                self._add_block(rows, block, counts)

    def _add_block(self, rows: _Rows, block: _Values, counts: Floats) -> None:
        coded = [_Coded(name, *_codes(column)) for name, column in block.slices.items()]
        if self.plan.estimand == PROFILE:
            for one in coded:
                self._add_slices([one], counts, self._amounts(block, _shares(rows, block, one.codes)), block)
        else:
            amounts = self._amounts(block, rows.weight[:, None] * block.member)
            for together in _together(coded):
                self._add_slices(together, counts, amounts, block)

    def _add_slices(self, together: Sequence[_Coded], counts: Floats, amounts: Ints, block: _Values) -> None:
        """Contexts that agree in every slice are multiplied once; their product is added to each value they are in."""
        for rows in _alike(together):
            n = block.member[rows].sum(axis=0)
            lost = np.full(len(n), block.unreachable[rows].sum())
            numbers = np.column_stack([n, len(rows) - n, lost]).astype(np.int64)
            totals = product(counts[rows], amounts[rows])
            for one in together:
                self._add_cell((one.name, one.labels[one.codes[rows[0]]]), numbers, totals)

    def _amounts(self, block: _Values, weight: Floats) -> Ints:
        """weight x metric per column, then the weight per population, in fixed point: (n, columns + populations)."""
        try:
            used = self._population[: block.values.shape[1]]
            return fixed(np.hstack([block.values * weight[:, used], weight]))
        except NumericError:
            self._name_fault(block)
            raise

    def _name_fault(self, block: _Values) -> None:
        wrong = np.flatnonzero(~np.isfinite(block.values).all(axis=0))
        if len(wrong):
            column = self.columns[wrong[0]]
            raise NumericError(
                f"metric {column.metric.name!r} is not finite for model {column.model!r}", place="evaluate",
                repair="A metric must return a number for every context of its population.",
            )  # fmt: skip

    def _add_cell(self, key: tuple[str, str], numbers: Ints, totals: Ints) -> None:
        cell = self._cells.get(key)
        if cell is None:
            self._cells[key] = _Cell(numbers, totals)
        else:
            self._cells[key] = _Cell(cell.counts + numbers, added(cell.totals, totals))

    def sums(self) -> MetricSums:
        """The sums of all contexts taken."""
        if self._waiting:
            self._add(_joined(self._waiting))
            self._waiting = []
        rows = {key: row for where, cell in self._cells.items() for key, row in self._cell_rows(where, cell)}
        keys = tuple(sorted(rows))
        return MetricSums(
            self.plan.seed, self.plan.replicates, keys,
            np.array([rows[key][0] for key in keys], dtype=np.int64).reshape(-1, 3),
            np.array([rows[key][1] for key in keys], dtype=np.int64).reshape(len(keys), width(self.plan.replicates)),
            dict(sorted(self._tallies.items())), self.plan.protocol, self._evidence,
        )  # fmt: skip

    def _cell_rows(self, where: tuple[str, str], cell: _Cell) -> Iterator[tuple[Key, tuple[Ints, Ints]]]:
        """The rows of one slice value: counts and totals of each denominator, then of each numerator."""
        columns = self.columns[: cell.totals.shape[1] - len(self._populations)]
        base = Key(self.plan.protocol.kind, self.plan.estimand, "", "", 0, *where, WEIGHT, "")
        whole = {(model, Population.ANY.value) for model in (RANDOM, CEILING, *self.plan.models)}
        if len(columns) == len(self.columns):
            whole |= {(model, one.counted_in) for model, one, _ in self.plan.counted}
        for model, population in sorted(whole | {(one.model, one.metric.counted_in) for one in columns}):
            place = self._populations.index(population)
            yield (
                base._replace(model=model, population=population),
                (cell.counts[place], cell.totals[:, len(columns) + place]),
            )
        for place, one in enumerate(columns):
            key = base._replace(
                model=one.model, metric=one.metric.name + self.plan.suffix, k=one.k, kind=MEAN,
                population=one.metric.counted_in,
            )  # fmt: skip
            yield key, (cell.counts[self._population[place]], cell.totals[:, place])


@dataclass(frozen=True)
class _Coded:
    """A slice of n contexts: the position of each one's value in `labels`."""

    name: str
    codes: Ints
    labels: list[str]


def _together(slices: list[_Coded]) -> list[list[_Coded]]:
    """The slices in one list where contexts fall into few joint values, else each on its own."""
    if len(slices) < 2 or len(_alike(slices)) * ROWS_PER_PRODUCT <= len(slices[0].codes):
        return [slices]
    return [[one] for one in slices]


def _alike(slices: Sequence[_Coded]) -> list[Ints]:
    """The rows of each joint value that occurs, ascending within it."""
    joint = np.zeros(len(slices[0].codes), dtype=np.int64)
    for one in slices:
        _, joint = np.unique(joint * len(one.labels) + one.codes, return_inverse=True)
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
    """A column per model, metric and cut-off whose needs are there, those that item slices have first; and how many."""
    columns = [
        _Column(model, one, k)
        for model in models
        for one in metrics
        if there[model].issuperset(one.needs)
        for k in one.cutoffs(cutoffs)
        if LISTS not in one.needs or k <= list_length
    ]
    by_item = [one for one in columns if {EXPECTED}.issuperset(one.metric.needs)]
    return (*by_item, *(one for one in columns if one not in by_item)), len(by_item)


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
                models=names, columns=columns, by_item=by_item,
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
