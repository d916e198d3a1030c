"""What a fact is: whose past is looked at, what is measured of it, and over which window, declared as data.

Facts about profiles are exact at the context's own instant by both clocks; facts about titles, countries and the
platform are exact as of the last tick at or before it (docs/clocks.md). How they are computed: facts.py, reading.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.errors import ConfigError
from rec_platform.timetravel.kernels import ALL_TIME

Entity = Literal[
    "profile", "title", "title_country", "profile_title", "profile_attribute", "profile_hour", "profile_weekday", "country",
    "platform",
]  # fmt: skip
Measure = Literal[
    "plays", "watched_ms", "engaged_plays", "last_played_at", "first_played_at",
    "signup_at", "released_at", "runtime_ms", "available_from",
]  # fmt: skip
SUMS: Final = ("plays", "watched_ms", "engaged_plays")
INSTANTS: Final = ("last_played_at", "first_played_at", "signup_at", "released_at", "available_from")

#: What can be measured of each entity.
MEASURES: Final[dict[str, tuple[str, ...]]] = {
    "profile": (*SUMS, "last_played_at", "first_played_at", "signup_at"),
    "profile_hour": SUMS,
    "profile_weekday": SUMS,
    "profile_title": (*SUMS, "last_played_at", "first_played_at"),
    "profile_attribute": SUMS,
    "title": (*SUMS, "last_played_at", "first_played_at", "released_at", "runtime_ms"),
    "title_country": (*SUMS, "last_played_at", "first_played_at", "available_from"),
    "country": (*SUMS, "last_played_at", "first_played_at"),
    "platform": (*SUMS, "last_played_at", "first_played_at"),
}
_ITEM_LEVEL: Final = ("title", "title_country", "profile_title", "profile_attribute")
OF_RECORDS: Final = ("signup_at", "released_at", "runtime_ms", "available_from")
_UNITS: Final = {"plays": "plays", "watched_ms": "milliseconds", "engaged_plays": "plays", "runtime_ms": "milliseconds"}
#: Raised whenever the same declaration would give other values.
FACTS_VERSION: Final = 1


@dataclass(frozen=True)
class Fact:
    """A declared fact.

    Attributes:
        name: what encoders call it.
        entity: whose past: profile; title (in all countries); title_country (in the context's country); profile_title
            (the profile's plays of the item); profile_attribute (the profile's plays of titles that share a value of a
            list attribute with the item, see `attribute` and `over`); profile_hour, profile_weekday (the profile's
            plays in the context's local hour or weekday, by the context country's time zone); country; platform (all
            plays).
        measure: plays, watched_ms, engaged_plays (sums, float64); last_played_at, first_played_at (int64 instants, NONE
            if there is none); or of records: signup_at, released_at, available_from (instants), runtime_ms (float64, NaN
            if there is none).
        window: days back from the instant (or tick), or None for all time.
        about: one line for the docs.
        attribute: profile_attribute only: genres or tags.
        over: profile_attribute only: mean or max over the item's values.
    """

    name: str
    entity: Entity
    measure: Measure
    window: int | None = None
    about: str = ""
    attribute: Literal["genres", "tags"] = "genres"
    over: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        self._require(self.name.isidentifier(), f"name {self.name!r}", "a Python name")
        self._require(self.entity in MEASURES, f"entity {self.entity!r}", f"one of {list(MEASURES)}")
        allowed = MEASURES[self.entity]
        self._require(self.measure in allowed, f"measure {self.measure!r} of entity {self.entity}", f"one of {allowed}")
        self._require(self.window is None or 1 <= self.window <= 36_500, f"window {self.window!r}", "days, or None")
        self._require(self.attribute in (c.GENRES, c.TAGS), f"attribute {self.attribute!r}", "genres or tags")
        self._require(self.over in ("mean", "max"), f"over {self.over!r}", "mean or max")
        fixed = self.measure in OF_RECORDS or (self.measure == "first_played_at" and self.by_tick)
        self._require(not (fixed and self.window), f"window of {self.measure} of {self.entity}", "None: all time")

    def _require(self, holds: bool, fault: str, expected: str) -> None:
        if not holds:
            raise ConfigError(
                f"{fault} cannot be declared", place=f"fact {self.name!r}", repair=f"It should be {expected}."
            )

    @property
    def level(self) -> Literal["context", "item"]:
        """Whether there is a value per context or per item."""
        return "item" if self.entity in _ITEM_LEVEL else "context"

    @property
    def unit(self) -> str:
        return _UNITS.get(self.measure, "microseconds since 1970, UTC")

    @property
    def by_tick(self) -> bool:
        """Whether it is read as of the last tick rather than the instant itself."""
        return self.entity in ("title", "title_country", "country", "platform") and self.measure not in OF_RECORDS

    @property
    def micros(self) -> int:
        """The window in microseconds; ALL_TIME (-1) without one."""
        return ALL_TIME if self.window is None else self.window * DAY

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
