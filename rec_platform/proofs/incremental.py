"""Incremental = full: snapshots, rolled from day to day, against a count straight from the plays, per fact.

The count knows no tile and no yesterday: of every sampled profile and title it takes all plays of the log, masks those
visible at 00:00 of the date and inside a window, and adds them up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.partition import Partition
from rec_platform.proofs.verdict import Finding, not_judged
from rec_platform.stage import Input, Reader
from rec_platform.tables import PLAY_FACTS, PROFILE_SNAPSHOT, PROFILES, TITLE_SNAPSHOT, WINDOWS

Ints = npt.NDArray[np.int64]
#: What the count of one table gives: entity -> fact -> value (None: no visible play).
Counts = dict[int, dict[str, int | None]]

LONGEST: Final = WINDOWS[-1]
_COLUMNS: Final = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.WATCHED_MS, c.ENGAGED, c.COUNTRY)


def inputs_of(day: date) -> tuple[Input, ...]:
    """What the count of a date reads besides the snapshots themselves."""
    window = Input(
        PLAY_FACTS.name, day - timedelta(days=LONGEST), day - timedelta(days=1), every_country=True, optional=True
    )
    snapshots = (Input(spec.name, day, day, every_country=True) for spec in (PROFILE_SNAPSHOT, TITLE_SNAPSHOT))
    return (window, Input(PROFILES.name), *snapshots)


def recounted(partition: Partition, reader: Reader, *, about: int, seed: int) -> Finding:
    """Compare both snapshots of a partition with the count, for about `about` profiles and titles drawn by hash."""
    plays = reader.read(PLAY_FACTS.name, reader.published(PLAY_FACTS.name), _COLUMNS)
    homes = _homes(reader.read(PROFILES.name, [Partition()]), midnight(partition.day), partition.place)
    rows, drawn, drawn_of = [], 0, 0
    for table, entity, also in ((PROFILE_SNAPSHOT.name, c.PROFILE, homes), (TITLE_SNAPSHOT.name, c.TITLE, set())):
        published = reader.read(table, [partition])
        sampled = _sampler(published.num_rows, about, seed)
        rolled = as_counts(published, entity, sampled)
        drawn, drawn_of = drawn + len(rolled), drawn_of + published.num_rows
        counted = count(plays, partition, entity, sampled, {key for key in also if _drawn(sampled, key)})
        rows += compared(table, rolled, counted)
    wrong = [row for row in rows if row["mismatch"] or row["missing"] or row["extra"]]
    n = sum(int(row["compared"]) for row in rows)
    if not wrong and not n:
        return not_judged("of the profiles and titles of the snapshots none was drawn")
    if not wrong:
        told = f"{len(rows)} facts, {n:,} values recounted from {plays.num_rows:,} plays: all equal"
        return Finding(True, told, tuple(rows), drawn=drawn, drawn_of=drawn_of)
    first = wrong[0]
    said = (
        f"{first['table']} {first['fact']}: {first['mismatch']} mismatches, {first['missing']} missing, "
        f"{first['extra']} extra ({first['example']}); {len(wrong)} of {len(rows)} facts are wrong"
    )
    return Finding(False, said, tuple(rows), drawn=drawn, drawn_of=drawn_of)


def count(plays: pa.Table, partition: Partition, entity: str, sampled: tuple[int, int], also: set[int]) -> Counts:
    """The facts of the sampled profiles (or titles) of a country as of 00:00 of a date, from all plays.

    Args:
        entity: the column that names them.
        also: those that belong to the country without a play.
    """
    ids, country = _ints(plays, entity), np.asarray(plays.column(c.COUNTRY).to_pylist(), dtype=object)
    played, known = _ints(plays, c.PLAYED_AT), _ints(plays, c.KNOWN_AT)
    as_of = midnight(partition.day)
    visible = (played < as_of) & (known < as_of) & (played >= as_of - LONGEST * DAY)
    here = visible & (country == partition.place)
    measures = {
        c.PLAYS: np.ones(len(ids), np.int64),
        c.WATCHED_MS: _ints(plays, c.WATCHED_MS),
        c.ENGAGED_PLAYS: _ints(plays, c.ENGAGED),
    }
    found: Counts = {}
    members = {int(key) for key in np.unique(ids[here]) if _drawn(sampled, int(key))} | also
    mine = np.isin(ids, np.array(sorted(members), dtype=np.int64)) & visible
    ids, played, here = ids[mine], played[mine], here[mine]
    measures = {name: values[mine] for name, values in measures.items()}
    for key in sorted(members):
        own = ids == key
        facts: dict[str, int | None] = {}
        for name, values in measures.items():
            for days in WINDOWS:
                inside = own & (played >= as_of - days * DAY)
                facts[c.windowed(name, days)] = int(values[inside].sum())
                facts[c.windowed(name, days, "country")] = int(values[inside & here].sum())
        facts[c.LAST_PLAYED_AT] = int(played[own].max()) if own.any() else None
        found[key] = facts
    return found


def as_counts(rows: pa.Table, entity: str, sampled: tuple[int, int]) -> Counts:
    """The sampled rows of a snapshot in the same form."""
    names = [name for name in rows.column_names if name not in (entity, c.DATE, c.COUNTRY)]
    columns = {
        name: pc.cast(rows.column(name), pa.int64()).to_pylist() for name in (entity, *names)
    }  # fmt: skip
    chosen = [row for row, key in enumerate(columns[entity]) if _drawn(sampled, key)]
    return {columns[entity][row]: {name: columns[name][row] for name in names} for row in chosen}


def compared(table: str, rolled: Counts, counted: Counts) -> list[Mapping[str, int | str]]:
    """Per fact: how many values were compared, differ, are missing in the snapshot, or stand there for nobody."""
    facts: Sequence[str] = list(next(iter(rolled.values()), next(iter(counted.values()), {})))
    missing, extra = sorted(counted.keys() - rolled.keys()), sorted(rolled.keys() - counted.keys())
    both = sorted(rolled.keys() & counted.keys())
    rows: list[Mapping[str, int | str]] = []
    for fact in facts:
        differ = [key for key in both if rolled[key][fact] != counted[key][fact]]
        example = ""
        if differ:
            example = f"id {differ[0]}: {rolled[differ[0]][fact]} rolled, {counted[differ[0]][fact]} counted"
        elif missing or extra:
            example = f"id {missing[0]} is missing" if missing else f"id {extra[0]} is extra"
        rows.append(
            {"table": table, "fact": fact, "compared": len(both), "mismatch": len(differ), "missing": len(missing),
             "extra": len(extra), "example": example}
        )  # fmt: skip
    return rows


def _sampler(rows: int, about: int, seed: int) -> tuple[int, int]:
    """One id in how many is looked at, and the seed of the draw."""
    return max(1, rows // max(about, 1)), seed


def _drawn(sampled: tuple[int, int], key: int) -> bool:
    one_in, seed = sampled
    if one_in == 1:
        return True
    return int(mix(seeded(seed, purpose="recount"), np.array([key], np.int64))[0]) % one_in == 0


def _homes(records: pa.Table, as_of: int, country: str) -> set[int]:
    """The profiles whose newest record known before an instant says the country."""
    known = zip(
        _ints(records, c.KNOWN_AT).tolist(), _ints(records, c.PROFILE).tolist(),
        records.column(c.HOME_COUNTRY).to_pylist(), strict=True,
    )  # fmt: skip
    newest = {profile: home for known_at, profile, home in sorted(known, key=lambda one: one[:2]) if known_at < as_of}
    return {profile for profile, home in newest.items() if home == country}


def _ints(rows: pa.Table, name: str) -> Ints:
    return np.asarray(pc.cast(rows.column(name), pa.int64())).astype(np.int64)
