"""The time machine again, slow and obvious: plain Python straight from the definitions of docs/clocks.md.

Every kernel is held to it on random histories. It knows nothing of codes, orders, sums or states of ticks: for each
question it walks over all rows there are.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, visible
from rec_platform.config import SourceRules
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.kernels import NONE

Row = dict[str, Any]


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table as dicts, instants as int64 microseconds."""
    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.int64()))
    return list(table.to_pylist())


def newest(rows: list[Row], at: int, **key: object) -> Row | None:
    """Of the rows with this key that were known before `at`, the newest; the later in the table of equal ones."""
    known = [row for row in rows if row[c.KNOWN_AT] < at and all(row[name] == value for name, value in key.items())]
    found: Row | None = None
    for row in known:
        if found is None or row[c.KNOWN_AT] >= found[c.KNOWN_AT]:
            found = row
    return found


@dataclass(frozen=True)
class TimelineOracle:
    """The same questions as `Timeline` and `compute`, one at a time."""

    plays: list[Row]
    titles: list[Row]
    profiles: list[Row]
    availability: list[Row]
    rules: SourceRules

    @classmethod
    def of(
        cls, plays: pa.Table, titles: pa.Table, profiles: pa.Table, availability: pa.Table, *, rules: SourceRules
    ) -> TimelineOracle:
        return cls(rows_of(plays), rows_of(titles), rows_of(profiles), rows_of(availability), rules)

    def visible_plays(self, as_of: int, window: int | None = None) -> list[Row]:
        """The plays visible at `as_of`, of the last `window` microseconds if given."""
        return [
            play
            for play in self.plays
            if visible(play[c.PLAYED_AT], play[c.KNOWN_AT], as_of)
            and (window is None or play[c.PLAYED_AT] >= as_of - window)
        ]

    def available(self, country: str, at: int) -> list[int]:
        if not self.availability:
            return sorted({play[c.TITLE] for play in self.visible_plays(at)})
        return sorted({offer[c.TITLE] for offer in self._offers(at) if offer[c.COUNTRY] == country})

    def _offers(self, at: int) -> list[Row]:
        """The offers that hold at an instant, in all countries."""
        names = (c.TITLE, c.COUNTRY, c.AVAILABLE_FROM)
        keys = {tuple(row[name] for name in names) for row in self.availability}
        current = [newest(self.availability, at, **dict(zip(names, key, strict=True))) for key in keys]
        return [
            offer
            for offer in current
            if offer is not None
            and offer[c.AVAILABLE_FROM] <= at
            and (offer[c.AVAILABLE_TO] is None or at < offer[c.AVAILABLE_TO])
        ]

    def seen(self, profile_id: int, at: int) -> list[tuple[int, int]]:
        mine = [play for play in self.visible_plays(at) if play[c.PROFILE] == profile_id]
        return [
            (title, max(play[c.PLAYED_AT] for play in mine if play[c.TITLE] == title))
            for title in sorted({play[c.TITLE] for play in mine})
        ]

    def first_visible_play(self, profile_id: int, at: int) -> int:
        return min((p[c.PLAYED_AT] for p in self.visible_plays(at) if p[c.PROFILE] == profile_id), default=NONE)

    def signup_at(self, profile_id: int, at: int) -> int:
        return _or_none(newest(self.profiles, at, **{c.PROFILE: profile_id}), c.SIGNUP_AT)

    def country_title_plays(self, country: str, at: int, days: int) -> list[tuple[int, int]]:
        plays = [play for play in self.visible_plays(at // DAY * DAY, days * DAY) if play[c.COUNTRY] == country]
        return [(title, sum(play[c.TITLE] == title for play in plays)) for title in sorted({p[c.TITLE] for p in plays})]

    def fact(self, fact: Fact, profile_id: int, country: str, at: int, title_id: int | None = None) -> float | int:
        """One fact of one context (and item)."""
        if fact.measure in ("signup_at", "released_at", "runtime_ms", "available_from"):
            return self._of_record(fact.measure, profile_id, country, at, title_id)
        if fact.measure == "share":
            return self._share(fact, profile_id, country, at, title_id)
        tick = {"day": DAY, "hour": HOUR}[fact.tick]
        plays = self.visible_plays(
            at // tick * tick if fact.by_tick else at, None if fact.window is None else duration(fact.window)
        )
        if fact.where is not None:
            plays = [play for play in plays if holds(fact.where, self.seen_first(play))]
        if fact.entity == "profile_attribute":
            mine = [play for play in plays if play[c.PROFILE] == profile_id]
            return self._over_values(fact, mine, at, title_id)
        chosen = self._chosen(fact.entity, profile_id, country, at, title_id)
        return measured(fact.measure, [play for play in plays if chosen(play)])

    def _share(self, fact: Fact, profile_id: int, country: str, at: int, title_id: int | None) -> float:
        part = replace(fact, measure="plays", of=None)
        whole = replace(part, entity=fact.of or fact.entity, where=None)
        plays, of_plays = (self.fact(one, profile_id, country, at, title_id) for one in (part, whole))
        return plays / of_plays if of_plays else float("nan")

    def seen_first(self, play: Row) -> Row:
        """A play as a filter sees it: with its title as known when the play is first visible, and its local time."""
        first = max(play[c.PLAYED_AT], play[c.KNOWN_AT]) + 1
        title = newest(self.titles, first, **{c.TITLE: play[c.TITLE]})
        began = self.local(play[c.PLAYED_AT], play[c.COUNTRY])
        names = (c.SOURCE_ID, c.NAME, c.GENRES, c.TAGS, c.RUNTIME_MS, c.RELEASED_AT)
        known = {name: None if title is None else title[name] for name in names}
        return {**known, **play, "hour": began.hour, "weekday": began.weekday()}

    def _of_record(self, measure: str, profile_id: int, country: str, at: int, title_id: int | None) -> float | int:
        if measure == "signup_at":
            return self.signup_at(profile_id, at)
        if measure == "available_from":
            return self._available_from(country, at, title_id)
        row = newest(self.titles, at, **{c.TITLE: title_id})
        if measure == "released_at":
            return _or_none(row, c.RELEASED_AT)
        return float("nan") if row is None or row[c.RUNTIME_MS] is None else float(row[c.RUNTIME_MS])

    def _available_from(self, country: str, at: int, title_id: int | None) -> int:
        if not self.availability:
            known = [max(p[c.PLAYED_AT], p[c.KNOWN_AT]) for p in self.visible_plays(at) if p[c.TITLE] == title_id]
            return min(known, default=NONE)
        held = [o for o in self._offers(at) if o[c.COUNTRY] == country and o[c.TITLE] == title_id]
        return min((offer[c.AVAILABLE_FROM] for offer in held), default=NONE)

    def _chosen(
        self, entity: str, profile_id: int, country: str, at: int, title_id: int | None
    ) -> Callable[[Row], bool]:
        mine: Callable[[Row], bool] = lambda play: play[c.PROFILE] == profile_id  # noqa: E731
        now = self.local(at, country)
        return {
            "profile": mine,
            "profile_title": lambda play: mine(play) and play[c.TITLE] == title_id,
            "profile_hour": lambda play: mine(play) and self.local(play[c.PLAYED_AT], country).hour == now.hour,
            "profile_weekday": lambda play: (
                mine(play) and self.local(play[c.PLAYED_AT], country).weekday() == now.weekday()
            ),
            "title": lambda play: play[c.TITLE] == title_id,
            "title_country": lambda play: play[c.TITLE] == title_id and play[c.COUNTRY] == country,
            "country": lambda play: play[c.COUNTRY] == country,
            "platform": lambda play: True,
        }[entity]

    def local(self, instant: int, country: str) -> datetime:
        """An instant on the declared clock of a country."""
        zone = self.rules.time_zones.get(country, self.rules.time_zones["default"])
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))

    def values(self, attribute: str, title_id: int | None, at: int) -> set[str]:
        """The values of a title's list attribute, as known at an instant."""
        row = newest(self.titles, at, **{c.TITLE: title_id})
        return set() if row is None else {value for value in row[attribute] or () if value is not None}

    def _over_values(self, fact: Fact, plays: list[Row], at: int, title_id: int | None) -> float | int:
        values = self.values(fact.attribute, title_id, at)
        if fact.kind == "instant":
            return measured(fact.measure, [p for p in plays if values & self.values(fact.attribute, p[c.TITLE], at)])
        if not values:
            return float("nan")
        had = [(play, self.values(fact.attribute, play[c.TITLE], at)) for play in plays]
        sums = [measured(fact.measure, [play for play, its in had if value in its]) for value in values]
        return float(max(sums)) if fact.over == "max" else sum(sums) / len(sums)


def measured(measure: str, plays: Sequence[Row]) -> float | int:
    """A measure over some plays."""
    if measure == "plays":
        return float(len(plays))
    if measure == "watched_ms":
        return float(sum(play[c.WATCHED_MS] for play in plays))
    if measure == "engaged_plays":
        return float(sum(play[c.ENGAGED] for play in plays))
    if measure == "distinct_titles":
        return float(len({play[c.TITLE] for play in plays}))
    if measure not in ("last_played_at", "first_played_at"):
        return float(sum(play[measure] or 0 for play in plays))
    instants = [play[c.PLAYED_AT] for play in plays]
    return (max if measure == "last_played_at" else min)(instants, default=NONE)


def _or_none(row: Row | None, name: str) -> int:
    return NONE if row is None or row[name] is None else int(row[name])


def duration(window: int | str) -> int:
    """A window in microseconds."""
    if isinstance(window, int):
        return window * DAY
    number, unit = re.fullmatch(r"(\d+)(min|h|d)", window).groups()  # type: ignore[union-attr]
    return int(number) * {"min": HOUR // 60, "h": HOUR, "d": DAY}[unit]


# ------------------------------------------------------------------------------------------------ filters, by Python


def holds(where: str, row: Row) -> bool:
    """Whether a filter holds for a row, read as Python would read it, but for missing values (`filters`).

    >>> holds("'drama' in genres and 1 < row <= 3", {"genres": ["drama"], "row": 2})
    True
    >>> [holds(text, {"row": None}) for text in ("row < 3", "row != 3", "not row < 3", "row is None")]
    [False, False, True, True]
    >>> holds(f"title_id == {-(2**62) - 1}", {"title_id": -(2**62)})
    False
    """
    return bool(_value(ast.parse(where, mode="eval").body, row))


def _value(tree: ast.expr, row: Row) -> Any:
    match tree:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, row) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, row) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return not _value(inner, row)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.UnaryOp(operand=inner):
            return _computed(ast.Sub(), 0, _value(inner, row))
        case ast.BinOp(left=left, op=op, right=right):
            return _computed(op, _value(left, row), _value(right, row))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(side, row) for side in (left, *others)]
            return all(_compared(op, values[i], values[i + 1]) for i, op in enumerate(ops))
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return [_value(part, row) for part in parts]
        case ast.Name(id=name):
            return None if isinstance(row[name], float) and math.isnan(row[name]) else row[name]
        case ast.Constant(value=value):
            return value
    raise AssertionError(ast.dump(tree))


def _computed(op: ast.operator, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (isinstance(op, ast.Div) and right == 0):
        return None
    functions = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    result = functions[type(op)](float(left), float(right))
    return result if math.isfinite(result) else None


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(op, ast.Is | ast.IsNot):
        return (left is None) == isinstance(op, ast.Is)
    if left is None or right is None:
        return False
    left, right = _as_time(left, right), _as_time(right, left)
    functions: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
        ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
        ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
    }  # fmt: skip
    return functions[type(op)](left, right)


def _as_time(value: Any, other: Any) -> Any:
    """Text that stands beside an instant or a time between instants, in microseconds."""
    if not isinstance(value, str) or not isinstance(other, int | float):
        return value
    if value.endswith(("min", "h", "d")):
        return duration(value)
    moment = datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
