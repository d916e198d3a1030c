"""What `rec-platform compare` and `ageing` call: from a home to rows, a sentence and a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import days_between
from rec_platform.config import Settings
from rec_platform.errors import ConfigError, KeyRefused, MissingInput
from rec_platform.evaluation import ageing, on_demand
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.comparison import (
    DIFFERENT_CONTEXTS,
    HIGHER,
    JACKKNIFE,
    LOWER,
    NO_VERDICT,
    compare_all,
    compare_pairs,
    corrected,
    only,
)
from rec_platform.evaluation.intervals import measured, metric_rows
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.own import NONE, Own, load, platforms, tried
from rec_platform.evaluation.plan import CONTEXT
from rec_platform.evaluation.protocol import SESSION
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import CEILING, SAMPLED
from rec_platform.evaluation.slices import ALL
from rec_platform.evaluation.stage import rolled_up, stored_sums
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.reports.glossary import LOWER as LOWER_IS_BETTER
from rec_platform.reports.glossary import term
from rec_platform.stage import Input
from rec_platform.tables import METRIC_SUMS, SCORES_TABLE
from rec_platform.terminal import Measured, or_none

Row = dict[str, Any]

#: Metrics of lists that a comparison shows unless told otherwise, the first of them being what its sentence is about.
MAIN: Final = (
    ("nmrr", 0), ("ndcg", 10), ("recall", 10), ("precision", 10), ("map", 0), ("hit_rate", 10), ("mrr", 0), ("coverage", 10),
)  # fmt: skip
#: Of these, more is better.
_HIGHER_IS_BETTER: Final = frozenset(one.name for one in STANDARD) - {"percentile_rank"}
#: What a row for machines says of the tests, and the columns it stands in.
_TESTS: Final = {
    "p t": "p_t", "p flips": "p_randomisation", "p Holm": "p_holm", "p BH": "p_bh", "effect": "effect",
    "detectable": c.DETECTABLE,
}  # fmt: skip
#: Places of a text bar, an odd number.
BAR: Final = 15


@dataclass(frozen=True)
class Compared:
    """A comparison: a sentence that sums it up, and a row per pair, metric and slice value.

    `rows` are for machines: numbers, the difference with its interval. `told`: as a terminal shows them, with fewer
    columns and a bar; the model that is ahead is named.
    """

    sentence: str
    rows: list[Row]
    told: list[Row]


@dataclass(frozen=True)
class Files:
    """Metrics and slices of the user's own.

    Attributes:
        stored: of the files that the settings name: the stage stores their numbers.
        given: of the files that a command was given: worked out from stored scores.
    """

    stored: Own = NONE
    given: Own = NONE

    @classmethod
    def of(cls, settings: Settings, files: Sequence[Path] = ()) -> Files:
        """Those of the settings, and of these files, which are tried first; a file of both is only given.

        Raises `ConfigError` for what cannot be meant, or for names that both declare.
        """
        again = {file.resolve() for file in files}
        stored = load([file for file in settings.evaluation.files if Path(file).resolve() not in again])
        given = tried([str(file) for file in files])
        taken = {*stored.names, *(one.name for one in stored.slices)}
        for name in (*given.names, *(one.name for one in given.slices)):
            if name in taken:
                raise ConfigError(
                    f"{name!r} stands in a file that platform.toml names, too", place="--with",
                    repair="Rename one of them, or give that very file.",
                )  # fmt: skip
        return cls(stored, given)

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        """All that can be read: the platform's, and those of the files."""
        return ACCUMULATORS + self.stored.accumulators + self.given.accumulators


NO_FILES: Final = Files()
#: What the names of metrics over a sample of the candidates end in, and of all others.
_ENDS: Final = ("", SAMPLED)


def published(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> list[Partition]:
    """The partitions of these days and countries whose metrics are stored; `MissingInput` with those there are, if none is."""
    there = sorted(platform.index.state(METRIC_SUMS.name), key=lambda one: (one.day, one.place))
    found = [one for one in there if first <= one.day <= last and (not countries or one.place in countries)]
    if not found:
        which = ", ".join(sorted({one.place for one in there}))
        choice = (
            f"Published are {there[0].day} to {there[-1].day} for {which}: choose among those, or run"
            if there
            else "Run"
        )
        raise MissingInput(
            "no metrics are published for these days and countries", place=METRIC_SUMS.name,
            repair=f"{choice} `rec-platform run --from {first} --to {last}` first.",
        )  # fmt: skip
    return found


def left_out(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> str:
    """What of the days and countries asked for is in no number, because nobody made it; empty if all is there."""
    found = published(platform, first, last, countries)
    days, asked = sorted({one.day for one in found}), (last - first).days + 1
    strange = ", ".join(sorted(set(countries) - {one.place for one in found}))
    few = f"{len(days)} of these {asked} days are published, from {days[0]} to {days[-1]}" if len(days) < asked else ""
    return "; ".join(text for text in (few, f"nothing is published of {strange}" if strange else "") if text)


def sums_of(
    platform: Platform,
    first: date,
    last: date,
    countries: Sequence[str],
    *,
    by: str | None = ALL,
    protocol: str = SESSION,
    estimand: str = CONTEXT,
    files: Files = NO_FILES,
) -> MetricSums:
    """Stored sums where they hold the slice (None: any), else sums made now from stored scores.

    What files given besides declare is always made now.
    """
    stored, own = None, files.given
    if protocol == SESSION and estimand == CONTEXT:
        published(platform, first, last, countries)
        reader = platform.reader(Input(METRIC_SUMS.name, first, last, every_country=True, optional=True))
        stored = rolled_up(stored_sums(reader, first, last, list(countries) or None))
        if by is None or by in {key.slice for key in stored.keys}:
            if not own or (by is not None and not own.names):
                return stored
        else:
            stored = None
    own = own if stored is not None else files.stored + own
    inputs = on_demand.inputs(first, last, protocol, platform.index.countries, own.needs)
    judged_before = Input(METRIC_SUMS.name, first, last, every_country=True, optional=True)
    reader = platform.reader(*inputs, judged_before)
    table = METRIC_SUMS.name if stored is not None else SCORES_TABLE.name if protocol == SESSION else inputs[0].table
    partitions = [
        partition
        for day in days_between(first, last)
        for partition in reader.published(table, day)
        if not countries or partition.place in countries
    ]
    # of a slice that is not stored, the usual metrics, too
    usual = STANDARD if stored is None or (by is None and own.slices) else ()
    made = on_demand.judged(
        reader, partitions, platform.settings, by=by, metrics=usual, own=own, protocol=protocol, estimand=estimand
    )
    return made if stored is None else on_demand.beside(stored, made, own)


def compared(
    home: Path,
    models: Sequence[str],
    first: date,
    last: date,
    *,
    countries: Sequence[str] = (),
    by: str = ALL,
    metrics: Sequence[str] = (),
    estimand: str = CONTEXT,
    out: Path | None = None,
    files: Sequence[Path] = (),
) -> Compared:
    """Two models compared, or every pair of more (of all, where none is named), over some days and countries together."""
    if len(models) == 1 or len(set(models)) < len(models):
        raise KeyRefused(
            f"nothing to compare {models[0]!r} with" if len(models) == 1 else "a model is named twice", place="compare",
            repair="Name two models or more, or none to compare every pair.",
        )  # fmt: skip
    platform = Platform(home)
    own = Files.of(platform.settings, files)
    sums = only(
        sums_of(platform, first, last, countries, by=by, estimand=estimand, files=own), lambda key: key.slice == by
    )
    least, pairs = platform.settings.evaluation.min_contexts, list(combinations(models, 2)) or None
    wanted = _wanted(measured(sums, own.accumulators), metrics, own.given)
    if len(models) != 2 and not metrics:
        wanted = wanted[:1]  # every pair by every metric is a wall that nobody reads
    table = (
        compare_all(sums, _leading(sums, wanted, own.accumulators), min_contexts=least, accumulators=own.accumulators)
        if pairs is None
        else compare_pairs(sums, pairs, min_contexts=least, accumulators=own.accumulators)
    )
    table = corrected(_chosen(table, wanted, by))
    rows = table.to_pylist()
    if out is not None:
        _draw(rows, by, out)
    several = len(models) != 2
    return Compared(_sentence(rows), _numbers(rows, by, several=several), _told(rows, by, several=several))


def _leading(sums: MetricSums, wanted: Sequence[tuple[str, int]], accumulators: tuple[Accumulator, ...]) -> list[str]:
    """The models, the best by the first wanted metric first; the ceiling is none."""
    models = {key.model for key in sums.keys} - {CEILING}
    if not wanted:
        return sorted(models)
    name, k = wanted[0]
    behind = {"", name} | {
        one.name + end for one in accumulators for end in _ENDS if name in [read + end for read in one.readings]
    }
    few = only(sums, lambda key: key.metric in behind and key.k in (0, k))
    values: dict[str, list[float]] = {}
    for row in metric_rows(few, accumulators=accumulators).to_pylist():
        if (row[c.METRIC], row[c.CUTOFF]) == (name, k):
            values.setdefault(row[c.MODEL], []).append(row[c.VALUE])
    sign = -1 if term(name).better == LOWER_IS_BETTER else 1
    best = {model: sign * float(np.nanmean(found)) for model, found in values.items() if np.isfinite(found).any()}
    return sorted(models, key=lambda model: (-best.get(model, -np.inf), model))


def chosen_metrics(known: Sequence[tuple[str, int]], asked: Sequence[str]) -> list[tuple[str, int]]:
    """Metrics and cut-offs by the names asked for: `ndcg` is `ndcg` at every cut-off there is, `ndcg@10` at that one.

    >>> chosen_metrics([("mrr", 0), ("ndcg", 5), ("ndcg", 10)], ["ndcg@10", "mrr"])
    [('ndcg', 10), ('mrr', 0)]
    """
    found = {text: [(name, k) for name, k in known if text in (name, heading(name, k))] for text in asked}
    strange = sorted(text for text, pairs in found.items() if not pairs)
    if strange:
        cuts = sorted({k for _, k in known} - {0})
        have = ", ".join(sorted({f"{name}@k" if k else name for name, k in known}))
        where = f", with k of {', '.join(map(str, cuts))}" if cuts else ""
        stored = set(platforms([text.partition("@")[0] for text in strange]).names) - {name for name, _ in known}
        why = f"{', '.join(sorted(stored))}: with --estimand context and --protocol session only. " if stored else ""
        raise KeyRefused(f"no metric {', '.join(strange)}", place="--metric", repair=f"{why}There are: {have}{where}.")
    return list(dict.fromkeys(pair for pairs in found.values() for pair in pairs))


def heading(metric: str, k: int) -> str:
    """A metric and its cut-off (0: it has none) as people write it: `ndcg@10`."""
    return f"{metric}@{k}" if k else metric


def _wanted(known: Sequence[tuple[str, int]], asked: Sequence[str], own: Own) -> list[tuple[str, int]]:
    """Of the metrics there are those asked for; else the main ones and those of the user's own."""
    return chosen_metrics(known, asked) if asked else [pair for pair in MAIN if pair in known] + own.shown(known)


def _chosen(table: pa.Table, wanted: Sequence[tuple[str, int]], by: str) -> pa.Table:
    """Rows of the wanted metrics, in their order, in one slice; of its values those with a context."""
    of_slice = table.filter(pc.equal(table.column(c.SLICE), by))
    if by != ALL:
        of_slice = of_slice.filter(pc.greater(of_slice.column(c.N), 0))
    names = zip(of_slice.column(c.METRIC).to_pylist(), of_slice.column(c.CUTOFF).to_pylist(), strict=True)
    place = {pair: number for number, pair in enumerate(wanted)}
    ranks = [place.get(pair, -1) for pair in names]
    rows = [row for row, rank in enumerate(ranks) if rank >= 0]
    rows.sort(key=lambda row: ranks[row])
    return of_slice.take(pa.array(rows, pa.int64()))


def _heading(row: Row) -> str:
    return heading(row[c.METRIC], row[c.CUTOFF])


def _numbers(rows: list[Row], by: str, *, several: bool) -> list[Row]:
    """Rows for machines; what was not measured is None."""
    return [
        _named(row, by, several=several, value=or_none)
        | {"difference": Measured(row["difference"], row[c.LOW], row[c.HIGH], sign=True)}
        | {name: or_none(row[column]) for name, column in _TESTS.items()}
        | {"n": row[c.N], "verdict": row["verdict"], "by": row["method"]}
        for row in rows
    ]


def _told(rows: list[Row], by: str, *, several: bool) -> list[Row]:
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
    if several and len({_heading(row) for row in rows}) == 1:
        hidden.add("metric")
    return [
        {name: cell for name, cell in _named(row, by, several=several, value=_plain).items() if name not in hidden}
        | {
            "difference": _signed(row["difference"]),
            "95 %": "no verdict" if np.isnan(row[c.LOW]) else f"[{row[c.LOW]:+.3f},{row[c.HIGH]:+.3f}]",
            "bar": bar(row["difference"], row[c.LOW], row[c.HIGH], reach[row[c.METRIC]]) if np.isfinite(row[c.LOW]) else "",
            "p Holm": _p(row["p_holm"]), "n": row[c.N],
            "surely higher": {HIGHER: row["model_a"], LOWER: row["model_b"]}.get(row["verdict"], row["verdict"]),
        }
        for row in rows
    ]  # fmt: skip


def _named(row: Row, by: str, *, several: bool, value: Callable[[float], object]) -> Row:
    """What a row is about: the models (of several pairs in one column), metric, slice value, and both values."""
    a, b = ("a", "b") if several else (row["model_a"], row["model_b"])
    return (
        ({"models": f"{row['model_a']} - {row['model_b']}"} if several else {})
        | {"metric": _heading(row)}
        | ({} if by == ALL else {by: row[c.SLICE_VALUE]})
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


def _sentence(rows: list[Row]) -> str:
    """Which is better and how sure: what the first metric says in its largest slice value, and how many others agree."""
    if not rows:
        return "Nothing to compare."
    pairs = {(row["model_a"], row["model_b"]) for row in rows}
    sure = [row for row in rows if row["verdict"] in (HIGHER, LOWER)]
    if len(pairs) > 1:
        return f"{len(pairs)} pairs, {len(rows)} comparisons; {len(sure)} differences are sure after Holm's correction."
    row = max((one for one in rows if _heading(one) == _heading(rows[0])), key=lambda one: one[c.N])
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
        f"{ahead} is {better} than {behind} on {_heading(row)}{_where(row)}: {sign * row['difference']:+.4f} "
        f"[{low:+.4f}, {high:+.4f}], {_by(row)}{others if len(rows) > 1 else ''}."
    )


def _unsure(row: Row, family: int) -> str:
    """Why nothing follows: other contexts, too little data, or a difference that chance among so many explains."""
    found = f"{row['model_a']} and {row['model_b']}: {row['verdict']} on {_heading(row)}{_where(row)}"
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


def _draw(rows: list[Row], by: str, out: Path) -> None:
    from rec_platform.reports import paired  # matplotlib takes half a second, and only pictures need it

    pairs = sorted({(row["model_a"], row["model_b"]) for row in rows})
    labelled = [
        row
        | {
            "label": (f"{row['model_a']} - {row['model_b']}  " if len(pairs) > 1 else "")
            + _heading(row)
            + ("" if by == ALL else f"  {row[c.SLICE_VALUE]}")
        }
        for row in rows
    ]
    heading = f"{pairs[0][0]} less {pairs[0][1]}" if len(pairs) == 1 else "the first less the second"
    paired.save(paired.differences_figure(labelled, heading=f"{heading}, with 95 % intervals; coloured: sure"), out)


# --- ageing ----------------------------------------------------------------------------------------------------------


def aged(
    home: Path,
    as_of: date,
    *,
    days: int,
    countries: Sequence[str] = (),
    models: Sequence[str] = (),
    metric: str = "nmrr",
    out: Path | None = None,
    files: Sequence[Path] = (),
) -> list[Row]:
    """One metric of the models of a date on each later date: a row per country (and `all`) and age, a column per model."""
    platform = Platform(home)
    own = Files.of(platform.settings, files)
    rows = ages(platform, as_of, days=days, countries=countries, metric=metric, own=own.stored + own.given)
    names = _best_first(rows) if not models else list(models)
    strange = sorted(set(names) - {row[c.MODEL] for row in rows})
    if strange:
        have = ", ".join(sorted({row[c.MODEL] for row in rows}))
        raise KeyRefused(f"no model {strange[0]!r} as of {as_of}", place="ageing", repair=f"There are: {have}.")
    chosen = [row for row in rows if row[c.MODEL] in names]
    if out is not None:
        from rec_platform.reports import paired  # see `_draw`

        paired.save(paired.ageing_figure(chosen, heading=f"{_heading(chosen[0])}, models as of {as_of}"), out)
    return _by_country_and_age(chosen, names)


def ages(
    platform: Platform, as_of: date, *, days: int, countries: Sequence[str], metric: str, own: Own = NONE
) -> list[Row]:
    """METRICS rows of one metric (`nmrr`, `ndcg@10`) with `age` in days and `country` (`all` for the whole).

    `own`: metrics besides, of tie groups alone.
    """
    settings = platform.settings
    reader = platform.reader(*ageing.inputs(settings, as_of, as_of + timedelta(days=days)))
    plain = tuple(one for one in own.metrics if not one.needs)
    parts = ageing.aged_sums(reader, settings, as_of=as_of, days=days, countries=list(countries) or None, own=plain)
    rows = _of_metric(ageing.by_age(parts, as_of, min_contexts=settings.evaluation.min_contexts), metric)
    return [row | {c.COUNTRY: row[c.SLICE_VALUE]} for row in rows]


def _best_first(rows: Sequence[Row]) -> list[str]:
    """The models by their mean over ages, all countries together."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if row[c.COUNTRY] == ALL and row[c.MODEL] != CEILING and not np.isnan(row[c.VALUE]):
            values.setdefault(row[c.MODEL], []).append(row[c.VALUE])
    return sorted(values, key=lambda name: (-float(np.mean(values[name])), name))


def _of_metric(rows: list[Row], metric: str) -> list[Row]:
    name, _, k = metric.partition("@")
    cuts = sorted({row[c.CUTOFF] for row in rows if row[c.METRIC] == name})
    if not cuts or (k and (not k.isdigit() or int(k) not in cuts)):
        have = ", ".join(sorted({_heading(row) for row in rows}))
        raise KeyRefused(f"no metric {metric!r}", place="--metric", repair=f"There are: {have}.")
    cut = int(k) if k else cuts[0]
    return [row for row in rows if (row[c.METRIC], row[c.CUTOFF]) == (name, cut)]


def _by_country_and_age(rows: list[Row], models: Sequence[str]) -> list[Row]:
    lines: dict[tuple[str, int], Row] = {}
    for row in sorted(rows, key=lambda one: (one[c.COUNTRY] != ALL, one[c.COUNTRY], one["age"])):
        line = lines.setdefault(
            (row[c.COUNTRY], row["age"]), {c.COUNTRY: row[c.COUNTRY], "age": row["age"], "n": row[c.N]}
        )
        line[row[c.MODEL]] = Measured(row[c.VALUE], row[c.LOW], row[c.HIGH])
    return [
        {
            "country": line[c.COUNTRY],
            "age": line["age"],
            "n": line["n"],
            **{model: line.get(model) for model in models},
        }
        for line in lines.values()
    ]
