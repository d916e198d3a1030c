"""`rec-platform rankers`: which there are, and whether a file of one's own keeps the contract before anything is run with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rec_platform.config import PLATFORM_FILE, SOURCE_FILE, Settings, load_settings
from rec_platform.flow import Platform
from rec_platform.models.artefact import Artefact, from_rows
from rec_platform.models.check import CheckedRanker, CheckedRankers, check_rankers
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.own import OwnTrainer
from rec_platform.models.registry import known_rankers, ranker_trainers
from rec_platform.partition import Partition
from rec_platform.tables import RANKER_MODELS
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, next_step, of_home, print_fault, print_rows
from rec_platform.wording import counted

Row = dict[str, Any]

rankers = typer.Typer(help="Check and list rankers: docs/models.md.", no_args_is_help=True)

SCALES = {"": "order only", "probability": "probability", "log_odds": "log-odds"}
#: Features named one by one; of more their number is said.
NAMED = 3


@rankers.command()
def check(
    file: Annotated[Path, typer.Argument(help="A Python file that declares rankers.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Check a ranker file: names, the contract, and models fitted on drawn data with the features of the home.

    Example: rec-platform rankers check examples/rankers/evidence.py
    """
    settings = load_settings(home)
    checked = check_rankers(file, settings)
    if as_json:
        print(json.dumps(checked.to_json()))
    else:
        _print_checked(checked)
        if not checked.faults and not _named(file, settings):
            written = f'[rankers] files = ["{file.resolve().as_posix()}"] in {home / PLATFORM_FILE}'
            next_step(f"{written}, then rec-platform run --from A --to B{of_home(home)}")
    if checked.faults:
        sys.exit(2)


def _named(file: Path, settings: Settings) -> bool:
    return file.resolve() in [Path(one).resolve() for one in settings.rankers.files]


def _print_checked(checked: CheckedRankers) -> None:
    for one in checked.faults:
        print_fault(one.fault, one.place, one.repair)
    if checked.rankers:
        print_rows([_row(one) for one in checked.rankers], f"Declared in {checked.file}", as_json=False)
    for name in checked.imports:
        print(f"note  {name}.py beside it is part of it")
    if not checked.faults:
        n = len(checked.rankers)
        print(f"{checked.file}: {counted(n, 'ranker')}, nothing wrong")


def _row(one: CheckedRanker) -> Row:
    trainer = one.trainer
    return {
        "line": trainer.line or "", "name": trainer.name, "class": type(trainer.inner).__name__,
        "code version": trainer.code_version, "scores": SCALES[trainer.scale], "reads": _features(one.reads),
    }  # fmt: skip


def _features(names: tuple[str, ...]) -> str:
    return f"{len(names)} features" if len(names) > NAMED else ", ".join(names)


@rankers.command("list")
def listed(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """List every ranker there is: where it stands, whether it is fitted, what its newest model was made from and reads.

    Example: rec-platform rankers list
    """
    settings = load_settings(home)
    known, fitted = known_rankers(settings.rankers.files), ranker_trainers(settings.rankers)
    day, made = _newest(home)
    rows = [_listed(trainer, name in fitted, day, made.get(name)) for name, trainer in known.items()]
    if as_json:
        print(json.dumps(rows))
        return
    shown = [_shown(row) for row in rows]
    print_rows(shown, f"{len(rows)} rankers, {len(fitted)} fitted", as_json=False)
    if any(row["made by"] == "other code" for row in rows):
        next_step(f"rec-platform run --from {day} --to {day}{of_home(home)}")
    else:
        next_step(f"rec-platform rankers check my_ranker.py{of_home(home)}")


def _listed(trainer: RankerTrainer, fitted: bool, day: str, made: Artefact | None) -> Row:
    own = trainer if isinstance(trainer, OwnTrainer) else None
    reads, current = list[str](), None
    if made is not None:
        reads = [note["name"] for note in made.manifest["features"]]
        current = made.manifest["code_version"] == trainer.code_version and (
            own is None or made.manifest.get("code") == own.code
        )  # fmt: skip
    return {
        "ranker": trainer.name, "from": "the platform" if own is None else str(own.file), "fitted": fitted,
        "scores": trainer.scale, "newest": day if made is not None else "",
        "made by": "" if current is None else "this code" if current else "other code", "reads": reads,
    }  # fmt: skip


def _shown(row: Row) -> Row:
    words = {"fitted": "yes" if row["fitted"] else "no", "scores": SCALES[row["scores"]]}
    return row | words | {"reads": _features(tuple(row["reads"]))}


def _newest(home: Path) -> tuple[str, dict[str, Artefact]]:
    """The newest date that has a ranker, and its models; nothing where there is none."""
    if not (home / SOURCE_FILE).exists():
        return "", {}
    platform = Platform(home)
    days = [one.day for one, state in platform.index.state(RANKER_MODELS.name).items() if state.rows > 0]
    if not days:
        return "", {}
    place = f"{RANKER_MODELS.name} {max(days)}"
    return max(days).isoformat(), from_rows(platform.lake.read(RANKER_MODELS.name, [Partition(max(days))]), place=place)
