"""Measures of DMC-12 tables: items are read with pyarrow, batch by batch, as offsets and flat leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.checks.leak import SAMPLED_CONTEXTS, RankingPower, own_play, play_keys, verdict
from rec_platform.checks.measured import Measured, Measures, Scene
from rec_platform.contexts.hashing import Words
from rec_platform.lake import Staged
from rec_platform.tables import PLAY_FACTS, SCORES_TABLE, TRAINING_SETS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Contexts in memory at once.
_BATCH: Final = 4_096


@dataclass(frozen=True)
class Items:
    """The items of some contexts: list offsets from 0, plain leaves by name, inner structs by name, then leaf.

    A null is NaN in `leaves` and `structs`, and counted in `nulls` (per struct). `contexts` holds the context columns
    asked for, as integers.
    """

    offsets: Ints
    leaves: Mapping[str, Floats]
    structs: Mapping[str, Mapping[str, Floats]]
    nulls: Mapping[str, int]
    contexts: Mapping[str, Ints]

    @property
    def label(self) -> Floats:
        return self.leaves[c.LABEL]


def batches(path: Path | None, extra: Sequence[str] = ()) -> Iterator[Items]:
    """The items of a staged file, `_BATCH` contexts at a time; nothing for a partition without rows."""
    if path is not None:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=[c.ITEMS, *extra]):
                yield _items(batch)


def _items(batch: pa.RecordBatch) -> Items:
    lists = batch.column(c.ITEMS)
    inner = lists.flatten()
    leaves: dict[str, Floats] = {}
    structs: dict[str, dict[str, Floats]] = {}
    nulls: dict[str, int] = {}
    for position, leaf in enumerate(inner.type):
        values = inner.field(position)
        if pa.types.is_struct(leaf.type):
            columns = dict(zip([part.name for part in leaf.type], values.flatten(), strict=True))
            nulls[leaf.name] = sum(column.null_count for column in columns.values())
            structs[leaf.name] = {name: _numbers(column) for name, column in columns.items()}
        elif leaf.name != c.DMC12_NAMES[c.TITLE]:
            leaves[leaf.name] = _numbers(values)
        else:
            leaves[leaf.name] = values.fill_null(-1).to_numpy(zero_copy_only=False)
    contexts = {name: _integers(batch.column(name)) for name in batch.schema.names if name != c.ITEMS}
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return Items(offsets - offsets[0], leaves, structs, nulls, contexts)


def _integers(values: pa.Array) -> Ints:
    return np.asarray(values.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _numbers(values: pa.Array) -> Floats:
    """float64, a null being NaN."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.float64, copy=False)


def _item_counts(items: Items) -> dict[str, int]:
    """Items that break the rules both nested tables share."""
    label, probability = items.label, items.leaves[c.ITEM_INCLUSION_PROBABILITY]
    return {
        "label_is_0_or_1": _count((label != 0) & (label != 1)),
        "item_inclusion_is_probability": _count(~((probability > 0) & (probability <= 1))),
        "titles_once_per_context": _repeated(items),
    }


def _count(broken: Bools) -> int:
    return int(np.count_nonzero(broken))


def _context_of_item(items: Items) -> Ints:
    return np.repeat(np.arange(len(items.offsets) - 1), np.diff(items.offsets))


def _repeated(items: Items) -> int:
    """Items whose title stands earlier in the same context."""
    titles, context = items.leaves[c.DMC12_NAMES[c.TITLE]], _context_of_item(items)
    same = context[1:] == context[:-1]
    if np.all(titles[1:][same] > titles[:-1][same]):
        return 0
    order = np.lexsort((titles, context))
    return _count((np.diff(titles[order]) == 0) & (np.diff(context[order]) == 0))


# --- training sets ---------------------------------------------------------------------------------------------------


@dataclass
class _Training:
    """What is added up over the batches of one partition of `training_sets`."""

    plays: Words
    counts: dict[str, int]
    present: dict[str, bool]
    infinite: dict[str, int]
    knows_label: RankingPower
    knows_own_play: RankingPower
    items: int = 0

    def add(self, items: Items, stride: int, first: int) -> None:
        features = items.structs[c.FEATURES]
        for check, broken in {**_item_counts(items), **_training_counts(items)}.items():
            self.counts[check] = self.counts.get(check, 0) + broken
        for name, values in features.items():
            self.present[name] = self.present.get(name, False) or not bool(np.isnan(values).all())
            self.infinite[name] = self.infinite.get(name, 0) + _count(np.isinf(values))
        rows, offsets = _sampled(items, stride, first)
        sample = {name: values[rows] for name, values in features.items()}
        own = self._own(items)[rows]
        self.knows_label.add(RankingPower.of(sample, items.label[rows] > 0, offsets))
        self.knows_own_play.add(RankingPower.of(sample, own, offsets))
        self.items += len(items.label)

    def _own(self, items: Items) -> Bools:
        titles = items.leaves[c.DMC12_NAMES[c.TITLE]].astype(np.int64)
        return own_play(titles, _context_of_item(items), items.contexts[c.PROFILE], items.contexts[c.AT], self.plays)


def _training_counts(items: Items) -> dict[str, int]:
    weight = items.leaves[c.WEIGHT]
    positives = np.diff(np.concatenate([[0], np.cumsum(items.label > 0)])[items.offsets])
    lengths = np.diff(items.offsets)
    return {
        "items_not_empty": _count(lengths == 0),
        "weight_positive_finite": _count(~(np.isfinite(weight) & (weight > 0))),
        "features_not_null": items.nulls.get(c.FEATURES, 0),
        "both_labels_present": _count((positives > 0) & (positives < lengths)),
    }


def _sampled(items: Items, stride: int, first: int) -> tuple[Ints, Ints]:
    """Rows and offsets of every `stride`-th context of the partition; this batch begins with context `first`."""
    chosen = np.arange(-first % stride, len(items.offsets) - 1, stride)
    starts, lengths = items.offsets[chosen], np.diff(items.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1]), offsets


def _plays(staged: Sequence[Staged], scene: Scene) -> Words:
    """The plays of the staged dates and countries, as keys."""
    columns = (c.PROFILE, c.PLAYED_AT, c.TITLE)
    plays = scene.lake.read(PLAY_FACTS.name, [one.partition for one in staged], columns)
    profile, at, title = (_integers(plays.column(name).combine_chunks()) for name in columns)
    return np.unique(play_keys(profile, at, title))


def _training(one: Staged, plays: Words) -> _Training:
    sums = _Training(plays, {}, {}, {}, RankingPower(), RankingPower())
    stride = -(-one.rows // SAMPLED_CONTEXTS) or 1
    first = 0
    for items in batches(one.path, (c.PROFILE, c.AT)):
        sums.add(items, stride, first)
        first += len(items.offsets) - 1
    return sums


def training_items(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Measures of items and features of `training_sets`; ranking power per partition and pooled over the call."""
    plays = _plays(staged, scene)
    found = [_training(one, plays) for one in staged]
    whole = (RankingPower(), RankingPower())
    for sums in found:
        whole[0].add(sums.knows_label)
        whole[1].add(sums.knows_own_play)
    checks = (*_CHECKS, "items_not_empty", "weight_positive_finite", "features_not_null")
    return {
        **{check: [Measured(float(sums.counts.get(check, 0))) for sums in found] for check in checks},
        "both_labels_present": [_if_any(sums, sums.counts.get("both_labels_present", 0)) for sums in found],
        "features_finite": [_infinite(sums) for sums in found],
        "features_present": [_absent(sums) for sums in found],
        "too_good_feature": [_too_good(sums, whole) for sums in found],
    }


def _if_any(sums: _Training, value: int) -> Measured:
    return Measured(float(value)) if sums.items else Measured(None, "no items")


def _infinite(sums: _Training) -> Measured:
    named = {name: count for name, count in sums.infinite.items() if count}
    return Measured(float(sum(named.values())), ", ".join(f"{name} {count} times" for name, count in named.items()))


def _absent(sums: _Training) -> Measured:
    if not sums.items:
        return Measured(None, "no items")
    named = [name for name, present in sums.present.items() if not present]
    return Measured(float(len(named)), ", ".join(named))


def _too_good(own: _Training, whole: tuple[RankingPower, RankingPower]) -> Measured:
    """The call as a whole, or the partition alone: a fault of one day must not drown in the others."""
    leaking, note = verdict([*whole, own.knows_label, own.knows_own_play])
    return Measured(float(len(leaking)), note)


# --- scores ----------------------------------------------------------------------------------------------------------


def score_items(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Measures of the items of `scores`."""
    totals = []
    for one in staged:
        total: dict[str, int] = {}
        for items in batches(one.path, (c.N_CANDIDATES,)):
            for check, broken in {**_item_counts(items), **_score_counts(items)}.items():
                total[check] = total.get(check, 0) + broken
        totals.append(total)
    checks = (*_CHECKS, "scores_not_nan", "ranks_within_candidates", "reachable_consistent")
    return {check: [Measured(float(total.get(check, 0))) for total in totals] for check in checks}


def _score_counts(items: Items) -> dict[str, int]:
    assert items.contexts[c.N_CANDIDATES] is not None
    reachable, context = items.leaves[c.REACHABLE] == 1, _context_of_item(items)
    listed = np.bincount(context[reachable], minlength=len(items.contexts[c.N_CANDIDATES]))
    inside, outside = _misplaced(items, reachable, items.contexts[c.N_CANDIDATES][context])
    return {
        "scores_not_nan": sum(_count(~np.isfinite(values)) for values in items.structs[c.SCORES].values()),
        "ranks_within_candidates": inside,
        "reachable_consistent": outside + _count(listed > items.contexts[c.N_CANDIDATES]),
    }


def _misplaced(items: Items, reachable: Bools, n_candidates: Ints) -> tuple[int, int]:
    """Standings that cannot be, over all models: of candidates, and of titles outside the candidate set.

    A candidate has at most the others above and beside it; a title outside has every candidate above and none beside.
    """
    inside = outside = 0
    for model, above in items.structs[c.N_ABOVE].items():
        equal = items.structs[c.N_EQUAL][model]
        possible = (above >= 0) & (equal >= 0) & (above + equal < n_candidates)
        inside += _count(reachable & ~possible)
        outside += _count(~reachable & ~((above == n_candidates) & (equal == 0)))
    return inside, outside


_CHECKS: Final = ("label_is_0_or_1", "item_inclusion_is_probability", "titles_once_per_context")

#: Table -> what measures its items.
NESTED: Final[dict[str, Callable[[Sequence[Staged], Scene], Measures]]] = {
    TRAINING_SETS.name: training_items,
    SCORES_TABLE.name: score_items,
}
