"""What commands share: their usual options, progress on standard error, and rows as a table or as JSON."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rec_platform import columns as c
from rec_platform.clock import parse_day
from rec_platform.errors import ConfigError, KeyRefused, of_files

Home = Annotated[
    Path,
    typer.Option(
        "--home", envvar="REC_PLATFORM_HOME", help="Where the lake lives.", show_default=True, file_okay=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
First = Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")]
Last = Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD, included.")]
Countries = Annotated[
    str, typer.Option("--countries", help="Comma-separated ISO codes; all delivered ones if not given.")
]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", help="A Python file of metrics and slices of your own; may be given several times."),
]
DEFAULT_HOME = Path(".rec-platform")
#: Columns of a table that goes to a file or a pipe.
WIDTH: Final = 120
#: A column with blanks and more letters than this is running text, which may be folded down to about `TEXT` letters.
RUNNING: Final = 34
TEXT: Final = 24
#: How tables look: no walls, so that what is copied can be read.
LOOK: Final[dict[str, Any]] = {
    "box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0), "header_style": "dim",
    "title_justify": "left",
}  # fmt: skip
_NUMBER: Final = re.compile(r"$|(-|missing|no verdict)$|[+-]?\d[\d,.]*(e[+-]?\d+)?\s?(%|$|\n|[(\[])")
#: Words as rich folds them: blanks that begin a line belong to its first one.
_WORD: Final = re.compile(r"^[^\S\n]*\S+|\S+", re.MULTILINE)
_LINE: Final = re.compile(r".+")


def days_of(first: str, last: str, *, option: str = "--") -> tuple[date, date]:
    """The days of --from and --to; `KeyRefused` where one is no day, or the first is after the last."""
    days = parse_day(first, place=f"{option}from"), parse_day(last, place=f"{option}to")
    if days[0] > days[1]:
        raise KeyRefused(f"{first} is after {last}", place=f"{option}from, {option}to", repair="Swap them.")
    return days


def to_write(*endings: str) -> Callable[[Path | None], Path | None]:
    """The callback of an option that names a file: one that cannot be written is refused before there is any work to lose.

    Args:
        endings: those that the file may have; any if none is given.
    """

    def checked(out: Path | None) -> Path | None:
        if out is not None and endings and out.suffix not in endings:
            kind, several = out.suffix or "a file without an ending", " or ".join(endings)
            raise ConfigError(f"it cannot be written as {kind}", place=f"--out {out}", repair=f"End it in {several}.")
        try:
            return out if out is None else _tried(out)
        except OSError as error:
            raise of_files(error) from error

    return checked


def _tried(out: Path) -> Path:
    """Open the file to write to it, and leave all as it was."""
    path = out.resolve()
    new, folders = not path.exists(), [one for one in path.parents if not one.exists()]
    standing = path.parents[len(folders)]
    if not standing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(standing))
    if not new and not path.is_file():
        return out  # a pipe or a device, which is opened once
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.open("ab").close()
        if new:
            path.unlink()
    finally:
        for folder in folders:
            folder.rmdir()
    return out


def plain(text: str) -> str:
    return text.replace("[", "\\[")


class Measured(NamedTuple):
    """A number with its interval, in a cell: two lines in a table, numbers in JSON (no verdict: without ends)."""

    value: float
    low: float
    high: float
    sign: bool = False
    digits: int = 3

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        how = f"{'+' if self.sign else ''}.{self.digits}f"
        between = "," if self.sign else ", "
        ends = f"[{self.low:{how}}{between}{self.high:{how}}]"
        return f"{self.value:{how}}\n" + ("no verdict" if math.isnan(self.low) else ends)

    def to_json(self) -> dict[str, float | None]:
        return {c.VALUE: or_none(self.value), c.LOW: or_none(self.low), c.HIGH: or_none(self.high)}


def or_none(number: float) -> float | None:
    """A number for JSON, which has none that is not finite."""
    return number if math.isfinite(number) else None


def in_numbers(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for machines: each cell that was measured as value, low and high."""
    return [{n: one.to_json() if isinstance(one, Measured) else one for n, one in row.items()} for row in rows]


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, fed with (what, share done); nothing elsewhere."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """A spinner on a terminal, for work of a few seconds that cannot tell how far it is."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


def print_pairs(pairs: dict[str, Any], title: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(pairs))
        return
    print_rows([{"what": name, "value": value} for name, value in pairs.items()], title, as_json=False)


def print_rows(
    rows: list[dict[str, Any]], title: str, *, as_json: bool, hide: Collection[str] = (), then: str = ""
) -> None:  # fmt: skip
    """Rows as JSON, or as a table whose number columns stand right.

    Args:
        hide: columns that only JSON has.
        then: the command that one would most likely type next; printed under the table.
    """
    if as_json:
        print(json.dumps(rows, default=str))
        return
    shown = [{name: _shown(value) for name, value in row.items() if name not in hide} for row in rows]
    console = _wide(least=_least(shown))
    # A title inside a table is folded to the table's width.
    console.print(f"[bold]{plain(title)}[/bold]", soft_wrap=True, highlight=False)
    if rows:
        console.print(*_tables(shown, _right(rows, shown), console.width), sep="")
    if then:
        next_step(then)


def next_step(command: str) -> None:
    """The command that one would most likely type next; nothing if there is none."""
    if command:
        Console().print(f"[dim]Next:[/dim] {plain(command)}", soft_wrap=True, highlight=False)


def print_fault(fault: str, place: str, repair: str) -> None:
    """What is wrong, where, and what to do about it, on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[red]error[/red] {plain(fault)}\n  where  {plain(place)}\n  repair {plain(repair)}")


def note(text: str) -> None:
    """Something to know about the numbers, on standard error; nothing if there is nothing to say."""
    if text:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[yellow]note[/yellow] {plain(text)}")


def of_home(home: Path) -> str:
    """The option of a command that names this home; nothing for the one that it would take by itself.

    >>> of_home(Path("other"))
    ' --home other'
    """
    own = Path(os.environ.get("REC_PLATFORM_HOME") or DEFAULT_HOME)
    return "" if home.absolute() == own.absolute() else f" --home {home}"


def _right(rows: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, str]]) -> set[str]:
    """Columns of numbers, and of texts that begin with one (0.459 [0.432, 0.491])."""
    return {
        name
        for name in shown[0]
        if all(
            isinstance(row[name], int | float) or _NUMBER.match(line[name])
            for row, line in zip(rows, shown, strict=True)
        )
        and any(line[name] for line in shown)
    }


def _tables(rows: Sequence[Mapping[str, str]], right: Collection[str], width: int) -> list[Table]:
    """Rows as a table no wider than `width`; where that cannot be, as several below each other, or as a block per row."""
    parts = [list(rows[0])] if _widths(rows, right, width) else _parts(rows, right, width)
    return [_table(_only(rows, names), right, width) for names in parts] or [_blocks(rows, width)]


def _table(rows: Sequence[Mapping[str, str]], right: Collection[str], width: int) -> Table:
    """A table without walls."""
    table = Table(**LOOK)
    for name, cells in (_widths(rows, right, width) or {}).items():
        # rich, left to share out what is short, goes below what a column needs and then crops the table.
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", width=cells)
    for row in rows:
        table.add_row(*(plain(text) for text in row.values()))
    return table


def _parts(rows: Sequence[Mapping[str, str]], right: Collection[str], width: int) -> list[list[str]]:
    """Columns of tables that fit, each beginning with those that tell the rows apart; none for one row, or if these are wide."""

    def fit(names: list[str]) -> bool:
        return _widths(_only(rows, names), right, width) is not None

    keys = _keys(rows)
    if len(rows) == 1 or _together(_longest(_only(rows, keys))) > width // 2:
        return []
    parts = [keys]
    for name in list(rows[0])[len(keys) :]:
        if fit([*parts[-1], name]):
            parts[-1] = [*parts[-1], name]
        elif fit([*keys, name]):
            parts.append([*keys, name])
        else:
            return []
    return parts


def _keys(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The fewest of the first columns that tell the rows apart; all if none do."""
    names = list(rows[0])
    for n in range(1, len(names)):
        if len({tuple(row[name] for name in names[:n]) for row in rows}) == len(rows):
            return names[:n]
    return names


def _only(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    return [{name: row[name] for name in names} for row in rows]


def _widths(rows: Sequence[Mapping[str, str]], right: Collection[str], width: int) -> dict[str, int] | None:
    """The width of each column: running text is folded, then all text and headings, only between words; numbers never.

    None where that is not enough.
    """
    longest, running = _longest(rows), _running(rows)
    texts = {name: _of_words(rows, name, whole=name in right and name not in running) for name in longest}
    some = {name: _narrowest(rows, name) if name in running else size for name, size in longest.items()}
    every = {name: min(some[name], size) if name not in running else some[name] for name, size in texts.items()}
    for widths in (some, every):
        spare = width - _together(widths)
        if spare >= 0:
            return _filled(widths, longest, spare)
    return None


def _filled(least: Mapping[str, int], longest: Mapping[str, int], spare: int) -> dict[str, int]:
    """What is to spare goes evenly to the columns that are folded, to none more than it can use."""
    widths = dict(least)
    folded = sorted(
        (name for name in least if longest[name] > least[name]), key=lambda name: longest[name] - least[name]
    )
    for place, name in enumerate(folded):
        more = min(longest[name] - least[name], spare // (len(folded) - place))
        widths[name] += more
        spare -= more
    return widths


def _blocks(rows: Sequence[Mapping[str, str]], width: int) -> Table:
    """A block per row: a line for each cell that is not blank, and a blank line after it."""
    names = {name: " ".join(name.split()) for name in rows[0]}
    beside = min(max(map(cell_len, names.values())), width // 2)
    table = Table(**LOOK, show_header=False)
    table.add_column(style="dim", overflow="fold", width=beside)
    table.add_column(overflow="fold", width=max(width - beside - 2, 1))
    for place, row in enumerate(rows):
        if place:
            table.add_row("", "")
        for name, text in row.items():
            if text:
                table.add_row(plain(names[name]), plain(text))
    return table


def _longest(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Cells of the longest line of each column, its name's among them."""
    return {
        name: max(cell_len(line) for row in rows for line in (*name.split("\n"), *row[name].split("\n")))
        for name in rows[0]
    }


def _running(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Columns of running text."""
    return {name for name, size in _longest(rows).items() if size > RUNNING and any(" " in row[name] for row in rows)}


def _together(widths: Mapping[str, int]) -> int:
    """The width of a table: two cells between columns."""
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _least(rows: Sequence[Mapping[str, str]]) -> int:
    """The width at which nothing but running text is folded."""
    if not rows:
        return 0
    running = _running(rows)
    return _together(
        {name: _narrowest(rows, name) if name in running else size for name, size in _longest(rows).items()}
    )


def _narrowest(rows: Sequence[Mapping[str, str]], name: str) -> int:
    """The least width of a column of running text: that of its longest word."""
    return max(TEXT, _of_words(rows, name, whole=False))


def _of_words(rows: Sequence[Mapping[str, str]], name: str, *, whole: bool) -> int:
    """Cells of the longest word of a column and its name; of its longest line where `whole`."""
    cells = _LINE if whole else _WORD
    return max(
        map(cell_len, (*_WORD.findall(name), *(word for row in rows for word in cells.findall(row[name])))), default=0
    )


def _wide(*, least: int) -> Console:
    """The terminal as wide as it is; elsewhere wide enough for `least`."""
    console = Console()
    return console if console.is_terminal else Console(width=max(WIDTH, least))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        value += 0.0  # -0.0 is 0
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
