"""At 00:00 the timeline and the rows of the snapshot tables say the same, to the last bit."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from test_snapshots import COUNTRIES, FIRST, SETTINGS, build, delivered, histories

from rec_platform import columns as c
from rec_platform.clock import midnight
from rec_platform.facts.stage import Facts
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILE_SNAPSHOT, PROFILES, TITLE_SNAPSHOT, TITLES, WINDOWS
from rec_platform.testing import snapshot_oracle as oracle
from rec_platform.testing.readers import MemoryReader
from rec_platform.testing.snapshot_oracle import Play
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import Timeline

MEASURES = (c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS)
#: The scope in the names of a snapshot's columns, by entity.
SCOPES = {"profile": "", "title": "", "title_country": "country"}


def facts(entity: str) -> dict[str, Fact]:
    """By column of the snapshot, the fact that the column is."""
    return {
        c.windowed(measure, days, SCOPES[entity]): Fact(f"{entity}_{measure}_{days}", entity, measure, days)  # type: ignore[arg-type]
        for measure in MEASURES for days in WINDOWS
    }  # fmt: skip


def timeline(plays: list[Play]) -> Timeline:
    raw = oracle.raw_plays(plays)
    tables = [
        built.tables[PLAY_FACTS.name].append_column(
            c.COUNTRY, pa.array([built.partition.place] * built.tables[PLAY_FACTS.name].num_rows, pa.string())
        )
        for built in Facts().build(sorted(raw), MemoryReader({"raw_plays": raw}), SETTINGS)
    ]
    nothing = (spec.schema.empty_table() for spec in (TITLES, PROFILES, AVAILABILITY))
    return Timeline.build(tables, *nothing, rules=SETTINGS.rules)


def said(
    whole: Timeline, wanted: list[Fact], rows: pa.Table, key: str, country: str, day: date
) -> dict[str, list[int]]:
    """What the timeline says of the rows' profiles or titles, one context each."""
    ids, n = rows.column(key).to_numpy(), rows.num_rows
    of_titles = key == c.TITLE
    found = compute(
        whole, wanted, profile_id=np.zeros(n, np.int64) if of_titles else ids, country=[country] * n,
        at=np.full(n, midnight(day)), offsets=np.arange(n + 1) if of_titles else np.zeros(n + 1, np.int64),
        title_id=ids if of_titles else np.empty(0, np.int64),
    )  # fmt: skip
    return {name: values.tolist() for name, values in found.items()}


@settings(max_examples=15, derandomize=True)
@given(histories.filter(bool), st.integers(0, 220))
def test_at_midnight_the_timeline_and_the_snapshots_agree(plays: list[Play], number: int) -> None:
    day, whole = FIRST + timedelta(days=number), timeline(plays)
    for partition, built in build(delivered(plays), day).items():
        assert partition.place in COUNTRIES
        for spec, key, entities in (
            (PROFILE_SNAPSHOT, c.PROFILE, ("profile",)), (TITLE_SNAPSHOT, c.TITLE, ("title", "title_country")),
        ):  # fmt: skip
            rows = built.tables[spec.name]
            for entity in entities:
                wanted = facts(entity)
                found = said(whole, list(wanted.values()), rows, key, partition.place, day)
                for column, fact in wanted.items():
                    assert rows.column(column).to_pylist() == found[fact.name], (partition, fact)
