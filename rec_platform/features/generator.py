"""The transformer that adds features to a frame, each context's as of its own instant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.dmc12.frame import Frame
from rec_platform.features.encoders import COLUMNS, Array
from rec_platform.features.feature_set import FeatureSet
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel import kernels
from rec_platform.timetravel.certificate import Witness, certificate_columns
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import Timeline

#: Items per chunk: what is in float64 at a time, so that it stays in the processor's caches.
CHUNK: Final = 1 << 17

#: The columns that facts are read by.
_KEYS: Final = (c.PROFILE, c.COUNTRY, c.AT, c.TITLE)
_TYPES: Final = {
    c.PROFILE: pa.int64(), c.COUNTRY: pa.string(), c.AT: INSTANT, c.DEVICE: pa.string(), c.TENURE_DAYS: pa.float64(),
    c.TITLE: pa.int64(),
}  # fmt: skip


@dataclass(frozen=True)
class FeatureGenerator(Transformer):
    """Adds a float32 column per feature. Needs a `Timeline` among the sources.

    Works in bands of days, whose ticks are kept together, and within a band in chunks of contexts by country, profile and
    time, so that a profile's plays are walked once; chunks in as many threads as there are processors. Besides the
    float32 columns it holds only a chunk's numbers per thread. The values do not depend on bands, chunks or threads.

    Attributes:
        feature_set: the features.
        certified: add each context's certificate too (`newest_played_at`, `newest_known_at`; timetravel/certificate.py).
    """

    feature_set: FeatureSet
    certified: bool = False

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
        columns = {name: _column(frame, name) for name in COLUMNS if name in (*_KEYS, *self.feature_set.columns)}
        witness = Witness(timeline, self.feature_set.needed) if self.certified else None
        facts = (*self.feature_set.needed, *(witness.facts if witness else ()))
        countries = pc.unique(frame.contexts.column(c.COUNTRY))
        reader = DeclaredReader(timeline, facts, countries.to_pylist())
        place = pc.index_in(frame.contexts.column(c.COUNTRY), value_set=countries).to_numpy()
        newest = np.empty((2, frame.n_contexts), dtype=np.int64)
        out = {name: np.empty(frame.n_items, dtype=np.float32) for name in self.feature_set.names}
        work = _Work(self.feature_set, reader, columns, frame.offsets, out, witness, newest)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for band in _bands(columns[c.AT], reader.days_kept):
                reader.prepare(columns[c.AT][band])
                runs = band[np.lexsort((columns[c.AT][band], columns[c.PROFILE][band], place[band]))]
                list(pool.map(work.fill, _chunks(runs, frame.offsets)))
        made = frame.with_features(out)
        return made.with_contexts(certificate_columns(*newest)) if self.certified else made


@dataclass(frozen=True)
class _Work:
    """What a thread needs to fill a chunk's rows of the output columns; chunks share nothing they write to."""

    features: FeatureSet
    reader: DeclaredReader
    columns: dict[str, Array]
    offsets: npt.NDArray[np.int64]
    out: dict[str, npt.NDArray[np.float32]]
    witness: Witness | None
    newest: npt.NDArray[np.int64]

    def fill(self, members: npt.NDArray[np.int64]) -> None:
        rows = self.offsets[members]
        lengths = self.offsets[members + 1] - rows
        inner = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = {
            name: column[members] if COLUMNS[name] == "context" else kernels.gathered(column, rows, inner)
            for name, column in self.columns.items()
        }
        facts = self.reader.read(
            profile_id=values[c.PROFILE], country=values[c.COUNTRY], at=values[c.AT], offsets=inner,
            title_id=values[c.TITLE],
        )  # fmt: skip
        values |= facts
        for name, feature in self.features.encode(values, lengths):
            write = kernels.scatter if self.features.feature_level(name) == "item" else kernels.spread
            write(np.ascontiguousarray(feature, dtype=np.float64), rows, inner, self.out[name])
        if self.witness:
            self.newest[:, members] = self.witness.newest(values, inner)


def _column(frame: Frame, name: str) -> Array:
    return frame.context(name) if COLUMNS[name] == "context" else frame.item(name)


def _bands(at: Array, days: int) -> Iterator[npt.NDArray[np.int64]]:
    """The contexts of so many days at a time, days in order."""
    held, day = np.unique(at // DAY, return_inverse=True)
    for first in range(0, len(held), days):
        yield np.flatnonzero((first <= day) & (day < first + days))


def _chunks(members: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Contexts in pieces of about `CHUNK` items (at least one context each)."""
    ends = np.cumsum(offsets[members + 1] - offsets[members])
    piece = ends // CHUNK
    yield from np.split(members, np.flatnonzero(np.diff(piece)) + 1)
