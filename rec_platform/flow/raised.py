"""What stages left undone when they raised: a small file for each such run, beside the lake, for whoever looks later.

Not in the lake: nothing was published that could say it, and what stands there is right for what it was made from. A file
is written in one step and not changed again; its own time says when. It tells of a partition until a later commit
names that, or it is up to date as it stands (the settings of before are back). Without the file only the telling is lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rec_platform.config import Settings
from rec_platform.errors import PlatformError, StorageFault
from rec_platform.flow.index import Index
from rec_platform.flow.run import plan_stage
from rec_platform.partition import Partition
from rec_platform.stage import Stage

#: Where they stand in a home: `raised/STAGE/RUN.json`.
FOLDER: Final = "raised"

Versions = Mapping[str, int | None]


@dataclass(frozen=True)
class Raised:
    """A run in which a stage raised.

    Attributes:
        at: when, in microseconds.
        fault: what was raised and where; its first line.
        left: the partitions that it left and that no run has made since, in order; never empty.
    """

    stage: str
    run_id: str
    at: int
    fault: str
    left: tuple[Partition, ...]


def note(
    index: Index, stage: Stage, settings: Settings, left: Sequence[Partition], versions: Versions, *,
    run_id: str, error: Exception,
) -> None:  # fmt: skip
    """Note that the stage raised in a run and left these; notes of it that tell of nothing any more are removed.

    Args:
        versions: those of the tables when the run began: what it has committed itself it did not leave.
    """
    folder = index.lake.home / FOLDER / stage.name
    since = {spec.name: versions.get(spec.name) for spec in stage.tables}
    with suppress(OSError, StorageFault):  # a full disk may be what was raised
        unmade = [one.key for one in left if not _named_since(index, since, one)]
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{run_id}.{os.getpid()}"
        fresh.write_text(json.dumps({"left": unmade, "fault": _first_line(error), "versions": since}), encoding="utf-8")
        fresh.replace(folder / f"{run_id}.json")
        told = {one.run_id for one in told_of(index, stage, settings)}
        for old in folder.glob("*.json"):
            if old.stem not in told:
                old.unlink(missing_ok=True)


def told_of(index: Index, stage: Stage, settings: Settings) -> list[Raised]:
    """The runs in which a stage raised, newest first, with what it left and is not made yet.

    A partition that several runs left is told of the newest. What cannot be read is not told.
    """
    found, told = [], set[Partition]()
    for noted in _notes(index.lake.home / FOLDER / stage.name):
        open_still = [one for one in noted.left if one not in told and not _named_since(index, noted.versions, one)]
        left = _not_current(index, stage, open_still, settings)
        if left:
            told.update(left)
            found.append(Raised(stage.name, noted.run_id, noted.at, noted.fault, left))
    return found


@dataclass(frozen=True)
class _Note:
    """A file as it was written; `at` is its own time."""

    at: int
    run_id: str
    left: tuple[Partition, ...]
    fault: str
    versions: Versions

    @classmethod
    def read(cls, path: Path) -> _Note:
        body = json.loads(path.read_text(encoding="utf-8"))
        left = tuple(Partition.parse(key) for key in body["left"])
        return cls(path.stat().st_mtime_ns // 1000, path.stem, left, body["fault"], body["versions"])


def _notes(folder: Path) -> list[_Note]:
    """The files of a stage that can be read, newest first."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError, PlatformError):
            found.append(_Note.read(path))
    return sorted(found, key=lambda one: (one.at, one.run_id), reverse=True)


def _named_since(index: Index, versions: Versions, partition: Partition) -> bool:
    """Whether a commit after these versions names the partition: it was made, or failed its checks, which is told elsewhere."""
    for name, version in versions.items():
        hole = index.lake.holes(name, index.versions.get(name)).get(partition)
        state = index.state(name).get(partition, hole)
        if state is not None and (version is None or state.version > version):
            return True
    return False


def _not_current(
    index: Index, stage: Stage, partitions: Sequence[Partition], settings: Settings
) -> tuple[Partition, ...]:
    """Those that are not up to date; all of them where nothing can be planned (settings that cannot be read)."""
    try:
        current = plan_stage(index, stage, partitions, settings, force=False, allow_stale=True).current
    except PlatformError:
        current = ()
    return tuple(sorted(set(partitions) - set(current), key=lambda one: (one.date is None, one)))


def _first_line(error: Exception) -> str:
    said = f"{error.fault} ({error.place})" if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
    return said.splitlines()[0]
