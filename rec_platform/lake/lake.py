"""Delta tables behind a small interface: publish, append, state, files, read.

One commit per table and publish, however many partitions. A reader sees the old or the new version, never a mix.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties

from rec_platform.config import STAGING_FOLDER
from rec_platform.lake.commit import added, by_table, mended, removed, said_of
from rec_platform.lake.delta import commits, live_files, opened, versions
from rec_platform.lake.files import partition_columns, read_files
from rec_platform.lake.index import states_at
from rec_platform.lake.manifest import KEY, Manifest, PartitionState
from rec_platform.lake.staging import Staged, Staging
from rec_platform.lake.storage import one_writer, storage
from rec_platform.partition import Partition
from rec_platform.tables import TableSpec
from rec_platform.tables import table as table_spec

States = Mapping[Partition, PartitionState]


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
            for name, rows in by_table(staged, failed or {}, manifest.stage).items()
        }

    def append(self, staged: Sequence[Staged], manifest: Manifest) -> dict[str, int]:
        """Add files to partitions, keeping what is there. Otherwise as `publish`."""
        return {
            name: self._commit(table_spec(name), rows, manifest, {}, append=True)
            for name, rows in by_table(staged, {}, manifest.stage).items()
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
        with storage(spec.name), one_writer(self.home, spec.name):
            path = self._path(spec.name)
            root, delta = Path(path), opened(path, spec, staged)
            states = self.state(spec.name, delta.version())
            entries = said_of(staged, {**states, **self.holes(spec.name, delta.version())}, failed, append=append)
            entries |= {} if append else mended(root, staged, entries)
            if not entries:
                return int(delta.version())
            adds = [added(root, one) for one in staged if one.path and one.partition.key in entries]
            replaced = {Partition.parse(key) for key in entries} - set(failed)
            removes = [] if append else removed(root, live_files(delta), replaced, adds)
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
            return max(versions(path))

    # --- reading -----------------------------------------------------------------------------------------------------

    def exists(self, table: str) -> bool:
        return bool(DeltaTable.is_deltatable(self._path(table)))

    def version(self, table: str) -> int | None:
        """The newest version of a table; None where nothing was ever published.

        Read off the names in its log, which opening the table would read through: a version stands once its file does.
        """
        with storage(table):
            return max(versions(self._path(table)), default=None)

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
            with storage(table):
                states = states_at(self.home / "index" / f"{table}.json", self._path(table), version)
            good, holes = (
                {key: one for key, one in states.items() if (one.rows < 0) is hole} for hole in (False, True)
            )
            self._states[table, version] = MappingProxyType(good), MappingProxyType(holes)
        return self._states[table, version]

    def manifests(self, table: str, version: int | None = None) -> list[dict[str, Any]]:
        """The manifests of a table's commits, newest first, each with its `version`."""
        if not self.exists(table):
            return []
        with storage(table):
            return [
                json.loads(commit[KEY]) | {"version": commit["version"]}
                for commit in commits(self._path(table), version)
            ]

    def files(self, table: str, partitions: Iterable[Partition] | None = None, version: int | None = None) -> list[str]:
        """Paths of the Parquet files of these partitions (all if None), in partition order."""
        version = self.version(table) if version is None else version
        if version is None:
            return []
        if (table, version) not in self._files:
            with storage(table):
                self._files[table, version] = live_files(DeltaTable(self._path(table), version=version))
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
        with storage(table):
            return read_files(spec, paths, self._path(table), columns, known_from)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _path(self, table: str) -> str:
        return str((self.root / table_spec(table).name).absolute())
