"""Watches the landing folder: new files are taken in, and exactly the partitions they change are asked for."""

import json
from pathlib import Path
from typing import Final

import dagster as dg

from assets.home import home_folder
from assets.jobs import TAKE_IN, chain_config
from assets.landed import news
from rec_platform.errors import PlatformError
from rec_platform.flow import Platform
from rec_platform.lake import Lake
from rec_platform.partition import UNREADABLE_COUNTRY, Partition
from rec_platform.plays.ingest import ingest

#: Where a source drops its files, under the home. Rename files into it: one that is still being copied is taken as it is.
FOLDER: Final = "landing"


@dg.sensor(
    name="landing_folder",
    job=TAKE_IN,
    minimum_interval_seconds=60,
    description="Takes in files that appear in HOME/landing and makes raw plays and facts of exactly the partitions they change.",
)
def landing_folder(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    home = home_folder()
    folder = home / FOLDER
    present = {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*")) if path.is_file()}
    seen = json.loads(context.cursor or "{}")
    new = [folder / name for name, changed in present.items() if seen.get(name) != changed]
    if not new:
        return dg.SkipReason(f"no new file in {folder}")
    asked = take_in(home, new, context)
    context.update_cursor(json.dumps(present))
    return asked


def take_in(home: Path, files: list[Path], context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Take the files in, tell what landed and ask for what it changed; refused files are told in the sensor's log."""
    arrived = delivered_at(files)
    try:
        result = ingest(home, Platform(home).mapping, files, delivered_at=arrived)
    except PlatformError as fault:
        context.log.error(str(fault))
        return dg.SkipReason(str(fault))
    for refused in result.faults:
        context.log.error(str(refused))
    changed = [partition for partition in result.touched if partition.country != UNREADABLE_COUNTRY]
    keys = {"reference": [Partition()], "raw_plays": changed, "facts": changed}
    names = ",".join(path.name for path in files)
    asked = dg.RunRequest(run_key=f"{arrived}-{names}", run_config=chain_config(keys))
    return dg.SensorResult([asked], asset_events=news(context.instance, Lake(home), changed))


def delivered_at(files: list[Path]) -> int:
    """When the newest of the files arrived, in microseconds: the file's own time, which a copy keeps."""
    return max(path.stat().st_mtime_ns for path in files) // 1000


SENSORS: Final = (landing_folder,)
