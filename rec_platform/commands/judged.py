"""Metrics of some days: one row per model and slice value, and the page of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from rec_platform import columns as c
from rec_platform.commands.options import Progress, Row
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.comparison import compare_pairs, only
from rec_platform.evaluation.intervals import measured, metric_rows
from rec_platform.evaluation.own import Own
from rec_platform.evaluation.scored import CEILING
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow import Platform
from rec_platform.judging import (
    Files,
    ages,
    chosen_metrics,
    heading,
    not_counted,
    published,
    refuse_not_counted,
    sums_of,
)
from rec_platform.reports.glossary import LOWER, term
from rec_platform.terminal import Measured, note

#: The columns of the metrics table unless others are asked for: metric and cut-off (0: the metric has none).
MAIN_METRICS: Final = (("nmrr", 0), ("ndcg", 10), ("recall", 10), ("hit_rate", 10), ("coverage", 10))


def metrics(
    home: Path,
    first: date,
    last: date,
    *,
    countries: list[str],
    by: str,
    metrics: list[str],
    versus: str,
    estimand: str = "context",
    protocol: str = "session",
    files: Sequence[Path] = (),
) -> list[Row]:
    """Metrics of some days and countries together: one row per model and slice value.

    From stored sums where they hold it, else (crossed slices, means over profiles, published lists, metrics and slices of
    `files`) from stored scores: then the metrics of ranks, and of the others those asked for.
    """
    platform = Platform(home)
    own = Files.of(platform.settings, files)
    sums = sums_of(
        platform, first, last, countries, by=by, protocol=protocol, estimand=estimand, files=own.asked(metrics)
    )
    wanted = _chosen(measured(sums, own.accumulators), metrics, own.given)
    if versus:
        return _differences(sums, versus, by, wanted, platform.settings, own.accumulators)
    least = platform.settings.evaluation.min_contexts
    found = metric_rows(sums, min_contexts=least, accumulators=own.accumulators).to_pylist()
    return _pivot(found, by, wanted, lambda row: (row[c.MODEL],), (c.MODEL,), c.VALUE)


def after_metrics(rows: Sequence[Row], versus: str) -> str:
    """What one would look at after a table of metrics: the two best models paired, or the page."""
    models = [name for name in dict.fromkeys(str(row.get(c.MODEL, "")) for row in rows) if name not in ("", CEILING)]
    return f"compare {models[0]} {models[1]}" if not versus and len(models) > 1 else "report --out report.html"


def _chosen(known: list[tuple[str, int]], asked: list[str], own: Own) -> list[tuple[str, int]]:
    return (
        chosen_metrics(known, asked) if asked else [pair for pair in MAIN_METRICS if pair in known] + own.shown(known)
    )


def _differences(
    sums: MetricSums,
    versus: str,
    by: str,
    wanted: list[tuple[str, int]],
    settings: Settings,
    accumulators: tuple[Accumulator, ...],
) -> list[Row]:
    others = sorted({key.model for key in sums.keys} - {versus})
    least = settings.evaluation.min_contexts
    rows = compare_pairs(
        only(sums, lambda key: key.slice == by), [(model, versus) for model in others], min_contexts=least,
        accumulators=accumulators,
    ).to_pylist()  # fmt: skip
    return _pivot(rows, by, wanted, lambda row: (f"{row['model_a']} - {versus}",), ("difference",), "difference")


def _pivot(
    rows: list[Row],
    by: str,
    wanted: list[tuple[str, int]],
    who: Callable[[Row], tuple[str, ...]],
    heads: tuple[str, ...],
    value: str,
) -> list[Row]:
    """One row per model and slice value, one column per metric: value [low, high]; no interval is no verdict.

    The model with the best value of the first metric stands on top: by its mean over slice values, where there are some.
    The ceiling, which is no model, stands at the foot.
    """
    chosen = [row for row in rows if row[c.SLICE] == by]
    if not chosen:
        have = sorted({row[c.SLICE] for row in rows})
        raise KeyRefused(f"no slice {by!r}", place="--by", repair=f"There are: {', '.join(have)}.")
    named = f"by {by}" if by in heads else by  # published lists are sliced by the model that made each
    lines: dict[tuple[str, ...], Row] = {}
    leading: dict[tuple[str, ...], list[float]] = {}
    counted = {(row[c.METRIC], row[c.CUTOFF]) for row in chosen}
    absent = [pair for pair in wanted if pair not in counted]
    if absent == wanted:
        raise refuse_not_counted(absent, by)
    note(not_counted(absent, by))
    wanted = [pair for pair in wanted if pair in counted]
    sign = -1 if term(wanted[0][0]).better == LOWER else 1
    for row in chosen:
        key = (*who(row), row[c.SLICE_VALUE])
        line = lines.setdefault(
            key, dict(zip(heads, who(row), strict=True)) | ({} if by == "all" else {named: key[-1]}) | {"n": 0}
        )
        if (row[c.METRIC], row[c.CUTOFF]) in wanted:
            if (row[c.METRIC], row[c.CUTOFF]) == wanted[0]:
                line["n"] = row[c.N]
                leading.setdefault(who(row), []).append(sign * row[value])
            ends = row[c.LOW], row[c.HIGH]
            line[heading(row[c.METRIC], row[c.CUTOFF])] = Measured(row[value], *ends, sign=value != c.VALUE)
    order = [heading(*pair) for pair in wanted]
    return [
        {name: line[name] for name in line if name not in order} | {name: line.get(name) for name in order}
        for _, line in sorted(lines.items(), key=lambda one: _order(one[0], leading))
    ]


def _order(line: tuple[str, ...], leading: Mapping[tuple[str, ...], list[float]]) -> tuple[Any, ...]:
    """Where a line stands: models from the best to the worst, slice values inside them, the ceiling at the foot."""
    foot = line[0] == CEILING or line[0].startswith(f"{CEILING} - ")
    return foot, *_downwards(leading.get(line[:-1], [])), line


def _downwards(values: list[float]) -> tuple[bool, float]:
    """A sort key that puts a high mean first and no mean last."""
    there = [value for value in values if not np.isnan(value)]
    return not there, -float(np.mean(there)) if there else 0.0


def reported(
    home: Path, first: date, last: date, *, countries: list[str], out: Path, progress: Progress, ageing: bool = False,
    files: Sequence[Path] = (),
) -> Row:  # fmt: skip
    """Write the report of some days and countries as one HTML page; where it stands and what it covers."""
    from rec_platform.reports.report import report

    platform = Platform(home)
    own = Files.of(platform.settings, files)
    sums = None
    if own.given:
        progress("judging by metrics of your own", 0.0)
        sums = sums_of(platform, first, last, countries, by=None, files=own)
    aged: list[Row] = []
    if ageing:
        progress("scoring with the models of the first day", 0.0)
        aged = ages(platform, first, days=(last - first).days, countries=countries, metric="nmrr")
    partitions = published(platform, first, last, countries)
    text = report(
        platform.lake, first, last, sorted(partitions), min_contexts=platform.settings.evaluation.min_contexts,
        progress=progress, aged=aged, own=own.stored + own.given, sums=sums,
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return {"report": str(out), "partitions": len(partitions), "bytes": len(text.encode())}
