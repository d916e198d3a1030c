"""Delta tables behind a small interface: publish, append, state, files, read.

One commit per table and publish, however many partitions. A reader sees the old or the new version, never a mix.
"""

from __future__ import annotations

import fcntl
import filecmp
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from rec_platform import columns as c
from rec_platform.config import STAGING_FOLDER
from rec_platform.errors import MissingInput, StorageFault
from rec_platform.lake.files import partition_columns, partition_fields, read_files
from rec_platform.lake.manifest import KEY, NEVER_PUBLISHED, Manifest, PartitionState, parts_hash
from rec_platform.lake.staging import Staged, Staging, partition_path
from rec_platform.partition import Partition
from rec_platform.tables import TABLES, TableSpec
from rec_platform.tables import table as table_spec

States = Mapping[Partition, PartitionState]
#: What a partition is named by, in the order of `Partition`.
_KEYS: Final = (c.DATE, c.COUNTRY)
_KEEP: Final = "interval 36500 days"
#: No pinned version may vanish: logs and removed files stay, and the log is never cleaned.
_RETENTION: Final = {
    "delta.logRetentionDuration": _KEEP,
    "delta.deletedFileRetentionDuration": _KEEP,
    "delta.enableExpiredLogCleanup": "false",
}
#: What to do about a published file that is not where its commit put it.
LOST: Final = "if that is no help the file is gone, and `rec-platform run --force` for its date writes it again."


class Lake:
    """The tables under `home/lake`. Cheap to make; holds caches of what it has read, keyed by version."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "lake"
        self._files: dict[tuple[str, int], dict[Partition, list[str]]] = {}
        self._states: dict[tuple[str, int], tuple[States, States]] = {}

    # --- writing -----------------------------------------------------------------------------------------------------

    def staging(self, run_id: str) -> Staging:
        """A staging folder for a run; what killed runs left behind is removed."""
        return Staging(self.home / STAGING_FOLDER, run_id)

    def publish(
        self, staged: Sequence[Staged], manifest: Manifest, *, failed: Mapping[Partition, str] | None = None
    ) -> dict[str, int]:
        """Replace partitions: one atomic commit per table that has anything new. Returns the version per table.

        A partition whose content hash and fingerprint are both as they stand, and that lacks what it lacked, makes no
        commit, unless its file is gone or damaged: then it is written again.

        Args:
            failed: partitions that failed their audit, with the reason: their last good version is marked stale.

        Raises:
            StorageFault: the disk or the log could not be written, or another run changed the same partition meanwhile.
        """
        return {
            name: self._commit(table_spec(name), rows, manifest, failed or {}, append=False)
            for name, rows in _by_table(staged, failed or {}, manifest.stage).items()
        }

    def append(self, staged: Sequence[Staged], manifest: Manifest) -> dict[str, int]:
        """Add files to partitions, keeping what is there. Otherwise as `publish`."""
        return {
            name: self._commit(table_spec(name), rows, manifest, {}, append=True)
            for name, rows in _by_table(staged, {}, manifest.stage).items()
        }

    def _commit(
        self,
        spec: TableSpec,
        staged: list[Staged],
        manifest: Manifest,
        failed: Mapping[Partition, str],
        *,
        append: bool,
    ) -> int:
        with _storage(spec.name), _one_writer(self.home, spec.name):
            delta = self._open_or_create(spec, staged)
            states = self.state(spec.name, delta.version())
            entries = _entries(staged, {**states, **self.holes(spec.name, delta.version())}, failed, append=append)
            entries |= {} if append else self._mended(spec, staged, entries)
            if not entries:
                return int(delta.version())
            adds = [self._add(spec, one) for one in staged if one.path and one.partition.key in entries]
            removes = (
                [] if append else self._removes(spec, delta, {Partition.parse(key) for key in entries}, adds, failed)
            )
            delta.create_write_transaction(
                [*removes, *adds],
                "append",
                delta.schema(),
                partition_by=partition_columns(spec),
                commit_properties=CommitProperties(
                    custom_metadata={KEY: manifest.to_json(entries)}, max_commit_retries=0
                ),
                post_commithook_properties=PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False),
            )
            return max(_versions(Path(self._path(spec.name)) / "_delta_log"))

    def _mended(self, spec: TableSpec, staged: Sequence[Staged], entries: Collection[str]) -> dict[str, dict[str, Any]]:
        """Of partitions that stand as staged, those whose file does not hold what it did: gone, cut short, changed."""
        return {
            one.partition.key: _replaced(one).to_json()
            for one in staged
            if one.path and one.partition.key not in entries and not _same_bytes(one.path, self._target(spec, one))
        }

    def _target(self, spec: TableSpec, staged: Staged) -> Path:
        assert staged.path is not None
        return Path(self._path(spec.name)) / partition_path(staged.partition) / staged.path.name

    def _open_or_create(self, spec: TableSpec, staged: Sequence[Staged]) -> DeltaTable:
        path = self._path(spec.name)
        schema = _written_schema(spec, staged)
        if not DeltaTable.is_deltatable(path):
            partition_by = partition_columns(spec)
            return DeltaTable.create(path, schema=schema, partition_by=partition_by, configuration=_RETENTION)
        delta = DeltaTable(path)
        if staged and not _covers(pa.schema(delta.schema()), schema):
            write_deltalake(delta, schema.empty_table(), mode="append", schema_mode="merge")
            delta = DeltaTable(path)
        return delta

    def _add(self, spec: TableSpec, staged: Staged) -> AddAction:
        assert staged.path is not None
        target = self._target(spec, staged)
        inside = target.relative_to(self._path(spec.name)).as_posix()
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

    def _removes(
        self,
        spec: TableSpec,
        delta: DeltaTable,
        partitions: set[Partition],
        adds: Sequence[AddAction],
        failed: Mapping[Partition, str],
    ) -> list[RemoveAction]:
        added = {action.path for action in adds}
        live = self._live_files(spec.name, delta)
        root = Path(self._path(spec.name))
        return [
            RemoveAction(
                path=path,
                data_change=True,
                deletion_timestamp=_milliseconds(root / path),
                size=(root / path).stat().st_size if (root / path).exists() else 0,
                partition_values=_partition_values(partition),
            )
            for partition in sorted(partitions - set(failed))
            for path in live.get(partition, [])
            if path not in added
        ]

    # --- reading -----------------------------------------------------------------------------------------------------

    def exists(self, table: str) -> bool:
        return bool(DeltaTable.is_deltatable(self._path(table)))

    def version(self, table: str) -> int | None:
        """The newest version of a table; None where nothing was ever published.

        Read off the names in its log, which opening the table would read through: a version stands once its file does.
        """
        with _storage(table):
            return max(_versions(Path(self._path(table)) / "_delta_log"), default=None)

    def state(self, table: str, version: int | None = None) -> Mapping[Partition, PartitionState]:
        """The state of every published partition at a version (newest if None); empty where nothing was published."""
        return self._all(table, version)[0]

    def holes(self, table: str, version: int | None = None) -> Mapping[Partition, PartitionState]:
        """Partitions that were attempted, failed their audit, and have no older good version; `stale` says why."""
        return self._all(table, version)[1]

    def _all(self, table: str, version: int | None) -> tuple[States, States]:
        """What `state` and `holes` give; asked for every input of every partition, so kept apart once."""
        version = self.version(table) if version is None else version
        if version is None:
            return MappingProxyType({}), MappingProxyType({})
        if (table, version) not in self._states:
            with _storage(table):
                states = self._load_state(table, version)
            good, holes = (
                {key: one for key, one in states.items() if (one.rows < 0) is hole} for hole in (False, True)
            )
            self._states[table, version] = MappingProxyType(good), MappingProxyType(holes)
        return self._states[table, version]

    def manifests(self, table: str, version: int | None = None) -> list[dict[str, Any]]:
        """The manifests of a table's commits, newest first, each with its `version`."""
        if not self.exists(table):
            return []
        with _storage(table):
            return [
                json.loads(commit[KEY]) | {"version": commit["version"]} for commit in self._commits(table, version)
            ]

    def files(self, table: str, partitions: Iterable[Partition] | None = None, version: int | None = None) -> list[str]:
        """Paths of the Parquet files of these partitions (all if None), in partition order."""
        version = self.version(table) if version is None else version
        if version is None:
            return []
        if (table, version) not in self._files:
            with _storage(table):
                self._files[table, version] = self._live_files(table, DeltaTable(self._path(table), version=version))
        live = self._files[table, version]
        root = self._path(table)
        wanted = sorted(live) if partitions is None else partitions
        return [f"{root}/{path}" for partition in wanted for path in live.get(partition, [])]

    def read(
        self,
        table: str,
        partitions: Iterable[Partition] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        *,
        known_from: date | None = None,
    ) -> pa.Table:
        """Rows of partitions, in partition order and inside each in the table's order; see `Reader.read`.

        Args:
            known_from: only rows known on that day or later, whether `columns` names `known_date` or not; `SchemaError` for a
                table without it.
        """
        spec = table_spec(table)
        wanted = None if partitions is None else list(partitions)
        paths = self.files(table, wanted, version)
        with _storage(table):
            return read_files(spec, paths, self._path(table), columns, known_from)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _path(self, table: str) -> str:
        return str((self.root / table_spec(table).name).absolute())

    def _live_files(self, table: str, delta: DeltaTable) -> dict[Partition, list[str]]:
        # Through a stream: `pa.table` would import pandas. Only the keys: statistics of every file stand there as well.
        rows = pa.RecordBatchReader.from_stream(delta.get_add_actions(flatten=True)).read_all()
        keys = [
            rows.column(name).to_pylist() for name in (f"partition.{n}" for n in _KEYS) if name in rows.column_names
        ]
        live: dict[Partition, list[str]] = {}
        for path, *key in zip(rows.column("path").to_pylist(), *keys, strict=True):
            live.setdefault(Partition(*key), []).append(path)
        return {partition: sorted(paths) for partition, paths in live.items()}

    def _load_state(self, table: str, version: int) -> dict[Partition, PartitionState]:
        """State from the index file, brought up to `version` from the log; the index follows if that is newest."""
        index = self.home / "index" / f"{table}.json"
        saved = _saved_index(index)
        since, entries = saved if saved[0] <= version else (-1, {})
        if since < version:
            for commit in reversed(self._commits(table, version, since)):
                entries |= {
                    key: body | {"version": commit["version"]}
                    for key, body in json.loads(commit[KEY])["partitions"].items()
                }
            if version > saved[0]:
                _save_index(index, version, entries)
        states = {Partition.parse(key): PartitionState.from_json(body) for key, body in entries.items()}
        return dict(sorted(states.items(), key=lambda pair: pair[0].key))

    def _commits(self, table: str, version: int | None, since: int = -1) -> list[dict[str, Any]]:
        """The commits with a manifest after one version and up to another (newest if None), newest first.

        Asked of the table as it is: opened at an older version it gives the newest commits all the same, numbered as if the
        older one had been the last (deltalake 1.6).
        """
        delta = DeltaTable(self._path(table))
        last = delta.version() if version is None else version
        found = delta.history(max(delta.version() - since, 1))
        return [commit for commit in found if KEY in commit and since < commit["version"] <= last]


def _versions(log: Path) -> list[int]:
    """The versions that a log holds as commits or checkpoints: files named by twenty digits."""
    names = [path.name for path in log.iterdir()] if log.is_dir() else []
    return [int(name[:20]) for name in names if re.fullmatch(r"\d{20}(\.checkpoint.*\.parquet|\.json)", name)]


def _same_bytes(staged: Path, published: Path) -> bool:
    return published.is_file() and filecmp.cmp(staged, published, shallow=False)


@contextmanager
def _storage(table: str) -> Iterator[None]:
    """Turn what disks and logs raise into the one error that a retry can cure."""
    try:
        yield
    except TableNotFoundError as error:
        raise MissingInput(
            f"table {table} has no such version: {error}", place="lake", repair="Run the stage that publishes it."
        ) from error
    except (OSError, DeltaError) as error:
        gone = isinstance(error, FileNotFoundError)
        raise StorageFault(
            f"{type(error).__name__}: {error}", place=f"table {table}",
            repair="Run the same command again" + (f"; {LOST}" if gone else "."),
        ) from error  # fmt: skip


@contextmanager
def _one_writer(home: Path, table: str) -> Iterator[None]:
    """Writers of one table take turns: two first commits of a partition would otherwise both stand in it.

    Delta's own conflict check would miss that case, since neither commit removes a file.
    """
    lock = home / "locks" / table
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _by_table(staged: Sequence[Staged], failed: Mapping[Partition, str], stage: str) -> dict[str, list[Staged]]:
    tables: dict[str, list[Staged]] = {}
    if failed:
        tables = {spec.name: [] for spec in TABLES if spec.stage == stage}
    for one in staged:
        tables.setdefault(one.spec.name, []).append(one)
    return tables


def _entries(
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


def _partition_values(partition: Partition) -> dict[str, str | None]:
    if partition.date is None:
        return {}
    day: dict[str, str | None] = {c.DATE: partition.date.isoformat()}
    return day if partition.country is None else day | {c.COUNTRY: partition.country}


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


def _milliseconds(path: Path) -> int:
    """A file's own time of change: Delta wants times in its log, and the library asks no clock. 0 if the file is gone."""
    return path.stat().st_mtime_ns // 1_000_000 if path.exists() else 0


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
