"""Pictures of what models give: where positives stand, metrics, recommended titles. SVG text from small tables, as in `plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes

from rec_platform import columns as c
from rec_platform.evaluation.scored import CEILING
from rec_platform.reports import style
from rec_platform.reports.glossary import LOWER, spoken, term
from rec_platform.reports.model_colours import coloured

Floats = npt.NDArray[np.float64]

#: Points drawn of a long curve.
_CURVE: Final = 200


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
        axes.plot(style.numbers(chosen, c.RANK), style.numbers(chosen, "share"), color=colour, linewidth=1.8, label=model,
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
    lists = np.sort(style.numbers(shown, "lists"))[::-1]
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
