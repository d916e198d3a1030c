"""What a picture shows, as one sentence: read off the very rows that it is drawn from.

A sentence never says more than its rows do: "surely better" is the verdict of a row (Holm's, over all rows drawn together),
and too little data is said to be that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from rec_platform import columns as c
from rec_platform.evaluation.comparison import DIFFERENT_CONTEXTS, HIGHER, LOWER, sureness
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.reports.glossary import NEITHER, spoken, term
from rec_platform.reports.style import signed

Row = Mapping[str, Any]

#: Names spelt out in a list; the others are counted.
MOST_NAMES: Final = 6
#: What is said of a difference, by its sureness.
SAID: Final = {2: "very surely better", 1: "surely better", 0: "no difference shown", -1: "surely worse", -2: "very surely worse",
               None: "no verdict: too little was measured"}  # fmt: skip


def says(row: Row) -> str:
    """What is said of a difference: how sure it is, or why there is no verdict.

    >>> says({"verdict": DIFFERENT_CONTEXTS, "p_holm": float("nan")})
    'no verdict: measured on other contexts'
    """
    if row["verdict"] == DIFFERENT_CONTEXTS:
        return "no verdict: measured on other contexts"
    return SAID[sureness(row)]


def listed(names: Iterable[str], *, most: int = MOST_NAMES) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"]), listed("abcdefgh")
    ('a', 'a, b and c', 'a, b, c, d, e, f and 2 others')
    """
    given = list(names)
    rest = len(given) - most
    shown = [*given[:most], f"{rest} other{'s' if rest > 1 else ''}"] if rest > 0 else given
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def between(row: Row, digits: int = 3, sign: bool = False) -> str:
    """The interval of a row; nothing without one.

    >>> between({"low": 0.1, "high": 0.25}), between({"low": -0.1, "high": 0.25}, sign=True)
    ('[0.100, 0.250]', '[\u22120.100, +0.250]')
    """
    if not np.isfinite([row[c.LOW], row[c.HIGH]]).all():
        return ""
    ends = (signed(row[end], digits) if sign else f"{row[end]:.{digits}f}" for end in (c.LOW, c.HIGH))
    return f"[{', '.join(ends)}]"


def turned(differences: Iterable[Row], model: str) -> dict[str, dict[str, Any]]:
    """Of a model's differences to others those to each of them, as `model` less the other."""
    found: dict[str, dict[str, Any]] = {}
    for row in differences:
        if row["model_a"] == model:
            found[row["model_b"]] = dict(row)
        elif row["model_b"] == model:
            verdict = {HIGHER: LOWER, LOWER: HIGHER}.get(row["verdict"], row["verdict"])
            ends = {"difference": -row["difference"], c.LOW: -row[c.HIGH], c.HIGH: -row[c.LOW]}
            found[row["model_a"]] = {**row, **ends, "verdict": verdict}
    return found


def headline(values: Mapping[str, Row], to_best: Mapping[str, Row], *, best: str, baseline: str, metric: str) -> str:
    """Which model is best, by how much over the baseline, how surely, and against which ones none is shown.

    Args:
        values: model -> its row of the metric.
        to_best: other model -> the best's difference to it (`turned`).
        best, baseline: models.
        metric: its name.
    """
    row = values[best]
    models = len(set(values) - {CEILING})
    of = f"leads {models} models" if models > 1 else "is the only model"
    said = [f"{best} {of}: {metric} {row[c.VALUE]:.3f} {between(row)}".rstrip()]
    if baseline in to_best:
        one = to_best[baseline]
        gain = f"{signed(one['difference'])} {between(one, sign=True)}".rstrip()
        said[0] += f", against {values[baseline][c.VALUE]:.3f} of {baseline} ({gain}: {says(one)})"
    elif best == baseline:
        said[0] += ", and it is the baseline itself: no model beats it"
    level = [name for name in to_best if sureness(to_best[name]) == 0 and name != baseline]
    if level:
        said.append(f"Against {listed(level)} no difference is shown")
    return ". ".join(said) + "."


def reached(best: float, baseline: float, ceiling: float) -> str:
    """How much of what there is to win above the baseline is won; nothing where there is nothing to win.

    >>> reached(0.5, 0.2, 0.8)
    'Of what there is to win between the baseline and the best that any order could reach (0.800) that is 50 %.'
    """
    if not ceiling > baseline:
        return ""
    share = (best - baseline) / (ceiling - baseline)
    return (
        f"Of what there is to win between the baseline and the best that any order could reach ({ceiling:.3f}) "
        f"that is {100 * share:.0f} %."
    )


def firsts(rows: Sequence[Row], models: Sequence[str]) -> str:
    """Which model leads by which metrics: METRICS rows of several metrics, `random` and the ceiling aside."""
    leads: dict[str, list[str]] = {}
    for name, k in dict.fromkeys((row[c.METRIC], row[c.CUTOFF]) for row in rows):
        better = term(name).better
        mine = [row for row in rows if (row[c.METRIC], row[c.CUTOFF]) == (name, k) and row[c.MODEL] in models]
        if better != NEITHER and mine:
            leads.setdefault(max(mine, key=lambda row: better * row[c.VALUE])[c.MODEL], []).append(spoken(name, k))
    if not leads:
        return "Each model's value inside its 95 % interval."
    ordered = sorted(leads, key=lambda name: -len(leads[name]))
    return "; ".join(f"{name} is first in {listed(leads[name])}" for name in ordered) + "."


def pairs(rows: Sequence[Row]) -> str:
    """How many pairs of models are told apart, and which are not."""
    apart = [row for row in rows if sureness(row)]
    level = [f"between {row['model_a']} and {row['model_b']}" for row in rows if sureness(row) == 0]
    unsure = sum(sureness(row) is None for row in rows)
    text = f"{len(apart)} of {len(rows)} pairs of models differ surely"
    if level:
        text += f"; no difference is shown {', nor '.join(level[:3])}"
        text += f", nor in {len(level) - 3} other pairs" if len(level) > 3 else ""
    return text + (f"; {unsure} without a verdict" if unsure else "") + "."


def ranks(rows: Sequence[Row], models: Sequence[str]) -> str:
    """On which rank each of some models has half of what was watched: rows of model, rank, share."""
    found = {}
    for model in models:
        half = [row[c.RANK] for row in rows if row[c.MODEL] == model and row["share"] >= 0.5]
        if half:
            found[model] = min(half)
    if not found:
        return "No model has half of what was watched anywhere in its list."
    first, *others = found
    rest = "".join(f"; {name} needs {found[name]:,}" for name in others)
    places = f"the first {found[first]:,} places" if found[first] > 1 else "the first place"
    return f"Half of what was watched stood in {places} of {first}{rest}."


def winners(rows: Sequence[Row], by: str, what: str, *, models: Sequence[str]) -> str:
    """Which models are first where: rows of `by`, model and value; no sureness is claimed."""
    best: dict[Any, Row] = {}
    for row in rows:
        if row[c.MODEL] in models and (row[by] not in best or row[c.VALUE] > best[row[by]][c.VALUE]):
            best[row[by]] = row
    counts: dict[str, int] = {}
    for row in best.values():
        counts[row[c.MODEL]] = counts.get(row[c.MODEL], 0) + 1
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    if not ordered:
        return ""
    first, *others = ordered
    if len(best) == 1:
        return f"{first} has the highest value ({next(iter(best))})."
    rest = "".join(f", {name} in {counts[name]}" for name in others)
    return f"{first} has the highest value in {counts[first]} of {len(best)} {what}{rest}."


def slices(rows: Sequence[Row], *, model: str, versus: str) -> str:
    """In how many slice values a model is surely better or worse than another."""
    mine = [row for row in rows if row["model_a"] == model and row[c.SLICE] != "all"]
    if not mine:
        return f"Where models win and lose against {versus}."
    marks = [sureness(row) for row in mine]
    better, worse = (sum(mark is not None and sign * mark > 0 for mark in marks) for sign in (1, -1))
    behind = [f"{row[c.SLICE].replace('_', ' ')} {row[c.SLICE_VALUE]}" for row in mine if (sureness(row) or 0) < 0]
    said = f"{model} is surely better than {versus} in {better} of {len(mine)} slices"
    said += f", surely worse in {worse} ({listed(behind, most=3)})" if worse else ", surely worse in none"
    unsure = sum(mark is None for mark in marks)
    return said + (f"; in {unsure} there is too little for a verdict" if unsure else "") + "."


def coverage(rows: Sequence[Row], k: int) -> str:
    """Who shows least and most of the catalogue in lists of k: rows of model, k and value."""
    mine = {row[c.MODEL]: row[c.VALUE] for row in rows if row[c.CUTOFF] == k and row[c.MODEL] not in (RANDOM, CEILING)}
    if not mine:
        return "What is shown to people."
    least, most = min(mine, key=lambda name: mine[name]), max(mine, key=lambda name: mine[name])
    said = f"In lists of {k}, {least} shows {mine[least]:.0%} of the catalogue to somebody"
    return (said + (f"; {most} shows {mine[most]:.0%}" if most != least else "") + ".").replace("%", " %")


def chances(rows: Sequence[Row]) -> str:
    """How much of what is promised comes true: METRICS rows, those of `calibration_ratio` among them."""
    found = {row[c.MODEL]: row for row in rows if row[c.METRIC] == "calibration_ratio"}
    said = [
        f"of 100 plays that {name} promises {100 * row[c.VALUE]:.0f} come about"
        + (f" [{100 * row[c.LOW]:.0f}, {100 * row[c.HIGH]:.0f}]" if between(row) else "")
        for name, row in found.items()
    ]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else "Promised against observed."
