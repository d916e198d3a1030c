"""Titles and profiles of sources that deliver no such files: one row per id, as its first play (by `known_at`) has it."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.engine import dialect
from rec_platform.engine.duckdb import connect
from rec_platform.lake import Lake
from rec_platform.plays.mapping import SourceMapping
from rec_platform.plays.reference import LANDED, derived_label
from rec_platform.tables import LANDING

_KNOWN_TEXT: Final = "strftime(make_timestamp(known), '%Y-%m-%dT%H:%M:%S.%fZ')"


def derived_sections(mapping: SourceMapping) -> tuple[str, ...]:
    """The sections a mapping derives from plays."""
    return tuple(name for name in ("titles", "profiles") if getattr(mapping, name).from_plays)


def derived_rows(firsts: pa.Table, mapping: SourceMapping, section: str) -> pa.Table:
    """Rows for a section's landing table, one per id among accepted plays (`Classified.firsts`).

    The row bears the file and line of the play it comes from, and a file name that says how it was derived.
    """
    source = "title_source" if section == "titles" else "profile_source"
    params: dict[str, Any] = {"label": derived_label(mapping, section)}
    name = "CAST(NULL AS VARCHAR)"
    column = mapping.titles.name if section == "titles" else None
    if column is not None:
        params["pointers"] = ["/" + column.column.replace("~", "~0").replace("/", "~1")]
        name = f"nullif(trim({dialect.json_texts('delivered', '$pointers')}[1]), '')"
        if column.pattern is not None:
            params["pattern"] = column.pattern
            name = dialect.first_group(name, "$pattern")
    row = f"json_merge_patch('{{}}', json_object('id', {source}, 'known_at', {_KNOWN_TEXT}, 'name', {name}))"
    connection = connect()
    connection.register("firsts", firsts)
    return connection.sql(
        f"""SELECT file_hash, $label AS file_name, line, delivered_at, CAST({row} AS VARCHAR) AS delivered FROM firsts
            QUALIFY row_number() OVER (PARTITION BY {source} ORDER BY known, delivered_at, file_hash, line) = 1""",
        params=params,
    ).to_arrow_table()


def new_rows(derived: pa.Table, lake: Lake, mapping: SourceMapping, section: str) -> pa.Table:
    """Of derived rows (several per id perhaps) the first known per id, and only where none known as early has landed."""
    connection = connect()
    landed = lake.read(LANDED[section].name) if lake.exists(LANDED[section].name) else LANDING.schema.empty_table()
    connection.register("landed", landed)
    connection.register("derived", derived)
    rows = connection.sql(
        """WITH fresh AS (SELECT *, delivered->>'/id' AS id, delivered->>'/known_at' AS known FROM derived),
                stood AS (SELECT delivered->>'/id' AS id, min(delivered->>'/known_at') AS known FROM landed
                          WHERE file_name = $label GROUP BY ALL),
                first AS (SELECT * FROM fresh QUALIFY row_number() OVER (
                          PARTITION BY id ORDER BY known, delivered_at, file_hash, line) = 1)
           SELECT file_hash, file_name, line, delivered_at, delivered
           FROM first LEFT JOIN stood USING (id) WHERE stood.known IS NULL OR first.known < stood.known
           ORDER BY delivered_at, file_hash, line""",
        params={"label": derived_label(mapping, section)},
    ).to_arrow_table()
    return rows.cast(LANDING.schema)


def has_derived(lake: Lake, mapping: SourceMapping, section: str) -> bool:
    """Whether rows have landed that were derived as the mapping says now."""
    if not lake.exists(LANDED[section].name):
        return False
    names = lake.read(LANDED[section].name, columns=[c.FILE_NAME]).column(c.FILE_NAME)
    return derived_label(mapping, section) in set(names.unique().to_pylist())
