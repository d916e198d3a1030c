"""Small files read one after another are what the dataset of them gives; what is not plain goes to the dataset."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.lake import content_hash, files
from rec_platform.lake.staging import write_parquet
from rec_platform.tables import CONTEXTS, PROFILE_TILES, PROFILES, TableSpec

EPOCH = date(1970, 1, 1).toordinal()
FOLDERS = ("date=2025-03-10/country=DE", "date=2025-03-10/country=FR", "date=2025-03-11/country=DE")


def rows_of(spec: TableSpec, n: int, seed: int) -> pa.Table:
    """Rows of a table's schema, unlike from one another, in no order."""
    rng = np.random.default_rng(seed)
    flat = {
        field.name: pa.array(rng.integers(0, 10**6, n)).cast(
            pa.string() if pa.types.is_string(field.type) else pa.int64()
        )
        for field in spec.schema
    }
    kinds = {field.name: field.type for field in spec.schema}
    columns = {name: _as(values, kinds[name]) for name, values in flat.items()}
    return pa.table(columns, schema=pa.schema([pa.field(name, kind) for name, kind in kinds.items()]))


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values.cast(pa.int32()).view(pa.date32()) if pa.types.is_date32(kind) else values.cast(kind)


def written(root: Path, spec: TableSpec, folders: tuple[str, ...]) -> list[str]:
    paths = [root / folder / f"{number}.parquet" for number, folder in enumerate(folders)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(rows_of(spec, 5 * number, seed=number), path)
    return [str(path) for path in paths]


@pytest.mark.parametrize("spec", [PROFILE_TILES, CONTEXTS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("folders", [FOLDERS, FOLDERS[::-1], (FOLDERS[0], *FOLDERS)], ids=["in order", "back", "twice"])
@pytest.mark.parametrize("columns", [None, [c.COUNTRY, c.PROFILE], [c.PROFILE]], ids=str)
def test_in_turn_is_what_the_dataset_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec: TableSpec,
    folders: tuple[str, ...],
    columns: list[str] | None,
) -> None:
    paths = written(tmp_path, spec, folders)
    in_turn = files.read_files(spec, paths, str(tmp_path), columns)
    monkeypatch.setattr(files, "_SMALL", 0)
    as_dataset = files.read_files(spec, paths, str(tmp_path), columns)
    assert in_turn.schema == as_dataset.schema
    assert content_hash(in_turn) == content_hash(as_dataset)
    assert in_turn.num_rows == sum(5 * number for number in range(len(folders)))


def test_small_files_make_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_as_dataset", None)
    assert files.read_files(PROFILES, written(tmp_path, PROFILES, ("", "")), str(tmp_path), None).num_rows == 5


@pytest.mark.parametrize("spec", [PROFILE_TILES, CONTEXTS], ids=lambda spec: spec.name)
def test_a_column_that_a_file_does_not_have_is_null_in_its_rows(tmp_path: Path, spec: TableSpec) -> None:
    paths, last = written(tmp_path, spec, FOLDERS), spec.schema.names[-2]
    pq.write_table(pq.ParquetFile(paths[1]).read().drop_columns([last]), paths[1])
    found = files.read_files(spec, paths, str(tmp_path), [last])
    assert found.num_rows == 15
    assert found.slice(0, 5).column(last).null_count == 5
    assert found.slice(5).column(last).null_count == 0


def tiles_known(*days: int) -> pa.Table:
    """Tiles in their order, one known on each of these days (numbers since 1970)."""
    rows = rows_of(PROFILE_TILES, len(days), seed=sum(days)).to_pydict() | {c.KNOWN_DATE: days}
    columns = {name: pa.array(values, PROFILE_TILES.schema.field(name).type) for name, values in rows.items()}
    return pa.table(columns, schema=PROFILE_TILES.schema)


@pytest.mark.parametrize("small", [files._SMALL, 0], ids=["in turn", "as dataset"])
@pytest.mark.parametrize("since", range(5, 12))
@pytest.mark.parametrize("columns", [None, [c.PROFILE], [c.COUNTRY, c.PROFILE], [c.KNOWN_DATE]], ids=str)
@pytest.mark.parametrize("folders", [FOLDERS, (FOLDERS[0], *FOLDERS[:2])], ids=["once", "twice"])
def test_news_are_the_rows_known_from_a_day_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small: int,
    since: int,
    columns: list[str] | None,
    folders: tuple[str, ...],
) -> None:
    """Whether their `known_date` is asked for or not."""
    monkeypatch.setattr(files, "_SMALL", small)
    parts, paths = [(6,), (7, 7, 9, 10), (8, 9)], written(tmp_path, PROFILE_TILES, folders)
    for path, days in zip(paths, parts, strict=True):
        write_parquet(tiles_known(*days), Path(path))
    whole = files.read_files(PROFILE_TILES, paths, str(tmp_path), None)
    day = date.fromordinal(EPOCH + since)
    news = files.read_files(PROFILE_TILES, paths, str(tmp_path), columns, day)
    late = whole.filter(pc.greater_equal(whole.column(c.KNOWN_DATE), day))
    assert late.num_rows == sum(one >= since for days in parts for one in days)
    assert news.to_pylist() == late.select(columns or whole.column_names).to_pylist()


def test_news_of_a_table_that_knows_no_known_date_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"profiles does not say when .* no column known_date .*it has profile_id"):
        files.read_files(PROFILES, written(tmp_path, PROFILES, ("",)), str(tmp_path), None, date(2025, 3, 1))
