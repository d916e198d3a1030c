"""`rec-platform compare` and `rec-platform ageing`: models beside each other, and beside their younger selves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from rec_platform import clock, commands, judging
from rec_platform.flow import Platform
from rec_platform.terminal import (
    DEFAULT_HOME,
    AsJson,
    Countries,
    First,
    Home,
    Last,
    With,
    busy,
    days_of,
    in_numbers,
    next_step,
    note,
    of_home,
    print_rows,
    to_write,
)

SLICES = (
    "Slice: all, country, tenure_band, activity_band, device, profile_band, popularity, title_age, any column of contexts, "
    "a slice of a file given --with, or two with a comma."
)
METRICS = (
    "Comma-separated metrics, at a cut-off or at all of them: ndcg@10,recall; the main ones if not given, of several pairs the "
    "first of them."
)
By = Annotated[str, typer.Option(help=SLICES)]
Estimand = Annotated[
    str,
    typer.Option(
        help="context: mean over contexts; profile: mean over profiles, each weighed alike, from stored scores."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Draw it too: a file ending in .svg or .png.", dir_okay=False, callback=to_write(".svg", ".png")
    ),
]


def compare(
    first: First,
    last: Last,
    models: Annotated[
        list[str] | None, typer.Argument(help="Two models, or several: every pair; all if none is named.")
    ] = None,
    countries: Countries = "",
    by: By = "all",
    metric: Annotated[str, typer.Option(help=METRICS)] = "",
    estimand: Estimand = "context",
    own: With = None,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Compare models on the same contexts, pair by pair: differences, intervals, tests, and which is better.

    Example: rec-platform compare xgboost popularity --from 2011-11-01 --to 2011-12-09 --by country
    """
    days = days_of(first, last)
    with busy("comparing"):
        found = judging.compared(
            home, models or [], *days, countries=commands.countries(countries), by=by, metrics=commands.names(metric),
            estimand=estimand, out=out, files=own or [],
        )  # fmt: skip
    asked = Platform(home), *days, commands.countries(countries)
    note(judging.left_out(*asked))
    note(judging.measured_on_fewer(*asked, models or ()))
    note(found.note)
    if as_json:
        print(json.dumps({"sentence": found.sentence, "rows": in_numbers(found.rows)}, default=str))
        return
    several = len(models or ()) != 2 and not metric
    what = f" in {found.rows[0]['metric']}" if found.rows and several else ""
    print_rows(
        found.told, f"Paired differences{what}, {first} to {last}: intervals each by itself, verdicts for all rows together",
        as_json=False,
    )  # fmt: skip
    print(found.sentence)
    print("Every test and effect size: --json." + (" Other metrics: --metric ndcg@10,recall." if several else ""))
    next_step(f"rec-platform report --from {first} --to {last} --out report.html{of_home(home)}")


def ageing(
    as_of: Annotated[str, typer.Option(help="The date of the models, YYYY-MM-DD.")],
    days: Annotated[int, typer.Option(min=1, help="How old they may get.")] = 30,
    models: Annotated[str, typer.Option(help="Comma-separated models; all of the date if not given.")] = "",
    metric: Annotated[str, typer.Option(help="A metric, with its cut-off: ndcg@10.")] = "nmrr",
    countries: Countries = "",
    own: With = None,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Print how models of a date do on each later date, per country. Scores again; writes nothing but the picture.

    Example: rec-platform ageing --as-of 2011-11-10 --days 14 --metric ndcg@10
    """
    day = clock.parse_day(as_of, place="--as-of")
    with busy("scoring later dates"):
        rows = judging.aged(
            home, day, days=days, countries=commands.countries(countries), models=commands.names(models), metric=metric,
            out=out, files=own or [],
        )  # fmt: skip
    if as_json:
        print(json.dumps(in_numbers(rows), default=str))
        return
    print_rows(rows, f"{metric} of the models as of {as_of}, by age in days, [95 % interval]", as_json=False)
    last = day + timedelta(days=days)
    next_step(f"rec-platform report --from {as_of} --to {last} --ageing --out report.html{of_home(home)}")
