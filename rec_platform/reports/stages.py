"""What the UI shows of a run of a stage: a few rows, and one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.tables import TABLES

#: Rows shown of a stage's first table, and the longest text of a cell.
ROWS: Final = 8
TEXT: Final = 60
_HIDDEN: Final = ("payload",)


def stage_table(stage: str, lake: Lake, partitions: Sequence[Partition]) -> list[dict[str, str | int | float]]:
    """The first rows of the newest partition that has any, of the stage's first table; nested columns left out."""
    spec = next(spec for spec in TABLES if spec.stage == stage)
    names = [f.name for f in spec.schema if not pa.types.is_nested(f.type) and f.name not in _HIDDEN]
    states = lake.state(spec.name)
    filled = [partition for partition in partitions if partition in states and states[partition].rows]
    if not filled:
        return []
    partition = filled[-1]
    rows = lake.read(spec.name, [partition], names).slice(0, ROWS).to_pylist()
    where: dict[str, Any] = {} if partition.date is None else {"partition": partition.key}
    return [{name: _cell(value) for name, value in (where | row).items()} for row in rows]


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, int):
        return str(value) if abs(value) > 2**53 else value
    text = str(value)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def stage_plot(stage: str, lake: Lake, partitions: Sequence[Partition]) -> str:
    """The stage's picture as SVG text; empty where there is nothing to draw."""
    return ""


def by_day(lake: Lake, table: str, partitions: Sequence[Partition]) -> pa.Table:
    """Rows per partition, from the states alone: date, country, rows."""
    states = lake.state(table)
    chosen = [(partition, states[partition].rows) for partition in partitions if partition in states]
    return pa.table(
        {
            c.DATE: pa.array([partition.date for partition, _ in chosen], pa.date32()),
            c.COUNTRY: pa.array([partition.country or "" for partition, _ in chosen], pa.string()),
            "rows": pa.array([rows for _, rows in chosen], pa.int64()),
        }
    )
