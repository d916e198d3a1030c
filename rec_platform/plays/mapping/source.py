"""A whole mapping: its sections together, read from a file."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, model_validator

from rec_platform.config import Frozen, SourceRules, checked
from rec_platform.errors import ConfigError
from rec_platform.plays.mapping.sections import (
    AvailabilityMapping,
    Layout,
    PlaysMapping,
    ProfilesMapping,
    TitlesMapping,
)


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
