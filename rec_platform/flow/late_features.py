"""What late plays would change in training features: those published beside the same contexts and items made again, exactly.

Contexts and items stay as published and only the declared features are made again, by the code that made them, so a
difference is a difference of features and of nothing else; those of candidate models stand in late_models.py. Twice:

- `LATE`: the late plays of the partition's own line of the ledger count as known the moment they were played, and all
  else is as it was. Partitions that lack the same plays share a timeline; others do not, for a play that is late for the
  10th may have been known in time for the 13th.
- `NOW`: with `known_by = "now"` (contexts/known_by.py): besides late plays it shows plays and records that were there but
  not known yet at the context's instant. One timeline serves all partitions, so it is there first.

Where a ledger has more contexts than `at_most`, each partition is compared on its share of them, those least by a hash of
the context's id: the same ones each time, and every answer says how many of how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY
from rec_platform.contexts import known_by as told
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.contexts.stage import timelines_for
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.by_bucket import Dated, segments_of
from rec_platform.flow.late import Late, Ledger
from rec_platform.flow.late_changes import KINDS, NOW, Difference, Floats, Ints, changes, share_of_contexts
from rec_platform.flow.platform import Platform
from rec_platform.flow.run import Progress, quiet
from rec_platform.partition import Partition
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.stage import Input, Reader, Retold
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, RANKER_MODELS, TITLES, TRAINING_SETS

#: Contexts compared at most, unless told otherwise.
CONTEXTS: Final = 20_000


def training_differences(
    platform: Platform, ledger: Ledger, *, at_most: int = CONTEXTS, kinds: Sequence[str] = KINDS, progress: Progress = quiet
) -> Iterator[Difference]:  # fmt: skip
    """Every training partition of a ledger beside what its features would be, by kind (`NOW` first), as they are made.

    Args:
        at_most: contexts compared of all of them together; 0 for all.
    """
    lines = [one for one in ledger.lines if one.stage == TRAINING_SETS.name]
    of = {one.partition: platform.index.state(TRAINING_SETS.name)[one.partition].rows for one in lines}
    compared = sampled(of, at_most)
    stale = platform.plan(TRAINING_SETS.name, list(of)).stale
    groups = {kind: _groups(kind, lines) for kind in sorted(kinds, reverse=True, key=KINDS.index)}
    done, steps = 0, sum(len(lines) for _ in groups)
    for kind, found in groups.items():
        for group in found:
            progress(f"features with {kind}", done / max(steps, 1))
            for one in _differences(platform, ledger, kind, group, compared):
                done += 1
                progress(f"features with {kind}: {one.partition.key}", done / steps)
                yield replace(one, of=of[one.partition], stale=one.partition in stale)


def sampled(of: Mapping[Partition, int], at_most: int) -> dict[Partition, int]:
    """How many contexts of each partition are compared: all, or the same share of each, rounded up.

    >>> day = date(2025, 3, 10)
    >>> [*sampled({Partition(day, "DE"): 300, Partition(day, "FR"): 1}, 100).values()]
    [100, 1]
    """
    share = min(1.0, at_most / max(sum(of.values()), 1)) if at_most else 1.0
    return {partition: int(np.ceil(contexts * share)) for partition, contexts in of.items()}


def shares_of_rankers(
    platform: Platform, whole: Ledger, listed: Ledger, found: Sequence[Difference]
) -> dict[date, float]:
    """Of listed rankers: which share of the contexts each was trained on holds a feature that would differ, by date.

    Args:
        whole: all of the ledger. A ranker that reads a training set of it that is not in `found` is left out.
        found: differences of one kind. Where they are of a sample, so is the share.
    """
    training, late = platform.index.state(TRAINING_SETS.name), _of_stage(whole, TRAINING_SETS.name)
    compared, shares = {one.partition for one in found if one.table == TRAINING_SETS.name}, {}
    for line in _of_stage(listed, RANKER_MODELS.stage).values():
        read = {
            key: training[key].rows
            for one in platform.stages[line.stage].inputs(line.partition, platform.settings)
            if one.table == TRAINING_SETS.name
            for key in platform.index.partitions(one)
        }
        if not (read.keys() & late.keys()) - compared:
            mine = [one for one in found if one.table == TRAINING_SETS.name]
            shares[line.partition.day] = share_of_contexts(read, mine)
    return shares


def _of_stage(ledger: Ledger, stage: str) -> dict[Partition, Late]:
    return {one.partition: one for one in ledger.lines if one.stage == stage}


def _groups(kind: str, lines: Sequence[Late]) -> list[list[Late]]:
    """Lines that one timeline serves, each group in order of day."""
    if kind == NOW:
        return [sorted(lines, key=_day)] if lines else []
    keyed = sorted(lines, key=_plays)
    return [sorted(group, key=_day) for _, group in groupby(keyed, key=_plays)]


def _day(line: Late) -> Partition:
    return line.partition


def _plays(line: Late) -> tuple[str, bytes]:
    return line.known_by, line.numbers.tobytes()


def _differences(
    platform: Platform, ledger: Ledger, kind: str, lines: Sequence[Late], compared: Mapping[Partition, int]
) -> Iterator[Difference]:
    """The lines' partitions, all seen with the same plays."""
    settings, features = platform.settings, FeatureSet.from_config(platform.settings.features)
    reader = as_known_in_time(plays_and_records(platform, lines[-1].partition.day), ledger, kind, lines[0])
    timelines = timelines_for(reader, settings, Sources, until=lines[-1].partition.day)
    published: deque[Frame] = deque()

    def bare() -> Iterator[Dated]:
        for line in lines:
            published.append(published_frame(platform, line.partition, compared[line.partition]))
            yield line.partition.day, _bare(published[-1])

    steps = Pipeline([Tagger(), FeatureGenerator(features)])
    for line, made in zip(lines, timelines.applied(segments_of(steps), bare()), strict=True):
        then = published.popleft()
        names = [name for name in features.names if name in then.features.column_names]
        yield _difference(line.partition, kind, then, made, names)


def plays_and_records(platform: Platform, last: date) -> Reader:
    """All plays to a day, and what is known of titles, profiles and offers."""
    records = (Input(spec.name) for spec in (TITLES, PROFILES, AVAILABILITY))
    return platform.reader(Input(PLAY_FACTS.name, FIRST_DAY, last, every_country=True, optional=True), *records)


def as_known_in_time(reader: Reader, ledger: Ledger, kind: str, line: Late) -> Reader:
    """A reader by which the late plays of a line (`LATE`), or all plays and records (`NOW`), were known in time."""
    if kind == NOW:
        return told.as_known_by(reader, told.NOW)
    return told.as_known_by(InTime(reader, ledger.plays(line.numbers)), line.known_by)


def published_frame(platform: Platform, partition: Partition, contexts: int) -> Frame:
    """So many contexts of a training set, in their order."""
    reader = platform.reader(Input(TRAINING_SETS.name, partition.day, partition.day, (partition.place,)))
    whole = flat(reader.read(TRAINING_SETS.name, [partition], TRAINING_SETS.schema.names))
    if contexts >= whole.n_contexts:
        return whole
    drawn = mix(seeded(platform.settings.seed, purpose="late"), whole.context(c.CONTEXT_ID))
    return whole.take(np.sort(np.argsort(drawn, kind="stable")[:contexts]).astype(np.int64))


def _bare(frame: Frame) -> Frame:
    return Frame.of(frame.contexts, frame.offsets, items={c.TITLE: frame.item(c.TITLE)})


def _difference(partition: Partition, kind: str, then: Frame, made: Frame, names: Sequence[str]) -> Difference:
    columns = ((name, _floats(then, name), _floats(made, name)) for name in names)
    found, changed = changes(columns, then.context_of_item)
    return Difference(TRAINING_SETS.name, partition, kind, then.n_contexts, then.n_contexts, changed, found)


def _floats(frame: Frame, name: str) -> Floats:
    return np.asarray(frame.features.column(name).to_numpy(), dtype=np.float64)


@dataclass(frozen=True)
class InTime(Retold):
    """A reader by which some plays became known the moment they were played.

    Attributes:
        plays: the rows of these plays, by day and country of `play_facts`, ascending.
    """

    plays: Mapping[Partition, Ints]

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        if table == PLAY_FACTS.name:
            raise ConfigError(f"files of {table} tell what was known then", place="late plays", repair="Read the rows.")
        return self.reader.files(table, partitions)

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = list(partitions)
        if table != PLAY_FACTS.name or not any(partition in self.plays for partition in wanted):
            return self.reader.read(table, wanted, columns)
        asked = None if columns is None else list(dict.fromkeys([*columns, c.KNOWN_AT, c.PLAYED_AT]))
        runs = [list(run) for _, run in groupby(wanted, key=lambda one: one if one in self.plays else None)]
        parts = [self._told(self.reader.read(table, run, asked), self.plays.get(run[0])) for run in runs]
        rows = pa.concat_tables(parts)
        return rows if columns is None else rows.select(list(columns))

    @staticmethod
    def _told(rows: pa.Table, late: Ints | None) -> pa.Table:
        if late is None:
            return rows
        known, played = (rows.column(name).to_numpy().copy() for name in (c.KNOWN_AT, c.PLAYED_AT))
        known[late] = played[late]
        place = rows.schema.get_field_index(c.KNOWN_AT)
        return rows.set_column(place, rows.schema.field(place), pa.array(known, rows.schema.field(place).type))
