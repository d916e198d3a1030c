"""The report of a range of days: models, slices, lists and data on one page. `rec-platform report` writes it.

Numbers come from stored sums (days and countries added up exactly); nothing is scored or ranked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.evaluation.comparison import sureness
from rec_platform.evaluation.exposure import EXPOSURE, catalogued
from rec_platform.evaluation.measured_on import on_fewer, scored_models
from rec_platform.evaluation.own import NONE, Own
from rec_platform.evaluation.probability import CALIBRATION, reliability
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.evaluation.sums import MetricSums
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import comparison, data, findings, gather, glossary, model_plots, paired, rules, style
from rec_platform.reports.glossary import spoken
from rec_platform.reports.judged import BASELINES, Judged, against_baseline, by_day, judged
from rec_platform.reports.page import Figure, Figures, Part, Picture, Rows, Section, Standing, Standings, Words, page
from rec_platform.reports.tables import compact, metric_name, metrics_table

Progress = Callable[[str, float], None]

#: The cut-off of what is said of lists, and the metrics that say it.
LISTED: Final = 10
OF_LISTS: Final = ("novelty", "diversity", "serendipity", "popularity_lift", "genre_divergence", "gini")
_NO_CHANCES: Final = (
    "Calibration holds a model to the probabilities it gives. Only models whose scores are probabilities have numbers: logistic, "
    "and those given a scale; scores that only rank (of popularity, collaborative, xgboost) promise nothing."
)
_KEY: Final = (
    (style.DIVERGING[4], "very surely better"), (style.DIVERGING[3], "surely better"),
    (style.DIVERGING[2], "no difference shown"), (style.DIVERGING[1], "surely worse"),
    (style.DIVERGING[0], "very surely worse"), (style.BLANK, "? too few contexts, or not the same ones"),
)  # fmt: skip


# --- sections --------------------------------------------------------------------------------------------------------


def summary(lake: Lake, found: Judged) -> Section:
    """The answer: which model is best, by how much and how surely; where all stand; how much was judged."""
    by_model = {row[c.MODEL]: row for row in found.values()}
    best = found.models[0]
    top = by_model[CEILING][c.VALUE] if CEILING in by_model else by_model[best][c.VALUE]
    base = by_model[found.baseline][c.VALUE]
    words = Words(findings.reached(by_model[best][c.VALUE], base, top)) if best != found.baseline else Words("")
    fewer = on_fewer(scored_models(lake.state(t.SCORES_TABLE.name), found.partitions), found.models)
    days = sorted({partition.day for partition in found.partitions})
    places = sorted({partition.place for partition in found.partitions})
    caption = (
        f"{found.metric}: {glossary.says(*found.main)}. A bar ends at {top:.3f}, the best that any order of the candidates could "
        f"reach; the narrow band is the 95 % interval. Beside it the paired difference to {found.baseline}."
    )
    cards = (
        Figure(
            "contexts judged",
            f"{by_model[best][c.N]:,}",
            _left_out(by_model[best]),
        ),
        Figure("days", f"{len(days)}", f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]}"),
        Figure("countries", f"{len(places)}", findings.listed(places)),
        Figure("models compared", f"{len(found.models)}", "baselines included"),
    )
    parts = (
        Words(verdict(found, best), lead=True), *((words,) if words.text else ()),
        *((Words(f"Models {fewer}."),) if fewer else ()),
        Standings(_standings(found, by_model), top, caption), Figures(cards),
    )  # fmt: skip
    return Section("Summary", parts)


def _left_out(row: Mapping[str, Any]) -> str:
    return f"{row[c.N_EXCLUDED]:,} more without a watched title" if row[c.N_EXCLUDED] else ""


def _standings(found: Judged, by_model: Mapping[str, Mapping[str, Any]]) -> list[Standing]:
    to_baseline = {
        name: findings.turned(found.pairs, name).get(found.baseline) for name in found.models if name in by_model
    }
    lines = []
    for name, row in to_baseline.items():
        one, mark = by_model[name], sureness(row) if row else None
        note = "the baseline" if name == found.baseline else "an order by chance" if name == RANDOM else ""
        if row and name != RANDOM:
            gain = f"{style.signed(row['difference'])} {findings.between(row, sign=True)}".rstrip()
            note = f"{gain}, {findings.says(row)}"
        text = f"{one[c.VALUE]:.3f} {findings.between(one)}".rstrip()
        lines.append(
            Standing(
                name, one[c.VALUE], one[c.LOW], one[c.HIGH], text, note, mark if row and name != RANDOM else None,
                quiet=name in BASELINES,
            )
        )  # fmt: skip
    return lines


def verdict(found: Judged, best: str) -> str:
    """The best model against the baseline, how sure that is, and against which models none is shown."""
    by_model = {row[c.MODEL]: row for row in found.values()}
    to_best = findings.turned(found.pairs, best)
    return findings.headline(by_model, to_best, best=best, baseline=found.baseline, metric=found.metric)


def models_section(lake: Lake, found: Judged) -> Section:
    whole, order = found.whole, found.models
    shown = model_plots.shown_metrics(whole)
    ranks = gather.positive_ranks(lake, found.partitions)
    judged_alone = [name for name in order if name != RANDOM]
    told = list(dict.fromkeys([order[0], *(name for name in (found.baseline, RANDOM) if name in order)]))
    names = list(dict.fromkeys((row[c.METRIC], row[c.CUTOFF]) for row in shown.to_pylist()))
    parts: list[Part] = [
        Picture(
            model_plots.metrics_plot(whole, order=order, baseline=found.baseline),
            f"Each model's value inside its 95 % interval (bootstrap by profile); the dashed line is {found.baseline}. "
            + "; ".join(f"{glossary.spoken(*one)}: {glossary.says(*one)}" for one in names) + ".",
            metrics_table(shown), title=findings.firsts(shown.to_pylist(), judged_alone),
        ),
        Picture(
            comparison.pairs_plot(found.pairs, metric=found.metric, order=order),
            "Paired differences: both models are weighed by the same draws of profiles, so what all models find hard cancels. "
            "Sure: at most a chance of 5 % that any coloured pair is wrong (Holm's correction); very sure: of 0.1 %.",
            _difference_rows(found.pairs), title=findings.pairs(found.pairs), key=_KEY,
        ),
        Picture(
            model_plots.scores_plot(ranks, order=order),
            "The share of watched titles that stood on a rank or higher up, in the full candidate set; the rank is logarithmic.",
            title=findings.ranks(ranks.to_pylist(), told),
        ),
    ]  # fmt: skip
    if len({partition.day for partition in found.partitions}) > 1:
        rows = by_day(lake, found)
        parts.append(
            Picture(
                comparison.days_plot(rows, metric=found.metric, order=order), "With 95 % bands.",
                compact(rows.select([c.DATE, c.MODEL, c.VALUE, c.LOW, c.HIGH, c.N]), rows=2_000),
                title=findings.winners(rows.to_pylist(), c.DATE, "days", models=judged_alone),
            )
        )  # fmt: skip
    return Section("Models", tuple(parts))


def slices_section(found: Judged) -> Section:
    rows = against_baseline(found)
    countries = [row for row in found.values(by=c.COUNTRY) if row[c.MODEL] not in (CEILING, RANDOM)]
    judged_here = [row for row in countries if findings.between(row)]
    small = sorted({row[c.SLICE_VALUE] for row in countries} - {row[c.SLICE_VALUE] for row in judged_here})
    best = next((name for name in found.models if name not in (found.baseline, RANDOM)), found.models[0])
    left_out = f" Left out, with too few contexts for a verdict: {findings.listed(small)}." if small else ""
    names = (c.SLICE_VALUE, c.MODEL, c.VALUE, c.LOW, c.HIGH, c.N)
    return Section(
        "Slices",
        (
            Picture(
                comparison.slices_plot(rows, metric=found.metric, versus=found.baseline, order=found.models),
                "Colour is how sure a difference is, not its size: with Holm's correction the chance that any coloured cell is "
                "wrong is at most 5 %.",
                _difference_rows(rows), title=findings.slices(rows, model=best, versus=found.baseline), key=_KEY,
            ),
            Picture(
                comparison.countries_plot(countries, metric=found.metric, order=found.models),
                f"Each country by itself, the one with most contexts first, with 95 % intervals.{left_out}",
                compact(pa.Table.from_pylist([{name: row[name] for name in names} for row in countries]), rows=500)
                if countries else (),
                title=findings.winners(judged_here, c.SLICE_VALUE, "countries", models=found.models),
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
    coverage = found.whole.filter(pc.field(c.METRIC) == "coverage")
    listed = found.whole.filter(pc.field(c.METRIC).isin(OF_LISTS) & (pc.field(c.CUTOFF) == LISTED))
    totals = {name: tally.totals for name, tally in shown.items()}
    parts: list[Part] = [
        Picture(
            comparison.long_tail_plot(totals, catalogue, coverage, order=found.models),
            f"Left: lists of {LISTED}; a curve that rises at once shows the same few titles to everybody. Right: by length "
            f"of the list. The catalogue holds {catalogue:,} titles.",
            compact(coverage.select([c.MODEL, c.CUTOFF, c.VALUE, c.LOW, c.HIGH]), rows=200),
            title=findings.coverage(coverage.to_pylist(), LISTED),
        )
    ]  # fmt: skip
    if listed.num_rows:
        names = dict.fromkeys(listed.column(c.METRIC).to_pylist())
        about = ". ".join(f"{glossary.spoken(name)}: {glossary.says(name, LISTED)}" for name in names)
        drawn = comparison.values_plot(listed, order=found.models)
        parts.append(
            Picture(
                drawn,
                f"{about}.",
                metrics_table(listed),
                title=f"What lists of {LISTED} are like besides right or wrong.",
            )
        )
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
    numbers = found.whole.filter(pc.field(c.METRIC).isin(["log_loss", *CALIBRATION.readings]))
    picture = Picture(
        comparison.reliability_plot(curves, order=found.models),
        "Each dot is a bin of candidates by the probability a model gave them: across what it promised, up what came true. "
        "Both axes are logarithmic; the diagonal is right; a dot's size grows with its candidates; an open dot at the foot is a "
        "bin of which nothing was watched.",
        metrics_table(numbers), title=findings.chances(numbers.to_pylist()),
    )  # fmt: skip
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
    title = "Each with its own scale and 95 % interval; which side is better, their declaration says."
    return Section(
        "Metrics of your own",
        (
            Picture(
                comparison.values_plot(rows, order=found.models),
                about or "As declared.",
                metrics_table(rows),
                title=title,
            ),
        ),
    )


def ageing_section(aged: Sequence[Mapping[str, Any]], first: date, order: Sequence[str] = ()) -> Section:
    """What models are worth when nobody trains them any more."""
    every = [row for row in aged if row[c.MODEL] != CEILING]
    judged_here = {row[c.COUNTRY] for row in every if findings.between(row)}
    small = sorted({row[c.COUNTRY] for row in every} - judged_here)
    rows = [row for row in every if row[c.COUNTRY] in judged_here] or every
    models = [name for name in order if name != RANDOM] or sorted({row[c.MODEL] for row in rows})
    words = (
        f"The models as of {first} on the contexts of each later date; features are those of the date, models stand still. "
        "last_played and random are never trained: where they move, the days differ."
        + (
            f" Left out, with too few contexts for a verdict: {findings.listed(small)}."
            if small and judged_here
            else ""
        )
    )
    drawn = paired.ageing_figure(rows, heading=spoken(rows[0][c.METRIC], rows[0][c.CUTOFF]), order=order)
    names = (c.COUNTRY, "age", c.MODEL, c.VALUE, c.LOW, c.HIGH, c.N)
    table = compact(pa.Table.from_pylist([{name: row[name] for name in names} for row in every]), rows=2_000)
    whole = [row for row in rows if row[c.COUNTRY] == "all"]
    title = "When nobody trains them any more: " + findings.winners(whole, "age", "days of age", models=models)
    return Section("Ageing", (Picture(style.svg(drawn), words, table, title=title),))


def rules_section(found: Judged) -> Section:
    """How the numbers came about, and what the words mean."""
    sums = found.sums
    return Section(
        "How it was judged",
        (
            Rows(rules.rules(sums.protocol, sums.evidence, replicates=sums.replicates)),
            Rows(rules.words(), folded="What the words mean"),
        ),
    )


def numbers_section(found: Judged) -> Section:
    """Every metric of every model, kind by kind, for those who want the digits."""
    rows = found.whole.to_pylist()
    models = [*found.models, CEILING]
    by_key = {(row[c.METRIC], row[c.CUTOFF], row[c.MODEL]): row for row in rows}
    names = sorted({(row[c.METRIC], row[c.CUTOFF]) for row in rows}, key=_place)
    about = (
        "Value [95 % interval], the best model by the main metric first; \u2191 higher is better, \u2193 lower is. Formulas: "
        "docs/metrics.md."
    )
    parts: list[Part] = [Words(about)]
    for kind in glossary.KINDS:
        lines = [
            {"metric": _pointed(name, k), "n": max(by_key[name, k, model][c.N] for model in models if (name, k, model) in by_key)}
            | {
                model: _value(by_key[name, k, model])
                for model in models
                if (name, k, model) in by_key and (model != CEILING or kind != glossary.LISTS)
            }
            for name, k in names
            if glossary.term(name).kind == kind
        ]  # fmt: skip
        if lines:
            parts.append(Rows(lines, folded=f"{kind}: {len(lines)} metric{'' if len(lines) == 1 else 's'}"))
    return Section("All numbers", tuple(parts), paper=False)  # wider than paper, and folded


def _pointed(metric: str, k: int) -> str:
    """Its name with an arrow to its better side."""
    arrow = {glossary.HIGHER: " \u2191", glossary.LOWER: " \u2193"}.get(glossary.term(metric).better, "")
    return metric_name({c.METRIC: metric, c.CUTOFF: k}) + arrow


def _place(metric: tuple[str, int]) -> tuple[int, str, int]:
    """In the order of the glossary, a metric's cut-offs side by side."""
    known = list(glossary.TERMS)
    return (known.index(metric[0]) if metric[0] in known else len(known), *metric)


def _value(row: Mapping[str, Any]) -> str:
    digits = 1 if abs(row[c.VALUE]) >= 100 else 3
    return f"{row[c.VALUE]:.{digits}f} {findings.between(row, digits) or '(no verdict)'}".replace("-", style.MINUS)


def _difference_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str | int | float]]:
    names = (
        "model_a",
        "model_b",
        c.SLICE,
        c.SLICE_VALUE,
        "difference",
        c.LOW,
        c.HIGH,
        c.DETECTABLE,
        "p_holm",
        c.N,
        "verdict",
    )
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
        made.insert(-1, ageing_section(aged, first, found.models))
    progress("done", 1.0)
    places = findings.listed(sorted({partition.place for partition in found.partitions}), most=12)
    about = f"{first} to {last}, in {places}. Made by rec-platform from what is published."
    return page("Recommendations, measured", about, made)


def _steps(lake: Lake, found: Judged, own: Own) -> Iterator[tuple[float, str, Callable[[], Section]]]:
    yield 0.2, "summary", lambda: summary(lake, found)
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
    yield 0.95, "rules", lambda: rules_section(found)
    yield 0.96, "numbers", lambda: numbers_section(found)
