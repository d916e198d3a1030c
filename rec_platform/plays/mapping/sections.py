"""The sections of a mapping that read files, and the rules that a row of plays can break."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from rec_platform.config import Frozen
from rec_platform.plays.conditions import Condition, parse_condition
from rec_platform.plays.mapping.columns import (
    ColumnName,
    CountryRule,
    EventRule,
    IdColumn,
    KnownAt,
    Length,
    ListColumns,
    Moment,
    PlayIdRule,
    ReferenceKnownAt,
    TextColumn,
)

#: Rules every source has, in the order they are applied; a mapping's own filters follow.
UNREADABLE: Final = "unreadable"
IMPOSSIBLE: Final = "impossible"
DUPLICATE: Final = "duplicate"
MISSING_ID: Final = "missing_id"
STANDING_RULES: Final = (UNREADABLE, IMPOSSIBLE, DUPLICATE, MISSING_ID)

#: Keys of a landed row that could not be taken apart; no delivered column may bear such a name.
FAULT_KEY: Final = "__fault__"
LINE_KEY: Final = "__line__"


class Layout(Frozen):
    """Which files a section reads, and how they are written."""

    files: tuple[str, ...] = ()
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    delimiter: Annotated[str, Field(min_length=1, max_length=4)] = ","
    header: bool = True
    columns: tuple[ColumnName, ...] = ()

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
