"""Replay: a partition is made again from the versions its manifest names, and must come out with the hash it has. Words
that were corrected since (what models say of their features) are put as they are on record first.

Where it does not, the first of these that differs is named, in this order: the partition's own published rows; the code
version; the configuration; an upstream table and partition whose rows no longer have the hash their commit recorded (in
the order the stage names its inputs, that is the order of the flow); the libraries; and, if all of them are the same, the
code itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from rec_platform.config import Settings
from rec_platform.errors import MissingInput
from rec_platform.flow.index import Index, fingerprint
from rec_platform.flow.reader import LakeReader
from rec_platform.flow.run import libraries
from rec_platform.lake import Lake, PartitionState
from rec_platform.lake.content import content_hash_like
from rec_platform.partition import Partition
from rec_platform.proofs.verdict import Finding
from rec_platform.stage import Stage
from rec_platform.tables import LANDING, TABLES, TableSpec
from rec_platform.tables import table as table_spec

Manifest = Mapping[str, Any]


def manifest_of(lake: Lake, table: str, partition: Partition) -> tuple[PartitionState, Manifest]:
    """A partition's state and the manifest of the commit that wrote it; `MissingInput` if it never was published."""
    state = lake.state(table).get(partition)
    if state is None:
        raise MissingInput(
            f"{table} has no partition {partition.key}", place=str(lake.home),
            repair="Run `rec-platform status` to see what is there, and `rec-platform run` to make it.",
        )  # fmt: skip
    wrote = [one for one in lake.manifests(table) if one["version"] == state.version]
    return state, wrote[0]


def index_as_recorded(lake: Lake, manifest: Manifest, landing: int | None) -> Index:
    """All inputs at the versions a manifest names; the landing table only says which days and countries there are."""
    nothing = {spec.name: None for spec in TABLES}
    return Index(lake, {**nothing, LANDING.name: landing, **manifest["inputs"]})


def replayed(lake: Lake, stage: Stage, partition: Partition, settings: Settings) -> Finding:
    """Whether a stage makes a published partition again, to the bit, from what its manifest names."""
    state, manifest = manifest_of(lake, stage.tables[-1].name, partition)
    changed = _changed_setup(lake, stage, partition, settings, manifest)
    if changed:
        return Finding(False, changed)
    index = index_as_recorded(lake, manifest, lake.version(LANDING.name))
    inputs = stage.inputs(partition, settings)
    made_from = fingerprint(
        stage.name, stage.code_version, stage.config(settings), settings.seed, index.resolve(inputs)
    )
    (built,) = stage.build([partition], LakeReader(index, stage.name, inputs), settings)
    if built.lacks.keys() != state.lacks.keys():
        now, then = (", ".join(one) or "nothing" for one in (built.lacks, state.lacks))
        return Finding(False, f"it lacks {now} made again, {then} as published")
    for spec, then, now in _compared(lake, stage, partition, built.tables):
        if now != then:
            why = _first_upstream(index, stage, partition, settings) or _code(manifest)
            return Finding(False, f"{spec.name} is {now[:12]} made again, {then[:12]} as published: {why}")
    if made_from != state.fingerprint:
        return Finding(False, "the same rows, but the fingerprint on record is of other inputs")
    same = ", ".join(f"{spec.name} {lake.state(spec.name)[partition].content_hash[:12]}" for spec in stage.tables)
    return Finding(True, f"{same} from {len(manifest['inputs'])} tables at the versions on record: the same bytes")


def _compared(
    lake: Lake, stage: Stage, partition: Partition, made: Mapping[str, pa.Table]
) -> list[tuple[TableSpec, str, str]]:  # fmt: skip
    """Each table with its hash on record and that of the rows made again, in the words on record."""

    def hashes(tables: Mapping[str, pa.Table]) -> list[tuple[TableSpec, str, str]]:
        then = [(spec, lake.state(spec.name)[partition].content_hash) for spec in stage.tables]
        return [(spec, one, content_hash_like(one, tables[spec.name])) for spec, one in then]

    found = hashes(made)
    if all(then == now for _, then, now in found):
        return found
    return hashes(stage.worded_as({spec.name: _published(lake, spec.name, partition) for spec in stage.tables}, made))


def _changed_setup(lake: Lake, stage: Stage, partition: Partition, settings: Settings, manifest: Manifest) -> str:
    """What makes a replay meaningless before it begins; nothing if all is as recorded."""
    for spec in stage.tables:
        state = lake.state(spec.name)[partition]
        if _hash_of(lake, spec.name, partition, None, state) != state.content_hash:
            return f"{spec.name} {partition.key}: the published rows are not those its commit recorded"
    if manifest["code_version"] != stage.code_version:
        return f"code differs: stage {stage.name} was version {manifest['code_version']}, is {stage.code_version} now"
    config = stage.config(settings)
    keys = sorted(
        key for key in config.keys() | manifest["config"].keys() if config.get(key) != manifest["config"].get(key)
    )
    if keys or manifest["seed"] != settings.seed:
        return (
            f"configuration differs: {', '.join(keys) or 'seed'}; replay with the settings the partition was made with"
        )
    return ""


def _first_upstream(index: Index, stage: Stage, partition: Partition, settings: Settings) -> str:
    """The first input partition whose rows do not have the hash that its commit recorded."""
    order = [spec.name for spec in TABLES]
    named = sorted(
        {(order.index(one.table), one.table, key) for one in stage.inputs(partition, settings)
         for key in index.partitions(one)},
        key=lambda one: (one[0], one[2].date is not None, one[2]),
    )  # fmt: skip
    for _, table, key in named:
        state = index.state(table)[key]
        if state.parts:
            continue
        found = _hash_of(index.lake, table, key, index.versions[table], state)
        if found != state.content_hash:
            return f"the first table that differs is {table} {key.key}, {found[:12]} read, {state.content_hash[:12]} recorded"
    return ""


def _hash_of(lake: Lake, table: str, partition: Partition, version: int | None, state: PartitionState) -> str:
    """The hash of the rows read, by the function that made the hash on record."""
    return content_hash_like(state.content_hash, _published(lake, table, partition, version))


def _published(lake: Lake, table: str, partition: Partition, version: int | None = None) -> pa.Table:
    """The rows of a partition as a stage builds them."""
    spec = table_spec(table)
    columns = None if spec.open_structs else list(spec.schema.names)
    rows = lake.read(table, [partition], columns, version)
    return rows.select(list(spec.schema.names)) if columns is None else rows


def _code(manifest: Manifest) -> str:
    now = libraries()
    others = [
        f"{name} was {then}, is {now.get(name)}"
        for name, then in manifest["libraries"].items()
        if now.get(name) != then
    ]
    if others:
        return f"libraries differ: every input has the hash on record, and {', '.join(others)}"
    return (
        f"code differs: every input has the hash on record and every library its version, so the stage itself does other work "
        f"under its code version {manifest['code_version']}"
    )
