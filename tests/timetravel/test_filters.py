"""Filters say what Python would say of each play; later rows of titles change none of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import PLAY_SCHEMA, RULES, START, World, filters, worlds

from rec_platform import columns as c
from rec_platform.clock import HOUR
from rec_platform.tables import TITLES
from rec_platform.testing.timeline_oracle import holds
from rec_platform.timetravel.filters import parse_filter


def masked(where: str, plays: pa.Table, titles: pa.Table) -> list[bool]:
    return parse_filter(where, place="test").bound(titles, RULES)(plays).tolist()


@pytest.mark.slow
@settings(max_examples=200, derandomize=True)
@given(worlds(), filters)
def test_every_filter_is_the_oracles(world: World, where: str) -> None:
    oracle = world.oracle()
    wanted = [holds(where, oracle.seen_first(play)) for play in oracle.plays]
    assert masked(where, world.plays, world.titles) == wanted


@settings(max_examples=50, derandomize=True)
@given(worlds(), filters)
def test_written_in_the_standard_way_it_says_the_same(world: World, where: str) -> None:
    standard = parse_filter(where, place="test").text
    assert parse_filter(standard, place="test").text == standard
    assert masked(standard, world.plays, world.titles) == masked(where, world.plays, world.titles)


@settings(max_examples=50, derandomize=True)
@given(worlds(), filters)
def test_it_reads_the_columns_it_names_and_no_others(world: World, where: str) -> None:
    needed = list(parse_filter(where, place="test").play_columns)
    assert masked(where, world.plays.select(needed), world.titles) == masked(where, world.plays, world.titles)


#: A play of title 7 on the day START, at 20:00 UTC, known at 21:00.
PLAYED, KNOWN = START + 20 * HOUR, START + 21 * HOUR


def title(known_at: int, *genres: str) -> dict[str, object]:
    return {c.TITLE: 7, c.KNOWN_AT: known_at, c.SOURCE_ID: "7", c.GENRES: list(genres), c.TAGS: []}


def play(**changed: object) -> pa.Table:
    row = {c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: PLAYED, c.KNOWN_AT: KNOWN, c.COUNTRY: "FR", c.DEVICE: "tv", **changed}
    return pa.Table.from_pylist([row], schema=PLAY_SCHEMA)


@pytest.mark.parametrize(("known_at", "counts"), [(PLAYED, True), (KNOWN, True), (KNOWN + 1, False)])
def test_the_title_is_read_as_known_when_the_play_is_first_visible(known_at: int, counts: bool) -> None:
    """First visible just after `known_at`: a row delivered with the play counts, the next one does not."""
    titles = pa.Table.from_pylist([title(START, "crime"), title(known_at, "drama")], schema=TITLES.schema)
    assert masked("'drama' in genres", play(), titles) == [counts]
    assert masked("'crime' in genres", play(), titles) == [not counts]


SOUGHT = [
    ("'drama' in genres", {("genres", "drama", False)}),
    ("'part' not in name", {("name", "part", True)}),
    ("device == 'tv' and 'web' != device", {("device", "tv", False), ("device", "web", False)}),
    ("device in ('tv', 'web') and not (surface not in ['home'])",
     {("device", "tv", False), ("device", "web", False), ("surface", "home", False)}),
    ("released_at >= '2024-01-01' and released_at == '2024-01-02'", set()),
    ("'a' < device < 'u' and row in (1, 2) and device == surface", set()),
]  # fmt: skip


@pytest.mark.parametrize(("where", "texts"), SOUGHT)
def test_the_texts_it_looks_for(where: str, texts: set[tuple[str, str, bool]]) -> None:
    assert {(one.column, one.text, one.piece) for one in parse_filter(where, place="test").sought} == texts


NULLS = [
    ("row < 3", False), ("row != 3", False), ("row not in (1, 2)", False), ("not row < 3", True), ("row is None", True),
    ("row + 1 is None", True), ("surface == 'home'", False), ("surface != 'home'", False), ("watched_ms / 0 > 1", False),
    ("'drama' in genres", False), ("'drama' not in genres", False), ("genres is None", True), ("device < 'u'", True),
    ("0 <= hour < 24", True), ("row is None and surface is None", True), ("device == 'tv' or row > 1", True),
]  # fmt: skip


@pytest.mark.parametrize(("where", "passes"), NULLS)
def test_what_is_missing_passes_no_comparison(where: str, passes: bool) -> None:
    assert masked(where, play(), TITLES.schema.empty_table()) == [passes]


@pytest.mark.parametrize(("country", "hour", "weekday"), [("FR", 21, 5), ("IN", 1, 6), ("US", 20, 5)])
def test_hour_and_weekday_are_local_to_the_country_of_the_play(country: str, hour: int, weekday: int) -> None:
    """2025-03-29, a Saturday, 20:00 UTC: 21:00 in Paris, Sunday 01:30 in Kolkata, and UTC by default."""
    here = play(**{c.COUNTRY: country})
    assert masked(f"hour == {hour} and weekday == {weekday}", here, TITLES.schema.empty_table()) == [True]


@settings(max_examples=40, derandomize=True)
@given(worlds(), filters)
def test_a_batch_gets_what_the_table_gets(world: World, where: str) -> None:
    ask = parse_filter(where, place="test").bound(world.titles, RULES)
    parts = [ask(batch).tolist() for batch in world.plays.to_batches(max_chunksize=4)]
    assert [one for part in parts for one in part] == ask(world.plays).tolist()


def test_no_plays_give_an_empty_mask() -> None:
    found = parse_filter("'drama' in genres and hour > 3 and row in (1, 2)", place="test").bound(
        TITLES.schema.empty_table(), RULES
    )(PLAY_SCHEMA.empty_table())
    assert found.dtype == np.bool_ and found.shape == (0,)
