"""A filter that cannot be meant says what is wrong, in which column of its text, and what to write there."""

from __future__ import annotations

import pytest

from rec_platform.errors import ConfigError
from rec_platform.timetravel.filters import parse_filter

#: Text, fault, column (0: none can be named), repair; as long as they are distinctive.
FAULTS = [
    # other languages' signs
    ("device = 'tv'", "there is no `=`", 8, "Write `==`"),
    ("device == 'a = b' && row > 1", "there is no `&&`", 19, "Write `and`"),
    ("device == 'tv' || row > 1", "there is no `||`", 16, "Write `or`"),
    ("row > 1 AND row < 3", "there is no `AND`", 9, "`and`, in small letters"),
    ("row > 1 Or row < 3", "there is no `Or`", 9, "`or`, in small letters"),
    ("NOT row > 1", "there is no `NOT`", 1, "`not`, in small letters"),
    ("device IN ('tv', 'web')", "there is no `IN`", 8, "`in`, in small letters"),
    ("device IS NULL", "there is no `IS`", 8, "Write `is None`"),
    ("!engaged", "there is no `!`", 1, "Write `not`"),
    ("device <> 'tv'", "there is no `<>`", 8, "Write `!=`"),
    ("row === 3", "there is no `===`", 5, "Write `==`"),
    ("row => 3", "there is no `=>`", 5, "Write `>=`"),
    ("row =< 3", "there is no `=<`", 5, "Write `<=`"),
    ("row > 1; row < 3", "there is no `;`", 8, "Write `and`"),
    ("row between 1 and 3", "there is no `between`", 5, "1 <= row <= 3"),
    ("name like 'a%'", "there is no `like`", 6, "'part' in name"),
    ("  WHERE row > 1", "there is no `WHERE`", 3, "the condition alone"),
    ("device == \u2018tv\u2019", "there is no `\u2018`", 11, "straight quotes"),
    ("(hour > 18) & (row < 3)", "there is no `&`", 13, "Write `and`"),
    ("hour > 18 | row < 3", "there is no `|`", 11, "Write `or`"),
    ("~(hour > 18)", "is a sign", 1, "Write `not`"),
    # texts that break off
    (" \t\n", "nothing in it but spaces", 0, "leave `where` out"),
    ("row > 1 and", "breaks off at its end", 12, "Write a condition such as"),
    ("and row > 1", "`and row > 1` cannot stand here", 1, "Write a condition such as"),
    ("device == 'AND", "unterminated string literal", 11, "Close the quotes"),
    ("  (row > 1", "'(' was never closed", 3, "Write a condition such as"),
    # lists
    ("device in ()", "`device` is looked for among nothing", 11, "device in ('one', 'other')"),
    ("device in ('tv')", "looked for in `'tv'`", 1, "device in ('tv',)"),
    ("device in ('tv', 3)", "`3` in its list is a number", 18, "'3'"),
    ("row in (1, '2')", "`'2'` in its list is a text", 12, "without quotes: 2"),
    ("device in ('tv', None)", "`None` in its list is None", 18, "device is None"),
    ("device in (surface,)", "`surface` in its list is not a value", 12, "device == surface"),
    ("row in 1, 2", "is a list", 1, "in parentheses after `in`"),
    ("genres == 'drama'", "`genres` is a list of texts", 1, "Write 'drama' in genres."),
    ("'crime' != tags", "`tags` is a list of texts", 1, "Write 'crime' in tags."),
    ("genres == ['noir']", "is compared with a list", 11, "Write 'noir' in genres."),
    ("device == ('tv', 'web')", "is compared with a list", 11, "Write `in`"),
    ("genres in ('a', 'b')", "is a list of texts, looked for among", 1, "'a' in genres or 'b' in genres"),
    ("('a', 'b') in genres", "looked for as a whole", 1, "'a' in genres or 'b' in genres"),
    ("3 in genres", "`3` is looked for in `genres`", 1, "'3' in genres"),
    # kinds
    ("device == 3", "`device` is a text and `3` is a number", 1, "'3'"),
    ("row == '3'", "`row` is a number and `'3'` is a text", 1, "without quotes: 3"),
    ("row == 'home'", "`row` is a number and `'home'` is a text", 1, "Write a number"),
    ("row > 1 > 'x'", "`1` is a number and `'x'` is a text", 7, "Compare things of one kind"),
    ("weekday == 'Monday'", "`weekday` is a number", 1, "0 (Monday) to 6 (Sunday)"),
    ("(row > 1) == 1", "`row > 1` is a condition", 2, "stand alone"),
    ("row != None", "`None` is None", 1, "Write `row is not None`"),
    ("row is 3", "is compared by `is`", 1, "row == 3"),
    # columns, and conditions that are none
    ("hour > 1 and divice == 'tv'", "no column 'divice'", 14, "Did you mean device?"),
    ("DEVICE == 'tv'", "no column 'DEVICE'", 1, "Did you mean device?"),
    ("device == tv", "no column 'tv'", 11, "in quotes: 'tv'"),
    ("device is null", "no column 'null'", 11, "`is None`"),
    ("engaged == true", "no column 'true'", 12, "engaged == 1"),
    ("engaged", "a number, not a condition", 1, "engaged == 1"),
    ("row > 1 and not engaged", "a number, not a condition", 17, "engaged == 1"),
    ("genres", "a list of texts, not a condition", 1, "'drama' in genres"),
    ("device == 'tv' or 'web'", "`'web'` is a text, not a condition", 19, "device in ('tv', 'web')"),
    # what a column can never be
    ("engaged == 2", "1 (yes) or 0 (no), never 2", 12, "a number that it can be"),
    ("2 == engaged", "1 (yes) or 0 (no), never 2", 1, "a number that it can be"),
    ("engaged != 0.5", "1 (yes) or 0 (no), never 0.5", 12, "a number that it can be"),
    ("engaged in (0, 2)", "1 (yes) or 0 (no), never 2", 12, "a number that it can be"),
    ("hour >= 24", "`hour` is 0 to 23, never >= 24", 9, "a number that it can be"),
    ("0 > hour", "`hour` is 0 to 23, never < 0", 1, "a number that it can be"),
    ("weekday == 7", "0 (Monday) to 6 (Sunday), never 7", 12, "a number that it can be"),
    ("row == 1e400", "too large", 8, "less than 2^63"),
    # columns of a text are letters, not bytes
    ("device == 'é' and engaged", "a number, not a condition", 19, "engaged == 1"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "fault", "column", "repair"), FAULTS, ids=[row[0][:30] for row in FAULTS])
def test_a_fault_is_named_with_its_column_and_repair(where: str, fault: str, column: int, repair: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_filter(where, place="fact 'x'")
    assert fault in refused.value.fault
    at = f", column {column}" if column else ""
    assert refused.value.place == f"fact 'x', where {where!r}{at}"
    assert repair in refused.value.repair


@pytest.mark.parametrize(
    ("where", "place", "repair"),
    [
        ("device == 'tv'\nand row > 1", "line 1, column 15", "parentheses around the whole"),
        ("\n  (device == 'tv'\n  and engaged)", "line 3, column 7", "engaged == 1"),
        ("(row > 1 and\n row = 2)", "line 2, column 6", "Write `==`"),
    ],
)
def test_of_several_lines_the_line_is_named_too(where: str, place: str, repair: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_filter(where, place="fact 'x'")
    assert refused.value.place.endswith(place)
    assert repair in refused.value.repair


def test_of_a_long_text_the_piece_around_the_fault_is_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_filter("row > 1 and " * 60 + "hours > 3", place="fact 'x'")
    assert "hours > 3', column 721" in refused.value.place
    assert len(refused.value.place) < 300


@pytest.mark.parametrize("where", [3, ["row > 1"], b"row > 1"])
def test_a_filter_that_is_no_text_is_refused(where: object) -> None:
    with pytest.raises(ConfigError, match=r"a filter is a text, not .*Write the condition in quotes"):
        parse_filter(where, place="fact 'x'")  # type: ignore[arg-type]


#: What facts were declared with, and how it is kept: fingerprints of what was made stand on it.
KEPT = [
    ("('drama' in genres)", "'drama' in genres"),
    ('  device == "tv"  ', "device == 'tv'"),
    ("\n device not in ['tv','web']\n", "device not in ['tv', 'web']"),
    ("watched_ms<0.9*runtime_ms", "watched_ms < 0.9 * runtime_ms"),
    ("0<=hour<24 and not(weekday in(5,6))", "0 <= hour < 24 and (not weekday in (5, 6))"),
    ("played_at-released_at<'7d' or row is not None", "played_at - released_at < '7d' or row is not None"),
    ("watched_ms > 1_000 # more than a second", "watched_ms > 1000"),
    ("engaged == 1.0 and - row > -3", "engaged == 1.0 and -row > -3"),
    ("engaged < 2 and hour < 24 and weekday <= 6", "engaged < 2 and hour < 24 and (weekday <= 6)"),
]


@pytest.mark.parametrize(("where", "text"), KEPT)
def test_a_filter_is_kept_in_the_same_words_as_ever(where: str, text: str) -> None:
    assert parse_filter(where, place="test").text == text
