"""What a publish puts into one commit: what it says of each partition, and which files come and go."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from deltalake.transaction import AddAction, RemoveAction

from rec_platform import columns as c
from rec_platform.lake.manifest import NEVER_PUBLISHED, PartitionState, parts_hash
from rec_platform.lake.staging import Staged, partition_path
from rec_platform.partition import Partition
from rec_platform.tables import TABLES


def by_table(staged: Sequence[Staged], failed: Mapping[Partition, str], stage: str) -> dict[str, list[Staged]]:
    """What is staged of each table; where partitions failed, every table of the stage is there."""
    tables: dict[str, list[Staged]] = {}
    if failed:
        tables = {spec.name: [] for spec in TABLES if spec.stage == stage}
    for one in staged:
        tables.setdefault(one.spec.name, []).append(one)
    return tables


def said_of(
    staged: Sequence[Staged],
    states: Mapping[Partition, PartitionState],
    failed: Mapping[Partition, str],
    *,
    append: bool,
) -> dict[str, dict[str, Any]]:
    """What the commit says of each partition it handles; partitions that stand exactly so already are left out."""
    entries = {}
    for one in staged:
        old = states.get(one.partition)
        state = _appended(one, old) if append else _replaced(one)
        if old is None or _differs(old, state):
            entries[one.partition.key] = state.to_json()
    for partition, reason in failed.items():
        old = states.get(partition, PartitionState(NEVER_PUBLISHED, ""))
        if old.stale != reason:
            entries[partition.key] = old.to_json() | {"stale": reason}
    return entries


def _differs(old: PartitionState, new: PartitionState) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in ("content_hash", "fingerprint", "stale", "lacks"))


def _replaced(one: Staged) -> PartitionState:
    known = {day.isoformat(): digest for day, digest in sorted(one.known.items())}
    return PartitionState(one.rows, one.content_hash, one.fingerprint, known, extra=one.extra, lacks=one.lacks)


def _appended(one: Staged, old: PartitionState | None) -> PartitionState:
    parts = (*(old.parts if old else ()), one.content_hash)
    rows = (old.rows if old else 0) + one.rows
    return PartitionState(rows, parts_hash(parts), one.fingerprint, parts=parts, extra=one.extra)


def mended(root: Path, staged: Sequence[Staged], entries: Collection[str]) -> dict[str, dict[str, Any]]:
    """Of partitions that stand as staged, those whose file does not hold what it did: gone, cut short, changed."""
    return {
        one.partition.key: _replaced(one).to_json()
        for one in staged
        if one.path and one.partition.key not in entries and not _same_bytes(one.path, _target(root, one))
    }


def added(root: Path, staged: Staged) -> AddAction:
    """Move a staged file to its place in the table's folder; what the commit is told of it."""
    assert staged.path is not None
    target = _target(root, staged)
    inside = target.relative_to(root).as_posix()
    target.parent.mkdir(parents=True, exist_ok=True)
    size = staged.path.stat().st_size
    staged.path.replace(target)
    return AddAction(
        path=inside,
        size=size,
        partition_values=_partition_values(staged.partition),
        modification_time=_milliseconds(target),
        data_change=True,
        stats=json.dumps({"numRecords": staged.rows}),
    )


def removed(
    root: Path, live: Mapping[Partition, Sequence[str]], partitions: set[Partition], adds: Sequence[AddAction]
) -> list[RemoveAction]:
    """What the commit is told of the live files of partitions that it replaces; files stay where they are."""
    kept = {action.path for action in adds}
    return [
        RemoveAction(
            path=path,
            data_change=True,
            deletion_timestamp=_milliseconds(root / path),
            size=(root / path).stat().st_size if (root / path).exists() else 0,
            partition_values=_partition_values(partition),
        )
        for partition in sorted(partitions)
        for path in live.get(partition, [])
        if path not in kept
    ]


def _target(root: Path, staged: Staged) -> Path:
    assert staged.path is not None
    return root / partition_path(staged.partition) / staged.path.name


def _same_bytes(staged: Path, published: Path) -> bool:
    return published.is_file() and filecmp.cmp(staged, published, shallow=False)


def _partition_values(partition: Partition) -> dict[str, str | None]:
    if partition.date is None:
        return {}
    day: dict[str, str | None] = {c.DATE: partition.date.isoformat()}
    return day if partition.country is None else day | {c.COUNTRY: partition.country}


def _milliseconds(path: Path) -> int:
    """A file's own time of change: Delta wants times in its log, and the library asks no clock. 0 if the file is gone."""
    return path.stat().st_mtime_ns // 1_000_000 if path.exists() else 0
