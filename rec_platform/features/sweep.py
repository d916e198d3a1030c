"""Timelines of logs that do not fit into memory: bucket by bucket of the contexts' profiles, the same bytes.

A timeline holds every play; here none stays. What a context reads is either its own profile's past or sums per title as
of a tick, so

1. one pass over the plays writes those of profiles that have contexts to a file per bucket of profiles;
2. another gathers the title-side sums of exactly the ticks that the contexts read (timetravel/gathered.py);
3. bucket by bucket, an ordinary timeline of the bucket's plays, with those sums beside it, serves any step.

The peak follows the largest bucket and the ticks, not the log. Ticks that take more than `TICK_BYTES` together are gathered
a few days at a time, each with a pass of its own. Many frames and whole pipelines: by_bucket.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

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
from rec_platform.lake import HeldFolder
from rec_platform.pipeline import Sources
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids
from rec_platform.timetravel.gathered import Gathering
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.kernels import FOREVER, Int32, Int64
from rec_platform.timetravel.log import KEYS, SUMMED, Log, LogReader, Plays, Predicate, batches, check_columns
from rec_platform.timetravel.timeline import Timeline, countries_of, ids

#: What the title-side sums may take at once, in bytes.
TICK_BYTES: Final = 1 << 29
#: 2^64 over the golden ratio: what it makes of ids that lie close together lies far apart (Knuth, TAOCP vol. 3, 6.4).
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)

#: Title-side sums by the filter whose plays they are of; "" is all plays.
Sides: TypeAlias = Mapping[str, Gathering]
Day = TypeVar("Day", int, date)


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
    step, none = FeatureGenerator(feature_set), frame.take(np.empty(0, dtype=np.int64))
    profile, at = (np.asarray(frame.context(name), dtype=np.int64) for name in (c.PROFILE, c.AT))
    countries = countries_of(pc.unique(frame.contexts.column(c.COUNTRY)).to_pylist())
    with HeldFolder(scratch, "sweep") as held:
        log = BucketedLog.written(past, feature_set, profile, held.folder, buckets)
        bucket_of_context, day = bucket_of(profile, buckets), at // DAY

        def asked(instants: Int64) -> Sides:
            return log.asked(instants, countries, lambda timeline: step.apply(none, Sources(timeline)))

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


def bands(days: Sequence[Day], sides: Sides) -> Iterator[Sequence[Day]]:
    """Days, ascending, so many at a time as their ticks may take."""
    many = max(1, TICK_BYTES // max(sum(side.bytes_per_day for side in sides.values()), 1))
    for first in range(0, len(days), many):
        yield days[first : first + many]


@dataclass(frozen=True)
class BucketedLog:
    """The plays of some profiles in a file per bucket, and all that is not plays.

    Attributes:
        past: what it was made from.
        features: what will be read of it.
        folder: where the files are.
        records: a timeline of no plays, with the codes of all titles, of all countries and of those profiles, and with
            when titles were first visible.
        predicates: the features' filters, by text.
    """

    past: Past
    features: FeatureSet
    folder: Path
    records: Timeline
    predicates: Mapping[str, Predicate]

    @classmethod
    def written(cls, past: Past, features: FeatureSet, profile_id: Int64, folder: Path, buckets: int) -> BucketedLog:
        """A pass over the plays: those of the profiles are written.

        Raises:
            ConfigError: fewer than one bucket.
            SchemaError: a column of the plays is missing.
        """
        if buckets < 1:
            raise ConfigError(f"{buckets} buckets", place="swept features", repair="Give at least 1.")
        profiles, first = Ids.of(profile_id), _FirstVisible()
        reader = LogReader(_measures(features), {})
        reader.profiles.codes(profiles.ids)
        read = tuple(dict.fromkeys((*KEYS, *SUMMED, *features.play_columns)))
        with ExitStack() as stack:
            files = [stack.enter_context(_Bucket(_file(folder, bucket))) for bucket in range(buckets)]
            for batch in batches(past.plays()):
                check_columns(batch, read)
                reader.countries.codes(pc.unique(batch.column(c.COUNTRY)))
                first.take_in(reader.titles.codes(ids(batch, c.TITLE)), batch)
                _scatter(batch.select(read), profiles, files)
        records = Timeline.of(reader, past.titles, past.profiles, past.availability, rules=past.rules)
        return cls(
            past, features, folder, replace(records, first_visible=first.of(reader.titles.ordered()[1])),
            {one.text: one.bound(past.titles, past.rules) for one in features.filters},
        )  # fmt: skip

    def asked(self, at: Int64, countries: Sequence[str], rehearse: Callable[[Timeline], object]) -> Sides:
        """Empty title-side sums, as of the ticks of some instants: those that are asked for while `rehearse` runs.

        It is given a timeline without plays, and does with no contexts what will be done with some.
        """
        n_titles = len(self.records.titles)
        sides = {name: Gathering(at, countries, n_titles) for name in ("", *self.predicates)}
        rehearse(self.without_plays(sides))
        return sides

    def gathered(self, sides: Sides) -> Sides:
        """The sums, filled by a pass over the plays (none where nothing was asked for); no others can be asked for then."""
        if any(sides.values()):
            measures, records = _measures(self.features), self.records
            for batch in batches(self.past.plays()):
                log = Log.of(batch, measures, records.profiles, records.titles, sides[""].countries)
                _require_known(log)
                sides[""].take_in(log)
                for name, holds in self.predicates.items():
                    sides[name].take_in(log.where(np.asarray(holds(batch), dtype=np.bool_)))
        for side in sides.values():
            side.close()
        return sides

    def without_plays(self, sides: Sides) -> Timeline:
        """What is known of titles, countries, profiles and offers, with the title-side sums."""
        return _with_subsets({name: replace(self.records, title_side=side) for name, side in sides.items()})

    def timeline(self, bucket: int, sides: Sides) -> Timeline:
        """As `without_plays`, with the past of the bucket's profiles."""
        reader = LogReader(_measures(self.features), self.predicates)
        reader.take_in(_read(_file(self.folder, bucket)))
        (profiles, profile), (titles, title) = reader.profiles.ordered(), reader.titles.ordered()
        log = reader.log(
            self.records.profiles.codes(profiles.ids)[profile], self.records.titles.codes(titles.ids)[title],
            reader.countries.ordered()[1],
        )  # fmt: skip
        logs = {"": log, **{name: log.where(mask) for name, mask in reader.masks().items()}}
        return _with_subsets({name: self._of(one, sides[name]) for name, one in logs.items()})

    def _of(self, log: Log, side: Gathering) -> Timeline:
        histories = Histories.of(log, len(self.records.profiles), len(self.records.titles))
        return replace(self.records, histories=histories, title_side=side, _sweeps={}, _changes={})


class _FirstVisible:
    """When each title's first play became visible, by codes that are given out as titles come."""

    def __init__(self) -> None:
        self._least: Int64 = np.empty(0, dtype=np.int64)

    def take_in(self, title: Int32, batch: pa.Table) -> None:
        beyond = int(title.max(initial=-1)) + 1 - len(self._least)
        if beyond > 0:
            self._least = np.append(self._least, np.full(beyond + len(self._least), FOREVER))
        kernels.take_least(self._least, title, np.maximum(ids(batch, c.PLAYED_AT), ids(batch, c.KNOWN_AT)))

    def of(self, code: Int32) -> Int64:
        """By the code that each code given out has in the end."""
        found = np.full(len(code), FOREVER, dtype=np.int64)
        held = self._least[: len(code)]
        found[code[: len(held)]] = held
        return found


def _with_subsets(timelines: dict[str, Timeline]) -> Timeline:
    """The timeline of all plays with those of the filters as its subsets."""
    return replace(timelines.pop(""), subsets=timelines)


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
