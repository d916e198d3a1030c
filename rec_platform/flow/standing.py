"""What stands of partitions that are stale by their configuration alone, for a stage that can keep some of it (`Stage.rebuild`).

A short cut and no input, as in earlier.py. What was published serves only if it is

    of the same inputs   the fingerprint, made again from the configuration on record, the inputs as they stand, and the
                         code version and seed of now, is the one on record; no newer attempt failed its audit
    intact               its rows have the content hash on record
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rec_platform.config import Settings
from rec_platform.flow.earlier import intact
from rec_platform.flow.index import Index, fingerprint
from rec_platform.partition import Partition
from rec_platform.stage import Stage, Standing


def standing_of(
    index: Index, stage: Stage, partitions: Sequence[Partition], settings: Settings
) -> dict[Partition, Standing]:
    """What stands of these partitions; without those of which nothing does, or not surely."""
    if not stage.rebuilds:
        return {}
    first = stage.tables[0].name
    configs = {one["version"]: one["config"] for one in index.lake.manifests(first, index.versions.get(first))}
    found = {}
    for partition in partitions:
        state = index.state(first).get(partition)
        made_by = None if state is None else configs.get(state.version)
        if made_by is not None and _of_the_same(index, stage, partition, settings, made_by):
            rows = _rows(index, stage, partition)
            if rows is not None:
                found[partition] = Standing(made_by, rows)
    return found


def _of_the_same(index: Index, stage: Stage, partition: Partition, settings: Settings, made_by: dict[str, Any]) -> bool:
    """Whether all tables of the partition were made by this configuration from what stands now."""
    resolved = index.resolve(stage.inputs(partition, settings))
    then = fingerprint(stage.name, stage.code_version, made_by, settings.seed, resolved)
    states = [index.state(spec.name).get(partition) for spec in stage.tables]
    return all(state is not None and not state.stale and state.fingerprint == then for state in states)


def _rows(index: Index, stage: Stage, partition: Partition) -> dict[str, pa.Table] | None:
    """The rows of every table; None where some are not intact."""
    found = {spec.name: intact(index, spec, [partition]) for spec in stage.tables}
    return None if any(rows is None for rows in found.values()) else found
