"""Plain logs: every way in gives the same interactions, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_platform.errors import SchemaError
from rec_platform.protocols import Interactions, read_interactions, read_sequences

ROWS = [("u2", "b", 30), ("u1", "a", 10), ("u1", "b", 20), ("u1", "c", 20)]


def same(left: Interactions, right: Interactions) -> bool:
    def texts(log: Interactions) -> list[tuple[str, str, int]]:
        return sorted(
            (log.profiles[who], log.titles[what], int(when))
            for who, what, when in zip(log.profile, log.title, log.at, strict=True)
        )

    return texts(left) == texts(right)


@pytest.fixture
def expected() -> Interactions:
    who, what, when = zip(*ROWS, strict=True)
    return Interactions.of(pa.array(who), pa.array(what), np.array(when) * 1_000_000)


def test_csv_parquet_and_odd_separators(tmp_path: Path, expected: Interactions) -> None:
    names = {"profile": "user", "title": "item", "at": "ts"}
    plain = tmp_path / "a.csv"
    plain.write_text("user,item,ts\n" + "".join(f"{u},{i},{t}\n" for u, i, t in ROWS))
    odd = tmp_path / "a.dat"
    odd.write_text("".join(f"{u}::{i}::{t}\n" for u, i, t in ROWS))
    flat = tmp_path / "a.parquet"
    pq.write_table(pa.table(dict(zip(names.values(), zip(*ROWS, strict=True), strict=True))), flat)
    assert same(read_interactions(plain, **names), expected)
    assert same(read_interactions(odd, **names, separator="::", names=("user", "item", "ts")), expected)
    assert same(read_interactions(flat, **names), expected)


@pytest.mark.parametrize(("number", "unit"), [(1365029107, 10**6), (1365029107000, 10**3), (1365029107000000, 1)])
def test_seconds_milliseconds_microseconds(tmp_path: Path, number: int, unit: int) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"u,i,t\n1,2,{number}\n")
    log = read_interactions(file, profile="u", title="i", at="t")
    assert log.at.tolist() == [number * unit]


def test_equal_times_keep_the_order_of_the_file(expected: Interactions) -> None:
    mine = expected.profile == expected.profiles.index("u1")
    assert [expected.titles[one] for one in expected.title[mine]] == ["a", "b", "c"]


def test_sequences(tmp_path: Path) -> None:
    file = tmp_path / "s.txt"
    file.write_text("1 10 11 10\n\n2 11\n")
    log = read_sequences(file)
    assert not log.timed
    assert log.at.tolist() == [0, 1, 2, 0]
    assert [log.titles[one] for one in log.title] == ["10", "11", "10", "11"]
    assert log.starts.tolist() == [0, 3, 4]


def test_a_missing_column_is_named_with_those_there(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("u,i\n1,2\n")
    with pytest.raises(SchemaError, match="no column 'user'") as fault:
        read_interactions(file, profile="user", title="i")
    assert "It has u, i:" in fault.value.repair


def test_a_missing_value_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("u,i,t\n1,2,3\n,2,4\n")
    with pytest.raises(SchemaError, match="1 rows without a value"):
        read_interactions(file, profile="u", title="i", at="t")


def test_a_time_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("u,i,t\n1,2,soon\n")
    with pytest.raises(SchemaError, match="no time"):
        read_interactions(file, profile="u", title="i", at="t")


def test_a_line_of_other_width_and_an_empty_sequence(tmp_path: Path) -> None:
    file = tmp_path / "a.dat"
    file.write_text("1::2::3\n1::2\n")
    with pytest.raises(SchemaError, match="line 2 does not have 3 fields"):
        read_interactions(file, profile="u", title="i", separator="::", names=("u", "i", "t"))
    file.write_text("1 2\n3\n")
    with pytest.raises(SchemaError, match="line 2 has no item"):
        read_sequences(file)


@pytest.mark.parametrize("separator", [",", "::"])
@pytest.mark.parametrize("text", ["", "u,i,t\n1,2,3\n1,2,3,4\n", "u,i,t\n1,\xff,3\n"])
def test_what_cannot_be_read_is_an_error_with_its_file(tmp_path: Path, text: str, separator: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(text.replace(",", separator).encode("latin-1"))
    with pytest.raises(SchemaError, match=r"a\.csv"):
        read_interactions(file, profile="u", title="i", at="t", separator=separator)
    (tmp_path / "a.parquet").write_bytes(file.read_bytes())
    with pytest.raises(SchemaError, match="it cannot be read"):
        read_interactions(tmp_path / "a.parquet", profile="u", title="i")


@pytest.mark.parametrize(("number", "micros"), [("10.25", 10_250_000), ("1365029107.5", 1365029107_500_000)])
def test_parts_of_a_second_are_read(tmp_path: Path, number: str, micros: int) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"u,i,t\n1,2,{number}\n")
    assert read_interactions(file, profile="u", title="i", at="t").at.tolist() == [micros]


def test_timestamps_finer_than_a_microsecond_and_with_a_zone_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("u,i,t\n1,2,2020-01-01T00:00:01.123456789Z\n1,3,2020-01-01T01:00:00Z\n")
    log = read_interactions(file, profile="u", title="i", at="t")
    assert (log.at - 1_577_836_800_000_000).tolist() == [1_123_456, 3_600_000_000]


def test_ids_that_parquet_holds_as_categories(tmp_path: Path, expected: Interactions) -> None:
    """A category that no row has is nobody."""
    who, what, when = zip(*ROWS, strict=True)
    users = pa.DictionaryArray.from_arrays([["u0", "u1", "u2"].index(one) for one in who], ["u0", "u1", "u2"])
    table = pa.table({"u": users, "i": pa.array(what).dictionary_encode(), "t": np.array(when, dtype=np.float64)})
    pq.write_table(table, tmp_path / "a.parquet")
    log = read_interactions(tmp_path / "a.parquet", profile="u", title="i", at="t")
    assert same(log, expected)
    assert log.profiles == ("u2", "u1")


def test_blank_lines_and_a_byte_order_mark_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.dat"
    file.write_bytes(b"\xef\xbb\xbfu::i\n7::a\n\n7::b\x0cc\n\n")  # a form feed ends no line
    log = read_interactions(file, profile="u", title="i", separator="::")
    assert (log.profiles, log.titles) == (("7",), ("a", "b\x0cc"))
    file.write_bytes(b"\xef\xbb\xbf7 a b\n")
    assert read_sequences(file).profiles == ("7",)


@pytest.mark.parametrize(
    ("rows", "said", "repair"),
    [
        ("u,u,i\n1,2,3\n", "2 columns 'u'", "It has u, u, i"),
        ("u;i\n1;2\n", "no column 'u'", "another --separator"),
        ("u,i\nx,a\n,b\n", "column 'u' has 1 rows without a value", "Remove these rows"),
        ("u,i\n", "no interaction in it", "a row per interaction"),
    ],
)
def test_files_that_say_nothing_of_somebody(tmp_path: Path, rows: str, said: str, repair: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(rows)
    with pytest.raises(SchemaError, match=said) as fault:
        read_interactions(file, profile="u", title="i")
    assert repair in fault.value.repair


def test_times_without_end_are_none(tmp_path: Path) -> None:
    for value, said in ((np.inf, "a value is no time: inf"), (np.nan, "1 rows without a value")):
        pq.write_table(pa.table({"u": [1, 1], "i": [2, 3], "t": [1.0, value]}), tmp_path / "a.parquet")
        with pytest.raises(SchemaError, match=said):
            read_interactions(tmp_path / "a.parquet", profile="u", title="i", at="t")


def test_no_file_no_separator_and_sequences_of_nobody(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be read: Is a directory"):
        read_sequences(tmp_path)
    with pytest.raises(SchemaError, match="cannot be read"):
        read_interactions(tmp_path / "none.csv", profile="u", title="i")
    file = tmp_path / "s.txt"
    file.write_bytes(b"\xff 1 2\n")
    with pytest.raises(SchemaError, match="cannot be read: 'utf-8'"):
        read_sequences(file)
    with pytest.raises(SchemaError, match="no separator"):
        read_interactions(file, profile="u", title="i", separator="")
    file.write_text("\n")
    with pytest.raises(SchemaError, match="no interaction in it"):
        read_sequences(file)
