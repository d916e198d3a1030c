"""The picture of a new feature: how its values lie, for what was engaged with and for the rest, and its power per country."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rec_platform.reports import style
from rec_platform.reports.page import Picture, Section, Words, page
from rec_platform.reports.tables import Cell

Row = Mapping[str, Any]
_LABELS: Final = {"others": "other items", "engaged": "engaged with"}
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
                        linewidth=1.6, label=_LABELS[what])  # fmt: skip
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
        inside = "none" if found["low"] is None else colour
        axes.plot(found["value"], place, "o", color=colour, markersize=4, markerfacecolor=inside)
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=1.6)
    axes.axvline(0.5, color=style.FAINT, linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(min(-0.6, len(names) - 6.6), len(names) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.GRID)
    style.title(axes, "Ranking power alone (AUC)")


def trial_page(features: Sequence[Row], title: str) -> str:
    """One self-contained HTML page with the picture of every feature and what was flagged."""
    return page(
        "New features, tried",
        f"{title}. Made by rec-platform; nothing was written.",
        [_section(one) for one in features],
    )


def _section(one: Row) -> Section:
    flags = [Words(f"Flagged: {flag}.", lead=True) for flag in one["flags"]]
    numbers: list[dict[str, Cell]] = [
        {"where": place, "AUC": _shown(found), "contexts": found["contexts"]}
        for place, found in one["auc_sampled"].items()
    ]
    caption = (
        "Left: items that were engaged with against the others. Right: how well the feature alone puts what was engaged with "
        "above the rest of its context (AUC among drawn items, 95 % interval; open: too few contexts); 0.5 is chance."
    )
    return Section(
        one["name"], (Words(one["about"]), *flags, Picture(trial_plot(one), caption, numbers, title=_said(one)))
    )


def _said(one: Row) -> str:
    """What the feature is worth by itself, all countries together."""
    whole = one["auc_sampled"].get("all")
    if whole is None or whole["value"] is None:
        return "There was nothing to put in order."
    if whole["low"] is None:
        return f"AUC alone {whole['value']:.3f}, without a verdict: too few contexts."
    beside = whole["low"] > 0.5 or whole["high"] < 0.5
    which = "better than chance" if whole["low"] > 0.5 else "worse than chance, so turned round better"
    return f"Alone it orders items {which if beside else 'no better than chance'}: AUC {_shown(whole)}."


def _shown(found: Row) -> str:
    if found["value"] is None:
        return ""
    interval = "(no verdict)" if found["low"] is None else f"[{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['value']:.3f} {interval}"


def text_histogram(shares: Sequence[float]) -> str:
    """Shares per bin as a line of blocks; an empty bin is a blank.

    >>> text_histogram([0.0, 0.25, 0.5])
    ' ▄█'
    """
    top = max(shares, default=0.0)
    if not top:
        return ""
    return "".join(_BARS[max(int(np.ceil(8 * share / top)) - 1, 0)] if share > 0 else " " for share in shares)
