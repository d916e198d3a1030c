"""The content hash: over rows in order, and over nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.lake import content_hash, content_hash_like, known_hashes

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.integers(-5, 5),
            "x": st.none() | st.floats(allow_nan=True),
            "t": st.none() | st.text(max_size=3),
            "l": st.lists(st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.floats(0, 1)}), max_size=3),
        }
    ),
    max_size=8,
)
SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("t", pa.string()),
        ("l", pa.list_(pa.struct([("a", pa.int64()), ("b", pa.float64())]))),
    ]
)


@given(ROWS, st.integers(0, 8))
def test_chunks_do_not_count(rows: list[dict[str, object]], cut: int) -> None:
    whole = pa.Table.from_pylist(rows, schema=SCHEMA)
    pieces = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    assert content_hash(pieces) == content_hash(whole)


@given(ROWS, ROWS)
def test_other_rows_hash_otherwise(one: list[dict[str, object]], other: list[dict[str, object]]) -> None:
    a, b = (pa.Table.from_pylist(rows, schema=SCHEMA) for rows in (one, other))
    same = repr(one) == repr(other)
    assert (content_hash(a) == content_hash(b)) == same


def test_the_payload_of_a_nan_and_what_stands_under_a_null_do_not_count() -> None:
    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert content_hash(pa.table({"x": odd})) == content_hash(pa.table({"x": [float("nan")]}))
    mask = np.array([True])
    under = [pa.table({"x": pa.array(np.array([v]), mask=mask)}) for v in (1, 2)]
    assert content_hash(under[0]) == content_hash(under[1])


def test_numbers_longer_than_a_block_hash_as_one() -> None:
    long = np.arange(200_001.0)
    long[[70_000, -1]] = np.array([0x7FF8000000000001] * 2, dtype=np.uint64).view(np.float64)
    plain = np.where(np.isnan(long), np.nan, long)
    assert content_hash(pa.table({"x": long})) == content_hash(
        pa.table({"x": pa.chunked_array([plain[:9], plain[9:]])})
    )


def test_hashes_on_record_stay_what_they_were() -> None:
    """Both hashes of one table, written down: a change to either would make every home's partitions look changed."""
    rows = {
        "n": [1, None, 3],
        "x": [0.5, float("nan"), -0.0],
        "t": ["a", "", "ü"],
        "l": [[{"a": 1}], [], [{"a": 2}, {"a": 3}]],
        "d": [date(2025, 3, 10)] * 3,
    }
    recorded = (
        "b625c133908ac8b145c085f5189dce78",
        "e6c42582d3777b96d592bae3ae6e4bde99c3237b24dbe2524cd6487886759934",
    )
    assert content_hash(pa.table(rows)) == recorded[0]
    for digest in recorded:
        assert content_hash_like(digest, pa.table(rows)) == digest
        assert content_hash_like(digest, pa.table(rows | {"n": [1, None, 4]})) != digest


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"x": [1, 2]}, {"x": [2, 1]}),
        ({"x": [1]}, {"y": [1]}),
        ({"x": ["ab", "c"]}, {"x": ["a", "bc"]}),
        ({"x": [[1], [2, 3]]}, {"x": [[1, 2], [3]]}),
        ({"x": pa.array([1], pa.int32())}, {"x": pa.array([1], pa.int64())}),
    ],
)
def test_order_names_boundaries_and_types_count(a: dict[str, object], b: dict[str, object]) -> None:
    assert content_hash(pa.table(a)) != content_hash(pa.table(b))


def test_known_hashes_split_by_the_day_a_row_became_known() -> None:
    known = [
        datetime(2025, 3, 10, 23, tzinfo=UTC),
        datetime(2025, 3, 12, tzinfo=UTC),
        datetime(2025, 3, 10, tzinfo=UTC),
    ]
    rows = pa.table({"x": [1, 2, 3], "known_at": pa.array(known, pa.timestamp("us", tz="UTC"))})
    found = known_hashes(rows)
    assert list(found) == [date(2025, 3, 10), date(2025, 3, 12)]
    assert found[date(2025, 3, 12)] == content_hash(rows.slice(1, 1))
    assert known_hashes(pa.table({"x": [1]})) == {}
    assert known_hashes(rows.slice(0, 0)) == {}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_a_known_date_has_the_hash_of_its_rows_in_their_order(days: list[int]) -> None:
    known = pa.array([date(2025, 3, 10 + day) for day in days])
    rows = pa.table({"x": range(len(days)), "known_date": known})
    slow = {day: content_hash(rows.filter(pc.equal(rows["known_date"], day))) for day in set(known.to_pylist())}
    assert known_hashes(rows) == slow
    assert known_hashes(rows, content_hash(rows)) == slow
