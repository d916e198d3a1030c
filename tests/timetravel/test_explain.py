"""The plays shown behind a fact are those of the definition, and they give the number that models read."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import PLAY_SCHEMA, RULES, START, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, iso, visible
from rec_platform.errors import NumericError
from rec_platform.flow.travel import Journey
from rec_platform.tables import AVAILABILITY, PROFILES, TITLES
from rec_platform.timetravel import explain
from rec_platform.timetravel.explain import (
    AFTER_THE_TICK,
    AT_THE_INSTANT,
    KNOWN_AFTER_THE_TICK,
    NOT_YET_KNOWN,
    Past,
    explained,
    per_day,
)
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.reading import compute, timeline_of

#: Each entity and measure, and of each thing that can be declared besides one that has it.
FACTS = [
    *every_fact()[::3],
    Fact("evenings", "profile", "plays", "36h", where="hour >= 18 and device != 'tv'"),
    Fact("drama", "profile_title", "watched_ms", None, where="'drama' in genres"),
    Fact("titles", "profile", "distinct_titles", 28),
    Fact("titles_there", "country", "distinct_titles", 28, where="engaged == 1"),
    Fact("rows", "title", "row", "6h", tick="hour"),
    Fact("of_title", "profile_title", "share", 28),
    Fact("of_genre", "profile_attribute", "share", 28, over="max"),
    Fact("of_country", "title_country", "share", 7, of="title"),
    Fact("engaged", "profile_attribute", "share", None, of="profile_attribute", where="engaged == 1"),
    Fact("last_at_this_hour", "profile_hour", "last_played_at", 28),
    Fact("first_on_this_day", "profile_weekday", "first_played_at", "36h", where="engaged == 1"),
    Fact("first_of_genre", "profile_attribute", "first_played_at", 28),
]


def past_of(world: World) -> Past:
    return Past(world.plays, world.titles, world.profiles, world.availability, RULES)


def one_by_one(ask: Asked) -> list[explain.Asked]:
    """Every item of every context."""
    return [
        explain.Asked(int(ask.profile_id[i]), str(ask.country[i]), int(ask.at[i]), int(title))
        for i in range(len(ask.at))
        for title in ask.title_id[ask.offsets[i] : ask.offsets[i + 1]]
    ]


def values_of(world: World, facts: list[Fact], one: explain.Asked) -> dict[str, float | int]:
    timeline = timeline_of(world.plays, world.titles, world.profiles, world.availability, rules=RULES, facts=facts)
    found = compute(
        timeline, facts, profile_id=[one.profile_id], country=[one.country], at=[one.at], offsets=[0, 1],
        title_id=[one.title_id],
    )  # fmt: skip
    return {name: values[0].item() for name, values in found.items()}


@pytest.mark.slow
@settings(max_examples=15, derandomize=True)
@given(worlds(), asked(max_contexts=2))
def test_every_fact_of_every_context_is_explained_by_its_plays(world: World, ask: Asked) -> None:
    """`explained` itself holds its plays to the kernels' numbers; here they are held to the oracle, and to the clocks."""
    oracle = world.oracle()
    for one in one_by_one(ask)[:2]:
        for found in explained(past_of(world), FACTS, one, values_of(world, FACTS, one)):
            wanted = oracle.fact(found.fact, *one)
            assert found.value == wanted or (math.isnan(found.value) and math.isnan(wanted)), found.fact
            assert all(visible(*clocks, found.as_of) for clocks in instants(found.plays)), found.fact
            assert not any(visible(*clocks, found.as_of) for clocks in instants(found.left_out)), found.fact
            assert all(played <= one.at for played, _ in instants(found.left_out)), found.fact
            if found.fact.measure == "plays" and found.fact.entity != "profile_attribute":
                assert found.plays.num_rows == found.value
            if found.whole is not None and found.whole.value and found.fact.entity != "profile_attribute":
                assert found.plays.num_rows / found.whole.plays.num_rows == found.value


def instants(plays: pa.Table) -> list[tuple[int, int]]:
    return list(zip(*(plays.column(name).cast("int64").to_pylist() for name in (c.PLAYED_AT, c.KNOWN_AT)), strict=True))


def ana() -> World:
    """Ana's evening (clock.py): a play on a train that is known two days later, one in time, one at the instant."""
    rows = [(20 * HOUR, 2 * DAY + 6 * HOUR), (10 * HOUR, 11 * HOUR), (DAY + 21 * HOUR, DAY + 22 * HOUR),
            (DAY + 5 * HOUR, DAY + 6 * HOUR)]  # fmt: skip
    plays = [
        {c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: START + played, c.KNOWN_AT: START + known, c.WATCHED_MS: 60_000,
         c.ENGAGED: 1, c.COUNTRY: "FR"} for played, known in rows
    ]  # fmt: skip
    empty = (pa.Table.from_pylist([], schema=spec.schema) for spec in (TITLES, PROFILES, AVAILABILITY))
    return World(pa.Table.from_pylist(plays, schema=PLAY_SCHEMA), *empty)


ANA = explain.Asked(1, "FR", START + DAY + 21 * HOUR, 7)


def test_what_was_left_out_says_why() -> None:
    facts = [Fact("mine", "profile", "plays", 7), Fact("titles", "title", "plays", 7)]
    mine, of_title = explained(past_of(ana()), facts, ANA, values_of(ana(), facts, ANA))
    assert mine.value == 2 and mine.plays.num_rows == 2
    assert mine.left_out.column("why").to_pylist() == [NOT_YET_KNOWN, AT_THE_INSTANT]
    assert of_title.value == 1 and of_title.as_of == START + DAY
    assert of_title.left_out.column("why").to_pylist() == [NOT_YET_KNOWN, AFTER_THE_TICK, AT_THE_INSTANT]
    assert mine.to_json()["since"] == iso(ANA.at - 7 * DAY)


def test_a_play_that_a_fact_of_titles_does_not_count_yet_though_it_is_known_is_said_to_be_known_after_the_tick() -> (
    None
):
    """Two days later at 21:00 everybody knows of the evening, since 06:00; facts of titles count it from midnight on."""
    later = ANA._replace(at=START + 2 * DAY + 21 * HOUR)
    facts = [Fact("mine", "profile", "plays", 7), Fact("titles", "title", "plays", 7)]
    mine, of_title = explained(past_of(ana()), facts, later, values_of(ana(), facts, later))
    assert (mine.value, mine.left_out.num_rows, of_title.value) == (4, 0, 3)
    assert of_title.left_out.column("why").to_pylist() == [KNOWN_AFTER_THE_TICK]


def test_a_play_known_at_the_very_instant_is_left_out_and_a_microsecond_later_counted() -> None:
    """The evening becomes known as the third day's hour 6 begins, which is a tick of an hour, too."""
    facts = [Fact("mine", "profile", "plays", 7), Fact("hourly", "title", "plays", 7, tick="hour")]
    for beside, of_mine, of_title in ((0, 3, 3), (1, 4, 3), (HOUR, 4, 4)):
        one = ANA._replace(at=START + 2 * DAY + 6 * HOUR + beside)
        mine, title = explained(past_of(ana()), facts, one, values_of(ana(), facts, one))
        assert (mine.value, title.value) == (of_mine, of_title)
        assert (mine.plays.num_rows, title.plays.num_rows) == (of_mine, of_title)


def test_a_number_that_the_plays_do_not_give_is_refused_with_the_facts_name() -> None:
    fact = Fact("mine", "profile", "plays", 7)
    with pytest.raises(
        NumericError, match=r"fact 'mine' is 3, but the plays behind it give 2 \(travel as of 2025-03-30"
    ):
        explained(past_of(ana()), [fact], ANA, {"mine": 3.0})


def test_a_kernel_that_forgets_a_clock_is_caught() -> None:
    """The same plays, known the moment they begin: what the kernel then says cannot be explained."""
    fact, world = Fact("mine", "profile", "plays", 7), ana()
    forgetful = World(
        world.plays.set_column(3, c.KNOWN_AT, world.plays.column(c.PLAYED_AT)),
        world.titles, world.profiles, world.availability,
    )  # fmt: skip
    with pytest.raises(NumericError, match="fact 'mine' is 3"):
        explained(past_of(world), [fact], ANA, values_of(forgetful, [fact], ANA))


SHARES = [
    Fact("on_sundays", "profile_weekday", "share", 7),
    Fact("of_title", "title_country", "share", 7, of="title", where="hour >= 12"),
    Fact("of_nothing", "profile_attribute", "share", 7, of="profile_attribute", where="engaged == 0"),
    Fact("mine", "profile", "plays", 7),
]


def test_travel_says_of_how_many_plays_and_of_whose_a_share_is() -> None:
    """On Sunday evening two plays of Ana's are known, one of that day; of the title one was known by midnight, of the
    morning in Paris; a title without genres has no plays that share one."""
    found = Journey(
        ANA, "7", (), tuple(explained(past_of(ana()), SHARES, ANA, values_of(ana(), SHARES, ANA))), {}, "UTC"
    )
    rows = found.fact_rows()
    assert [row["plays"] for row in rows] == ["1 of 2 (profile)", "0 of 1 (title)", "0 of 0 (profile_attribute)", 2]
    assert [row["value"] for row in rows] == ["0.5", "0", "nan", "2"]
    told = [row for row in found.rows() if row["what"] == "fact"]
    assert [(row["of"], row["whole"], row["whole_plays"]) for row in told[:3]] == [
        ("profile", 2, 2), ("title", 1, 1), ("profile_attribute", None, 0)
    ]  # fmt: skip
    assert "whole" not in told[3]
    assert found.facts[0].to_json()["whole_plays"] == 2


def test_plays_per_day() -> None:
    assert per_day(ana().plays) == [(START, 2), (START + DAY, 2)]
