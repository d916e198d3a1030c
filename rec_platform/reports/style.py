"""How pictures look: one size, one palette, one card that reads on light and dark pages; the same data, the same bytes.

Figures are made through matplotlib's object API, never through pyplot, so nothing global is drawn on. The background is
opaque and light: transparent pictures lose their text on one of the two.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

#: Okabe and Ito (2008): eight colours told apart with every common colour blindness. Black and yellow left out: too strong
#: and too weak on a light card.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
#: From much worse to much better, blue and orange as every eye tells them apart: after ColorBrewer's PuOr.
DIVERGING: Final = ("#E08214", "#FDD9A8", "#F1F1EF", "#BFDCF0", "#5BA3D0")
#: A cell that has nothing to say.
BLANK: Final = "#ECEEF1"
MINUS: Final = "\u2212"
INK: Final = "#22262B"
FAINT: Final = "#5C636E"
GRID: Final = "#E3E6EA"
CARD: Final = "#FCFCFB"

Floats = npt.NDArray[np.float64]

MOST_DATES: Final = 6
MOST_DOTS: Final = 31
_EPOCH: Final = date(1970, 1, 1)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

WIDTH: Final = 9.0
HEIGHT: Final = 3.4
_SETTINGS: Final = {
    "svg.hashsalt": "rec-platform",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.edgecolor": GRID,
    "axes.facecolor": CARD,
    "figure.facecolor": CARD,
}


def panels(
    columns: int = 1,
    *,
    rows: int = 1,
    height: float = HEIGHT,
    widths: Sequence[float] | None = None,
    small: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, row after row; `height` is that of a row.

    `small` panels have a title, two labels below and none beside: they stand in a plain grid, since fitting dozens of them
    to their texts takes seconds.
    """
    with mpl.rc_context(_SETTINGS):
        layout = None if small else ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1, wspace=0.06)
        figure = Figure(figsize=(WIDTH, height * rows), layout=layout)
        if small:
            above, below = 0.24 / (height * rows), 0.26 / (height * rows)
            figure.subplots_adjust(0.02, below, 0.98, 1 - above, wspace=0.25, hspace=0.5 / (height - 0.5))
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths).ravel()
    for one in axes:
        _plain(one)
    return figure, list(axes)


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def svg(figure: Figure) -> str:
    """The figure as SVG text; equal figures give equal bytes."""
    buffer = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Blanks at line ends, path coordinates finer than a hundredth of a point, turns by nothing, and names of groups (which would
    # stand twice on a page of several pictures) only make the text longer.
    lines = "\n".join(line.strip() for line in buffer.getvalue().splitlines())
    named = re.sub(r'(?<=<g) id="[a-zA-Z0-9.]+_\d+"| transform="rotate\(-0 [^"]*"', "", lines).replace("<g/>\n", "")
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), named) + "\n"


def days(axes: Axes, dates: Sequence[date], *, least: int = 7, most: int = MOST_DATES) -> Floats:
    """The dates as x values (days since 1970), at most `most` of the axis' days labelled.

    The axis has room for `least` days, or a single day's bar would fill the panel.
    """
    places = np.array([(day - _EPOCH).days for day in dates], dtype=np.float64)
    if len(places):
        first, last = int(places.min()), int(places.max())
        ticks = list(range(first, last + 1, -(-(last - first + 1) // most)))
        axes.set_xticks(ticks, day_labels([_EPOCH + timedelta(days=tick) for tick in ticks]))
        room = max(0.02 * (last - first), 0.6 if least > 3 else 0.3, (least - 1 - (last - first)) / 2)
        axes.set_xlim(first - room, last + room)
    return places


def day_labels(dates: Sequence[date]) -> list[str]:
    """Each day as text, the year under the first and wherever it changes; all of two lines, or they would not stand level.

    >>> day_labels([date(2024, 12, 30), date(2025, 1, 2), date(2025, 1, 3)])
    ['30 Dec\\n2024', '2 Jan\\n2025', '3 Jan\\n']
    """
    years = [None, *(day.year for day in dates)]
    return [
        f"{day.day} {_MONTHS[day.month - 1]}\n" + (f"{day.year}" if day.year != before else "")
        for day, before in zip(dates, years, strict=False)
    ]


def counted(axes: Axes, axis: str = "y") -> None:
    """An axis of counts: from 0, whole numbers, thousands as 12k."""
    which = axes.yaxis if axis == "y" else axes.xaxis
    which.set_major_locator(MaxNLocator(5, integer=True))
    which.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """
    >>> [short(value) for value in (0, 950, 1200, 45_000, 3_400_000)]
    ['0', '950', '1.2k', '45k', '3.4M']
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


def signed(value: float, digits: int = 3) -> str:
    """
    >>> signed(0.1234), signed(-0.1234), signed(-0.00001)
    ('+0.123', '\u22120.123', '0.000')
    """
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", MINUS)


def percent(axes: Axes, axis: str = "y", *, ticks: int = 5) -> None:
    """An axis of shares, written as per cent."""
    which = axes.yaxis if axis == "y" else axes.xaxis
    which.set_major_locator(MaxNLocator(ticks))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))


def percent_ticks(axes: Axes, axis: str = "x") -> None:
    """A logarithmic axis of shares, each decade labelled in per cent."""
    which = axes.yaxis if axis == "y" else axes.xaxis
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    which.set_minor_formatter(NullFormatter())


def title(axes: Axes, text: str) -> None:
    """The panel's title, at its left end."""
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK, pad=9)


def numbers(table: pa.Table, name: str) -> Floats:
    """A column to be drawn."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def legend(axes: Axes) -> None:
    """The legend in a row of its own under all panels, where no data and no title can be under it."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 7), frameon=False, fontsize=8.5,
                       handlelength=1.4, columnspacing=1.6, labelcolor=INK)  # fmt: skip


def inner_legend(axes: Axes, place: str) -> None:
    """The legend inside a panel, at a corner that its data leave free."""
    axes.legend(loc=place, frameon=False, fontsize=8.5, handlelength=1.4, labelcolor=INK)


def nothing(axes: Axes, why: str) -> None:
    """A panel without data says so."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.text(0.5, 0.5, why, ha="center", va="center", color=FAINT, transform=axes.transAxes)


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """A colour per name, in the order given; past the palette's end they repeat; `dash` and `mark` tell them apart."""
    return {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(names)}


def dots(points: int) -> str:
    """The marker of a line of so many points: past a month it is a line alone, since a marker is as many bytes as six points.

    >>> dots(31), dots(32)
    ('o', '')
    """
    return "o" if points <= MOST_DOTS else ""


def dash(colours: Mapping[str, str], name: str) -> str:
    """The line style of a name: solid, or broken for one whose colour an earlier name has."""
    return ("-", "--", ":", "-.")[_before(colours, name) % 4]


def mark(colours: Mapping[str, str], name: str, points: int = 1) -> str:
    """The marker of a name: round, or another for one whose colour an earlier name has; of a line of so many points, as `dots`.

    >>> colours = colour_of("abcdefgh")
    >>> [mark(colours, name) for name in "afgh"], mark(colours, "g", 32)
    (['o', 'o', 's', 's'], '')
    """
    return dots(points) and "os^D"[_before(colours, name) % 4]


def _before(colours: Mapping[str, str], name: str) -> int:
    """How many names before this one have its colour."""
    return list(colours.values())[: list(colours).index(name)].count(colours[name])


def logarithmic(axes: Axes, end: float) -> None:
    """An x axis of ranks from 1 to `end`, each decade labelled."""
    axes.set_xscale("log")
    axes.set_xlim(1, max(2.0, end))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
