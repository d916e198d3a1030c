"""What the UI shows of a run of a stage: a few rows, and one picture.

matplotlib takes 0.3 s to import, hence only when the first picture is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports.tables import Cell, compact, metrics_table
from rec_platform.tables import METRICS, TABLES

#: Rows shown of a stage's first table.
ROWS: Final = 8
_HIDDEN: Final = ("payload",)


def stage_table(stage: str, lake: Lake, partitions: Sequence[Partition]) -> list[dict[str, Cell]]:
    """A few rows of what a run published: for metrics the models beside each other, else the newest partition's first rows.

    Rows come from the stage's first table; nested columns are left out.
    """
    if stage == METRICS.stage:
        return _models_side_by_side(lake, partitions)
    spec = next(spec for spec in TABLES if spec.stage == stage)
    names = [field.name for field in spec.schema if not pa.types.is_nested(field.type) and field.name not in _HIDDEN]
    states = lake.state(spec.name)
    filled = [partition for partition in partitions if partition in states and states[partition].rows]
    if not filled:
        return []
    rows = compact(lake.read(spec.name, filled[-1:], names), rows=ROWS)
    where: dict[str, Cell] = {} if filled[-1].date is None else {"partition": filled[-1].key}
    return [where | row for row in rows]


def _models_side_by_side(lake: Lake, partitions: Sequence[Partition]) -> list[dict[str, Cell]]:
    from rec_platform.reports.pictures import main_metrics

    return metrics_table(main_metrics(lake, partitions))


def stage_plots(stage: str, lake: Lake, partitions: Sequence[Partition]) -> dict[str, str]:
    """The stage's pictures as SVG text by name, none over 100 KB; nothing for a stage that has none."""
    from rec_platform.reports.pictures import PICTURES

    return {name: draw(lake, partitions) for name, draw in PICTURES.get(stage, {}).items()}
