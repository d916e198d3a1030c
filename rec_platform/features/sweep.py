"""Timelines of logs that do not fit into memory: bucket by bucket of the contexts' profiles, the same bytes.

A timeline holds every play; here none stays. What a context reads is either its own profile's past or sums per title as
of a tick, so

1. one pass over the plays writes those of profiles that have contexts to a file per bucket of profiles;
2. another gathers the title-side sums of exactly the ticks that the contexts read (timetravel/gathered.py);
3. bucket by bucket, an ordinary timeline of the bucket's plays, with those sums beside it (records.py), serves any step.

The peak follows the largest bucket and the ticks, not the log. Ticks that take more than `TICK_BYTES` (records.py) together
are gathered a few days at a time, each with a pass of its own. Many frames and whole pipelines: by_bucket.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
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
from rec_platform.features.records import Records, Reference, Seen, Sides, bands, columns_of
from rec_platform.lake import HeldFolder
from rec_platform.pipeline import Sources
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import GrowingIds, GrowingTexts, Ids
from rec_platform.timetravel.kernels import FOREVER, Int64
from rec_platform.timetravel.log import Plays, batches, check_columns
from rec_platform.timetravel.timeline import Timeline, countries_of, ids

#: 2^64 over the golden ratio: what it makes of ids that lie close together lies far apart (Knuth, TAOCP vol. 3, 6.4).
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Past:
    """What the features are made from: a log that can be read several times, and the reference tables.

    Attributes:
        plays: called once per pass: batches of plays with `PLAY_COLUMNS` and the features' `play_columns`, in any order.
        titles, profiles, availability: as in rec_platform.tables; no availability rows means the source has none.
        rules: the source's rules.
    """

    plays: Callable[[], Plays]
    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table
    rules: SourceRules

    @property
    def reference(self) -> Reference:
        return Reference(self.titles, self.profiles, self.availability, self.rules)


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
    step, none = FeatureGenerator(feature_set), frame.take(np.empty(0, dtype=np.int64))
    profile, at = (np.asarray(frame.context(name), dtype=np.int64) for name in (c.PROFILE, c.AT))
    countries = countries_of(pc.unique(frame.contexts.column(c.COUNTRY)).to_pylist())
    with HeldFolder(scratch, "sweep") as held:
        log = BucketedLog.written(past, feature_set, profile, held.folder, buckets)
        bucket_of_context, day = bucket_of(profile, buckets), at // DAY

        def asked(instants: Int64) -> Sides:
            return log.records.asked(instants, countries, lambda timeline: step.apply(none, Sources(timeline)))

        for days in bands(np.unique(day).tolist(), asked(at[:0])):
            mine = np.flatnonzero(np.isin(day, days))
            sides = log.gathered(asked(at[mine]))
            for bucket in range(buckets):
                members = mine[bucket_of_context[mine] == bucket]
                if len(members):
                    yield members, step.apply(frame.take(members), Sources(log.timeline(bucket, sides)))


def bucket_of(profile_id: Int64, buckets: int) -> Int64:
    """The bucket of each profile, by its id alone.

    >>> np.bincount(bucket_of(np.arange(3_000), 3)).tolist()
    [996, 1006, 998]
    """
    words = profile_id.astype(np.uint64) * _SPREAD
    return ((words >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64)


@dataclass(frozen=True)
class BucketedLog:
    """The plays of some profiles in a file per bucket, and all that is not plays.

    Attributes:
        past: what it was made from.
        folder: where the files are.
        records: for timelines of those profiles.
    """

    past: Past
    folder: Path
    records: Records

    @classmethod
    def written(cls, past: Past, features: FeatureSet, profile_id: Int64, folder: Path, buckets: int) -> BucketedLog:
        """A pass over the plays: those of the profiles are written.

        Raises:
            ConfigError: fewer than one bucket.
            SchemaError: a column of the plays is missing.
        """
        if buckets < 1:
            raise ConfigError(f"{buckets} buckets", place="swept features", repair="Give at least 1.")
        profiles, seen, read = Ids.of(profile_id), _Seeing(), columns_of(features)
        with ExitStack() as stack:
            files = [stack.enter_context(_Bucket(_file(folder, bucket))) for bucket in range(buckets)]
            for batch in batches(past.plays()):
                check_columns(batch, read)
                seen.take_in(batch)
                _scatter(batch.select(read), profiles, files)
        return cls(past, folder, Records.of(features, seen.seen(), profiles.ids, past.reference))

    def gathered(self, sides: Sides) -> Sides:
        """The sums, filled by a pass over the plays (none where nothing was asked for); no others can be asked for then."""
        if any(sides.values()):
            self.records.take_in(self.past.plays(), sides)
        for side in sides.values():
            side.close()
        return sides

    def timeline(self, bucket: int, sides: Sides) -> Timeline:
        """The past of the bucket's profiles, with the title-side sums."""
        return self.records.of_plays(_read(_file(self.folder, bucket)), sides)


class _Seeing:
    """What all plays say, gathered as they come."""

    def __init__(self) -> None:
        self._titles, self._countries = GrowingIds(), GrowingTexts()
        #: When the first play of each title became visible, by the code given out for it.
        self._least: Int64 = np.empty(0, dtype=np.int64)

    def take_in(self, batch: pa.Table) -> None:
        self._countries.codes(pc.unique(batch.column(c.COUNTRY)))
        title = self._titles.codes(ids(batch, c.TITLE))
        beyond = int(title.max(initial=-1)) + 1 - len(self._least)
        if beyond > 0:
            self._least = np.append(self._least, np.full(beyond + len(self._least), FOREVER))
        kernels.take_least(self._least, title, np.maximum(ids(batch, c.PLAYED_AT), ids(batch, c.KNOWN_AT)))

    def seen(self) -> Seen:
        titles, code = self._titles.ordered()
        first_visible = np.empty(len(titles), dtype=np.int64)
        first_visible[code] = self._least[: len(code)]
        return Seen(titles.ids, first_visible, self._countries.ordered()[0].texts)


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
    bucket = bucket_of(profiles.ids[profile[kept]], len(files)).astype(np.int16 if len(files) < 1 << 15 else np.int64)
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
