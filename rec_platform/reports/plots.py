"""One picture per stage: SVG text from a small table. `gather.py` makes the tables from the lake.

Each function takes exactly the columns its docstring names, draws at most two panels, and gives under 100 KB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.reports import style
from rec_platform.reports.glossary import LOWER, spoken, term

Floats = npt.NDArray[np.float64]

#: Lines, strata or features drawn; the rest is left to tables.
MOST_LINES: Final = 6
MOST_STRATA: Final = 14
MOST_FEATURES: Final = 12
#: Rankers whose features are shown: two rows of panels, that of training contexts among them.
MOST_RANKERS: Final = 5
#: Days drawn as bars of their own.
MOST_BARS: Final = 62
#: Points drawn of a long curve.
_CURVE: Final = 200


def raw_plays_plot(counts: pa.Table) -> str:
    """Rows by date, stacked: accepted, duplicates, quarantined.

    Args:
        counts: date, accepted, duplicates, quarantined; several rows of a date (countries) are added up.
    """
    figure, (axes,) = style.panels()
    kinds = ("accepted", "duplicates", "quarantined")
    dates, sums = _by_date(counts, kinds)
    _stacked(axes, dates, sums, dict(zip(kinds, (style.PALETTE[0], style.PALETTE[1], style.PALETTE[5]), strict=True)))
    style.title(axes, "Delivered rows by date of play")
    return style.svg(figure)


def reference_plot(growth: pa.Table) -> str:
    """Titles and profiles known so far, by date.

    Args:
        growth: what (titles, profiles), date, new. Those known before 1990 (since ever) count from the first later day.
    """
    figure, panels = style.panels(2)
    for axes, what, colour in zip(panels, ("titles", "profiles"), style.PALETTE, strict=False):
        dates, sums = _by_date(growth.filter(pc.equal(growth.column("what"), what)), ("new",))
        total = np.cumsum(sums["new"])
        shown = [place for place, day in enumerate(dates) if day >= FIRST_DAY]
        if shown:
            _dated_line(axes, [dates[place] for place in shown], total[shown], colour)
        else:
            style.nothing(axes, f"{int(total[-1]):,} known since ever" if len(total) else "no rows")
        axes.set_ylim(bottom=0)
        style.counted(axes)
        style.title(axes, f"{what.capitalize()} known by date")
    return style.svg(figure)


def facts_plot(counts: pa.Table) -> str:
    """Plays by date beside the share of them that engaged.

    Args:
        counts: date, plays, engaged; several rows of a date are added up.
    """
    figure, (plays, share) = style.panels(2)
    dates, sums = _by_date(counts, ("plays", "engaged"))
    _stacked(plays, dates, {"plays": sums["plays"]}, {"plays": style.PALETTE[0]})
    style.title(plays, "Plays by date")
    engaged = np.divide(sums["engaged"], sums["plays"], out=np.full(len(dates), np.nan), where=sums["plays"] > 0)
    style.title(share, "Engaged, share of plays")
    _share_line(share, dates, engaged, style.PALETTE[2], top=1.0)
    return style.svg(figure)


def feature_snapshots_plot(rows: pa.Table) -> str:
    """Profiles and titles with a snapshot, by date, a line for each of the six largest countries.

    Args:
        rows: date, country, profiles, titles.
    """
    figure, panels = style.panels(2)
    shown = _largest(rows, "profiles")
    for axes, measure in zip(panels, ("profiles", "titles"), strict=True):
        for country, colour in style.colour_of(shown).items():
            dates, sums = _by_date(rows.filter(pc.equal(rows.column(c.COUNTRY), country)), (measure,))
            _dated_line(axes, dates, sums[measure], colour, label=country)
        axes.set_ylim(bottom=0)
        style.counted(axes)
        style.title(axes, f"{measure.capitalize()} in the snapshot")
    if not shown:
        style.nothing(panels[0], "no rows")
    else:
        style.legend(panels[1])
    return style.svg(figure)


def training_sets_plot(strata: pa.Table, days: pa.Table) -> str:
    """Contexts per stratum before and after sampling, and the share of positives among items by date.

    Args:
        strata: stratum, before, kept. Before is estimated as kept / inclusion probability.
        days: date, items, positives; several rows of a date are added up.
    """
    figure, (left, right) = style.panels(2, height=_tall(min(strata.num_rows, MOST_STRATA)), widths=(3, 2))
    _strata(left, strata)
    dates, sums = _by_date(days, ("items", "positives"))
    label = np.divide(sums["positives"], sums["items"], out=np.full(len(dates), np.nan), where=sums["items"] > 0)
    style.title(right, "Positives, share of items")
    _share_line(right, dates, label, style.PALETTE[5], top=float(np.nanmax(label, initial=0.01)) * 1.12)
    return style.svg(figure)


def _strata(axes: Axes, strata: pa.Table) -> None:
    chosen = strata.sort_by([("before", "descending"), (c.STRATUM, "ascending")]).slice(0, MOST_STRATA)
    names = [str(name) for name in chosen.column(c.STRATUM).to_pylist()]
    places = np.arange(len(names))[::-1]
    for offset, measure, colour in ((0.2, "before", style.GRID), (-0.2, "kept", style.PALETTE[0])):
        label = {"before": "before sampling", "kept": "kept"}[measure]
        axes.barh(places + offset, _numbers(chosen, measure), height=0.4, color=colour, label=label,
                  edgecolor=style.FAINT if measure == "before" else "none", linewidth=0.6)  # fmt: skip
    axes.set_yticks(places, names)
    axes.set_ylim(min(-0.6, len(names) - 6), len(names) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.counted(axes, "x")
    hidden = strata.num_rows - len(names)
    style.title(axes, "Contexts per stratum" + (f" (largest {len(names)} of {strata.num_rows})" if hidden else ""))
    if names:
        style.inner_legend(axes, "lower right")
    else:
        style.nothing(axes, "no contexts")


def candidate_models_plot(fits: pa.Table) -> str:
    """Plays each model was fitted on, by as-of date.

    Args:
        fits: date, model, plays.
    """
    figure, (axes,) = style.panels()
    models = sorted(set(fits.column(c.MODEL).to_pylist()))
    for model, colour in style.colour_of(models).items():
        dates, sums = _by_date(fits.filter(pc.equal(fits.column(c.MODEL), model)), ("plays",))
        _dated_line(axes, dates, sums["plays"], colour, label=model)
    axes.set_ylim(bottom=0)
    style.counted(axes)
    style.title(axes, "Plays a model was fitted on, by as-of date")
    if models:
        style.legend(axes)
    else:
        style.nothing(axes, "no models")
    return style.svg(figure)


def ranker_models_plot(fits: pa.Table, importances: pa.Table) -> str:
    """Training days and contexts by as-of date, and what moves the scores of the newest models, `MOST_RANKERS` of them.

    Args:
        fits: date, days, contexts: training days read and contexts learned from.
        importances: model, feature, importance: shares that add up to 1 per model.
    """
    models = sorted(set(importances.column(c.MODEL).to_pylist()))[:MOST_RANKERS]
    wanted = 1 + max(len(models), 1)
    rows, height = -(-wanted // 3), _tall(MOST_FEATURES if models else 6)
    figure, panels = style.panels(min(wanted, 3), rows=rows, height=height)
    for axes in panels[wanted:]:
        axes.set_visible(False)
    dates, sums = _by_date(fits, ("contexts",))
    _stacked(panels[0], dates, sums, {"contexts": style.PALETTE[0]}, most=2)
    style.title(panels[0], "Training contexts")
    for axes, model in zip(panels[1:], models, strict=False):
        _importances(axes, model, importances.filter(pc.equal(importances.column(c.MODEL), model)))
    if not models:
        style.nothing(panels[1], "baselines only: too few usable days")
    return style.svg(figure)


def _importances(axes: Axes, model: str, importances: pa.Table) -> None:
    chosen = importances.sort_by([("importance", "descending"), ("feature", "ascending")]).slice(0, MOST_FEATURES)
    places = np.arange(chosen.num_rows)[::-1]
    axes.barh(places, _numbers(chosen, "importance"), height=0.65, color=style.PALETTE[2])
    axes.set_yticks(places, chosen.column("feature").to_pylist(), fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.percent(axes, "x", ticks=4)
    style.title(axes, model)
    axes.set_xlabel("share of influence")


def scores_plot(ranks: pa.Table, *, order: Sequence[str] = ()) -> str:
    """Per model, the share of positives that stand on rank r or better, r on a logarithmic axis.

    Args:
        ranks: model, rank (from 1), share: one row per model and rank drawn. Unreachable positives are in the
            denominator, so a curve may end below 1.
        order: as of `coloured`; without one, models that find more at every rank stand first.
    """
    figure, (axes,) = style.panels()
    style.title(axes, "Watched titles found up to a rank")
    found = ranks.group_by(c.MODEL).aggregate([("share", "sum")]).to_pylist()
    by_share = sorted(found, key=lambda row: (-row["share_sum"], row[c.MODEL]))
    colours = coloured(ranks.column(c.MODEL).to_pylist(), order or [row[c.MODEL] for row in by_share])
    if not colours:
        style.nothing(axes, "no positives")
        return style.svg(figure)
    for depth, (model, colour) in enumerate(colours.items()):
        chosen = ranks.filter(pc.equal(ranks.column(c.MODEL), model)).sort_by(c.RANK)
        axes.plot(_numbers(chosen, c.RANK), _numbers(chosen, "share"), color=colour, linewidth=1.8, label=model,
                  linestyle=style.dash(colours, model), zorder=3 - depth / 99)  # fmt: skip
    style.logarithmic(axes, float(pc.max(ranks.column(c.RANK)).as_py()))
    axes.set_ylim(0, 1.02)
    style.percent(axes)
    axes.set_xlabel("rank in the whole candidate set")
    style.inner_legend(axes, "upper left")
    return style.svg(figure)


def metrics_plot(metrics: pa.Table, *, order: Sequence[str] = (), baseline: str = "popularity") -> str:
    """Models x metrics: a tick at the value inside its 95 % interval; an open circle has no interval (no verdict).

    The ceiling of the candidate set, the best any order could reach, stands under each panel in figures. A dashed line goes
    through the baseline's value.

    Args:
        metrics: rows of the table `metrics` (slice `all`), one per model and metric shown: model, metric, k, value, low,
            high, n.
        order: as of `coloured`.
    """
    names = _metric_names(metrics)
    models = list(coloured(set(metrics.column(c.MODEL).to_pylist()) - {CEILING}, order))
    figure, panels = style.panels(max(len(names), 1), height=1.5 + 0.34 * max(len(models), 4))
    places = dict(zip(models, range(len(models))[::-1], strict=True))
    for axes, (metric, k) in zip(panels, names, strict=False):
        mask = pc.and_(pc.equal(metrics.column(c.METRIC), metric), pc.equal(metrics.column(c.CUTOFF), k))
        _ticks(axes, metrics.filter(mask), places, baseline)
        style.title(axes, spoken(metric, k))
        axes.set_yticks(list(places.values()), list(places) if axes is panels[0] else [""] * len(places))
        axes.set_ylim(-0.6, len(places) - 0.25)
    if not names:
        style.nothing(panels[0], "no metrics")
    return style.svg(figure)


def shown_metrics(metrics: pa.Table) -> pa.Table:
    """The rows of `metrics` that the picture shows, metric by metric."""
    parts = [
        metrics.filter((pc.field(c.METRIC) == name) & (pc.field(c.CUTOFF) == k)) for name, k in _metric_names(metrics)
    ]
    return pa.concat_tables(parts) if parts else metrics


def _ticks(axes: Axes, rows: pa.Table, places: dict[str, int], baseline: str) -> None:
    for row in rows.to_pylist():
        if row[c.MODEL] == CEILING:
            if better := term(row[c.METRIC]).better:  # where nothing is better than anything there is no best either
                axes.set_xlabel(f"ceiling {row[c.VALUE]:.3f}" + (", lower is better" if better == LOWER else ""))
            continue
        if row[c.MODEL] == baseline:
            axes.axvline(row[c.VALUE], color=style.FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        sure = np.isfinite(row[c.LOW]) and np.isfinite(row[c.HIGH])
        y, colour = places[row[c.MODEL]], style.PALETTE[0]
        if sure:
            axes.plot([row[c.LOW], row[c.HIGH]], [y, y], color=colour, linewidth=5, alpha=0.4, solid_capstyle="butt")
        marker: dict[str, Any] = (
            {"marker": "|", "markersize": 11, "markeredgewidth": 2.0} if sure else {"marker": "o", "markersize": 5}
        )
        axes.plot([row[c.VALUE]], [y], color=colour, markerfacecolor="none", clip_on=False, **marker)
        axes.annotate(f"{row[c.VALUE]:.3f}", (row[c.VALUE], y), xytext=(0, 6.5), textcoords="offset points", fontsize=7.5,
                      ha="center", color=style.INK,
                      bbox={"facecolor": style.CARD, "edgecolor": "none", "pad": 0.6})  # fmt: skip
    axes.grid(axis="x", color=style.GRID)
    axes.locator_params(axis="x", nbins=3)
    axes.margins(x=0.16)
    axes.set_xlim(left=0)


def _metric_names(metrics: pa.Table) -> list[tuple[str, int]]:
    """At most five metrics, each with its second smallest cut-off, the usual ones first."""
    cuts: dict[str, set[int]] = {}
    for metric, k in zip(metrics.column(c.METRIC).to_pylist(), metrics.column(c.CUTOFF).to_pylist(), strict=True):
        cuts.setdefault(metric, set()).add(k)
    usual = ["nmrr", "ndcg", "recall", "hit_rate", "coverage"]
    ordered = sorted(cuts, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    return [(name, sorted(cuts[name])[min(1, len(cuts[name]) - 1)]) for name in ordered[:5]]


def recommendations_plot(shown: pa.Table, catalogue: int) -> str:
    """How recommendations spread over titles: the share of all rows that the most shown titles take together.

    Args:
        shown: title_id, lists: the lists that hold each title.
        catalogue: titles there are; 0 where it is not known.
    """
    figure, (axes,) = style.panels()
    lists = np.sort(_numbers(shown, "lists"))[::-1]
    of = f" of {catalogue:,} ({100 * len(lists) / catalogue:.0f} %)" if catalogue else ""
    style.title(axes, f"Share of recommendations by title; titles shown: {len(lists):,}{of}")
    if not len(lists):
        style.nothing(axes, "no recommendations")
        return style.svg(figure)
    share = np.cumsum(lists) / lists.sum()
    ranks = np.unique(np.geomspace(1, len(lists), _CURVE).round().astype(int))
    axes.fill_between(ranks, share[ranks - 1], color=style.PALETTE[0], alpha=0.12, linewidth=0)
    axes.plot(ranks, share[ranks - 1], color=style.PALETTE[0], linewidth=2)
    _halfway(axes, share)
    axes.set_ylim(0, 1.02)
    style.percent(axes)
    style.logarithmic(axes, len(lists))
    axes.set_xlabel("titles, the most shown first")
    return style.svg(figure)


def _halfway(axes: Axes, share: Floats) -> None:
    """A dot where half of all recommendations is reached, with its number of titles."""
    half = int(np.searchsorted(share, 0.5)) + 1
    axes.plot([half], [share[half - 1]], "o", color=style.PALETTE[5], markersize=6, clip_on=False)
    right = half > np.sqrt(len(share))
    axes.annotate(f"half of all recommendations: {half} title{'s' if half > 1 else ''}", (half, share[half - 1]),
                  xytext=(-10 if right else 10, 6 if right else -12), textcoords="offset points", color=style.INK,
                  ha="right" if right else "left")  # fmt: skip


# --- pieces ----------------------------------------------------------------------------------------------------------


def _numbers(table: pa.Table, name: str) -> Floats:
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def _by_date(table: pa.Table, measures: Sequence[str]) -> tuple[list[date], dict[str, Floats]]:
    """Sums per date, ascending."""
    summed = table.group_by(c.DATE).aggregate([(measure, "sum") for measure in measures]).sort_by(c.DATE)
    return summed.column(c.DATE).to_pylist(), {measure: _numbers(summed, f"{measure}_sum") for measure in measures}


def _largest(rows: pa.Table, measure: str) -> list[str]:
    """The countries with most of a measure, largest first."""
    sums = rows.group_by(c.COUNTRY).aggregate([(measure, "sum")])
    ordered = sums.sort_by([(f"{measure}_sum", "descending"), (c.COUNTRY, "ascending")])
    return [str(name) for name in ordered.column(c.COUNTRY).to_pylist()[:MOST_LINES]]


def _stacked(
    axes: Axes, dates: list[date], sums: dict[str, Floats], colours: dict[str, str], *, most: int = style.MOST_DATES
) -> None:
    """Stacked bars, one a day; past `MOST_BARS` days one outline per kind, since a shape per bar would be 200 KB.

    At most `most` of the days are labelled.
    """
    places = style.days(axes, dates, most=most)
    base = np.zeros(len(dates))
    for name, colour in colours.items():
        if len(dates) <= MOST_BARS:
            axes.bar(places, sums[name], bottom=base, width=0.82, color=colour, label=name, linewidth=0)
        else:
            _outline(axes, places, base, base + sums[name], colour, name)
        base = base + sums[name]
    style.counted(axes)
    axes.set_ylim(0, max(1.0, float(base.max(initial=0)) * 1.08))
    if not dates:
        style.nothing(axes, "no partitions")
    elif len(colours) > 1:
        style.legend(axes)


def _outline(axes: Axes, places: Floats, low: Floats, high: Floats, colour: str, label: str) -> None:
    """Bars that touch, as one shape; days without a row stay empty."""
    every = np.arange(places[0], places[-1] + 1)
    rows = (places - places[0]).astype(int)
    bottom, top = np.zeros(len(every)), np.zeros(len(every))
    bottom[rows], top[rows] = low, high
    axes.fill_between(every, bottom, top, step="mid", color=colour, label=label, linewidth=0)


def _dated_line(axes: Axes, dates: list[date], values: Floats, colour: str, **more: Any) -> None:
    axes.plot(
        style.days(axes, dates),
        values,
        color=colour,
        linewidth=1.8,
        marker=style.dots(len(dates)),
        markersize=3.5,
        **more,
    )


def _share_line(axes: Axes, dates: list[date], share: Floats, colour: str, *, top: float) -> None:
    if not dates:
        style.nothing(axes, "no partitions")
        return
    _dated_line(axes, dates, share, colour)
    axes.set_ylim(0, top)
    style.percent(axes)


def model_order(models: Sequence[str]) -> list[str]:
    """Baselines last, so that what is compared with them stands above."""
    baselines = ["popularity", "last_played", RANDOM]
    return sorted(models, key=lambda name: (baselines.index(name) + 1 if name in baselines else 0, name))


def coloured(models: Iterable[str], order: Sequence[str] = ()) -> dict[str, str]:
    """The models in an order, each with its colour, the same in every picture that is given the same order.

    Args:
        models: those drawn.
        order: all models there are, as they should stand; those not named stand behind, by `model_order`.

    >>> list(coloured(["random", "b", "popularity", "a"], ["b"]))
    ['b', 'a', 'popularity', 'random']
    """
    drawn = set(models)
    every = [*order, *model_order(sorted(drawn - set(order)))]
    colours = style.colour_of([name for name in every if name != RANDOM]) | {RANDOM: style.FAINT}
    return {name: colours[name] for name in every if name in drawn}


def _tall(rows: int) -> float:
    """Height for so many labelled bars."""
    return max(style.HEIGHT, 1.2 + 0.26 * rows)
