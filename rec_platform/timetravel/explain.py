"""The very plays behind a fact: chosen again from the definition, and held to the kernel's number.

The selection here shares nothing with the kernels. It walks over the rows a fact is about (the profile's plays, the title's,
the country's), asks each of them the questions of docs/clocks.md one after another, and measures what is left. So what
is shown is the definition, and `explained` refuses to show plays that do not add up to what models read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, iso, window_text
from rec_platform.config import SourceRules
from rec_platform.errors import NumericError
from rec_platform.timetravel.declared import INSTANTS, OF_RECORDS, Fact
from rec_platform.timetravel.kernels import ALL_TIME, NONE
from rec_platform.timetravel.timeline import PLAY_COLUMNS
from rec_platform.timetravel.zones import offset_at

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Value = float | int
Row = dict[str, Any]

#: The column that says why a play was left out.
WHY: Final = "why"
NOT_YET_KNOWN: Final = "not yet known"
AT_THE_INSTANT: Final = "begins at the very instant"
AFTER_THE_TICK: Final = "after the last tick"
KNOWN_AFTER_THE_TICK: Final = "known after the last tick"
#: What comes round on a clock, and in which steps.
_TURNS: Final = {"profile_hour": (DAY, HOUR), "profile_weekday": (7 * DAY, DAY)}


class Asked(NamedTuple):
    """One context and item: who, where, when, and about which title."""

    profile_id: int
    country: str
    at: int
    title_id: int


@dataclass(frozen=True)
class Past:
    """Everything a fact can be about, as tables; instants in them are `timestamp[us, UTC]`.

    Attributes:
        plays: play facts with `country` (the columns of `PLAY_COLUMNS` and what filters read), of all countries, in any order.
        titles, profiles, availability: as in rec_platform.tables.
        rules: the source's; its time zones are read.
    """

    plays: pa.Table
    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table
    rules: SourceRules


@dataclass(frozen=True)
class Explanation:
    """A fact of one context and item, and what it was made of.

    Attributes:
        fact: the declaration.
        value: the number models read; NONE (instants) or NaN where there is none.
        as_of: the first instant that is not visible to it: the context's own, or the last tick.
        since: where its window begins; None for all time.
        plays: the plays it counts, oldest first, with `PLAY_COLUMNS`.
        left_out: plays that fit it and are not visible, oldest first, with a column `WHY`.
        records: rows of reference data it was read from.
        whole: of what it is a share, with a value (plays, or their mean over values) and plays; None for other facts.
    """

    fact: Fact
    value: Value
    as_of: int
    since: int | None
    plays: pa.Table
    left_out: pa.Table
    records: list[Row] = field(default_factory=list)
    whole: Explanation | None = None

    @property
    def selection(self) -> tuple[object, ...]:
        """Facts of equal selections count the same plays."""
        fact = self.fact
        apart = (
            fact.attribute if fact.entity == "profile_attribute" else fact.measure if fact.measure in OF_RECORDS else ""
        )
        return (self.as_of, self.since, fact.entity, apart, fact.where)

    def to_json(self) -> Row:
        return {
            "fact": self.fact.name,
            "window": None if self.fact.window is None else window_text(self.fact.micros),
            "as_of": iso(self.as_of),
            "since": None if self.since is None else iso(self.since),
            "value": in_json(self.fact, self.value),
            "plays": _rows(self.plays),
            "left_out": _rows(self.left_out),
            "records": self.records,
            **({} if self.whole is None else self.whole.as_whole()),
        }

    def as_whole(self) -> Row:
        """Of whose plays a fact is a share, the number it is divided by, and how many plays that is made of."""
        return {"of": self.fact.entity, "whole": in_json(self.fact, self.value), "whole_plays": self.plays.num_rows}


def explained(past: Past, facts: Sequence[Fact], asked: Asked, values: Mapping[str, Value]) -> list[Explanation]:
    """What each fact counted, in the order given.

    Args:
        values: what the kernels say of each fact, by name.

    Raises:
        NumericError: the plays chosen here do not give a fact's value; it names the fact and both numbers.
    """
    near = _Near(past, asked)
    return [_checked(near.explain(fact), values[fact.name]) for fact in facts]


def shown(fact: Fact, value: Value) -> str:
    """A fact's value for people: an instant as text, for none `never` of plays and `unknown` of records; numbers plainly."""
    if fact.measure in INSTANTS:
        none = "unknown" if fact.measure in OF_RECORDS else "never"
        return none if value == NONE else iso(int(value))
    return plain(float(value))


def in_json(fact: Fact, value: Value) -> Value | str | None:
    """A fact's value for machines: a number to the bit, an instant as text, None where there is none."""
    if fact.measure in INSTANTS:
        return None if value == NONE else iso(int(value))
    return None if math.isnan(value) else value


def plain(value: float) -> str:
    """A number for people: whole ones in full, others to six digits, and large ones to the first place after the point.

    >>> plain(13366500.0), plain(168889.90625), plain(0.4444444), plain(float("nan"))
    ('13366500', '168889.9', '0.444444', 'nan')
    """
    if value.is_integer() and abs(value) < 2**53:
        return f"{value:.0f}"
    return f"{value:.1f}" if 1e5 <= abs(value) < 2**53 else f"{value:.6g}"


def _checked(found: Explanation, value: Value) -> Explanation:
    """The explanation, if it is of the number that models read, to the bit."""
    if found.value == value or (math.isnan(found.value) and math.isnan(value)):
        return found
    raise NumericError(
        f"fact {found.fact.name!r} is {shown(found.fact, value)}, but the plays behind it give "
        f"{shown(found.fact, found.value)}", place=f"travel as of {iso(found.as_of)}",
        repair="The timeline or the explanation is wrong; report it with the declaration of the fact.",
    )  # fmt: skip


@dataclass(frozen=True)
class _Near:
    """The past, and which of it one context and item are about."""

    past: Past
    asked: Asked

    def explain(self, fact: Fact) -> Explanation:
        if fact.measure in OF_RECORDS:
            return self._of_record(fact)
        if fact.kind == "share":
            return self._of_share(fact)
        as_of = self.asked.at // fact.tick_micros * fact.tick_micros if fact.by_tick else self.asked.at
        since = None if fact.micros == ALL_TIME else as_of - fact.micros
        counted, left = self._split(self._about(fact) & self._passing(fact), as_of, since)
        of_values = fact.entity == "profile_attribute" and fact.kind != "instant"
        value = self._over_values(fact, counted) if of_values else measured(fact, counted)
        return Explanation(fact, value, as_of, since, counted, left)

    def _of_share(self, fact: Fact) -> Explanation:
        """The plays of the part, beside the whole: plays of `of` in the same window, filter or not."""
        part = replace(fact, measure=c.PLAYS, of=None)
        whole = self.explain(replace(part, entity=fact.of or fact.entity, where=None))
        found = self.explain(part)
        value = found.value / whole.value if whole.value > 0 else float("nan")
        return replace(found, fact=fact, value=value, whole=whole)

    def _split(self, chosen: Mask, as_of: int, since: int | None) -> tuple[pa.Table, pa.Table]:
        """Of some plays those in the window that are visible, and those that fit and are not; oldest first."""
        plays = self.past.plays.filter(pa.array(chosen)).sort_by(
            [(c.PLAYED_AT, "ascending"), (c.KNOWN_AT, "ascending"), (c.TITLE, "ascending")]
        )
        played, known = _integers(plays, c.PLAYED_AT), _integers(plays, c.KNOWN_AT)
        inside = np.ones(len(played), dtype=np.bool_) if since is None else played >= since
        seen = inside & (played < as_of) & (known < as_of)
        out = inside & ~seen & (played <= self.asked.at)
        unknown = np.where(known[out] < self.asked.at, KNOWN_AFTER_THE_TICK, NOT_YET_KNOWN)
        late = np.where(played[out] >= as_of, AFTER_THE_TICK, unknown)
        why = np.where(played[out] == self.asked.at, AT_THE_INSTANT, late)
        left = plays.filter(pa.array(out)).append_column(WHY, pa.array(why.tolist(), pa.string()))
        return plays.filter(pa.array(seen)), left

    def _passing(self, fact: Fact) -> Mask:
        """The plays for which the fact's condition holds; all without one."""
        if fact.filter is None:
            return np.ones(self.past.plays.num_rows, dtype=np.bool_)
        return fact.filter.bound(self.past.titles, self.past.rules)(self.past.plays)

    def _about(self, fact: Fact) -> Mask:
        """The plays of the fact's entity, whenever they were."""
        plays, asked, entity = self.past.plays, self.asked, fact.entity
        out = np.ones(plays.num_rows, dtype=np.bool_)
        if entity.startswith("profile"):
            out &= _integers(plays, c.PROFILE) == asked.profile_id
        if entity in ("title", "title_country", "profile_title"):
            out &= _integers(plays, c.TITLE) == asked.title_id
        if entity in ("title_country", "country"):
            out &= np.asarray(pc.equal(plays.column(c.COUNTRY), asked.country))
        if entity in _TURNS:
            out = self._on_the_clock(out, *_TURNS[entity])
        return self._sharing(out, fact) if entity == "profile_attribute" else out

    def _on_the_clock(self, mine: Mask, turn: int, unit: int) -> Mask:
        """Of some plays, those in the context's local hour of the day, or on its local weekday."""
        zone = self.past.rules.zone_of(self.asked.country)
        rows = np.flatnonzero(mine)
        instants = [self.asked.at, *_integers(self.past.plays, c.PLAYED_AT)[rows].tolist()]
        now, *places = [(instant + offset_at(zone, instant)) % turn // unit for instant in instants]
        same = [place == now for place in places]
        out = np.zeros(len(mine), dtype=np.bool_)
        out[rows[np.array(same, dtype=np.bool_)]] = True
        return out

    def _sharing(self, mine: Mask, fact: Fact) -> Mask:
        """Of some plays, those of titles that share a value of the attribute with the item, as known at the instant."""
        wanted = self._values(fact.attribute, self.asked.title_id)
        played = _integers(self.past.plays, c.TITLE)
        alike = [title for title in np.unique(played[mine]).tolist() if wanted & self._values(fact.attribute, title)]
        return mine & np.isin(played, alike)

    def _values(self, attribute: str, title_id: int) -> frozenset[str]:
        row = self._newest(self.past.titles, **{c.TITLE: title_id})
        return frozenset() if row is None else frozenset(value for value in row[attribute] or () if value is not None)

    def _over_values(self, fact: Fact, counted: pa.Table) -> Value:
        """The mean or the largest, over the item's values, of what the plays that share that value measure."""
        values = sorted(self._values(fact.attribute, self.asked.title_id))
        if not values:
            return float("nan")
        titles = counted.column(c.TITLE).to_pylist()
        has = {title: self._values(fact.attribute, title) for title in set(titles)}
        parts = [counted.filter(pa.array([one in has[title] for title in titles], pa.bool_())) for one in values]
        sums = [measured(fact, part) for part in parts]
        return float(max(sums)) if fact.over == "max" else sum(sums) / len(sums)

    # -- records -------------------------------------------------------------------------------------------------

    def _of_record(self, fact: Fact) -> Explanation:
        asked, past, nothing = self.asked, self.past, self.past.plays.slice(0, 0)
        if fact.measure == "available_from":
            return self._of_offers(fact)
        table, key = (past.profiles, {c.PROFILE: asked.profile_id}) if fact.measure == c.SIGNUP_AT else (
            past.titles, {c.TITLE: asked.title_id})  # fmt: skip
        row = self._newest(table, **key)
        found = None if row is None else row[fact.measure]
        if fact.measure in INSTANTS:
            value: Value = NONE if found is None else found
        else:
            value = float("nan") if found is None else float(found)
        records = [] if row is None else [_dated(row, table)]
        return Explanation(fact, value, asked.at, None, nothing, _none_left_out(nothing), records)

    def _of_offers(self, fact: Fact) -> Explanation:
        """Since when the title is on offer; without an availability table, since its first play became visible."""
        asked, plays, nothing = self.asked, self.past.plays, self.past.plays.slice(0, 0)
        if self.past.availability.num_rows:
            held = self._offers()
            value = min((row[c.AVAILABLE_FROM] for row in held), default=NONE)
            records = [_dated(row, self.past.availability) for row in held]
            return Explanation(fact, value, asked.at, None, nothing, _none_left_out(nothing), records)
        mine = plays.filter(pc.equal(plays.column(c.TITLE), asked.title_id))
        visible_from = np.maximum(_integers(mine, c.PLAYED_AT), _integers(mine, c.KNOWN_AT))
        value = int(visible_from.min()) if len(visible_from) and visible_from.min() < asked.at else NONE
        first = mine.filter(pa.array(visible_from == value))
        return Explanation(fact, value, asked.at, None, first, _none_left_out(nothing))

    def _offers(self) -> list[Row]:
        """The offers of the title in the country that hold at the instant, each as its newest row known says."""
        table, asked = self.past.availability, self.asked
        here = table.filter(pc.and_(pc.equal(table.column(c.TITLE), asked.title_id),
                                    pc.equal(table.column(c.COUNTRY), asked.country)))  # fmt: skip
        begins = pc.unique(here.column(c.AVAILABLE_FROM)).cast(pa.int64()).to_pylist()
        newest = [self._newest(here, **{c.AVAILABLE_FROM: begin}) for begin in begins]
        return [
            row
            for row in newest
            if row is not None
            and row[c.AVAILABLE_FROM] <= asked.at
            and (row[c.AVAILABLE_TO] is None or asked.at < row[c.AVAILABLE_TO])
        ]

    def _newest(self, table: pa.Table, **key: int) -> Row | None:
        """The newest row of a key that was known before the instant, instants as microseconds; None without one."""
        mask = _integers(table, c.KNOWN_AT) < self.asked.at
        for name, wanted in key.items():
            mask &= _integers(table, name) == wanted
        rows = np.flatnonzero(mask)
        if not len(rows):
            return None
        known = _integers(table, c.KNOWN_AT)[rows]
        row = table.slice(int(rows[np.flatnonzero(known == known.max())[-1]]), 1)
        return {name: _plain(row.column(name)) for name in row.column_names}


def measured(fact: Fact, plays: pa.Table) -> Value:
    """The fact's measure over the plays it counts."""
    if fact.kind == "distinct":
        return float(len(pc.unique(plays.column(c.TITLE))))
    if fact.measure == c.PLAYS:
        return float(plays.num_rows)
    if fact.kind == "sum":
        column = plays.column(c.ENGAGED if fact.measure == c.ENGAGED_PLAYS else fact.measure)
        return float(pc.sum(pc.fill_null(column.cast(pa.int64()), 0), min_count=0).as_py())
    played = _integers(plays, c.PLAYED_AT)
    if not len(played):
        return NONE
    return int(played.max() if fact.measure == c.LAST_PLAYED_AT else played.min())


def per_day(plays: pa.Table) -> list[tuple[int, int]]:
    """How many of some plays began on each UTC day that has any: (00:00 of the day, plays), oldest first."""
    days, counts = np.unique(_integers(plays, c.PLAYED_AT) // DAY, return_counts=True)
    return [(int(day) * DAY, int(count)) for day, count in zip(days, counts, strict=True)]


def _integers(table: pa.Table, name: str) -> Ints:
    """A column as int64, nulls as the least; instants as microseconds."""
    column = table.column(name).cast(pa.int64())
    return np.asarray(pc.fill_null(column, NONE).to_numpy(), dtype=np.int64)


def _plain(column: pa.ChunkedArray) -> Any:
    """The one value of a column, an instant as microseconds."""
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)[0].as_py()


def _dated(row: Row, table: pa.Table) -> Row:
    """A row of reference data for people: instants as text."""
    return {
        name: iso(value) if value is not None and pa.types.is_timestamp(table.schema.field(name).type) else value
        for name, value in row.items()
    }


def _none_left_out(plays: pa.Table) -> pa.Table:
    return plays.append_column(WHY, pa.array([], pa.string()))


def _rows(plays: pa.Table) -> list[Row]:
    """Plays as JSON, instants as text."""
    names = [name for name in (*PLAY_COLUMNS, WHY) if name in plays.column_names]
    return [
        {name: iso(row[name]) if name in (c.PLAYED_AT, c.KNOWN_AT) else row[name] for name in names}
        for row in _in_micros(plays.select(names)).to_pylist()
    ]


def _in_micros(table: pa.Table) -> pa.Table:
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, column.name, table.column(place).cast(pa.int64()))
    return table
