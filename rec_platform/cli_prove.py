"""`rec-platform prove`: that nothing of the future reaches the past, with what each proof costs. Exit code 1 if one fails."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from rec_platform import commands
from rec_platform.errors import KeyRefused
from rec_platform.flow import Platform
from rec_platform.proofs import Proof
from rec_platform.proofs import flow as proofs
from rec_platform.proofs import placebo as placebos
from rec_platform.proofs import split as splits
from rec_platform.terminal import (
    DEFAULT_HOME,
    AsJson,
    Countries,
    First,
    Home,
    Last,
    busy,
    days_of,
    next_step,
    of_home,
    plain,
    print_rows,
)

prove = typer.Typer(help="Prove that nothing of the future reaches the past: docs/proofs.md.", no_args_is_help=True)

#: What to do where a proof fails.
REPAIRS: Final = {
    "leak": "The column named reads what was not visible. Use nothing made with it; take it out ([features] leave_out) or mend "
    "what reads it, raise its code_version, and `rec-platform run` its dates.",
    "replay": "Rows that are not those recorded: `rec-platform run --force` for the date writes them again, first stages first. "
    "Code or configuration that differs: go back to it, or raise the stage's code_version and `rec-platform run` the date.",
    "incremental": "`rec-platform run --force` from the first wrong date on: later snapshots were built on it.",
    "split": "Judge later days, or train on earlier ones: the embargo named is enough.",
    "placebo": "See where the feature's source has its numbers from; [features] leave_out takes it away.",
}

#: What the columns say of the proofs whose rows are shown.
LEGENDS: Final[dict[str, Mapping[str, str]]] = {"split": splits.LEGEND, "placebo": placebos.LEGEND}

Seed = Annotated[int, typer.Option(help="What is drawn by chance; same seed, same proof.")]


@dataclass(frozen=True)
class _Asked:
    """What every proof is asked for: of which home, days and countries (none named: all)."""

    home: Path
    first: date
    last: date
    countries: tuple[str, ...]

    @property
    def window(self) -> tuple[Platform, date, date, tuple[str, ...]]:
        """The arguments that every proof begins with."""
        return Platform(self.home), self.first, self.last, self.countries

    def next(self, proof: str) -> str:
        """The command that proves something else of the same."""
        of = f" --countries {','.join(self.countries)}" if self.countries else ""
        return f"rec-platform prove {proof} --from {self.first} --to {self.last}{of}{of_home(self.home)}"


@prove.command()
def leak(
    first: First,
    last: Last,
    countries: Countries = "",
    instants: Annotated[int, typer.Option(min=1, help="How many instants, each of another partition.")] = 3,
    seed: Seed = 1,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Corrupt everything not visible at some instants; whatever is derived at them must keep its bytes.

    Example: rec-platform prove leak --from 2011-12-01 --to 2011-12-09
    """
    asked = _Asked(home, *days_of(first, last), tuple(commands.countries(countries)))
    made = proofs.prove_leak(*asked.window, instants=instants, seed=seed)
    _show(made, "Future-scramble", as_json=as_json, then=asked.next("replay"))


@prove.command()
def replay(
    first: First,
    last: Last,
    countries: Countries = "",
    stage: Annotated[str, typer.Option(help="Whose partitions are made again.")] = "training_sets",
    at_most: Annotated[int, typer.Option(min=1, help="How many partitions, drawn by seed.")] = 3,
    seed: Seed = 1,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make published partitions again from the versions their manifests name, and compare them by hash.

    Example: rec-platform prove replay --from 2011-12-01 --to 2011-12-09 --stage scores
    """
    asked = _Asked(home, *days_of(first, last), tuple(commands.countries(countries)))
    window = asked.first, asked.last, asked.countries
    made = proofs.prove_replay(Platform(home), stage, *window, at_most=at_most, seed=seed)
    _show(made, f"Replay of {stage}", as_json=as_json, then=asked.next("incremental"))


@prove.command()
def incremental(
    first: First,
    last: Last,
    countries: Countries = "",
    about: Annotated[int, typer.Option(min=1, help="About how many profiles, and titles, of each snapshot.")] = 200,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Count the facts of snapshots again, straight from the plays: mismatches, missing and extra ones per fact.

    Example: rec-platform prove incremental --from 2011-12-09 --to 2011-12-09
    """
    asked = _Asked(home, *days_of(first, last), tuple(commands.countries(countries)))
    made = proofs.prove_incremental(*asked.window, about=about)
    _show(made, "Incremental = full", as_json=as_json, rows="broken", then=asked.next("split"))


@prove.command()
def split(
    first: First,
    last: Last,
    countries: Countries = "",
    train_from: Annotated[str, typer.Option(help="First training day; the models' own days if not given.")] = "",
    train_to: Annotated[str, typer.Option(help="Last training day, included.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Audit training against evaluation days: label windows across the cut, doubles, the embargo needed.

    --countries are those judged: training is of all countries together.

    Example: rec-platform prove split --from 2011-12-01 --to 2011-12-09
    """
    if bool(train_from) != bool(train_to):
        raise KeyRefused("only one end of the training days", place="--train-from, --train-to", repair="Give both.")
    trained = days_of(train_from, train_to, option="--train-") if train_from else None
    asked = _Asked(home, *days_of(first, last), tuple(commands.countries(countries)))
    made = proofs.prove_split(*asked.window, trained)
    _show(made, "Split audit", as_json=as_json, rows="all", then=asked.next("placebo"))


@prove.command()
def placebo(
    first: First, last: Last, countries: Countries = "", home: Home = DEFAULT_HOME, as_json: AsJson = False
) -> None:
    """What every feature, as of the first day, knows of the days' plays beyond what the past can tell.

    Example: rec-platform prove placebo --from 2011-11-01 --to 2011-11-07
    """
    asked = _Asked(home, *days_of(first, last), tuple(commands.countries(countries)))
    made = proofs.prove_placebo(*asked.window)
    _show(made, "What features know of the future", as_json=as_json, rows="all")


def _show(proofs_made: Iterable[Proof], title: str, *, as_json: bool, rows: str = "", then: str = "") -> None:
    """The proofs as they come, then the verdict and, if all hold, what to do next; exit code 1 if one of them fails."""
    with busy(title):
        found = list(proofs_made)
    failed = [proof for proof in found if not proof.passed]
    if as_json:
        print(json.dumps([proof.to_json() for proof in found], default=str))
    else:
        _print(found, title, rows)
    if failed:
        raise typer.Exit(1)
    if then and not as_json:
        next_step(then)


def _print(found: list[Proof], title: str, rows: str) -> None:
    for proof in found:
        inner = [dict(row) for row in proof.rows if rows == "all" or (rows == "broken" and _broken(row))]
        silent = [row for row in inner if _silent(row)]
        if inner:
            loud = [splits.shown(row) if proof.proof == "split" else row for row in inner if row not in silent]
            print_rows(loud, f"{title}, {proof.subject}", as_json=False)
        if silent:
            more = " more" if len(silent) < len(inner) else ""
            print(f"{len(silent)}{more} with nothing to tell beyond the past: --json names them")
        if inner:
            _print_legend(LEGENDS.get(proof.proof, {}))
    print_rows(
        [
            {"proof": proof.proof, "of": proof.subject, "verdict": proof.verdict,
             "found": proof.observed.removeprefix(f"{proof.verdict}: "), "CPU s": round(proof.cpu_seconds, 2)}
            for proof in found
        ],
        title, as_json=False,
    )  # fmt: skip
    failed = [proof for proof in found if not proof.passed]
    seconds = sum(proof.cpu_seconds for proof in found)
    open_ = sum(not proof.judged for proof in found)
    held = "it holds" if len(found) == 1 else f"all {len(found)} hold"
    said = (
        f"[red]{len(failed)} of {len(found)} fail[/red]" if failed
        else f"[yellow]{len(found) - open_} of {len(found)} hold, {open_} not judged[/yellow]" if open_
        else f"[green]{held}[/green]"
    )  # fmt: skip
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{said}{plain(_sampled(found))}, {seconds:.1f} CPU s")
    for proof in failed:
        told = "" if proof.observed.startswith(f"{proof.subject}: ") else f"{proof.subject}: "
        console.print(f"  {plain(told + proof.observed)}")
    for name in dict.fromkeys(proof.proof for proof in failed):
        console.print(f"  repair {plain(REPAIRS[name])}")


def _sampled(found: list[Proof]) -> str:
    """Of how many those looked at were drawn, and the option for more; nothing where all were looked at.

    >>> _sampled([Proof("replay", "x", True, "", 0.1, drawn=1, drawn_of=1335)] * 40)
    ' (40 of 1,335 partitions; --at-most for more)'
    """
    drawn = [proof for proof in found if proof.drawn]
    if not drawn:
        return ""
    proof, n = drawn[0].proof, sum(one.drawn for one in drawn)
    # partitions are drawn of all of the window, profiles and titles of each partition
    of = drawn[0].drawn_of if proof in ("leak", "replay") else sum(one.drawn_of for one in drawn)
    if proof == "leak":
        return f" (an instant each of {n:,} of {of:,} partitions; --instants for more)"
    if n == of:
        return ""
    what, option = {"replay": ("partitions", "; --at-most for more"), "placebo": ("titles", "")}.get(
        proof, ("profiles and titles", "; --about for more")
    )
    return f" ({n:,} of {of:,} {what}{option})"


def _print_legend(legend: Mapping[str, str]) -> None:
    """What columns say, one a line."""
    wide = max((len(name) for name in legend), default=0)
    for name, means in legend.items():
        print(f"  {name:<{wide}}  {means}")


def _silent(row: Mapping[str, Any]) -> bool:
    """A feature of which the placebo proof has nothing to measure."""
    knows = row.get("knows", 0.0)
    return knows is None or math.isnan(knows)


def _broken(row: Mapping[str, Any]) -> bool:
    return bool(row.get("mismatch") or row.get("missing") or row.get("extra"))
