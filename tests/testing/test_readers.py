"""The in-memory reader keeps the promises of `rec_platform.stage.Reader`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.partition import Partition
from rec_platform.stage import Reader
from rec_platform.tables import table
from rec_platform.testing.readers import MemoryReader

FR, DE = Partition(date(2025, 1, 2), "FR"), Partition(date(2025, 1, 1), "DE")


def tiles(*titles: int) -> pa.Table:
    schema = table("title_tiles").schema
    rows = [dict.fromkeys(schema.names, 0) | {"title_id": title, "last_played_at": 0} for title in titles]
    return pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}, schema=schema)


@pytest.fixture
def reader() -> MemoryReader:
    return MemoryReader(
        {
            "title_tiles": {FR: tiles(1, 2), DE: tiles()},
            "profiles": {Partition(): table("profiles").schema.empty_table()},
        }
    )


def test_it_is_a_reader(reader: MemoryReader) -> None:
    as_protocol: Reader = reader
    assert as_protocol.countries == ("DE", "FR")
    assert (as_protocol.first_day, as_protocol.last_day) == (DE.day, FR.day)
    assert as_protocol.published("title_tiles") == [DE, FR]
    assert as_protocol.published("title_tiles", FR.day) == [FR]
    assert as_protocol.published("profiles") == [Partition()]


def test_rows_carry_their_partition(reader: MemoryReader) -> None:
    found = reader.read("title_tiles", [DE, FR])
    assert found.select(["title_id", "date", "country"]).to_pylist() == [
        {"title_id": 1, "date": FR.day, "country": "FR"},
        {"title_id": 2, "date": FR.day, "country": "FR"},
    ]
    assert reader.read("title_tiles", [FR], ["country", "plays"]).column_names == ["country", "plays"]
    assert reader.read("title_tiles", []).schema.names == found.schema.names
    assert reader.read("profiles", [Partition()]).schema.names == table("profiles").schema.names


def test_what_is_missing_is_named(reader: MemoryReader) -> None:
    with pytest.raises(
        MissingInput, match=r"title_tiles has no partition FR\|2025-01-01 .*DE\|2025-01-01, FR\|2025-01-02"
    ):
        reader.read("title_tiles", [FR.shifted(-1)])
    with pytest.raises(MissingInput, match="nothing was delivered"):
        _ = MemoryReader({}).first_day


def test_files_skip_empty_partitions(reader: MemoryReader, tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="no folder"):
        reader.files("title_tiles", [FR])
    on_disk = MemoryReader({"title_tiles": {FR: tiles(1), DE: tiles()}}, folder=tmp_path)
    (path,) = on_disk.files("title_tiles", [DE, FR])
    assert pq.read_table(path).column("title_id").to_pylist() == [1]


def test_a_partition_added_later_is_read() -> None:
    reader = MemoryReader({}, countries=["FR", "DE"])
    reader.add("title_tiles", FR, tiles(7))
    assert reader.countries == ("DE", "FR")
    assert reader.read("title_tiles", [FR]).num_rows == 1
