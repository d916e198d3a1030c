"""The training sets that rankers of several dates read: held by day, and of each day no more than is read of it.

A fit reads contexts that teach, and of those, where its days hold more than `max_items` items, the ones whose draw by hash
is below the share max_items / items (`TrainingFrames.of`). So contexts with a draw beyond that need not be held. How small the
share is shows as the days of a window are read; days slide, and later windows have shares of their own. A day is therefore
held up to somewhat more than the share, thinned again when the window proves larger, and read again should a later window be
so much smaller that contexts are missing. What a fit reads is the same as of whole days, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame, concat, flat
from rec_platform.errors import SchemaError
from rec_platform.models.features import feature_notes
from rec_platform.models.training import Thinned, both_labels, compact, draws
from rec_platform.partition import Partition
from rec_platform.stage import Reader
from rec_platform.tables import TRAINING_SETS
from rec_platform.wording import counted

#: `--allow-stale` can lead there, where some training sets were made again and others were not.
_MIXED: Final = (
    "Rankers learn from training sets of the same features: correct what keeps this one from being made again, then "
    "`rec-platform run` for its date."
)
#: How much more than the share of a window is held of its days, so that the next windows find it there.
_ROOM: Final = 1.25


@dataclass(frozen=True)
class TrainingDay:
    """What is held of a day.

    Attributes:
        frame: contexts that teach, those with a draw below `below` at least, with what rankers read.
        items: the items of all contexts of the day that teach.
        contexts: how many contexts the day has in all.
        known_by: by what rules they were built.
    """

    frame: Frame
    below: float
    items: int
    contexts: int
    known_by: frozenset[str]

    def thinned(self, below: float, seed: int) -> TrainingDay:
        """The day without contexts whose draws are not below."""
        return replace(self, frame=self.frame.take(np.flatnonzero(draws(self.frame, seed) < below)), below=below)


class TrainingWindow:
    """Training days, those of the current window only; see the module."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings
        self._names = [note.name for note in feature_notes(settings)]
        self._held: dict[date, TrainingDay] = {}

    def days(self, days: Sequence[date]) -> dict[date, TrainingDay]:
        """Those of some days that have a context, with at least what a fit of all of them reads. Others are let go."""
        self._held = {day: one for day, one in self._held.items() if day in days}
        for day in days:
            if day not in self._held:
                self._held[day] = self._read(day)
                self._thin()
        share = self._share()
        for day in [day for day, one in self._held.items() if one.below < share]:
            del self._held[day]
            self._held[day] = self._read(day)
        return {day: self._held[day] for day in days if self._held[day].contexts}

    def _share(self, more: int = 0) -> float:
        """The share that a fit of the days held, and of so many items more, reads; at most 1."""
        items = sum(one.items for one in self._held.values()) + more
        return min(self._settings.rankers.max_items / max(items, 1), 1.0)

    def _thin(self) -> None:
        bound = _ROOM * self._share()
        for day, one in self._held.items():
            if one.below > _ROOM * bound:
                self._held[day] = one.thinned(bound, self._settings.seed)

    def _read(self, day: date) -> TrainingDay:
        """A day, country by country, up to the share of a window of the days held and of itself."""
        countries, kinds, parts = self._settings.countries, set[str](), list[Frame]()
        contexts, items, below = 0, 0, 1.0
        for partition in self._reader.published(TRAINING_SETS.name, day):
            if countries is None or partition.country in countries:
                frame = self._frame(partition)
                contexts += frame.n_contexts
                kinds.update(pc.unique(frame.contexts.column(c.KNOWN_BY)).to_pylist())
                teaching = both_labels(frame)
                items += int(np.diff(frame.offsets)[teaching].sum())
                below = min(_ROOM * self._share(items), 1.0)
                kept = teaching[draws(frame, self._settings.seed)[teaching] < below]
                parts += [compact(frame.take(kept), self._names)] if len(kept) else []
        # What reading took and let go stands in Arrow's pool: three quarters of a gigabyte beside the days of a window.
        pa.default_memory_pool().release_unused()
        return TrainingDay(concat(parts) if parts else _nobody(), below, items, contexts, frozenset(kinds))

    def _frame(self, partition: Partition) -> Frame:
        read = flat(self._reader.read(TRAINING_SETS.name, [partition], (c.CONTEXT_ID, c.KNOWN_BY, c.ITEMS)))
        if not read.n_items:
            return read
        absent = [name for name in self._names if name not in read.features.column_names]
        if absent:
            raise SchemaError(
                f"it was made without {counted(len(absent), 'feature')} that rankers read now: {', '.join(absent[:3])}",
                place=f"{TRAINING_SETS.name} {partition.key}", repair=_MIXED,
            )  # fmt: skip
        return replace(read, features=read.features.select(self._names))


@cache
def _nobody() -> Frame:
    """A frame without contexts; made when asked for, since making it imports pandas."""
    return Frame.of(pa.table({c.CONTEXT_ID: pa.array([], pa.int64())}))


def thinned(days: Mapping[date, TrainingDay]) -> Thinned:
    """The frames of some days for a fit, with how many items there were before."""
    return Thinned(tuple(one.frame for one in days.values()), sum(one.items for one in days.values()))
