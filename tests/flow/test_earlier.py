"""A day built on what was published of the day before is the day counted from tiles; what is not sure is not built on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from simulated_homes import fill, run, world
from test_run import at, deliver, failing, fresh, hashes, make, play

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.facts.stage import Facts
from rec_platform.flow import Platform, run_stage
from rec_platform.flow import run as flow_run
from rec_platform.lake import Lake, content, files
from rec_platform.partition import Partition
from rec_platform.proofs.flow import incremental
from rec_platform.simulation import simulate
from rec_platform.stage import Built
from rec_platform.tables import PROFILE_SNAPSHOT, TABLES, TITLE_SNAPSHOT
from rec_platform.timetravel.snapshots import FeatureSnapshots

SNAPSHOTS = (PROFILE_SNAPSHOT.name, TITLE_SNAPSHOT.name)
COUNTRIES = ("DE", "FR")
FIRST = date(2025, 1, 1)
Rows = dict[Partition, list[dict[str, object]]]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def on(number: int, countries: Sequence[str] = COUNTRIES) -> list[Partition]:
    return [Partition(day(number), country) for country in countries]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    return Lake(tmp_path / "home")


def built_on(lake: Lake) -> str:
    """The date that the newest commit of snapshots was built on; '' if it was counted."""
    return next(iter(lake.manifests(PROFILE_SNAPSHOT.name)[0]["extra"].get("built_on", {})), "")


def snapshots(lake: Lake, *days: int) -> dict[tuple[str, Partition], str]:
    wanted = {day(number) for number in days}
    return {(name, key): had for name in SNAPSHOTS for key, had in hashes(lake, name).items() if key.date in wanted}


# --- a chain of days -------------------------------------------------------------------------------------------------

#: Plays leave the windows of 90, 28, 7 days and of one while the chain runs from 88 to 94.
PLAYED = (*range(6), *range(59, 67), *range(80, 94))


def drawn(seed: int) -> list[tuple[int, Partition, dict[str, object]]]:
    """Plays with the number of the day on which they are delivered: one in four late; day 90 without any, US from 91 on."""
    random, plays = Random(seed), []
    for number in PLAYED:
        for country in ("DE", "FR", "US"):
            for _ in range(0 if number == 90 or (country == "US" and number < 91) else random.randint(0, 3)):
                lag = random.choice([0, 0, 0, random.choice([1, 2, 5, 30])])
                row = play(day(number), random.randint(1, 5), random.randint(10, 13), known=at(day(number + lag), 23))
                row["play_id"] = len(plays)
                plays.append((number + lag, Partition(day(number), country), row))
    return plays


def deliver_until(lake: Lake, plays: list[tuple[int, Partition, dict[str, object]]], last: int) -> None:
    """Deliver what is known by a day, and make the facts of what changed."""
    cells: Rows = {}
    for known, cell, row in plays:
        if known <= last:
            cells.setdefault(cell, []).append(row)
    deliver(lake, cells)
    make(lake, Facts(), list(cells))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_day_by_day_and_in_one_run_and_counted_are_the_same_bytes(lake: Lake, tmp_path: Path, seed: int) -> None:
    plays, started = drawn(seed), []
    for number in range(88, 95):
        deliver_until(lake, plays, number - 1)
        make(lake, FeatureSnapshots(), on(number, fresh(lake).countries))
        started.append(built_on(lake))
    new = next(known for known, cell, _ in plays if cell.country == "US") + 1
    counted = (88, new)  # Nothing is there yet; a country that nobody knew the day before.
    assert started == ["" if number in counted else str(day(number - 1)) for number in range(88, 95)]
    whole = Lake(tmp_path / "whole")
    deliver_until(whole, plays, 93)
    everywhere = [key for number in range(88, 95) for key in on(number, ("DE", "FR", "US"))]
    make(whole, FeatureSnapshots(), everywhere)
    assert built_on(whole) == ""
    made = snapshots(lake, *range(88, 95))
    assert made.items() <= snapshots(whole, *range(88, 95)).items()
    assert len(made) == 2 * (2 * 7 + 95 - new)
    for number in (91, 94):
        make(lake, FeatureSnapshots(), on(number), force=True)
    assert snapshots(lake, *range(88, 95)) == made


# --- one day, and what may be wrong with yesterday -------------------------------------------------------------------


@pytest.fixture
def ready(lake: Lake) -> Lake:
    """Plays of the days 0 to 5, and the snapshots of day 5; those of day 6 are due."""
    deliver(lake, {key: [play(key.day, who, who + 10) for who in (1, 2)] for n in range(6) for key in on(n)})
    make(lake, Facts(), [key for n in range(6) for key in on(n)])
    make(lake, FeatureSnapshots(), on(5))
    return lake


def late(lake: Lake, known: int) -> None:
    """A play of day 1, delivered now, known on a day."""
    cell = Partition(day(1), "FR")
    rows = [play(cell.day, who, who + 10) for who in (1, 2)]
    deliver(lake, {cell: [*rows, play(cell.day, 1, 99, known=at(day(known), 6), hour=20)]})
    make(lake, Facts(), [cell])


def assert_counted(lake: Lake) -> None:
    assert built_on(lake) == ""
    made = snapshots(lake, 6)
    assert len(made) == 4
    make(lake, FeatureSnapshots(), on(6), force=True)
    assert snapshots(lake, 6) == made


@pytest.mark.parametrize("which", [on(6), on(6)[:1]], ids=["every country", "one country"])
def test_a_single_day_is_built_on_the_day_before(ready: Lake, which: list[Partition]) -> None:
    versions = {name: ready.version(name) for name in SNAPSHOTS}
    make(ready, FeatureSnapshots(), which)
    manifest = ready.manifests(PROFILE_SNAPSHOT.name)[0]
    assert manifest["extra"] == {"built_on": {str(day(5)): versions}}
    assert manifest["inputs"].keys() == {"profile_tiles", "title_tiles", "profiles"}
    made = snapshots(ready, 6)
    forced = make(ready, FeatureSnapshots(), which, force=True)
    assert list(forced.published) == which
    assert snapshots(ready, 6) == made
    assert ready.manifests(PROFILE_SNAPSHOT.name)[0] == manifest


def test_the_day_after_needs_no_tile_but_those_that_come_and_go(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[Partition] = set()
    real = Lake.read

    def watching(self: Lake, table: str, partitions: Any = None, *rest: Any, **more: Any) -> Any:
        asked.update(partitions if table == "profile_tiles" else ())
        return real(self, table, partitions, *rest, **more)

    monkeypatch.setattr(Lake, "read", watching)
    make(ready, FeatureSnapshots(), on(6))
    assert asked == {*on(5)}


def test_of_the_days_that_stay_only_partitions_with_news_are_opened(
    ready: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(ready, known=5)
    opened: list[str] = []
    real = files._rows

    def watching(path: str, *rest: Any) -> Any:
        opened.append(path)
        return real(path, *rest)

    monkeypatch.setattr(files, "_rows", watching)
    make(ready, FeatureSnapshots(), on(6))
    assert built_on(ready) == str(day(5))
    tiles = [path for path in opened if "_tiles" in path]
    wanted = [ready.files(name, [Partition(day(1), "FR"), *on(5)]) for name in ("profile_tiles", "title_tiles")]
    assert sorted(tiles) == sorted(path for paths in wanted for path in paths)


def test_a_day_published_before_content_hashes_changed_is_built_on(
    lake: Lake, ready: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr(content, "_TODAY", 64)
        make(ready, FeatureSnapshots(), on(5), force=True)
    assert {len(digest) for digest in snapshots(ready, 5).values()} == {64}
    make(ready, FeatureSnapshots(), on(6))
    assert built_on(ready) == str(day(5))
    assert {len(digest) for digest in snapshots(ready, 6).values()} == {32}


def test_a_late_tile_that_became_known_yesterday_is_added(ready: Lake) -> None:
    late(ready, known=5)
    make(ready, FeatureSnapshots(), on(6))
    assert built_on(ready) == str(day(5))
    made = snapshots(ready, 6)
    rows = ready.read(PROFILE_SNAPSHOT.name, on(6)[1:], ["profile_id", "plays_7d"]).to_pylist()
    assert rows == [{"profile_id": 1, "plays_7d": 13}, {"profile_id": 2, "plays_7d": 12}]
    make(ready, FeatureSnapshots(), on(6), force=True)
    assert snapshots(ready, 6) == made


def test_a_play_that_should_have_been_known_before_makes_yesterday_stale(ready: Lake) -> None:
    late(ready, known=3)
    make(ready, FeatureSnapshots(), on(6))
    assert_counted(ready)


def test_a_changed_seed_or_code_version_is_counted(ready: Lake) -> None:
    class Newer(FeatureSnapshots):
        code_version = FeatureSnapshots.code_version + 1

    make(ready, Newer(), on(6))
    assert_counted(ready)
    other = Settings(seed=Settings().seed + 1)
    run_stage(ready, FeatureSnapshots(), on(6), other, index=fresh(ready), run_id="other seed")
    assert_counted(ready)


def test_a_country_whose_snapshot_is_missing_is_counted(lake: Lake, ready: Lake) -> None:
    deliver(ready, {Partition(day(5), "US"): [play(day(5), 9, 19)]})
    make(ready, Facts(), on(5, ["US"]))
    make(ready, FeatureSnapshots(), on(6))
    assert_counted(ready)


def test_a_snapshot_marked_stale_is_not_built_on(ready: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_run, "audit", failing(on(5)[0]))
    make(ready, FeatureSnapshots(), on(5), force=True)
    monkeypatch.setattr(flow_run, "audit", lambda *_a, **_k: [])
    assert ready.state(PROFILE_SNAPSHOT.name)[on(5)[0]].stale
    make(ready, FeatureSnapshots(), on(6))
    assert_counted(ready)


def gone(file: Path) -> None:
    file.unlink()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def one_play_more(file: Path) -> None:
    rows = pq.ParquetFile(file).read()
    place = rows.schema.get_field_index("plays_90d")
    pq.write_table(rows.set_column(place, rows.schema.field(place), pc.add(rows.column(place), 1)), file)


def a_row_less(file: Path) -> None:
    pq.write_table(pq.ParquetFile(file).read()[1:], file)


@pytest.mark.parametrize("damage", [gone, cut_short, one_play_more, a_row_less])
@pytest.mark.parametrize("table", SNAPSHOTS)
def test_a_damaged_snapshot_is_not_built_on(ready: Lake, table: str, damage: Callable[[Path], None]) -> None:
    damage(Path(ready.files(table, on(5)[:1])[0]))
    make(ready, FeatureSnapshots(), on(6))
    assert_counted(ready)


class OnePlayMore(FeatureSnapshots):
    """A stage with a fault that nobody raised the code version for."""

    def build(self, *args: Any) -> Iterator[Built]:
        for built in super().build(*args):
            rows = built.tables[PROFILE_SNAPSHOT.name]
            place = rows.schema.get_field_index("plays_90d")
            wrong = rows.set_column(place, rows.schema.field(place), pc.add(rows.column(place), 1))
            yield Built(built.partition, {**built.tables, PROFILE_SNAPSHOT.name: wrong})


def test_a_fault_of_yesterday_that_nothing_on_record_tells_is_handed_on_until_force_counts(ready: Lake) -> None:
    def plays() -> list[int]:
        return ready.read(PROFILE_SNAPSHOT.name, on(6), ["plays_90d"]).column(0).to_pylist()  # type: ignore[no-any-return]

    make(ready, OnePlayMore(), on(5), force=True)
    make(ready, FeatureSnapshots(), on(6))
    assert (built_on(ready), plays()) == (str(day(5)), [13] * 4)
    make(ready, FeatureSnapshots(), on(6), force=True)
    assert (built_on(ready), plays()) == ("", [12] * 4)


# --- the whole flow --------------------------------------------------------------------------------------------------

SETTINGS = "[rankers]\ntraining_days = 2\nmin_training_days = 1\nn_trees = 3\n"


@pytest.mark.slow
def test_two_homes_one_day_by_day_and_one_in_one_run_hold_the_same_hashes(tmp_path: Path) -> None:
    config = world(plays=1_000, days=7, n_titles=40, late_share=0.2, empty_day=None)
    simulate(config, tmp_path / "world")
    files = list((tmp_path / "world" / "delivery").iterdir())
    days = [config.start + timedelta(days=n) for n in (4, 5)]
    daily, whole = (fill(tmp_path / name, files, SETTINGS) for name in ("daily", "whole"))
    for each in days:
        run(daily, each, each)
    run(whole, days[0], days[-1])
    assert [built_on(Lake(home)) for home in (daily, whole)] == [str(days[0]), ""]
    for spec in TABLES:
        one, other = hashes(Lake(daily), spec.name), hashes(Lake(whole), spec.name)
        assert one == other, spec.name
        assert one, spec.name
    platform = Platform(daily)
    proof = incremental(platform, Partition(days[-1], "DE"), about=1_000)
    assert proof.passed, proof.observed
    rows = platform.lake.read(PROFILE_SNAPSHOT.name, [Partition(days[-1], "DE")])
    assert pc.sum(rows.column(c.windowed(c.PLAYS, 7))).as_py() > 0
