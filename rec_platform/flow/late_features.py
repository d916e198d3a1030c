"""What late plays would change: stored training features beside the same contexts and items with all that is known now.

On a bounded sample: of the training partitions in the ledger the `PARTITIONS` with most late plays, and of each at most
`CONTEXTS` contexts, evenly spaced. Contexts and items stay as published and only the declared features are made again, so
a difference is a difference of features and of nothing else. Features of candidate models are not compared: models are
not fitted again.

"All that is known now" is `known_by = "now"` (contexts/known_by.py): besides plays that came after a partition was made it
shows plays and records that were there but not yet known at the context's instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY
from rec_platform.contexts.known_by import NOW, as_known_by
from rec_platform.contexts.stage import read_timeline
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.flow.late import Late
from rec_platform.flow.platform import Platform
from rec_platform.partition import Partition
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.stage import Input
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, TITLES, TRAINING_SETS

PARTITIONS: Final = 8
CONTEXTS: Final = 500

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FeatureChange:
    """One feature over the sampled items.

    Attributes:
        values, changed: how many were compared, and how many differ; NaN beside NaN does not.
        numbers: of those changed, how many are numbers both times (the others came from NaN or became it).
        largest, total: the largest and the sum of the absolute changes of these.
    """

    feature: str
    values: int
    changed: int
    numbers: int
    largest: float
    total: float

    @property
    def mean(self) -> float | None:
        """The mean absolute change; None where no number became another."""
        return self.total / self.numbers if self.numbers else None


@dataclass(frozen=True)
class Difference:
    """A sampled partition: contexts compared, of how many, how many hold a changed value, and per feature what changed."""

    partition: Partition
    contexts: int
    of: int
    changed_contexts: int
    features: tuple[FeatureChange, ...]

    @property
    def share(self) -> float:
        """The share of values that differ."""
        return sum(one.changed for one in self.features) / max(sum(one.values for one in self.features), 1)


def differences(platform: Platform, found: Sequence[Late]) -> list[Difference]:
    """How the training features of some partitions of a ledger would differ, by partition; see the module."""
    training = [one for one in found if one.stage == TRAINING_SETS.name]
    chosen = sorted(training, key=lambda one: (-one.plays, one.partition.key))[:PARTITIONS]
    if not chosen:
        return []
    last = max(one.partition.day for one in chosen)
    now = _now(platform, last)
    features = FeatureSet.from_config(platform.settings.features)
    return [_difference(platform, partition, features, now) for partition in sorted(one.partition for one in chosen)]


def _now(platform: Platform, last: date) -> Sources:
    """The timeline with all that is known now, over the days up to the last."""
    records = (Input(spec.name) for spec in (TITLES, PROFILES, AVAILABILITY))
    reader = platform.reader(Input(PLAY_FACTS.name, FIRST_DAY, last, every_country=True, optional=True), *records)
    return Sources(read_timeline(as_known_by(reader, NOW), platform.settings, until=last))


def _difference(platform: Platform, partition: Partition, features: FeatureSet, now: Sources) -> Difference:
    reader = platform.reader(Input(TRAINING_SETS.name, partition.day, partition.day, (partition.place,)))
    whole = flat(reader.read(TRAINING_SETS.name, [partition], TRAINING_SETS.schema.names))
    rows = np.unique(np.linspace(0, whole.n_contexts - 1, min(CONTEXTS, whole.n_contexts)).astype(np.int64))
    stored = whole.take(rows)
    bare = Frame.of(stored.contexts, stored.offsets, items={c.TITLE: stored.item(c.TITLE)})
    made = Pipeline([Tagger(), FeatureGenerator(features)]).apply(bare, now)
    names = [name for name in features.names if name in stored.features.column_names]
    touched = np.zeros(stored.n_items, dtype=np.bool_)
    changes = []
    for name in names:
        one, differs = _change(name, _floats(stored, name), _floats(made, name))
        touched |= differs
        changes.append(one)
    contexts = len(np.unique(stored.context_of_item[touched]))
    return Difference(partition, stored.n_contexts, whole.n_contexts, contexts, tuple(changes))


def _floats(frame: Frame, name: str) -> Floats:
    return np.asarray(frame.features.column(name).to_numpy(), dtype=np.float64)


def _change(name: str, then: Floats, now: Floats) -> tuple[FeatureChange, npt.NDArray[np.bool_]]:
    differs = (then != now) & ~(np.isnan(then) & np.isnan(now))
    amounts = np.abs(now - then)[differs]
    amounts = amounts[~np.isnan(amounts)]
    largest, total = float(amounts.max(initial=0.0)), float(amounts.sum())
    return FeatureChange(name, len(then), int(differs.sum()), len(amounts), largest, total), differs


def together(found: Sequence[Difference]) -> list[FeatureChange]:
    """The features that changed, over all sampled partitions, most changed first."""
    by_name: dict[str, list[FeatureChange]] = {}
    for difference in found:
        for one in difference.features:
            by_name.setdefault(one.feature, []).append(one)
    merged = [_merged(name, parts) for name, parts in by_name.items()]
    return sorted((one for one in merged if one.changed), key=lambda one: (-one.changed, one.feature))


def _merged(name: str, parts: Sequence[FeatureChange]) -> FeatureChange:
    return FeatureChange(
        name, sum(one.values for one in parts), sum(one.changed for one in parts), sum(one.numbers for one in parts),
        max(one.largest for one in parts), sum(one.total for one in parts),
    )  # fmt: skip
