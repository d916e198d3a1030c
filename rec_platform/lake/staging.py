"""Where rows stand before they passed their audit: files of the run, that no reader looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform.lake.content import content_hash, known_hashes
from rec_platform.lake.held import HeldFolder
from rec_platform.partition import Partition
from rec_platform.tables import TableSpec

#: Rows of a nested table carry dozens of items each, so their row groups hold fewer.
_FLAT_ROWS: Final = 1_000_000
_NESTED_ROWS: Final = 10_000
#: Differences from value to value, in blocks of their own width.
_DIFFERENCES: Final = "DELTA_BINARY_PACKED"
_ZSTD: Final[Mapping[str, Any]] = {"compression": "zstd", "compression_level": 1}
#: Where a leaf is looked into: so many places, so many values in a row at each (neighbours repeat as in the file).
_PLACES: Final = 8
_IN_A_ROW: Final = 128
#: A leaf gets a dictionary unless more than this share of the values looked at are different ones.
_DISTINCT_AT_MOST: Final = 0.5


@dataclass(frozen=True)
class Staged:
    """One partition of one table, written but not published. `path` is None where it has no rows."""

    spec: TableSpec
    partition: Partition
    path: Path | None
    rows: int
    content_hash: str
    known: dict[date, str]
    fingerprint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)

    def made_from(self, fingerprint: str) -> Staged:
        return replace(self, fingerprint=fingerprint)


class Staging(HeldFolder):
    """A run's staging folder, removed on leaving the `with` block, or by a later run if this one is killed."""

    def write(
        self, spec: TableSpec, partition: Partition, rows: pa.Table, *, extra: Mapping[str, Any] | None = None,
        lacks: Mapping[str, str] | None = None,
    ) -> Staged:  # fmt: skip
        """Stage a partition's rows, in the table's order and with its schema (`SchemaError` otherwise)."""
        spec.check(rows.schema)
        digest = content_hash(rows)
        path = None
        if rows.num_rows:
            path = self.folder / spec.name / partition_path(partition) / f"{digest}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(rows, path)
        known = known_hashes(rows, digest)
        return Staged(spec, partition, path, rows.num_rows, digest, known, extra=extra or {}, lacks=lacks or {})


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Rows as one Parquet file that every engine reads.

    Flat tables: columns of whole numbers, days and instants hold differences in as many bits as they need (decision
    0109). Beside other columns, those whose values repeat have a dictionary instead, and so have repeating texts; neither
    is compressed again. What is left is ZSTD over plain values (decision 0139). Nested tables: ZSTD, each leaf whose
    values repeat with a dictionary, no statistics (decision 0097).
    """
    nested = any(pa.types.is_nested(column.type) for column in rows.schema)
    pq.write_table(rows, path, **(_nested(rows) if nested else _flat(rows)))


def _nested(rows: pa.Table) -> dict[str, Any]:
    """How the leaves of a nested table are written."""
    return {**_ZSTD, "use_dictionary": _repeating(rows), "write_statistics": False, "row_group_size": _NESTED_ROWS}


def _flat(rows: pa.Table) -> dict[str, Any]:
    """How the columns of a flat table are written."""
    whole = [column.name for column in rows.schema if _whole_numbers(column.type)]
    texts = [column.name for column in rows.schema if pa.types.is_string(column.type)]
    mixed = len(whole) < rows.num_columns
    repeating = _repeating(rows.select([*whole, *texts])) if mixed else []
    compressed = [name for name in rows.column_names if name not in {*whole, *repeating}]
    return {
        "use_dictionary": repeating,
        "column_encoding": {name: _DIFFERENCES for name in whole if name not in repeating},
        "compression": dict.fromkeys(rows.column_names, "none") | dict.fromkeys(compressed, _ZSTD["compression"]),
        "compression_level": dict.fromkeys(compressed, _ZSTD["compression_level"]),
        "row_group_size": _FLAT_ROWS,
    }


def _whole_numbers(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_temporal(kind))


def _repeating(rows: pa.Table) -> list[str]:
    """The leaves, by their paths in the file, whose values repeat."""
    columns = ((name, chunk) for name in rows.column_names for chunk in [*rows.column(name).chunks[:1]] if len(chunk))
    return [path for name, values in columns for path, leaf in _leaves(name, values) if _repeats(leaf)]


def _leaves(path: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    if pa.types.is_struct(values.type):
        for position, inner in enumerate(values.type):
            yield from _leaves(f"{path}.{inner.name}", values.field(position))
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        yield from _leaves(f"{path}.list.element", values.flatten())
    else:
        yield path, values


def _repeats(leaf: pa.Array) -> bool:
    """Whether a dictionary pays, by a look at some places spread over the leaf.

    A value that stays for all items of a context, a count, or an id of a catalogue repeats; a score does not.
    """
    starts = np.unique(np.linspace(0, max(len(leaf) - _IN_A_ROW, 0), _PLACES, dtype=np.int64))
    seen = leaf if len(leaf) <= _PLACES * _IN_A_ROW else pa.concat_arrays([leaf.slice(s, _IN_A_ROW) for s in starts])
    return bool(pc.count_distinct(seen).as_py() <= _DISTINCT_AT_MOST * len(seen))


def partition_path(partition: Partition) -> str:
    """The folder of a partition inside its table, in the layout all engines read."""
    if partition.date is None:
        return ""
    day = f"date={partition.date.isoformat()}"
    return day if partition.country is None else f"{day}/country={partition.country}"
