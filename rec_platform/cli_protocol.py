"""`rec-platform protocol`: models on a plain file of interactions, or on the lake's plays, under a named split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY
from rec_platform.errors import KeyRefused
from rec_platform.evaluation.scored import CEILING
from rec_platform.flow import Platform
from rec_platform.protocols import (
    SPLITS,
    GlobalTime,
    Interactions,
    LeaveOneOut,
    Result,
    Split,
    judged,
    of_plays,
    read_interactions,
    read_sequences,
)
from rec_platform.stage import Input
from rec_platform.tables import PLAY_FACTS
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, Measured, in_numbers, print_pairs, print_rows, progress

#: What is printed: metric and whether it has a cut-off.
SHOWN = ("hit_rate", "recall", "ndcg", "mrr", "map", "coverage")


def protocol(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, Parquet, or with --sequences a line per profile; the lake if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help=f"{', '.join(SPLITS)}.")] = LeaveOneOut.name,
    models: Annotated[
        str, typer.Option(help="Comma-separated: popularity, collaborative, last_played.")
    ] = "popularity,collaborative",
    seen: Annotated[str, typer.Option(help="Titles of the training part in lists: keep or drop.")] = "drop",
    cold: Annotated[str, typer.Option(help="Judged titles and profiles that never train: keep or drop.")] = "drop",
    columns: Annotated[
        str, typer.Option(help="Columns of who, what, when: e.g. user_id,item_id,timestamp; without when: file order.")
    ] = "user_id,item_id,timestamp",
    header: Annotated[str, typer.Option(help="Names of the columns of a file without a header, comma-separated.")] = "",
    separator: Annotated[str, typer.Option(help="Of a CSV; \\t is a tab.")] = ",",
    sequences: Annotated[bool, typer.Option("--sequences", help="Lines of `user item item ...`.")] = False,
    share: Annotated[float, typer.Option(help="Of random splits.")] = 0.2,
    cut: Annotated[str, typer.Option(help="Of global-time: an instant; the last fifth if not given.")] = "",
    k: Annotated[str, typer.Option("-k", help="Cut-offs, comma-separated.")] = "5,10,20",
    seed: Annotated[int, typer.Option(help="Of draws, ties and bootstrap.")] = 0,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Judge models as published tables do: a named split of a log, labelled as leaking where it leaks.

    Example: rec-platform protocol Beauty.txt --sequences --split leave-one-out -k 10
    """
    log = _log(file, _names(columns), _names(header), separator.replace("\\t", "\t"), home, sequences=sequences)
    with progress("protocol") as bar:
        result = judged(
            log, chosen(split, share=share, cut=cut, seed=seed), models=_names(models),
            seen=_one_of(seen, "--seen"), cold=_one_of(cold, "--cold"), seed=seed, progress=bar,
            cutoffs=tuple(sorted(_number(one) for one in k.split(","))),
        )  # fmt: skip
    rows = rows_of(result)
    print_rows(in_numbers(rows) if as_json else rows, result.protocol.split, as_json=as_json)
    if not as_json:
        print_pairs(said(result), "How it was judged", as_json=False)


def chosen(name: str, *, share: float, cut: str, seed: int) -> Split:
    """The split of a name; `KeyRefused` listing those there are."""
    if name not in SPLITS:
        raise KeyRefused(f"no split {name!r}", place="--split", repair=f"There are: {', '.join(SPLITS)}.")
    if name == LeaveOneOut.name:
        return LeaveOneOut()
    if name == GlobalTime.name:
        return GlobalTime(clock.parse_instant(cut, place="--cut") if cut else None)
    return SPLITS[name](share, seed)  # type: ignore[call-arg]


def rows_of(result: Result) -> list[dict[str, Any]]:
    """A row per model, a column per metric and cut-off: value [low, high]. The best by the first column stand first."""
    lines: dict[str, dict[str, Any]] = {}
    leading: dict[str, float] = {}
    for row in result.rows.sort_by(c.CUTOFF).to_pylist():
        if row[c.METRIC] in SHOWN and row[c.SLICE] == "all":
            name = f"{row[c.METRIC]}@{row[c.CUTOFF]}" if row[c.CUTOFF] else row[c.METRIC]
            line = lines.setdefault(row[c.MODEL], {c.MODEL: row[c.MODEL], c.N: row[c.N]})
            line[name] = Measured(row[c.VALUE], row[c.LOW], row[c.HIGH], digits=4)
            leading.setdefault(row[c.MODEL], row[c.VALUE])
    names = list(dict.fromkeys(name for line in lines.values() for name in line))
    order = sorted(lines, key=lambda model: (model == CEILING, math.isnan(leading[model]), -leading[model], model))
    return [{name: lines[model].get(name) for name in names} for model in order]


def said(result: Result) -> dict[str, Any]:
    """The rules and what they leak, in words."""
    known = result.foreknowledge
    leaks = f"LEAKS: {result.leaks}" if result.leaks else "leaks nothing: one cut in time for everybody"
    future = {} if known != known else {"training after the judged (mean share)": round(known, 4)}
    rules = {"candidates": result.protocol.candidates, "seen": result.protocol.seen, "cold": result.protocol.cold}
    return {"split": result.protocol.split, "verdict": leaks, **future, **rules, **result.counts}


def _log(
    file: Path | None, columns: Sequence[str], header: Sequence[str], separator: str, home: Path, *, sequences: bool
) -> Interactions:  # fmt: skip
    if file is None:
        return _of_lake(home)
    if not file.exists():
        raise KeyRefused(f"no file {file}", place="protocol", repair="Give the path of a file of interactions.")
    if sequences:
        return read_sequences(file)
    if len(columns) not in (2, 3) or len(set(columns)) < len(columns):
        fault = f"{', '.join(columns) or 'nothing'} is not who, what, when"
        raise KeyRefused(fault, place="--columns", repair="Name two columns, or three, each of its own.")
    at = columns[2] if len(columns) == 3 else ""
    return read_interactions(
        file, profile=columns[0], title=columns[1], at=at, separator=separator, names=tuple(header)
    )  # fmt: skip


def _of_lake(home: Path) -> Interactions:
    platform = Platform(home)
    reader = platform.reader(Input(PLAY_FACTS.name, FIRST_DAY, clock.LAST_DAY, every_country=True, optional=True))
    plays = reader.read(PLAY_FACTS.name, reader.published(PLAY_FACTS.name), [c.PROFILE, c.TITLE, c.PLAYED_AT])
    if not plays.num_rows:
        raise KeyRefused("the lake has no plays", place=str(home), repair="Run `rec-platform run`, or give a file.")
    return of_plays(pa.table(plays))


def _one_of(text: str, place: str) -> Any:
    if text not in ("keep", "drop"):
        raise KeyRefused(f"{text!r} is neither keep nor drop", place=place, repair="Choose keep or drop.")
    return text


def _names(text: str) -> list[str]:
    """Comma-separated names.

    >>> _names("user, movie,")
    ['user', 'movie']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(text: str) -> int:
    if not text.strip().isdigit() or not int(text):
        raise KeyRefused(f"{text!r} is no cut-off", place="-k", repair="Give whole numbers from 1, e.g. 5,10.")
    return int(text)
