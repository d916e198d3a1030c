"""From a filter's text to a typed tree that Arrow can be asked of; whatever may not stand in it is refused by its place."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform.clock import parse_instant, parse_window
from rec_platform.errors import ConfigError, PlatformError
from rec_platform.timetravel.filters.repairs import (
    WHOLE,
    Whole,
    article,
    code,
    compared,
    each,
    instead,
    looked_for,
    made_alike,
    nearest,
    reached,
    requoted,
    said,
    sign,
)  # fmt: skip
from rec_platform.timetravel.filters.syntax import offset_of, said_place, slip
from rec_platform.timetravel.filters.values import ARROW, COLUMNS, Node, Plays, constant, number

_LONGEST: Final = 1_000
_DEEPEST: Final = 25
#: Letters of a text that errors show.
_SHOWN: Final = 200
_COMPARED: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "equal", ast.NotEq: "not_equal", ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater",
    ast.GtE: "greater_equal",
}  # fmt: skip
_TURNED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE,
}  # fmt: skip
_COMPUTED: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
}
_JOINING: Final[dict[type[ast.operator], tuple[str, str]]] = {ast.BitAnd: ("&", "and"), ast.BitOr: ("|", "or")}


def typed(text: str, place: str) -> tuple[ast.expr, Node]:
    """A text's tree, and the condition that it says.

    Raises:
        ConfigError: naming `place`, the piece that cannot stand there, its column in the text, and what can.
    """
    reading = _Reading(place, text)
    if len(text) > _LONGEST:
        raise reading.refused(f"it is {len(text)} characters long", f"Keep it to {_LONGEST}; declare several facts.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found = slip(text, error)
        raise reading.refused(f"it cannot be read: {found.fault}", found.repair, found.at) from None
    node = reading.condition(tree, 0)
    if not any(isinstance(one, ast.Name) for one in ast.walk(tree)):
        raise reading.refused("it names no column", f"Name one at least: {', '.join(COLUMNS)}.")
    return tree, node


@dataclass(frozen=True)
class _Reading:
    """A text being read; every refusal names it, and where in it the fault stands."""

    place: str
    text: str

    def refused(self, fault: str, repair: str, at: ast.expr | int | None = None) -> ConfigError:
        return ConfigError(fault, place=self._where(at), repair=repair)

    def _where(self, at: ast.expr | int | None) -> str:
        start = offset_of(self.text, at) if isinstance(at, ast.expr) else at
        first = 0 if start is None or start < _SHOWN else start - _SHOWN // 2
        shown = f"{'...' if first else ''}{self.text[first : first + _SHOWN]}"
        whole = f"{self.place}, where {shown!r}"
        return whole if start is None else f"{whole}, {said_place(self.text, start)}"

    def node(self, tree: ast.expr, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.refused(f"it is nested more than {_DEEPEST} deep", "Write it flatter, or declare several facts.")
        match tree:
            case ast.BoolOp(op=op, values=parts):
                return _joined(isinstance(op, ast.And), [self.condition(part, depth + 1) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return _inverted(self.condition(inner, depth + 1))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return self._literal(-value, tree)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return self._computed(ast.Sub(), constant("number", 0.0), self.node(inner, depth + 1), tree)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _JOINING:
                stands, word = _JOINING[type(op)]
                after = offset_of(self.text, right)
                at = left if after is None else self.text.rindex(stands, 0, after)
                raise self.refused(f"there is no `{stands}`, as in {code(tree)}", f"Write `{word}`.", at)
            case ast.BinOp(left=left, op=op, right=right):
                return self._computed(op, self.node(left, depth + 1), self.node(right, depth + 1), tree)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                return _joined(True, [self._pair(op, sides[i], sides[i + 1], depth + 1) for i, op in enumerate(ops)])
            case ast.Name(id=name):
                return self._column(name, tree)
            case ast.Constant(value=value):
                return self._literal(value, tree)
            case ast.Tuple() | ast.List() | ast.Set():
                raise self.refused(
                    f"{code(tree)} is a list, and stands where one thing may",
                    "Join conditions by `and` or `or`; a list stands in parentheses after `in`: device in ('tv', 'web').",
                    tree,
                )
            case _:
                raise self.refused(f"{code(tree)} is {article(tree)}", instead(tree), tree)

    def condition(self, tree: ast.expr, depth: int) -> Node:
        node = self.node(tree, depth)
        if node.kind != "condition":
            raise self.refused(f"{code(tree)} is {said(node.kind)}, not a condition", compared(tree, node), tree)
        return node

    def _column(self, name: str, tree: ast.expr) -> Node:
        if name not in COLUMNS:
            raise self.refused(f"there is no column {name!r}", nearest(name), tree)
        return Node(COLUMNS[name], lambda plays: plays.column(name))

    def _literal(self, value: Any, tree: ast.expr) -> Node:
        if value is None:
            return Node("nothing", lambda _: None)
        if isinstance(value, str):
            return constant("text", value)
        if isinstance(value, bool):
            raise self.refused(f"`{value}` cannot be compared with", "Write 1 or 0 for yes or no: engaged == 1.", tree)
        if not isinstance(value, int | float):
            raise self.refused(f"{code(tree)} cannot be compared with", "Write a number or a text.", tree)
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) >= 2**63):
            raise self.refused(f"{code(tree)} cannot be compared with: it is too large", "Write less than 2^63.", tree)
        return constant("number", value)

    def _computed(self, op: ast.operator, left: Node, right: Node, tree: ast.expr) -> Node:
        name = _COMPUTED.get(type(op))
        if name is None:
            raise self.refused(f"{code(tree)} computes with what is not there", "Use + - * / between numbers.", tree)
        if isinstance(op, ast.Sub) and left.kind == right.kind == "instant":
            return Node("duration", lambda plays: pc.subtract(left.of(plays), right.of(plays)))
        if not left.kind == right.kind == "number":
            raise self.refused(
                f"{code(tree)} computes with {said(left.kind)} and {said(right.kind)}",
                "Use + - * / between numbers, or take an instant from an instant.", tree,
            )  # fmt: skip
        return Node("number", lambda plays: number(getattr(pc, name)(left.of(plays), right.of(plays))))

    # -- comparisons; each gives true or false for every play, false where a side is missing ----------------------

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr, depth: int) -> Node:
        if isinstance(op, ast.Is | ast.IsNot):
            return self._missing(op, self.node(left, depth), self.node(right, depth), left, right)
        if isinstance(op, ast.In | ast.NotIn):
            node = self._among(left, right, op, depth) if isinstance(right, ast.Tuple | ast.List | ast.Set) else (
                self._within(left, right, depth))  # fmt: skip
            return _held(node, turned=isinstance(op, ast.NotIn))
        for one, other in ((left, right), (right, left)):
            if isinstance(other, ast.Tuple | ast.List | ast.Set):
                kind = self.node(one, depth).kind
                repair = each(other, one) if kind == "texts" else f"Write `in`: `{ast.unparse(one)} in ...`."
                raise self.refused(f"{code(one)} is compared with a list", repair, other)
        first, second = self._alike(self.node(left, depth), self.node(right, depth), op, left, right)
        if first.kind == "id" and not isinstance(op, ast.Eq | ast.NotEq):
            raise self.refused(f"{code(left)} is an id, which has no order", "Use ==, != or in.", left)
        self._require_reach(op, left, [second.constant], right)
        self._require_reach(_TURNED.get(type(op), type(op))(), right, [first.constant], left)
        function = getattr(pc, _COMPARED[type(op)])
        return _held(lambda plays: function(first.of(plays), second.of(plays)))

    def _require_reach(self, op: ast.cmpop, column: ast.expr, values: Sequence[Any], there: ast.expr) -> None:
        """Refuses a comparison of a column with what it can never be."""
        whole = WHOLE.get(column.id) if isinstance(column, ast.Name) else None
        for value in values if whole is not None else ():
            if value is not None and not reached(op, cast(Whole, whole), value):
                raise self.refused(
                    f"{code(column)} is {cast(Whole, whole).said}, never {sign(op)}{value}",
                    "Compare it with a number that it can be.", there,
                )  # fmt: skip

    def _alike(self, first: Node, second: Node, op: ast.cmpop, left: ast.expr, right: ast.expr) -> tuple[Node, Node]:
        """Two sides as one kind: a written-out side becomes what the other is, if it can."""
        first, second = self._as(first, second.kind, left), self._as(second, first.kind, right)
        if first.kind != second.kind or first.kind in ("texts", "condition", "nothing"):
            told = f"{code(left)} is {said(first.kind)} and {code(right)} is {said(second.kind)}"
            raise self.refused(told, made_alike(first, second, op, left, right), left)
        return first, second

    def _as(self, node: Node, kind: str, tree: ast.expr) -> Node:
        value = node.constant
        if kind == "id" and isinstance(value, int) and abs(value) < 2**63:
            return constant("id", value)
        if kind == "instant" and isinstance(value, str):
            return constant("instant", self._said_time(lambda: parse_instant(value, place=self.place), tree))
        if kind == "duration" and isinstance(value, str):
            return constant("duration", self._said_time(lambda: parse_window(value, place=self.place), tree))
        return node

    def _said_time(self, parse: Callable[[], int], tree: ast.expr) -> int:
        try:
            return parse()
        except PlatformError as error:
            raise self.refused(error.fault, error.repair, tree) from None

    def _missing(self, op: ast.cmpop, left: Node, right: Node, tree: ast.expr, other: ast.expr) -> Node:
        if right.kind != "nothing" or left.kind in ("nothing", "condition") or left.constant is not None:
            equal = (
                f"; to compare write `{ast.unparse(tree)} == {ast.unparse(other)}`" if right.kind != "nothing" else ""
            )
            raise self.refused(
                f"{code(tree)} is compared by `is`", f"Write a column `is None` or `is not None`{equal}.", tree
            )
        present = isinstance(op, ast.IsNot)
        return Node("condition", lambda plays: (pc.is_valid if present else pc.is_null)(left.of(plays)))

    def _among(
        self, left: ast.expr, listed: ast.Tuple | ast.List | ast.Set, op: ast.cmpop, depth: int
    ) -> Callable[[Plays], Any]:
        """`x in (1, 2)`."""
        node = self.node(left, depth)
        name = ast.unparse(left)
        if not listed.elts:
            raise self.refused(
                f"{code(left)} is looked for among nothing",
                f"Write what it may be: {name} in ('one', 'other').",
                listed,
            )
        if node.kind not in ARROW:
            raise self.refused(
                f"{code(left)} is {said(node.kind)}, looked for among {code(listed)}",
                each(listed, left) if node.kind == "texts" else f"Write {name} == each, with `or` between.", left,
            )  # fmt: skip
        options = [self._option(one, left, node, depth) for one in listed.elts]
        self._require_reach(op, left, options, listed)
        options_set = pa.array(options, ARROW[node.kind])
        return lambda plays: _kept_missing(pc.is_in, node.of(plays), options_set)

    def _option(self, tree: ast.expr, left: ast.expr, node: Node, depth: int) -> Any:
        """What is written out in a list."""
        option, name = self._as(self.node(tree, depth), node.kind, tree), ast.unparse(left)
        if option.kind == node.kind and option.constant is not None:
            return option.constant
        if option.kind == "nothing":
            repair = f"Write `{name} is None` besides, with `or` between."
        elif option.constant is None:
            repair = f"Only what is written out stands in a list; write `{name} == {ast.unparse(tree)}`."
        else:
            repair = f"Write {requoted(option.constant, node.kind)}."
        raise self.refused(f"{code(left)} is {said(node.kind)}, and {code(tree)} in its list is "
                           f"{said(option.kind) if option.constant is not None or option.kind == 'nothing' else 'not a value'}",
                           repair, tree)  # fmt: skip

    def _within(self, left: ast.expr, right: ast.expr, depth: int) -> Callable[[Plays], Any]:
        """`'drama' in genres`, `'part' in name`."""
        if isinstance(left, ast.Tuple | ast.List | ast.Set):
            raise self.refused(f"{code(left)} is looked for as a whole", each(left, right), left)
        part, whole = self.node(left, depth), self.node(right, depth)
        text = part.constant
        if not isinstance(text, str) or whole.kind not in ("text", "texts") or whole.constant is not None:
            raise self.refused(
                f"{code(left)} is looked for in {code(right)}", looked_for(part, whole, left, right), left
            )
        if whole.kind == "text":
            return lambda plays: pc.match_substring(whole.of(plays), text)
        name = cast(ast.Name, right).id
        return lambda plays: plays.holding(name, text)


def _joined(every: bool, parts: list[Node]) -> Node:
    if len(parts) == 1:
        return parts[0]
    both = pc.and_ if every else pc.or_

    def of(plays: Plays) -> Any:
        found = parts[0].of(plays)
        for part in parts[1:]:
            found = both(found, part.of(plays))
        return found

    return Node("condition", of)


def _held(of: Callable[[Plays], Any], *, turned: bool = False) -> Node:
    """A comparison: where it is unknown it does not hold, turned over or not."""
    if turned:
        return Node("condition", lambda plays: pc.fill_null(pc.invert(of(plays)), False))
    return Node("condition", lambda plays: pc.fill_null(of(plays), False))


def _inverted(node: Node) -> Node:
    return Node("condition", lambda plays: pc.invert(node.of(plays)))


def _kept_missing(function: Callable[..., Any], values: Any, options: pa.Array) -> Any:
    return pc.if_else(pc.is_valid(values), function(values, value_set=options), pa.scalar(None, pa.bool_()))
