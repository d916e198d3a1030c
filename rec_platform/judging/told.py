"""A comparison in words, cells and bars: rows for machines, rows for a terminal, and the sentence that sums them up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rec_platform import columns as c
from rec_platform.evaluation.comparison import DIFFERENT_CONTEXTS, HIGHER, JACKKNIFE, LOWER, NO_VERDICT
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.slices import ALL
from rec_platform.judging.asked import heading
from rec_platform.terminal import Measured, or_none

Row = dict[str, Any]

#: Of these, more is better.
_HIGHER_IS_BETTER: Final = frozenset(one.name for one in STANDARD) - {"percentile_rank"}
#: What a row for machines says of the tests, and the columns it stands in.
_TESTS: Final = {
    "p t": "p_t", "p flips": "p_randomisation", "p Holm": "p_holm", "p BH": "p_bh", "effect": "effect",
    "detectable": c.DETECTABLE,
}  # fmt: skip
#: Places of a text bar, an odd number.
BAR: Final = 15


def named(row: Row) -> str:
    """A row's metric and cut-off as people write them."""
    return heading(row[c.METRIC], row[c.CUTOFF])


def numbers(rows: list[Row], by: str, *, several: bool) -> list[Row]:
    """Rows for machines; what was not measured is None."""
    return [
        _about(row, by, several=several, value=or_none)
        | {"difference": Measured(row["difference"], row[c.LOW], row[c.HIGH], sign=True)}
        | {name: or_none(row[column]) for name, column in _TESTS.items()}
        | {"n": row[c.N], "verdict": row["verdict"], "by": row["method"]}
        for row in rows
    ]


def told(rows: list[Row], by: str, *, several: bool) -> list[Row]:
    """What a terminal shows of the rows: without what only few ask for, and with the name of who is surely higher.

    The interval is drawn as a bar around 0, to the scale of its metric. Rows without a verdict have no bar and no say in
    the scale: one of two contexts would flatten all others.
    """
    reach: dict[str, float] = {}
    for row in rows:
        ends = ("difference", c.LOW, c.HIGH) if np.isfinite(row[c.LOW]) else ()
        seen = [abs(row[name]) for name in ends if np.isfinite(row[name])]
        reach[row[c.METRIC]] = max(reach.get(row[c.METRIC], 0.0), *seen, 0.0)
    hidden = {"a", "b"} if several else set()
    if several and len({named(row) for row in rows}) == 1:
        hidden.add("metric")
    return [
        {name: cell for name, cell in _about(row, by, several=several, value=_plain).items() if name not in hidden}
        | {
            "difference": _signed(row["difference"]),
            "95 %": "no verdict" if np.isnan(row[c.LOW]) else f"[{row[c.LOW]:+.3f},{row[c.HIGH]:+.3f}]",
            "bar": bar(row["difference"], row[c.LOW], row[c.HIGH], reach[row[c.METRIC]]) if np.isfinite(row[c.LOW]) else "",
            "p Holm": _p(row["p_holm"]), "n": row[c.N],
            "surely higher": {HIGHER: row["model_a"], LOWER: row["model_b"]}.get(row["verdict"], row["verdict"]),
        }
        for row in rows
    ]  # fmt: skip


def _about(row: Row, by: str, *, several: bool, value: Callable[[float], object]) -> Row:
    """What a row is about: the models (of several pairs in one column), metric, slice value, and both values."""
    a, b = ("a", "b") if several else (row["model_a"], row["model_b"])
    return (
        ({"models": f"{row['model_a']} - {row['model_b']}"} if several else {})
        | {"metric": named(row)}
        | (
            {} if by == ALL else {f"by {by}" if by in (a, b) else by: row[c.SLICE_VALUE]}
        )  # a model may be called popularity
        | {a: value(row["value_a"]), b: value(row["value_b"])}
    )


def _p(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


def _plain(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.3f}"


def bar(difference: float, low: float, high: float, reach: float) -> str:
    """The interval as text, 0 in the middle and `reach` at either end.

    >>> bar(0.5, 0.2, 0.8, 1.0)
    '.......|---o--.'
    """
    middle = BAR // 2
    reach = reach or 1.0

    def place(value: float) -> int:
        return middle + round(float(np.clip(value / reach, -1, 1)) * middle)

    cells = ["."] * BAR
    if np.isfinite(low):
        cells[place(low) : place(high) + 1] = "-" * (place(high) - place(low) + 1)
    cells[middle] = "|"
    if np.isfinite(difference):
        cells[place(difference)] = "o"
    return "".join(cells)


def sentence(rows: list[Row]) -> str:
    """Which is better and how sure: what the first metric says in its largest slice value, and how many others agree."""
    if not rows:
        return "Nothing to compare."
    pairs = {(row["model_a"], row["model_b"]) for row in rows}
    sure = [row for row in rows if row["verdict"] in (HIGHER, LOWER)]
    if len(pairs) > 1:
        return f"{len(pairs)} pairs, {len(rows)} comparisons; {len(sure)} differences are sure after Holm's correction."
    row = max((one for one in rows if named(one) == named(rows[0])), key=lambda one: one[c.N])
    if row["verdict"] not in (HIGHER, LOWER):
        return _unsure(row, len(rows))
    ahead, behind = (row["model_a"], row["model_b"])[:: 1 if row["verdict"] == HIGHER else -1]
    better = "better" if row[c.METRIC] in _HIGHER_IS_BETTER else "higher"
    sign = 1 if row["verdict"] == HIGHER else -1
    low, high = sorted((sign * row[c.LOW], sign * row[c.HIGH]))
    agree = sum(sign * one["difference"] > 0 for one in sure)
    others = (
        f"; of {len(rows)} comparisons {agree} are surely in its favour and {len(sure) - agree} surely against it after Holm's "
        "correction"
    )
    return (
        f"{ahead} is {better} than {behind} on {named(row)}{_where(row)}: {sign * row['difference']:+.4f} "
        f"[{low:+.4f}, {high:+.4f}], {_by(row)}{others if len(rows) > 1 else ''}."
    )


def _unsure(row: Row, family: int) -> str:
    """Why nothing follows: other contexts, too little data, or a difference that chance among so many explains."""
    found = f"{row['model_a']} and {row['model_b']}: {row['verdict']} on {named(row)}{_where(row)}"
    if row["verdict"] == DIFFERENT_CONTEXTS:
        return f"{found}: choose days on which both were scored."
    seen = f"alone, a difference of {row[c.DETECTABLE]:.4f} would have been found 4 times in 5"
    beside = row["verdict"] != NO_VERDICT and (row[c.LOW] > 0 or row[c.HIGH] < 0)
    alone = (
        f", though its own interval [{row[c.LOW]:+.4f}, {row[c.HIGH]:+.4f}] does not hold 0: p {_p(row['p_holm'])} after "
        f"Holm's correction among {family}"
    )
    return f"{found} ({row['difference']:+.4f}, n {row[c.N]}){alone if beside else ''}; {seen}."


def _where(row: Row) -> str:
    return "" if row[c.SLICE] == ALL else f" in {row[c.SLICE]} {row[c.SLICE_VALUE]}"


def _by(row: Row) -> str:
    after = f", {_p(row['p_holm'])} after Holm's correction"
    if row["method"] == JACKKNIFE:
        return f"p {_p(row['p_t'])} by leaving out each of 20 groups of profiles{after}"
    return f"p {_p(row['p_t'])} by paired t, {_p(row['p_randomisation'])} by randomisation{after}"
