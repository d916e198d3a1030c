"""What the UI shows of a stage: counts and seconds per partition, and once per run a table and a picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from rec_platform.checks import cost
from rec_platform.flow import Platform, Report
from rec_platform.partition import Partition
from rec_platform.reports import stages


def of_partition(report: Report, partition: Partition) -> dict[str, Any]:
    """Rows per table, the plain numbers the stage gave, and what it could not make; Dagster draws numbers over time by itself."""
    rows = {f"rows_{table}": count for table, count in report.published.get(partition, {}).items()}
    numbers = {
        name: value
        for name, value in report.extra.get(partition, {}).items()
        if isinstance(value, int | float | str) and not isinstance(value, bool)
    }
    spent = {f"cpu_seconds_of_{name}": round(found, 6) for name, found in report.cpu_seconds.get(partition, {}).items()}
    lacks = {f"lacks_{name}": reason for name, reason in report.lacking.get(partition, {}).items()}
    state = {"up_to_date": partition not in report.published}
    return rows | numbers | spent | lacks | state


def of_run(platform: Platform, stage: str, report: Report, seconds: float) -> dict[str, Any]:
    """Seconds, counts, a small table and the plots of what the run published."""
    partitions = sorted((*report.published, *report.current), key=lambda p: (p.date is None, p))
    settings = platform.settings
    found = stages.shown(
        stage,
        platform.lake,
        partitions,
        min_contexts=settings.evaluation.min_contexts,
        ranker_files=settings.rankers.files,
    )
    shown: dict[str, Any] = {
        "seconds": round(seconds, 3),
        "partitions_made": len(report.published),
        "partitions_up_to_date": len(report.current),
        "cpu_seconds_of_checks": round(sum(sum(found.values()) for found in cost(report.checks).values()), 3),
        "dagster/row_count": sum(sum(tables.values()) for tables in report.published.values()),
    }
    if found.rows:
        shown["sample"] = table(found.rows)
    return shown | {name: picture(plot, name) for name, plot in found.pictures.items()}


def picture(svg: str, name: str) -> dg.MarkdownMetadataValue:
    """A drawing as the UI shows it."""
    image = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{image})")


def table(rows: Sequence[Mapping[str, str | int | float]]) -> dg.TableMetadataValue:
    """Rows as a table of the UI, each with every column.

    A column with gaps or with more than one kind of value is shown as text: Dagster wants one type.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {name: _kind([row.get(name, "") for row in rows]) for name in names}
    records = [
        dg.TableRecord(
            {name: row.get(name, "") if kinds[name] != "string" else str(row.get(name, "")) for name in names}
        )
        for row in rows
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(*pair) for pair in kinds.items()]))


def _kind(values: Sequence[str | int | float]) -> str:
    found = {type(value) for value in values}
    return {int: "int", float: "float"}.get(found.pop(), "string") if len(found) == 1 else "string"
