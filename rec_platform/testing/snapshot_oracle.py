"""The slow, obvious reference for facts, tiles and snapshots: plain Python over a list of plays, from the definitions.

Nothing is rolled, merged or cached: every number is found by looking at every play.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import day_of, midnight, visible
from rec_platform.partition import Partition
from rec_platform.tables import PROFILE_SNAPSHOT, PROFILES, RAW_PLAYS, TITLE_SNAPSHOT, WINDOWS, TableSpec

Row = dict[str, Any]
LONGEST = WINDOWS[-1]


@dataclass(frozen=True)
class Play:
    """A play; instants in microseconds since the epoch, `watched_ms` None if unknown, `verdict` whether engaged."""

    profile: int
    title: int
    country: str
    played_at: int
    known_at: int
    watched_ms: int | None = None
    verdict: bool = True

    @property
    def partition(self) -> Partition:
        return Partition(day_of(self.played_at), self.country)


@dataclass(frozen=True)
class ProfileRecord:
    """What the platform knew of a profile from `known_at` on."""

    profile: int
    known_at: int
    home_country: str | None


def raw_plays(plays: Iterable[Play]) -> dict[Partition, pa.Table]:
    """The plays as published partitions of `raw_plays`, ids counted from 0 in the order given."""
    rows: dict[Partition, list[Row]] = {}
    for number, play in enumerate(plays):
        rows.setdefault(play.partition, []).append(_raw_row(number, play))
    return {partition: as_table(RAW_PLAYS, found) for partition, found in rows.items()}


def profiles_table(records: Iterable[ProfileRecord]) -> pa.Table:
    """The records as the table `profiles`."""
    rows = [
        {c.PROFILE: r.profile, c.KNOWN_AT: r.known_at, c.SOURCE_ID: str(r.profile), c.HOME_COUNTRY: r.home_country}
        for r in records
    ]
    return as_table(PROFILES, rows)


def as_table(spec: TableSpec, rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of `spec`, in its order; a column a row does not name is null."""
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in spec.order))
    arrays = [pa.array([row.get(f.name) for row in ordered], f.type) for f in spec.schema]
    return pa.Table.from_arrays(arrays, schema=spec.schema)


def tiles(plays: Iterable[Play], day: date, country: str, spec: TableSpec) -> pa.Table:
    """`title_tiles` or `profile_tiles` of a date and country."""
    entity = spec.order[-1]
    groups: dict[tuple[date, int], list[Play]] = {}
    for play in plays:
        if play.partition == Partition(day, country):
            groups.setdefault((day_of(play.known_at), _id(play, entity)), []).append(play)
    rows = [
        {c.KNOWN_DATE: known, entity: who, **_sums(group), c.LAST_PLAYED_AT: max(play.played_at for play in group)}
        for (known, who), group in groups.items()
    ]
    return as_table(spec, rows)


def profile_snapshot(plays: Sequence[Play], records: Sequence[ProfileRecord], day: date, country: str) -> pa.Table:
    """`profile_snapshot` of a date and country, every visible play looked at."""
    seen = {play.profile for play in _window(plays, day, LONGEST) if play.country == country}
    members = seen | {who for who, home in _homes(records, midnight(day)).items() if home == country}
    here = c.windowed(c.PLAYS, LONGEST, "country")
    rows = []
    for who in members:
        own = [play for play in plays if play.profile == who]
        in_country = [play for play in _window(own, day, LONGEST) if play.country == country]
        rows.append({c.PROFILE: who, **_facts(own, day), here: len(in_country), **_last(own, day)})
    return as_table(PROFILE_SNAPSHOT, rows)


def title_snapshot(plays: Sequence[Play], day: date, country: str) -> pa.Table:
    """`title_snapshot` of a date and country, every visible play looked at."""
    rows = []
    for title in {play.title for play in _window(plays, day, LONGEST) if play.country == country}:
        own = [play for play in plays if play.title == title]
        here = [play for play in own if play.country == country]
        rows.append({c.TITLE: title, **_facts(here, day, "country"), **_facts(own, day), **_last(own, day)})
    return as_table(TITLE_SNAPSHOT, rows)


def _window(plays: Iterable[Play], day: date, days: int) -> list[Play]:
    """The plays visible at 00:00 of `day` that were played on one of the `days` days before it."""
    as_of, opens = midnight(day), midnight(day - timedelta(days=days))
    return [play for play in plays if visible(play.played_at, play.known_at, as_of) and play.played_at >= opens]


def _facts(plays: Sequence[Play], day: date, scope: str = "") -> Row:
    sums = {days: _sums(_window(plays, day, days)) for days in WINDOWS}
    return {c.windowed(name, days, scope): value for days in WINDOWS for name, value in sums[days].items()}


def _sums(plays: Sequence[Play]) -> Row:
    return {
        c.PLAYS: len(plays),
        c.WATCHED_MS: sum(play.watched_ms or 0 for play in plays),
        c.ENGAGED_PLAYS: sum(play.verdict for play in plays),
    }


def _last(plays: Sequence[Play], day: date) -> Row:
    return {c.LAST_PLAYED_AT: max((play.played_at for play in _window(plays, day, LONGEST)), default=None)}


def _homes(records: Iterable[ProfileRecord], as_of: int) -> dict[int, str]:
    known = sorted((record.known_at, record.profile, record.home_country or "") for record in records)
    return {profile: home for known_at, profile, home in known if known_at < as_of}


def _id(play: Play, entity: str) -> int:
    return play.profile if entity == c.PROFILE else play.title


def _raw_row(number: int, play: Play) -> Row:
    return {
        c.PLAY_ID: number, c.EVENT: "play", c.PROFILE: play.profile, c.TITLE: play.title, c.PLAYED_AT: play.played_at,
        c.KNOWN_AT: play.known_at, c.WATCHED_MS: play.watched_ms, c.ENGAGED: play.verdict,
    }  # fmt: skip
