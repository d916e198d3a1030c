"""Instants, visibility and label windows."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import clock
from rec_platform.errors import KeyRefused

DAYS = st.dates(clock.FIRST_DAY, clock.LAST_DAY)
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2089, 1, 1), timezones=st.just(UTC))


def test_examples_in_the_text_are_true() -> None:
    from rec_platform import columns, partition, pipeline

    for module in (clock, columns, partition, pipeline):
        assert doctest.testmod(module).failed == 0


@given(DAYS)
def test_a_day_begins_at_its_midnight_and_ends_before_the_next(day: date) -> None:
    start = clock.midnight(day)
    assert clock.day_of(start) == day
    assert clock.day_of(start + clock.DAY - 1) == day
    assert clock.day_of(start - 1) == day - timedelta(days=1)


@given(INSTANTS)
def test_text_and_instants_go_round(moment: datetime) -> None:
    instant = clock.to_micros(moment)
    assert clock.parse_instant(clock.iso(instant), place="test") == instant


def test_an_offset_is_the_same_instant_and_a_bare_date_is_midnight() -> None:
    at = clock.parse_instant("2025-01-01T08:00:00+08:00", place="test")
    assert at == clock.midnight(date(2025, 1, 1)) == clock.parse_instant("2025-01-01", place="test")
    shifted = datetime(2025, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    assert clock.to_micros(shifted) == at


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025-13-01", "not a day of the calendar"),
        ("1970-01-01", "outside the days"),
        ("2099-01-01", "outside the days"),
        ("today", "not a date"),
        ("2025-1-1", "not a date"),
        ("2025-01-01/../..", "not a date"),
    ],
)
def test_a_day_that_is_none_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(KeyRefused, match=message) as refused:
        clock.parse_day(text, place="--from")
    assert "--from" in str(refused.value)
    assert "YYYY-MM-DD" in refused.value.repair


@pytest.mark.parametrize(("text", "message"), [("2025-01-01T08:00:00", "no time zone"), ("noon", "not an instant")])
def test_an_instant_needs_a_zone(text: str, message: str) -> None:
    with pytest.raises(KeyRefused, match=message):
        clock.parse_instant(text, place="--as-of")


def test_a_play_at_the_very_instant_is_not_visible() -> None:
    assert not clock.visible(5, 5, 5)
    assert not clock.visible(4, 5, 5)
    assert clock.visible(4, 4, 5)


def test_the_label_window_closes_at_a_midnight_and_only_closed_days_are_usable() -> None:
    day = date(2025, 3, 10)
    assert clock.label_close(day, 2) == clock.midnight(date(2025, 3, 12))
    assert clock.usable_days(day, 3, 2) == [date(2025, 3, 6), date(2025, 3, 7), date(2025, 3, 8)]
    assert all(clock.label_close(d, 2) <= clock.midnight(day) for d in clock.usable_days(day, 3, 2))
