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
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from rec_platform import columns as c
from rec_platform.evaluation.comparison import sureness
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.reports import style
from rec_platform.reports.glossary import direction, spoken
from rec_platform.reports.model_colours import coloured

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]

_COLOURS: Final = (
    "blue: surely better, orange: surely worse, deep: very sure (Holm's correction over all cells), grey: no difference shown, "
    "?: too few"
)
#: Slice values and countries drawn; the rest is left to tables.
MOST_ROWS: Final = 34
#: Cells of a heat map: a cell with its number is 250 bytes.
MOST_CELLS: Final = 360
#: Points of a long curve.
_CURVE: Final = 120
#: Columns of a reliability curve, and the least probability drawn.
_CURVES: Final = ("candidates", "probability", "rate")
_FOOT: Final = 1e-5


def pairs_plot(differences: Sequence[Row], *, metric: str, order: Sequence[str] = ()) -> str:
    """Every model against every other in one metric: the row's model less the column's.

    Args:
        differences: model_a, model_b, difference, verdict, p_holm: one row per pair in one order or the other.
        metric: for the title.
        order: as of `coloured`.
    """
    found = {(row["model_a"], row["model_b"]): row for row in differences}
    models = list(coloured({name for pair in found for name in pair}, order))
    cells = {
        (y, x): _seen_from(left, found.get((left, right)) or found.get((right, left)))
        for y, left in enumerate(models)
        for x, right in enumerate(models)
        if left != right
    }
    figure, (axes,) = style.panels(height=1.1 + 0.32 * max(len(models), 2))
    _grid(axes, range(len(models)), models, models, cells)
    style.title(axes, f"{metric}: the row's model less the column's")
    if not models:
        style.nothing(axes, "no models to compare")
    return style.svg(figure)


def slices_plot(
    differences: Sequence[Row], *, metric: str, versus: str, order: Sequence[str] = (), explained: bool = False
) -> str:
    """A heat map: for each slice value (rows) and model (columns), the difference to one baseline, coloured by sureness.

    Args:
        differences: model_a, slice, slice_value, difference, verdict, p_holm, n; one row per model and slice value.
        metric, versus: for the title.
        order: as of `coloured`.
        explained: whether what the colours mean stands under it; a page has a key of its own.
    """
    models = list(coloured({row["model_a"] for row in differences}, order))
    sizes: dict[tuple[str, str], int] = {}
    for row in differences:
        place = (row[c.SLICE], row[c.SLICE_VALUE])
        sizes[place] = max(sizes.get(place, 0), row[c.N])
    chosen = _ordered_slices(sizes, min(MOST_ROWS, MOST_CELLS // max(len(models), 1)))
    heads = [y == 0 or name != chosen[y - 1][0] for y, (name, _) in enumerate(chosen)]
    ys = np.arange(len(chosen)) + 0.35 * np.cumsum(heads)
    names = [
        "all" if name == "all" else f"{_spoken(name)}: {value}" if head else value
        for (name, value), head in zip(chosen, heads, strict=True)
    ]
    by_place = {(row[c.SLICE], row[c.SLICE_VALUE], row["model_a"]): row for row in differences}
    cells = {
        (y, x): _cell(by_place.get((*place, model))) for y, place in enumerate(chosen) for x, model in enumerate(models)
    }
    figure, (axes,) = style.panels(height=1.1 + 0.25 * max(float(ys.max(initial=0)) + 1, 3))
    _grid(axes, list(ys), names, models, cells, notes=[f"{sizes[place]:,}" for place in chosen])
    hidden = len(sizes) - len(names)
    style.title(axes, f"{metric} less that of {versus}" + (f" ({hidden} small slices left out)" if hidden else ""))
    if not names:
        style.nothing(axes, "no slices")
    elif explained:
        axes.set_xlabel(_COLOURS, fontsize=8, loc="left")
    return style.svg(figure)


def days_plot(rows: pa.Table, *, metric: str, order: Sequence[str] = ()) -> str:
    """One metric by date, a line per model with its 95 % band.

    Args:
        rows: date, model, value, low, high.
        metric: for the title.
        order: as of `coloured`.
    """
    figure, (axes,) = style.panels()
    style.title(axes, f"{metric} by date")
    colours = coloured(set(rows.column(c.MODEL).to_pylist()) - {CEILING}, order)
    for depth, (model, colour) in enumerate(colours.items()):
        mine = [row for row in rows.sort_by(c.DATE).to_pylist() if row[c.MODEL] == model]
        places = style.days(axes, [row[c.DATE] for row in mine], least=2)
        value, low, high = (np.array([row[name] for row in mine]) for name in (c.VALUE, c.LOW, c.HIGH))
        axes.fill_between(places, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(places, value, color=colour, linewidth=1.8, marker=style.mark(colours, model, len(mine)), markersize=3.5,
                  label=model, linestyle=style.dash(colours, model), zorder=3 - depth / 99)  # fmt: skip
    if colours:
        axes.set_ylim(bottom=0)
        style.legend(axes)
    else:
        style.nothing(axes, "no metrics")
    return style.svg(figure)


def countries_plot(rows: Sequence[Row], *, metric: str, order: Sequence[str] = ()) -> str:
    """One metric per country: each model's value with its 95 % interval; countries with most contexts first.

    A country in which no model has an interval is left out: a handful of contexts would only stretch the axis.

    Args:
        rows: slice_value (the country), model, value, low, high, n. Without an interval there is no verdict: an open circle.
        metric: for the title.
        order: as of `coloured`.
    """
    judged = {row[c.SLICE_VALUE] for row in rows if np.isfinite([row[c.LOW], row[c.HIGH]]).all()}
    rows = [row for row in rows if row[c.SLICE_VALUE] in judged]
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row[c.SLICE_VALUE]] = max(sizes.get(row[c.SLICE_VALUE], 0), row[c.N])
    chosen = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_ROWS]
    colours = coloured({row[c.MODEL] for row in rows} - {CEILING}, order)
    models = list(colours)
    figure, (axes,) = style.panels(height=1.3 + max(0.13 * len(models), 0.3) * max(len(chosen), 2))
    for y in range(1, len(chosen)):
        axes.axhline(y - 0.5, color=style.GRID, linewidth=0.8)
    for place, (model, colour) in enumerate(colours.items()):
        mine = [row for row in rows if row[c.SLICE_VALUE] in chosen and row[c.MODEL] == model]
        shift = (place - (len(models) - 1) / 2) * 0.8 / max(len(models), 1)
        ys = [chosen.index(row[c.SLICE_VALUE]) + shift for row in mine]
        _intervals(axes, mine, ys, colour, style.mark(colours, model))
    for model, colour in colours.items():
        axes.plot([], [], style.mark(colours, model), color=colour, markersize=4.5, label=model)
    axes.set_yticks(range(len(chosen)), [f"{name}, n {sizes[name]:,}" for name in chosen])
    axes.set_ylim(max(len(chosen), 1) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.title(axes, f"{metric} by country")
    if chosen:
        axes.set_xlim(left=0)
        style.legend(axes)
    else:
        style.nothing(axes, "no country with contexts enough for a verdict")
    return style.svg(figure)


def long_tail_plot(
    shown: Mapping[str, Floats], catalogue: int, coverage: pa.Table, *, order: Sequence[str] = ()
) -> str:
    """How narrow lists are: the share of places that the most shown titles take, and coverage by cut-off.

    Args:
        shown: per model how often each title stood in a list, any order.
        catalogue: titles there are.
        coverage: model, k, value: the share of the catalogue in some list.
        order: as of `coloured`.
    """
    figure, (left, right) = style.panels(2, widths=(3, 2))
    colours = coloured(shown, order)
    for model, colour in colours.items():
        share = np.cumsum(np.sort(shown[model])[::-1]) / max(float(shown[model].sum()), 1e-12)
        ranks = np.unique(np.geomspace(1, len(share), _CURVE).round().astype(int)) if len(share) else np.array([], int)
        left.plot(ranks / max(catalogue, 1), share[ranks - 1], color=colour, linewidth=1.8, label=model,
                  linestyle=style.dash(colours, model))  # fmt: skip
        mine = [row for row in coverage.sort_by(c.CUTOFF).to_pylist() if row[c.MODEL] == model]
        right.plot([row[c.CUTOFF] for row in mine], [row[c.VALUE] for row in mine], color=colour, linewidth=1.8,
                   marker=style.mark(colours, model), markersize=3.5, linestyle=style.dash(colours, model))  # fmt: skip
    style.title(left, "Places taken by the most shown titles")
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
    left.set_xlim(right=1.05)
    left.set_xlabel("share of the catalogue, most shown first")
    right.set_xlabel("length of the list, titles")
    style.legend(left)
    return style.svg(figure)


def values_plot(rows: pa.Table, *, order: Sequence[str] = ()) -> str:
    """A panel per metric, each with a scale of its own: every model's value with its 95 % interval.

    Args:
        rows: metric, k, model, value, low, high; metrics stand in the order of their rows.
        order: as of `coloured`.
    """
    listed = [row for row in rows.to_pylist() if row[c.MODEL] not in (CEILING, RANDOM)]
    names = list(dict.fromkeys((row[c.METRIC], row[c.CUTOFF]) for row in listed))
    models = list(coloured({row[c.MODEL] for row in listed}, order))
    across = 2 if len(names) in (2, 4) else min(max(len(names), 1), 3)
    figure, panels = style.panels(across, rows=-(-max(len(names), 1) // across), height=1.1 + 0.24 * len(models))
    for axes, name in zip(panels, names, strict=False):
        mine = [row for row in listed if (row[c.METRIC], row[c.CUTOFF]) == name]
        _intervals(axes, mine, [models.index(row[c.MODEL]) for row in mine], style.PALETTE[0])
        axes.set_yticks(range(len(models)), models if axes in panels[::across] else [""] * len(models))
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.grid(axis="x", color=style.GRID)
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.1)
        axes.set_xlabel(direction(name[0]), fontsize=8)
        style.title(axes, spoken(*name))
    for axes in panels[max(len(names), 1) :]:
        axes.set_visible(False)
    if not names:
        style.nothing(panels[0], "no metrics of lists")
    return style.svg(figure)


def reliability_plot(curves: Mapping[str, pa.Table], *, order: Sequence[str] = ()) -> str:
    """Promised against observed, both axes logarithmic, a colour per model.

    Args:
        curves: per model: candidates, probability (mean of the bin), rate (share of positives), a row per bin. Bins without
            a positive stand open at the foot.
        order: as of `coloured`.
    """
    figure, (axes,) = style.panels(height=4.2)
    numbers = {name: tuple(table.column(one).to_numpy() for one in _CURVES) for name, table in curves.items()}
    seen = [value for _, probability, rate in numbers.values() for value in (*probability, *rate) if value > 0]
    least = 10 ** np.floor(np.log10(max(min(seen, default=0.01), _FOOT)))
    axes.plot([least, 1], [least, 1], color=style.FAINT, linewidth=1, linestyle="--")
    colours = coloured(numbers, order)
    for name, colour in colours.items():
        marker = style.mark(colours, name)
        count, probability, rate = numbers[name]
        size = 12 + 90 * np.sqrt(count / max(count.max(initial=0), 1e-12))
        place = np.maximum(probability, least), np.maximum(rate, least)
        there = rate > 0
        axes.plot(place[0][there], place[1][there], color=colour, linewidth=1, alpha=0.5)
        axes.scatter(place[0][there], place[1][there], s=size[there], color=colour, alpha=0.75, linewidth=0, label=name,
                     marker=marker)  # fmt: skip
        axes.scatter(place[0][~there], place[1][~there], s=size[~there], edgecolor=colour, facecolor="none", linewidth=1,
                     marker=marker)  # fmt: skip
    for which in (axes.set_xscale, axes.set_yscale):
        which("log")
    axes.set_xlim(least * 0.8, 1.3)
    axes.set_ylim(least * 0.8, 1.3)
    for axis in "xy":
        style.percent_ticks(axes, axis)
    axes.grid(axis="x", color=style.GRID, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
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
    return row["difference"], sureness(row)


def _grid(
    axes: Axes, ys: Sequence[float], rows: Sequence[str], columns: Sequence[str],
    cells: Mapping[tuple[int, int], tuple[float, int | None]], notes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Cells with their numbers: blue above, orange below, deep where very sure, grey where nothing is shown.

    Args:
        ys, rows: where each row stands, and its name.
        cells: by row and column.
        notes: n of each row, at its end; none for none.
    """
    shapes: dict[str, list[Path]] = {}
    for (row, x), (value, sure) in cells.items():
        y = ys[row]
        shapes.setdefault(style.BLANK if sure is None else style.DIVERGING[sure + 2], []).append(_cell_at(x, y))
        text = "" if np.isnan(value) else style.signed(value) + (" ?" if sure is None else "")
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=style.FAINT if sure is None else style.INK)
    for colour, paths in shapes.items():  # cells of a colour are one path: half the bytes
        axes.add_patch(PathPatch(Path.make_compound_path(*paths), color=colour, linewidth=0))
    end = max(len(columns), 1) - 0.45
    for y, note in zip(ys, notes, strict=False):
        axes.text(end, y, note, va="center", fontsize=8, color=style.FAINT)
    if notes:
        axes.text(end, ys[0] - 0.62, "n", va="bottom", fontsize=9, color=style.FAINT)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(list(ys), rows)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", pad=2)
    axes.set_xlim(-0.5, max(len(columns), 1) - 0.5)
    axes.set_ylim((ys[-1] if len(ys) else 0) + 0.5, (ys[0] if len(ys) else 0) - 0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def _cell_at(x: float, y: float) -> Path:
    return Path.unit_rectangle().transformed(Affine2D().scale(0.96, 0.92).translate(x - 0.48, y - 0.46))


def _ordered_slices(sizes: Mapping[tuple[str, str], int], most: int) -> list[tuple[str, str]]:
    """The whole first, then slice by slice, inside one by size; the smallest slices are the ones left out."""
    kept = sorted(sizes, key=lambda place: (place[0] != "all", -sizes[place], place))[:most]
    return sorted(kept, key=lambda place: (place[0] != "all", place[0], -sizes[place], place[1]))


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _intervals(axes: Axes, rows: Sequence[Row], ys: Sequence[float], colour: str, marker: str = "o") -> None:
    """A dot inside its interval for each row; an open one without an interval. All of a colour are one shape, as bytes go."""
    value, low, high = (np.array([row[name] for row in rows], dtype=np.float64) for name in (c.VALUE, c.LOW, c.HIGH))
    y, sure = np.asarray(ys, dtype=np.float64), np.isfinite(low) & np.isfinite(high)
    gap = np.full(int(sure.sum()), np.nan)
    across, up = (np.stack(ends, axis=1).ravel() for ends in ((low[sure], high[sure], gap), (y[sure], y[sure], gap)))
    axes.plot(across, up, color=colour, linewidth=1.4, solid_capstyle="butt")
    for which, inside in ((sure, colour), (~sure, "none")):
        axes.plot(value[which], y[which], marker, color=colour, markersize=4.5, markerfacecolor=inside)
