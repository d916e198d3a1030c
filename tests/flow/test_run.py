"""The flow's own work: fingerprints, what is stale, audits, late plays, missing inputs; on the real facts stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from rec_platform.checks import CheckResult
from rec_platform.config import MemoryConfig, Settings
from rec_platform.errors import AuditFailed, ConfigError, MissingInput, StorageFault
from rec_platform.facts.stage import Facts
from rec_platform.flow import Index, Report, run_stage
from rec_platform.flow import run as flow_run
from rec_platform.lake import HeldFolder, Lake, Manifest, Staged
from rec_platform.partition import Partition
from rec_platform.plays.raw import RawPlays
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import LANDING, PROFILES, RAW_PLAYS, TABLES, TITLES
from rec_platform.timetravel.snapshots import FeatureSnapshots

FIRST = date(2025, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
COUNTRIES = ("DE", "FR")
CELLS = [Partition(day, country) for day in DAYS for country in COUNTRIES]


def at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour)


def play(day: date, profile: int, title: int, *, known: datetime | None = None, hour: int = 12) -> dict[str, object]:
    played = at(day, hour)
    row = dict.fromkeys(RAW_PLAYS.schema.names)
    return row | {
        "play_id": profile * 1000 + title, "event": "play", "profile_id": profile, "title_id": title,
        "played_at": played, "known_at": known or played, "watched_ms": 60_000,
    }  # fmt: skip


def deliver(lake: Lake, cells: dict[Partition, list[dict[str, object]]]) -> None:
    """Landing and raw plays as ingest and its stage leave them."""
    with lake.staging("deliver") as staging:
        landed = [staging.write(LANDING, cell, landing(cell, rows)) for cell, rows in cells.items() if rows]
        lake.append(landed, Manifest("deliver", "landing"))
        raw = [
            staging.write(RAW_PLAYS, cell, pa.Table.from_pylist(rows, schema=RAW_PLAYS.schema))
            for cell, rows in cells.items()
        ]
        profiles = staging.write(PROFILES, Partition(), PROFILES.schema.empty_table())
        titles = staging.write(TITLES, Partition(), TITLES.schema.empty_table())
        lake.publish([*raw, profiles, titles], Manifest("deliver", "raw_plays"))


def landing(cell: Partition, rows: list[dict[str, object]]) -> pa.Table:
    made = [
        {
            "file_hash": f"{cell.key}{len(rows)}",
            "file_name": "f",
            "line": n,
            "delivered_at": at(cell.day, 23),
            "delivered": "{}",
        }
        for n, _ in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, schema=LANDING.schema)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with six delivered days of two countries; checks always pass unless a test says otherwise."""
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    lake = Lake(tmp_path)
    deliver(lake, {cell: [play(cell.day, p, p + 10) for p in (1, 2)] for cell in CELLS})
    return lake


def fresh(lake: Lake) -> Index:
    lake = Lake(lake.home)
    return Index(lake, {spec.name: lake.version(spec.name) for spec in TABLES})


def make(lake: Lake, stage: Stage, partitions: Sequence[Partition] = CELLS, **options: bool) -> Report:
    return run_stage(lake, stage, partitions, Settings(), index=fresh(lake), run_id="test", **options)


def hashes(lake: Lake, table: str) -> dict[Partition, str]:
    return {partition: state.content_hash for partition, state in Lake(lake.home).state(table).items()}


def test_a_second_run_makes_nothing_and_force_makes_the_same_rows(lake: Lake) -> None:
    first = make(lake, Facts())
    assert len(first.published) == len(CELLS)
    before, version = hashes(lake, "play_facts"), lake.version("play_facts")
    again = make(lake, Facts())
    assert (len(again.published), len(again.current)) == (0, len(CELLS))
    forced = make(lake, Facts(), force=True)
    assert len(forced.published) == len(CELLS)
    assert hashes(lake, "play_facts") == before
    assert lake.version("play_facts") == version


def test_the_manifest_says_what_the_rows_were_made_from(lake: Lake) -> None:
    make(lake, Facts())
    manifest = lake.manifests("play_facts")[0]
    assert manifest["stage"] == "facts"
    assert manifest["inputs"] == {"raw_plays": lake.version("raw_plays")}
    assert {"numpy", "pyarrow", "python"} <= set(manifest["libraries"])
    assert set(manifest["partitions"]) == {cell.key for cell in CELLS}
    assert manifest["seed"] == Settings().seed


@pytest.mark.parametrize("cuts", [(None, FIRST + timedelta(days=99)), (FIRST + timedelta(days=99), None)])
def test_the_digest_of_an_input_does_not_hang_on_what_was_asked_before(
    lake: Lake, cuts: tuple[date | None, ...]
) -> None:
    """Training sets `known_by = "now"` see a table without a cut that other stages see with one."""
    make(lake, Facts())
    index = fresh(lake)
    assert all(state.known for state in index.state("play_facts").values()), index.state("play_facts")
    first, then = (index.resolve((Input("play_facts", every_country=True, cut=cut),)).digests for cut in cuts)
    assert first == fresh(lake).resolve((Input("play_facts", every_country=True, cut=cuts[0]),)).digests
    assert then == fresh(lake).resolve((Input("play_facts", every_country=True, cut=cuts[1]),)).digests


def costing(seconds: float) -> object:
    def audit(_stage: str, staged: Sequence[Staged], **_: object) -> list[CheckResult]:
        return [CheckResult("volume", one.spec.name, one.partition.key, True, True, "", "", seconds) for one in staged]

    return audit


def test_what_checks_cost_stands_in_the_manifest_and_in_no_hash(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_run, "audit", costing(0.5))
    make(lake, Facts())
    before = lake.manifests("play_facts")
    said = before[0]["extra"]["cpu_seconds"]
    assert said == {"checks": {spec.name: {"volume": 0.5} for spec in Facts.tables}}
    monkeypatch.setattr(flow_run, "audit", costing(0.75))
    assert not make(lake, Facts()).published
    make(lake, Facts(), force=True)
    assert lake.manifests("play_facts") == before


def test_what_a_stage_counted_of_its_work_is_added_up_in_the_manifest(lake: Lake) -> None:
    class Counting(Facts):
        def build(self, partitions, reader, settings):  # type: ignore[no-untyped-def]
            for built in super().build(partitions, reader, settings):
                yield replace(built, cpu_seconds={"certificates": 0.25})

    report = make(lake, Counting(), CELLS[:3])
    assert report.cpu_seconds == {key: {"certificates": 0.25} for key in CELLS[:3]}
    assert lake.manifests("play_facts")[0]["extra"]["cpu_seconds"] == {"certificates": 0.75}


def test_only_what_reads_a_changed_setting_is_made_again(lake: Lake) -> None:
    make(lake, Facts())
    other = Settings.model_validate({"rules": {"engagement": {"kind": "min_seconds", "seconds": 5}}})
    report = run_stage(lake, Facts(), CELLS, other, index=fresh(lake), run_id="t")
    assert len(report.published) == len(CELLS)
    unrelated = other.model_copy(update={"recommend": Settings().recommend.model_copy(update={"n": 3})})
    assert not run_stage(lake, Facts(), CELLS, unrelated, index=fresh(lake), run_id="t").published


def test_a_late_play_changes_its_own_facts_and_snapshots_from_its_known_at_on_and_nothing_else(lake: Lake) -> None:
    """Ana's evening, played on the 2nd, known on the 4th."""
    snapshots = [Partition(day, country) for day in [*DAYS, DAYS[-1] + timedelta(days=1)] for country in COUNTRIES]
    make(lake, Facts())
    make(lake, FeatureSnapshots(), snapshots)
    before = {table: hashes(lake, table) for table in ("play_facts", "profile_snapshot")}
    cell = Partition(DAYS[1], "FR")
    late = play(DAYS[1], 1, 99, known=at(DAYS[3], 6), hour=20)
    deliver(lake, {cell: [*(play(cell.day, p, p + 10) for p in (1, 2)), late]})
    assert list(make(lake, Facts()).published) == [cell]
    report = make(lake, FeatureSnapshots(), snapshots)
    assert {partition.day for partition in report.published} == {DAYS[4], DAYS[5], DAYS[5] + timedelta(days=1)}
    after = {table: hashes(lake, table) for table in before}
    changed = {p for p in before["profile_snapshot"] if before["profile_snapshot"][p] != after["profile_snapshot"][p]}
    assert {p.day for p in changed} == {DAYS[4], DAYS[5], DAYS[5] + timedelta(days=1)}
    assert {p for p in before["play_facts"] if before["play_facts"][p] != after["play_facts"][p]} == {cell}


def test_an_input_nobody_published_blocks_that_partition_and_no_other(lake: Lake) -> None:
    new = Partition(DAYS[-1] + timedelta(days=1), "FR")
    make(lake, Facts())
    report = make(lake, Facts(), [*CELLS, new])
    assert list(report.blocked) == [new]
    with pytest.raises(MissingInput, match=r"FR\|2025-01-07: never published: raw_plays"):
        report.raise_if_failed()


def test_a_delivered_cell_whose_facts_were_forgotten_is_not_taken_for_empty(lake: Lake) -> None:
    make(lake, Facts(), [cell for cell in CELLS if cell != Partition(DAYS[2], "DE")])
    report = make(lake, FeatureSnapshots(), [Partition(DAYS[3], "FR")])
    assert "profile_tiles DE|2025-01-03" in next(iter(report.blocked.values()))


def failing(partition: Partition) -> object:
    def audit(_stage: str, _staged: Sequence[Staged], **_: object) -> list[CheckResult]:
        return [CheckResult("volume", "play_facts", partition.key, False, True, "0 rows", "more")]

    return audit


def test_a_failed_partition_goes_nowhere_and_the_rest_is_published(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Partition(DAYS[2], "DE")
    monkeypatch.setattr(flow_run, "audit", failing(bad))
    report = make(lake, Facts())
    assert set(report.published) == set(CELLS) - {bad}
    assert bad not in lake.state("play_facts")
    with pytest.raises(AuditFailed, match=r"DE\|2025-01-03: volume on play_facts: 0 rows, expected more"):
        report.raise_if_failed()
    monkeypatch.setattr(flow_run, "audit", lambda *_a, **_k: [])
    hole = make(lake, FeatureSnapshots(), [Partition(DAYS[3], "FR")])
    assert hole.published
    assert lake.manifests("profile_snapshot")[0]["extra"]["holes"] == [bad.key]


def test_the_last_good_version_is_used_only_when_asked_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Partition(DAYS[2], "DE")
    make(lake, Facts())
    monkeypatch.setattr(flow_run, "audit", failing(bad))
    make(lake, Facts(), force=True)
    monkeypatch.setattr(flow_run, "audit", lambda *_a, **_k: [])
    wanted = [Partition(DAYS[4], "FR")]
    assert "--allow-stale" in next(iter(make(lake, FeatureSnapshots(), wanted).blocked.values()))
    assert make(lake, FeatureSnapshots(), wanted, allow_stale=True).published
    assert "DE|2025-01-03" in lake.manifests("profile_snapshot")[0]["extra"]["used_stale"][0]


class Breaking(Facts):
    """Facts of other code, which raises at one partition."""

    code_version = Facts.code_version + 1
    bad = Partition(DAYS[2], "DE")
    fault: Exception = ConfigError("`share` raised KeyError", place="features.py, line 3", repair="Correct it.")

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        for built in super().build(partitions, reader, settings):
            if built.partition == self.bad:
                raise self.fault
            yield built


def test_what_was_built_before_a_stage_raised_is_published(lake: Lake) -> None:
    index, built = fresh(lake), CELLS[: CELLS.index(Breaking.bad)]
    report = run_stage(lake, Breaking(), CELLS, Settings(), index=index, run_id="test")
    assert (list(report.published), report.raised, report.ok) == (built, Breaking.fault, False)
    with pytest.raises(ConfigError, match="`share` raised KeyError") as raised:
        report.raise_if_failed()
    assert raised.value.__notes__[-1] == "facts: 4 of 12 partitions were built; the first left is DE|2025-01-03."
    assert set(fresh(lake).state("play_facts")) == set(built)
    assert all(set(index.state(spec.name)) == set(index.state("play_facts")) for spec in Facts.tables)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Breaking.fault, "`share` raised KeyError"),
        (ZeroDivisionError("no plays"), "ZeroDivisionError: no plays"),
        (StorageFault("the disk is full", place="", repair=""), "its run ended before"),
    ],
)
def test_a_run_makes_nothing_from_what_its_stage_raised_at(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    """The partitions of before stand, and what was made from them; only the same run must not take them for new."""
    make(lake, Facts())
    standing, other = Partition(DAYS[4], "FR"), Partition(DAYS[5], "DE")
    unmade = tuple(CELLS if isinstance(fault, StorageFault) else CELLS[CELLS.index(Breaking.bad) :])
    make(lake, FeatureSnapshots(), [standing])
    before = hashes(lake, "play_facts")
    monkeypatch.setattr(Breaking, "fault", fault)
    index = fresh(lake)
    with pytest.raises(type(fault)):
        run_stage(lake, Breaking(), CELLS, Settings(), index=index, run_id="test").raise_if_failed()
    assert hashes(lake, "play_facts") == before

    def snapshots(**options: bool) -> Report:
        return run_stage(lake, FeatureSnapshots(), [standing, other], Settings(), index=index, run_id="test", **options)

    report = snapshots()
    assert (report.current, set(report.blocked)) == ((standing,), {other})
    assert f"was not made again (profile_tiles {unmade[0].key}: {said})" in report.blocked[other]
    assert "--allow-stale" in report.blocked[other]
    assert set(snapshots(force=True).blocked) == {standing, other}
    assert set(snapshots(allow_stale=True).published) == {other}
    assert unmade[0].key in lake.manifests("profile_snapshot")[0]["extra"]["used_stale"][0]
    assert make(lake, Facts()).current == unmade, "the code of before finds its own partitions current"


def test_nothing_is_made_from_what_stands_on_partitions_that_were_not_made_again(lake: Lake) -> None:
    """Snapshots of before stand on facts of before, and are no newer than those."""
    standing = Partition(DAYS[4], "FR")
    make(lake, Facts())
    make(lake, FeatureSnapshots(), [standing])
    index = fresh(lake)
    snapshots = (Input("profile_snapshot", DAYS[4], DAYS[4], countries=("FR",)),)
    assert run_stage(lake, Breaking(), CELLS, Settings(), index=index, run_id="test").raised

    def behind_after(**options: bool) -> tuple[str, ...]:
        run_stage(lake, FeatureSnapshots(), [standing], Settings(), index=index, run_id="test", **options)
        return index.resolve(snapshots).behind

    root = f"profile_snapshot {standing.key}: profile_tiles {Breaking.bad.key}: `share` raised KeyError"
    assert behind_after() == (root,)
    assert behind_after(force=True) == (root,), "of a blocked one no more is told, however many stages come after it"
    run_stage(lake, Facts(), CELLS, Settings(), index=index, run_id="test")
    assert behind_after() == ()


def test_nothing_is_made_from_what_was_blocked(lake: Lake) -> None:
    """Raw plays fail, so facts are blocked, so the facts of before are not what snapshots should be made from."""
    bad, later = Partition(DAYS[2], "DE"), Partition(DAYS[4], "FR")
    make(lake, Facts())
    lake.publish([], Manifest("test", RawPlays.name), failed={bad: "volume"})
    index = fresh(lake)

    def run(stage: Stage, partitions: Sequence[Partition]) -> Report:
        return run_stage(lake, stage, partitions, Settings(), index=index, run_id="test")

    assert set(run(Facts(), CELLS).blocked) == {bad}
    assert (
        f"{bad.key}: its input is stale (raw_plays {bad.key}: volume)"
        in run(FeatureSnapshots(), [later]).blocked[later]
    )
    run_stage(lake, Facts(), CELLS, Settings(), index=index, run_id="test", allow_stale=True)
    assert run(FeatureSnapshots(), [later]).published


def test_a_stage_that_reads_what_it_does_not_name_is_refused(lake: Lake) -> None:
    class Peeking(Facts):
        def build(self, partitions, reader, settings):  # type: ignore[no-untyped-def]
            reader.read("raw_plays", [partitions[0].shifted(1)])
            yield from super().build(partitions, reader, settings)

    with pytest.raises(MissingInput, match="which its inputs do not name"):
        make(lake, Peeking(), CELLS[:1]).raise_if_failed()


def test_what_a_killed_sweep_left_goes_when_the_next_run_starts(lake: Lake, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    HeldFolder(scratch, "sweep")._lock.close()  # as the system does for a process that is gone
    assert len(list(scratch.iterdir())) == 1
    settings = Settings(memory=MemoryConfig(scratch=str(scratch)))
    run_stage(lake, Facts(), CELLS[:1], settings, index=fresh(lake), run_id="test")
    assert not list(scratch.iterdir())


def test_a_killed_run_started_again_ends_in_the_same_hashes(lake: Lake, tmp_path: Path) -> None:
    """Break off after each commit of a stage that publishes three tables; the next run mends it."""
    other = Lake(tmp_path / "undisturbed")
    deliver(other, {cell: [play(cell.day, p, p + 10) for p in (1, 2)] for cell in CELLS})
    make(other, Facts())
    real = Lake._commit
    for allowed in (1, 2):
        left = iter(range(allowed))

        def dying(self: Lake, *args: object, left: object = left, **options: object) -> int:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            return real(self, *args, **options)  # type: ignore[arg-type]

        Lake._commit = dying  # type: ignore[method-assign, assignment]
        try:
            with pytest.raises(KeyboardInterrupt):
                make(lake, Facts(), force=True)
        finally:
            Lake._commit = real  # type: ignore[method-assign]
    make(lake, Facts())
    for table in ("play_facts", "title_tiles", "profile_tiles"):
        assert hashes(lake, table) == hashes(other, table)
