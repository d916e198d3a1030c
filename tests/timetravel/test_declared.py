"""What can be declared of a fact, and how a declaration that cannot be meant is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rec_platform.clock import DAY, HOUR, MINUTE
from rec_platform.errors import ConfigError
from rec_platform.timetravel.declared import MEASURES, WHOLES, Fact


def fact(**changed: Any) -> Fact:
    return Fact(**{"name": "x", "entity": "profile", "measure": "plays", **changed})


def test_the_shortest_declaration() -> None:
    drama = Fact("drama_plays_7d", "profile", "plays", "7d", where="'drama' in genres")
    assert (drama.level, drama.kind, drama.unit, drama.window, drama.micros) == ("context", "sum", "plays", 7, 7 * DAY)
    assert drama.play_columns == ("known_at", "played_at", "title_id")


@pytest.mark.parametrize(
    ("window", "micros"),
    [("30min", 30 * MINUTE), ("6h", 6 * HOUR), ("24h", DAY), (7, 7 * DAY), ("7d", 7 * DAY), (None, -1)],
)
def test_windows_are_minutes_to_days_or_all_time(window: int | str | None, micros: int) -> None:
    assert fact(window=window).micros == micros


def test_the_same_window_or_filter_written_otherwise_is_the_same_fact() -> None:
    assert fact(window="48h") == fact(window=2)
    assert fact(where=" ( watched_ms>1_000 )") == fact(where="watched_ms > 1000") != fact(where="watched_ms > 999")
    assert (
        fact(measure="share", entity="title").to_json()
        == fact(measure="share", entity="title", of="platform").to_json()
    )


def test_everything_that_says_something_is_in_the_json() -> None:
    filtered = fact(entity="country", measure="share", window="6h", where="engaged == 1", of="country", tick="hour")
    assert filtered.to_json() == {
        "name": "x", "entity": "country", "measure": "share", "window": "6h", "about": "", "attribute": "genres",
        "over": "mean", "where": "engaged == 1", "of": "country", "tick": "hour",
    }  # fmt: skip


@pytest.mark.parametrize("entity", MEASURES)
def test_every_measure_of_every_entity_can_be_declared(entity: str) -> None:
    for measure in MEASURES[entity]:
        where = "engaged == 1" if measure == "share" else None
        assert fact(entity=entity, measure=measure, where=where).unit
    assert ("share" in MEASURES[entity]) == (entity in WHOLES)


OF_VALUES = {
    "entity": "profile_attribute", "measure": "share", "of": "profile_attribute", "where": "engaged == 1", "over": "max",
}  # fmt: skip
REFUSED = [
    ({"entity": "profil"}, "did you mean 'profile'"),
    ({"measure": "play"}, "did you mean 'plays'"),
    ({"entity": "title", "measure": "distinct_titles"}, "measure 'distinct_titles' of entity title cannot be declared"),
    ({"measure": "session_id"}, "measure 'session_id'"),
    ({"measure": "propensity"}, "not whole numbers, so it has no sum"),
    ({"attribute": "colours"}, "one of ['genres', 'tags']"),
    ({"window": 0}, "'30min', '6h' or '7d'"), ({"window": "7"}, "window '7' cannot be read"),
    ({"window": True}, "window True"), ({"window": 7.0}, "window 7.0"), ({"window": "2w"}, "window '2w'"),
    ({"window": 36_501}, "up to 36500 days"), ({"window": "-6h"}, "window '-6h'"), ({"window": "٣d"}, "window '٣d'"),
    ({"entity": "title", "window": "36h"}, "not whole days (fact 'x'). It is read as of the last full day; give whole"),
    ({"entity": "title", "window": "90min", "tick": "hour"}, "is not whole hours"),
    ({"tick": "hour"}, "left out: it is read at the instant itself"),
    ({"entity": "title", "measure": "released_at", "window": 7}, "None: all time"),
    ({"entity": "title", "measure": "released_at", "where": "engaged == 1"}, "it is not about plays"),
    ({"of": "platform"}, "only a share has a whole"),
    ({"measure": "share"}, "of itself without a filter"),
    (OF_VALUES, "cannot be declared: each value has a whole of its own (fact 'x'). Write over=\"mean\" (the plays of all"),
    (OF_VALUES, "or of=\"profile\" (the greatest share of the profile's plays)"),
    ({"entity": "profile_title", "measure": "share", "of": "platform"}, "one of ['profile', 'profile_title']"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=[str(row[0]) for row in REFUSED])
def test_what_cannot_be_meant_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="fact 'x'") as refused:
        fact(**changed)
    assert message in str(refused.value)


FILTERS = [
    ("'drama' in genre", "Did you mean genres"),
    ("drama in genres", "there is no column 'drama'"),
    ("__import__('os')", "is a call"),
    ("device.upper == 'TV'", "is an attribute"),
    ("genres[0] == 'drama'", "is a piece of something"),
    ("(lambda: 1) == 1", "is a function"),
    ("(1 if engaged == 1 else 0) == 1", "is a choice"),
    ("f'{device}' == 'tv'", "is a formatted text"),
    ("[1 for row in row] == 1", "is ListComp"),
    ("(row := 1) == 1", "is NamedExpr"),
    ("watched_ms ** 2 > 1", "Use + - * / between numbers"),
    ("+row > 1", "`+row` is a sign"),
    ("device + 'x' == 'tv'", "computes with a text and a text"),
    ("watched_ms", "is a number, not a condition"),
    ("engaged == 1 and row", "is a number, not a condition"),
    ("1 < 2", "it names no column"),
    ("device == 1", "`device` is a text and `1` is a number"),
    ("engaged == True", "Write 1 or 0 for yes or no"),
    ("device == None", "Write `device is None`"),
    ("device is 'tv'", "Write a column `is None`"),
    ("genres == 'drama'", "Write 'drama' in genres."),
    ("device in genres", "'drama' in genres"),
    ("device in 'tv'", "Write device == 'tv', or a list: device in ('tv',)"),
    ("device in ()", "is looked for among nothing"),
    ("device in ('tv', 1)", "`1` in its list is a number"),
    ("played_at in ('2025-01-01',)", "looked for among"),
    ("title_id < 5", "is an id, which has no order"),
    ("title_id == 99999999999999999999", "cannot be compared with"),
    ("title_id == 1.5", "is an id and `1.5` is a number"),
    ("released_at > 'yesterday'", "Write an instant as"),
    ("released_at > 5", "Write the instant as"),
    ("played_at - released_at < 'a week'", "'30min', '6h' or '7d'"),
    ("played_at - released_at < 7", "Write the time as '7d'"),
    ("(engaged == 1) == (row == 1)", "is a condition"),
    ("engaged = 1", "it cannot be read"),
    ("engaged == 1; row", "it cannot be read"),
    ("", "there is nothing in it (fact 'x', where ''). Write a condition such as: "),
    ("", "For all plays leave `where` out."),
    (" \t\n", "there is nothing in it but spaces"),
    ("(" * 400 + ")" * 400, "it cannot be read"),
    ("-" * 900 + "row > 1", "nested more than"),
    ("not " * 100 + "row > 1", "nested more than"),
    ("row > 1 or " * 100 + "row > 1", "Keep it to 1000"),
    ("row > 1\x00", "it cannot be read"),
]


@pytest.mark.parametrize(("where", "message"), FILTERS, ids=lambda text: text[:30])
def test_a_filter_that_cannot_be_meant_is_refused(where: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        fact(where=where)
    assert "fact 'x', where" in str(refused.value)


def test_no_filter_is_no_filter() -> None:
    assert fact().filter is None and fact(where=None) == fact()


def test_of_records_an_empty_filter_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"filter of released_at cannot be declared.*left out"):
        fact(entity="title", measure="released_at", where="")


@pytest.mark.parametrize("where", [0, False, [], b""])
def test_what_is_no_text_is_no_filter_either(where: object) -> None:
    with pytest.raises(ConfigError, match=r"a filter is a text, not .*fact 'x'"):
        fact(where=where)


def test_no_filter_is_in_the_json_as_ever_so_digests_stay() -> None:
    assert fact().to_json()["where"] == ""
