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
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, parse_instant, parse_window
from rec_platform.config import SourceRules
from rec_platform.errors import ConfigError, PlatformError
from rec_platform.tables import PLAY_FACTS, TITLES
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids, Texts
from rec_platform.timetravel.revisions import instants, ordered
from rec_platform.timetravel.zones import Zones

Kind = Literal["number", "text", "texts", "id", "instant", "duration", "condition", "nothing"]
Mask = npt.NDArray[np.bool_]
#: What a timeline asks of its plays: a table or batch of them in, true for those that belong to the subset out.
Predicate = Callable[[pa.Table | pa.RecordBatch], Mask]

_IDS: Final = (c.PLAY_ID, c.PROFILE, c.TITLE, c.SESSION_ID)


def _kind(column: pa.Field) -> Kind:
    if column.name in _IDS:
        return "id"
    if pa.types.is_list(column.type):
        return "texts"
    if pa.types.is_timestamp(column.type):
        return "instant"
    return "text" if pa.types.is_string(column.type) else "number"


#: What a filter may read of a play, and what kind of thing it is.
OF_PLAYS: Final[dict[str, Kind]] = {
    **{column.name: _kind(column) for column in PLAY_FACTS.schema}, c.COUNTRY: "text"
}  # fmt: skip
#: What it may read of the play's title.
OF_TITLES: Final[dict[str, Kind]] = {
    column.name: _kind(column) for column in TITLES.schema if column.name not in (c.TITLE, c.KNOWN_AT)
}
#: When the play began, on the clock of its country.
OF_CLOCKS: Final[dict[str, Kind]] = {"hour": "number", "weekday": "number"}
_COLUMNS: Final = {**OF_PLAYS, **OF_TITLES, **OF_CLOCKS}

_LONGEST: Final = 1_000
_DEEPEST: Final = 25
_HINTS: Final = {
    "nothing": "Write `is None`.", "texts": "Write 'one' in the list.", "duration": "Write the time as '7d' or '6h'.",
    "instant": "Write the instant as '2024-01-01'.",
}  # fmt: skip
_MAY_STAND: Final = "columns, numbers, texts, comparisons, and, or, not, in, is None, + - * /"
_COMPARED: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "equal", ast.NotEq: "not_equal", ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater",
    ast.GtE: "greater_equal",
}  # fmt: skip
_COMPUTED: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
}
_ARROW: Final[dict[str, pa.DataType]] = {"number": pa.float64(), "text": pa.string(), "id": pa.int64()}
_SAID: Final = {
    "texts": "a list of texts", "id": "an id", "instant": "an instant", "duration": "a time between instants",
    "nothing": "None",
}  # fmt: skip


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
    _node: _Node = field(repr=False)

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
        revisions = _Revisions.of(titles if reads_titles else titles.slice(0, 0))

        def mask(plays: pa.Table | pa.RecordBatch) -> Mask:
            found = self._node.of(_Plays(plays, revisions, rules))
            return np.asarray(found.to_numpy() if isinstance(found, pa.ChunkedArray) else _unboxed(found), dtype=bool)

        return mask


def parse_filter(text: str, *, place: str) -> Filter:
    """The filter that a text says.

    Raises:
        ConfigError: naming `place`, the piece that cannot stand there, and what can.

    >>> parse_filter("('drama' in genres)", place="doc").text
    "'drama' in genres"
    """
    return _parsed(text, place)


@lru_cache(maxsize=1024)
def _parsed(text: str, place: str) -> Filter:
    reading = _Reading(place, text)
    if len(text) > _LONGEST:
        raise reading.refused(f"it is {len(text)} characters long", f"Keep it to {_LONGEST}; declare several facts.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise reading.refused(
            f"it cannot be read: {error}", "Write a condition such as: 'drama' in genres and device == 'tv'."
        ) from None
    node = reading.condition(tree, 0)
    columns = tuple(dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)))
    if not columns:
        raise reading.refused("it names no column", f"Name one at least: {', '.join(_COLUMNS)}.")
    return Filter(ast.unparse(tree), columns, node)


# ----------------------------------------------------------------------------------------- from text to a typed tree


@dataclass(frozen=True)
class _Node:
    """A piece of a condition: its kind, and its values over some plays. `constant` for what was written out."""

    kind: Kind
    of: Callable[[_Plays], Any]
    constant: Any = None


@dataclass(frozen=True)
class _Reading:
    """A text being read; every refusal names it."""

    place: str
    text: str

    def refused(self, fault: str, repair: str) -> ConfigError:
        return ConfigError(fault, place=self._here, repair=repair)

    @property
    def _here(self) -> str:
        return f"{self.place}, where {self.text[:200]!r}"

    def node(self, tree: ast.expr, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise self.refused(f"it is nested more than {_DEEPEST} deep", "Write it flatter, or declare several facts.")
        match tree:
            case ast.BoolOp(op=op, values=parts):
                return self._joined(isinstance(op, ast.And), [self.condition(part, depth + 1) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return _inverted(self.condition(inner, depth + 1))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return self._literal(-value)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return self._computed(ast.Sub(), _constant("number", 0.0), self.node(inner, depth + 1), tree)
            case ast.BinOp(left=left, op=op, right=right):
                return self._computed(op, self.node(left, depth + 1), self.node(right, depth + 1), tree)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                return self._joined(
                    True, [self._pair(op, sides[i], sides[i + 1], depth + 1) for i, op in enumerate(ops)]
                )
            case ast.Name(id=name):
                return self._column(name)
            case ast.Constant(value=value):
                return self._literal(value)
            case _:
                raise self.refused(f"{ast.unparse(tree)[:60]!r} is {_article(tree)}", f"There may be {_MAY_STAND}.")

    def condition(self, tree: ast.expr, depth: int) -> _Node:
        node = self.node(tree, depth)
        if node.kind != "condition":
            raise self.refused(f"{ast.unparse(tree)!r} is {_said(node.kind)}, not a condition", "Compare it.")
        return node

    def _joined(self, every: bool, parts: list[_Node]) -> _Node:
        if len(parts) == 1:
            return parts[0]
        both = pc.and_ if every else pc.or_

        def of(plays: _Plays) -> Any:
            found = parts[0].of(plays)
            for part in parts[1:]:
                found = both(found, part.of(plays))
            return found

        return _Node("condition", of)

    def _column(self, name: str) -> _Node:
        if name not in _COLUMNS:
            near = difflib.get_close_matches(name, _COLUMNS, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(_COLUMNS)}."
            raise self.refused(f"there is no column {name!r}", hint)
        return _Node(_COLUMNS[name], lambda plays: plays.column(name))

    def _literal(self, value: Any) -> _Node:
        if value is None:
            return _Node("nothing", lambda _: None)
        if isinstance(value, str):
            return _constant("text", value)
        if type(value) is not float and not (type(value) is int and abs(value) < 2**63):
            raise self.refused(f"{value!r} cannot be compared with", "Write a number or a text (1 or 0 for yes or no).")
        return _constant("number", value)

    def _computed(self, op: ast.operator, left: _Node, right: _Node, tree: ast.expr) -> _Node:
        name = _COMPUTED.get(type(op))
        if name is None:
            raise self.refused(f"{ast.unparse(tree)!r} computes with what is not there", "Use + - * / between numbers.")
        if isinstance(op, ast.Sub) and left.kind == right.kind == "instant":
            return _Node("duration", lambda plays: pc.subtract(left.of(plays), right.of(plays)))
        if not left.kind == right.kind == "number":
            raise self.refused(
                f"{ast.unparse(tree)!r} computes with {_said(left.kind)} and {_said(right.kind)}",
                "Use + - * / between numbers, or take an instant from an instant.",
            )
        return _Node("number", lambda plays: _number(getattr(pc, name)(left.of(plays), right.of(plays))))

    # -- comparisons; each gives true or false for every play, false where a side is missing ----------------------

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr, depth: int) -> _Node:
        if isinstance(op, ast.Is | ast.IsNot):
            return self._missing(op, self.node(left, depth), self.node(right, depth), left)
        if isinstance(op, ast.In | ast.NotIn):
            node = self._among(left, right, depth) if isinstance(right, ast.Tuple | ast.List | ast.Set) else (
                self._within(left, right, depth))  # fmt: skip
            return _held(node, turned=isinstance(op, ast.NotIn))
        first, second = self._alike(self.node(left, depth), self.node(right, depth), left, right)
        if first.kind == "id" and not isinstance(op, ast.Eq | ast.NotEq):
            raise self.refused(f"{ast.unparse(left)!r} is an id, which has no order", "Use ==, != or in.")
        function = getattr(pc, _COMPARED[type(op)])
        return _held(lambda plays: function(first.of(plays), second.of(plays)))

    def _alike(self, first: _Node, second: _Node, left: ast.expr, right: ast.expr) -> tuple[_Node, _Node]:
        """Two sides as one kind: a written-out side becomes what the other is, if it can."""
        first, second = self._as(first, second.kind), self._as(second, first.kind)
        if first.kind != second.kind or first.kind in ("texts", "condition", "nothing"):
            hints = [hint for kind, hint in _HINTS.items() if kind in (first.kind, second.kind)]
            raise self.refused(
                f"{ast.unparse(left)!r} is {_said(first.kind)} and {ast.unparse(right)!r} is {_said(second.kind)}",
                hints[0] if hints else "Compare things of one kind.",
            )
        return first, second

    def _as(self, node: _Node, kind: str) -> _Node:
        value = node.constant
        if kind == "id" and isinstance(value, int) and abs(value) < 2**63:
            return _constant("id", value)
        if kind == "instant" and isinstance(value, str):
            return _constant("instant", self._said_time(lambda: parse_instant(value, place=self.place)))
        if kind == "duration" and isinstance(value, str):
            return _constant("duration", self._said_time(lambda: parse_window(value, place=self.place)))
        return node

    def _said_time(self, parse: Callable[[], int]) -> int:
        try:
            return parse()
        except PlatformError as error:
            raise ConfigError(error.fault, place=self._here, repair=error.repair) from None

    def _missing(self, op: ast.cmpop, left: _Node, right: _Node, tree: ast.expr) -> _Node:
        if right.kind != "nothing" or left.kind in ("nothing", "condition") or left.constant is not None:
            raise self.refused(
                f"{ast.unparse(tree)!r} is compared by `is`", "Write a column `is None` or `is not None`."
            )
        present = isinstance(op, ast.IsNot)
        return _Node("condition", lambda plays: (pc.is_valid if present else pc.is_null)(left.of(plays)))

    def _among(self, left: ast.expr, listed: ast.Tuple | ast.List | ast.Set, depth: int) -> Callable[[_Plays], Any]:
        """`x in (1, 2)`."""
        node = self.node(left, depth)
        options = [self._as(self.node(one, depth), node.kind) for one in listed.elts]
        if node.kind not in _ARROW or not options or any(o.kind != node.kind or o.constant is None for o in options):
            raise self.refused(
                f"{ast.unparse(left)!r} is {_said(node.kind)}, looked for among {ast.unparse(listed)!r}",
                "Look for a number among numbers, a text among texts, an id among ids.",
            )
        options_set = pa.array([option.constant for option in options], _ARROW[node.kind])
        return lambda plays: _kept_missing(pc.is_in, node.of(plays), options_set)

    def _within(self, left: ast.expr, right: ast.expr, depth: int) -> Callable[[_Plays], Any]:
        """`'drama' in genres`, `'part' in name`."""
        part, whole = self.node(left, depth), self.node(right, depth)
        text = part.constant
        if not isinstance(text, str) or whole.kind not in ("text", "texts") or whole.constant is not None:
            raise self.refused(
                f"{ast.unparse(left)!r} is looked for in {ast.unparse(right)!r}",
                "Look for a text in a column, 'drama' in genres, or for a column in a list, device in ('tv', 'web').",
            )
        if whole.kind == "text":
            return lambda plays: pc.match_substring(whole.of(plays), text)
        name = cast(ast.Name, right).id
        return lambda plays: plays.holding(name, text)


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
            if _COLUMNS[name] in ("text", "texts"):  # an instant is compared with a text, too
                yield Sought(name, text, piece and _COLUMNS[name] == "text")


def _constant(kind: Kind, value: Any) -> _Node:
    boxed = pa.scalar(value, _ARROW.get(kind, pa.int64())) if kind != "number" else pa.scalar(float(value))
    return _Node(kind, lambda _: boxed, value)


def _held(of: Callable[[_Plays], Any], *, turned: bool = False) -> _Node:
    """A comparison: where it is unknown it does not hold, turned over or not."""
    if turned:
        return _Node("condition", lambda plays: pc.fill_null(pc.invert(of(plays)), False))
    return _Node("condition", lambda plays: pc.fill_null(of(plays), False))


def _inverted(node: _Node) -> _Node:
    return _Node("condition", lambda plays: pc.invert(node.of(plays)))


def _kept_missing(function: Callable[..., Any], values: Any, options: pa.Array) -> Any:
    return pc.if_else(pc.is_valid(values), function(values, value_set=options), pa.scalar(None, pa.bool_()))


def _number(values: Any) -> Any:
    """Numbers with what is none (x / 0, too) missing."""
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _said(kind: str) -> str:
    return _SAID.get(kind, f"a {kind}")


def _article(tree: ast.AST) -> str:
    return {"Call": "a call", "Attribute": "an attribute", "Subscript": "a piece of something", "Lambda": "a function",
            "IfExp": "a choice", "JoinedStr": "a formatted text"}.get(type(tree).__name__, type(tree).__name__)  # fmt: skip


# ---------------------------------------------------------------------------------------------- the values it reads


@dataclass(frozen=True)
class _Revisions:
    """The rows of `titles` in order of (title, known_at)."""

    ids: Ids
    starts: npt.NDArray[np.int64]
    known: npt.NDArray[np.int64]
    rows: pa.Table

    @classmethod
    def of(cls, titles: pa.Table) -> _Revisions:
        ids = Ids.of(titles.column(c.TITLE))
        return cls(ids, *ordered(titles, c.TITLE, ids))


@dataclass(frozen=True)
class _Plays:
    """Some plays with their titles: the columns of a condition, missing values as nulls."""

    plays: pa.Table | pa.RecordBatch
    titles: _Revisions
    rules: SourceRules

    def column(self, name: str) -> pa.ChunkedArray | pa.Array:
        if name in OF_CLOCKS:
            return self._clock[name]
        if name in OF_PLAYS:
            return _plain(self.plays.column(name), OF_PLAYS[name])
        if OF_TITLES[name] == "texts":
            return self.titles.rows.column(name).take(self._revision)
        return _plain(self.titles.rows.column(name), OF_TITLES[name]).take(self._revision)

    def holding(self, name: str, text: str) -> pa.ChunkedArray:
        """Whether the title's list has the text in it: looked up once per row of `titles`, then per play."""
        lists = self.titles.rows.column(name).combine_chunks()
        has = np.zeros(len(lists), dtype=bool)
        found = pc.fill_null(pc.equal(pc.list_flatten(lists), text), False)
        has[pc.list_parent_indices(lists).filter(found).to_numpy()] = True
        return pa.array(has, mask=lists.is_null().to_numpy(zero_copy_only=False)).take(self._revision)

    @cached_property
    def _revision(self) -> pa.Array:
        """The row of `titles` that counts for each play: the newest visible when the play is first seen."""
        known = np.maximum(instants(self.plays.column(c.PLAYED_AT)), instants(self.plays.column(c.KNOWN_AT)))
        code = self.titles.ids.codes(instants(self.plays.column(c.TITLE)))
        row = kernels.revisions_at(self.titles.starts, self.titles.known, code, known + 1)
        return pa.array(row, mask=row < 0)

    @cached_property
    def _clock(self) -> dict[str, pa.Array]:
        countries = Texts.of(self.plays.column(c.COUNTRY))
        zones = Zones.of(countries.texts, self.rules.time_zones)
        code, local = countries.codes(self.plays.column(c.COUNTRY)), instants(self.plays.column(c.PLAYED_AT)).copy()
        for place in range(len(countries)):
            mine, steps = code == place, slice(zones.starts[place], zones.starts[place + 1])
            step = np.searchsorted(zones.begins[steps], local[mine], side="right") - 1
            local[mine] += zones.offsets[steps][step]
        day = local // DAY
        # 1970-01-01 was a Thursday
        return {
            "hour": pa.array(((local - day * DAY) // HOUR).astype(np.float64)),
            "weekday": pa.array(((day + 3) % 7).astype(np.float64)),
        }


def _plain(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """A column in the one type of its kind; NaN is missing."""
    if kind == "number":
        return _number(column.cast(pa.float64(), safe=False))
    return column.cast(_ARROW.get(kind, pa.int64()))


def _unboxed(found: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(found.to_numpy(zero_copy_only=False))
