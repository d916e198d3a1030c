"""Many frames through steps that read a timeline: from one of all plays, or swept bucket by bucket of profiles (sweep.py).

A step by context gives a context the same whatever others stand in its frame, so frames may be cut by bucket of profile,
and a bucket's contexts of many frames are served together. A step of whole frames (a sampler that counts its strata) takes
them put together again. Between, frames wait in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import HOUR
from rec_platform.dmc12.frame import Frame, concat, flat, packed, sliced
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.records import Sides, bands
from rec_platform.features.sweep import BucketedLog, Past, bucket_of
from rec_platform.lake import HeldFolder
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.stage import silent
from rec_platform.timetravel.kernels import Int64
from rec_platform.timetravel.timeline import Timeline, countries_of

#: What is done with a frame, given what is read and the frame's day. Frames of a day get the same columns.
Step: TypeAlias = Callable[[Frame, Sources, date], Frame]
#: A frame with its day.
Dated: TypeAlias = tuple[date, Frame]
#: A step by context, which keeps all contexts in their order; then one of whole frames.
Segment: TypeAlias = tuple[Step, Step]

#: About how many contexts of a bucket are served together: with 50 items and 60 features each, 120 MB.
_TOGETHER: Final = 10_000
#: A context's row in its frame, while the frame is in parts.
_ROW: Final = "row_in_frame"


def segments_of(pipeline: Pipeline) -> tuple[Segment, ...]:
    """A pipeline as `Timelines.applied` takes it."""
    return tuple((_step(parts), _step(whole)) for parts, whole in pipeline.segments)


def _step(pipeline: Pipeline) -> Step:
    return lambda frame, sources, _day: pipeline.apply(frame, sources)


def as_it_is(frame: Frame, _sources: Sources, _day: date) -> Frame:
    """The step that does nothing."""
    return frame


class Timelines(Protocol):
    """What serves frames with timelines; the same bytes, whichever it is."""

    @property
    def buckets(self) -> int:
        """How many timelines the profiles are spread over."""

    def applied(self, segments: Sequence[Segment], frames: Iterable[Dated]) -> Iterator[Frame]:
        """Each frame with all segments done, in order. A frame's contexts are of its day; frames stand in order of day."""


@dataclass(frozen=True)
class OneTimeline:
    """Serves each frame, as it comes, from sources with a timeline of all plays."""

    sources: Sources
    buckets: int = field(default=1, init=False)

    def applied(self, segments: Sequence[Segment], frames: Iterable[Dated]) -> Iterator[Frame]:
        for day, frame in frames:
            for parts, whole in segments:
                frame = whole(parts(frame, self.sources, day), self.sources, day)
            yield frame


@dataclass(frozen=True)
class Swept:
    """Serves frames bucket by bucket: memory follows the largest bucket, the ticks of a band of days, and a frame.

    Attributes:
        past, features: what is read, and what for. The plays are read once, and once more per band of days for each segment
            that reads title-side sums.
        sources: what steps read, given a timeline.
        buckets: parts of the profiles.
        scratch: a folder for what waits in files, gone at the end: plays and frames, not compressed. What a killed sweep left
            there is removed.
        tell: told what is being done.
    """

    past: Past
    features: FeatureSet
    sources: Callable[[Timeline], Sources]
    buckets: int
    scratch: Path
    tell: Callable[[str], None] = silent

    def applied(self, segments: Sequence[Segment], frames: Iterable[Dated]) -> Iterator[Frame]:
        with HeldFolder(self.scratch, "sweep") as held:
            folder, log = held.folder, None
            for number, segment in enumerate(segments, 1):
                waiting = _Waiting.filled(frames, folder / f"{number} waiting", self.buckets)
                if log is None:
                    self.tell(f"plays to {self.buckets} buckets")
                    log = BucketedLog.written(self.past, self.features, waiting.profiles, folder, self.buckets)
                frames = _Pass(self, segment, f"pass {number} of {len(segments)}", folder / str(number)).over(
                    waiting, log
                )
            yield from (frame for _, frame in frames)


@dataclass(frozen=True)
class _Pass:
    """One segment over all frames."""

    of: Swept
    segment: Segment
    name: str
    folder: Path

    def over(self, waiting: _Waiting, log: BucketedLog) -> Iterator[Dated]:
        parts, whole = self.segment
        for numbers, sides in self._bands(waiting, log):
            with _Shelf(self.folder, self.of.buckets) as done:
                for bucket in waiting.shelf.buckets(numbers):
                    self.of.tell(f"{self.name}: bucket {bucket + 1} of {self.of.buckets}")
                    sources = self.of.sources(log.timeline(bucket, sides))
                    for few, together in waiting.together(bucket, numbers):
                        day = waiting.days[few[0]]
                        made = parts(together, sources, day)
                        for number, part in zip(few, _split(made, waiting.shelf.sizes(bucket, few)), strict=True):
                            done.put(bucket, number, day, part)
            sources = self.of.sources(log.records.without_plays(sides))
            for number in numbers:
                day = waiting.days[number]
                yield day, whole(_in_order(done.of_frame(number)), sources, day)

    def _bands(self, waiting: _Waiting, log: BucketedLog) -> Iterator[tuple[Sequence[int], Sides]]:
        """The frames of as many days at a time as their ticks may take, with the sums that the segment asks for."""
        (parts, whole), countries = self.segment, countries_of(list(waiting.countries))

        def rehearse(timeline: Timeline) -> object:
            sources, day = self.of.sources(timeline), waiting.days[0]
            return whole(parts(waiting.none, sources, day), sources, day)

        def asked(numbers: Sequence[int]) -> Sides:
            hours = [waiting.hours[number] for number in numbers]
            return log.records.asked(np.concatenate([_NOTHING, *hours]), countries, rehearse)

        for days in bands(sorted(set(waiting.days)), asked(())) if waiting.days else ():
            numbers = [number for number, day in enumerate(waiting.days) if days[0] <= day <= days[-1]]
            sides = asked(numbers)
            if any(sides.values()):
                self.of.tell(f"{self.name}: sums over all plays for {len(days)} days")
            yield numbers, log.gathered(sides)


_NOTHING: Final[Int64] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class _Waiting:
    """Frames cut by bucket.

    Attributes:
        shelf: their parts.
        days: each frame's day.
        hours: each frame's instants, by the hour.
        countries, profiles: those of all contexts.
        none: no contexts, with the frames' columns.
    """

    shelf: _Shelf
    days: Sequence[date]
    hours: Sequence[Int64]
    countries: frozenset[str]
    profiles: Int64
    none: Frame

    @classmethod
    def filled(cls, frames: Iterable[Dated], folder: Path, buckets: int) -> _Waiting:
        days: list[date] = []
        hours, profiles, countries = [_NOTHING], [_NOTHING], frozenset[str]()
        none = Frame.of(pa.table({}))
        with _Shelf(folder, buckets) as shelf:
            for number, (day, frame) in enumerate(frames):
                profile, at = (np.asarray(frame.context(name), dtype=np.int64) for name in (c.PROFILE, c.AT))
                days.append(day)
                hours.append(np.unique(at // HOUR) * HOUR)
                profiles.append(np.unique(profile))
                countries |= frozenset(pc.unique(frame.contexts.column(c.COUNTRY)).to_pylist())
                numbered = frame.with_contexts({_ROW: np.arange(frame.n_contexts)})
                none = numbered.take(_NOTHING)
                bucket = bucket_of(profile, buckets)
                for one in np.unique(bucket).tolist() or [0]:
                    shelf.put(one, number, day, numbered.take(np.flatnonzero(bucket == one)))
        return cls(shelf, days, hours[1:], countries, np.unique(np.concatenate(profiles)), none)

    def together(self, bucket: int, numbers: Sequence[int]) -> Iterator[tuple[list[int], Frame]]:
        """Which of some frames have a part in the bucket, and those parts: few at a time, all of one day."""
        few: list[int] = []
        for number in (one for one in numbers if self.shelf.has(bucket, one)):
            many = sum(self.shelf.sizes(bucket, [*few, number])) > _TOGETHER
            if few and (many or self.days[number] != self.days[few[0]]):
                yield few, concat(self.shelf.parts(bucket, few))
                few = []
            few.append(number)
        if few:
            yield few, concat(self.shelf.parts(bucket, few))


class _Shelf:
    """Parts of frames by bucket: a file per bucket and day, a batch per part. Filled inside a `with` block, read after it.

    Parts come day by day, so that only one day's files are open at a time: a process may have few open.
    """

    def __init__(self, folder: Path, buckets: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._day: date | None = None
        #: By bucket: the day's file, and how many parts it holds.
        self._open: dict[int, tuple[Path, pa.ipc.RecordBatchFileWriter, int]] = {}
        #: By bucket and frame: where the part is.
        self._places: list[dict[int, _Place]] = [{} for _ in range(buckets)]

    def __enter__(self) -> _Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def put(self, bucket: int, number: int, day: date, part: Frame) -> None:
        """Keep a frame's part."""
        if day != self._day:
            self._close()
            self._day = day
        rows = packed(part).combine_chunks()
        (batch,) = rows.to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]
        if bucket not in self._open:
            path = self._folder / f"{number}.{bucket}.arrow"
            self._open[bucket] = path, pa.ipc.new_file(str(path), rows.schema), 0
        path, writer, held = self._open[bucket]
        writer.write_batch(batch)
        self._places[bucket][number] = _Place(path, held, part.n_contexts)
        self._open[bucket] = path, writer, held + 1

    def _close(self) -> None:
        for _, writer, _ in self._open.values():
            writer.close()
        self._open = {}

    def buckets(self, numbers: Sequence[int]) -> list[int]:
        """Those that hold a part of some frames."""
        return [bucket for bucket, places in enumerate(self._places) if any(number in places for number in numbers)]

    def has(self, bucket: int, number: int) -> bool:
        return number in self._places[bucket]

    def sizes(self, bucket: int, numbers: Sequence[int]) -> list[int]:
        """The contexts of some parts."""
        return [self._places[bucket][number].contexts for number in numbers]

    def parts(self, bucket: int, numbers: Sequence[int]) -> list[Frame]:
        """Some parts of a bucket."""
        return [self._places[bucket][number].read() for number in numbers]

    def of_frame(self, number: int) -> list[Frame]:
        """All parts of a frame."""
        return [places[number].read() for places in self._places if number in places]


@dataclass(frozen=True)
class _Place:
    """A batch of a file."""

    path: Path
    position: int
    contexts: int

    def read(self) -> Frame:
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_file(file) as batches:
            return flat(pa.Table.from_batches([batches.get_batch(self.position)]))


def _split(frame: Frame, sizes: Sequence[int]) -> Iterator[Frame]:
    """The frame's contexts in runs of so many."""
    ends = np.cumsum(sizes).tolist()
    for size, end in zip(sizes, ends, strict=True):
        yield sliced(frame, end - size, end)


def _in_order(parts: Sequence[Frame]) -> Frame:
    """One frame of all parts, its contexts where they stood."""
    joined = parts[0] if len(parts) == 1 else concat(parts)
    row = joined.context(_ROW)
    ordered = joined if len(parts) == 1 else joined.take(np.argsort(row))
    return replace(ordered, contexts=ordered.contexts.drop_columns([_ROW]))
