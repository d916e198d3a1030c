"""The stage `facts`: valid plays become play facts and tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import EngagementRule, Settings
from rec_platform.facts.plays import RAW_COLUMNS, only_plays, play_facts
from rec_platform.facts.tiles import tiles_by_part
from rec_platform.partition import Partition
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import PLAY_FACTS, PROFILE_TILES, RAW_PLAYS, TITLE_TILES, TableSpec

#: Partitions of the first read, and the most of any.
_FIRST_READ: Final = 4
_MOST_PARTITIONS: Final = 1_024
#: Plays that a read should stay near: about 150 MB.
_PLAYS_AT_ONCE: Final = 1_000_000


class Facts(Stage):
    """Play facts, title tiles and profile tiles of a date and country, from its raw plays alone."""

    name: ClassVar[str] = "facts"
    about: ClassVar[str] = (
        "Each play with its engagement, and per title and profile the day's counts and sums by the date they became "
        "known, of which every window is a sum."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (PLAY_FACTS, TITLE_TILES, PROFILE_TILES)
    code_version: ClassVar[int] = 1

    def config(self, settings: Settings) -> dict[str, Any]:
        return {"engagement": settings.rules.engagement.model_dump(mode="json")}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        return (Input(RAW_PLAYS.name, first=partition.day, last=partition.day, countries=(partition.place,)),)

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        start, size = 0, _FIRST_READ
        while start < len(partitions):
            batch = partitions[start : start + size]
            raw = reader.read(RAW_PLAYS.name, batch, [*RAW_COLUMNS, c.DATE, c.COUNTRY])
            yield from facts_of(batch, raw, settings.rules.engagement)
            start, size = start + len(batch), next_read(len(batch), raw.num_rows)


def next_read(partitions: int, plays: int) -> int:
    """How many partitions to read next, after a read of so many with so many plays.

    As many as hold about a million plays, but never more than twice as many: small partitions share one read, and one
    huge partition is read alone, without knowing sizes in advance.

    >>> next_read(4, 100), next_read(8, 8_000_000), next_read(1_024, 0)
    (8, 1, 1024)
    """
    fitting = max(1, _PLAYS_AT_ONCE * partitions // max(plays, 1))
    return min(2 * partitions, fitting, _MOST_PARTITIONS)


def facts_of(partitions: Sequence[Partition], raw_plays: pa.Table, rule: EngagementRule) -> Iterator[Built]:
    """The three tables of each partition, from the rows of all of them in partition order (`date`, `country` given)."""
    plays = only_plays(raw_plays).combine_chunks()
    bounds = _bounds(partitions, plays)
    facts = play_facts(plays, rule).combine_chunks()
    titles = tiles_by_part(facts, TITLE_TILES, c.TITLE, bounds)
    profiles = tiles_by_part(facts, PROFILE_TILES, c.PROFILE, bounds)
    counts = _counts(facts, plays, rule, bounds) | {"shown": np.diff(_bounds(partitions, raw_plays)) - np.diff(bounds)}
    for number, partition in enumerate(partitions):
        tables = {
            PLAY_FACTS.name: facts.slice(bounds[number], bounds[number + 1] - bounds[number]),
            TITLE_TILES.name: titles[number],
            PROFILE_TILES.name: profiles[number],
        }
        extra = {name: int(values[number]) for name, values in counts.items()}
        extra["titles"] = pc.count_distinct(titles[number].column(c.TITLE)).as_py()
        extra["profiles"] = pc.count_distinct(profiles[number].column(c.PROFILE)).as_py()
        yield Built(partition, tables, extra)


def _bounds(partitions: Sequence[Partition], rows: pa.Table) -> npt.NDArray[np.int64]:
    """Where each partition's rows begin, and after them where the last one's end (len(partitions) + 1 values)."""
    days = np.asarray(pc.cast(rows.column(c.DATE), pa.int32())).astype(np.int64)
    countries = rows.column(c.COUNTRY).combine_chunks().dictionary_encode()
    keys = days * len(countries.dictionary) + np.asarray(countries.indices)
    heads = np.flatnonzero(np.diff(keys, prepend=-1))
    lengths = np.diff(heads, append=keys.size)
    first_rows = rows.select([c.DATE, c.COUNTRY]).take(pa.array(heads)).to_pylist()
    found = {
        Partition(row[c.DATE], row[c.COUNTRY]): int(length) for row, length in zip(first_rows, lengths, strict=True)
    }
    return np.cumsum([0, *(found.get(partition, 0) for partition in partitions)])


def _counts(
    facts: pa.Table, plays: pa.Table, rule: EngagementRule, bounds: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.int64]]:
    """What each partition holds: numbers worth showing beside it."""
    counted = {
        "engaged": np.asarray(facts.column(c.ENGAGED)),
        "unknown_durations": np.asarray(plays.column(c.WATCHED_MS).is_null()),
    }
    if rule.kind == "column":
        counted["unknown_verdicts"] = np.asarray(plays.column(c.ENGAGED).is_null())
    sums = {name: np.concatenate([[0], np.cumsum(ones, dtype=np.int64)]) for name, ones in counted.items()}
    return {"plays": np.diff(bounds)} | {name: np.diff(total[bounds]) for name, total in sums.items()}
