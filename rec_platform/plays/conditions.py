"""The small language of mappings' conditions: `Quantity > 0`, `not InvoiceNo startswith 'C' and Country != 'X'`.

    condition  = conjunction { "or" conjunction }
    conjunction = test { "and" test }
    test       = "(" condition ")" | column operator number | column ("=" | "!=") text
               | column ["not"] "in" "(" text { "," text } ")" | column ["not"] "startswith" text
               | column "is" ["not"] "empty"
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">="

A column whose name is not a plain word is written in backticks. A condition is parsed into a tree; nothing of its text
ever becomes part of a query (names and constants are bound as parameters).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rec_platform.engine import dialect
from rec_platform.errors import ConfigError

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?![\w.]))|(?P<name>[A-Za-z_]\w*)|`(?P<quoted>[^`]+)`"
    r"|'(?P<text>[^']*)'|(?P<sign><=|>=|!=|=|<|>|\(|\)|,))"
)
_WORDS: Final = {"and", "or", "not", "in", "is", "empty", "startswith"}
_SQL_SIGNS: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Compare:
    """A column's number against a constant."""

    column: str
    sign: str
    number: float


@dataclass(frozen=True)
class OneOf:
    """A column's text is (not) one of some texts."""

    column: str
    texts: tuple[str, ...]
    negated: bool


@dataclass(frozen=True)
class StartsWith:
    """A column's text begins (does not begin) with a text."""

    column: str
    prefix: str
    negated: bool


@dataclass(frozen=True)
class Empty:
    """A column's text is (not) empty."""

    column: str
    negated: bool


@dataclass(frozen=True)
class Both:
    """All (`and`) or any (`or`) of some conditions."""

    word: str
    parts: tuple[Condition, ...]


Condition = Compare | OneOf | StartsWith | Empty | Both


def parse_condition(text: str, *, place: str) -> Condition:
    """The tree of a condition; `ConfigError` showing where it cannot be read.

    >>> parse_condition("rating >= 7", place="doc")
    Compare(column='rating', sign='>=', number=7.0)
    """
    return _Parser(text, place).parse()


def columns_of(condition: Condition) -> tuple[str, ...]:
    """The columns a condition reads, in the order it names them."""
    if isinstance(condition, Both):
        return tuple(dict.fromkeys(name for part in condition.parts for name in columns_of(part)))
    return (condition.column,)


def number_columns_of(condition: Condition) -> tuple[str, ...]:
    """The columns a condition reads as numbers."""
    if isinstance(condition, Both):
        return tuple(dict.fromkeys(name for part in condition.parts for name in number_columns_of(part)))
    return (condition.column,) if isinstance(condition, Compare) else ()


def condition_sql(condition: Condition, text_of: Callable[[str], str], bind: Callable[[object], str]) -> str:
    """The condition as SQL over columns given by `text_of` and constants given by `bind`.

    A comparison with an empty text is unknown (SQL's null), so `Quantity > 0` does not hold where there is no quantity.
    """
    match condition:
        case Both(word, parts):
            return "(" + f" {word.upper()} ".join(condition_sql(part, text_of, bind) for part in parts) + ")"
        case Compare(column, sign, value):
            return f"({dialect.number(text_of(column))}) {_SQL_SIGNS[sign]} {bind(value)}"
        case OneOf(column, texts, negated):
            listed = ", ".join(bind(text) for text in texts)
            return f"coalesce({text_of(column)}, '') {'NOT ' if negated else ''}IN ({listed})"
        case StartsWith(column, prefix, negated):
            return f"{'NOT ' if negated else ''}starts_with(coalesce({text_of(column)}, ''), {bind(prefix)})"
        case Empty(column, negated):
            return f"{text_of(column)} IS {'NOT ' if negated else ''}NULL"


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str, place: str) -> None:
        self._text = text
        self._place = place
        self._tokens = self._split()
        self._next = 0

    def parse(self) -> Condition:
        found = self._either()
        if self._next < len(self._tokens):
            raise self._fault(f"unexpected {self._tokens[self._next][1]!r}")
        return found

    def _split(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at = 0
        text = self._text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._fault(f"cannot read {text[at:].strip()[:20]!r}")
            kind, value = match.lastgroup, match.group(match.lastgroup)
            tokens.append(("word", value) if kind == "name" and value in _WORDS else (kind, value))
            at = match.end()
        return tokens

    def _fault(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what} in condition {self._text!r}",
            place=self._place,
            repair="Write conditions as docs/mapping.md shows, such as: Quantity > 0 and not InvoiceNo startswith 'C'.",
        )

    def _peek(self, kind: str, *values: str) -> bool:
        if self._next >= len(self._tokens):
            return False
        found, value = self._tokens[self._next]
        return found == kind and (not values or value in values)

    def _take(self, kind: str, *values: str) -> str:
        if not self._peek(kind, *values):
            wanted = " or ".join(values) or kind
            found = self._tokens[self._next][1] if self._next < len(self._tokens) else "the end"
            raise self._fault(f"expected {wanted}, found {found!r}")
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _skip(self, kind: str, *values: str) -> bool:
        found = self._peek(kind, *values)
        self._next += found
        return found

    def _either(self) -> Condition:
        return self._joined("or", lambda: self._joined("and", self._test))

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._skip("word", word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _test(self) -> Condition:
        if self._skip("sign", "("):
            inner = self._either()
            self._take("sign", ")")
            return inner
        leading = self._skip("word", "not")
        column = self._column()
        if not leading and self._skip("word", "is"):
            negated = self._skip("word", "not")
            self._take("word", "empty")
            return Empty(column, negated)
        if not leading and self._peek("sign", *_SQL_SIGNS):
            return self._comparison(column)
        negated = leading or self._skip("word", "not")
        return self._text_test(column, negated)

    def _column(self) -> str:
        return self._take("quoted") if self._peek("quoted") else self._take("name")

    def _comparison(self, column: str) -> Condition:
        sign = self._take("sign", *_SQL_SIGNS)
        if sign in ("=", "!=") and self._peek("text"):
            return OneOf(column, (self._take("text"),), negated=sign == "!=")
        return Compare(column, sign, float(self._take("number")))

    def _text_test(self, column: str, negated: bool) -> Condition:
        if self._take("word", "startswith", "in") == "startswith":
            return StartsWith(column, self._take("text"), negated)
        self._take("sign", "(")
        texts = [self._take("text")]
        while self._skip("sign", ","):
            texts.append(self._take("text"))
        self._take("sign", ")")
        return OneOf(column, tuple(texts), negated)
