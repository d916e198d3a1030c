"""Pictures of models beside each other: differences with their sureness, days, countries, the long tail.

As in `plots`, each function takes exactly the columns its docstring names and gives SVG text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rec_platform import columns as c
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.reports import style
from rec_platform.reports.plots import model_order

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]

#: Standard errors from 0 past which a difference is called sure, and very sure (two-sided 5 % and 0.1 %).
SURE: Final = 1.96
VERY_SURE: Final = 3.29
#: Slice values and countries drawn; the rest is left to tables.
MOST_ROWS: Final = 34
#: Points of a long curve.
_CURVE: Final = 120
#: Columns of a reliability curve, and the least probability drawn.
_CURVES: Final = ("candidates", "probability", "rate")
_FOOT: Final = 1e-5


def sureness(difference: float, low: float, high: float) -> int | None:
    """How sure a difference is: -2 very surely lower, -1 surely, 0 not shown, 1, 2; None without a verdict.

    The interval's half width is taken as 1.96 standard errors.

    >>> sureness(0.2, 0.1, 0.3), sureness(0.1, 0.05, 0.15), sureness(-0.01, -0.1, 0.08), sureness(0.1, float("nan"), 0)
    (2, 2, 0, None)
    """
    if not np.isfinite([difference, low, high]).all():
        return None
    if low <= 0 <= high:
        return 0
    error = (high - low) / (2 * SURE)
    strong = error == 0 or abs(difference) / error >= VERY_SURE
    return (2 if strong else 1) * (1 if difference > 0 else -1)


def pairs_plot(differences: Sequence[Row], *, metric: str) -> str:
    """Every model against every other in one metric: the row's model less the column's.

    Args:
        differences: model_a, model_b, difference, low, high: one row per pair in one order or the other.
        metric: for the title.
    """
    found = {(row["model_a"], row["model_b"]): row for row in differences}
    models = model_order(sorted({name for pair in found for name in pair}))
    cells = {
        (left, right): _seen_from(left, found.get((left, right)) or found.get((right, left)))
        for left in models
        for right in models
        if left != right
    }
    figure, (axes,) = style.panels(height=1.2 + 0.42 * max(len(models), 2))
    _grid(axes, models, models, cells)
    style.title(axes, f"{metric}: the row's model less the column's")
    if not models:
        style.nothing(axes, "no models to compare")
    return style.svg(figure)


def slices_plot(differences: Sequence[Row], *, metric: str, versus: str) -> str:
    """A heat map: for each slice value (rows) and model (columns), the difference to one baseline, coloured by sureness.

    Args:
        differences: model_a, slice, slice_value, difference, low, high, n; one row per model and slice value.
        metric, versus: for the title.
    """
    models = model_order(sorted({row["model_a"] for row in differences}))
    sizes: dict[tuple[str, str], int] = {}
    for row in differences:
        place = (row[c.SLICE], row[c.SLICE_VALUE])
        sizes[place] = max(sizes.get(place, 0), row[c.N])
    chosen = _ordered_slices(sizes)[:MOST_ROWS]
    names = [f"{_spoken(name)}: {value}   n {style.short(sizes[name, value])}" if name != "all"
             else f"all   n {style.short(sizes[name, value])}" for name, value in chosen]  # fmt: skip
    by_place = {(row[c.SLICE], row[c.SLICE_VALUE], row["model_a"]): row for row in differences}
    cells = {
        (text, model): _cell(by_place.get((*place, model)))
        for text, place in zip(names, chosen, strict=True)
        for model in models
    }
    figure, (axes,) = style.panels(height=1.1 + 0.27 * max(len(names), 3))
    _grid(axes, names, models, cells)
    hidden = len(sizes) - len(names)
    style.title(axes, f"{metric} less that of {versus}" + (f" ({hidden} small slices left out)" if hidden else ""))
    if not names:
        style.nothing(axes, "no slices")
    return style.svg(figure)


def days_plot(rows: pa.Table, *, metric: str) -> str:
    """One metric by date, a line per model with its 95 % band.

    Args:
        rows: date, model, value, low, high.
        metric: for the title.
    """
    figure, (axes,) = style.panels()
    style.title(axes, f"{metric} by date")
    models = model_order(sorted(set(rows.column(c.MODEL).to_pylist()) - {CEILING}))
    for model, colour in style.colour_of(models).items():
        mine = [row for row in rows.sort_by(c.DATE).to_pylist() if row[c.MODEL] == model]
        places = style.days(axes, [row[c.DATE] for row in mine])
        value, low, high = (np.array([row[name] for row in mine]) for name in (c.VALUE, c.LOW, c.HIGH))
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(places, value, color=colour, linewidth=1.8, marker="o", markersize=3.5, label=model)
    if models:
        axes.set_ylim(bottom=0)
        style.legend(axes)
    else:
        style.nothing(axes, "no metrics")
    return style.svg(figure)


def countries_plot(rows: Sequence[Row], *, metric: str) -> str:
    """One metric per country: each model's value with its 95 % interval; countries with most contexts first.

    Args:
        rows: slice_value (the country), model, value, low, high, n. Without an interval there is no verdict: an open circle.
        metric: for the title.
    """
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row[c.SLICE_VALUE]] = max(sizes.get(row[c.SLICE_VALUE], 0), row[c.N])
    chosen = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_ROWS]
    models = model_order(sorted({row[c.MODEL] for row in rows} - {CEILING}))
    colours = style.colour_of(models)
    figure, (axes,) = style.panels(height=1.3 + max(0.16 * len(models), 0.3) * max(len(chosen), 3))
    for row in rows:
        if row[c.SLICE_VALUE] in chosen and row[c.MODEL] in colours:
            shift = (models.index(row[c.MODEL]) - (len(models) - 1) / 2) * 0.8 / max(len(models), 1)
            _interval(axes, row, chosen.index(row[c.SLICE_VALUE]) + shift, colours[row[c.MODEL]])
    for model, colour in colours.items():
        axes.plot([], [], "o", color=colour, markersize=4.5, label=model)
    axes.set_yticks(range(len(chosen)), [f"{name}   n {style.short(sizes[name])}" for name in chosen])
    axes.set_ylim(max(len(chosen), 1) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.title(axes, f"{metric} by country")
    if chosen:
        axes.set_xlim(left=0)
        style.legend(axes)
    else:
        style.nothing(axes, "no countries")
    return style.svg(figure)


def long_tail_plot(shown: Mapping[str, Floats], catalogue: int, coverage: pa.Table) -> str:
    """How narrow lists are: the share of places that the most shown titles take, and coverage by cut-off.

    Args:
        shown: per model how often each title stood in a list, any order.
        catalogue: titles there are.
        coverage: model, k, value: the share of the catalogue in some list.
    """
    figure, (left, right) = style.panels(2, widths=(3, 2))
    colours = style.colour_of(model_order(sorted(shown)))
    for model, colour in colours.items():
        share = np.cumsum(np.sort(shown[model])[::-1]) / max(float(shown[model].sum()), 1e-12)
        ranks = np.unique(np.geomspace(1, len(share), _CURVE).round().astype(int)) if len(share) else np.array([], int)
        left.plot(ranks / max(catalogue, 1), share[ranks - 1], color=colour, linewidth=1.8, label=model)
        mine = [row for row in coverage.sort_by(c.CUTOFF).to_pylist() if row[c.MODEL] == model]
        right.plot([row[c.CUTOFF] for row in mine], [row[c.VALUE] for row in mine], color=colour, linewidth=1.8,
                   marker="o", markersize=3.5)  # fmt: skip
    style.title(left, "Share of places taken by the most shown titles")
    style.title(right, "Catalogue shown to somebody")
    if not shown:
        style.nothing(left, "no lists")
        style.nothing(right, "no lists")
        return style.svg(figure)
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
        style.percent(axes)
    left.set_xscale("log")
    style.percent_ticks(left)
    left.set_xlabel("share of the catalogue, most shown first")
    right.set_xlabel("length of the list")
    style.legend(left)
    return style.svg(figure)


def values_plot(rows: pa.Table) -> str:
    """A panel per metric, each with a scale of its own: every model's value with its 95 % interval.

    Args:
        rows: metric, k, model, value, low, high; metrics stand in the order of their rows.
    """
    listed = [row for row in rows.to_pylist() if row[c.MODEL] not in (CEILING, RANDOM)]
    names = list(dict.fromkeys((row[c.METRIC], row[c.CUTOFF]) for row in listed))
    models = model_order(sorted({row[c.MODEL] for row in listed}))
    figure, panels = style.panels(
        min(max(len(names), 1), 3), rows=-(-max(len(names), 1) // 3), height=1.0 + 0.26 * len(models)
    )
    for axes, name in zip(panels, names, strict=False):
        for row in listed:
            if (row[c.METRIC], row[c.CUTOFF]) == name:
                _interval(axes, row, models.index(row[c.MODEL]), style.PALETTE[0])
        axes.set_yticks(range(len(models)), models if axes in panels[::3] else [""] * len(models))
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.grid(axis="x", color=style.GRID)
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.1)
        style.title(axes, _spoken(name[0]) + (f"@{name[1]}" if name[1] else ""))
    for axes in panels[max(len(names), 1) :]:
        axes.set_visible(False)
    if not names:
        style.nothing(panels[0], "no metrics of lists")
    return style.svg(figure)


def reliability_plot(curves: Mapping[str, pa.Table]) -> str:
    """Promised against observed, both axes logarithmic, a colour per model.

    Args:
        curves: per model: candidates, probability (mean of the bin), rate (share of positives), a row per bin. Bins without
            a positive stand at the foot.
    """
    figure, (axes,) = style.panels(height=4.2)
    numbers = {name: tuple(table.column(one).to_numpy() for one in _CURVES) for name, table in curves.items()}
    seen = [value for _, probability, rate in numbers.values() for value in (*probability, *rate) if value > 0]
    least = 10 ** np.floor(np.log10(max(min(seen, default=0.01), _FOOT)))
    axes.plot([least, 1], [least, 1], color=style.FAINT, linewidth=1, linestyle="--")
    for name, colour in style.colour_of(model_order(sorted(numbers))).items():
        count, probability, rate = numbers[name]
        size = 12 + 90 * np.sqrt(count / max(count.max(initial=0), 1e-12))
        place = np.maximum(probability, least), np.maximum(rate, least)
        axes.plot(*place, color=colour, linewidth=1, alpha=0.5)
        axes.scatter(*place, s=size, color=colour, alpha=0.75, linewidth=0, label=name)
    for which in (axes.set_xscale, axes.set_yscale):
        which("log")
    axes.set_xlim(least * 0.8, 1.3)
    axes.set_ylim(least * 0.8, 1.3)
    style.title(axes, "Promised against observed")
    axes.set_xlabel("probability promised")
    axes.set_ylabel("share that was watched")
    if numbers:
        style.inner_legend(axes, "upper left")
    else:
        style.nothing(axes, "no probabilities")
    return style.svg(figure)


# --- pieces ----------------------------------------------------------------------------------------------------------


def _seen_from(left: str, row: Row | None) -> tuple[float, int | None]:
    """A pair's difference as the left model's less the other's."""
    value, sure = _cell(row)
    turned = row is not None and row["model_a"] != left
    return (-value, None if sure is None else -sure) if turned else (value, sure)


def _cell(row: Row | None) -> tuple[float, int | None]:
    if row is None:
        return float("nan"), None
    return row["difference"], sureness(row["difference"], row[c.LOW], row[c.HIGH])


def _grid(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], tuple[float, int | None]]
) -> None:
    """Cells with their numbers: blue above, orange below, deep where very sure, grey where nothing is shown."""
    for (row, column), (value, sure) in cells.items():
        x, y = columns.index(column), rows.index(row)
        colour = style.BLANK if sure is None else style.DIVERGING[sure + 2]
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, linewidth=0))
        text = "" if np.isnan(value) else f"{value:+.3f}" + (" ?" if sure is None else "")
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=style.FAINT if sure is None else style.INK)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", pad=2)
    axes.set_xlim(-0.5, max(len(columns), 1) - 0.5)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def _ordered_slices(sizes: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
    """The whole first, then slice by slice, inside one by size; the smallest slices are the ones left out."""
    kept = sorted(sizes, key=lambda place: (place[0] != "all", -sizes[place], place))[:MOST_ROWS]
    rest = [place for place in sizes if place not in kept]
    ordered = sorted(kept, key=lambda place: (place[0] != "all", place[0], -sizes[place], place[1]))
    return ordered + rest


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _interval(axes: Axes, row: Row, y: float, colour: str) -> None:
    sure = np.isfinite(row[c.LOW]) and np.isfinite(row[c.HIGH])
    if sure:
        axes.plot([row[c.LOW], row[c.HIGH]], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot([row[c.VALUE]], [y], "o", color=colour, markersize=4.5, markerfacecolor=colour if sure else "none")
