"""The `where` of a fact: a condition on a play and its title, parsed to an allow-list and run as Arrow operations.

    Fact("drama_plays_7d", "profile", "plays", "7d", where="'drama' in genres and device != 'tv'")

The text is Python's syntax and nothing of it is ever run or put into a query: `ast` gives a tree, each node of which is
checked against what it may be, and typed, when the fact is declared. What may stand in it:

- columns of the play (`OF_PLAYS`), of its title (`OF_TITLES`), and `hour` (0 to 23) and `weekday` (0 is Monday)
  at which it began, on the declared clock of the country where it was played;
- numbers, texts, `and`, `or`, `not`, comparisons (chained ones too), `+ - * /` between numbers;
- `x in (1, 2)`, `'drama' in genres`, `'part' in name` (a piece of the text), each with `not`; `x is None`, `is not None`;
- an instant against a date or instant as text, `released_at >= '2024-01-01'`; the time between two instants against
  a window, `played_at - released_at < '7d'`.

Numbers are float64; one too large, or divided by 0, is missing. A missing value makes every comparison with it false,
`!=` and `not in` too; `is None` finds it. `not` turns a condition over, missing or not: `not position < 3` holds where
there is no position.

The columns of a title are read as known when the play became visible: at the first instant at which the play is seen,
just after max(played_at, known_at), the newest row of the title visible then counts. So whether a play passes is settled
at that moment for ever; a later row about the title changes no filtered fact (docs/clocks.md).

    typed.py     from the text to a typed tree; what may not stand in it is refused
    repairs.py   what to write instead
    syntax.py    texts that are not Python's syntax, and places in a text
    values.py    the columns, and their values over some plays
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.config import SourceRules
from rec_platform.errors import ConfigError
from rec_platform.timetravel.filters.typed import typed
from rec_platform.timetravel.filters.values import (
    COLUMNS,
    OF_CLOCKS,
    OF_PLAYS,
    OF_TITLES,
    Node,
    Plays,
    Revisions,
    unboxed,
)  # fmt: skip

Mask = npt.NDArray[np.bool_]
#: What a timeline asks of its plays: a table or batch of them in, true for those that belong to the subset out.
Predicate = Callable[[pa.Table | pa.RecordBatch], Mask]


@dataclass(frozen=True)
class Sought:
    """A text written out in a filter, and the column it is looked for in.

    Attributes:
        piece: any part of the column's text will do, as in `'part' in name`.
    """

    column: str
    text: str
    piece: bool = False

    def met(self, values: Iterable[str]) -> bool:
        """Whether one of the column's values is, or has, the text."""
        return any(self.text in value for value in values) if self.piece else self.text in values


@dataclass(frozen=True)
class Filter:
    """A condition, ready to be asked of plays. Two are equal if they say the same, however it was written.

    Attributes:
        text: the condition in one standard way of writing it; the name of its plays' subset of a timeline.
        columns: everything it reads, of plays, titles and clocks.
    """

    text: str
    columns: tuple[str, ...]
    _node: Node = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def play_columns(self) -> tuple[str, ...]:
        """The columns of plays that must be at hand to ask it."""
        read = {name for name in self.columns if name in OF_PLAYS}
        if any(name in OF_TITLES for name in self.columns):
            read |= {c.TITLE, c.PLAYED_AT, c.KNOWN_AT}
        if any(name in OF_CLOCKS for name in self.columns):
            read |= {c.COUNTRY, c.PLAYED_AT}
        return tuple(sorted(read))

    @property
    def sought(self) -> tuple[Sought, ...]:
        """The texts that columns are compared with for being equal; where none has them, the filter is all or nothing.

        >>> parse_filter("'Drama' in genres and device != 'tv'", place="doc").sought
        (Sought(column='genres', text='Drama', piece=False), Sought(column='device', text='tv', piece=False))
        """
        return tuple(dict.fromkeys(one for tree in ast.walk(ast.parse(self.text)) for one in _sought(tree)))

    def bound(self, titles: pa.Table, rules: SourceRules) -> Predicate:
        """The question for a timeline: plays in, one bool per play out.

        Args:
            titles: the rows of `titles`, all that were ever known.
            rules: their time zones are read where the condition reads the clock.
        """
        reads_titles = any(name in OF_TITLES for name in self.columns)
        revisions = Revisions.of(titles if reads_titles else titles.slice(0, 0))

        def mask(plays: pa.Table | pa.RecordBatch) -> Mask:
            found = self._node.of(Plays(plays, revisions, rules))
            return np.asarray(found.to_numpy() if isinstance(found, pa.ChunkedArray) else unboxed(found), dtype=bool)

        return mask


def parse_filter(text: str, *, place: str) -> Filter:
    """The filter that a text says.

    Raises:
        ConfigError: naming `place`, the piece that cannot stand there, its column in the text, and what can.

    >>> parse_filter("('drama' in genres)", place="doc").text
    "'drama' in genres"
    """
    if not isinstance(text, str):
        raise ConfigError(f"a filter is a text, not {text!r:.60}", place=place, repair="Write the condition in quotes.")
    return _parsed(text, place)


@lru_cache(maxsize=1024)
def _parsed(text: str, place: str) -> Filter:
    tree, node = typed(text, place)
    columns = tuple(dict.fromkeys(one.id for one in ast.walk(tree) if isinstance(one, ast.Name)))
    return Filter(ast.unparse(tree), columns, node)


def _sought(tree: ast.AST) -> Iterator[Sought]:
    """What one comparison looks for."""
    if not isinstance(tree, ast.Compare):
        return
    sides = [tree.left, *tree.comparators]
    for op, left, right in zip(tree.ops, sides, sides[1:], strict=False):
        match op, left, right:
            case ast.Eq() | ast.NotEq(), ast.Name(id=name), ast.Constant(value=str() as text):
                found = [(name, text)]
            case ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn(), ast.Constant(value=str() as text), ast.Name(id=name):
                found = [(name, text)]
            case ast.In() | ast.NotIn(), ast.Name(id=name), ast.Tuple(elts=texts) | ast.List(elts=texts) | ast.Set(
                elts=texts
            ):
                found = [
                    (name, one.value) for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
            case _:
                continue
        piece = isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Name)
        for name, text in found:
            if COLUMNS[name] in ("text", "texts"):  # an instant is compared with a text, too
                yield Sought(name, text, piece and COLUMNS[name] == "text")


__all__ = ["OF_CLOCKS", "OF_PLAYS", "OF_TITLES", "Filter", "Mask", "Predicate", "Sought", "parse_filter"]
