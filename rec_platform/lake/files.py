"""Rows of a table's Parquet files, with the partition columns that stand in their folders' names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.partition import Grain
from rec_platform.tables import TableSpec

#: Bytes of files that are read faster one after another than as a dataset (decision 0098).
_SMALL: Final = 32_000_000


def partition_columns(spec: TableSpec) -> list[str] | None:
    return {Grain.DATE_COUNTRY: [c.DATE, c.COUNTRY], Grain.DATE: [c.DATE], Grain.NONE: None}[spec.grain]


def partition_fields(spec: TableSpec) -> list[pa.Field]:
    kinds = {c.DATE: pa.date32(), c.COUNTRY: pa.string()}
    return [pa.field(name, kinds[name]) for name in partition_columns(spec) or []]


def read_files(
    spec: TableSpec, paths: Sequence[str], root: str, columns: Sequence[str] | None, known_from: date | None = None
) -> pa.Table:
    """Rows of files in the order given, with partition columns; several files of a partition merge in table order.

    Args:
        known_from: only rows known on that day or later; `SchemaError` for a table without a `known_date`.
    """
    if known_from is not None and c.KNOWN_DATE not in spec.schema.names:
        raise SchemaError(
            f"{spec.name} does not say when its rows became known: it has no column {c.KNOWN_DATE}",
            place=f"rows of {spec.name} known from {known_from}",
            repair=f"Read it without `known_from`; it has {', '.join(spec.schema.names)}.",
        )
    keys = partition_fields(spec)
    names = [*spec.schema.names, *(key.name for key in keys)] if columns is None else list(columns)
    if not paths:
        return pa.schema([*(pa.field(f.name, f.type) for f in spec.schema), *keys]).empty_table().select(names)
    sort = [*(key.name for key in keys), *spec.order]
    several = len({path.rpartition("/")[0] for path in paths}) < len(paths)
    asked = [*(sort if several else ()), *([c.KNOWN_DATE] if known_from else ())]
    needed = list(dict.fromkeys([*names, *asked]))
    loaded = _in_turn(spec, paths, keys, needed, known_from)
    if loaded is None:
        loaded = _as_dataset(spec, paths, root, keys, needed, known_from)
    return (loaded.sort_by([(name, "ascending") for name in sort]) if several else loaded).select(names)


def _in_turn(
    spec: TableSpec, paths: Sequence[str], keys: Sequence[pa.Field], names: Sequence[str], known_from: date | None
) -> pa.Table | None:
    """Small files, one after another; None where they are large, or not all of one schema, that of today."""
    if sum(Path(path).stat().st_size for path in paths) > _SMALL:
        return None
    own = [name for name in names if name in spec.schema.names]
    parts = [_rows(path, own, known_from) for path in paths]
    today = parts[-1].schema if spec.open_structs else spec.schema
    if any(part.column_names != own for part in parts):
        return None
    kinds = [today.field(name).type for name in own]
    if any(part.schema.types != kinds for part in parts):
        return None
    chunks = {name: [chunk for part in parts for chunk in part.column(name).chunks] for name in own}
    rows = [part.num_rows for part in parts]
    chunks |= {key.name: _said_by_folders(key, paths, rows) for key in keys if key.name in names}
    types = dict(zip(own, kinds, strict=True)) | {key.name: key.type for key in keys}
    return pa.table({name: pa.chunked_array(chunks[name], types[name]) for name in names})


def _rows(path: str, columns: list[str], known_from: date | None) -> pa.Table:
    with pa.OSFile(path) as source:
        rows = pq.ParquetFile(source, pre_buffer=False).read(columns, use_threads=False)
    if known_from is None:
        return rows
    # A copy of the few rows: a slice would hold the memory of all, file after file.
    return rows.filter(pc.greater_equal(rows.column(c.KNOWN_DATE), known_from))


def _said_by_folders(key: pa.Field, paths: Sequence[str], rows: Sequence[int]) -> list[pa.Array]:
    """The value of a partition column for each file, as often as the file has rows."""
    values = [path.rpartition(f"/{key.name}=")[2].partition("/")[0] for path in paths]
    return [pa.repeat(pa.scalar(value).cast(key.type), n) for value, n in zip(values, rows, strict=True)]


def _as_dataset(
    spec: TableSpec,
    paths: Sequence[str],
    root: str,
    keys: Sequence[pa.Field],
    names: Sequence[str],
    known_from: date | None,
) -> pa.Table:
    """Files of any size, on all cores; a column that a file does not have is null in its rows."""
    import pyarrow.dataset as ds  # brings pandas: a fifth of a second of every command's start

    source = ds.dataset(
        list(paths),
        schema=_file_schema(spec, paths, keys),
        format="parquet",
        partitioning=ds.partitioning(pa.schema(keys), flavor="hive") if keys else None,
        partition_base_dir=root,
    )
    news = None if known_from is None else ds.field(c.KNOWN_DATE) >= known_from
    return source.to_table(columns=list(names), filter=news)


def _file_schema(spec: TableSpec, paths: Sequence[str], keys: Sequence[pa.Field]) -> pa.Schema:
    """The declared schema; where inner structs depend on configuration, as the last file of the selection has them."""
    inside = pq.read_schema(paths[-1]) if spec.open_structs else spec.schema
    return pa.schema([*(pa.field(f.name, f.type) for f in inside), *keys])
