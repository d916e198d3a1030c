"""What commands share: their usual options, progress on standard error, and rows as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

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
WIDTH = 170


def plain(text: str) -> str:
    return text.replace("[", "\\[")


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


def print_rows(rows: list[dict[str, Any]], title: str, *, as_json: bool) -> None:
    """Rows as JSON, or as a table whose number columns stand right."""
    if as_json:
        print(json.dumps(rows, default=str))
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        number = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(_shown(value)) for value in row.values()))
    _wide().print(table)


def _wide() -> Console:
    """The terminal as wide as it is; elsewhere wide enough that tables do not fold."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
