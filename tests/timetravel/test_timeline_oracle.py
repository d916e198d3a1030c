"""The kernels say exactly what the oracle says, on random histories."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import COUNTRIES, PLAY_SCHEMA, START, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.tables import AVAILABILITY, PROFILES, TITLES
from rec_platform.testing.timeline_oracle import TimelineOracle
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.reading import compute

FACTS = every_fact()


def expected(oracle: TimelineOracle, fact: Fact, ask: Asked) -> list[float | int]:
    contexts = range(len(ask.at))
    who = [(int(ask.profile_id[i]), str(ask.country[i]), int(ask.at[i])) for i in contexts]
    if fact.level == "context":
        return [oracle.fact(fact, *who[i]) for i in contexts]
    return [
        oracle.fact(fact, *who[i], int(title))
        for i in contexts
        for title in ask.title_id[ask.offsets[i] : ask.offsets[i + 1]]
    ]


def same(left: float | int, right: float | int) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@settings(max_examples=90, derandomize=True)
@given(worlds(), asked())
def test_every_fact_is_the_oracles(world: World, ask: Asked) -> None:
    found = compute(world.timeline(), FACTS, **vars(ask))
    oracle = world.oracle()
    for fact in FACTS:
        wanted = expected(oracle, fact, ask)
        assert len(wanted) == len(found[fact.name])
        differing = [
            (i, got, want) for i, (got, want) in enumerate(zip(found[fact.name].tolist(), wanted, strict=True))
            if not same(got, want)
        ]  # fmt: skip
        assert not differing, (fact, differing)


@settings(max_examples=60, derandomize=True)
@given(worlds(), asked())
def test_every_lookup_is_the_oracles(world: World, ask: Asked) -> None:
    timeline, oracle = world.timeline(), world.oracle()
    who = [(int(profile), int(at)) for profile, at in zip(ask.profile_id, ask.at, strict=True)]
    assert timeline.first_visible_play(ask.profile_id, ask.at).tolist() == [oracle.first_visible_play(*w) for w in who]
    assert timeline.signup_at(ask.profile_id, ask.at).tolist() == [oracle.signup_at(*w) for w in who]
    offsets, titles, last = timeline.seen(ask.profile_id, ask.at)
    for i, one in enumerate(who):
        mine = slice(offsets[i], offsets[i + 1])
        assert list(zip(titles[mine].tolist(), last[mine].tolist(), strict=True)) == oracle.seen(*one)
    for at in ask.at.tolist():
        for country in (*COUNTRIES, "BR"):
            assert timeline.available(country, at).tolist() == oracle.available(country, at)
            ids, counts = timeline.country_title_plays(country, at, 7)
            assert list(zip(ids.tolist(), counts.tolist(), strict=True)) == oracle.country_title_plays(country, at, 7)


#: Ana's evening, known two days later; a play that begins as clocks change in Paris, known at once; one known at a tick.
EVENING, STEP, AT_A_TICK = (
    (START + 20 * HOUR, START + 2 * DAY + 6 * HOUR), (START + DAY + HOUR, START + DAY + HOUR),
    (START + 5 * HOUR, START + 3 * DAY),
)  # fmt: skip
#: When a title and a profile are described, and an offer is made, corrected, begins and ends.
TOLD = [START + 4 * DAY + n * HOUR for n in range(6)]


def world_of_edges(*, offers: bool) -> World:
    plays = [
        {
            c.PROFILE: 1,
            c.TITLE: 3,
            c.PLAYED_AT: played,
            c.KNOWN_AT: known,
            c.WATCHED_MS: 7,
            c.ENGAGED: 1,
            c.COUNTRY: "FR",
        }
        for played, known in (EVENING, STEP, AT_A_TICK)
    ]
    titles = [
        {c.TITLE: 3, c.KNOWN_AT: TOLD[n], c.SOURCE_ID: "3", c.GENRES: genres, c.TAGS: [], c.RUNTIME_MS: n,
         c.RELEASED_AT: START}
        for n, genres in enumerate((["drama"], ["crime", "noir"], ["noir"]))
    ]  # fmt: skip
    profiles = [
        {c.PROFILE: 1, c.KNOWN_AT: TOLD[n], c.SOURCE_ID: "1", c.SIGNUP_AT: START + n, c.HOME_COUNTRY: None}
        for n in (0, 1)
    ]
    made = [
        {c.TITLE: 3, c.COUNTRY: "FR", c.AVAILABLE_FROM: begin, c.AVAILABLE_TO: end, c.KNOWN_AT: known}
        for begin, end, known in ((TOLD[1], None, TOLD[0]), (TOLD[1], TOLD[4], TOLD[3]), (START, TOLD[2], START))
    ]
    rows = zip((titles, profiles, made * offers), (TITLES, PROFILES, AVAILABILITY), strict=True)
    return World(
        pa.Table.from_pylist(plays, schema=PLAY_SCHEMA),
        *(pa.Table.from_pylist(told, schema=spec.schema) for told, spec in rows),
    )


@pytest.mark.parametrize("offers", [False, True])
def test_every_fact_is_the_oracles_at_each_edge_and_a_microsecond_beside_it(offers: bool) -> None:
    """Where a play begins, is known, leaves a window; where rows are told, offers begin and end; ticks; the changed clock."""
    clocks = {instant for play in (EVENING, STEP, AT_A_TICK) for instant in play}
    edges = clocks | {played + days * DAY for played, _ in (EVENING, STEP, AT_A_TICK) for days in (1, 28)} | set(TOLD)
    edges |= {START + day * DAY for day in (1, 2, 3, 4, 28, 29, 30)} | {STEP[0] + DAY + n * HOUR for n in (-1, 0, 1, 2)}
    at = sorted(edge + beside for edge in edges for beside in (-1, 0, 1))
    world, n = world_of_edges(offers=offers), len(at)
    ask = Asked(
        np.ones(n, np.int64),
        np.array(["FR"] * n, dtype=object),
        np.array(at),
        2 * np.arange(n + 1),
        np.array([3, 5] * n),
    )
    found, oracle = compute(world.timeline(), FACTS, **vars(ask)), world.oracle()
    for fact in FACTS:
        pairs = zip(found[fact.name].tolist(), expected(oracle, fact, ask), strict=True)
        assert all(same(*pair) for pair in pairs), fact


@pytest.mark.parametrize("first, last", [(-1, 0), (0, 1), (-1, 1), (1, 2)])
def test_genres_change_between_neighbouring_contexts_from_the_instant_after_they_are_known(
    first: int, last: int
) -> None:
    """A profile is asked twice, microseconds apart, about dramas and crimes; in between what it played becomes a crime."""
    changed = START + DAY
    titles = [
        {c.TITLE: title, c.KNOWN_AT: known, c.SOURCE_ID: str(title), c.GENRES: [genre], c.TAGS: [genre]}
        for title, known, genre in (
            (3, START, "drama"), (3, changed, "crime"), (5, START, "drama"), (8, START, "crime"),
        )
    ]  # fmt: skip
    play = {
        c.PROFILE: 1, c.TITLE: 3, c.PLAYED_AT: START + HOUR, c.KNOWN_AT: START + HOUR, c.WATCHED_MS: 7, c.ENGAGED: 1,
        c.COUNTRY: "FR",
    }  # fmt: skip
    world = World(
        pa.Table.from_pylist([play], schema=PLAY_SCHEMA), pa.Table.from_pylist(titles, schema=TITLES.schema),
        PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table(),
    )  # fmt: skip
    ask = Asked(
        np.array([1, 1]), np.array(["FR", "FR"], dtype=object), np.array([changed + first, changed + last]),
        np.array([0, 2, 4]), np.array([5, 8, 5, 8]),
    )  # fmt: skip
    alike = [fact for fact in FACTS if fact.entity == "profile_attribute"]
    found, oracle = compute(world.timeline(), alike, **vars(ask)), world.oracle()
    for fact in alike:
        assert found[fact.name].tolist() == expected(oracle, fact, ask), fact
    assert found["profile_attribute_plays_None_genres_mean"].tolist() == [
        float(drama is (offset <= 0)) for offset in (first, last) for drama in (True, False)
    ]


@settings(max_examples=25, derandomize=True)
@given(worlds(), asked(max_contexts=8))
def test_a_context_alone_gets_what_it_gets_among_others(world: World, ask: Asked) -> None:
    """Serving asks one context at a time; the answers are the same bytes."""
    timeline = world.timeline()
    together = compute(timeline, FACTS, **vars(ask))
    for i in range(len(ask.at)):
        rows = slice(ask.offsets[i], ask.offsets[i + 1])
        alone = compute(
            timeline, FACTS, profile_id=ask.profile_id[i : i + 1], country=ask.country[i : i + 1], at=ask.at[i : i + 1],
            offsets=np.array([0, rows.stop - rows.start]), title_id=ask.title_id[rows],
        )  # fmt: skip
        for fact in FACTS:
            whole = together[fact.name][i : i + 1] if fact.level == "context" else together[fact.name][rows]
            assert alone[fact.name].tobytes() == whole.tobytes(), fact


@settings(max_examples=25, derandomize=True)
@given(worlds())
def test_the_order_of_plays_does_not_matter(world: World) -> None:
    shuffled = World(
        world.plays.take(np.random.default_rng(7).permutation(world.plays.num_rows)),
        world.titles, world.profiles, world.availability,
    )  # fmt: skip
    at = int(world.plays.column("played_at").cast("int64").to_numpy().max()) + DAY if world.plays.num_rows else DAY
    ask = {
        "profile_id": np.array([1, 2]), "country": ["FR", "IN"], "at": np.array([at, at + 1]),
        "offsets": np.array([0, 2, 4]), "title_id": np.array([3, 5, 8, 13]),
    }  # fmt: skip
    here, there = compute(world.timeline(), FACTS, **ask), compute(shuffled.timeline(), FACTS, **ask)
    assert all(here[fact.name].tobytes() == there[fact.name].tobytes() for fact in FACTS)
