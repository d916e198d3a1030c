"""Where rows stand before they passed their audit: files of the run, that no reader looks at."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform.lake.content import content_hash, known_hashes
from rec_platform.partition import Partition
from rec_platform.tables import TableSpec

#: Rows of a nested table carry dozens of items each, so their row groups hold fewer.
_FLAT_ROWS: Final = 1_000_000
_NESTED_ROWS: Final = 10_000


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

    def made_from(self, fingerprint: str) -> Staged:
        return replace(self, fingerprint=fingerprint)


class Staging:
    """A run's staging folder, removed on leaving the `with` block.

    The folder's name ends in the process id, so that a later run can tell what a killed one left behind.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{run_id}.", suffix=f".{os.getpid()}", dir=root))

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(
        self, spec: TableSpec, partition: Partition, rows: pa.Table, *, extra: Mapping[str, Any] | None = None
    ) -> Staged:
        """Stage a partition's rows, in the table's order and with its schema (`SchemaError` otherwise)."""
        spec.check(rows.schema)
        digest = content_hash(rows)
        path = None
        if rows.num_rows:
            path = self.folder / spec.name / partition_path(partition) / f"{digest[:40]}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(rows, path)
        return Staged(spec, partition, path, rows.num_rows, digest, known_hashes(rows), extra=extra or {})


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Rows as one Parquet file: ZSTD; nested float leaves without dictionary or statistics (measured: 2x faster)."""
    nested = any(pa.types.is_nested(column.type) for column in rows.schema)
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=not nested,
        write_statistics=not nested,
        row_group_size=_NESTED_ROWS if nested else _FLAT_ROWS,
    )


def partition_path(partition: Partition) -> str:
    """The folder of a partition inside its table, in the layout all engines read."""
    if partition.date is None:
        return ""
    day = f"date={partition.date.isoformat()}"
    return day if partition.country is None else f"{day}/country={partition.country}"


def sweep(root: Path) -> None:
    """Remove staging folders whose process is gone (a killed run); those of living runs stay."""
    for folder in root.glob("*.*") if root.is_dir() else ():
        process = folder.name.rpartition(".")[2]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
