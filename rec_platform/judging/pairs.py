"""Two models compared, or every pair of more: which rows, in which order, and the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.errors import KeyRefused
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.comparison import compare_all, compare_pairs, corrected, only
from rec_platform.evaluation.intervals import measured, metric_rows
from rec_platform.evaluation.own import Own
from rec_platform.evaluation.plan import CONTEXT
from rec_platform.evaluation.scored import CEILING, SAMPLED
from rec_platform.evaluation.slices import ALL
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow import Platform
from rec_platform.judging.asked import chosen_metrics, heading, not_counted, refuse_not_counted
from rec_platform.judging.sums import Files, sums_of
from rec_platform.judging.told import Row, named, numbers, sentence, told
from rec_platform.reports.glossary import LOWER as LOWER_IS_BETTER
from rec_platform.reports.glossary import term

#: Metrics of lists that a comparison shows unless told otherwise, the first of them being what its sentence is about.
MAIN: Final = (
    ("nmrr", 0), ("ndcg", 10), ("recall", 10), ("precision", 10), ("map", 0), ("hit_rate", 10), ("mrr", 0), ("coverage", 10),
)  # fmt: skip
#: What the names of metrics over a sample of the candidates end in, and of all others.
_ENDS: Final = ("", SAMPLED)


@dataclass(frozen=True)
class Compared:
    """A comparison: a sentence that sums it up, and a row per pair, metric and slice value.

    `rows` are for machines: numbers, the difference with its interval. `told`: as a terminal shows them, with fewer
    columns and a bar; the model that is ahead is named. `note` names what was asked for and the slice does not count.
    """

    sentence: str
    rows: list[Row]
    told: list[Row]
    note: str = ""


def compared(
    home: Path,
    models: Sequence[str],
    first: date,
    last: date,
    *,
    countries: Sequence[str] = (),
    by: str = ALL,
    metrics: Sequence[str] = (),
    estimand: str = CONTEXT,
    out: Path | None = None,
    files: Sequence[Path] = (),
) -> Compared:
    """Two models compared, or every pair of more (of all, where none is named), over some days and countries together.

    From stored sums where they hold it, else from stored scores: as `commands.metrics`.
    """
    if len(models) == 1 or len(set(models)) < len(models):
        raise KeyRefused(
            f"nothing to compare {models[0]!r} with" if len(models) == 1 else "a model is named twice", place="compare",
            repair="Name two models or more, or none to compare every pair.",
        )  # fmt: skip
    platform = Platform(home)
    own = Files.of(platform.settings, files)
    whole = sums_of(platform, first, last, countries, by=by, estimand=estimand, files=own.asked(metrics))
    sums = only(whole, lambda key: key.slice == by)
    least, pairs = platform.settings.evaluation.min_contexts, list(combinations(models, 2)) or None
    wanted = _wanted(measured(whole, own.accumulators), metrics, own.given)
    if len(models) != 2 and not metrics:
        wanted = wanted[:1]  # every pair by every metric is a wall that nobody reads
    counted = set(measured(sums, own.accumulators))
    absent = [pair for pair in wanted if pair not in counted]
    if absent == wanted:
        raise refuse_not_counted(absent, by)
    table = (
        compare_all(sums, _leading(sums, wanted, own.accumulators), min_contexts=least, accumulators=own.accumulators)
        if pairs is None
        else compare_pairs(sums, pairs, min_contexts=least, accumulators=own.accumulators)
    )
    table = corrected(_chosen(table, wanted, by))
    rows = table.to_pylist()
    alone = _of_one_alone(wanted, absent, rows)
    if not rows:
        raise KeyRefused(alone or "no pair to compare", place="--metric", repair="Name models that both have it.")
    if out is not None:
        _draw(rows, by, out)
    several = len(models) != 2
    said = "; ".join(text for text in (not_counted(absent, by), alone) if text)
    return Compared(sentence(rows), numbers(rows, by, several=several), told(rows, by, several=several), said)


def _leading(sums: MetricSums, wanted: Sequence[tuple[str, int]], accumulators: tuple[Accumulator, ...]) -> list[str]:
    """The models, the best by the first wanted metric first; the ceiling is none."""
    models = {key.model for key in sums.keys} - {CEILING}
    if not wanted:
        return sorted(models)
    name, k = wanted[0]
    behind = {"", name} | {
        one.name + end for one in accumulators for end in _ENDS if name in [read + end for read in one.readings]
    }
    few = only(sums, lambda key: key.metric in behind and key.k in (0, k))
    values: dict[str, list[float]] = {}
    for row in metric_rows(few, accumulators=accumulators).to_pylist():
        if (row[c.METRIC], row[c.CUTOFF]) == (name, k):
            values.setdefault(row[c.MODEL], []).append(row[c.VALUE])
    sign = -1 if term(name).better == LOWER_IS_BETTER else 1
    best = {model: sign * float(np.nanmean(found)) for model, found in values.items() if np.isfinite(found).any()}
    return sorted(models, key=lambda model: (-best.get(model, -np.inf), model))


def _wanted(known: Sequence[tuple[str, int]], asked: Sequence[str], own: Own) -> list[tuple[str, int]]:
    """Of the metrics there are those asked for; else the main ones and those of the user's own."""
    return chosen_metrics(known, asked) if asked else [pair for pair in MAIN if pair in known] + own.shown(known)


def _of_one_alone(wanted: Sequence[tuple[str, int]], absent: Sequence[tuple[str, int]], rows: Sequence[Row]) -> str:
    """Metrics that no pair of the models has in both, as a note: log loss of models whose scores are no probabilities."""
    there = {(row[c.METRIC], row[c.CUTOFF]) for row in rows}
    names = ", ".join(heading(*pair) for pair in wanted if pair not in there and pair not in absent)
    return names and f"{names}: not measured of both models of a pair"


def _chosen(table: pa.Table, wanted: Sequence[tuple[str, int]], by: str) -> pa.Table:
    """Rows of the wanted metrics, in their order, in one slice; of its values those with a context."""
    of_slice = table.filter(pc.equal(table.column(c.SLICE), by))
    if by != ALL:
        of_slice = of_slice.filter(pc.greater(of_slice.column(c.N), 0))
    names = zip(of_slice.column(c.METRIC).to_pylist(), of_slice.column(c.CUTOFF).to_pylist(), strict=True)
    place = {pair: number for number, pair in enumerate(wanted)}
    ranks = [place.get(pair, -1) for pair in names]
    rows = [row for row, rank in enumerate(ranks) if rank >= 0]
    rows.sort(key=lambda row: ranks[row])
    return of_slice.take(pa.array(rows, pa.int64()))


def _draw(rows: list[Row], by: str, out: Path) -> None:
    from rec_platform.reports import paired  # matplotlib takes half a second, and only pictures need it

    pairs = sorted({(row["model_a"], row["model_b"]) for row in rows})
    labelled = [
        row
        | {
            "label": (f"{row['model_a']} - {row['model_b']}  " if len(pairs) > 1 else "")
            + named(row)
            + ("" if by == ALL else f"  {row[c.SLICE_VALUE]}")
        }
        for row in rows
    ]
    heading = f"{pairs[0][0]} less {pairs[0][1]}" if len(pairs) == 1 else "the first less the second"
    paired.save(paired.differences_figure(labelled, heading=f"{heading}, with 95 % intervals; coloured: sure"), out)
