"""Row rules of a table in one DuckDB query: one profile row per staged file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rec_platform import columns as c
from rec_platform.checks.measured import Measured, Measures
from rec_platform.checks.rule import quoted
from rec_platform.checks.rules import PARTITION_COLUMNS, PREVIOUS, RULES
from rec_platform.engine.duckdb import cursor
from rec_platform.lake import Staged
from rec_platform.partition import Grain, Partition
from rec_platform.tables import PLAY_FACTS, PROFILE_TILES, TITLE_TILES, TableSpec

_TILE_SUMS: Final = {
    c.PLAYS: f"sum({c.PLAYS})",
    c.ENGAGED_PLAYS: f"sum({c.ENGAGED_PLAYS})",
    c.WATCHED_MS: f"sum({c.WATCHED_MS})",
}
#: Sums that rules over several tables compare. Integers, so they agree exactly or not at all.
SUMS: Final[dict[str, dict[str, str]]] = {
    PLAY_FACTS.name: {
        c.PLAYS: "count(*)",
        c.ENGAGED_PLAYS: f"sum({c.ENGAGED})",
        c.WATCHED_MS: f"sum({c.WATCHED_MS})",
    },
    TITLE_TILES.name: _TILE_SUMS,
    PROFILE_TILES.name: _TILE_SUMS,
}


def profile(spec: TableSpec, staged: Sequence[Staged]) -> tuple[Measures, dict[Partition, Mapping[str, Any]]]:
    """The measures of a table's SQL rules, and its `SUMS` by partition. A partition without rows breaks nothing."""
    checks = [rule.check for rule in RULES[spec.name] if rule.sql]
    sums = SUMS.get(spec.name, {})
    found = _query(spec, staged)
    none = [0] * (len(checks) + len(sums))
    rows = [found[str(one.path)] if one.path else none for one in staged]
    measures = {check: [Measured(float(row[place])) for row in rows] for place, check in enumerate(checks)}
    totals: dict[Partition, Mapping[str, Any]] = {
        one.partition: dict(zip(sums, row[len(checks) :], strict=True)) for one, row in zip(staged, rows, strict=True)
    }
    return measures, totals


def _query(spec: TableSpec, staged: Sequence[Staged]) -> dict[str, list[Any]]:
    """File path -> aggregates of its rows."""
    paths = [str(one.path) for one in staged if one.path]
    if not paths:
        return {}
    with cursor() as session:
        rows = session.execute(query(spec), {"files": [_literal(path) for path in paths]}).fetchall()
    return {row[0]: list(row[1:]) for row in rows}


def query(spec: TableSpec) -> str:
    """The one query of a table: all its SQL rules and sums, per file.

    The value in the row before comes from a window without order over files and rows as they stand, which DuckDB streams.
    """
    aggregates = [rule.sql for rule in RULES[spec.name] if rule.sql] + list(SUMS.get(spec.name, {}).values())
    previous = dict.fromkeys((*spec.order, *PREVIOUS.get(spec.name, ())))
    kinds = {c.DATE: "DATE", c.COUNTRY: "VARCHAR"}
    types = ", ".join(f"'{name}': {kinds[name]}" for name in PARTITION_COLUMNS[spec.grain])
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if types else "hive_partitioning = false"
    top = [quoted(field.name) for field in spec.schema if not _nested(spec, field.name)]
    lags = ", ".join(f"lag({quoted(name)}) OVER () AS previous_{name}" for name in previous)
    columns = ", ".join([*top, *_hive_columns(spec)])
    return (
        f"SELECT filename, {', '.join(aggregates)} FROM (SELECT filename, file_row_number = 0 AS is_first, {columns}, {lags} "
        f"FROM read_parquet($files, filename = true, file_row_number = true, {hive})) GROUP BY filename"
    )


def _hive_columns(spec: TableSpec) -> tuple[str, ...]:
    return () if spec.grain is Grain.NONE else PARTITION_COLUMNS[spec.grain]


def _nested(spec: TableSpec, name: str) -> bool:
    """Columns of items: read with pyarrow, never here."""
    return name == c.ITEMS


def _literal(path: str) -> str:
    """A path that names exactly itself where the reader would take `*`, `?` and `[` for patterns."""
    return re.sub(r"([*?\[])", r"[\1]", path)
