"""Pictures of data: volume with what was expected, the shapes of columns, and drift over days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from rec_platform.reports import style
from rec_platform.reports.distributions import LARGE, LOOK_BACK, NOTABLE, expected

Floats = npt.NDArray[np.float64]

#: Small panels side by side, and bars in each.
ACROSS: Final = 5
BARS: Final = 20
#: Letters of a small panel's title.
LONGEST: Final = 28
#: Rows of a drift map, and how many there are at the least where so many columns are: the calm ones are left out first.
MOST_ROWS: Final = 48
FEWEST_ROWS: Final = 6


@dataclass(frozen=True)
class Volume:
    """One number by date with the band it was expected in.

    Attributes:
        dates: ascending.
        values: one per date.
        bands: low and high per date; NaN where too few days came before.
        before: dates and values of the days before them, at most 28.
    """

    dates: tuple[date, ...]
    values: tuple[float, ...]
    bands: tuple[tuple[float, float], ...]
    before: tuple[tuple[date, float], ...] = ()

    @classmethod
    def of(cls, dates: Sequence[date], values: Sequence[float], *, first: date) -> Volume:
        """What is to be shown from `first` on; the days before it count for what is expected."""
        skipped = sum(day < first for day in dates)
        # A weekday is told by its date: days that have no value at all stand between the others.
        every = [dates[0] + timedelta(days=n) for n in range((dates[-1] - dates[0]).days + 1)] if dates else []
        known = dict(zip(dates, values, strict=True))
        bands = dict(zip(every, expected([known.get(day, float("nan")) for day in every]), strict=True))
        before = list(zip(dates, values, strict=True))[max(0, skipped - LOOK_BACK) : skipped]
        return cls(
            tuple(dates[skipped:]), tuple(values[skipped:]), tuple(bands[day] for day in dates[skipped:]), tuple(before)
        )

    @property
    def unexpected(self) -> list[int]:
        """The positions of the values outside their band."""
        return [
            place
            for place, (value, (low, high)) in enumerate(zip(self.values, self.bands, strict=True))
            if value < low or value > high
        ]


def volume_plot(series: Mapping[str, Volume]) -> str:
    """A panel per series: its value by date, the band it was expected in, and the days outside of it marked.

    The days before, which the band comes from, stand as a thin line.
    """
    names = list(series)
    figure, panels = style.panels(max(min(len(names), 3), 1), rows=max(-(-len(names) // 3), 1), height=2.0)
    for axes, name in zip(panels, names, strict=False):
        _volume(axes, series[name])
        style.title(axes, name)
    for axes in panels[max(len(names), 1) :]:
        axes.set_visible(False)
    if not names:
        style.nothing(panels[0], "no partitions")
    return style.svg(figure)


def shapes_plot(columns: Mapping[str, Floats]) -> str:
    """A small histogram per column, between its 1st and 99th percentile, with the share that is missing."""
    names = list(columns)
    figure, panels = style.panels(ACROSS, rows=max(-(-len(names) // ACROSS), 1), height=1.15, small=True)
    for axes, name in zip(panels, names, strict=False):
        _shape(axes, name, columns[name])
    for axes in panels[max(len(names), 1) :]:
        axes.set_visible(False)
    if not names:
        style.nothing(panels[0], "no columns")
    return style.svg(figure)


def drift_plot(drift: Mapping[str, Sequence[float]], dates: Sequence[date]) -> str:
    """A heat map: columns by date, coloured by the stability index against the first date; the restless on top.

    The largest index of each column that is worth a look is written into its cell. Of the calm columns only a few are drawn.
    """
    restless = sum(peak(values) >= NOTABLE for values in drift.values())
    order = sorted(drift, key=lambda name: (-peak(drift[name]), name))[: min(max(restless, FEWEST_ROWS), MOST_ROWS)]
    figure, (axes,) = style.panels(height=1.0 + 0.17 * max(len(order), 4))
    cells: dict[str, list[Path]] = {}
    for y, name in enumerate(order):
        for colour, left, right in _runs([_drifted(value) for value in drift[name]]):
            cells.setdefault(colour, []).append(_cell(left, right, y))
        top = peak(drift[name])
        if top >= NOTABLE:
            axes.text(
                list(drift[name]).index(top), y, f"{top:.2f}", ha="center", va="center", fontsize=7, color=style.INK
            )
    # Neighbours of a colour are one cell, and cells of a colour one path: the picture stays under 100 KB.
    for colour, paths in cells.items():
        axes.add_patch(PathPatch(Path.make_compound_path(*paths), color=colour, linewidth=0))
    axes.set_yticks(range(len(order)), order, fontsize=7.5)
    axes.set_ylim(max(len(order), 1) - 0.5, -0.5)
    axes.set_xlim(-0.5, max(len(dates), 1) - 0.5)
    step = max(-(-len(dates) // style.MOST_DATES), 1)
    axes.set_xticks(range(0, len(dates), step), style.day_labels(list(dates)[::step]))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    if order:
        hidden = len(drift) - len(order)
        style.title(
            axes, "Stability index against the first date" + (f" ({hidden} calm ones left out)" if hidden else "")
        )
    else:
        style.nothing(axes, "one date only: nothing to compare with")
    return style.svg(figure)


def _runs(colours: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each colour with the first and the last of the places in a row that it takes."""
    start = 0
    for colour, run in groupby(colours):
        length = len(list(run))
        yield colour, start, start + length - 1
        start += length


def _cell(left: int, right: int, y: int) -> Path:
    return Path.unit_rectangle().transformed(
        Affine2D().scale(right - left + 0.96, 0.88).translate(left - 0.48, y - 0.44)
    )


def peak(values: Sequence[float]) -> float:
    """The largest of the values that are numbers; 0 if none is."""
    return max((value for value in values if not np.isnan(value)), default=0.0)


def _volume(axes: Axes, volume: Volume) -> None:
    earlier = [day for day, _ in volume.before]
    places = style.days(axes, [*earlier, *volume.dates], least=2, most=4)[len(earlier) :]
    if not len(places):
        style.nothing(axes, "no partitions")
        return
    values = np.array(volume.values)
    low, high = np.array(volume.bands).T
    past = [value for _, value in volume.before]
    ends = [places[0] - 0.4, *places, places[-1] + 0.4]  # a single day's band would have no width
    axes.fill_between(ends, np.pad(low, 1, "edge"), np.pad(high, 1, "edge"), color=style.GRID, linewidth=0)
    axes.plot([*(places[0] - (volume.dates[0] - day).days for day in earlier), places[0]], [*past, values[0]],
              color=style.FAINT, linewidth=0.8)  # fmt: skip
    axes.plot(
        places, values, color=style.PALETTE[0], linewidth=1.6, marker="o" if len(places) < 4 else "", markersize=3
    )
    axes.plot(places[volume.unexpected], values[volume.unexpected], "o", color=style.PALETTE[5], markersize=5)
    axes.set_ylim(0, max(1e-9, float(np.nanmax([0.0, *past, *values, *high])) * 1.1))
    if np.nanmax(values, initial=0.0) > 1:
        style.counted(axes)
    else:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.04))
        style.percent(axes)


def _shape(axes: Axes, name: str, values: Floats) -> None:
    there = values[~np.isnan(values)]
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_title(
        name if len(name) <= LONGEST else name[: LONGEST - 1] + "…", loc="left", fontsize=7.5, color=style.INK, pad=2
    )
    axes.tick_params(axis="x", labelsize=7)
    if not len(there):
        style.nothing(axes, "all missing")
        return
    low, high = np.quantile(there, (0.01, 0.99))
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    counts, edges = np.histogram(np.clip(there, low, high), bins=BARS, range=(low, high))
    axes.stairs(counts / counts.max(), edges, fill=True, color=style.PALETTE[0], linewidth=0)
    axes.set_ylim(0, 1.05)
    axes.set_xticks([low, high], [style.short(float(f"{low:.3g}")), style.short(float(f"{high:.3g}"))])
    missing = 1 - len(there) / len(values)
    if missing >= 0.0005:
        # Between the two labels of the axis, where no bar can be under it.
        axes.text(0.5, -0.07, f"{_share(missing)} missing", ha="center", va="top", fontsize=7, color=style.PALETTE[5],
                  transform=axes.transAxes)  # fmt: skip


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"


def _drifted(value: float) -> str:
    if np.isnan(value):
        return style.BLANK
    return style.DIVERGING[0] if value >= LARGE else style.DIVERGING[1] if value >= NOTABLE else style.DIVERGING[2]
