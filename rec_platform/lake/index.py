"""The index file of a table: the state of each partition as of a version, a cache of what the log says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rec_platform.lake.delta import commits
from rec_platform.lake.manifest import KEY, PartitionState
from rec_platform.partition import Partition


def states_at(index: Path, path: str, version: int) -> dict[Partition, PartitionState]:
    """State from the index file, brought up to `version` from the log of the table in `path`.

    The index follows if that is newest.
    """
    saved = _saved_index(index)
    since, entries = saved if saved[0] <= version else (-1, {})
    if since < version:
        for commit in reversed(commits(path, version, since)):
            entries |= {
                key: body | {"version": commit["version"]}
                for key, body in json.loads(commit[KEY])["partitions"].items()
            }
        if version > saved[0]:
            _save_index(index, version, entries)
    states = {Partition.parse(key): PartitionState.from_json(body) for key, body in entries.items()}
    return dict(sorted(states.items(), key=lambda pair: pair[0].key))


def _saved_index(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return body["version"], body["partitions"]
    except (OSError, ValueError, KeyError):
        return -1, {}


def _save_index(path: Path, version: int, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the index in one step; it is a cache, so a reader that meets none rebuilds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"version": version, "partitions": entries}), encoding="utf-8")
    fresh.replace(path)
