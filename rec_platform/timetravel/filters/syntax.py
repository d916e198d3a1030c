"""Where a filter cannot be read, and what to write there: what other languages have is known by its sign.

Places in a text are offsets in characters; for people they are columns that begin with 1.
"""

from __future__ import annotations

import ast
import re
from typing import Final, NamedTuple

_TEXTS: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_SMALL: Final = "in small letters"
#: What stands in other languages, and what to write for it. Of two that begin at one place the first counts.
_FOREIGN: Final = tuple(
    (re.compile(pattern), repair)
    for pattern, repair in (
        (r"^\s*(?i:where)\b", "Leave it out: a filter is the condition alone."),
        (r"[‘’“”]", "Write straight quotes: 'tv'."),
        (r"&&?", "Write `and`."),
        (r"\|\|?", "Write `or`."),
        (r";", "Write `and` between two conditions."),
        (r"<>|!==", "Write `!=`."),
        (r"===", "Write `==`."),
        (r"=>", "Write `>=`."),
        (r"=<", "Write `<=`."),
        (r"(?<![=<>!:])=(?![=<>])", "Write `==` to compare."),
        (r"!(?!=)", "Write `not`."),
        (r"\b(?!and\b)(?i:and)\b", f"Write `and`, {_SMALL}."),
        (r"\b(?!or\b)(?i:or)\b", f"Write `or`, {_SMALL}."),
        (r"\b(?!not\b)(?i:not)\b", f"Write `not`, {_SMALL}."),
        (r"\b(?!in\b)(?i:in)\b", f"Write `in`, {_SMALL}: device in ('tv', 'web')."),
        (r"\b(?!is\b)(?i:is)\b", "Write `is None` or `is not None`."),
        (r"\b(?i:between)\b", "Write `1 <= row <= 3`."),
        (r"\b(?i:i?like|contains|startswith|endswith)\b", "Write `'part' in name` for a piece of a text."),
    )
)


class Slip(NamedTuple):
    """What keeps a text from being read.

    Attributes:
        at: the offset at which it stands; None where no place can be named.
    """

    at: int | None
    fault: str
    repair: str


def slip(text: str, error: Exception) -> Slip:
    """What `ast.parse` stumbled over.

    >>> slip("row = 1", SyntaxError("invalid syntax"))
    Slip(at=4, fault='there is no `=`', repair='Write `==` to compare.')
    """
    example = "Write a condition such as: 'drama' in genres and device == 'tv'."
    if not text.strip():
        but = " but spaces" if text else ""
        return Slip(None, f"there is nothing in it{but}", f"{example} For all plays leave `where` out.")
    if not isinstance(error, SyntaxError):
        return Slip(None, str(error) or "it is nested too deep", example)
    if error.msg.startswith("unterminated"):
        return _said(text, error, "Close the quotes: 'tv'.")
    return _foreign(text) or _broken_line(text) or _said(text, error, example)


def _foreign(text: str) -> Slip | None:
    bare = _TEXTS.sub(lambda one: " " * len(one[0]), text)
    hits = [(hit.start(), place) for place, (sign, _) in enumerate(_FOREIGN) if (hit := sign.search(bare))]
    if not hits:
        return None
    sign, repair = _FOREIGN[min(hits)[1]]
    found = sign.search(bare)
    assert found is not None
    at = found.end() - len(found[0].lstrip())
    return Slip(at, f"there is no `{found[0].strip()}`", repair)


def _broken_line(text: str) -> Slip | None:
    """A condition that would be one, were its lines in parentheses."""
    if "\n" not in text.strip():
        return None
    try:
        ast.parse(f"(\n{text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    at = text.index("\n", len(text) - len(text.lstrip()))
    return Slip(at, "it goes on in another line", "Write it in one line, or put parentheses around the whole.")


def _said(text: str, error: SyntaxError, example: str) -> Slip:
    """What Python says of it, at the place that it names."""
    message = re.sub(r" \(detected at line \d+\)", "", error.msg)
    at = offset(text, error.lineno, (error.offset or 0) - 1)
    if not message.startswith("invalid syntax"):
        return Slip(at, message, example)
    if at is None or not text[at:].strip():
        return Slip(len(text.rstrip()), "it breaks off at its end", example)
    return Slip(at, f"`{text[at:].strip()[:20]}` cannot stand here", example)


def offset(text: str, line: int | None, column: int) -> int | None:
    """The offset of a column (from 0) of a line (from 1) of the text without the blanks before it; None if there is none."""
    lead = len(text) - len(text.lstrip())
    lines = text[lead:].split("\n")
    if line is None or not 1 <= line <= len(lines) or column < 0:
        return None
    return min(lead + sum(len(one) + 1 for one in lines[: line - 1]) + column, len(text))


def offset_of(text: str, tree: ast.expr) -> int | None:
    """Where a piece of the text's tree begins; `ast` counts bytes."""
    lead = len(text) - len(text.lstrip())
    lines = text[lead:].split("\n")
    if tree.lineno > len(lines):
        return None
    before = lines[tree.lineno - 1].encode()[: tree.col_offset].decode(errors="ignore")
    return offset(text, tree.lineno, len(before))


def said_place(text: str, at: int) -> str:
    r"""An offset for people.

    >>> said_place("row = 1", 4), said_place("(row > 1\n and x)", 14)
    ('column 5', 'line 2, column 6')
    """
    line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
    return f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
