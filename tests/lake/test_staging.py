"""A partition's file: what its leaves are written as, and that nothing is lost on the way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_platform.engine.duckdb import connect
from rec_platform.lake import Lake, Manifest, content_hash
from rec_platform.lake.staging import write_parquet
from rec_platform.partition import Partition
from rec_platform.tables import QUARANTINED_PLAYS

#: What every engine reads; Spark's vectorised reader learned BYTE_STREAM_SPLIT in 2026 only.
READ_EVERYWHERE = {"PLAIN", "RLE", "RLE_DICTIONARY"}
LARGEST = 2**63 - 1
CONTEXTS, ITEMS = 400, 20
EMPTY_LIST = pa.table({"x": pa.array([[]], pa.list_(pa.float64()))})


def nested_rows() -> pa.Table:
    """Lists of items with a count, a number that stays within its context, scores that never repeat, and one with gaps."""
    rng, n = np.random.default_rng(5), CONTEXTS * ITEMS
    scores = rng.random(n)
    features = {
        "count": rng.integers(0, 9, n).astype(np.float64),
        "same": np.repeat(rng.random(CONTEXTS), ITEMS),
        "score": scores,
        "gaps": np.where(scores < 0.9, np.nan, 7.0),
    }
    inner = pa.StructArray.from_arrays([pa.array(values) for values in features.values()], names=list(features))
    items = pa.StructArray.from_arrays([pa.array(rng.integers(1, 99, n)), inner], names=["id", "features"])
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, n + 1, ITEMS, dtype=np.int32)), items)
    return pa.table({"profile_id": np.arange(CONTEXTS), "items": lists})


def encodings(path: Path) -> dict[str, set[str]]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    leaves = (group.column(number) for number in range(group.num_columns))
    return {leaf.path_in_schema.rpartition(".")[2]: set(leaf.encodings) for leaf in leaves}


def test_leaves_whose_values_repeat_have_dictionaries(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.parquet", nested_rows()
    write_parquet(rows, path)
    found = encodings(path)
    with_dictionary = {name for name, how in found.items() if "RLE_DICTIONARY" in how}
    assert with_dictionary == {"id", "count", "same", "gaps"}
    assert set().union(*found.values()) <= READ_EVERYWHERE
    assert content_hash(pq.read_table(path)) == content_hash(rows)


@pytest.mark.parametrize("leaf", ["count", "same", "score", "gaps"])
def test_a_leaf_is_read_alone(tmp_path: Path, leaf: str) -> None:
    path, rows = tmp_path / "rows.parquet", nested_rows()
    write_parquet(rows, path)
    alone = pq.ParquetFile(path).read(columns=[f"items.list.element.features.{leaf}"])
    whole = rows.column("items").chunk(0).flatten().field("features").field(leaf)
    read = alone.column("items").chunk(0).flatten().field("features").field(leaf)
    assert content_hash(pa.table({"x": read})) == content_hash(pa.table({"x": whole}))


def whole_numbers(*values: int | None) -> pa.Table:
    """A table of nothing but whole numbers, days and instants, of each kind the platform's tables have."""
    small = [None if value is None else value % 2 for value in values]
    instants = pa.array([None if value is None else value % 2**57 for value in values], pa.timestamp("us"))
    columns = [pa.array(values, pa.int64()), pa.array(small, pa.int8()), pa.array(small, pa.date32()), instants]
    return pa.table(columns, names=["number", "flag", "day", "at"])


WHOLE_NUMBERS = {
    "none": whole_numbers(),
    "one": whole_numbers(7),
    "nulls": whole_numbers(None, 5, None),
    "only nulls": whole_numbers(None, None),
    "the whole range": whole_numbers(LARGEST, -LARGEST, LARGEST, 0, -LARGEST),
    "several blocks": whole_numbers(*range(-700, 700), LARGEST),
    "in chunks": pa.concat_tables([whole_numbers(3, 1), whole_numbers(2)]),
}


@pytest.mark.parametrize("rows", WHOLE_NUMBERS.values(), ids=WHOLE_NUMBERS)
def test_tables_of_whole_numbers_hold_differences(tmp_path: Path, rows: pa.Table) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(rows, path)
    assert content_hash(pq.read_table(path)) == content_hash(rows)
    connection = connect()
    found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    assert [dict(zip(rows.column_names, row, strict=True)) for row in found] == rows.to_pylist()
    connection.close()
    for how in encodings(path).values() if rows.num_rows else ():
        assert how <= {"DELTA_BINARY_PACKED", "RLE"}


def mixed(rows: int) -> pa.Table:
    """A flat table with columns of each kind, whose values repeat or not, and one without any."""
    rng = np.random.default_rng(7)
    return pa.table(
        {
            "played_at": pa.array(np.cumsum(rng.integers(1, 99, rows)), pa.timestamp("us", "UTC")),
            "session_id": np.repeat(rng.integers(0, LARGEST, rows // 20 + 1), 20)[:rows],
            "play_id": rng.integers(0, LARGEST, rows),
            "device": rng.choice(["tv", "web"], rows),
            "source_id": [f"play {row}" for row in range(rows)],
            "surface": pa.nulls(rows, pa.string()),
            "engaged": rng.integers(0, 2, rows).astype(bool),
            "propensity": rng.random(rows),
        }
    )


def test_columns_of_a_flat_table_are_written_each_in_its_way(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.parquet", mixed(5_000)
    write_parquet(rows, path)
    found = encodings(path)
    assert {name for name, how in found.items() if "DELTA_BINARY_PACKED" in how} == {"played_at", "play_id"}
    assert {name for name, how in found.items() if "RLE_DICTIONARY" in how} == {"session_id", "device", "surface"}
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert {one.path_in_schema for one in columns if one.compression == "ZSTD"} == {
        "source_id",
        "engaged",
        "propensity",
    }
    assert all(one.is_stats_set for one in columns)


@pytest.mark.parametrize("rows", [0, 1, 2, 5_000])
def test_every_engine_reads_flat_tables_as_they_were(tmp_path: Path, rows: int) -> None:
    path, written = tmp_path / "rows.parquet", mixed(rows)
    write_parquet(written, path)
    assert content_hash(pq.read_table(path)) == content_hash(written)
    connection = connect()
    found = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)}).to_arrow_table()
    assert found.to_pylist() == written.to_pylist()
    connection.close()


@pytest.mark.parametrize("rows", [nested_rows().slice(0, 0), nested_rows().slice(3, 1), EMPTY_LIST])
def test_few_rows_and_empty_lists_are_written(tmp_path: Path, rows: pa.Table) -> None:
    write_parquet(rows, tmp_path / "rows.parquet")
    assert content_hash(pq.read_table(tmp_path / "rows.parquet")) == content_hash(rows)


def test_equal_partitions_are_staged_apart_and_named_by_their_content(tmp_path: Path) -> None:
    lake, day = Lake(tmp_path), date(2025, 3, 10)
    rows = pa.Table.from_pylist(
        [{name: f"{name} 1" if kind == pa.string() else 1 for name, kind in _types().items()}],
        schema=QUARANTINED_PLAYS.schema,
    )
    with lake.staging("run") as staging:
        staged = [staging.write(QUARANTINED_PLAYS, Partition(day, country), rows) for country in ("DE", "FR")]
        assert len({one.path for one in staged}) == 2
        lake.publish(staged, Manifest(run_id="run", stage="raw_plays"))
    files = [Path(path) for path in lake.files(QUARANTINED_PLAYS.name)]
    assert [path.parent.name for path in files] == ["country=DE", "country=FR"]
    assert {path.stem for path in files} == {content_hash(rows)}


def _types() -> dict[str, pa.DataType]:
    return {column.name: column.type for column in QUARANTINED_PLAYS.schema}
