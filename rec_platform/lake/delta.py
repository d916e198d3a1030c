"""A Delta table as the lake uses it: its schema and retention, its versions, commits and live files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from rec_platform import columns as c
from rec_platform.lake.files import partition_columns, partition_fields
from rec_platform.lake.manifest import KEY
from rec_platform.lake.staging import Staged
from rec_platform.partition import Partition
from rec_platform.tables import TableSpec

#: What a partition is named by, in the order of `Partition`.
_KEYS: Final = (c.DATE, c.COUNTRY)
_KEEP: Final = "interval 36500 days"
#: No pinned version may vanish: logs and removed files stay, and the log is never cleaned.
_RETENTION: Final = {
    "delta.logRetentionDuration": _KEEP,
    "delta.deletedFileRetentionDuration": _KEEP,
    "delta.enableExpiredLogCleanup": "false",
}


def opened(path: str, spec: TableSpec, staged: Sequence[Staged]) -> DeltaTable:
    """The table in a folder, made if it is not there, with every column of what is staged."""
    schema = _written_schema(spec, staged)
    if not DeltaTable.is_deltatable(path):
        partition_by = partition_columns(spec)
        return DeltaTable.create(path, schema=schema, partition_by=partition_by, configuration=_RETENTION)
    delta = DeltaTable(path)
    if staged and not _covers(pa.schema(delta.schema()), schema):
        write_deltalake(delta, schema.empty_table(), mode="append", schema_mode="merge")
        delta = DeltaTable(path)
    return delta


def versions(path: str) -> list[int]:
    """The versions that a table's log holds as commits or checkpoints: files named by twenty digits."""
    log = Path(path) / "_delta_log"
    names = [path.name for path in log.iterdir()] if log.is_dir() else []
    return [int(name[:20]) for name in names if re.fullmatch(r"\d{20}(\.checkpoint.*\.parquet|\.json)", name)]


def live_files(delta: DeltaTable) -> dict[Partition, list[str]]:
    """The files of each partition, relative to the table's folder, in order of name."""
    # Through a stream: `pa.table` would import pandas. Only the keys: statistics of every file stand there as well.
    rows = pa.RecordBatchReader.from_stream(delta.get_add_actions(flatten=True)).read_all()
    keys = [rows.column(name).to_pylist() for name in (f"partition.{n}" for n in _KEYS) if name in rows.column_names]
    live: dict[Partition, list[str]] = {}
    for path, *key in zip(rows.column("path").to_pylist(), *keys, strict=True):
        live.setdefault(Partition(*key), []).append(path)
    return {partition: sorted(paths) for partition, paths in live.items()}


def commits(path: str, version: int | None, since: int = -1) -> list[dict[str, Any]]:
    """The commits with a manifest after one version and up to another (newest if None), newest first.

    Asked of the table as it is: opened at an older version it gives the newest commits all the same, numbered as if the
    older one had been the last (deltalake 1.6).
    """
    delta = DeltaTable(path)
    last = delta.version() if version is None else version
    found = delta.history(max(delta.version() - since, 1))
    return [commit for commit in found if KEY in commit and since < commit["version"] <= last]


def _written_schema(spec: TableSpec, staged: Sequence[Staged]) -> pa.Schema:
    """The Delta schema: declared columns, open structs as the staged files have them, then the partition columns.

    Delta keeps no metadata of ours and, since a table's nullability can never be tightened, all columns are nullable.
    """
    files = [one.path for one in staged if one.path] if spec.open_structs else []
    inside = pa.unify_schemas([pq.read_schema(path) for path in files[:1]]) if files else spec.schema
    return pa.schema([pa.field(f.name, _nullable(f.type)) for f in inside] + partition_fields(spec))


def _nullable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _nullable(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _nullable(kind.value_type)))
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return kind


def _covers(have: pa.Schema, wanted: pa.Schema) -> bool:
    return _leaves(wanted) <= _leaves(have)


def _leaves(schema: pa.Schema) -> set[str]:
    found: set[str] = set()

    def walk(path: str, kind: pa.DataType) -> None:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            walk(path, kind.value_type)
        elif pa.types.is_struct(kind):
            for inner in kind:
                walk(f"{path}.{inner.name}", inner.type)
        else:
            found.add(path)

    for column in schema:
        walk(column.name, column.type)
    return found
