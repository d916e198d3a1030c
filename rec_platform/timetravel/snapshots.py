"""The stage `feature_snapshots`: the facts of every profile and title as of 00:00 UTC of a date, rolled day by day.

A snapshot of D sees a play iff its date and its `known_date` are before D. The walk over the dates holds the state of
all countries at once (a profile's facts span countries) and moves on from date to date. Its first date it counts from
tiles, or rolls from the snapshots published of the day before, where these are current. Because it only adds and
subtracts integers, a rolled snapshot equals a recomputed one to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.config import Settings
from rec_platform.partition import Partition
from rec_platform.stage import Built, Earlier, Input, Reader, Stage
from rec_platform.tables import (
    INSTANT,
    PROFILE_SNAPSHOT,
    PROFILE_TILES,
    PROFILES,
    TITLE_SNAPSHOT,
    TITLE_TILES,
    TableSpec,
)
from rec_platform.timetravel.rolling import (
    EVERY_SUM,
    LONGEST,
    LONGEST_PLAYS,
    MEASURES,
    NEVER,
    NO_TILES,
    Ints,
    Rolling,
    Sums,
    Tiles,
)


class FeatureSnapshots(Stage):
    """Profile and title snapshots of a date and country, from the tiles of all countries over the longest window."""

    name: ClassVar[str] = "feature_snapshots"
    about: ClassVar[str] = (
        "What was known of each profile and title at 00:00 UTC: plays, milliseconds and engaged plays over 1, 7, 28 "
        "and 90 days, rolled forward day by day and equal to a fresh count to the bit."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (PROFILE_SNAPSHOT, TITLE_SNAPSHOT)
    code_version: ClassVar[int] = 1

    def config(self, settings: Settings) -> dict[str, Any]:
        return {}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day = partition.day
        first, last = day - timedelta(days=LONGEST), day - timedelta(days=1)
        tiles = (
            Input(name, first=first, last=last, every_country=True, cut=day, optional=True)
            for name in (PROFILE_TILES.name, TITLE_TILES.name)
        )
        return (*tiles, Input(PROFILES.name, cut=day))

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        return SnapshotState(reader).walk(partitions)

    def starts_from(self, first: Partition) -> date | None:
        return first.day - timedelta(days=1)

    def build_on(
        self, earlier: Earlier, partitions: Sequence[Partition], reader: Reader, settings: Settings
    ) -> Iterator[Built]:
        return state_from_snapshots(reader, earlier).walk(partitions)


class SnapshotState:
    """The facts of all profiles and titles of all countries, as of a midnight that moves forward.

    Reads the tiles of the days in [D - 90, D) as it moves to D, each day once, and the profile records once.
    """

    def __init__(self, reader: Reader) -> None:
        self.countries = _Countries()
        self.profiles = Rolling(_tiles_of(PROFILE_TILES, reader, self.countries), [LONGEST_PLAYS])
        self.titles = Rolling(_tiles_of(TITLE_TILES, reader, self.countries), EVERY_SUM)
        self._records = reader.read(PROFILES.name, [Partition()])
        self._days = np.unique([_number(key.day) for key in reader.published(PROFILE_TILES.name)]).astype(np.int64)

    @cached_property
    def _homes(self) -> _Homes:
        """Made when first asked for: a state that takes over another begins without cells."""
        return _Homes(self._records, self.profiles, self.countries)

    def walk(self, partitions: Iterable[Partition]) -> Iterator[Built]:
        """The snapshots of partitions given in order of date."""
        for day, wanted in groupby(partitions, key=lambda partition: partition.day):
            self.advance(day)
            yield from self.snapshots(wanted)

    def advance(self, day: date) -> None:
        """Move to 00:00 of `day`, any number of days ahead: from nothing it is counted, from there on rolled."""
        for rolling in (self.profiles, self.titles):
            rolling.advance(_number(day))

    def snapshots(self, partitions: Iterable[Partition]) -> Iterator[Built]:
        """Both snapshots of each country, as of the state's midnight."""
        as_of = self.profiles.as_of
        homes = self._homes.cells(as_of * DAY)
        profiles_seen, titles_seen = self.profiles.alive(), self.titles.alive()
        member = profiles_seen.copy()
        member[homes] = True
        history = int(np.count_nonzero((self._days >= as_of - LONGEST) & (self._days < as_of)))
        for partition in partitions:
            country = self.countries.number(partition.place)
            cells, entity = self.profiles.cells_in(country, member)
            profiles = _profile_rows(self.profiles, cells, entity)
            titles = _title_rows(self.titles, *self.titles.cells_in(country, titles_seen))
            extra = {
                "profiles": profiles.num_rows,
                "profiles_by_record_only": int(np.count_nonzero(~profiles_seen[cells])),
                "titles": titles.num_rows,
                "history_days": history,
            }
            yield Built(partition, {PROFILE_SNAPSHOT.name: profiles, TITLE_SNAPSHOT.name: titles}, extra)


def state_from_snapshots(reader: Reader, earlier: Earlier) -> SnapshotState:
    """The state as of 00:00 of a date, from that date's snapshots of all countries instead of 90 days of tiles.

    Every profile and title with a visible play in the longest window stands in some country's snapshot, so their union
    is the whole state. It holds only where every country with such a play has its snapshot among them.
    """
    state = SnapshotState(reader)
    for rolling, spec, tiles in (
        (state.profiles, PROFILE_SNAPSHOT, PROFILE_TILES),
        (state.titles, TITLE_SNAPSHOT, TITLE_TILES),
    ):
        rows = earlier.rows[spec.name]
        rolling.restore(
            _number(earlier.day),
            ids=_ints(rows.column(0)),
            country=state.countries.numbers(rows.column(c.COUNTRY)),
            sums={one: _ints(rows.column(c.windowed(*one))) for one in rolling.sums.values},
            cell_sums={one: _ints(rows.column(c.windowed(*one, "country"))) for one in rolling.cell_sums.values},
            last=_ints(pc.fill_null(pc.cast(rows.column(c.LAST_PLAYED_AT), pa.int64()), NEVER)),
            news=_news(earlier.news[tiles.name], tiles, state.countries),
        )
    return state


class _Countries:
    """Small numbers for country codes, given out as they come."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def number(self, country: str) -> int:
        return self._number.setdefault(country, len(self._number))

    def numbers(self, countries: pa.ChunkedArray) -> Ints:
        """The number of each country; none may be null."""
        encoded = countries.combine_chunks().dictionary_encode()
        number = np.array([self.number(country) for country in encoded.dictionary.to_pylist()], np.int64)
        return number[np.asarray(encoded.indices, np.int64)]


class _Homes:
    """Which country each profile's record says, as of any instant; `records` is the table `profiles`, in its order."""

    def __init__(self, records: pa.Table, profiles: Rolling, countries: _Countries) -> None:
        self._profile = _ints(records.column(c.PROFILE))
        self._known_at = _ints(records.column(c.KNOWN_AT))
        home = records.column(c.HOME_COUNTRY)
        says = np.asarray(home.is_valid(), np.bool_)
        self._cell = np.full(says.size, -1)
        self._cell[says] = profiles.codes(self._profile[says], countries.numbers(home.drop_null()))[1]

    def cells(self, as_of: int) -> Ints:
        """The cell of every profile whose newest record known before `as_of` names a country."""
        newest = self._known_at < as_of
        newest[:-1] &= ~((self._profile[1:] == self._profile[:-1]) & newest[1:])
        cells = self._cell[newest]
        return cells[cells >= 0]


def _tiles_of(spec: TableSpec, reader: Reader, countries: _Countries) -> Callable[[int], Tiles]:
    """A function that reads the tiles of a day, of all countries."""
    published: dict[int, list[Partition]] = {}
    for partition in reader.published(spec.name):
        published.setdefault(_number(partition.day), []).append(partition)

    def load(day: int) -> Tiles:
        partitions = published.get(day)
        if not partitions:
            return NO_TILES
        rows = reader.read(spec.name, partitions, spec.schema.names)
        numbers = [countries.number(partition.place) for partition in partitions]
        country = np.repeat(numbers, [reader.rows(spec.name, [partition]) for partition in partitions])
        return _as_tiles(rows, spec, np.full(rows.num_rows, day), country)

    return load


def _news(rows: pa.Table, spec: TableSpec, countries: _Countries) -> Tiles:
    return _as_tiles(rows, spec, _ints(rows.column(c.DATE)), countries.numbers(rows.column(c.COUNTRY)))


def _as_tiles(rows: pa.Table, spec: TableSpec, day: Ints, country: Ints) -> Tiles:
    return Tiles(
        day=day,
        ids=_ints(rows.column(spec.order[-1])),
        country=country,
        known=_ints(rows.column(c.KNOWN_DATE)),
        measures={measure: _ints(rows.column(measure)) for measure in MEASURES},
        last=_ints(rows.column(c.LAST_PLAYED_AT)),
    )


def _profile_rows(state: Rolling, cells: Ints, entity: Ints) -> pa.Table:
    """One row per profile: its facts everywhere, its plays in the country, its last play."""
    here = state.cell_sums.values[LONGEST_PLAYS][cells]
    columns = [state.entities.keys[entity], *_taken(state.sums, entity), here, _last(state, entity)]
    return pa.Table.from_arrays([pa.array(values) for values in columns], schema=PROFILE_SNAPSHOT.schema)


def _title_rows(state: Rolling, cells: Ints, entity: Ints) -> pa.Table:
    """One row per title: its facts in the country, then everywhere, its last play."""
    here, everywhere = _taken(state.cell_sums, cells), _taken(state.sums, entity)
    columns = [state.entities.keys[entity], *here, *everywhere, _last(state, entity)]
    return pa.Table.from_arrays([pa.array(values) for values in columns], schema=TITLE_SNAPSHOT.schema)


def _taken(sums: Sums, codes: Ints) -> list[Ints]:
    return [values[codes] for values in sums.values.values()]


def _last(state: Rolling, entity: Ints) -> pa.Array:
    """The last visible play, null where the longest window holds none (the state keeps what has left it)."""
    left = state.sums.values[LONGEST_PLAYS][entity] == 0
    return pa.array(state.last[entity], mask=left).cast(INSTANT)


def _number(day: date) -> int:
    return midnight(day) // DAY


def _ints(column: pa.ChunkedArray) -> Ints:
    """A column without nulls as int64; instants as microseconds, days as their number since 1970."""
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return np.asarray(column.cast(pa.int64()))
