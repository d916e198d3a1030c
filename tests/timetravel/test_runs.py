"""Contexts in runs: a huge profile costs what its plays and items cost, and batches build what one table builds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import RULES, START, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import Timeline

FACTS = every_fact()


def huge(n: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """One profile's plays of 90 days, a tenth of them known up to ten days late, and titles whose genres change."""
    rng = np.random.default_rng(seed)
    played = START + rng.integers(-90 * DAY, 0, n)
    late = np.where(rng.random(n) < 0.1, rng.integers(0, 10 * DAY, n), HOUR)
    plays = pa.table(
        {
            c.PROFILE: np.ones(n, dtype=np.int64), c.TITLE: rng.integers(0, 50, n),
            c.PLAYED_AT: pa.array(played, INSTANT), c.KNOWN_AT: pa.array(played + late, INSTANT),
            c.WATCHED_MS: rng.integers(0, 10**7, n), c.ENGAGED: pa.array(rng.integers(0, 2, n), pa.int8()),
            c.COUNTRY: np.where(rng.random(n) < 0.5, "FR", "IN"),
        }
    )  # fmt: skip
    rows = [
        {c.TITLE: title, c.KNOWN_AT: known, c.SOURCE_ID: str(title), c.GENRES: [f"genre {(title + known) % 7}"], c.TAGS: []}
        for title in range(50) for known in (0, START - 30 * DAY + title * HOUR)[: 1 + title % 2]
    ]  # fmt: skip
    return plays, pa.Table.from_pylist(rows, schema=TITLES.schema)


def by_hand(plays: pa.Table, titles: pa.Table, at: int, window: int) -> dict[str, list[float]]:
    """The same facts by masks over all plays."""
    column = {name: plays.column(name).cast(pa.int64()).to_numpy() for name in plays.column_names if name != c.COUNTRY}
    played, known, title = column[c.PLAYED_AT], column[c.KNOWN_AT], column[c.TITLE]
    seen = (played < at) & (known < at) & (played >= at - window)
    genre = {}
    for row in titles.sort_by(c.KNOWN_AT).select([c.TITLE, c.GENRES]).filter(
        pa.array(titles.sort_by(c.KNOWN_AT).column(c.KNOWN_AT).cast(pa.int64()).to_numpy() < at)
    ).to_pylist():  # fmt: skip
        genre[row[c.TITLE]] = row[c.GENRES][0]
    of_title = np.array([genre[t] for t in range(50)])[title]
    return {
        "plays": [float(seen.sum())], "watched_ms": [float(column[c.WATCHED_MS][seen].sum())],
        "distinct": [float(len(np.unique(title[seen])))],
        "hour": [float((seen & (played // HOUR % 24 == at // HOUR % 24)).sum())],
        "title": [float((seen & (title == t)).sum()) for t in (3, 4)],
        "first": [float(played[seen & (title == t)].min()) for t in (3, 4)],
        "last": [float(played[seen & (title == t)].max()) for t in (3, 4)],
        "genre": [float((seen & (of_title == genre[t])).sum()) for t in (3, 4)],
        "hour_first": [float(played[seen & (played // HOUR % 24 == at // HOUR % 24)].min())],
        "hour_last": [float(played[seen & (played // HOUR % 24 == at // HOUR % 24)].max())],
        "genre_first": [float(played[seen & (of_title == genre[t])].min()) for t in (3, 4)],
    }  # fmt: skip


@pytest.mark.slow
def test_a_profile_of_a_million_plays_with_many_contexts() -> None:
    """2,000 contexts of it: by a walk per context that would be a billion plays seen."""
    plays, titles = huge(1_000_000, seed=4)
    timeline = Timeline.build(
        plays, titles, PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table(), rules=RULES
    )
    facts = [
        Fact("plays", "profile", "plays", 28), Fact("watched_ms", "profile", "watched_ms", 28),
        Fact("distinct", "profile", "distinct_titles", 28), Fact("hour", "profile_hour", "plays", 28),
        Fact("title", "profile_title", "plays", 28), Fact("first", "profile_title", "first_played_at", 28),
        Fact("last", "profile_title", "last_played_at", 28), Fact("genre", "profile_attribute", "plays", 28),
        Fact("hour_first", "profile_hour", "first_played_at", 28), Fact("hour_last", "profile_hour", "last_played_at", 28),
        Fact("genre_first", "profile_attribute", "first_played_at", 28),
    ]  # fmt: skip
    n = 2_000
    at = np.sort(np.random.default_rng(5).integers(START - 40 * DAY, START, n))
    found = compute(
        timeline, facts, profile_id=np.ones(n, dtype=np.int64), country=["US"] * n, at=at,
        offsets=np.arange(n + 1) * 2, title_id=np.tile([3, 4], n),
    )  # fmt: skip
    for i in (0, 1, 700, 1_500, n - 1):
        for name, wanted in by_hand(plays, titles, int(at[i]), 28 * DAY).items():
            width = len(wanted)
            assert found[name][i * width : (i + 1) * width].tolist() == wanted, (name, i)


@settings(max_examples=25, derandomize=True)
@given(worlds(), asked())
def test_batches_build_what_a_table_builds(world: World, ask: Asked) -> None:
    """Countries as text in one batch and as a dictionary in the next, as files of different ages have them."""
    half = world.plays.num_rows // 2
    coded = world.plays.slice(half)
    coded = coded.set_column(6, c.COUNTRY, coded.column(c.COUNTRY).dictionary_encode())
    batches = [*world.plays.slice(0, half).to_batches(max_chunksize=2), coded]
    streamed = Timeline.build(batches, world.titles, world.profiles, world.availability, rules=RULES)
    whole = world.timeline()
    assert streamed.profiles.ids.tolist() == whole.profiles.ids.tolist()
    here, there = compute(streamed, FACTS, **vars(ask)), compute(whole, FACTS, **vars(ask))
    assert all(here[fact.name].tobytes() == there[fact.name].tobytes() for fact in FACTS)


def test_what_a_timeline_does_not_hold_is_named() -> None:
    plays, titles = huge(10, seed=1)
    rest = (titles, PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table())
    timeline = Timeline.build(plays, *rest, rules=RULES, measures=(c.WATCHED_MS,))
    ask = {"profile_id": [1], "country": ["FR"], "at": [START], "offsets": [0, 0], "title_id": np.empty(0, np.int64)}
    with pytest.raises(ConfigError, match="sums 'engaged', which this timeline does not hold"):
        compute(timeline, [Fact("engaged", "profile", "engaged_plays")], **ask)
    with pytest.raises(ConfigError, match="no subset 'late'"):
        timeline.subset("late")
    with pytest.raises(SchemaError, match="columns missing"):
        Timeline.build(plays.drop_columns([c.ENGAGED]), *rest, rules=RULES)


def test_a_subset_is_the_timeline_of_its_plays() -> None:
    plays, titles = huge(500, seed=2)
    rest = (titles, PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table())
    engaged = lambda batch: batch.column(c.ENGAGED).to_numpy() == 1  # noqa: E731
    subset = Timeline.build(plays, *rest, rules=RULES, subsets={"engaged": engaged}).subset("engaged")
    alone = Timeline.build(plays.filter(pa.array(engaged(plays))), *rest, rules=RULES)
    ask = {"profile_id": [1], "country": ["FR"], "at": [START], "offsets": [0, 3], "title_id": [3, 4, 5]}
    facts = [fact for fact in FACTS if fact.measure != "available_from"]
    here, there = compute(subset, facts, **ask), compute(alone, facts, **ask)
    assert all(here[fact.name].tobytes() == there[fact.name].tobytes() for fact in facts)
