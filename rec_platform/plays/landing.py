"""The first pass of an ingest: every file streamed once, in bounded batches, into landed rows on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform.engine.duckdb import connect
from rec_platform.errors import SourceError
from rec_platform.plays.countries import country_codes
from rec_platform.plays.delivery import DeliveredFile, Progress
from rec_platform.plays.files import Batch, batches
from rec_platform.plays.mapping import FAULT_KEY, LINE_KEY, CountryRule, SourceMapping
from rec_platform.plays.raw import landing_place
from rec_platform.plays.reference import sections
from rec_platform.plays.typed import CODES, EARLIEST, LATEST, Reading, play_reading

#: Rows parsed together: small files share a query, large ones are cut. Bounds memory.
_ROWS: Final = 200_000


@dataclass(frozen=True)
class SectionReading:
    """What the first pass needs of a section.

    Attributes:
        reading: the typed values of a row.
        country: the section's country rule.
        place: the statement over `rows` that gives each row its values (and for plays the date and country it lands under).
        also: columns read later, where titles are derived from these rows.
    """

    reading: Reading
    country: CountryRule
    place: str
    also: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns the mapping reads."""
        return list(dict.fromkeys([*(name for name in self.reading.columns if name != FAULT_KEY), *self.also]))


def section_reading(mapping: SourceMapping, section: str) -> SectionReading:
    """How the first pass reads a section."""
    if section == "plays":
        reading = play_reading(mapping.plays)
        derived = mapping.titles.name if mapping.titles.from_plays else None
        also = (derived.column,) if derived else ()
        return SectionReading(reading, mapping.plays.country, landing_place(reading, "rows"), also)
    found = sections(mapping)[section]
    statement = found.reading.statement("rows", "SELECT * FROM judged")
    return SectionReading(found.reading, found.country or CountryRule(constant="ZZ"), statement)


def spill_section(
    files: Sequence[DeliveredFile], mapping: SourceMapping, section: str, folder: Path, *, delivered_at: int | None,
    notes: list[str], progress: Progress,
) -> list[str]:  # fmt: skip
    """Stream the files of a section into Parquet parts under `folder` and refuse the files that cannot be taken.

    Parts hold `file` (the file's number), `line`, `delivered`, and for plays `land_date` and `land_country`. They may
    hold rows of files refused later: a reader keeps to the files that are `taken`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    how = section_reading(mapping, section)
    layout = mapping.sections()[section]
    parts: list[str] = []
    for group in _grouped([file for file in files if file.section == section and file.taken], how, layout, progress):
        part = folder / f"{len(parts):06d}.parquet"
        pq.write_table(_land(group, files, how, section, delivered_at), part, compression="zstd", compression_level=1)
        parts.append(str(part))
    for file in files:
        if file.section == section and file.taken:
            _judge(file, how, notes)
    return parts


def _judge(file: DeliveredFile, how: SectionReading, notes: list[str]) -> None:
    file.refuse_missing(how.columns)
    file.refuse_retyped()
    ignored = [name for name in file.names if name not in how.columns]
    if ignored and file.taken:
        notes.append(f"{file.section}: columns the mapping does not read: {_listed(sorted(ignored))}")
    if not file.rows and file.taken:
        notes.append(f"{file.section}: {file.path.name} holds no rows")


def _listed(names: Sequence[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


_Group = list[tuple[DeliveredFile, Batch]]


def _grouped(files: Sequence[DeliveredFile], how: SectionReading, layout: Any, progress: Progress) -> Iterator[_Group]:
    """Batches of equal columns together, until they are many rows."""
    group: _Group = []
    size = 0
    for done, file in enumerate(files):
        progress(f"reading {file.section} files", done, len(files))
        for batch in _batches(file, how, layout):
            if group and (size >= _ROWS or group[0][1].names != batch.names):
                yield group
                group, size = [], 0
            group.append((file, batch))
            size += batch.rows.num_rows
    if group:
        yield group


def _batches(file: DeliveredFile, how: SectionReading, layout: Any) -> Iterator[Batch]:
    """The batches of a file until a fault is met, which is kept with the file."""
    try:
        for batch in batches(file.path, layout, file.utf8):
            file.names = tuple(dict.fromkeys([*file.names, *batch.names]))
            if layout.format != "jsonl":
                file.refuse_missing(how.columns)
            if file.fault:
                return
            file.rows += batch.rows.num_rows
            yield batch
    except SourceError as fault:
        file.fault = fault


def _land(
    group: _Group, files: Sequence[DeliveredFile], how: SectionReading, section: str, delivered_at: int | None
) -> pa.Table:
    """The landed rows of some batches; what they say of their files is noted there."""
    rows = pa.concat_tables(
        batch.rows.append_column("file", pa.array(np.full(batch.rows.num_rows, file.number, dtype=np.int32)))
        for file, batch in group
    )
    connection = connect()
    connection.register("batch", rows)
    connection.register(CODES, country_codes(how.country))
    connection.execute(*_as_delivered(group[0][1], delivered_at))
    connection.execute(f"CREATE TEMP TABLE placed AS {how.place}", how.reading.params)
    _note_readable(connection, files, how)
    place = ", land_date, land_country" if section == "plays" else ""
    return connection.sql(f"SELECT file, line, delivered{place} FROM placed").to_arrow_table()


def _as_delivered(batch: Batch, delivered_at: int | None) -> tuple[str, dict[str, Any]]:
    """The statement that makes the table `rows`: the delivered columns of each row as JSON, keys sorted, nulls left out."""
    order = sorted(range(len(batch.names)), key=lambda place: batch.names[place])
    params: dict[str, Any] = {f"k{place}": json.dumps(batch.names[place], ensure_ascii=False) + ":" for place in order}
    pairs = ", ".join(f"$k{place} || CAST(to_json(c{place}) AS VARCHAR)" for place in order)
    whole = f"'{{' || concat_ws(',', {pairs}) || '}}'" if pairs else "'{}'"
    lost = "CAST(json_object($fault, fault, $whole, whole) AS VARCHAR)"
    statement = f"""
        CREATE TEMP TABLE rows AS
        SELECT file, line, CASE WHEN fault IS NULL THEN {whole} ELSE {lost} END AS delivered,
            make_timestamptz(CAST($delivered_at AS BIGINT)) AS delivered_at
        FROM batch"""
    return statement, params | {"fault": FAULT_KEY, "whole": LINE_KEY, "delivered_at": delivered_at}


def _note_readable(connection: Any, files: Sequence[DeliveredFile], how: SectionReading) -> None:
    """Per file: its newest instant, and how many texts of each mapped column can be read."""
    checks = how.reading.unreadable
    counted = "".join(
        f", count({text}), count(*) FILTER ({text} IS NOT NULL AND {condition}), "
        f"min(CASE WHEN {text} IS NOT NULL AND {condition} THEN left({text}, 80) END)"
        for condition, _, text in checks
    )
    newest = f"max(known) FILTER (known BETWEEN {EARLIEST} AND {LATEST})"
    for row in connection.execute(f"SELECT file, {newest}{counted} FROM placed GROUP BY file").fetchall():
        file = files[row[0]]
        file.newest = max(file.newest, row[1] or EARLIEST)
        for place, (_, column, _) in enumerate(checks):
            file.note_read(column, *row[2 + 3 * place : 5 + 3 * place])
