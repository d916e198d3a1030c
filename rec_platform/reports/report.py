"""The report of a range of days: models, slices, lists and data on one page. `rec-platform report` writes it.

Numbers come from stored sums (days and countries added up exactly); nothing is scored or ranked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.errors import MissingInput
from rec_platform.evaluation import compare_pairs, metric_rows, rolled_up
from rec_platform.evaluation.comparison import only
from rec_platform.evaluation.exposure import EXPOSURE, catalogued
from rec_platform.evaluation.own import NONE, Own
from rec_platform.evaluation.probability import CALIBRATION, reliability
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.evaluation.sums import MetricSums
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import comparison, data, gather, paired, plots, style
from rec_platform.reports.page import Figure, Figures, Part, Picture, Rows, Section, Words, page
from rec_platform.reports.tables import compact, metric_name, metrics_table

Progress = Callable[[str, float], None]

#: The metric that differences are drawn of, and what models are compared with.
MAIN: Final = (("nmrr", 0), ("ndcg", 10), ("mrr", 0), ("recall", 10))
BASELINES: Final = ("popularity", "last_played", RANDOM)
#: The cut-off of what is said of lists, and the metrics that say it.
LISTED: Final = 10
OF_LISTS: Final = ("novelty", "diversity", "serendipity", "popularity_lift", "genre_divergence", "gini")
_NO_CHANCES: Final = (
    "Calibration holds a model to the probabilities it gives. Only models whose scores are probabilities have numbers: logistic, "
    "and those given a scale; scores that only rank (of popularity, collaborative, xgboost) promise nothing."
)
_COLUMNS: Final = t.METRIC_SUMS.schema.names


@dataclass(frozen=True)
class Judged:
    """What was measured on some days.

    Attributes:
        sums: of all partitions together.
        rows: METRICS of them, without rows that have no value.
        partitions: what they were measured on.
        main: the metric and cut-off that differences are drawn of.
        baseline: the model others are compared with.
    """

    sums: MetricSums
    rows: pa.Table
    partitions: tuple[Partition, ...]
    main: tuple[str, int]
    baseline: str

    @property
    def models(self) -> list[str]:
        return plots.model_order(sorted(set(self.rows.column(c.MODEL).to_pylist()) - {CEILING}))

    @property
    def metric(self) -> str:
        return metric_name({c.METRIC: self.main[0], c.CUTOFF: self.main[1]})

    def values(self, *, by: str = "all", metric: tuple[str, int] | None = None) -> list[dict[str, Any]]:
        """Rows of one metric (the main one) in one slice, by context."""
        name, k = metric or self.main
        return [
            row
            for row in self.rows.to_pylist()
            if (row[c.METRIC], row[c.CUTOFF], row[c.SLICE], row["estimand"]) == (name, k, by, "context")
        ]


def judged(
    lake: Lake,
    partitions: Sequence[Partition],
    *,
    min_contexts: int = 30,
    own: Own = NONE,
    sums: MetricSums | None = None,
) -> Judged:
    """What is stored of the metrics of these partitions; `MissingInput` where nothing is.

    Args:
        own: metrics of the user's own, which are read, too.
        sums: those of the partitions with what is not stored; those stored if not given.
    """
    states = lake.state(t.METRIC_SUMS.name)
    known = tuple(partition for partition in partitions if partition in states)
    if not known:
        raise MissingInput(
            "no metrics are published for these days and countries", place="report",
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    sums = sums or rolled_up(lake.read(t.METRIC_SUMS.name, [one], _COLUMNS) for one in known)
    rows = metric_rows(sums, min_contexts=min_contexts, accumulators=ACCUMULATORS + own.accumulators)
    rows = rows.filter(pc.is_finite(rows.column(c.VALUE)))
    have = set(zip(rows.column(c.METRIC).to_pylist(), rows.column(c.CUTOFF).to_pylist(), strict=True))
    models = set(rows.column(c.MODEL).to_pylist())
    main = next((pair for pair in MAIN if pair in have), min(have, default=("nmrr", 0)))
    baseline = next((name for name in BASELINES if name in models), RANDOM)
    return Judged(sums, rows, known, main, baseline)


def by_day(lake: Lake, found: Judged) -> pa.Table:
    """METRICS rows of the main metric for the whole of each date, with `date`."""
    parts = []
    for day in sorted({partition.day for partition in found.partitions}):
        rows = gather.whole_metrics(lake, [one for one in found.partitions if one.day == day])
        rows = rows.filter((pc.field(c.METRIC) == found.main[0]) & (pc.field(c.CUTOFF) == found.main[1]))
        parts.append(rows.append_column(c.DATE, pa.array([day] * rows.num_rows, pa.date32())))
    return pa.concat_tables(parts)


def differences(found: Judged, *, versus: str | None = None) -> list[dict[str, Any]]:
    """Paired differences in the main metric: of all pairs, or of every model to one; `random` and others alike."""
    models = found.models
    pairs = combinations(models, 2) if versus is None else ((one, versus) for one in models if one != versus)
    sums = only(found.sums, lambda key: (key.metric, key.k) in (found.main, ("", 0)))
    rows = compare_pairs(sums, list(pairs), accumulators=()).to_pylist()
    return [row for row in rows if row["estimand"] == "context" and not np.isnan(row["difference"])]


# --- sections --------------------------------------------------------------------------------------------------------


def summary(found: Judged) -> Section:
    """The numbers one asks for first, and the verdict in words."""
    whole = found.values()
    by_model = {row[c.MODEL]: row for row in whole}
    best = max((name for name in found.models if name in by_model), key=lambda name: by_model[name][c.VALUE])
    days = sorted({partition.day for partition in found.partitions})
    cards = [
        Figure("contexts judged", f"{by_model[best][c.N]:,}", f"{by_model[best]['n_excluded']:,} without a positive"),
        Figure("days", str(len(days)), f"{days[0]} to {days[-1]}"),
        Figure("countries", str(len({partition.place for partition in found.partitions}))),
        Figure(f"best {found.metric}", f"{by_model[best][c.VALUE]:.3f}", _between(by_model[best]) + f", {best}"),
        *(
            Figure(f"{found.metric} of {name}", f"{by_model[name][c.VALUE]:.3f}", note)
            for name, note in (
                (found.baseline, "the baseline"), (RANDOM, "any order"), (CEILING, "the best any order could reach"),
            ) if name in by_model and name != best
        ),
    ]  # fmt: skip
    return Section("Summary", (Figures(tuple(dict.fromkeys(cards))), Words(verdict(found, best))))


def verdict(found: Judged, best: str) -> str:
    """A sentence: the best model against the baseline and against the runner-up, and how sure that is."""
    rows = {
        (row["model_a"], row["model_b"]): row for row in differences(found) if row[c.SLICE] == "all"
    }  # fmt: skip
    others = sorted(
        (row for row in found.values() if row[c.MODEL] not in (best, CEILING)), key=lambda row: -row[c.VALUE]
    )
    runner_up = others[0][c.MODEL] if others else best
    named = [found.baseline] if found.baseline != best else []
    if runner_up not in (found.baseline, best):
        named.append(runner_up)
    said = [_said(best, other, rows, found.metric) for other in named]
    return " ".join(said) or f"{best} is the only model."


def _said(best: str, other: str, rows: Mapping[tuple[str, str], Mapping[str, Any]], metric: str) -> str:
    row, sign = (rows[best, other], 1) if (best, other) in rows else (rows[other, best], -1)
    difference, low, high = (sign * row[name] for name in ("difference", c.LOW, c.HIGH))
    low, high = min(low, high), max(low, high)
    sure = comparison.sureness(difference, low, high)
    if sure is None:
        return f"Between {best} and {other} there is no verdict: too little was measured."
    interval = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}] in {metric}"
    if sure == 0:
        return f"Between {best} and {other} no difference is shown ({interval})."
    return f"{best} is better than {other}{', very surely' if sure > 1 else ''}: {interval}."


def models_section(lake: Lake, found: Judged) -> Section:
    whole = found.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))
    shown = plots.shown_metrics(whole)
    pairs = [row for row in differences(found) if row[c.SLICE] == "all"]
    parts: list[Part] = [
        Picture(
            plots.metrics_plot(whole), "Each model's value inside its 95 % interval (bootstrap by profile).",
            metrics_table(shown),
        ),
        Picture(
            comparison.pairs_plot(pairs, metric=found.metric),
            "Paired differences: both models weighed by the same draws, so what all models find hard cancels. Blue: the "
            "row's model is surely better; deep blue: past 3.3 standard errors; grey: no difference shown; ?: no verdict.",
            _difference_rows(pairs),
        ),
        Picture(
            plots.scores_plot(gather.positive_ranks(lake, found.partitions)),
            "How high up what was watched stood: the share of watched titles on rank r or better, in the full candidate set.",
        ),
    ]  # fmt: skip
    if len({partition.day for partition in found.partitions}) > 1:
        drawn = comparison.days_plot(by_day(lake, found), metric=found.metric)
        parts.append(Picture(drawn, "Day by day, with 95 % bands."))
    return Section("Models", tuple(parts))


def slices_section(found: Judged) -> Section:
    rows = [row for row in differences(found, versus=found.baseline) if row["model_a"] != RANDOM]
    countries = [row for row in found.values(by=c.COUNTRY) if row[c.MODEL] not in (CEILING, RANDOM)]
    return Section(
        "Slices",
        (
            Picture(
                comparison.slices_plot(rows, metric=found.metric, versus=found.baseline),
                f"Where a model wins and loses against {found.baseline}. Colour is sureness, not size; ? is no verdict: too "
                "few contexts for a difference of that size.",
                _difference_rows(rows),
            ),
            Picture(
                comparison.countries_plot(countries, metric=found.metric),
                "Each country by itself, the one with most contexts first; an open circle has no verdict.",
            ),
        ),
    )  # fmt: skip


def lists_section(found: Judged) -> Section:
    """What is shown to people: the long tail, coverage, and what lists are like besides right or wrong."""
    shown = {
        key.model: tally
        for key, tally in catalogued(found.sums.tallies).items()
        if (key.metric, key.k, key.slice) == (EXPOSURE.name, LISTED, "all") and key.model not in (RANDOM, CEILING)
    }
    catalogue = max((tally.size for tally in shown.values()), default=0)
    whole = found.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))
    coverage = whole.filter(pc.field(c.METRIC) == "coverage")
    listed = whole.filter(pc.field(c.METRIC).isin(OF_LISTS) & (pc.field(c.CUTOFF) == LISTED))
    tail = comparison.long_tail_plot({name: tally.totals for name, tally in shown.items()}, catalogue, coverage)
    parts: list[Part] = [
        Picture(
            tail, f"Left: lists of {LISTED}; a curve that rises at once shows the same few titles to everybody.",
            compact(coverage.select([c.MODEL, c.CUTOFF, c.VALUE, c.LOW, c.HIGH]), rows=200),
        )
    ]  # fmt: skip
    if listed.num_rows:
        about = "What lists are like besides right or wrong (docs/metrics.md has each formula), with 95 % intervals."
        parts.append(Picture(comparison.values_plot(listed), about, metrics_table(listed)))
    return Section("Lists", tuple(parts))


def chances_section(found: Judged) -> Section:
    """Whether what models promise comes true: reliability curves of the models whose scores are probabilities."""
    curves = {
        key.model: reliability(tally)
        for key, tally in found.sums.tallies.items()
        if (key.metric, key.slice) == (CALIBRATION.name, "all")
    }
    others = [name for name in found.models if name not in curves and name != RANDOM]
    if not curves:
        return Section("Calibration", (Words(f"{_NO_CHANCES} No model here does."),))
    whole = found.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))
    numbers = whole.filter(pc.field(c.METRIC).isin(["log_loss", *CALIBRATION.readings]))
    picture = Picture(
        comparison.reliability_plot(curves),
        "Each dot is a bin of candidates by the probability a model gave them: across what it promised, up what came true. "
        "Both axes are logarithmic; the diagonal is right; a dot's size grows with its candidates.",
        metrics_table(numbers),
    )
    return Section(
        "Calibration", (picture, *([Words(f"{_NO_CHANCES} Not here: {', '.join(others)}.")] if others else ()))
    )


def own_section(found: Judged, own: Own) -> Section:
    """The metrics of the user's own."""
    whole = found.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))
    have = list(zip(whole.column(c.METRIC).to_pylist(), whole.column(c.CUTOFF).to_pylist(), strict=True))
    shown = own.shown(have)
    if not shown:
        return Section("Metrics of your own", (Words("What they need was not there on these days: docs/metrics.md."),))
    rows = pa.concat_tables(
        whole.filter((pc.field(c.METRIC) == name) & (pc.field(c.CUTOFF) == k)) for name, k in shown
    )  # fmt: skip
    about = "; ".join(f"{one.name}: {one.about}" for one in own.metrics if one.about)
    return Section(
        "Metrics of your own", (Picture(comparison.values_plot(rows), about or "As declared.", metrics_table(rows)),)
    )


def ageing_section(aged: Sequence[Mapping[str, Any]], first: date) -> Section:
    """What models are worth when nobody trains them any more."""
    rows = [row for row in aged if row[c.MODEL] != CEILING]
    heading = metric_name(rows[0])
    words = (
        f"The models as of {first} on the contexts of each later date; features are those of the date, models stand still. "
        "last_played and random are never trained: where they move, the days differ."
    )
    drawn = style.svg(paired.ageing_figure(rows, heading=heading))
    names = (c.COUNTRY, "age", c.MODEL, c.VALUE, c.LOW, c.HIGH, c.N)
    table = compact(pa.Table.from_pylist([{name: row[name] for name in names} for row in rows]), rows=2_000)
    return Section("Ageing", (Picture(drawn, words, table),))


def numbers_section(found: Judged) -> Section:
    """Every metric of every model, for those who want the digits."""
    whole = found.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))
    names = sorted({(row[c.METRIC], row[c.CUTOFF]) for row in whole.select([c.METRIC, c.CUTOFF]).to_pylist()})
    models = [*found.models, CEILING]
    by_key = {(row[c.METRIC], row[c.CUTOFF], row[c.MODEL]): row for row in whole.to_pylist()}
    rows = [
        {"metric": metric_name({c.METRIC: name, c.CUTOFF: k})}
        | {model: _value(by_key.get((name, k, model))) for model in models}
        for name, k in names
    ]
    return Section("All numbers", (Rows(rows, "Value [95 % interval]; docs/metrics.md has every formula."),))


def _value(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row[c.VALUE]:.3f} {_between(row)}"


def _between(row: Mapping[str, Any]) -> str:
    if not np.isfinite([row[c.LOW], row[c.HIGH]]).all():
        return "(no verdict)"
    return f"[{row[c.LOW]:.3f}, {row[c.HIGH]:.3f}]"


def _difference_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str | int | float]]:
    names = ("model_a", "model_b", c.SLICE, c.SLICE_VALUE, "difference", c.LOW, c.HIGH, c.DETECTABLE, c.N, "verdict")
    return compact(pa.Table.from_pylist([{name: row[name] for name in names} for row in rows]), rows=400)


def report(
    lake: Lake, first: date, last: date, partitions: Sequence[Partition], *, min_contexts: int, progress: Progress,
    aged: Sequence[Mapping[str, Any]] = (), own: Own = NONE, sums: MetricSums | None = None,
) -> str:  # fmt: skip
    """The page for these partitions, all between `first` and `last`.

    Args:
        aged: rows of `judging.ages`: what the first day's models were worth on later days; none, no section.
        own, sums: as of `judged`.
    """
    progress("adding up stored sums", 0.05)
    found = judged(lake, partitions, min_contexts=min_contexts, own=own, sums=sums)
    made: list[Section] = []
    for share, what, section in _steps(lake, found, own):
        progress(what, share)
        made.append(section())
    if aged:
        made.insert(-1, ageing_section(aged, first))
    progress("done", 1.0)
    return page("Recommendations, measured", f"{first} to {last}. Made by rec-platform from what is published.", made)


def _steps(lake: Lake, found: Judged, own: Own) -> Iterator[tuple[float, str, Callable[[], Section]]]:
    yield 0.2, "summary", lambda: summary(found)
    yield 0.3, "models", lambda: models_section(lake, found)
    yield 0.6, "slices", lambda: slices_section(found)
    yield 0.7, "lists", lambda: lists_section(found)
    yield 0.73, "calibration", lambda: chances_section(found)
    if own.names:
        yield 0.74, "metrics of your own", lambda: own_section(found, own)
    yield 0.75, "volume", lambda: data.volume_section(lake, found.partitions)
    yield 0.8, "columns", lambda: data.plays_section(lake, found.partitions)
    yield 0.85, "features", lambda: data.features_section(lake, found.partitions)
    yield 0.9, "drift", lambda: data.drift_section(lake, found.partitions)
    yield 0.95, "numbers", lambda: numbers_section(found)
