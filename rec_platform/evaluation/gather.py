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
from rec_platform.tables import PLAY_FACTS, SCORES_TABLE, TITLE_SNAPSHOT, TITLES, WINDOWS

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
    """What is known as of a date, made once for all its countries; days of plays are held while a window reaches them.

    Args:
        scores: the files of `scores` of all partitions that will be asked for, which come by date.
    """

    def __init__(self, reader: Reader, scores: Sequence[str]) -> None:
        self._reader, self._profiles = reader, _profiles(scores)
        self._days: dict[date, tuple[Ints, Ints, Ints]] = {}
        self._visible: tuple[date, Ints, Ints] | None = None
        self._genres: tuple[date, TitleFacts] | None = None

    def before(self, day: date, profiles: Ints) -> tuple[Ints, Ints]:
        """Profile and title of the profiles' plays of the last `TASTE_DAYS` days visible at 00:00 UTC of a date.

        By profile, and in the order of the plays within one. `profiles`: distinct, ascending.
        """
        if self._visible is None or self._visible[0] != day:
            self._visible = day, *self._by_profile(day)
        _, profile, title = self._visible
        first, last = np.searchsorted(profile, profiles, "left"), np.searchsorted(profile, profiles, "right")
        lengths = last - first
        rows = np.repeat(first - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        return profile[rows], title[rows]

    def genres(self, day: date) -> TitleFacts:
        """Genres of titles, the newest row of each known before the date."""
        if self._genres is None or self._genres[0] != day:
            self._genres = day, TitleFacts.of(genres=_genres(day, self._reader))
        return self._genres[1]

    def _by_profile(self, day: date) -> tuple[Ints, Ints]:
        window = days_between(day - timedelta(days=TASTE_DAYS), day - timedelta(days=1))
        self._days = {one: self._days.get(one) or self._read(one) for one in window}
        profile, title, known = (np.concatenate([part[which] for part in self._days.values()]) for which in range(3))
        visible = np.flatnonzero(known < midnight(day))
        order = visible[np.argsort(profile[visible], kind="stable")]
        return profile[order], title[order]

    def _read(self, day: date) -> tuple[Ints, Ints, Ints]:
        """Profile, title and `known_at` of a day's plays; nothing where nobody published it."""
        parts = self._reader.published(PLAY_FACTS.name, day)
        table = self._reader.read(PLAY_FACTS.name, parts, [c.PROFILE, c.TITLE, c.KNOWN_AT])
        profile, title, known = (np.asarray(pc.cast(column, pa.int64()), dtype=np.int64) for column in table.columns)
        keep = np.isin(profile, self._profiles)
        return profile[keep], title[keep], known[keep]


def knowledge(partition: Partition, reader: Reader, history: History, rankers: Sequence[str] = ()) -> Knowledge:
    """Plays of titles in the country over 28 days, genres, what profiles played before, scales of scores.

    Titles have no plays where the partition has no title snapshot, and then nobody has tastes. `rankers`: `[rankers] files`.
    """
    genres, plays = history.genres(partition.day), title_plays(partition, reader)
    if plays is None:
        return Knowledge(genres, None, score_scales(rankers))
    facts = genres.with_plays(*plays)
    profiles = _profiles(reader.files(SCORES_TABLE.name, [partition]))
    return Knowledge(facts, Tastes.of(facts, *history.before(partition.day, profiles)), score_scales(rankers))


def title_plays(partition: Partition, reader: Reader) -> tuple[Ints, Ints] | None:
    """Titles, and their plays in the country over 28 days as of the date; None without a snapshot."""
    if partition not in reader.published(TITLE_SNAPSHOT.name, partition.day):
        return None
    table = reader.read(TITLE_SNAPSHOT.name, [partition], [c.TITLE, PLAYS_28D])
    titles, plays = (np.asarray(table.column(name).to_numpy(), dtype=np.int64) for name in (c.TITLE, PLAYS_28D))
    return titles, plays


def _genres(day: date, reader: Reader) -> dict[int, list[str]]:
    table = reader.read(TITLES.name, [Partition()], [c.TITLE, c.KNOWN_AT, c.GENRES])
    known = np.asarray(pc.cast(table.column(c.KNOWN_AT), pa.int64()))
    newest = table.filter(pa.array(known < midnight(day))).sort_by([(c.TITLE, "ascending"), (c.KNOWN_AT, "ascending")])
    return dict(zip(newest.column(c.TITLE).to_pylist(), newest.column(c.GENRES).to_pylist(), strict=True))


def _profiles(scores: Sequence[str]) -> Ints:
    """The profiles of the contexts in these files of `scores`."""
    read = [pq.read_table(file, columns=[c.PROFILE]).column(c.PROFILE).to_numpy() for file in scores]
    return np.unique(np.concatenate(read)).astype(np.int64) if read else np.zeros(0, dtype=np.int64)
