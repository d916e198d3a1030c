"""`rec-platform features`: what there is, and what a new idea is worth, before anything is run with it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rec_platform import columns as c
from rec_platform import commands
from rec_platform.config import PLATFORM_FILE, SOURCE_FILE, load_settings
from rec_platform.errors import KeyRefused
from rec_platform.features.catalogue import Cost, catalogue, costs
from rec_platform.features.check import CheckedFile, FaultyFile, check_file
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.local_clocks import undeclared_zones
from rec_platform.features.sample import Sample
from rec_platform.flow import Platform
from rec_platform.flow.trial import TRIAL_ITEMS, Trained, Trial, examined, home_sample, sought_in_vain, trained
from rec_platform.terminal import (
    DEFAULT_HOME,
    AsJson,
    Countries,
    First,
    Home,
    Last,
    days_of,
    next_step,
    note,
    of_home,
    print_fault,
    print_rows,
    progress,
    to_write,
)
from rec_platform.wording import counted

Row = dict[str, Any]

features = typer.Typer(help="Check, list and try features: docs/trying-features.md.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A Python file that declares facts and encoders.")]


@features.command()
def check(file: File, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Check a feature file: names, types, units, rings, unknown facts, and encoders on a drawn past. Every fault at once.

    Example: rec-platform features check examples/features/binge.py
    """
    checked = check_file(file, beside=declared_beside(home, file))
    if as_json:
        print(json.dumps(checked.to_json()))
    else:
        _print_checked(checked)
    if checked.faults:
        sys.exit(2)


def declared_beside(home: Path, file: Path) -> FeatureSet:
    """What the home uses besides a file: the standard set and the other files of its settings."""
    config = load_settings(home).features
    others = tuple(other for other in config.files if Path(other).resolve() != file.resolve())
    return FeatureSet.from_config(config.model_copy(update={"files": others}))


@contextmanager
def _faults_apart() -> Iterator[None]:
    """Where a feature file has faults each is printed by itself, as `features check` does; exit code 2."""
    try:
        yield
    except FaultyFile as faulty:
        _print_faults(faulty.checked)
        raise typer.Exit(2) from None


def _print_faults(checked: CheckedFile) -> None:
    for one in checked.faults:
        print_fault(one.fault, one.place(checked.file), one.repair)


def _print_checked(checked: CheckedFile) -> None:
    """The declarations and what is odd, then the faults: on a terminal the last lines are those that are seen."""
    rows = [*(checked.row(one) for one in checked.facts), *(checked.row(one) for one in checked.encoders)]
    if rows:
        print_rows(rows, f"Declared in {checked.file}", as_json=False)
    for text in checked.notes:
        print(f"note  {text}")
    sys.stdout.flush()  # faults go to standard error
    _print_faults(checked)
    if checked.faults:
        print(f"{checked.file}: {counted(len(checked.faults), 'fault')}", file=sys.stderr)
    else:
        n, m = len(checked.facts), len(checked.encoders)
        print(f"{checked.file}: {counted(n, 'fact')} and {counted(m, 'feature')}, nothing wrong")


@features.command("list")
def listed(
    file: Annotated[Path | None, typer.Option("--file", help="A feature file to take in besides.")] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Measure what each costs; takes some seconds.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List every fact and feature with unit, window, tick and what it reads; with --cost, seconds and bytes, measured.

    Example: rec-platform features list --file examples/features/binge.py --cost
    """
    with _faults_apart():
        whole = _whole(home, file)
    rows = catalogue(whole)
    if (home / SOURCE_FILE).exists():
        platform = Platform(home)
        note(undeclared_zones(whole.needed, platform.index.countries, platform.settings.rules))
    if cost:
        with progress("measuring") as told:
            sample, where = _sample(home, whole)
            found, resolution = costs(whole, sample, told)
        rows = [row | _cost(row, found.get((row["what"], row["name"])), resolution, as_json) for row in rows]
    if as_json:
        print_rows(rows, "", as_json=True)
        return
    for what in ("fact", "feature"):
        hidden = {"what", "facts"} | ({"window"} if what == "feature" else {"about"})
        some = [
            {name: value for name, value in row.items() if name not in hidden} for row in rows if row["what"] == what
        ]
        about = {
            "fact": "facts, counted from plays and records",
            "feature": "features, each made of the facts it reads",
        }
        print_rows(some, f"{len(some)} {about[what]}", as_json=False)
    if cost:
        print(
            f"alone, added: CPU-seconds per million item rows, on {where}. state: bytes that stay; row: bytes per row."
        )
        print(
            f"Measurements of all facts together lie up to {_at_least(resolution)} apart: what a fact adds below that is not "
            "told from nothing."
        )
    next_step(f"rec-platform features try {file or 'my_features.py'} --from A --to B --train{of_home(home)}")


def _whole(home: Path, file: Path | None) -> FeatureSet:
    if file is None:
        return FeatureSet.from_config(load_settings(home).features)
    beside = declared_beside(home, file)
    checked = check_file(file, beside=beside)
    checked.raise_if_faulty()
    return FeatureSet((*beside.facts, *checked.facts), (*beside.encoders, *checked.encoders), beside.hidden)


def _sample(home: Path, whole: FeatureSet) -> tuple[Sample, str]:
    """The home's own newest data, else a drawn past; and what it is."""
    found = home_sample(Platform(home), whole) if (home / SOURCE_FILE).exists() else None
    if found is not None:
        return found, f"{found.frame.n_items:,} rows and {found.plays.num_rows:,} plays of {home}"
    drawn = Sample.drawn(plays=50_000, contexts=1_000, items=50)
    return drawn, f"a drawn past of 50,000 plays and {drawn.frame.n_items:,} rows"


def _cost(row: Row, one: Cost | None, resolution: float, as_json: bool) -> Row:
    """What a row of the list costs. For people, what a fact seems to add and is not told from noise is said to be less."""
    if one is None:
        return {"alone": None, "added": None, "state": None, "row": None}
    bound = resolution if row["what"] == "fact" else 0.0
    numbers = {"alone": round(one.alone, 4), "added": round(one.added, 4), "state": one.state, "row": one.row}
    if as_json:
        return numbers | {"resolution": round(bound, 4)}
    return numbers | {"added": f"{one.added:.4f}" if one.added > bound else f"< {_at_least(bound)}"}


def _at_least(seconds: float) -> str:
    """Seconds rounded up: no less than they are.

    >>> _at_least(0.00123), _at_least(0.0)
    ('0.0013', '0.0001')
    """
    return f"{max(math.ceil(seconds * 1e4), 1) / 1e4:.4f}"


@features.command("try")
def attempt(
    file: File,
    first: First,
    last: Last,
    countries: Countries = "",
    train: Annotated[
        bool, typer.Option("--train", help="Train the default ranker with and without the new features, and compare.")
    ] = False,
    max_items: Annotated[int, typer.Option(help="Most items a fit reads, with --train.", min=1000)] = TRIAL_ITEMS,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A picture: .html, or .svg of a single feature.",
            dir_okay=False,
            callback=to_write(".html", ".svg"),
        ),
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Compute a file's features for past days and show what they are worth. Nothing is written to the home.

    Example: rec-platform features try examples/features/binge.py --from 2025-02-02 --to 2025-02-03 --train
    """
    days = days_of(first, last)
    with _faults_apart(), progress("trying") as told:
        trial = Trial.of(home, file, *days, commands.countries(countries))
        found = [one.to_json() for one in examined(trial, told)]
        vain = sought_in_vain(trial)
        result = trained(trial, told, max_items=max_items) if train else None
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(_picture(out, found, f"{file.name}, {first} to {last}"), encoding="utf-8")
    compared = None if result is None else result.differences(trial.settings.evaluation.min_contexts)
    if as_json:
        absent = [one.to_json() for one in vain]
        print(json.dumps({"features": found, "absent": absent, **_trained_json(result, compared)}, default=str))
        return
    for one in vain:
        note(str(one))
    print_rows(
        [_shown(one) for one in found], f"New features over items of training sets, {first} to {last}", as_json=False
    )
    print_rows(_by_country(found), "Ranking power alone: AUC inside contexts, among drawn items", as_json=False)
    if result is not None:
        title = f"{result.ranker} with the new features and without, whole candidate sets, {len(result.days)} days"
        print_rows([_difference(row) for row in compared or ()], title, as_json=False)
        for day, why in result.left_out.items():
            print(f"note  {day} is left out: {why}")
    again = f"rec-platform features try {file} --from {first} --to {last}{of_home(home)}"
    next_step(f"{again} --train" if result is None else taken_up(file, home, first, last))


def taken_up(file: Path, home: Path, first: str, last: str) -> str:
    """What makes a tried file part of the flow; its whole path, for platform.toml looks relative ones up in the home."""
    return (
        f'[features] files = ["{file.resolve().as_posix()}"] in {home / PLATFORM_FILE}, then rec-platform run --from {first} '
        f"--to {last}{of_home(home)}"
    )


def _picture(out: Path, found: list[Row], title: str) -> str:
    from rec_platform.reports.trial import trial_page, trial_plot  # matplotlib: only pictures need it

    if out.suffix == ".html":
        return trial_page(found, title)
    if out.suffix == ".svg" and len(found) == 1:
        return trial_plot(found[0])
    raise KeyRefused(
        f"{len(found)} features cannot be drawn as {out.suffix or 'a file without an ending'}", place="--out",
        repair="Name a .html file; a .svg holds one feature.",
    )  # fmt: skip


def _shown(one: Row) -> Row:
    """A feature in one row for people."""
    from rec_platform.reports.trial import text_histogram

    low, _, _, middle, _, _, high = one["quantiles"].values()
    return {
        "feature": one["name"], "unit": one["unit"], "items": one["rows"], "missing": f"{100 * one['missing']:.1f} %",
        "zero": f"{100 * one['zero']:.1f} %", "least": low, "median": middle, "most": high,
        "others": text_histogram(one["others"]), "engaged": text_histogram(one["engaged"]),
        "most like": f"{one['like']} ({one['correlation']:+.3f})" if one["like"] else "", "flags": "\n".join(one["flags"]),
    }  # fmt: skip


def _by_country(found: list[Row]) -> list[Row]:
    """One row per country, one column per feature."""
    places = list(dict.fromkeys(place for one in found for place in one["auc_sampled"]))
    n = {place: max(one["auc_sampled"].get(place, {"contexts": 0})["contexts"] for one in found) for place in places}
    return [
        {
            "country": place,
            "contexts": n[place],
            **{one["name"]: _power(one["auc_sampled"].get(place)) for one in found},
        }
        for place in places
    ]


def _power(auc: Row | None) -> str:
    if auc is None or auc["value"] is None:
        return "-"
    return (
        f"{auc['value']:.3f} no verdict"
        if auc["low"] is None
        else f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]"
    )


def _difference(row: Row) -> Row:
    k, sure = row[c.CUTOFF], not math.isnan(row[c.LOW])
    return {
        "country": row[c.SLICE_VALUE], "metric": f"{row[c.METRIC]}@{k}" if k else row[c.METRIC], "with": f"{row['value_a']:.4f}",
        "without": f"{row['value_b']:.4f}",
        "difference": f"{row['difference']:+.4f}" + (f" [{row[c.LOW]:+.4f}, {row[c.HIGH]:+.4f}]" if sure else ""),
        "contexts": row[c.N],
        "verdict": row["verdict"].replace("a is higher", "better with").replace("b is higher", "worse with"),
    }  # fmt: skip


def _trained_json(result: Trained | None, compared: list[Row] | None) -> Row:
    if result is None:
        return {}
    numbers = [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in compared or ()
    ]
    return {"ranker": result.ranker, "days": result.days, "left_out": {str(d): w for d, w in result.left_out.items()},
            "differences": numbers}  # fmt: skip
