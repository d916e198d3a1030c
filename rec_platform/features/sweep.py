"""Features from logs that do not fit into memory: bucket by bucket of the contexts' profiles, the same bytes.

A timeline holds every play; here none stays. What a context reads is either its own profile's past or sums per title as
of a tick, so

1. one pass over the plays writes those of profiles that have contexts to a file per bucket of profiles;
2. another gathers the title-side sums of exactly the ticks that the contexts read (timetravel/gathered.py);
3. bucket by bucket, an ordinary timeline of the bucket's plays, with those sums beside it, serves the `FeatureGenerator`.

The peak follows the largest bucket and the ticks, not the log. Ticks that take more than `TICK_BYTES` together are gathered
a few days at a time, each with a pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.generator import FeatureGenerator
from rec_platform.pipeline import Sources
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids
from rec_platform.timetravel.gathered import Gathering
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.kernels import FOREVER, Int64
from rec_platform.timetravel.log import KEYS, SUMMED, Log, LogReader, Plays, Predicate, batches, check_columns
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import Timeline, countries_of, ids

#: What the title-side sums may take at once, in bytes.
TICK_BYTES: Final = 1 << 29


@dataclass(frozen=True)
class Past:
    """What the features are made from: a log that can be read several times, and the reference tables.

    Attributes:
        plays: called once per pass: batches of plays with `PLAY_COLUMNS` and the features' `play_columns`, in any order.
        titles, profiles, availability: as in tables.py; no availability rows means the source has none.
        rules: the source's rules.
    """

    plays: Callable[[], Plays]
    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table
    rules: SourceRules


def swept(frame: Frame, past: Past, feature_set: FeatureSet, *, buckets: int, scratch: Path) -> Frame:
    """The frame with its features: what `FeatureGenerator(feature_set)` adds from the timeline of all plays.

    Args:
        frame: contexts with their items.
        buckets: parts of the profiles, at least 1; the more, the lower the peak.
        scratch: a folder for the buckets' plays; about 45 bytes a play of profiles that have contexts, gone at the end.

    Raises:
        ConfigError: fewer than one bucket.
        SchemaError: a column of the plays is missing.
    """
    out = {name: np.empty(frame.n_items, dtype=np.float32) for name in feature_set.names}
    for members, part in parts(frame, past, feature_set, buckets=buckets, scratch=scratch):
        lengths = np.diff(part.offsets)
        rows = np.arange(part.n_items) + np.repeat(frame.offsets[members] - part.offsets[:-1], lengths)
        for name, column in out.items():
            column[rows] = part.features.column(name).to_numpy()
    return frame.with_features(out)


def parts(
    frame: Frame, past: Past, feature_set: FeatureSet, *, buckets: int, scratch: Path
) -> Iterator[tuple[Int64, Frame]]:
    """As `swept`, a part at a time, so that a part can be written and dropped before the next is made.

    Yields:
        the part's contexts as rows of `frame`, ascending, and the part with its features; every context once.
    """
    if buckets < 1:
        raise ConfigError(f"{buckets} buckets", place="swept features", repair="Give at least 1.")
    with TemporaryDirectory(dir=scratch) as folder:
        sweep = _Sweep.of(frame, past, feature_set, Path(folder), buckets)
        for days in sweep.bands():
            whole = sweep.whole(days)
            for bucket in range(buckets):
                members = days[sweep.bucket[days] == bucket]
                if len(members):
                    sources = Sources(sweep.timeline(bucket, whole))
                    yield members, FeatureGenerator(feature_set).apply(frame.take(members), sources)


@dataclass(frozen=True)
class _Sweep:
    """What all passes share.

    Attributes:
        bucket: each context's bucket.
        at, countries: the contexts' instants, and their countries without repetition.
        records: a timeline of no plays, with the codes of all titles and of all profiles with contexts.
        predicates: the features' filters, by text.
    """

    past: Past
    features: FeatureSet
    folder: Path
    bucket: Int64
    at: Int64
    countries: tuple[str, ...]
    records: Timeline
    predicates: Mapping[str, Predicate]

    @classmethod
    def of(cls, frame: Frame, past: Past, features: FeatureSet, folder: Path, buckets: int) -> _Sweep:
        """The first pass: the buckets are written."""
        profiles = Ids.of(np.asarray(frame.context(c.PROFILE), dtype=np.int64))
        reader = LogReader(_measures(features), {})
        reader.profiles.codes(profiles.ids)
        read = tuple(dict.fromkeys((*KEYS, *SUMMED, *features.play_columns)))
        with ExitStack() as stack:
            files = [stack.enter_context(_Bucket(_file(folder, bucket))) for bucket in range(buckets)]
            for batch in batches(past.plays()):
                check_columns(batch, read)
                reader.titles.codes(ids(batch, c.TITLE))
                _scatter(batch.select(read), profiles, files)
        return cls(
            past, features, folder, profiles.codes(frame.context(c.PROFILE)).astype(np.int64) % buckets,
            np.asarray(frame.context(c.AT), dtype=np.int64),
            countries_of(pc.unique(frame.contexts.column(c.COUNTRY)).to_pylist()),
            Timeline.of(reader, past.titles, past.profiles, past.availability, rules=past.rules),
            {one.text: one.bound(past.titles, past.rules) for one in features.filters},
        )  # fmt: skip

    def bands(self) -> Iterator[Int64]:
        """The contexts of as many days at a time as their ticks may take, days in order."""
        per_day = sum(side.bytes_per_day for side in self._asked(self.at[:0]).values())
        held, day = np.unique(self.at // DAY, return_inverse=True)
        days = max(1, TICK_BYTES // max(per_day, 1))
        for first in range(0, len(held), days):
            yield np.flatnonzero((first <= day) & (day < first + days))

    def whole(self, contexts: Int64) -> _Whole:
        """A pass over the plays for what some contexts read of all of them."""
        sides, records = self._asked(self.at[contexts]), self.records
        first_visible = np.full(len(records.titles), FOREVER, dtype=np.int64)
        for batch in batches(self.past.plays()):
            log = Log.of(batch, _measures(self.features), records.profiles, records.titles, sides[""].countries)
            _require_known(log)
            kernels.take_least(first_visible, log.title, log.known)
            sides[""].take_in(log)
            for name, holds in self.predicates.items():
                sides[name].take_in(log.where(np.asarray(holds(batch), dtype=np.bool_)))
        return _Whole(sides, first_visible)

    def timeline(self, bucket: int, whole: _Whole) -> Timeline:
        """The timeline of a bucket's plays, with what it must know of all plays."""
        reader = LogReader(_measures(self.features), self.predicates)
        reader.take_in(_read(_file(self.folder, bucket)))
        (profiles, profile), (titles, title) = reader.profiles.ordered(), reader.titles.ordered()
        log = reader.log(
            self.records.profiles.codes(profiles.ids)[profile], self.records.titles.codes(titles.ids)[title],
            reader.countries.ordered()[1],
        )  # fmt: skip
        return self._timeline({"": log, **{name: log.where(mask) for name, mask in reader.masks().items()}}, whole)

    def _timeline(self, logs: Mapping[str, Log], whole: _Whole) -> Timeline:
        parts = {name: self._of(log, whole.sides[name], whole.first_visible) for name, log in logs.items()}
        return replace(parts.pop(""), subsets=parts)

    def _of(self, log: Log, side: Gathering, first_visible: Int64) -> Timeline:
        histories = Histories.of(log, len(self.records.profiles), len(self.records.titles))
        return replace(
            self.records, histories=histories, title_side=side, first_visible=first_visible, _sweeps={}, _changes={}
        )

    def _asked(self, at: Int64) -> dict[str, Gathering]:
        """Empty sums of everything that the features read as of ticks."""
        n_titles = len(self.records.titles)
        sides = {name: Gathering(at, self.countries, n_titles) for name in ("", *self.predicates)}
        parts = {name: replace(self.records, title_side=side) for name, side in sides.items()}
        DeclaredReader(replace(parts.pop(""), subsets=parts), self.features.needed, self.countries)
        return sides


@dataclass(frozen=True)
class _Whole:
    """What contexts read of the plays of all profiles: title-side sums by filter, and when titles were first visible."""

    sides: Mapping[str, Gathering]
    first_visible: Int64


def _measures(features: FeatureSet) -> tuple[str, ...]:
    return (*SUMMED, *features.measures)


def _require_known(log: Log) -> None:
    if (log.title < 0).any():
        raise ConfigError(
            "a later pass over the plays gave titles that the first did not", place="swept features",
            repair="Give a function that reads the same plays each time.",
        )  # fmt: skip


class _Bucket:
    """A file of plays, one Arrow stream; not there if no play was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def __enter__(self) -> _Bucket:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer:
            self._writer.close()

    def write(self, plays: pa.Table) -> None:
        if self._writer is None:
            self._writer = pa.ipc.new_stream(str(self._path), plays.schema)
        self._writer.write_table(plays)


def _file(folder: Path, bucket: int) -> Path:
    return folder / f"{bucket}.arrow"


def _scatter(plays: pa.Table, profiles: Ids, files: Sequence[_Bucket]) -> None:
    """Write the plays of the profiles to their buckets' files, in the order they came."""
    profile = profiles.codes(ids(plays, c.PROFILE))
    kept = np.flatnonzero(profile >= 0)
    bucket = (profile[kept] % len(files)).astype(np.int16 if len(files) < 1 << 15 else np.int64)
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(len(files) + 1))
    rows = _with_codes(plays).take(pa.array(kept[order]))
    for file, first, last in zip(files, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if first < last:
            file.write(rows.slice(first, last - first))


def _with_codes(plays: pa.Table) -> pa.Table:
    """Countries as a dictionary, whichever way they came: all batches of a file are of one kind."""
    position, country = plays.schema.get_field_index(c.COUNTRY), plays.column(c.COUNTRY).unify_dictionaries()
    coded = country if pa.types.is_dictionary(country.type) else country.dictionary_encode()
    return plays.set_column(position, c.COUNTRY, coded.cast(pa.dictionary(pa.int32(), pa.string())))


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    if path.exists():
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream
