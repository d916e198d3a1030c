"""Pictures of stages, from raw plays to trained models: SVG text from a small table. `gather.py` makes the tables from the lake.

What models give is drawn in `model_plots`. Each function takes exactly the columns its docstring names, draws at most two
panels (a few more where models stand side by side), and gives under 100 KB.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY
from rec_platform.reports import style

Floats = npt.NDArray[np.float64]

#: Lines, strata or features drawn; the rest is left to tables.
MOST_LINES: Final = 6
MOST_STRATA: Final = 14
MOST_FEATURES: Final = 12
#: Rankers whose features are shown: two rows of panels, that of training contexts among them.
MOST_RANKERS: Final = 5
#: Days drawn as bars of their own.
MOST_BARS: Final = 62


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
        axes.barh(places + offset, style.numbers(chosen, measure), height=0.4, color=colour, label=label,
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
    axes.barh(places, style.numbers(chosen, "importance"), height=0.65, color=style.PALETTE[2])
    axes.set_yticks(places, chosen.column("feature").to_pylist(), fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.percent(axes, "x", ticks=4)
    style.title(axes, model)
    axes.set_xlabel("share of influence")


# --- pieces ----------------------------------------------------------------------------------------------------------


def _by_date(table: pa.Table, measures: Sequence[str]) -> tuple[list[date], dict[str, Floats]]:
    """Sums per date, ascending."""
    summed = table.group_by(c.DATE).aggregate([(measure, "sum") for measure in measures]).sort_by(c.DATE)
    return summed.column(c.DATE).to_pylist(), {measure: style.numbers(summed, f"{measure}_sum") for measure in measures}


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


def _tall(rows: int) -> float:
    """Height for so many labelled bars."""
    return max(style.HEIGHT, 1.2 + 0.26 * rows)
