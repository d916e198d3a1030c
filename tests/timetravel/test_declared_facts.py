"""Every declaration gives what the oracle gives: filters, shares, minutes, distinct titles, numeric columns, ticks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from test_future_scramble import corrupted
from test_timeline_oracle import expected, same
from timeline_worlds import PLAY_SCHEMA, RULES, START, Asked, World, asked, filters, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.errors import ConfigError
from rec_platform.tables import AVAILABILITY, PROFILES, TITLES
from rec_platform.timetravel.declared import (
    INSTANTS,
    LISTS,
    MEASURES,
    OF_RECORDS,
    SHARE,
    WHOLES,
    Fact,
    play_columns_of,
)  # fmt: skip
from rec_platform.timetravel.facts import Values
from rec_platform.timetravel.filters import values as filters_values
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.reading import compute, timeline_of
from rec_platform.timetravel.timeline import PLAY_COLUMNS, Timeline

_WINDOWS = {
    "instant": [None, "1min", "30min", "6h", "36h", 1, 7, 90], "day": [None, 1, "48h", 28], "hour": [None, "1h", "6h", "30h", 2]
}  # fmt: skip


@st.composite
def facts(draw: st.DrawFn, name: str = "x") -> Fact:
    """Anything that can be declared of plays."""
    entity = draw(st.sampled_from(list(MEASURES)))
    measure = draw(st.sampled_from([one for one in MEASURES[entity] if one not in OF_RECORDS]))
    where = draw(st.one_of(st.none(), filters))
    of = None
    if measure == SHARE:
        of = draw(st.sampled_from(WHOLES[entity]))
        where = draw(filters) if of == entity else where
    overs = ["mean"] if measure in INSTANTS or of == "profile_attribute" else ["mean", "max"]
    ticked = entity in ("title", "title_country", "country", "platform")
    tick = draw(st.sampled_from(["day", "hour"])) if ticked else "day"
    fixed = ticked and measure == "first_played_at"
    window = None if fixed else draw(st.sampled_from(_WINDOWS[tick if ticked else "instant"]))
    attribute, over = draw(st.sampled_from(LISTS)), draw(st.sampled_from(overs))
    return Fact(name, entity, measure, window, attribute=attribute, over=over, where=where, of=of, tick=tick)  # type: ignore[arg-type]


several = st.lists(facts(), min_size=1, max_size=6).map(
    lambda made: [replace(fact, name=f"x{i}") for i, fact in enumerate(made)]
)


def timeline(world: World, wanted: list[Fact]) -> Timeline:
    """Of no more columns than the facts say they read."""
    columns = dict.fromkeys((*PLAY_COLUMNS, *play_columns_of(wanted)))
    return timeline_of(
        world.plays.select(list(columns)), world.titles, world.profiles, world.availability, rules=RULES, facts=wanted
    )


def found(world: World, wanted: list[Fact], ask: Asked) -> dict[str, Values]:
    return compute(timeline(world, wanted), wanted, **vars(ask))


@pytest.mark.slow
@settings(max_examples=80, derandomize=True)
@given(worlds(), asked(), several)
def test_every_declaration_is_the_oracles(world: World, ask: Asked, wanted: list[Fact]) -> None:
    values, oracle = found(world, wanted, ask), world.oracle()
    for fact in wanted:
        wants = expected(oracle, fact, ask)
        assert values[fact.name].dtype == (np.int64 if fact.kind == "instant" else np.float64)
        differing = [
            (i, got, want) for i, (got, want) in enumerate(zip(values[fact.name].tolist(), wants, strict=True))
            if not same(got, want)
        ]  # fmt: skip
        assert not differing, (fact, differing)


ENDS_OF_VALUES = [
    Fact(f"{measure}_{window}_{attribute}_{n}", "profile_attribute", measure, window, attribute=attribute, where=where)
    for measure in ("last_played_at", "first_played_at")
    for window in (None, "30min", "6h", 7)
    for attribute in LISTS
    for n, where in enumerate((None, "engaged == 1"))
]  # type: ignore[arg-type]

ENDS_ON_THE_CLOCK = [
    Fact(f"{entity}_{measure}_{window}_{n}", entity, measure, window, where=where)
    for entity in ("profile_hour", "profile_weekday")
    for measure in ("last_played_at", "first_played_at")
    for window in (None, "30min", "36h", 7)
    for n, where in enumerate((None, "engaged == 1"))
]  # type: ignore[arg-type]


def crowded(draw: Random, plays: int = 40, contexts: int = 30) -> tuple[World, Asked]:
    """Two profiles, five titles whose genres change, and many contexts: most items share a value with some play.

    Eight days around a change of the clocks in Paris, on half hours, some plays at the same instant, some there twice.
    """
    titles, hours = (3, 5, 8, 13, 21), lambda most: START - 3 * DAY + draw.randrange(most) * HOUR // 2
    rows = [
        {c.PROFILE: draw.choice((1, 2)), c.TITLE: draw.choice(titles), c.PLAYED_AT: (began := hours(400)),
         c.KNOWN_AT: began + draw.choice((0, 1, HOUR, 5 * HOUR, DAY, 8 * DAY)), c.WATCHED_MS: 1,
         c.ENGAGED: draw.randrange(2), c.COUNTRY: "FR"}
        for _ in range(plays)
    ]  # fmt: skip
    told = [
        {c.TITLE: draw.choice(titles), c.KNOWN_AT: draw.choice((0, hours(500))), c.SOURCE_ID: "t",
         c.GENRES: draw.sample(("drama", "crime", "noir", "war"), draw.randrange(4)),
         c.TAGS: draw.sample(("old", "new"), draw.randrange(3))}
        for _ in range(12)
    ]  # fmt: skip
    ask = Asked(
        np.array([draw.choice((1, 2, 99)) for _ in range(contexts)]),
        np.array([draw.choice(("FR", "FR", "IN")) for _ in range(contexts)], dtype=object),
        np.array([hours(600) for _ in range(contexts)]),
        np.arange(contexts + 1) * 3,
        np.array([draw.choice((*titles, 77)) for _ in range(3 * contexts)]),
    )
    empty = [spec.schema.empty_table() for spec in (PROFILES, AVAILABILITY)]
    tables = pa.Table.from_pylist(rows + rows[:3], schema=PLAY_SCHEMA), pa.Table.from_pylist(told, schema=TITLES.schema)
    return World(*tables, *empty), ask


def require_oracles(wanted: list[Fact], world: World, ask: Asked, at_least: int) -> None:
    """Each fact is the oracle's, and so many values are there: else little is proved."""
    values, oracle = found(world, wanted, ask), world.oracle()
    for fact in wanted:
        assert values[fact.name].tolist() == expected(oracle, fact, ask), fact
    assert sum(int((values[fact.name] != NONE).sum()) for fact in wanted) > at_least


@pytest.mark.parametrize("seed", range(12))
def test_the_last_and_first_play_that_shares_a_value_are_the_oracles(seed: int) -> None:
    """Titles whose values change, plays that come late or too late, windows that plays leave."""
    require_oracles(ENDS_OF_VALUES, *crowded(Random(seed)), at_least=120)


@pytest.mark.parametrize("seed", range(8))
def test_the_last_and_first_play_in_the_local_hour_and_on_the_local_weekday_are_the_oracles(seed: int) -> None:
    """The same, and clocks that change, in two zones."""
    require_oracles(ENDS_ON_THE_CLOCK, *crowded(Random(seed), plays=120, contexts=60), at_least=300)


def test_how_the_ends_of_values_may_be_declared() -> None:
    with pytest.raises(ConfigError, match=r"over 'max' of last_played_at cannot be declared.*left out"):
        Fact("x", "profile_attribute", "last_played_at", over="max")
    with pytest.raises(ConfigError, match=r"window of first_played_at of title cannot be declared.*all time"):
        Fact("x", "title", "first_played_at", 7)


def test_shares_of_values_by_hand() -> None:
    """Of drama 2 of 3 plays are engaged, of crime 3 of 4, of all 4 of 6; one play is of both."""
    kinds = {3: ["drama"], 5: ["crime"], 8: ["drama", "crime"]}
    rows = [
        {c.PROFILE: 1, c.TITLE: title, c.PLAYED_AT: START + n, c.KNOWN_AT: START + n, c.WATCHED_MS: 1, c.ENGAGED: engaged,
         c.COUNTRY: "FR"}
        for n, (title, engaged) in enumerate([(3, 0), (3, 1), (5, 0), (5, 1), (5, 1), (8, 1)])
    ]  # fmt: skip
    told = [
        {c.TITLE: title, c.KNOWN_AT: 0, c.SOURCE_ID: "t", c.GENRES: its, c.TAGS: []} for title, its in kinds.items()
    ]
    tables = pa.Table.from_pylist(rows, schema=PLAY_SCHEMA), pa.Table.from_pylist(told, schema=TITLES.schema)
    world = World(*tables, *(spec.schema.empty_table() for spec in (PROFILES, AVAILABILITY)))
    wanted = [
        Fact("together", "profile_attribute", "share", of="profile_attribute", where="engaged == 1"),
        Fact("mean", "profile_attribute", "share", where="engaged == 1"),
        Fact("most", "profile_attribute", "share", where="engaged == 1", over="max"),
    ]
    one = Asked(np.array([1]), np.array(["FR"], dtype=object), np.array([START + DAY]), np.array([0, 1]), np.array([8]))
    values = {name: its.tolist() for name, its in found(world, wanted, one).items()}
    assert values == {"together": [(2 + 3) / (3 + 4)], "mean": [(2 + 3) / 2 / 6], "most": [3 / 6]}


#: The same sums and ends by both kinds of tick, beside each other: of all time, and of one tick.
BY_BOTH_TICKS = [
    Fact(f"{measure}_{tick}_{window}", entity, measure, window and f"1{window}", tick=tick)
    for entity, measure in (("title_country", "plays"), ("title", "watched_ms"), ("platform", "last_played_at"))
    for tick, window in (("day", None), ("hour", None), ("day", "d"), ("hour", "h"))
]  # type: ignore[arg-type]


@settings(max_examples=20, derandomize=True)
@given(worlds(), asked(), st.booleans())
def test_facts_of_the_same_sums_by_day_and_by_hour_do_not_share_them(
    world: World, ask: Asked, hours_first: bool
) -> None:
    wanted = BY_BOTH_TICKS[::-1] if hours_first else BY_BOTH_TICKS
    values, oracle = found(world, wanted, ask), world.oracle()
    for fact in wanted:
        pairs = zip(values[fact.name].tolist(), expected(oracle, fact, ask), strict=True)
        assert all(same(*pair) for pair in pairs), fact


@settings(max_examples=40, derandomize=True)
@given(worlds(), asked(), filters, st.sampled_from([c.GENRES, c.TAGS, c.RUNTIME_MS, c.RELEASED_AT, c.NAME]))
def test_a_later_row_about_a_title_changes_no_filtered_fact(world: World, ask: Asked, where: str, column: str) -> None:
    """Whether a play passes is settled when it becomes visible; what anybody learns of its title later is too late."""
    wanted = [Fact("plays", "profile", "plays", where=where), Fact("of_title", "title", "watched_ms", where=where)]
    if not len(ask.at) or not world.titles.num_rows:
        return
    known = np.maximum(*(world.plays.column(name).cast("int64").to_numpy() for name in (c.PLAYED_AT, c.KNOWN_AT)))
    late = int(max([*known, *ask.at]) + 1)
    changed = world.titles.set_column(
        world.titles.column_names.index(c.KNOWN_AT), c.KNOWN_AT,
        pa.array([late] * world.titles.num_rows, world.titles.schema.field(c.KNOWN_AT).type),
    )  # fmt: skip
    position = world.titles.column_names.index(column)
    emptied = pa.array(
        [[] if column in LISTS else None] * world.titles.num_rows, world.titles.schema.field(column).type
    )
    changed = changed.set_column(position, column, emptied)
    after = World(
        world.plays,
        pa.concat_tables([world.titles, changed.cast(world.titles.schema)]),
        world.profiles,
        world.availability,
    )
    before_values = found(world, wanted, ask)
    after_values = found(after, wanted, ask)
    assert all(before_values[fact.name].tobytes() == after_values[fact.name].tobytes() for fact in wanted)
    later = Asked(ask.profile_id, ask.country, np.full_like(ask.at, late + 10**12), ask.offsets, ask.title_id)
    before_values, after_values = found(world, wanted, later), found(after, wanted, later)
    assert all(before_values[fact.name].tobytes() == after_values[fact.name].tobytes() for fact in wanted)


@settings(max_examples=25, derandomize=True)
@given(worlds(), asked(max_contexts=6), several)
def test_together_or_alone_the_bytes_are_the_same(world: World, ask: Asked, wanted: list[Fact]) -> None:
    """Facts beside a fact, and contexts beside a context, change nothing."""
    together = found(world, wanted, ask)
    for fact in wanted:
        assert found(world, [fact], ask)[fact.name].tobytes() == together[fact.name].tobytes()
    whole = timeline(world, wanted)
    for i in range(len(ask.at)):
        rows = slice(ask.offsets[i], ask.offsets[i + 1])
        alone = compute(
            whole, wanted, profile_id=ask.profile_id[i : i + 1], country=ask.country[i : i + 1], at=ask.at[i : i + 1],
            offsets=np.array([0, rows.stop - rows.start]), title_id=ask.title_id[rows],
        )  # fmt: skip
        for fact in wanted:
            mine = slice(i, i + 1) if fact.level == "context" else rows
            assert alone[fact.name].tobytes() == together[fact.name][mine].tobytes(), fact


def test_a_later_row_that_counted_would_be_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law above can fail: a filter that takes the newest row of all changes its mind about a play."""
    plays = pa.Table.from_pylist(
        [{c.PROFILE: 1, c.TITLE: 3, c.PLAYED_AT: 0, c.KNOWN_AT: 5, c.WATCHED_MS: 1, c.ENGAGED: 1, c.COUNTRY: "FR"}],
        schema=PLAY_SCHEMA,
    )
    rows = [{c.TITLE: 3, c.KNOWN_AT: known, c.SOURCE_ID: "3", c.GENRES: genres, c.TAGS: []}
            for known, genres in ((1, ["drama"]), (7, ["crime"]))]  # fmt: skip
    drama = Fact("drama", "profile", "plays", where="'drama' in genres")
    ask = Asked(
        np.array([1]), np.array(["FR"], dtype=object), np.array([DAY]), np.array([0, 0]), np.array([], np.int64)
    )

    def dramas(described: list[dict[str, object]]) -> list[float]:
        empty = (spec.schema.empty_table() for spec in (PROFILES, AVAILABILITY))
        world = World(plays, pa.Table.from_pylist(described, schema=TITLES.schema), *empty)
        return found(world, [drama], ask)["drama"].tolist()

    assert dramas(rows[:1]) == dramas(rows) == [1]
    known_of_all = filters_values.kernels.revisions_at
    monkeypatch.setattr(
        filters_values.kernels,
        "revisions_at",
        lambda starts, known, key, at: known_of_all(starts, known, key, at + DAY),
    )
    assert dramas(rows[:1]) != dramas(rows)


@settings(max_examples=30, derandomize=True)
@given(worlds(), asked(max_contexts=2), several)
def test_the_future_cannot_be_felt_through_any_declaration(world: World, ask: Asked, wanted: list[Fact]) -> None:
    for i, at in enumerate(ask.at.tolist()):
        rows = slice(ask.offsets[i], ask.offsets[i + 1])
        one = Asked(ask.profile_id[i : i + 1], ask.country[i : i + 1], ask.at[i : i + 1],
                    np.array([0, rows.stop - rows.start]), ask.title_id[rows])  # fmt: skip
        here, there = found(world, wanted, one), found(corrupted(world, at, seed=5 + i), wanted, one)
        assert all(here[fact.name].tobytes() == there[fact.name].tobytes() for fact in wanted)


def test_a_timeline_made_without_a_facts_filter_says_so() -> None:
    empty = World(
        *(schema.empty_table() for schema in (PLAY_SCHEMA, *(t.schema for t in (TITLES, PROFILES, AVAILABILITY))))
    )
    fact = Fact("tv_plays", "profile", "plays", where="device == 'tv'")
    with pytest.raises(ConfigError, match=r"device == 'tv'"):
        compute(timeline(empty, []), [fact], profile_id=[1], country=["FR"], at=[0], offsets=[0, 0], title_id=[])
