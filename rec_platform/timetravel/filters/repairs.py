"""What to write in a filter instead of what may not stand in it, and how errors name its pieces."""

from __future__ import annotations

import ast
import difflib
from typing import Any, Final, NamedTuple

from rec_platform import columns as c
from rec_platform.timetravel.filters.values import COLUMNS, Node

#: Letters of a piece that errors show.
_PIECE: Final = 60
_MAY_STAND: Final = "columns, numbers, texts, comparisons, and, or, not, in, is None, + - * /"
_SAID: Final = {
    "texts": "a list of texts", "id": "an id", "instant": "an instant", "duration": "a time between instants",
    "nothing": "None",
}  # fmt: skip
#: How a thing of a kind becomes a condition.
_ASKED: Final = {
    "number": "{} > 0", "text": "{} == 'tv'", "texts": "'drama' in {}", "id": "{} == 1", "instant": "{} >= '2024-01-01'",
    "duration": "{} < '7d'",
}  # fmt: skip


class Whole(NamedTuple):
    """The whole numbers that a column can be, and in words."""

    least: int
    most: int
    said: str


WHOLE: Final = {
    c.ENGAGED: Whole(0, 1, "1 (yes) or 0 (no)"),
    "hour": Whole(0, 23, "0 to 23"),
    "weekday": Whole(0, 6, "0 (Monday) to 6 (Sunday)"),
}
_MISSING: Final = ("null", "nil", "na", "nan", "missing")
_TRUTH: Final = ("true", "false", "yes", "no")


def nearest(name: str) -> str:
    """The repair of a column that is not there."""
    if name.lower() in _MISSING:
        return "Write `is None` for what is missing, `is not None` for what is there."
    if name.lower() in _TRUTH:
        return "Write 1 or 0 for yes or no: engaged == 1."
    near = difflib.get_close_matches(name.lower(), COLUMNS, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"A text stands in quotes: {name!r}. Columns are: {', '.join(COLUMNS)}."


def compared(tree: ast.expr, node: Node) -> str:
    """How to make a condition of what is none."""
    if isinstance(tree, ast.Name):
        return f"Compare it: {(_WHOLE_ASKED if tree.id in WHOLE else _ASKED[node.kind]).format(tree.id)}."
    if node.constant is not None:
        return "Write the whole comparison on both sides of `and` and `or`, or a list: device in ('tv', 'web')."
    return f"Compare it: {_ASKED[node.kind].format(ast.unparse(tree))}." if node.kind in _ASKED else "Compare a column."


_WHOLE_ASKED: Final = "{} == 1"


def instead(tree: ast.expr) -> str:
    """What may stand where something cannot."""
    if isinstance(tree, ast.UnaryOp):
        return "Write `not`." if isinstance(tree.op, ast.Invert) else "Leave the + out."
    if isinstance(tree, ast.Call | ast.Attribute):
        return f"Nothing is called; a piece of a text is found by 'part' in name. There may be {_MAY_STAND}."
    if isinstance(tree, ast.Subscript):
        return "Write 'drama' in genres for one of a list, 'part' in name for a piece of a text."
    return f"There may be {_MAY_STAND}."


def made_alike(first: Node, second: Node, op: ast.cmpop, left: ast.expr, right: ast.expr) -> str:
    """How to compare two sides that are of other kinds."""
    sides = {first.kind: left, second.kind: right}
    written = left if first.constant is not None else right
    if "nothing" in sides:
        other = left if second.kind == "nothing" else right
        return f"Write `{ast.unparse(other)} is {'not ' if isinstance(op, ast.NotEq) else ''}None`."
    if "condition" in sides:
        return "Let a condition stand alone, or behind `not`."
    if "texts" in sides:
        return each(written, sides["texts"])
    if "duration" in sides:
        return "Write the time as '7d' or '6h'."
    if "instant" in sides:
        return "Write the instant as '2024-01-01'."
    column = right if written is left else left
    if isinstance(column, ast.Name) and column.id in WHOLE:
        return f"{column.id} is a number: {WHOLE[column.id].said}."
    constants = [one.constant for one in (first, second) if one.constant is not None]
    if len(constants) == 1:
        return f"Write {requoted(constants[0], first.kind if first.constant is None else second.kind)}."
    return "Compare things of one kind."


def requoted(value: Any, kind: str) -> str:
    """A written-out value as what it is compared with is."""
    if kind == "text":
        return f"a text in quotes: '{value}'"
    try:
        return f"the number without quotes: {int(value)}" if float(value).is_integer() else "a whole number"
    except (TypeError, ValueError):
        return "a whole number" if kind == "id" else "a number"


def each(listed: ast.expr, column: ast.expr) -> str:
    """Each of some texts in a column that is a list."""
    texts = listed.elts if isinstance(listed, ast.Tuple | ast.List | ast.Set) else [listed]
    told = [repr(str(one.value)) for one in texts if isinstance(one, ast.Constant)] or ["'drama'"]
    return f"Write {' or '.join(f'{text} in {ast.unparse(column)}' for text in told[:4])}."


def looked_for(part: Node, whole: Node, left: ast.expr, right: ast.expr) -> str:
    """How to look for something in something."""
    if whole.constant is not None and part.constant is None:
        name, value = ast.unparse(left), ast.unparse(right)
        return f"Write {name} == {value}, or a list: {name} in ({value},)." + (
            " A list of one has a comma." if part.kind == "text" else ""
        )
    if whole.kind in ("text", "texts") and part.constant is not None and whole.constant is None:
        return f"Write a text in quotes: '{part.constant}' in {ast.unparse(right)}."
    return "Look for a text in a column, 'drama' in genres, or for a column in a list, device in ('tv', 'web')."


def reached(op: ast.cmpop, whole: Whole, value: float) -> bool:
    """Whether a comparison can hold of any of the numbers that a column can be."""
    match op:
        case ast.Lt():
            return whole.least < value
        case ast.LtE():
            return whole.least <= value
        case ast.Gt():
            return whole.most > value
        case ast.GtE():
            return whole.most >= value
    return whole.least <= value <= whole.most and float(value).is_integer()


def sign(op: ast.cmpop) -> str:
    return {"Lt": "< ", "LtE": "<= ", "Gt": "> ", "GtE": ">= "}.get(type(op).__name__, "")


def code(tree: ast.expr) -> str:
    told = ast.unparse(tree)
    return f"`{told if len(told) <= _PIECE else told[:_PIECE] + '...'}`"


def said(kind: str) -> str:
    return _SAID.get(kind, f"a {kind}")


def article(tree: ast.AST) -> str:
    names = {"Call": "a call", "Attribute": "an attribute", "Subscript": "a piece of something", "Lambda": "a function",
             "IfExp": "a choice", "UnaryOp": "a sign", "JoinedStr": "a formatted text"}  # fmt: skip
    return names.get(type(tree).__name__, type(tree).__name__)
