"""Watches the landing folder: new files are taken in, and exactly the partitions they change are asked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg

from assets.home import home_folder
from assets.jobs import STAGE_JOBS
from assets.schedules import FOLLOWING
from rec_platform.errors import PlatformError
from rec_platform.flow import LAYERS, Platform
from rec_platform.partition import UNREADABLE_COUNTRY, Partition
from rec_platform.plays.ingest import ingest

#: Where a source drops its files, under the home.
FOLDER: Final = "landing"
_CHANGED_BY_A_FILE: Final = LAYERS[0]


@dg.sensor(
    name="landing_folder",
    jobs=[job for job in STAGE_JOBS if job.name.removeprefix("run_") in _CHANGED_BY_A_FILE],
    minimum_interval_seconds=60,
    description="Takes in files that appear in HOME/landing and runs raw plays and facts of exactly the partitions they change.",
)
def landing_folder(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    home = home_folder()
    folder = home / FOLDER
    present = {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*")) if path.is_file()}
    seen = json.loads(context.cursor or "{}")
    new = [folder / name for name, changed in present.items() if seen.get(name) != changed]
    if not new:
        yield dg.SkipReason(f"no new file in {folder}")
        return
    yield from requests(home, new, context)
    context.update_cursor(json.dumps(present))


def delivered_at(files: list[Path]) -> int:
    """When the newest of the files arrived, in microseconds: the file's own time, which a copy keeps."""
    return max(path.stat().st_mtime_ns for path in files) // 1000


def requests(
    home: Path, files: list[Path], context: dg.SensorEvaluationContext
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Take the files in and ask for what they changed."""
    try:
        result = ingest(home, Platform(home).mapping, files, delivered_at=delivered_at(files))
    except PlatformError as fault:
        context.log.error(str(fault))
        yield dg.SkipReason(str(fault))
        return
    changed = [p.key for p in result.touched if p.country != UNREADABLE_COUNTRY]
    for stage in _CHANGED_BY_A_FILE:
        keys = [Partition().key] if stage == "reference" else changed
        if keys:
            yield dg.RunRequest(
                run_key=f"{stage}-{delivered_at(files)}-{','.join(path.name for path in files)}",
                job_name=f"run_{stage}",
                run_config={"ops": {f"make_{stage}": {"config": {"partitions": keys}}}},
            )


SENSORS: Final = (landing_folder, FOLLOWING)
