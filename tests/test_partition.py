"""Keys: parsed, formatted, and refused when hostile."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.errors import KeyRefused
from rec_platform.partition import Grain, Partition

DAYS = st.dates(date(1990, 1, 1), date(2089, 12, 31))
COUNTRIES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)


@given(DAYS, COUNTRIES)
def test_keys_go_round(day: date, country: str) -> None:
    for partition in (Partition(day, country), Partition(day), Partition()):
        assert Partition.parse(partition.key) == partition


def test_a_key_names_the_country_first_as_dagster_orders_dimensions() -> None:
    assert Partition(date(2025, 1, 1), "FR").key == "FR|2025-01-01"
    assert Partition.parse("all").grain is Grain.NONE
    assert Partition.parse("2025-01-01").grain is Grain.DATE


@pytest.mark.parametrize(
    "key",
    ["*|2025-01-01", "../x|2025-01-01", "fr|2025-01-01", "FRA|2025-01-01", "|2025-01-01", "FR|*", "FR|1970-01-01",
     "FR|2099-01-01", "FR|2025-01-01|x", "", "FR", "FR|2025-01-01/..", "F'|2025-01-01", "FR\n|2025-01-01"],
)  # fmt: skip
def test_hostile_keys_are_refused_by_name(key: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        Partition.parse(key)
    assert repr(key) in str(refused.value)


def test_partitions_sort_by_day_then_country() -> None:
    keys = ["FR|2025-01-02", "DE|2025-01-02", "FR|2025-01-01"]
    assert [p.key for p in sorted(Partition.parse(key) for key in keys)] == [
        *keys[::-1][:1],
        "DE|2025-01-02",
        "FR|2025-01-02",
    ]


def test_a_country_without_a_date_is_no_partition() -> None:
    with pytest.raises(KeyRefused, match="no date"):
        Partition(None, "FR")
