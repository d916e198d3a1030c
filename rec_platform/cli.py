"""The command line: a thin door. Each command parses, makes one call, and prints; exit code 0 only on success."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from rec_platform import clock, commands
from rec_platform.cli_compare import By, Estimand, ageing, compare
from rec_platform.cli_export import export
from rec_platform.cli_features import features
from rec_platform.cli_late import late
from rec_platform.cli_protocol import protocol
from rec_platform.cli_prove import prove
from rec_platform.cli_rankers import rankers
from rec_platform.errors import PlatformError, of_files
from rec_platform.flow import Platform
from rec_platform.flow.travel import travelled
from rec_platform.judging import left_out, measured_on_fewer
from rec_platform.terminal import DEFAULT_HOME, AsJson, Countries, First, Home, Last, With, days_of, to_write
from rec_platform.terminal import busy as _busy
from rec_platform.terminal import in_numbers as _in_numbers
from rec_platform.terminal import next_step as _next_step
from rec_platform.terminal import note as _note
from rec_platform.terminal import of_home as _of_home
from rec_platform.terminal import print_fault as _print_fault
from rec_platform.terminal import print_pairs as _print_pairs
from rec_platform.terminal import print_rows as _print_rows
from rec_platform.terminal import progress as _progress

app = typer.Typer(
    help="A log of plays goes in; ranked recommendations and honest numbers about them come out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write the delivery and the truth to.")],
    plays: Annotated[int | None, typer.Option(help="About how many plays; the small world if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 7,
    plays_format: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet.")] = "csv",
    as_json: AsJson = False,
) -> None:
    """Make a simulated world: files as a source would deliver them, and the truth apart from them.

    Example: rec-platform simulate /tmp/world --plays 1000000
    """
    with _progress("simulate") as progress:
        summary = commands.simulated(out, plays=plays, seed=seed, plays_format=plays_format, progress=progress)
    _print_pairs(summary, f"Simulated world in {out}", as_json=as_json)


app.add_typer(features, name="features")
app.add_typer(rankers, name="rankers")
app.add_typer(prove, name="prove")
app.command()(export)
app.command()(compare)
app.command()(ageing)
app.command()(protocol)
app.command()(late)


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    mapping: Annotated[Path | None, typer.Option(help="The source mapping; the stored one if not given.")] = None,
    delivered_at: Annotated[
        str | None, typer.Option(help="When the files were delivered, e.g. 2025-01-05T06:00:00Z.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Take delivered files into the landing table and print the reconciliation.

    Example: rec-platform ingest --mapping examples/mappings/online_retail.toml data/online-retail-by-day/*.csv
    """
    instant = None if delivered_at is None else clock.parse_instant(delivered_at, place="--delivered-at")
    with _progress("ingest") as progress:
        result = commands.ingested(home, mapping, files, delivered_at=instant, progress=progress)
    commands.print_reconciliation(result, as_json=as_json)
    if not result.ok:
        raise typer.Exit(1)
    if not as_json:
        days = commands.newest_days(home)
        _next_step(f"rec-platform run --from {days[0]} --to {days[1]}{_of_home(home)}" if days else "")


@app.command()
def run(
    first: First,
    last: Last,
    countries: Countries = "",
    force: Annotated[
        bool, typer.Option("--force", help="Make everything again; equal rows make no new version.")
    ] = False,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Use last good versions of failed partitions.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be made and stop.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Run the whole flow over a window of days through Dagster, in one process: only what is stale is made.

    Example: rec-platform run --from 2011-11-01 --to 2011-12-09
    """
    days = days_of(first, last)
    request = {
        "home": str(home.absolute()), "first": days[0].isoformat(), "last": days[1].isoformat(),
        "countries": commands.countries(countries), "force": force, "allow_stale": allow_stale, "plan": plan, "json": as_json,
        "of_home": _of_home(home),
    }  # fmt: skip
    _become("flow", json.dumps(request))


@app.command()
def metrics(
    first: First,
    last: Last,
    countries: Countries = "",
    by: By = "all",
    metric: Annotated[
        str,
        typer.Option(
            help="Comma-separated metrics, at a cut-off or at all of them: ndcg@10,recall; the main ones if not given."
        ),
    ] = "",
    versus: Annotated[str, typer.Option(help="Paired differences against this model, e.g. popularity.")] = "",
    estimand: Estimand = "context",
    protocol: Annotated[
        str, typer.Option(help="session, or daily_list: published recommendations by the plays of their date.")
    ] = "session",
    own: With = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Print metrics of the days together, every model beside the baselines, each with its 95 % interval.

    Example: rec-platform metrics --from 2011-11-01 --to 2011-12-09 --versus popularity
    """
    days = days_of(first, last)
    with _busy("adding up stored sums"):
        rows = commands.metrics(
            home, *days, countries=commands.countries(countries), by=by, metrics=commands.names(metric), versus=versus,
            estimand=estimand, protocol=protocol, files=own or [],
        )  # fmt: skip
    if protocol == "session":
        for told in (left_out, measured_on_fewer):
            _note(told(Platform(home), *days, commands.countries(countries)))
    over = (
        f"less {versus}, paired" if versus else "mean over contexts" if estimand == "context" else "mean over profiles"
    )
    shown = _in_numbers(rows) if as_json else rows
    _print_rows(shown, f"Metrics of {first} to {last}: {over}, [95 % interval]", as_json=as_json)
    if not as_json:
        print(
            "random is an order by chance, ceiling the best that any order could reach. Other metrics: --metric map,mrr; slices: "
            "--by country"
        )
        _next_step(f"rec-platform {commands.after_metrics(rows, versus)} --from {first} --to {last}{_of_home(home)}")


@app.command()
def report(
    first: First,
    last: Last,
    countries: Countries = "",
    out: Annotated[Path, typer.Option("--out", help="The file to write.", dir_okay=False, callback=to_write())] = Path(
        "report.html"
    ),
    ageing: Annotated[
        bool, typer.Option("--ageing", help="Score the later days with the first day's models, too: takes a while.")
    ] = False,
    own: With = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on some days: models with intervals, slices, lists, data and its drift. Opens from disk.

    Example: rec-platform report --from 2011-11-01 --to 2011-12-09 --out report.html
    """
    days = days_of(first, last)
    with _progress("report") as progress:
        made = commands.reported(
            home, *days, countries=commands.countries(countries), out=out, progress=progress, ageing=ageing, files=own or [],
        )  # fmt: skip
    if as_json:
        print(json.dumps(made))
        return
    size = f"{made['bytes'] / 1e6:.1f} MB" if made["bytes"] >= 1e5 else f"{made['bytes'] / 1e3:.0f} kB"
    print(f"{made['report']}: {size}, of {made['partitions']:,} partitions; open it in a browser.")


@app.command()
def recommend(
    as_of: Annotated[str, typer.Option(help="The day the list is for, YYYY-MM-DD.")],
    profile: Annotated[str, typer.Option(help="The profile: our id or the source's own.")] = "",
    country: Annotated[str, typer.Option(help="ISO code.")] = "",
    k: Annotated[int, typer.Option("-k", min=1, help="How many titles.")] = 10,
    sample: Annotated[
        bool, typer.Option("--sample", help="Published lists of a few profiles instead of one profile's.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Print ranked titles for a profile, with the model that made each row and why.

    Example: rec-platform recommend --profile 17850 --country GB --as-of 2011-12-09 -k 10
    """
    day = clock.parse_day(as_of, place="--as-of")
    with _busy("looking up lists"):
        if sample:
            rows = commands.sample_recommendations(home, day, k=k)
        else:
            rows = commands.recommendations(home, profile=profile, country=country, as_of=day, k=k)
    _print_rows(rows, f"Recommendations as of {as_of}", as_json=as_json)


@app.command()
def travel(
    profile: Annotated[str, typer.Option(help="The profile: our id or the source's own.")],
    as_of: Annotated[str, typer.Option(help="The instant, e.g. 2011-12-01T12:00:00Z; a bare date is its 00:00 UTC.")],
    title: Annotated[str, typer.Option(help="A title; the profile's most recent ones if not given.")] = "",
    country: Annotated[
        str, typer.Option(help="Country of the context; where the profile last played if not given.")
    ] = "",
    plays: Annotated[int, typer.Option(help="Most plays shown of each selection.", min=0)] = 3,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="A feature file beside those of platform.toml; may be given several times."),
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Print the features of a profile as they were at an instant, the facts they read, and the very plays behind those.

    Example: rec-platform travel --profile 17850 --as-of 2011-12-01T12:00:00Z
    """
    instant = clock.parse_instant(as_of, place="--as-of")
    with _busy("travelling"):
        found = travelled(home, profile=profile, title=title, country=country, as_of=instant, files=file or ())
    if as_json:
        _print_rows(found.rows(), "", as_json=True)
        return
    of_what = f"Profile {profile} as of {clock.iso(instant)}, local time {found.local_time}"
    _print_rows(found.context_rows(), of_what, as_json=False, hide={"what"})
    _print_rows(_told(found.feature_rows()), "Features, and the facts they read", as_json=False, hide={"what"})
    _print_rows(
        _told(found.fact_rows()), "These facts, the plays they count and those left out (instants are UTC; meaning: --json)",
        as_json=False, hide={"what", "window", "meaning"},
    )  # fmt: skip
    _print_rows(found.play_rows(plays), f"The plays behind them, the newest {plays} of each", as_json=False)
    day = clock.iso(instant)[:10]
    _next_step(f"rec-platform prove leak --from {day} --to {day}{_of_home(home)}")


def _told(rows: list[commands.Row]) -> list[commands.Row]:
    """Values that are not there are called missing, as in docs/features.md."""
    return [row | {"value": "missing" if row["value"] in ("nan", "") else row["value"]} for row in rows]


@app.command()
def status(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Print what is published: per table partitions, rows, days, and partitions that are stale, late, failed, raised or wait.

    Example: rec-platform status
    """
    platform = Platform(home)
    with _busy("looking up versions"):
        waiting = platform.waiting()
        rows = commands.status(platform, waiting)
    said, taking_in = commands.not_taken_in(platform, waiting)
    _note(f"{said}; taken in by {taking_in}" if said else "")
    _print_rows(
        rows, f"Lake in {home}: partitions and rows of every table; the last columns count partitions", as_json=as_json,
        hide={commands.RAISED_IN, commands.LACKING},
    )  # fmt: skip
    if not as_json:
        for line in commands.status_notes(platform, rows):
            _note(line)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000,
    home: Home = DEFAULT_HOME,
) -> None:
    """Open Dagster on loopback: asset graph, partitions, checks, backfills, schedule and sensor.

    Example: rec-platform ui --port 3000
    """
    print(f"Dagster on http://127.0.0.1:{port} (ready in about 15 seconds; Ctrl-C stops it)", flush=True)
    _become("ui", str(home.absolute()), str(port))


#: As help lists them: from files to numbers, then what one asks of those.
_ORDER = (
    "simulate", "ingest", "run", "status", "metrics", "compare", "report", "recommend", "travel", "late", "ageing", "export",
    "protocol", "ui",
)  # fmt: skip
app.registered_commands.sort(key=lambda one: _ORDER.index(getattr(one.callback, "__name__", "")))


def main() -> None:
    """Run the command line; what a user can repair is printed as its three parts, without a traceback, with exit code 2."""
    try:
        app()
    except (PlatformError, OSError) as error:
        fault = error if isinstance(error, PlatformError) else of_files(error)
        _print_fault(fault.fault, fault.place, fault.repair)
        sys.exit(2)


def _become(*arguments: str) -> None:
    """Replace this process by the one that holds Dagster: the library itself never imports it."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "assets.run", *arguments])


if __name__ == "__main__":
    main()
