"""Models beside their younger selves: one metric of the models of a date, by how old they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from rec_platform import columns as c
from rec_platform.errors import KeyRefused
from rec_platform.evaluation import ageing
from rec_platform.evaluation.own import NONE, Own
from rec_platform.evaluation.scored import CEILING
from rec_platform.evaluation.slices import ALL
from rec_platform.flow import Platform
from rec_platform.judging.sums import Files
from rec_platform.judging.told import Row, named
from rec_platform.terminal import Measured


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
        from rec_platform.reports import paired  # matplotlib takes half a second, and only pictures need it

        paired.save(paired.ageing_figure(chosen, heading=f"{named(chosen[0])}, models as of {as_of}"), out)
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
        have = ", ".join(sorted({named(row) for row in rows}))
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
