"""Slices of the user's own: what a context, or a title, is told apart by, as a small function over columns.

The names of its parameters are the columns it reads; it returns one value per row, which becomes the slice's value as text
(null is `unknown`). In a file of your own, beside metrics:

    from rec_platform.evaluation import context_slice, title_slice

    @context_slice(about="Saturday and Sunday, UTC")
    def weekend(at):                                       # instants are microseconds since 1970, UTC
        return np.where((at // DAY + 3) % 7 >= 5, "weekend", "weekday")

    @title_slice(about="by the first genre")
    def first_genre(genres):
        return [some[0] if len(some) else None for some in genres]

A slice of contexts puts each context into one value. A slice of titles asks what was watched: of each value, positives of
other values leave the list and all else stays, as in every item slice. Titles are those known at 00:00 UTC of the date.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, to_numpy
from rec_platform.errors import ConfigError
from rec_platform.evaluation.slices import UNKNOWN, Division
from rec_platform.tables import SCORES_TABLE, TITLES

#: The columns that a slice may read, by what it tells apart.
COLUMNS: Final = {
    "context": tuple(
        c.COUNTRY if name == c.DMC12_NAMES[c.COUNTRY] else name for name in SCORES_TABLE.schema.names if name != c.ITEMS
    ),
    "title": tuple(TITLES.schema.names),
}


@dataclass(frozen=True)
class Expression:
    """A slice by the values of a function.

    Attributes:
        name: the slice's name, that of the function.
        of: `context` or `title`.
        reads: the columns it reads, in the order of the function's parameters.
        function: an array per column, n rows each -> n values.
        about: one line for docs and reports.
    """

    name: str
    of: str
    reads: tuple[str, ...]
    function: Callable[..., Any]
    about: str

    def values(self, rows: pa.Table) -> pa.Array:
        """The value of each row as text. `ConfigError` where the function gives something else."""
        place = f"slice {self.name!r}"
        arguments = [to_numpy(rows, name, part=f"{self.of}s") for name in self.reads]
        try:
            found = pa.array(self.function(*arguments))
        except Exception as error:
            raise ConfigError(
                f"it raised {type(error).__name__}: {error}", place=place, repair="Correct it."
            ) from error
        if len(found) != rows.num_rows or pa.types.is_nested(found.type):
            raise ConfigError(
                f"it returned {len(found)} values of {found.type} for {rows.num_rows} rows", place=place,
                repair="Return one text, number or truth value per row (None where it is not known).",
            )  # fmt: skip
        return found.cast(pa.string()).fill_null(UNKNOWN)

    def division(self, titles: pa.Table) -> Division:
        """Titles by their values; a title not in the table is `unknown`."""
        values = self.values(titles).to_pylist()
        labels = [*sorted(set(values) - {UNKNOWN}), UNKNOWN]
        place = {label: code for code, label in enumerate(labels)}
        ids = np.asarray(titles.column(c.TITLE).to_numpy(), dtype=np.int64)
        order = np.argsort(ids)
        codes = np.array([place[value] for value in values], dtype=np.int64)
        return Division(self.name, tuple(labels), ids[order], codes[order], place[UNKNOWN])


def context_slice(*, about: str) -> Callable[[Callable[..., Any]], Expression]:
    """Declare a function of context columns as a slice of its name."""
    return _declared("context", about)


def title_slice(*, about: str) -> Callable[[Callable[..., Any]], Expression]:
    """Declare a function of columns of `titles` as a slice of its name."""
    return _declared("title", about)


def _declared(of: str, about: str) -> Callable[[Callable[..., Any]], Expression]:
    def declare(function: Callable[..., Any]) -> Expression:
        return Expression(function.__name__, of, tuple(inspect.signature(function).parameters), function, about)

    return declare


def told(frames: Iterable[Frame], slices: Iterable[Expression]) -> Iterator[Frame]:
    """The frames with a context column for each slice of contexts among these."""
    added = [one for one in slices if one.of == "context"]
    for frame in frames:
        yield frame.with_contexts({one.name: one.values(frame.contexts) for one in added}) if added else frame
