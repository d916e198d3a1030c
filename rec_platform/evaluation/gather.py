"""What is known of titles and profiles as of 00:00 UTC of a date, read from published tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.clock import days_between, midnight
from rec_platform.evaluation.knowledge import Knowledge, Tastes, TitleFacts
from rec_platform.evaluation.ties import Ints
from rec_platform.models.registry import score_scales
from rec_platform.partition import Partition
from rec_platform.stage import Input, Reader
from rec_platform.tables import PLAY_FACTS, TITLE_SNAPSHOT, TITLES, WINDOWS

#: A profile's tastes are those of its plays over the longest window.
TASTE_DAYS: Final = WINDOWS[-1]
PLAYS_28D: Final = c.windowed(c.PLAYS, 28, "country")


def knowledge_inputs(partition: Partition) -> tuple[Input, ...]:
    """What `knowledge` reads: titles and plays as known at 00:00 of the date, plays of every country."""
    day = partition.day
    first, last = day - timedelta(days=TASTE_DAYS), day - timedelta(days=1)
    return (
        Input(TITLE_SNAPSHOT.name, day, day, (partition.place,), optional=True),
        Input(TITLES.name, cut=day),
        Input(PLAY_FACTS.name, first, last, every_country=True, cut=day, optional=True),
    )


class History:
    """Plays of the profiles that some partitions score, by day; each day is read once and held while a window reaches it.

    Args:
        scores: the files of `scores` of all partitions that will be asked for, which come by date.
    """

    def __init__(self, reader: Reader, scores: Sequence[str]) -> None:
        self._reader, self._profiles = reader, _profiles(scores)
        self._days: dict[date, tuple[Ints, Ints, Ints]] = {}

    def before(self, day: date) -> tuple[Ints, Ints]:
        """Profile and title of the plays of the last `TASTE_DAYS` days visible at 00:00 UTC of a date."""
        window = days_between(day - timedelta(days=TASTE_DAYS), day - timedelta(days=1))
        self._days = {one: self._days.get(one) or self._read(one) for one in window}
        profile, title, known = (np.concatenate([part[which] for part in self._days.values()]) for which in range(3))
        visible = known < midnight(day)
        return profile[visible], title[visible]

    def _read(self, day: date) -> tuple[Ints, Ints, Ints]:
        """Profile, title and `known_at` of a day's plays; nothing where nobody published it."""
        parts = self._reader.published(PLAY_FACTS.name, day)
        table = self._reader.read(PLAY_FACTS.name, parts, [c.PROFILE, c.TITLE, c.KNOWN_AT])
        profile, title, known = (np.asarray(pc.cast(column, pa.int64()), dtype=np.int64) for column in table.columns)
        keep = np.isin(profile, self._profiles)
        return profile[keep], title[keep], known[keep]


def knowledge(partition: Partition, reader: Reader, history: History) -> Knowledge:
    """Plays of titles in the country over 28 days, genres, what profiles played before, scales of scores.

    Titles have no plays where the partition has no title snapshot, and then nobody has tastes.
    """
    plays = title_plays(partition, reader)
    facts = TitleFacts.of(plays, _genres(partition, reader))
    tastes = None if plays is None else Tastes.of(facts, *history.before(partition.day))
    return Knowledge(facts, tastes, score_scales())


def title_plays(partition: Partition, reader: Reader) -> dict[int, int] | None:
    """Plays per title in the country over 28 days as of the date; None without a snapshot."""
    if partition not in reader.published(TITLE_SNAPSHOT.name, partition.day):
        return None
    table = reader.read(TITLE_SNAPSHOT.name, [partition], [c.TITLE, PLAYS_28D])
    return dict(zip(table.column(c.TITLE).to_pylist(), table.column(PLAYS_28D).to_pylist(), strict=True))


def _genres(partition: Partition, reader: Reader) -> dict[int, list[str]]:
    """Genres by title, the newest row of each known before the date."""
    table = reader.read(TITLES.name, [Partition()], [c.TITLE, c.KNOWN_AT, c.GENRES])
    known = np.asarray(pc.cast(table.column(c.KNOWN_AT), pa.int64()))
    newest = table.filter(pa.array(known < midnight(partition.day))).sort_by(
        [(c.TITLE, "ascending"), (c.KNOWN_AT, "ascending")]
    )
    return dict(zip(newest.column(c.TITLE).to_pylist(), newest.column(c.GENRES).to_pylist(), strict=True))


def _profiles(scores: Sequence[str]) -> Ints:
    """The profiles of the contexts in these files of `scores`."""
    read = [pq.read_table(file, columns=[c.PROFILE]).column(c.PROFILE).to_numpy() for file in scores]
    return np.unique(np.concatenate(read)).astype(np.int64) if read else np.zeros(0, dtype=np.int64)
