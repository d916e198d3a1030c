"""What a mapping says of columns: ids, instants, countries, durations, events, texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from rec_platform.config import Frozen, known_zone
from rec_platform.partition import checked_country

_DIRECTIVES: Final = frozenset("YymdHIMSfpbBjz%")
ColumnName = Annotated[str, Field(min_length=1)]


def _known_pattern(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"{pattern!r} must hold exactly one group, the text to take")
    return pattern


class IdColumn(Frozen):
    """A column of ids. `integer`: the numbers stay (`17850.0` is 17850). `text`: a stable 63-bit hash of the text."""

    column: ColumnName
    kind: Literal["integer", "text"]


class Moment(Frozen):
    """A column of instants: `iso`, `epoch_s`, `epoch_ms`, `year`, or a strptime pattern; local times need a zone.

    `pattern`: a regular expression with one group, applied first.
    """

    column: ColumnName
    format: str = "iso"
    time_zone: str = "UTC"
    pattern: str | None = None

    _zone = field_validator("time_zone")(known_zone)
    _group = field_validator("pattern")(_known_pattern)

    @field_validator("format")
    @classmethod
    def _known_format(cls, text: str) -> str:
        if text in ("iso", "epoch_s", "epoch_ms", "year"):
            return text
        directives = re.findall(r"%(.)", text)
        if not directives:
            raise ValueError(f"{text!r} is neither iso, epoch_s, epoch_ms, year nor a strptime pattern")
        unknown = sorted(set(directives) - _DIRECTIVES)
        if unknown:
            raise ValueError(f"strptime directives not known here: {', '.join('%' + sign for sign in unknown)}")
        datetime.strptime(datetime(2025, 3, 10, tzinfo=UTC).strftime(text), text)
        return text


class _Rule(Moment):
    """A rule that gives an instant: that of a column, or one that needs none."""

    rule: str
    column: str = ""

    @model_validator(mode="after")
    def _column_where_needed(self) -> Self:
        if (self.rule == "column") != bool(self.column):
            raise ValueError('give `column` exactly where `rule = "column"`')
        return self


class KnownAt(_Rule):
    """When the platform could first know of a play. There is no default: it is the rule that time travel rests on.

    `column`; `delivered`: the delivery's time; `end_of_play`: only for one-off history, whose deliveries nobody recorded.
    """

    rule: Literal["column", "delivered", "end_of_play"]


class ReferenceKnownAt(_Rule):
    """When the platform could first know of a title, a profile or an offer.

    `column`; `delivered`; `static`: known since 1970, which claims that nobody learnt anything from it later.
    """

    rule: Literal["column", "delivered", "static"]


class CountryRule(Frozen):
    """Where: a `constant`, or a column of ISO codes (`code`) or of country names (`name`).

    `overrides` come first. A name without a code is ZZ; a code that is none makes the row unreadable.
    """

    constant: str | None = None
    column: str | None = None
    kind: Literal["code", "name"] = "code"
    overrides: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_them(self) -> CountryRule:
        if (self.constant is None) == (self.column is None):
            raise ValueError("give either `constant` or `column`")
        for code in [*self.overrides.values(), *([self.constant] if self.constant else [])]:
            checked_country(code, place="country of the mapping")
        return self


class Length(Frozen):
    """A column of durations."""

    column: ColumnName
    unit: Literal["ms", "s", "min"]


class EventRule(Frozen):
    """A column that tells plays from shown titles. Empty is a play; a value not listed makes the row unreadable."""

    column: ColumnName
    values: dict[str, Literal["play", "shown"]]


class PlayIdRule(Frozen):
    """Columns that together name a play: of rows with equal ones, the one known first stays."""

    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1)]
    kind: Literal["integer", "text"] = "text"

    @model_validator(mode="after")
    def _integer_is_one(self) -> PlayIdRule:
        if self.kind == "integer" and len(self.columns) != 1:
            raise ValueError("an integer play_id has one column")
        return self


class TextColumn(Frozen):
    """A column of texts; `pattern`: a regular expression with one group, the text to take."""

    column: ColumnName
    pattern: str | None = None

    _group = field_validator("pattern")(_known_pattern)


class ListColumns(Frozen):
    """Several texts per row: a JSON `list`, a text `split` at a separator, or `multi_hot` columns of 0 and 1."""

    kind: Literal["list", "split", "multi_hot"]
    column: str = ""
    separator: str = "|"
    columns: tuple[ColumnName, ...] = ()
    leave_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _columns_fit(self) -> ListColumns:
        if (self.kind == "multi_hot") != bool(self.columns) or (self.kind == "multi_hot") == bool(self.column):
            raise ValueError("multi_hot takes `columns`, list and split take `column`")
        return self
