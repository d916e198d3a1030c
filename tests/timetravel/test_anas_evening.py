"""The worked example of docs/clocks.md, instant by instant: edges that random histories seldom meet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from timeline_worlds import PLAY_SCHEMA, RULES

from rec_platform import columns as c
from rec_platform.clock import parse_instant
from rec_platform.tables import AVAILABILITY, PROFILES, TITLES
from rec_platform.timetravel import reading
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.reading import compute, timeline_of
from rec_platform.timetravel.timeline import Timeline

FACTS = (
    Fact("day", "profile", "plays", 1), Fact("week", "profile", "plays", 7), Fact("ms_day", "profile", "watched_ms", 1),
    Fact("last", "profile", "last_played_at"), Fact("title_day", "title", "plays", 1), Fact("title_week", "title", "plays", 7),
)  # fmt: skip


def instant(text: str) -> int:
    return parse_instant(f"2025-03-{text}Z", place="test")


def test_every_instant_of_the_page() -> None:
    played = instant("10T20:00:00")
    evening = {
        c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: played, c.KNOWN_AT: instant("12T06:00:00"), c.WATCHED_MS: 1_800_000,
        c.ENGAGED: 1, c.COUNTRY: "FR",
    }  # fmt: skip
    timeline = Timeline.build(
        pa.Table.from_pylist([evening], schema=PLAY_SCHEMA),
        *(spec.schema.empty_table() for spec in (TITLES, PROFILES, AVAILABILITY)), rules=RULES,
    )  # fmt: skip
    # asked at, plays over 1 and 7 days, last play, the title's plays over 1 and 7 days as of that day's 00:00
    rows = [
        ("10T20:00:00", 0, 0, NONE, 0, 0), ("11T21:00:00", 0, 0, NONE, 0, 0), ("12T06:00:00", 0, 0, NONE, 0, 0),
        ("12T06:00:00.000001", 0, 1, played, 0, 0), ("12T21:00:00", 0, 1, played, 0, 0), ("13T00:00:00", 0, 1, played, 0, 1),
        ("17T20:00:00", 0, 1, played, 0, 1), ("17T20:00:00.000001", 0, 0, played, 0, 1), ("18T00:00:00", 0, 0, played, 0, 0),
    ]  # fmt: skip
    at = np.array([instant(row[0]) for row in rows])
    found = compute(
        timeline, FACTS, profile_id=np.ones(len(at), dtype=np.int64), country=["FR"] * len(at), at=at,
        offsets=np.arange(len(at) + 1), title_id=np.full(len(at), 7),
    )  # fmt: skip
    for name, position in (("day", 1), ("week", 2), ("last", 3), ("title_day", 4), ("title_week", 5)):
        assert found[name].tolist() == [row[position] for row in rows], name
    assert found["ms_day"].tolist() == [0] * len(rows)


@pytest.mark.parametrize("at", ["11T00:00:00", "12T00:00:00", "13T00:00:00", "18T00:00:00"])
def test_a_tick_rolled_to_is_the_tick_asked_alone(at: str) -> None:
    """The page's title column again, without earlier contexts to roll from."""
    evening = {
        c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: instant("10T20:00:00"), c.KNOWN_AT: instant("12T06:00:00"),
        c.WATCHED_MS: 1, c.ENGAGED: 1, c.COUNTRY: "FR",
    }  # fmt: skip
    timeline = Timeline.build(
        pa.Table.from_pylist([evening], schema=PLAY_SCHEMA),
        *(spec.schema.empty_table() for spec in (TITLES, PROFILES, AVAILABILITY)), rules=RULES,
    )  # fmt: skip
    found = compute(
        timeline, FACTS, profile_id=np.array([1]), country=["FR"], at=np.array([instant(at)]),
        offsets=np.array([0, 1]), title_id=np.array([7]),
    )  # fmt: skip
    assert found["title_week"].tolist() == [1.0 if at == "13T00:00:00" else 0.0]
    assert found["title_day"].tolist() == [0.0]


def evening(**changed: object) -> pa.Table:
    row = {
        c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: instant("10T20:00:00"), c.KNOWN_AT: instant("12T06:00:00"),
        c.WATCHED_MS: 1_800_000, c.ENGAGED: 1, c.COUNTRY: "FR", **changed,
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=PLAY_SCHEMA)


def described(known_at: str, *genres: str) -> dict[str, object]:
    return {c.TITLE: 7, c.KNOWN_AT: instant(known_at), c.SOURCE_ID: "7", c.GENRES: list(genres), c.TAGS: []}


def test_the_filter_of_the_page_is_settled_when_the_play_becomes_visible() -> None:
    """Crime on the 9th, drama with the delivery, comedy a microsecond later: a drama for every context."""
    rows = [described("09T12:00:00", "crime"), described("12T06:00:00", "drama"),
            described("12T06:00:00.000001", "comedy")]  # fmt: skip
    facts = [
        Fact(genre, "profile", "plays", "7d", where=f"'{genre}' in genres") for genre in ("crime", "drama", "comedy")
    ]
    timeline = timeline_of(
        evening(), pa.Table.from_pylist(rows, schema=TITLES.schema), PROFILES.schema.empty_table(),
        AVAILABILITY.schema.empty_table(), rules=RULES, facts=facts,
    )  # fmt: skip
    at = np.array([instant(text) for text in ("12T06:00:00", "12T06:00:00.000001", "12T21:00:00", "17T20:00:00")])
    found = reading.compute(
        timeline, facts, profile_id=np.ones(4, dtype=np.int64), country=["FR"] * 4, at=at, offsets=np.zeros(5, dtype=np.int64),
        title_id=[],
    )  # fmt: skip
    assert found["drama"].tolist() == [0, 1, 1, 1]
    assert found["crime"].tolist() == found["comedy"].tolist() == [0, 0, 0, 0]


def test_the_ticks_of_the_page() -> None:
    facts = [Fact("by_day", "title", "plays", "7d"), Fact("by_hour", "title", "plays", "48h", tick="hour")]
    timeline = timeline_of(
        evening(), *(spec.schema.empty_table() for spec in (TITLES, PROFILES, AVAILABILITY)), rules=RULES, facts=facts
    )
    rows = [
        ("12T06:59:00", 0, 0), ("12T07:00:00", 0, 1), ("12T07:30:00", 0, 1), ("12T20:59:59", 0, 1), ("12T21:00:00", 0, 0),
        ("13T09:00:00", 1, 0),
    ]  # fmt: skip
    at = np.array([instant(row[0]) for row in rows])
    found = reading.compute(
        timeline, facts, profile_id=np.ones(len(at), dtype=np.int64), country=["FR"] * len(at), at=at,
        offsets=np.arange(len(at) + 1), title_id=np.full(len(at), 7),
    )  # fmt: skip
    assert found["by_day"].tolist() == [row[1] for row in rows]
    assert found["by_hour"].tolist() == [row[2] for row in rows]
