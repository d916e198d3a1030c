"""Stage, audit, publish: one atomic commit, pinned versions, states that say what each partition is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from rec_platform.errors import SchemaError, StorageFault
from rec_platform.lake import Lake, Manifest, PartitionState, Staged
from rec_platform.lake import lake as lake_module
from rec_platform.lake.staging import partition_path
from rec_platform.partition import Partition
from rec_platform.tables import CANDIDATE_MODELS, LANDING, PROFILE_TILES, TITLES, TableSpec

FR = Partition(date(2025, 1, 1), "FR")
DE = Partition(date(2025, 1, 1), "DE")
NEXT = Partition(date(2025, 1, 2), "DE")
AT = datetime(2025, 1, 1, 12, tzinfo=UTC)


def tiles(*profiles: int, plays: int = 1, known: date = date(2025, 1, 1)) -> pa.Table:
    rows = [
        {
            "known_date": known,
            "profile_id": p,
            "plays": plays,
            "watched_ms": 0,
            "engaged_plays": 0,
            "last_played_at": AT,
        }
        for p in profiles
    ]
    return pa.Table.from_pylist(rows, schema=PROFILE_TILES.schema)


def publish(
    lake: Lake, rows: dict[Partition, pa.Table], *, spec: TableSpec = PROFILE_TILES, fingerprint: str = "f"
) -> int:
    with lake.staging("run") as staging:
        staged = [staging.write(spec, partition, table).made_from(fingerprint) for partition, table in rows.items()]
        return lake.publish(staged, Manifest(run_id="run", stage="facts"))[spec.name]


def test_what_is_published_is_read_back_in_order_with_its_keys(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {NEXT: tiles(5, 6), FR: tiles(1, 2), DE: tiles(3)})
    read = lake.read("profile_tiles", [FR, DE, NEXT])
    assert read.column("profile_id").to_pylist() == [1, 2, 3, 5, 6]
    assert read.column("country").to_pylist() == ["FR", "FR", "DE", "DE", "DE"]
    assert read.column("date").to_pylist()[-1] == date(2025, 1, 2)
    assert lake.read("profile_tiles", [DE], ["country", "plays"]).to_pylist() == [{"country": "DE", "plays": 1}]


def test_an_empty_partition_has_a_state_and_no_file_and_is_not_missing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles()})
    assert lake.state("profile_tiles")[FR].rows == 0
    assert DE not in lake.state("profile_tiles")
    assert lake.files("profile_tiles", [FR]) == []
    publish(lake, {DE: tiles(1)})
    assert lake.read("profile_tiles", [FR]).schema.equals(lake.read("profile_tiles", [DE]).schema, check_metadata=True)


def test_replacing_one_partition_leaves_the_others_and_the_old_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = publish(lake, {FR: tiles(1), DE: tiles(2)})
    second = publish(lake, {FR: tiles(7)}, fingerprint="g")
    assert lake.read("profile_tiles").column("profile_id").to_pylist() == [2, 7]
    assert lake.read("profile_tiles", version=first).column("profile_id").to_pylist() == [2, 1]
    assert lake.state("profile_tiles", first)[FR].fingerprint == "f"
    assert lake.state("profile_tiles", second)[FR].fingerprint == "g"
    assert Lake(tmp_path).state("profile_tiles")[DE].version == first


def test_a_partition_can_be_emptied_and_filled_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles(1)})
    publish(lake, {FR: tiles()})
    assert lake.read("profile_tiles").num_rows == 0
    publish(lake, {FR: tiles(1)})
    assert lake.read("profile_tiles").num_rows == 1


def test_equal_rows_from_equal_inputs_make_no_commit(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = publish(lake, {FR: tiles(1), DE: tiles(2)})
    assert publish(lake, {FR: tiles(1)}) == first
    assert publish(lake, {FR: tiles(1)}, fingerprint="other inputs, same rows") == first + 1


def test_what_a_partition_lacks_is_part_of_its_state(tmp_path: Path) -> None:
    """Rows and fingerprint may be what they were, where what was lacking turns out to have nothing to add."""

    def publish_lacking(**lacks: str) -> PartitionState:
        lake = Lake(tmp_path)
        with lake.staging("run") as staging:
            staged = [staging.write(PROFILE_TILES, FR, tiles(1), lacks=lacks).made_from("f")]
            lake.publish(staged, Manifest("run", "facts"))
        return Lake(tmp_path).state("profile_tiles")[FR]

    first = publish_lacking(sign="line 3: KeyError")
    assert (dict(first.lacks), first.whole, publish_lacking(sign="line 3: KeyError")) == (
        {"sign": "line 3: KeyError"}, False, first,
    )  # fmt: skip
    assert publish_lacking(sign="line 4: KeyError").version == first.version + 1
    whole = publish_lacking()
    assert (dict(whole.lacks), whole.whole, whole.version) == ({}, True, first.version + 2)
    assert (whole.content_hash, whole.fingerprint) == (first.content_hash, first.fingerprint)
    (tmp_path / "index" / "profile_tiles.json").unlink()
    assert Lake(tmp_path).state("profile_tiles", first.version)[FR] == first


@pytest.mark.parametrize("fault", ["gone", "cut short", "one bit"])
def test_a_file_that_is_lost_or_damaged_is_written_again_from_equal_rows(tmp_path: Path, fault: str) -> None:
    lake = Lake(tmp_path)
    first = publish(lake, {DE: tiles(1, 2), FR: tiles(3)})
    (file,) = map(Path, lake.files("profile_tiles", [DE]))
    held = file.read_bytes()
    if fault == "gone":
        file.unlink()
        with pytest.raises(StorageFault, match=r"run --force"):
            lake.read("profile_tiles", [DE])
    else:
        file.write_bytes(held[:50] if fault == "cut short" else held[:40] + bytes([held[40] ^ 1]) + held[41:])
    assert publish(lake, {DE: tiles(1, 2), FR: tiles(3)}) == first + 1
    assert file.read_bytes() == held
    assert set(lake.manifests("profile_tiles")[0]["partitions"]) == {DE.key}
    for version in (first, first + 1):
        assert Lake(tmp_path).read("profile_tiles", [DE, FR], ["profile_id"], version).column(0).to_pylist() == [
            1,
            2,
            3,
        ]
    assert publish(lake, {DE: tiles(1, 2)}) == first + 1


def test_other_rows_replace_a_file_that_is_lost(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {DE: tiles(1, 2)})
    Path(lake.files("profile_tiles", [DE])[0]).unlink()
    publish(lake, {DE: tiles(4)})
    assert lake.read("profile_tiles", [DE], ["profile_id"]).column(0).to_pylist() == [4]


def test_the_state_survives_the_loss_of_its_index(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles(1)})
    publish(lake, {DE: tiles(2)})
    before = Lake(tmp_path).state("profile_tiles")
    for index in (tmp_path / "index").iterdir():
        index.write_text("{ torn")
    assert Lake(tmp_path).state("profile_tiles") == before


@pytest.mark.parametrize("saved", [None, 1, 2, 4])
def test_states_and_manifests_of_an_older_version_are_those_it_had(tmp_path: Path, saved: int | None) -> None:
    """Whatever the index holds: nothing, an older version, this one, a newer; and what is then read of the newest."""
    lake, cells = Lake(tmp_path), [FR, DE, FR, NEXT]
    had = {}
    for n, cell in enumerate(cells):
        version = publish(lake, {cell: tiles(*range(n + 1))}, fingerprint=f"run {n}")
        had[version] = dict(Lake(tmp_path).state("profile_tiles", version))
    index = tmp_path / "index" / "profile_tiles.json"
    for version, states in had.items():
        index.unlink(missing_ok=True)
        if saved is not None:
            Lake(tmp_path).state("profile_tiles", saved)
        assert dict(Lake(tmp_path).state("profile_tiles", version)) == states
        assert [one["version"] for one in lake.manifests("profile_tiles", version)] == list(range(version, 0, -1))
        assert dict(Lake(tmp_path).state("profile_tiles")) == had[4]


def test_the_visible_hash_ignores_rows_known_from_the_cut_on(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles(1)})
    before = lake.state("profile_tiles")[FR]
    late = pa.concat_tables([tiles(1), tiles(1, known=date(2025, 1, 5))])
    publish(lake, {FR: late})
    after = lake.state("profile_tiles")[FR]
    assert before.visible_hash(date(2025, 1, 5)) == after.visible_hash(date(2025, 1, 5))
    assert before.visible_hash(date(2025, 1, 6)) != after.visible_hash(date(2025, 1, 6))
    assert after.visible_hash(date(2025, 1, 1)) == ""


def landing_rows(name: str, *lines: int) -> pa.Table:
    rows = [
        {"file_hash": name, "file_name": name, "line": n, "delivered_at": AT, "delivered": f'{{"a": "{n}"}}'}
        for n in lines
    ]
    return pa.Table.from_pylist(rows, schema=LANDING.schema)


def append(lake: Lake, rows: pa.Table) -> None:
    with lake.staging("run") as staging:
        lake.append([staging.write(LANDING, FR, rows)], Manifest(run_id="run", stage="landing", extra={"files": ["x"]}))


def test_known_dates_written_as_pairs_before_are_read() -> None:
    body = {"rows": 1, "hash": "h", "known": [["2025-01-01", "a"], ["2025-01-05", "b"]]}
    state = PartitionState.from_json(body)
    assert state.known == {"2025-01-01": "a", "2025-01-05": "b"}
    assert state.newest_known == "2025-01-05"
    assert PartitionState.from_json(state.to_json()) == state
    assert PartitionState(0, "h").newest_known == ""


def test_the_newest_version_is_the_one_the_log_gives(tmp_path: Path) -> None:
    lake, log = Lake(tmp_path), tmp_path / "lake/profile_tiles/_delta_log"
    assert lake.version("profile_tiles") is None
    log.mkdir(parents=True)
    assert lake.version("profile_tiles") is None
    for profile in range(3):
        publish(lake, {FR: tiles(profile)})
        table = DeltaTable(str(log.parent))
        assert lake.version("profile_tiles") == table.version()
    table.create_checkpoint()
    for name in ("_commit_1.json.tmp", "00000000000000000099.json.tmp", "notes.json"):
        (log / name).touch()
    assert lake.version("profile_tiles") == DeltaTable(str(log.parent)).version() == table.version()


def test_landing_only_grows_and_its_hash_does_not_depend_on_the_order_of_delivery(tmp_path: Path) -> None:
    one, other = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    for lake, files in ((one, "xy"), (other, "yx")):
        for name in files:
            append(lake, landing_rows(name, 1, 2))
    assert one.state("landing")[FR].rows == 4
    assert one.state("landing")[FR].content_hash == other.state("landing")[FR].content_hash
    assert one.read("landing", [FR]).equals(other.read("landing", [FR]))
    assert one.manifests("landing")[0]["extra"] == {"files": ["x"]}


def test_unpartitioned_and_date_tables(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    title = {"title_id": 1, "known_at": AT, "source_id": "1", "name": None, "genres": ["a"], "tags": []}
    publish(lake, {Partition(): pa.Table.from_pylist([title], schema=TITLES.schema)}, spec=TITLES)
    assert lake.read("titles").column("genres").to_pylist() == [["a"]]
    files = [{"model": "m", "file": "x.npy", "sha256": "0", "payload": b"\x00\xff"}]
    day = Partition(date(2025, 1, 1))
    publish(lake, {day: pa.Table.from_pylist(files, schema=CANDIDATE_MODELS.schema)}, spec=CANDIDATE_MODELS)
    assert lake.read("candidate_models", [day]).column("payload").to_pylist() == [b"\x00\xff"]


def test_a_column_declared_later_joins_a_table_that_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home made before a table got a column goes on: the old partition has nulls there, other engines see it too."""
    names = [name for name in PROFILE_TILES.schema.names if name != "watched_ms"]
    older = replace(PROFILE_TILES, schema=pa.schema([PROFILE_TILES.schema.field(name) for name in names]))
    monkeypatch.setattr(lake_module, "table_spec", lambda _name: older)
    publish(Lake(tmp_path), {FR: tiles(1).select(names)}, spec=older)
    monkeypatch.undo()
    lake = Lake(tmp_path)
    publish(lake, {DE: tiles(2)})
    assert lake.read("profile_tiles", [DE, FR], ["profile_id", "watched_ms"]).to_pydict()["watched_ms"] == [0, None]
    delta = DeltaTable(tmp_path / "lake" / "profile_tiles")
    assert "watched_ms" in pa.schema(delta.schema()).names


def test_a_failed_partition_keeps_its_last_good_version_marked_stale(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles(1)})
    lake.publish([], Manifest(run_id="r", stage="facts"), failed={FR: "volume: 0 rows", NEXT: "never was"})
    assert lake.state("profile_tiles")[FR].stale == "volume: 0 rows"
    assert NEXT not in lake.state("profile_tiles")
    assert lake.holes("profile_tiles")[NEXT].stale == "never was"
    assert lake.read("profile_tiles", [FR]).num_rows == 1
    publish(lake, {FR: tiles(1)})
    publish(lake, {NEXT: tiles(2)})
    assert lake.state("profile_tiles")[FR].stale == ""
    assert lake.holes("profile_tiles") == {}


def test_rows_of_another_shape_are_refused_before_they_are_staged(tmp_path: Path) -> None:
    with Lake(tmp_path).staging("run") as staging, pytest.raises(SchemaError, match=r"columns missing: .*plays"):
        staging.write(PROFILE_TILES, FR, tiles(1).drop_columns(["plays"]))


def test_two_runs_that_replace_the_same_partition_do_not_both_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, other = Lake(tmp_path), Lake(tmp_path)
    publish(lake, {FR: tiles(1)})
    removed = lake_module.removed

    def meanwhile(*args: object) -> object:
        planned = removed(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(lake_module, "removed", removed)
        publish(other, {FR: tiles(2)}, fingerprint="other")
        return planned

    monkeypatch.setattr(lake_module, "removed", meanwhile)
    monkeypatch.setattr(lake_module, "one_writer", lambda *_: nullcontext())  # another machine
    with pytest.raises(StorageFault, match="Run the same command again"):
        publish(lake, {FR: tiles(3)}, fingerprint="mine")
    assert lake.read("profile_tiles").column("profile_id").to_pylist() == [2]


def test_writers_of_the_same_new_partition_leave_one_of_their_versions_not_both(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: publish(Lake(tmp_path), {FR: tiles(n)}, fingerprint=str(n)), range(8)))
    assert Lake(tmp_path).read("profile_tiles").num_rows == 1


def test_every_write_that_can_fail_leaves_the_old_version_and_a_repeat_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail the n-th move into the table until none fails."""
    lake = Lake(tmp_path)
    publish(lake, {FR: tiles(1), DE: tiles(2)})
    real = Path.replace
    for nth in range(4):
        calls = iter(range(100))

        def failing(self: Path, target: Path, nth: int = nth, calls: object = calls) -> Path:
            if "profile_tiles" in str(target) and target.suffix == ".parquet" and next(calls) == nth:  # type: ignore[call-overload]
                raise OSError("disk full")
            return real(self, target)

        monkeypatch.setattr(Path, "replace", failing)
        new = {FR: tiles(10 + nth), DE: tiles(20 + nth)}
        if nth < 2:
            before = lake.read("profile_tiles")
            with pytest.raises(StorageFault, match="disk full"):
                publish(lake, new)
            assert lake.read("profile_tiles").equals(before)
        monkeypatch.setattr(Path, "replace", real)
        publish(lake, new)
        assert lake.read("profile_tiles").column("profile_id").to_pylist() == [20 + nth, 10 + nth]


def test_a_killed_run_leaves_nothing_readable_and_its_staging_is_swept(tmp_path: Path) -> None:
    code = f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_lake import *
        lake = Lake(Path({str(tmp_path)!r}))
        with lake.staging("killed") as staging:
            staging.write(PROFILE_TILES, FR, tiles(1))
            print(staging.folder, flush=True)
            sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert list(folder.rglob("*.parquet"))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    lake = Lake(tmp_path)
    assert lake.version("profile_tiles") is None
    publish(lake, {FR: tiles(2)})
    assert not folder.exists()


def test_partition_folders_are_those_all_engines_read() -> None:
    assert partition_path(FR) == "date=2025-01-01/country=FR"
    assert partition_path(Partition()) == ""


def test_staged_rows_carry_their_own_hash(tmp_path: Path) -> None:
    with Lake(tmp_path).staging("r") as staging:
        one, other = (staging.write(PROFILE_TILES, FR, tiles(p)) for p in (1, 2))
    assert isinstance(one, Staged)
    assert one.content_hash != other.content_hash
