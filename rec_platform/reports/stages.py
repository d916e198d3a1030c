"""What the UI shows of a run of a stage: a few rows, and its pictures.

matplotlib takes 0.3 s to import, hence only when the first picture is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from rec_platform.config import EvaluationConfig
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports.tables import Cell, compact, metrics_table
from rec_platform.tables import METRICS, RANKER_MODELS, TABLES

#: Rows shown of a stage's first table.
ROWS: Final = 8
_HIDDEN: Final = ("payload",)
#: Contexts that a verdict takes, unless told otherwise.
FEWEST: Final = EvaluationConfig().min_contexts


@dataclass(frozen=True)
class Shown:
    """What stands beside a run of a stage.

    Attributes:
        rows: a table: for metrics the models beside each other, else the first rows of the newest partition.
        pictures: SVG text by name, none over 100 KB; none for a stage that has none.
    """

    rows: list[dict[str, Cell]]
    pictures: dict[str, str]


def shown(
    stage: str,
    lake: Lake,
    partitions: Sequence[Partition],
    *,
    min_contexts: int = FEWEST,
    ranker_files: Sequence[str] = (),
) -> Shown:
    """What is shown of some partitions that a stage published.

    Args:
        min_contexts: of metrics, verdicts from so many contexts on.
        ranker_files: those of `[rankers] files`, which say what moves the scores of their rankers.
    """
    from rec_platform.reports import pictures

    if stage == METRICS.stage:
        main, drawn = pictures.metrics(lake, partitions, min_contexts=min_contexts)
        return Shown(metrics_table(main), drawn)
    if stage == RANKER_MODELS.stage:
        return Shown(_first_rows(stage, lake, partitions), pictures.ranker_models(lake, partitions, files=ranker_files))
    draw = pictures.PICTURES.get(stage)
    return Shown(_first_rows(stage, lake, partitions), {} if draw is None else draw(lake, partitions))


def _first_rows(stage: str, lake: Lake, partitions: Sequence[Partition]) -> list[dict[str, Cell]]:
    """Rows of the stage's first table, nested columns left out."""
    spec = next(spec for spec in TABLES if spec.stage == stage)
    names = [field.name for field in spec.schema if not pa.types.is_nested(field.type) and field.name not in _HIDDEN]
    states = lake.state(spec.name)
    filled = [partition for partition in partitions if partition in states and states[partition].rows]
    if not filled:
        return []
    rows = compact(lake.read(spec.name, filled[-1:], names), rows=ROWS)
    where: dict[str, Cell] = {} if filled[-1].date is None else {"partition": filled[-1].key}
    return [where | row for row in rows]
