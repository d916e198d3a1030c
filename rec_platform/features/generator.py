"""The transformer that adds features to a frame, each context's as of its own instant."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.dmc12.frame import Frame
from rec_platform.features.asked import Asked, numbered
from rec_platform.features.encoders import COLUMNS, Array
from rec_platform.features.encoding import narrowed
from rec_platform.features.feature_set import FeatureSet, Grain
from rec_platform.features.title_tables import CHUNK, Stretch, Table
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel import kernels
from rec_platform.timetravel.certificate import Witness, certificate_columns
from rec_platform.timetravel.kernels import Int64
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.timeline import Timeline

#: What titles have by country and tick takes about so many bytes at a time, in each thread: they stay in its caches.
TABLE_BYTES: Final = 1 << 24
#: In how many parts a band is written at least, if it is large: threads then end about together.
_SHARES: Final = 8
_TYPES: Final = {
    c.PROFILE: pa.int64(), c.COUNTRY: pa.string(), c.AT: INSTANT, c.DEVICE: pa.string(), c.TENURE_DAYS: pa.float64(),
    c.TITLE: pa.int64(),
}  # fmt: skip


@dataclass(frozen=True)
class FeatureGenerator(Transformer):
    """Adds a float32 column per feature. Needs a `Timeline` among the sources.

    Works in bands of days, whose ticks are kept together, and walks a band's contexts twice: by profile, country and time,
    so that a profile's plays are walked once; and by tick, in the order of the frame, to write what is one number for a
    whole context, or for all contexts between two ticks (or those of a country), title by title. Either in parts, in as
    many threads as there are processors. Besides the float32 columns it holds the items' codes, the contexts' own
    features, and a part's numbers per thread. The values do not depend on bands, parts or threads.

    Attributes:
        feature_set: the features.
        certified: add each context's certificate too (`newest_played_at`, `newest_known_at`; timetravel/certificate.py).
            A `Meter` among the sources counts what that costs: facts that no feature reads, and telling the newest.
        threads: in how many threads; 0 is as many as there are processors.
    """

    feature_set: FeatureSet
    certified: bool = False
    threads: int = 0

    name: ClassVar[str] = "feature_generator"

    @property
    def reads(self) -> tuple[Column, ...]:
        return tuple(
            Column(Level.CONTEXT if level == "context" else Level.ITEM, name, _TYPES[name])
            for name, level in COLUMNS.items()
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        certificate = (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT) if self.certified else ()
        return (
            *(Column(Level.FEATURE, name, pa.float32()) for name in self.feature_set.names),
            *(Column(Level.CONTEXT, name, INSTANT) for name in certificate),
        )

    def to_json(self) -> dict[str, Any]:
        return {"features": self.feature_set.to_json(), "digest": self.feature_set.digest}

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        timeline = sources.need(Timeline, step=self.name)
        witness = Witness(timeline, self.feature_set.needed) if self.certified else None
        filling = _Filling(self.feature_set, frame, timeline, witness, sources.find(Meter) or Meter())
        asked = filling.asked
        with ThreadPoolExecutor(self.threads or len(os.sched_getaffinity(0))) as pool:
            list(pool.map(filling.code, _chunks(np.arange(frame.n_contexts), frame.offsets, CHUNK)))
            for band in _bands(asked.at, asked.reader.days_kept):
                ticks = pool.submit(asked.reader.prepare, asked.at[band])
                stretches = pool.submit(filling.stretches, band)
                runs = asked.by_run(band)
                if filling.runs_read_ticks:
                    ticks.result()
                list(pool.map(filling.in_runs, _chunks(runs, frame.offsets, CHUNK)))
                ticks.result()
                list(pool.map(filling.in_order, stretches.result()))
        made = frame.with_features(dict(zip(self.feature_set.names, filling.out, strict=True)))
        return made.with_contexts(certificate_columns(*filling.newest)) if witness else made


class _Filling:
    """The output, and how chunks of contexts are written to it; chunks share nothing that they write to.

    Attributes:
        out: float32 (features, items).
    """

    def __init__(
        self, features: FeatureSet, frame: Frame, timeline: Timeline, witness: Witness | None, meter: Meter
    ) -> None:
        self._witness, self._meter, self._titles, self._parts = witness, meter, timeline.titles, features.by_grain
        self._own = self._parts.get(None)
        beside = witness.facts if witness else ()
        self._facts = (*(self._own.needed if self._own else ()), *beside)
        witnessed = (c.PROFILE, c.COUNTRY, c.AT, c.TITLE) if witness else ()
        self._columns = {*(self._own.columns if self._own else ()), *witnessed}
        names = (c.PROFILE, c.AT, c.TITLE, *features.columns, *witnessed)
        self.asked = Asked.of(frame, timeline, features.needed, names, beside=beside, meter=meter)
        self.newest = np.empty((2, frame.n_contexts), dtype=np.int64)
        self.out = np.empty((len(features.names), frame.n_items), dtype=np.float32)
        self._row = {name: row for row, name in enumerate(features.names)}
        of_contexts = [name for name in features.names if features.feature_level(name) == "context"]
        self._of_contexts = {name: row for row, name in enumerate(of_contexts)}
        self._kept = np.empty((frame.n_contexts, len(of_contexts)), dtype=np.float32)

    @property
    def runs_read_ticks(self) -> bool:
        """Whether `in_runs` reads facts as of ticks; otherwise ticks may be made meanwhile."""
        return any(fact.by_tick for fact in self._facts)

    @property
    def _ticked(self) -> list[tuple[Grain, FeatureSet]]:
        return [(grain, part) for grain, part in self._parts.items() if grain is not None]

    @property
    def _least_tick(self) -> int | None:
        """The least distance of ticks that features of titles have."""
        return min((grain.tick for grain, _ in self._ticked), default=None)

    def stretches(self, band: Int64) -> list[Int64]:
        """A band's contexts by tick and country, so many at a time as a table may take, or as keep all threads at work.

        Each ascending. All contexts in one country between two ticks (the least distance that features have) together.
        """
        asked, least = self.asked, self._least_tick
        share = max(CHUNK, int(np.diff(asked.offsets)[band].sum()) // _SHARES)
        if least is None:
            return list(_chunks(band, asked.offsets, share))
        first, group = numbered(asked.groups(band, Grain(least, apart=True)))
        items = np.bincount(group, np.diff(asked.offsets)[band], len(first))
        of_title = sum(
            (4 * len(part.names) + 1) / (1 if grain.apart else len(asked.countries)) for grain, part in self._ticked
        )
        bytes_ = (len(self._titles) + 1) * (1 + of_title)
        cost = np.cumsum(np.maximum(items / share, bytes_ / TABLE_BYTES))
        part = np.cumsum(np.diff(cost.astype(np.int64), prepend=0) > 0)[group]
        return [band[part == one] for one in np.unique(part)]

    def code(self, members: Int64) -> None:
        """The codes of the titles of contexts that follow one another."""
        items = slice(self.asked.offsets[members[0]], self.asked.offsets[members[-1] + 1])
        self._titles.write_codes(
            kernels.readable(self.asked.columns[c.TITLE][items], np.int64), self.asked.title[items]
        )

    def in_runs(self, members: Int64) -> None:
        """Contexts by profile, country and time: their own features, kept, and those that differ by item, written."""
        if self._own is None and self._witness is None:
            return
        asked, some = self.asked, self.asked.of_members(members)
        rows, inner = some.begins, some.offsets
        values = {
            name: column[members] if COLUMNS[name] == "context" else kernels.gathered(column, rows, inner)
            for name, column in asked.columns.items()
            if name in self._columns
        }
        values |= asked.read(some, inner, kernels.gathered(asked.title, rows, inner), self._facts)
        kept = np.empty((self._kept.shape[1], len(members)), dtype=np.float32)
        for name, feature in self._own.encode(values, np.diff(inner)) if self._own else ():
            if name in self._of_contexts:
                kept[self._of_contexts[name]] = narrowed(feature)
            else:
                kernels.scatter(kernels.plain(feature, np.float64), rows, inner, self.out[self._row[name]])
        kernels.keep(kept, members, self._kept)
        if self._witness:
            with self._meter.counting():
                self.newest[:, members] = self._witness.newest(values, inner)

    def in_order(self, members: Int64) -> None:
        """A stretch in the order of the frame: what `in_runs` kept, and what titles have by country and tick."""
        asked, (begins, ends) = self.asked, self.asked.ends(members)
        kernels.spread(self._kept[members], begins, ends, self._rows(self._of_contexts), self.out)
        if self._least_tick is None:
            return
        stretch = Stretch(asked, members, self._least_tick, len(self._titles))
        for grain, part in self._ticked:
            table = Table(part, grain, stretch)
            kernels.look_up(table.values, table.group, begins, ends, asked.title, self._rows(part.names), self.out)

    def _rows(self, names: Iterable[str]) -> Int64:
        return np.array([self._row[name] for name in names], dtype=np.int64)


def _bands(at: Array, days: int) -> Iterator[Int64]:
    """The contexts of so many days at a time, days in order."""
    of_days, day = numbered(at // DAY)
    for first in range(0, len(of_days), days):
        yield np.flatnonzero((first <= day) & (day < first + days))


def _chunks(members: Int64, offsets: Int64, items: int) -> Iterator[Int64]:
    """Contexts in chunks of about so many items (at least one context each)."""
    ends = np.cumsum(np.diff(offsets)[members])
    cuts = np.flatnonzero(np.diff(ends // items)) + 1
    yield from (chunk for chunk in np.split(members, cuts) if len(chunk))
