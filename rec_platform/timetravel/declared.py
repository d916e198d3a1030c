"""What a fact is: whose past is looked at, what is measured of it, over which window and which plays, as data.

    Fact("drama_plays_7d", "profile", "plays", "7d", where="'drama' in genres")

Facts about profiles are exact at the context's own instant by both clocks; facts about titles, countries and the
platform are exact as of the last tick at or before it (docs/clocks.md). How they are computed: facts.py, reading.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Literal

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, parse_window, window_text
from rec_platform.errors import ConfigError
from rec_platform.tables import PLAY_FACTS, TITLES
from rec_platform.timetravel.filters import OF_CLOCKS, Filter, parse_filter
from rec_platform.timetravel.kernels import ALL_TIME

Entity = Literal[
    "profile", "title", "title_country", "profile_title", "profile_attribute", "profile_hour", "profile_weekday",
    "country", "platform",
]  # fmt: skip
#: One of `MEASURES` of the entity.
Measure = str
Kind = Literal["sum", "distinct", "share", "instant", "number"]

SUMS: Final = ("plays", "watched_ms", "engaged_plays")
#: Integer columns of a play that can be summed besides; a missing value adds 0.
NUMERIC: Final = tuple(
    field.name
    for field in PLAY_FACTS.schema
    if pa.types.is_integer(field.type)
    and field.name not in (c.PLAY_ID, c.PROFILE, c.TITLE, c.SESSION_ID, c.WATCHED_MS, c.ENGAGED)
)
INSTANTS: Final = ("last_played_at", "first_played_at", "signup_at", "released_at", "available_from")
OF_RECORDS: Final = ("signup_at", "released_at", "runtime_ms", "available_from")
DISTINCT: Final = "distinct_titles"
SHARE: Final = "share"
#: The lists that a title has: what `attribute` may be.
LISTS: Final = tuple(field.name for field in TITLES.schema if pa.types.is_list(field.type))

_ENDS: Final = ("last_played_at", "first_played_at")
#: What can be measured of each entity.
MEASURES: Final[dict[str, tuple[Measure, ...]]] = {
    "profile": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS, "signup_at"),
    "profile_hour": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS),
    "profile_weekday": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS),
    "profile_title": (*SUMS, *NUMERIC, SHARE, *_ENDS),
    "profile_attribute": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS),
    "title": (*SUMS, *NUMERIC, SHARE, *_ENDS, "released_at", "runtime_ms"),
    "title_country": (*SUMS, *NUMERIC, SHARE, *_ENDS, "available_from"),
    "country": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS),
    "platform": (*SUMS, *NUMERIC, DISTINCT, SHARE, *_ENDS),
}
#: What a share may be a share of, the usual one first: wider than the entity, or the entity itself (with a filter).
WHOLES: Final[dict[str, tuple[Entity, ...]]] = {
    "profile": ("profile",),
    "profile_hour": ("profile", "profile_hour"),
    "profile_weekday": ("profile", "profile_weekday"),
    "profile_title": ("profile", "profile_title"),
    "profile_attribute": ("profile", "profile_attribute"),
    "title": ("platform", "title"),
    "title_country": ("country", "title", "platform", "title_country"),
    "country": ("platform", "country"),
    "platform": ("platform",),
}
ITEM_LEVEL: Final = ("title", "title_country", "profile_title", "profile_attribute")
_BY_TICK: Final = ("title", "title_country", "country", "platform")
#: Entities whose past differs by the context's country.
APART: Final = ("title_country", "country")
_TICKS: Final = {"day": DAY, "hour": HOUR}
_UNITS: Final = {
    "plays": "plays", "watched_ms": "milliseconds", "engaged_plays": "plays", "runtime_ms": "milliseconds",
    DISTINCT: "titles", SHARE: "share",
}  # fmt: skip

#: The column of the plays that a measure sums; another measure is a column itself.
_SUMMED: Final = {c.PLAYS: None, c.ENGAGED_PLAYS: c.ENGAGED}

#: Raised whenever the same declaration would give other values.
FACTS_VERSION: Final = 2


def column_of(measure: str) -> str | None:
    """The column of the plays that a measure sums; None where plays are counted."""
    return _SUMMED.get(measure, measure)


#: What people call what is called otherwise here.
_MEANT: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("seconds", "minutes", "hours", "milliseconds", "duration"), (c.WATCHED_MS,)),
    **dict.fromkeys(("profile_tag", "profile_genre", "profile_tags", "profile_genres"), ("profile_attribute",)),
    **dict.fromkeys(("count", "number"), (c.PLAYS,)),
}


@dataclass(frozen=True)
class Fact:
    """A declared fact. Making one checks it; `ConfigError` names the fact, the fault and the repair.

    Attributes:
        name: what encoders call it.
        entity: whose past: profile; title (in all countries); title_country (in the context's country); profile_title
            (the profile's plays of the item); profile_attribute (the profile's plays of titles that share a value of a
            list attribute with the item, see `attribute` and `over`); profile_hour, profile_weekday (the profile's
            plays in the context's local hour or weekday, by the context country's time zone); country; platform (all
            plays).
        measure: plays, watched_ms, engaged_plays and the integer columns of a play (sums, float64; a missing value adds
            0); distinct_titles (float64); share (float64, NaN where the whole is 0); last_played_at, first_played_at
            (int64 instants, NONE if there is none; of profile_attribute those of a play that shares any value; the first
            of titles, countries and the platform over all time only); or of records: signup_at, released_at,
            available_from (instants), runtime_ms (float64, NaN if there is none).
        window: back from the instant (or tick): days as a number, text such as "30min", "6h", "7d", or None for all
            time. Kept as a number where it is whole days.
        about: one line for the docs.
        attribute: profile_attribute only: a list attribute of the title, genres or tags.
        over: profile_attribute only, and not of instants: mean or max over the item's values. Of a share of
            profile_attribute itself only mean: the plays of all values together over all of theirs, a play under each of
            its values.
        where: only plays for which this condition holds (`filters`); None for all. Kept in one way of writing it.
        of: share only: of whose plays in the same window, filter or not; by default the first of `WHOLES`.
        tick: facts about titles, countries and the platform only: as of the last full day or hour, UTC.
    """

    name: str
    entity: Entity
    measure: Measure
    window: int | str | None = None
    about: str = ""
    attribute: str = "genres"
    over: Literal["mean", "max"] = "mean"
    where: str | None = None
    of: Entity | None = None
    tick: Literal["day", "hour"] = "day"

    def __post_init__(self) -> None:
        self._require(self.name.isidentifier(), f"name {self.name!r}", "a Python name")
        self._among(self.entity, MEASURES, f"entity {self.entity!r}")
        self._check_measure()
        self._among(self.attribute, LISTS, f"attribute {self.attribute!r}")
        self._among(self.over, ("mean", "max"), f"over {self.over!r}")
        self._require(self.over == "mean" or self.measure not in _ENDS, f"over {self.over!r} of {self.measure}",
                      "left out: it is that of a play which shares any of the item's values")  # fmt: skip
        self._among(self.tick, _TICKS, f"tick {self.tick!r}")
        self._check_window()
        self._check_filter()
        self._check_whole()

    def _check_measure(self) -> None:
        kinds = {field.name: field.type for field in PLAY_FACTS.schema}
        if pa.types.is_floating(kinds.get(self.measure, pa.null())):
            raise ConfigError(
                f"{self.measure} is not whole numbers, so it has no sum", place=self._place,
                repair="Sums are exact integers, so that they merge and roll; use it in `where`, or count plays.",
            )  # fmt: skip
        self._among(self.measure, MEASURES[self.entity], f"measure {self.measure!r} of entity {self.entity}")

    def _check_window(self) -> None:
        fixed = self.measure in OF_RECORDS or (self.measure == "first_played_at" and self.by_tick)
        self._require(not fixed or self.window is None, f"window of {self.measure} of {self.entity}", "None: all time")
        self._require(self.by_tick or self.tick == "day", f"tick of {self.measure} of {self.entity}",
                      "left out: it is read at the instant itself")  # fmt: skip
        if self.window is None:
            return
        micros = parse_window(self.window, place=self._place)
        object.__setattr__(self, "window", window_text(micros) if micros % DAY else micros // DAY)
        if self.by_tick and micros % self.tick_micros:
            raise ConfigError(
                f"window {self.window} of entity {self.entity} is not whole {self.tick}s", place=self._place,
                repair=f"It is read as of the last full {self.tick}; give whole {self.tick}s"
                + (", or tick=\"hour\" for whole hours." if self.tick == "day" else "."),
            )  # fmt: skip

    def _check_filter(self) -> None:
        self._require(self.where is None or self.measure not in OF_RECORDS, f"filter of {self.measure}",
                      "left out: it is not about plays")  # fmt: skip
        if self.where is not None:
            object.__setattr__(self, "where", parse_filter(self.where, place=self._place).text)

    def _check_whole(self) -> None:
        if self.measure != SHARE:
            self._require(self.of is None, f"`of` of measure {self.measure}", "left out: only a share has a whole")
            return
        if self.of is None:
            object.__setattr__(self, "of", WHOLES[self.entity][0])
        self._among(self.of, WHOLES[self.entity], f"a share of {self.of!r} of entity {self.entity}")
        self._require(self.of != self.entity or self.where is not None, f"a share of {self.of} of itself without a filter",
                      "given a filter `where`")  # fmt: skip
        if self.of == "profile_attribute" and self.over == "max":
            raise ConfigError(
                "over 'max' of a share of profile_attribute cannot be declared: each value has a whole of its own",
                place=self._place,
                repair='Write over="mean" (the plays of all the item\'s values over their whole), or of="profile" (the '
                "greatest share of the profile's plays).",
            )  # fmt: skip

    def _require(self, holds: bool, fault: str, expected: str) -> None:
        if not holds:
            raise ConfigError(f"{fault} cannot be declared", place=self._place, repair=f"It should be {expected}.")

    def _among(self, value: object, allowed: Iterable[str], fault: str) -> None:
        names = list(allowed)
        if value in names:  # facts are made anew for every reader: no looking for likeness where all is well
            return
        near = [one for one in _MEANT.get(str(value), ()) if one in names]
        near = near or difflib.get_close_matches(str(value), names, n=1, cutoff=0.6)
        said = f"one of {names}" + (f"; did you mean {near[0]!r}" if near else "")
        self._require(False, fault, said)

    @property
    def _place(self) -> str:
        return f"fact {self.name!r}"

    @property
    def level(self) -> Literal["context", "item"]:
        """Whether there is a value per context or per item."""
        return "item" if self.entity in ITEM_LEVEL else "context"

    @property
    def kind(self) -> Kind:
        """How it is made: a sum or a share of plays, distinct titles, an instant, or a number of a record."""
        if self.measure in INSTANTS:
            return "instant"
        if self.measure == DISTINCT:
            return "distinct"
        if self.measure == SHARE:
            return "share"
        return "number" if self.measure in OF_RECORDS else "sum"

    @property
    def unit(self) -> str:
        if self.kind == "instant":
            return "microseconds since 1970, UTC"
        return _UNITS.get(self.measure, f"sum of {self.measure}")

    @property
    def by_tick(self) -> bool:
        """Whether it is read as of the last tick rather than the instant itself."""
        return self.entity in _BY_TICK and self.measure not in OF_RECORDS

    @cached_property
    def micros(self) -> int:
        """The window in microseconds; ALL_TIME (-1) without one."""
        return ALL_TIME if self.window is None else parse_window(self.window, place=self._place)

    @property
    def tick_micros(self) -> int:
        """The length of its tick in microseconds."""
        return _TICKS[self.tick]

    @cached_property
    def filter(self) -> Filter | None:
        """The condition on its plays, if it has one."""
        return None if self.where is None else parse_filter(self.where, place=self._place)

    @property
    def play_columns(self) -> tuple[str, ...]:
        """The columns of plays that it reads by name: its numeric measure's, and its filter's."""
        measured = (self.measure,) if self.measure in NUMERIC else ()
        return (*measured, *(self.filter.play_columns if self.filter else ()))

    @property
    def by_local_clock(self) -> bool:
        """Whether a local hour or weekday decides what it counts: the context's, or in its filter those of the plays."""
        read = self.filter.columns if self.filter else ()
        return self.entity in ("profile_hour", "profile_weekday") or any(name in OF_CLOCKS for name in read)

    def to_json(self) -> dict[str, Any]:
        # Digests stand on "" for no filter.
        return asdict(self) | {"where": self.where or ""}

    def without_words(self) -> dict[str, Any]:
        """All that its values hang on: the declaration without `about`."""
        return {key: value for key, value in self.to_json().items() if key != "about"}


def filters_of(facts: Iterable[Fact]) -> tuple[Filter, ...]:
    """The distinct filters of some facts, in their order."""
    return tuple(dict.fromkeys(fact.filter for fact in facts if fact.filter is not None))


def measures_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The numeric columns of plays that some facts sum, besides those that every timeline holds."""
    return tuple(dict.fromkeys(fact.measure for fact in facts if fact.measure in NUMERIC))


def play_columns_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The columns of plays that some facts read by name."""
    return tuple(dict.fromkeys(name for fact in facts for name in fact.play_columns))
