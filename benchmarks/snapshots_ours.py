"""Snapshots of one more day: rolled forward from the day before, and counted from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Meter
from timeline_world import DAYS, START, World

from rec_platform import columns as c
from rec_platform.clock import day_of
from rec_platform.facts.tiles import tiles_by_part
from rec_platform.partition import Partition
from rec_platform.tables import PROFILE_TILES, PROFILES, TITLE_TILES
from rec_platform.testing.readers import MemoryReader
from rec_platform.timetravel.snapshots import SnapshotState


def tiles_of(path: Path, day: int) -> Iterator[tuple[str, Partition, pa.Table]]:
    """The tiles of one day's plays, country by country."""
    plays = pq.read_table(path).sort_by(c.COUNTRY)
    countries, rows = np.unique(plays.column(c.COUNTRY).to_numpy(), return_counts=True)
    bounds, date = np.append(0, np.cumsum(rows)), day_of(START) + timedelta(days=day)
    for spec, entity in ((PROFILE_TILES, c.PROFILE), (TITLE_TILES, c.TITLE)):
        for country, tiles in zip(countries, tiles_by_part(plays, spec, entity, bounds), strict=True):
            yield spec.name, Partition(date, str(country)), tiles


def reader_of(world: World) -> MemoryReader:
    """All tiles of a world in memory, and no profile records."""
    tables: dict[str, dict[Partition, pa.Table]] = {PROFILES.name: {Partition(): PROFILES.schema.empty_table()}}
    for day, path in enumerate(world.plays):
        for name, partition, rows in tiles_of(path, day):
            tables.setdefault(name, {})[partition] = rows
    return MemoryReader(tables)


def snapshots(state: SnapshotState, reader: MemoryReader, day: int) -> pa.Table:
    """Both snapshots of every country as of a day, one table below the other, as rows of one kind (for comparison)."""
    date = day_of(START) + timedelta(days=day)
    state.advance(date)
    made = state.snapshots([Partition(date, country) for country in reader.countries])
    return pa.concat_tables([rows for built in made for rows in built.tables.values()], promote_options="default")


def one_more_day(meter: Meter, *, folder: str) -> pa.Table:
    """Phases `counted` and `rolled`; fails where they differ."""
    reader = reader_of(World(Path(folder)))
    yesterday = SnapshotState(reader)
    snapshots(yesterday, reader, DAYS - 1)
    with meter.phase("rolled"):
        rolled = snapshots(yesterday, reader, DAYS)
    with meter.phase("counted"):
        counted = snapshots(SnapshotState(reader), reader, DAYS)
    if not rolled.equals(counted):
        raise SystemExit("rolled snapshots are not those counted from nothing")
    return rolled
