"""What is published, at the versions a run fixed: which inputs a partition has, and the fingerprint they give.

The first and last day delivered are read from landing. Every day from the first to the last is complete: a country
without rows on one of them had no plays, which is a state, not a gap. A day after the last is not delivered yet.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any, Final

from rec_platform.clock import FIRST_DAY, LAST_DAY, days_between
from rec_platform.errors import MissingInput
from rec_platform.lake import Lake, PartitionState
from rec_platform.partition import UNREADABLE_COUNTRY, Grain, Partition
from rec_platform.stage import Input
from rec_platform.tables import LANDING, table

#: Tables with a partition for every delivered cell: a delivered cell that is not there was forgotten, not empty.
COMPLETE: Final = ("raw_plays", "play_facts", "title_tiles", "profile_tiles")


@dataclass(frozen=True)
class Resolved:
    """What reading a partition's inputs would meet: their digests, and whatever forbids it.

    `behind` are inputs that this run should have made again and did not: what was made from them stands, nothing new is.
    """

    digests: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


_FOUND: Final = tuple(field.name for field in fields(Resolved))


class Index:
    """States of all tables at fixed versions. Digests of days are computed once and kept."""

    def __init__(self, lake: Lake, versions: Mapping[str, int | None]) -> None:
        self.lake = lake
        self.versions = dict(versions)
        self._days: dict[str, dict[date | None, dict[str, PartitionState]]] = {}
        self._marked: dict[str, list[tuple[Partition, str]]] = {}
        self._digests: dict[tuple[object, ...], str] = {}
        self._ordered: dict[str, list[date]] = {}
        self._newest: dict[str, dict[date | None, str]] = {}
        self._unmade: dict[str, list[Partition]] = {}
        self._resolved: dict[Input, Resolved] = {}
        self._keys: dict[str, dict[date | None, list[Partition]]] = {}
        self._behind: dict[str, dict[Partition, str]] = {}

    def advance(self, versions: Mapping[str, int]) -> None:
        """Read tables that this run has just published at the versions it made."""
        for name, version in versions.items():
            self.versions[name] = version
            self.forget(name)

    def forget(self, name: str) -> None:
        """What was worked out from a table's states: they are others now."""
        self._days.pop(name, None)
        self._marked.pop(name, None)
        self._ordered.pop(name, None)
        self._newest.pop(name, None)
        self._unmade.pop(name, None)
        self._keys.pop(name, None)
        self._digests = {key: digest for key, digest in self._digests.items() if key[0] != name}
        self._forget_resolved(name)

    def left_behind(self, names: Sequence[str], reasons: Mapping[Partition, str]) -> None:
        """Of partitions of these tables: why this run should have made them again and has not; '' where it has.

        Kept here and not in the lake: what is published is right for what it was made from, and is current again when its
        inputs and settings are. Only this run must not go on from it as if it were new.
        """
        for name in names:
            told = {**self._behind.get(name, {}), **reasons}
            self._behind[name] = {partition: reason for partition, reason in told.items() if reason}
            self._forget_resolved(name)

    def _forget_resolved(self, name: str) -> None:
        self._resolved = {one: found for one, found in self._resolved.items() if one.table != name}

    def state(self, name: str) -> Mapping[Partition, PartitionState]:
        version = self.versions.get(name)
        return {} if version is None else self.lake.state(name, version)

    def days(self, name: str) -> dict[date | None, dict[str, PartitionState]]:
        """States by day and country ('' where the table has no countries), both sorted."""
        if name not in self._days:
            found: dict[date | None, dict[str, PartitionState]] = {}
            for partition, state in self.state(name).items():
                found.setdefault(partition.date, {})[partition.country or ""] = state
            self._days[name] = {day: dict(sorted(states.items())) for day, states in found.items()}
        return self._days[name]

    @cached_property
    def delivered(self) -> dict[date, set[str]]:
        """The delivered cells: countries by day, without the rows that could not be read."""
        cells: dict[date, set[str]] = {}
        for partition, state in self.state(LANDING.name).items():
            if partition.country != UNREADABLE_COUNTRY and state.rows:
                cells.setdefault(partition.day, set()).add(partition.place)
        return cells

    @cached_property
    def countries(self) -> tuple[str, ...]:
        return tuple(sorted({country for cells in self.delivered.values() for country in cells}))

    @property
    def first_day(self) -> date:
        return min(self._delivered_days)

    @property
    def last_day(self) -> date:
        return max(self._delivered_days)

    @cached_property
    def _delivered_days(self) -> tuple[date, ...]:
        if not self.delivered:
            raise MissingInput(
                "nothing was delivered yet",
                place=str(self.lake.home),
                repair="Run `rec-platform ingest --mapping FILE FILES`.",
            )
        return tuple(sorted(self.delivered))

    # --- inputs ------------------------------------------------------------------------------------------------------

    def resolve(self, inputs: tuple[Input, ...]) -> Resolved:
        """Digest of each input, and what is missing, stale, or a known hole."""
        met = [self._met(one) for one in inputs]
        return Resolved(*(tuple(found for one in met for found in getattr(one, name)) for name in _FOUND))

    def _met(self, one: Input) -> Resolved:
        """Of one input; the partitions of a date share most of theirs, so it is kept."""
        if one not in self._resolved:
            digest = (one.table, self._digest(one))
            found = (self._missing(one), self._stale(one), self._holes(one), self._left_behind(one))
            self._resolved[one] = Resolved((digest,), *map(tuple, found))
        return self._resolved[one]

    def _digest(self, one: Input) -> str:
        key = (one.table, one.first, one.last, one.countries, one.every_country, one.cut)
        if key not in self._digests:
            parts = [part for day in self.range(one) if (part := self._day_digest(one, day))]
            self._digests[key] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return self._digests[key]

    def _day_digest(self, one: Input, day: date | None) -> str:
        states = self.days(one.table).get(day, {})
        # All is seen without a cut and with a late one, but hashed as a whole or by known date: each has its own place here.
        asked = (one.table, "day", day, one.countries, one.every_country)
        key = (*asked, one.cut is None, self._effective_cut(one, day))
        if key not in self._digests:
            chosen = ((country, state) for country, state in states.items() if wanted(one, country) and state.rows)
            parts = [f"{country}:{seen}" for country, state in chosen if (seen := state.visible_hash(one.cut))]
            self._digests[key] = f"{day}={','.join(parts)}" if parts else ""
        return self._digests[key]

    def _effective_cut(self, one: Input, day: date | None) -> date | None:
        """The cut; None where all rows of the day were known before it, so that all later cuts share one digest."""
        if one.cut is None:
            return None
        if one.table not in self._newest:
            days = self.days(one.table).items()
            self._newest[one.table] = {of: max(state.newest_known for state in states.values()) for of, states in days}
        return one.cut if self._newest[one.table].get(day, "") >= one.cut.isoformat() else None

    def range(self, one: Input) -> Sequence[date | None]:
        """The days of an input that the table has, in order; `[None]` for a table that is not partitioned."""
        if table(one.table).grain is Grain.NONE:
            return [None]
        if one.table not in self._ordered:
            self._ordered[one.table] = sorted(day for day in self.days(one.table) if day is not None)
        days = self._ordered[one.table]
        return days[bisect_left(days, one.first or FIRST_DAY) : bisect_right(days, one.last or LAST_DAY)]

    def _missing(self, one: Input) -> list[str]:
        if table(one.table).grain is Grain.NONE:
            return [] if self.state(one.table) or one.optional else [one.table]
        first, last = one.first or FIRST_DAY, one.last or LAST_DAY
        if one.table == LANDING.name or one.table in COMPLETE:
            late = [] if one.optional or last <= self.last_day else [f"{one.table} {last} (not delivered yet)"]
            return late + self._forgotten(one, max(first, self.first_day), min(last, self.last_day))
        if one.optional:
            return []
        wanted = [Partition(day, place) for day in days_between(first, last) for place in self._places(one)]
        return [f"{one.table} {partition.key}" for partition in wanted if partition not in self.state(one.table)]

    def _forgotten(self, one: Input, first: date, last: date) -> list[str]:
        if one.table == LANDING.name:
            return []
        holes = self._hole_states(one.table)
        return [
            f"{one.table} {cell.key}"
            for cell in self._not_made(one.table)
            if first <= cell.day <= last and wanted(one, cell.place) and not (one.every_country and cell in holes)
        ]

    def _not_made(self, name: str) -> list[Partition]:
        """The delivered cells of which a table has no state, in order: mostly none, and asked for every input."""
        if name not in self._unmade:
            delivered = (Partition(day, country) for day, countries in self.delivered.items() for country in countries)
            self._unmade[name] = sorted(cell for cell in delivered if cell not in self.state(name))
        return self._unmade[name]

    def _places(self, one: Input) -> tuple[str | None, ...]:
        if table(one.table).grain is Grain.DATE:
            return (None,)
        return self.countries if one.every_country else one.countries or ()

    def _stale(self, one: Input) -> list[str]:
        if one.table not in self._marked:
            states = self.state(one.table).items()
            self._marked[one.table] = sorted((partition, state.stale) for partition, state in states if state.stale)
        return self._named(one, self._marked[one.table])

    def _left_behind(self, one: Input) -> list[str]:
        return self._named(one, sorted(self._behind.get(one.table, {}).items()))

    def _named(self, one: Input, reasons: Iterable[tuple[Partition, str]]) -> list[str]:
        return [
            f"{one.table} {partition.key}: {reason}"
            for partition, reason in reasons
            if self._covers(one, partition.date) and wanted(one, partition.country or "")
        ]

    def _holes(self, one: Input) -> list[str]:
        return [
            partition.key
            for partition in self._hole_states(one.table)
            if one.every_country and partition.date and self._covers(one, partition.date)
        ]

    @staticmethod
    def _covers(one: Input, day: date | None) -> bool:
        if table(one.table).grain is Grain.NONE:
            return day is None
        return day is not None and (one.first or FIRST_DAY) <= day <= (one.last or LAST_DAY)

    def _hole_states(self, name: str) -> Mapping[Partition, PartitionState]:
        version = self.versions.get(name)
        return {} if version is None else self.lake.holes(name, version)

    def partitions(self, one: Input) -> Iterator[Partition]:
        """The published partitions an input names, by day, then country."""
        keys = self._partitions(one.table)
        for day in self.range(one):
            yield from (partition for partition in keys.get(day, ()) if wanted(one, partition.country or ""))

    def _partitions(self, name: str) -> Mapping[date | None, Sequence[Partition]]:
        """By day, those of a day by country; made once, since checking thousands of keys takes longer than to read them."""
        if name not in self._keys:
            found: dict[date | None, list[Partition]] = {}
            for partition in self.state(name):
                found.setdefault(partition.date, []).append(partition)
            self._keys[name] = {day: sorted(keys, key=lambda one: one.country or "") for day, keys in found.items()}
        return self._keys[name]


def wanted(one: Input, country: str) -> bool:
    """Whether an input names a country ('' of a table without countries)."""
    return one.every_country or not country or (one.countries is not None and country in one.countries)


def fingerprint(stage: str, code_version: int, config: Mapping[str, Any], seed: int, resolved: Resolved) -> str:
    """What a partition is made from, as one hash: equal fingerprint, nothing to do."""
    return of_recipe(recipe(stage, code_version, config, seed), resolved)


def recipe(stage: str, code_version: int, config: Mapping[str, Any], seed: int) -> str:
    """What a fingerprint covers besides inputs: the same for all partitions of a stage, and far longer than those."""
    return _json([stage, code_version, dict(config), seed]).removesuffix("]")


def of_recipe(recipe: str, resolved: Resolved) -> str:
    """The fingerprint of a recipe over these inputs: the hash of both as one JSON list."""
    return hashlib.sha256(f"{recipe}, {_json(resolved.digests)}]".encode()).hexdigest()


def _json(body: object) -> str:
    return json.dumps(body, sort_keys=True, default=str)
