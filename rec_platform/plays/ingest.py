"""From delivered files to the landing tables, and the account of it.

Two passes. The first (`landing.py`) streams every file once into landed rows on disk, each with its place (date and
country). The second takes the touched partitions, a bounded number of rows at a time, stages them in table order and judges
them with the function that `raw_plays` uses. One commit per table ends the call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import day_of
from rec_platform.config import SOURCE_FILE
from rec_platform.engine.duckdb import connect
from rec_platform.errors import ConfigError, SourceError
from rec_platform.lake import Lake, Manifest, PartitionState, Staged, Staging
from rec_platform.partition import Partition
from rec_platform.plays.counts import Counts, total
from rec_platform.plays.delivery import DeliveredFile, Progress, find_files, skip_known
from rec_platform.plays.derived import derived_rows, derived_sections, has_derived, new_rows
from rec_platform.plays.landing import spill_section
from rec_platform.plays.mapping import SourceMapping, digest, load_mapping
from rec_platform.plays.raw import classify, split_by_partition
from rec_platform.plays.reconciliation import Reconciliation, ReferenceCounts
from rec_platform.plays.reference import LANDED, read_section, sections
from rec_platform.tables import LANDING

#: Landed rows judged together. Bounds memory.
_ROWS: Final = 400_000

#: Landed rows of the files that are taken, with the partition each belongs to.
_PLACED: Final = """
    CREATE TEMP VIEW placed AS
    SELECT file_hash, file_name, line, delivered_at, delivered, coalesce(land_date, delivery_day) AS date,
        land_country AS country
    FROM parts JOIN files USING (file)"""


def _silent(what: str, done: int, of: int) -> None:
    """No progress is shown."""


def ingest(
    home: Path,
    mapping: SourceMapping,
    paths: Sequence[Path],
    *,
    delivered_at: int | None = None,
    progress: Progress = _silent,
) -> Reconciliation:
    """Take files of a source in. Files whose content has landed before are skipped.

    Args:
        home: the folder that holds the lake; keeps the mapping as `source.toml`.
        paths: files, and folders searched to any depth for files that the mapping reads.
        delivered_at: when they were delivered, microseconds since 1970; None: each file's newest instant.
        progress: told what is being done.

    Raises:
        ConfigError: the home holds another source, or the mapping changes where landed rows belong.
        SourceError: the mapping needs `delivered_at`. Faults of single files do not raise: they are in the result, and
            all other files are in.
    """
    lake = Lake(home)
    _check_home(home, mapping, lake)
    _check_delivery(mapping, delivered_at)
    files, faults = find_files(paths, mapping)
    for section in mapping.sections():
        skip_known(files, lake, section, progress)
    with lake.staging(_run_id(files)) as staging:
        call = _Call(lake, mapping, staging, files, delivered_at, progress)
        account = call.take_in(faults)
        _keep_mapping(home, mapping)
        if call.staged:
            lake.append(call.staged, call.manifest())
    return account


def _check_home(home: Path, mapping: SourceMapping, lake: Lake) -> None:
    stored = home / SOURCE_FILE
    if not stored.exists():
        return
    before = load_mapping(stored)
    if before.name != mapping.name:
        raise ConfigError(
            f"this home holds the source {before.name!r}, not {mapping.name!r}",
            place=str(stored),
            repair="A home holds one source: give another home.",
        )
    if before.plays.landing_rule() != mapping.plays.landing_rule() and lake.state(LANDING.name):
        raise ConfigError(
            "the mapping changes played_at or country, and so where rows land",
            place=str(stored),
            repair="Landed rows stay where they are: ingest into another home, or undo the change.",
        )


def _check_delivery(mapping: SourceMapping, delivered_at: int | None) -> None:
    rules = {name: getattr(getattr(mapping, name), "known_at", None) for name in mapping.sections()}
    needing = [name for name, rule in rules.items() if rule is not None and rule.rule == "delivered"]
    if needing and delivered_at is None:
        raise SourceError(
            f"known_at of {', '.join(needing)} is the delivery's time, and none was given",
            place=f"mapping {mapping.name}",
            repair="Say when the files were delivered: --delivered-at 2025-03-12T06:00:00Z.",
        )


def _keep_mapping(home: Path, mapping: SourceMapping) -> None:
    stored = home / SOURCE_FILE
    if stored.exists() and stored.read_text(encoding="utf-8") == mapping.text:
        return
    home.mkdir(parents=True, exist_ok=True)
    fresh = stored.with_suffix(".new")
    fresh.write_text(mapping.text, encoding="utf-8")
    fresh.replace(stored)


def _run_id(files: Sequence[DeliveredFile]) -> str:
    return "ingest-" + hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:12]


class _Call:
    """One ingest, between its first look at the files and its commit."""

    def __init__(
        self,
        lake: Lake,
        mapping: SourceMapping,
        staging: Staging,
        files: list[DeliveredFile],
        delivered_at: int | None,
        progress: Progress,
    ) -> None:
        self.lake, self.mapping, self.staging, self.files = lake, mapping, staging, files
        self.delivered_at, self.progress = delivered_at, progress
        self.staged: list[Staged] = []
        self.notes: list[str] = []

    def take_in(self, faults: Sequence[SourceError]) -> Reconciliation:
        """Stage everything; titles and profiles first, since plays that landed are never looked at again."""
        reference = {name: self._reference(name) for name in self.mapping.sections() if name != "plays"}
        plays = _Plays(self, self._spill("plays"))
        plays.take_in()
        self.staged += [*plays.derived(), *plays.staged]
        return Reconciliation(
            call=plays.call.balanced(place="this call"),
            whole=plays.whole.balanced(place="all that landed"),
            reference={name: counts for name, counts in reference.items() if counts.delivered},
            files=tuple(file.report() for file in self.files),
            touched=tuple(sorted(one.partition for one in plays.staged)),
            notes=tuple(dict.fromkeys(self.notes)),
            faults=(*faults, *(file.fault for file in self.files if file.fault)),
        )

    def manifest(self) -> Manifest:
        entries = [
            {"name": file.path.name, "sha256": file.sha256, "section": file.section, "rows": file.rows}
            for file in self.files
            if file.taken
        ]
        return Manifest(
            run_id=self.staging.folder.name,
            stage="landing",
            config={"source": self.mapping.name, "mapping": digest(self.mapping)},
            extra={"files": entries},
        )

    def file_table(self, section: str) -> pa.Table:
        """The files of a section that are taken: `file`, `file_hash`, `file_name`, `delivered_at`, `delivery_day`."""
        taken = [file for file in self.files if file.section == section and file.taken]
        at = [file.newest if self.delivered_at is None else self.delivered_at for file in taken]
        return pa.table(
            {
                "file": pa.array([file.number for file in taken], pa.int32()),
                c.FILE_HASH: pa.array([file.sha256 for file in taken], pa.string()),
                c.FILE_NAME: pa.array([file.path.name for file in taken], pa.string()),
                c.DELIVERED_AT: pa.array(at, pa.timestamp("us", tz="UTC")),
                "delivery_day": pa.array([day_of(instant) for instant in at], pa.date32()),
            }
        )

    def _spill(self, section: str) -> list[str]:
        return spill_section(
            self.files, self.mapping, section, self.staging.folder / f"spill-{section}",
            delivered_at=self.delivered_at, notes=self.notes, progress=self.progress,
        )  # fmt: skip

    def _reference(self, section: str) -> ReferenceCounts:
        """Stage the delivered rows of titles, profiles or availability."""
        parts = self._spill(section)
        if not parts:
            return ReferenceCounts(0, 0)
        connection = connect()
        connection.register("files", self.file_table(section))
        rows = connection.sql(
            f"""SELECT {", ".join(LANDING.schema.names)} FROM read_parquet($parts) JOIN files USING (file)
                ORDER BY {", ".join(LANDING.order)}""",
            params={"parts": parts},
        ).to_arrow_table()
        landed = rows.cast(LANDING.schema)
        if landed.num_rows:
            self.staged.append(self.staging.write(LANDED[section], Partition(), landed))
        read = read_section(landed, sections(self.mapping)[section])
        return ReferenceCounts(read.delivered, read.unreadable, read.examples)


class _Plays:
    """The second pass: landed plays staged and judged, some partitions at a time."""

    def __init__(self, call: _Call, parts: list[str]) -> None:
        self._of = call
        self._states = call.lake.state(LANDING.name)
        self._digest = digest(call.mapping.plays)
        self._connection = connect()
        self._connection.register("files", call.file_table("plays"))
        if parts:
            self._connection.read_parquet(parts).create_view("parts")
        else:
            self._connection.register("parts", _no_parts())
        self._connection.execute(_PLACED)
        self.staged: list[Staged] = []
        self.call = Counts()
        self.whole = Counts()
        self._firsts: dict[str, list[pa.Table]] = {name: [] for name in derived_sections(call.mapping)}

    def take_in(self) -> None:
        fresh = self._fresh()
        again = self._to_judge_again()
        done, of = 0, len(fresh.keys() | again)
        for group in self._groups(fresh, again):
            self._of.progress("staging and judging partitions", done, of)
            self._take(group, fresh)
            done += len(group)
        judged = fresh.keys() | again
        known = (state.extra["counts"] for partition, state in self._states.items() if partition not in judged)
        self.whole = self.whole + total(Counts.from_json(counts) for counts in known)

    def derived(self) -> list[Staged]:
        """Titles and profiles that these plays are the first to name."""
        staged = []
        for section, parts in self._firsts.items():
            rows = new_rows(pa.concat_tables(parts), self._of.lake, self._of.mapping, section) if parts else None
            if rows is not None and rows.num_rows:
                staged.append(self._of.staging.write(LANDED[section], Partition(), rows))
        return staged

    def _fresh(self) -> dict[Partition, int]:
        """Rows of this call per partition."""
        rows = self._connection.execute("SELECT date, country, count(*) FROM placed GROUP BY ALL").fetchall()
        return {Partition(day, country): count for day, country, count in rows}

    def _to_judge_again(self) -> set[Partition]:
        """Partitions last judged by another mapping; all of them where titles or profiles are derived anew."""
        lake, mapping = self._of.lake, self._of.mapping
        if self._states and not all(has_derived(lake, mapping, section) for section in derived_sections(mapping)):
            return set(self._states)
        return {partition for partition, state in self._states.items() if not self._judged_so(state)}

    def _judged_so(self, state: PartitionState) -> bool:
        return bool(state.extra.get("mapping") == self._digest)

    def _groups(self, fresh: Mapping[Partition, int], again: set[Partition]) -> Iterator[list[Partition]]:
        group: list[Partition] = []
        size = 0
        for partition in sorted(fresh.keys() | again):
            state = self._states.get(partition)
            rows = fresh.get(partition, 0) + (state.rows if state else 0)
            if group and size + rows > _ROWS:
                yield group
                group, size = [], 0
            group.append(partition)
            size += rows
        if group:
            yield group

    def _take(self, group: Sequence[Partition], fresh: Mapping[Partition, int]) -> None:
        """Stage the new rows of some partitions and judge these partitions whole."""
        new = self._rows(group)
        standing = [partition for partition in group if partition in self._states]
        old = self._of.lake.read(LANDING.name, standing) if standing else new.schema.empty_table()
        judged = classify(
            pa.concat_tables([old.cast(new.schema), new]), self._of.mapping.plays, firsts=bool(self._firsts)
        )
        counts = judged.of_partitions()
        self.whole = self.whole + total(counts.values())
        hashes = {file.sha256 for file in self._of.files if file.taken}
        self.call = self.call + total(one for (_, sha256), one in judged.counts.items() if sha256 in hashes)
        for partition, rows in split_by_partition(new).items():
            extra = {"mapping": self._digest, "counts": counts[partition].to_json()}
            self.staged.append(self._of.staging.write(LANDING, partition, rows, extra=extra))
        for section, parts in self._firsts.items():
            parts.append(derived_rows(judged.firsts, self._of.mapping, section))

    def _rows(self, group: Sequence[Partition]) -> pa.Table:
        """New rows of some partitions, in partition and table order."""
        keys = pa.table(
            {
                c.DATE: pa.array([partition.day for partition in group], pa.date32()),
                c.COUNTRY: pa.array([partition.place for partition in group], pa.string()),
            }
        )
        self._connection.register("wanted", keys)
        rows = self._connection.sql(
            f"""SELECT {", ".join(LANDING.schema.names)}, date, country FROM placed JOIN wanted USING (date, country)
                WHERE date BETWEEN $first AND $last ORDER BY date, country, {", ".join(LANDING.order)}""",
            params={"first": group[0].day, "last": group[-1].day},
        ).to_arrow_table()
        partition_keys = [pa.field(c.DATE, pa.date32()), pa.field(c.COUNTRY, pa.string())]
        return rows.cast(pa.schema([*LANDING.schema, *partition_keys]))


def _no_parts() -> pa.Table:
    kinds = {"file": pa.int32(), "line": pa.int64(), "delivered": pa.string(), "land_date": pa.date32()}
    return pa.schema({**kinds, "land_country": pa.string()}.items()).empty_table()
