"""Pictures of a comparison of two models, and of models that age: figures to be saved as SVG or PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rec_platform import columns as c
from rec_platform.errors import ConfigError
from rec_platform.evaluation.comparison import sureness
from rec_platform.reports import style
from rec_platform.reports.model_colours import coloured

Row = Mapping[str, Any]
SURE, UNSURE = "#0072B2", "#8a8f98"
#: Panels of a picture of ageing, and curves on all of them.
MOST_PANELS = 6
MOST_CURVES = 36


def differences_figure(rows: Sequence[Row], *, heading: str) -> Figure:
    """Each difference with its 95 % interval against 0; sure ones (`sureness`) are coloured, no verdict is open.

    Args:
        rows: label, difference, low, high, n, verdict, p_holm; top to bottom. Those that go beyond 1 (ranks, counts) have a
            panel, and a scale, of their own.
        heading: the title.
    """
    wide = [any(abs(row[name]) > 1 for name in ("difference", c.LOW, c.HIGH)) for row in rows]
    parts = [[row for row, one in zip(rows, wide, strict=True) if one is which] for which in (False, True)]
    drawn = [part for part in parts if part] or [[]]
    tall = [1.3 + 0.3 * max(len(part), 3 if part is drawn[0] else 1) for part in drawn]
    figure, panels = style.panels(rows=len(drawn), height=sum(tall) / len(drawn))
    if grid := panels[0].get_gridspec():
        grid.set_height_ratios(tall)
    for axes, part in zip(panels, drawn, strict=True):
        _differences(axes, part)
    style.title(panels[0], heading)
    if not rows:
        style.nothing(panels[0], "nothing to compare")
    return figure


def _differences(axes: Axes, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        low, high = row[c.LOW], row[c.HIGH]
        colour = SURE if sureness(row) else UNSURE
        if np.isfinite(low):
            axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot(
            [row["difference"]], [place], "o", color=colour, markersize=6,
            markerfacecolor=colour if np.isfinite(low) else "none",
        )  # fmt: skip
    axes.axvline(0, color=UNSURE, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{row['label']}   n {row[c.N]:,}" for row in rows])
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def ageing_figure(rows: Sequence[Row], *, heading: str, order: Sequence[str] = ()) -> Figure:
    """A metric by age of the models in days: a panel per country, the largest ones, and a line per model with its 95 % band.

    Args:
        rows: country, model, age, value, low, high, n.
        heading: the title's beginning.
        order: as of `coloured`.
    """
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row[c.COUNTRY]] = sizes.get(row[c.COUNTRY], 0) + row[c.N]
    colours = coloured({row[c.MODEL] for row in rows}, order)
    most = min(MOST_PANELS, max(2, MOST_CURVES // max(len(colours), 1)))
    places = sorted(sizes, key=lambda name: (name != "all", -sizes[name], name))[:most]
    columns = min(max(len(places), 1), 2)
    figure, panels = style.panels(columns, rows=-(-max(len(places), 1) // columns))
    for axes, place in zip(panels, places, strict=False):
        for model, colour in colours.items():
            mine = sorted((row for row in rows if row[c.COUNTRY] == place and row[c.MODEL] == model), key=_age)
            age, value, low, high = (np.array([row[name] for row in mine]) for name in ("age", c.VALUE, c.LOW, c.HIGH))
            axes.fill_between(age, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(age, value, color=colour, linewidth=1.8, marker=style.mark(colours, model, 3 * len(mine)), markersize=3.5,
                      label=model, linestyle=style.dash(colours, model))  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlabel("age of the models in days")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len({row["age"] for row in rows}) == 1:  # else ticks stand at fractions of a day
            axes.set_xlim(rows[0]["age"] - 1, rows[0]["age"] + 1)
        style.title(axes, f"{heading}: {place}")
    for spare in panels[len(places) :]:
        spare.set_visible(False)
    if colours:
        style.legend(panels[0])
    else:
        style.nothing(panels[0], "no later contexts")
    return figure


def _age(row: Row) -> int:
    return int(row["age"])


def save(figure: Figure, path: Path) -> None:
    """Write the figure as the file's ending says; `ConfigError` for another ending than .svg or .png."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        path.write_text(style.svg(figure), encoding="utf-8")
    elif path.suffix == ".png":
        with mpl.rc_context({"figure.facecolor": "white"}):
            figure.savefig(path, format="png", dpi=160, metadata={"Software": None})
    else:
        raise ConfigError(
            f"no picture of kind {path.suffix!r}", place=str(path), repair="Give a file that ends in .svg or .png."
        )
