"""The picture of a new feature: how its values lie, for what was engaged with and for the rest, and its power per country."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rec_platform.reports import style

Row = Mapping[str, Any]
_BARS: Final = "▁▂▃▄▅▆▇█"


def trial_plot(one: Row) -> str:
    """SVG text of one feature.

    Args:
        one: `name`, `unit`, `edges`, `engaged`, `others` (shares per bin) and `auc_sampled` (by country and `all`: value,
            low, high), as `Examined.to_json` has them.
    """
    figure, (left, right) = style.panels(2, widths=(3, 2))
    edges = np.asarray(one["edges"], dtype=np.float64)
    style.title(left, f"{one['name']} ({one['unit']}), share of items")
    if len(edges):
        for what, colour in (("others", style.FAINT), ("engaged", style.PALETTE[0])):
            left.stairs(one[what], edges, fill=what == "others", color=colour, alpha=0.35 if what == "others" else 1.0,
                        linewidth=1.6, label=what)  # fmt: skip
        style.percent(left)
        style.inner_legend(left, "upper right")
    else:
        style.nothing(left, "missing everywhere")
    _powers(right, one["auc_sampled"])
    return style.svg(figure)


def _powers(axes: Any, aucs: Mapping[str, Row]) -> None:
    """AUC alone with its interval, a line per country, all together on top."""
    names = list(aucs)
    places = np.arange(len(names))[::-1]
    for place, name in zip(places, names, strict=True):
        found = aucs[name]
        if found["value"] is None:
            continue
        colour = style.PALETTE[0] if found["low"] is not None else style.FAINT
        axes.plot(found["value"], place, "o", color=colour, markersize=4)
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=1.6)
    axes.axvline(0.5, color=style.FAINT, linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(-0.6, max(len(names), 6) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.title(axes, "Ranking power alone (AUC)")


def trial_page(features: Sequence[Row], title: str) -> str:
    """One self-contained HTML page with the picture of every feature and what was flagged."""
    parts = [
        f"<section><h2>{html.escape(one['name'])}</h2><p>{html.escape(one['about'])}</p>"
        + "".join(f"<p><strong>{html.escape(flag)}</strong></p>" for flag in one["flags"])
        + f"{trial_plot(one)[trial_plot(one).index('<svg') :]}</section>"
        for one in features
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        "<style>body{font:15px system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color-scheme:light dark}"
        "svg{max-width:100%;height:auto}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def text_histogram(shares: Sequence[float]) -> str:
    """Shares per bin as a line of blocks; an empty bin is a blank.

    >>> text_histogram([0.0, 0.25, 0.5])
    ' ▄█'
    """
    top = max(shares, default=0.0)
    if not top:
        return ""
    return "".join(_BARS[max(int(np.ceil(8 * share / top)) - 1, 0)] if share > 0 else " " for share in shares)
