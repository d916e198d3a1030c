"""Snapshots of one more day: rolled forward from the day before, and counted from nothing; the counts, and the stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Meter
from timeline_world import DAYS, START, World, day_of_plays

from rec_platform import columns as c
from rec_platform.clock import day_of
from rec_platform.config import Settings
from rec_platform.facts.tiles import tiles_by_part
from rec_platform.flow import Index, run_stage
from rec_platform.lake import Lake, Manifest
from rec_platform.partition import Partition
from rec_platform.tables import (
    LANDING,
    PROFILE_SNAPSHOT,
    PROFILE_TILES,
    PROFILES,
    TABLES,
    TITLE_SNAPSHOT,
    TITLE_TILES,
    table,
)
from rec_platform.testing.readers import MemoryReader
from rec_platform.timetravel.snapshots import FeatureSnapshots, SnapshotState

#: What landing holds of a cell of which only the tiles matter.
_LANDED = pa.table(
    {c.FILE_HASH: ["made"], c.FILE_NAME: ["made"], c.LINE: [1], c.DELIVERED_AT: [START], c.DELIVERED: ["{}"]},
    schema=LANDING.schema,
)


def tiles_of(path: Path, day: int) -> Iterator[tuple[str, Partition, pa.Table]]:
    """The tiles of one day's plays, country by country."""
    plays = pq.read_table(path).sort_by(c.COUNTRY)
    countries, rows = np.unique(plays.column(c.COUNTRY).to_numpy(), return_counts=True)
    bounds, date = np.append(0, np.cumsum(rows)), day_of(START) + timedelta(days=day)
    for spec, entity in ((PROFILE_TILES, c.PROFILE), (TITLE_TILES, c.TITLE)):
        for country, tiles in zip(countries, tiles_by_part(plays, spec, entity, bounds), strict=True):
            yield spec.name, Partition(date, str(country)), tiles


def publish_tiles(world: World, home: Path) -> None:
    """A home with the tiles of a world's days and of one day more, so that a day leaves the longest window."""
    lake, further = Lake(home), home / "further.parquet"
    home.mkdir()
    pq.write_table(day_of_plays(DAYS, pq.ParquetFile(world.plays[0]).metadata.num_rows), further)
    with lake.staging("made") as staging:
        tiles = [
            staging.write(table(name), partition, rows)
            for day, path in enumerate([*world.plays, further])
            for name, partition, rows in tiles_of(path, day)
        ]
        cells = {one.partition for one in tiles}
        landed = [staging.write(LANDING, cell, _LANDED) for cell in sorted(cells)]
        nobody = staging.write(PROFILES, Partition(), PROFILES.schema.empty_table())
        lake.append(landed, Manifest("made", "landing"))
        lake.publish([*tiles, nobody], Manifest("made", "facts"))
    further.unlink()


def run_day(home: Path, day: int, *, force: bool) -> Lake:
    """The stage over all countries of a day, from opening the home to its commits."""
    lake, date = Lake(home), day_of(START) + timedelta(days=day)
    index = Index(lake, {spec.name: lake.version(spec.name) for spec in TABLES})
    wanted = [Partition(date, country) for country in index.countries]
    run_stage(lake, FeatureSnapshots(), wanted, Settings(), index=index, run_id="day", force=force).raise_if_failed()
    return lake


def stage_of_one_more_day(meter: Meter, *, folder: str, scratch: str, turns: int) -> None:
    """Phases `rolled` and `counted` of each turn, on copies of one home; fails where content hashes differ.

    The day before is made first, in the same process: imports are paid for.
    """
    home, hashes = Path(scratch) / "home", set()
    publish_tiles(World(Path(folder)), home)
    run_day(home, DAYS, force=False)
    for turn in range(turns):
        for way in ("rolled", "counted"):
            copied = Path(scratch) / f"{way} {turn}"
            shutil.copytree(home, copied, copy_function=os.link)
            with meter.phase(copied.name):
                lake = run_day(copied, DAYS + 1, force=way == "counted")
            made = lake.manifests(PROFILE_SNAPSHOT.name)[0]["extra"]
            states = [lake.state(name) for name in (PROFILE_SNAPSHOT.name, TITLE_SNAPSHOT.name)]
            hashes.add(tuple(state[key].content_hash for state in states for key in sorted(state)))
            if ("built_on" in made) != (way == "rolled") or len(hashes) > 1:
                raise SystemExit(f"{copied.name}: not made that way, or not what the others made")


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
