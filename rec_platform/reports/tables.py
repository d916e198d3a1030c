"""Arrow tables as compact rows for the UI and the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from rec_platform import columns as c

Cell = str | int | float

#: The longest text of a cell.
TEXT: Final = 60
#: JSON and JavaScript hold integers exactly up to here; larger ids are shown as text.
_EXACT: Final = 2**53


def cell(value: Any, *, digits: int = 4) -> Cell:
    """A value as a table shows it: rounded, never null, never too long, lists joined by commas.

    >>> cell(0.123456), cell(None), cell(["drama", "crime"]), cell(2**60), cell(float("nan"))
    (0.1235, '', 'drama, crime', '1152921504606846976', '')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    text = ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def compact(
    table: pa.Table, *, columns: Sequence[str] | None = None, rows: int = 20, digits: int = 4
) -> list[dict[str, Cell]]:
    """The first rows of a table (the named columns) as dicts of `cell`s."""
    chosen = table.select(list(columns)) if columns is not None else table
    return [
        {name: cell(value, digits=digits) for name, value in row.items()} for row in chosen.slice(0, rows).to_pylist()
    ]


def with_interval(value: float, low: float, high: float, *, digits: int = 3) -> str:
    """A value with its interval; without one there is no verdict.

    >>> with_interval(0.1234, 0.11, 0.14)
    '0.123 [0.110, 0.140]'
    >>> with_interval(0.5, float("nan"), float("nan")), with_interval(float("nan"), 0, 0)
    ('0.500 (no verdict)', '')
    """
    if math.isnan(value):
        return ""
    if math.isnan(low) or math.isnan(high):
        return f"{value:.{digits}f} (no verdict)"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def metric_name(row: Mapping[str, Any]) -> str:
    """
    >>> metric_name({"metric": "ndcg", "k": 10}), metric_name({"metric": "nmrr", "k": 0})
    ('ndcg@10', 'nmrr')
    """
    return f"{row[c.METRIC]}@{row[c.CUTOFF]}" if row[c.CUTOFF] else str(row[c.METRIC])


def metrics_table(metrics: pa.Table) -> list[dict[str, Cell]]:
    """Rows of `metrics` as a row per model and a column per metric, each value with its interval, in order of first use.

    `n` is that of the first metric: others may be means over more contexts, or over fewer.
    """
    models: dict[str, dict[str, Cell]] = {}
    for row in metrics.to_pylist():
        line = models.setdefault(row[c.MODEL], {c.MODEL: row[c.MODEL], c.N: row[c.N]})
        line[metric_name(row)] = with_interval(row[c.VALUE], row[c.LOW], row[c.HIGH])
    return list(models.values())
