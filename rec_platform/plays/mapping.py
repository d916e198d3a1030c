"""How a source's files become plays, titles, profiles and availability: the mapping file, as frozen models.

docs/mapping.md explains every key with an example. A mapping is data: it names columns and chooses among rules; nothing
in it is ever executed or pasted into a query.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, field_validator, model_validator

from rec_platform.config import Frozen, SourceRules, checked
from rec_platform.errors import ConfigError
from rec_platform.partition import checked_country
from rec_platform.plays.conditions import Condition, parse_condition

#: Rules every source has, in the order they are applied; a mapping's own filters follow.
UNREADABLE: Final = "unreadable"
IMPOSSIBLE: Final = "impossible"
DUPLICATE: Final = "duplicate"
MISSING_ID: Final = "missing_id"
STANDING_RULES: Final = (UNREADABLE, IMPOSSIBLE, DUPLICATE, MISSING_ID)

#: Keys of a landed row that could not be taken apart; no delivered column may bear such a name.
FAULT_KEY: Final = "__fault__"
LINE_KEY: Final = "__line__"

_DIRECTIVES: Final = frozenset("YymdHIMSfpbBjz%")
_ColumnName = Annotated[str, Field(min_length=1)]
_Zone = str


def _known_zone(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not a time zone of the tz database") from None
    return zone


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


class Layout(Frozen):
    """Which files a section reads, and how they are written."""

    files: tuple[str, ...] = ()
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    delimiter: Annotated[str, Field(min_length=1, max_length=4)] = ","
    header: bool = True
    columns: tuple[_ColumnName, ...] = ()

    @model_validator(mode="after")
    def _names_somewhere(self) -> Layout:
        if self.format == "csv" and self.header == bool(self.columns):
            raise ValueError("give `columns` exactly where `header = false`")
        if self.format != "csv" and self.columns:
            raise ValueError("`columns` belongs to csv files without a header")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        if any(sign in self.delimiter for sign in '"\r\n'):
            raise ValueError("`delimiter` holds a quote or a line break")
        return self


class IdColumn(Frozen):
    """A column of ids. `integer`: the numbers stay (`17850.0` is 17850). `text`: a stable 63-bit hash of the text."""

    column: _ColumnName
    kind: Literal["integer", "text"]


class Moment(Frozen):
    """A column of instants: `iso`, `epoch_s`, `epoch_ms`, `year`, or a strptime pattern; local times need a zone.

    `pattern`: a regular expression with one group, applied first.
    """

    column: _ColumnName
    format: str = "iso"
    time_zone: str = "UTC"
    pattern: str | None = None

    _zone = field_validator("time_zone")(_known_zone)
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


class KnownAt(Moment):
    """When the platform could first know of a play. There is no default: it is the rule that time travel rests on.

    `column`; `delivered`: the delivery's time; `end_of_play`: only for one-off history, whose deliveries nobody recorded.
    """

    rule: Literal["column", "delivered", "end_of_play"]
    column: str = ""

    @model_validator(mode="after")
    def _column_where_needed(self) -> KnownAt:
        if (self.rule == "column") != bool(self.column):
            raise ValueError('give `column` exactly where `rule = "column"`')
        return self


class ReferenceKnownAt(Moment):
    """When the platform could first know of a title, a profile or an offer.

    `column`; `delivered`; `static`: known since 1970, which claims that nobody learnt anything from it later.
    """

    rule: Literal["column", "delivered", "static"]
    column: str = ""

    @model_validator(mode="after")
    def _column_where_needed(self) -> ReferenceKnownAt:
        if (self.rule == "column") != bool(self.column):
            raise ValueError('give `column` exactly where `rule = "column"`')
        return self


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

    column: _ColumnName
    unit: Literal["ms", "s", "min"]


class EventRule(Frozen):
    """A column that tells plays from shown titles. Empty is a play; a value not listed makes the row unreadable."""

    column: _ColumnName
    values: dict[str, Literal["play", "shown"]]


class PlayIdRule(Frozen):
    """Columns that together name a play: of rows with equal ones, the one known first stays."""

    columns: Annotated[tuple[_ColumnName, ...], Field(min_length=1)]
    kind: Literal["integer", "text"] = "text"

    @model_validator(mode="after")
    def _integer_is_one(self) -> PlayIdRule:
        if self.kind == "integer" and len(self.columns) != 1:
            raise ValueError("an integer play_id has one column")
        return self


class Filter(Frozen):
    """A condition that must hold for a play; a row that breaks it is quarantined under `name`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    keep: str

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if name in STANDING_RULES:
            raise ValueError(f"{name!r} is the name of a standing rule")
        return name

    @field_validator("keep")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse_condition(text, place="keep")
        return text

    @property
    def condition(self) -> Condition:
        return parse_condition(self.keep, place=f"filter {self.name}")


class PlaysMapping(Layout):
    """The `[plays]` section."""

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    profile: IdColumn
    title: IdColumn
    played_at: Moment
    known_at: KnownAt
    country: CountryRule
    duration: Length | None = None
    runtime: Length | None = None
    engaged: str | None = None
    session: str | None = None
    device: str | None = None
    event: EventRule | None = None
    play_id: PlayIdRule | None = None
    request: str | None = None
    surface: str | None = None
    row: str | None = None
    position: str | None = None
    propensity: str | None = None
    filters: tuple[Filter, ...] = ()

    @field_validator("engaged")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            parse_condition(text, place="engaged")
        return text

    @model_validator(mode="after")
    def _filters_differ(self) -> PlaysMapping:
        names = [rule.name for rule in self.filters]
        if len(set(names)) != len(names):
            raise ValueError("two filters bear the same name")
        return self

    @property
    def rules(self) -> tuple[str, ...]:
        """Every rule a row can break, in the order they are applied."""
        return (*STANDING_RULES, *(rule.name for rule in self.filters))

    def landing_rule(self) -> dict[str, Any]:
        """What decides where rows land; it cannot change once rows have landed."""
        return {"played_at": self.played_at.model_dump(), "country": self.country.model_dump()}


class TextColumn(Frozen):
    """A column of texts; `pattern`: a regular expression with one group, the text to take."""

    column: _ColumnName
    pattern: str | None = None

    _group = field_validator("pattern")(_known_pattern)


class ListColumns(Frozen):
    """Several texts per row: a JSON `list`, a text `split` at a separator, or `multi_hot` columns of 0 and 1."""

    kind: Literal["list", "split", "multi_hot"]
    column: str = ""
    separator: str = "|"
    columns: tuple[_ColumnName, ...] = ()
    leave_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _columns_fit(self) -> ListColumns:
        if (self.kind == "multi_hot") != bool(self.columns) or (self.kind == "multi_hot") == bool(self.column):
            raise ValueError("multi_hot takes `columns`, list and split take `column`")
        return self


class _Reference(Layout):
    """Either files of their own, or derived from the plays."""

    from_plays: bool = False

    @model_validator(mode="after")
    def _files_or_plays(self) -> _Reference:
        if self.from_plays == bool(self.files):
            raise ValueError("give either `files` or `from_plays = true`")
        return self


class TitlesMapping(_Reference):
    """The `[titles]` section. From plays: one row per title, as its first play (by `known_at`) has it."""

    title: IdColumn | None = None
    known_at: ReferenceKnownAt | None = None
    name: TextColumn | None = None
    genres: ListColumns | None = None
    tags: ListColumns | None = None
    runtime: Length | None = None
    released: Moment | None = None

    @model_validator(mode="after")
    def _own_files_are_complete(self) -> TitlesMapping:
        _complete_unless_from_plays(self.from_plays, title=self.title, known_at=self.known_at)
        return self


class ProfilesMapping(_Reference):
    """The `[profiles]` section. From plays: one row per profile, known from its first play's `known_at`."""

    profile: IdColumn | None = None
    known_at: ReferenceKnownAt | None = None
    signup: Moment | None = None
    country: CountryRule | None = None

    @model_validator(mode="after")
    def _own_files_are_complete(self) -> ProfilesMapping:
        _complete_unless_from_plays(self.from_plays, profile=self.profile, known_at=self.known_at)
        return self


class AvailabilityMapping(Layout):
    """The `[availability]` section: over which time a title is offered where. An empty end is open."""

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    title: IdColumn
    country: CountryRule
    available_from: Moment
    available_to: Moment | None = None
    known_at: ReferenceKnownAt


def _complete_unless_from_plays(from_plays: bool, **needed: object) -> None:
    missing = [name for name, value in needed.items() if value is None]
    given = [name for name, value in needed.items() if value is not None]
    if missing and not from_plays:
        raise ValueError(f"files of their own need {', '.join(missing)}")
    if given and from_plays:
        raise ValueError(f"derived from plays, so {', '.join(given)} must not be given")


class SourceName(Frozen):
    """The `[source]` section."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    live: bool


class SourceMapping(Frozen):
    """A whole mapping file."""

    source: SourceName
    plays: PlaysMapping
    titles: TitlesMapping = TitlesMapping(from_plays=True)
    profiles: ProfilesMapping = ProfilesMapping(from_plays=True)
    availability: AvailabilityMapping | None = None
    rules: SourceRules = SourceRules()

    _text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _live_sources_know_when(self) -> SourceMapping:
        if self.source.live and self.plays.known_at.rule == "end_of_play":
            raise ValueError("a live source cannot have `known_at` rule end_of_play: deliveries take time")
        if self.rules.engagement.kind == "column" and self.plays.engaged is None:
            raise ValueError('rules.engagement.kind = "column" needs plays.engaged')
        if self.rules.sessions.kind == "session_id" and self.plays.session is None:
            raise ValueError('rules.sessions.kind = "session_id" needs plays.session')
        return self

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def text(self) -> str:
        """The mapping file as it was read."""
        return self._text

    def sections(self) -> dict[str, Layout]:
        """The sections that read files, by name."""
        found: dict[str, Layout | None] = {
            "plays": self.plays,
            "titles": None if self.titles.from_plays else self.titles,
            "profiles": None if self.profiles.from_plays else self.profiles,
            "availability": self.availability,
        }
        return {name: section for name, section in found.items() if section is not None}


def parse_mapping(text: str, *, place: str) -> SourceMapping:
    """A mapping from its TOML text; `ConfigError` naming every key that is wrong otherwise."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", place=place, repair="Correct that line.") from None
    mapping = checked(SourceMapping, data, place=place)
    mapping._text = text
    return mapping


def load_mapping(path: Path) -> SourceMapping:
    """The mapping in a file (a shipped one, or a home's `source.toml`)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the mapping cannot be read: {error}", place=str(path), repair="Give the path of a mapping file."
        ) from None
    return parse_mapping(text, place=str(path))


def digest(part: Frozen) -> str:
    """A short hash of a part of a mapping: equal parts, equal hashes."""
    body = json.dumps(part.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]
