"""Instants as sources write them: every format, against Python's own clock arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.clock import to_micros
from rec_platform.engine.duckdb import connect
from rec_platform.plays.mapping import Moment
from rec_platform.plays.typed import Reading

LONDON = ZoneInfo("Europe/London")
CONNECTION = connect()


def read(text: str, **rule: str) -> int | None:
    reading = Reading()
    expression = reading.moment(Moment(column="at", **rule)).replace("{text}", "CAST($text AS VARCHAR)")
    return CONNECTION.execute(f"SELECT {expression}", {**reading.params, "text": text}).fetchone()[0]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2025-03-10T20:00:00Z", {}),
        ("2025-03-10 20:00:00+00", {}),
        ("2025-03-10T21:30+01:30", {}),
        ("2025-03-10T15:00:00-0500", {}),
        ("2025-03-10T20:00:00.000", {}),
        ("2025-03-10 21:00", {"time_zone": "Europe/Paris"}),
        ("1741636800", {"format": "epoch_s"}),
        ("1741636800.0", {"format": "epoch_s"}),
        ("1741636800000", {"format": "epoch_ms"}),
        ("10.03.2025 20:00", {"format": "%d.%m.%Y %H:%M"}),
        ("20250310 2200 +0200", {"format": "%Y%m%d %H%M %z"}),
    ],
)
def test_the_same_instant_in_every_format(text, rule):
    assert read(text, **rule) == to_micros(datetime(2025, 3, 10, 20, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("soon", {}), ("infinity", {}), ("epoch", {}), ("2025-02-30T00:00:00Z", {}), ("2025-3-10", {}), ("20:00", {}),
        ("2025-03-10T20:00:00 Europe/Paris", {}), ("1.7e9", {"format": "epoch_s"}), ("9" * 30, {"format": "epoch_ms"}),
        ("99999999999999999", {"format": "epoch_s"}), ("2025-03-10", {"format": "%d.%m.%Y"}), ("19xx", {"format": "year"}),
    ],
)  # fmt: skip
def test_what_is_no_instant_is_null(text, rule):
    assert read(text, **rule) is None


def test_fractions_are_exact_to_the_microsecond():
    assert read("1741636800.123456", format="epoch_s") == 1_741_636_800_123_456
    assert read("2025-03-10T20:00:00.123456Z") == 1_741_636_800_123_456


def test_a_year_is_its_first_instant_and_a_bare_date_its_midnight_there():
    assert read("1915", format="year") == to_micros(datetime(1915, 1, 1, tzinfo=UTC))
    assert read("2022-04-10", time_zone="Asia/Shanghai") == to_micros(datetime(2022, 4, 9, 16, tzinfo=UTC))
    assert read("The Bank (1915)", pattern=r"\((\d{4})\)", format="year") == read("1915", format="year")


def test_local_times_that_occur_twice_or_never():
    assert read("2011-10-30 01:30:00", time_zone="Europe/London") == to_micros(
        datetime(2011, 10, 30, 1, 30, tzinfo=UTC)
    )
    assert read("2011-03-27 01:30:00", time_zone="Europe/London") == to_micros(datetime(2011, 3, 27, 1, 30, tzinfo=UTC))


@given(st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_local_times_agree_with_python(moment):
    local = moment.replace(microsecond=0).astimezone(LONDON)
    if local.fold or local.replace(fold=1).utcoffset() != local.utcoffset():
        local += timedelta(hours=3)
    assert read(local.strftime("%Y-%m-%d %H:%M:%S"), time_zone="Europe/London") == to_micros(local)
