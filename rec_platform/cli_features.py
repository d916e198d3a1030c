"""`rec-platform features`: what there is, and what a new idea is worth, before anything is run with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rec_platform.config import load_settings
from rec_platform.features.check import CheckedFile, check_file
from rec_platform.features.feature_set import FeatureSet
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, plain, print_rows

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


def _print_checked(checked: CheckedFile) -> None:
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    for one in checked.faults:
        errors.print(
            f"[red]error[/red] {plain(one.fault)}\n  where  {plain(one.place(checked.file))}\n"
            f"  repair {plain(one.repair)}"
        )
    rows = [*(checked.row(one) for one in checked.facts), *(checked.row(one) for one in checked.encoders)]
    if rows:
        print_rows(rows, f"Declared in {checked.file}", as_json=False)
    for note in checked.notes:
        print(f"note  {note}")
    if not checked.faults:
        n, m = len(checked.facts), len(checked.encoders)
        print(f"{checked.file}: {n} facts and {m} features, nothing wrong")
