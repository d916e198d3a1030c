"""The late ledger: a delivery after a run names exactly what was made without it, and by how much its features differ."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from simulated_homes import FLOW, MAPPING, fill, run, world
from test_run import CELLS, COUNTRIES, DAYS, deliver, failing, play
from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.clock import day_of, midnight, to_micros
from rec_platform.commands import status, status_notes
from rec_platform.config import SOURCE_FILE
from rec_platform.flow import Platform
from rec_platform.flow import run as flow_run
from rec_platform.flow.late import Late, ledger
from rec_platform.flow.late_changes import KINDS, SEED
from rec_platform.flow.late_changes import LATE as ALONE
from rec_platform.flow.late_features import training_differences
from rec_platform.lake import Lake, Manifest
from rec_platform.partition import Partition
from rec_platform.plays.ingest import ingest
from rec_platform.simulation import simulate
from rec_platform.tables import AVAILABILITY

MADE = ("facts", "feature_snapshots", "candidate_models", "training_sets", "ranker_models")
#: What was delivered on the 7th: (day, country, profile, title, when it became known).
LATE = (
    (DAYS[2], "DE", 1, 13, datetime(2025, 1, 5, 6)),
    (DAYS[2], "DE", 2, 14, datetime(2025, 1, 7, 0)),
    (DAYS[4], "FR", 1, 13, datetime(2025, 1, 6, 0)),
)


def make(home: Path, stages: tuple[str, ...] = MADE, *, force: bool = False) -> None:
    platform = Platform(home)
    partitions = dict.fromkeys(MADE, CELLS) | {
        name: [Partition(day) for day in DAYS] for name in ("candidate_models", "ranker_models")
    }
    for stage in stages:
        platform.run(stage, partitions[stage], run_id="test", force=force).raise_if_failed()


def rows(day: date, country: str, *, with_late: bool) -> list[dict[str, object]]:
    late = [
        play(day, who, title, known=known.replace(tzinfo=None), hour=15)
        for on, place, who, title, known in LATE
        if with_late and (on, place) == (day, country)
    ]
    return [play(day, who, who + 10) for who in (1, 2)] + late


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home made up to the 6th of January."""
    home = tmp_path_factory.mktemp("late") / "home"
    home.mkdir()
    shutil.copy(MAPPING, home / SOURCE_FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
        deliver(Lake(home), {cell: rows(cell.day, cell.place, with_late=False) for cell in CELLS})
        publish_no_offers(Lake(home))
        make(home)
    return home


def publish_no_offers(lake: Lake) -> None:
    with lake.staging("deliver") as staging:
        none = staging.write(AVAILABILITY, Partition(), AVAILABILITY.schema.empty_table())
        lake.publish([none], Manifest("deliver", "reference"))


@pytest.fixture(scope="module")
def after(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same home once the late plays came and the facts of their days were made again."""
    home = Path(shutil.copytree(before, tmp_path_factory.mktemp("late") / "home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
        deliver(Lake(home), {cell: rows(cell.day, cell.place, with_late=True) for cell in CELLS})
        make(home)
    return home


@pytest.fixture
def home(after: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    return Path(shutil.copytree(after, tmp_path / "home"))


def found(home: Path) -> tuple[Late, ...]:
    platform = Platform(home)
    return ledger(platform.lake, platform.index, platform.stages, platform.settings).lines


def as_counts(lines: Sequence[Late]) -> dict[tuple[str, Partition], int]:
    return {(one.stage, one.partition): one.plays for one in lines}


def expected() -> dict[tuple[str, Partition], int]:
    """From the definition: played before the partition's reach ends, and known at its cut or later."""
    counts: Counter[tuple[str, Partition]] = Counter()
    trained: dict[date, set[int]] = {}
    for number, (day, _, _, _, known) in enumerate(LATE):
        moment = to_micros(known.replace(tzinfo=datetime.fromisoformat("2025-01-01T00:00Z").tzinfo))
        for made in DAYS:
            unseen_at_start = moment >= midnight(made)
            unseen_at_end = moment >= midnight(made + timedelta(days=1))
            for country in COUNTRIES:
                counts["feature_snapshots", Partition(made, country)] += day < made and unseen_at_start
                counts["training_sets", Partition(made, country)] += day <= made and unseen_at_end
            counts["candidate_models", Partition(made)] += day < made and unseen_at_start
            if day <= made and unseen_at_end:
                trained.setdefault(made, set()).add(number)
    for made in DAYS:
        seen = set().union(*(plays for day, plays in trained.items() if day < made))
        counts["ranker_models", Partition(made)] += len(seen)
    return {key: number for key, number in counts.items() if number}


def test_it_names_exactly_what_was_made_without_the_late_plays(home: Path) -> None:
    lines = found(home)
    assert as_counts(lines) == expected()
    # in words, for the play of the 3rd known on the 5th, 06:00, and the one of the same day known on the 7th
    assert as_counts(lines)["training_sets", Partition(DAYS[2], "FR")] == 2
    assert as_counts(lines)["training_sets", Partition(DAYS[4], "FR")] == 2  # the second, and the one of the 5th
    assert as_counts(lines)["candidate_models", Partition(DAYS[4])] == 2
    assert ("candidate_models", Partition(DAYS[2])) not in as_counts(lines)
    assert as_counts(lines)["ranker_models", Partition(DAYS[5])] == 3
    one = next(line for line in lines if (line.stage, line.partition) == ("training_sets", Partition(DAYS[2], "DE")))
    assert (one.profiles, day_of(one.played_from), day_of(one.known_from)) == (2, DAYS[2], DAYS[4])


def test_an_empty_ledger_says_so(before: Path) -> None:
    assert found(before) == ()
    told = CliRunner().invoke(app, ["late", "--home", str(before)])
    assert told.exit_code == 0
    assert "No late plays" in told.output
    nothing = json.loads(CliRunner().invoke(app, ["late", "--home", str(before), "--json"]).output)
    del nothing["waiting"]  # raw plays of this home are written by hand
    assert nothing == {"partitions": [], "differences": [], "columns": [], "rankers": [], "models": []}


def late_of(home: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["late", "--home", str(home), *options])


def delivered(home: Path) -> list[tuple[date, str]]:
    return [(day, place) for day, places in Platform(home).index.delivered.items() for place in places]


@pytest.mark.slow
def test_plays_that_landed_since_the_last_run_are_not_passed_over(tmp_path: Path) -> None:
    simulate(world(plays=300, days=5, n_titles=20), tmp_path / "world")
    files = sorted((tmp_path / "world" / "delivery").rglob("*.*"))
    held_back = [file for file in files if file.name.startswith("plays-")][1]
    home = fill(tmp_path / "home", [file for file in files if file != held_back], "")
    first = Platform(home).index.first_day
    assert len(Platform(home).waiting()) == len(delivered(home))
    run(home, first, first, FLOW[:3])
    assert Platform(home).waiting() == ()
    assert late_of(home).output == "No late plays: no play came in after something that it belongs to was made.\n"

    ingest(home, Platform(home).mapping, [held_back])
    waiting = Platform(home).waiting()
    assert 0 < len(waiting) < len(delivered(home))
    told = late_of(home)
    of = "1 partition" if len(waiting) == 1 else f"{len(waiting)} partitions"
    assert f"not taken in yet: {of} of delivered plays ({waiting[0].day}" in told.stderr
    assert f"after rec-platform run --from {Platform(home).index.last_day} --to" in told.stderr
    assert told.stdout.startswith("No late plays among those taken in:")
    shown = CliRunner().invoke(app, ["status", "--home", str(home)])
    assert (
        f"{of} of delivered plays ({waiting[0].day}" in shown.stderr
        and "; taken in by rec-platform run" in shown.stderr
    )
    tables = json.loads(CliRunner().invoke(app, ["status", "--home", str(home), "--json"]).stdout)
    assert {row["table"]: row["waiting"] for row in tables if row["waiting"]} == {"landing": len(waiting)}
    said = json.loads(late_of(home, "--json").stdout)["waiting"]
    assert said == [{"date": str(cell.day), "country": cell.country} for cell in waiting]
    run(home, first, first, FLOW[:3])
    assert json.loads(late_of(home, "--json").stdout)["waiting"] == []
    assert CliRunner().invoke(app, ["status", "--home", str(home)]).stderr == ""


def test_long_listings_are_cut_with_a_count_and_shown_whole_on_request(home: Path) -> None:
    cut, whole = (late_of(home, "--models", "0", *options).stdout for options in ((), ("--all",)))
    lines = found(home)
    assert cut.splitlines()[0] == (
        f"3 plays of 2 profiles came after {len(lines)} partitions had been made without them: played 2025-01-03 to "
        "2025-01-05, known from 2025-01-05T06:00Z on."
    )
    listed = re.search(
        r"Features that would differ, .* \(the first 10 of (\d+); --all shows all\)\n(.*?)\nWhat", cut, re.DOTALL
    )
    assert listed is not None
    head, rows = listed[2].split("─\n")
    assert len(rows.splitlines()) == 10 and "unit" in head and "largest difference" in head
    assert re.search(r"profile_seconds_28d +seconds +\d", cut)
    assert "--all shows" not in whole and f"Made without them: {len(lines)} partitions" in whole
    assert len(whole.splitlines()) > len(cut.splitlines()) + int(listed[1]) - 10
    stages = Counter(stage for stage, _ in expected())
    assert re.search(rf"training_sets +{stages['training_sets']} .* 3 +2 ", cut)
    assert re.search(r"ranker_models +\d+ .* 3 +2 ", cut), "a play that several partitions lack is one play"
    assert "Rankers: share of the contexts trained on" in cut


def test_making_it_again_as_known_then_leaves_it_in_the_ledger(home: Path) -> None:
    make(home, ("candidate_models", "training_sets"), force=True)
    assert as_counts(found(home)) == expected()


def test_training_sets_with_all_that_is_known_now_leave_it(home: Path) -> None:
    (home / "platform.toml").write_text('[training]\nknown_by = "now"\n', encoding="utf-8")
    make(home, ("training_sets",))
    left = {stage for stage, _ in as_counts(found(home))}
    assert left == {"feature_snapshots", "candidate_models"}
    kinds = Platform(home).lake.read("training_sets", columns=["known_by"]).column("known_by").unique().to_pylist()
    assert kinds == ["now"]


def test_metrics_have_late_plays_of_their_own(before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics of a date also read plays before it under its 00:00; scores read all under the end of the label window.

    The first play of `LATE` became known on the 5th, 06:00: scores of the 5th are made again with it, the histories that
    metrics of the 5th read are as known at 00:00 and lack it for good.
    """
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    home = Path(shutil.copytree(before, tmp_path / "home"))
    fifth = [Partition(DAYS[4], country) for country in COUNTRIES]

    def judge() -> None:
        for stage in ("scores", "metrics"):
            Platform(home).run(stage, fifth, run_id="test").raise_if_failed()

    judge()
    deliver(Lake(home), {cell: rows(cell.day, cell.place, with_late=True) for cell in CELLS})
    make(home)
    judge()
    late = as_counts(found(home))
    assert {country: late["scores", Partition(DAYS[4], country)] for country in COUNTRIES} == {"DE": 2, "FR": 2}
    # in DE the play of the 5th in FR is none of theirs: of the date itself metrics read their own country
    assert {country: late["metrics", Partition(DAYS[4], country)] for country in COUNTRIES} == {"DE": 2, "FR": 3}


def test_a_partition_first_made_after_the_delivery_is_not_late(home: Path) -> None:
    """The 7th is made after the late plays came: it knew of two and could not know of the third, which was there."""
    tomorrow = DAYS[-1] + timedelta(days=1)
    platform = Platform(home)
    platform.run("candidate_models", [Partition(tomorrow)], run_id="test").raise_if_failed()
    assert ("candidate_models", Partition(tomorrow)) not in as_counts(found(home))


def test_features_differ_by_what_the_late_plays_add(home: Path) -> None:
    platform = Platform(home)
    whole = ledger(platform.lake, platform.index, platform.stages, platform.settings)
    compared = {one.partition: one for one in training_differences(platform, whole, kinds=(ALONE,))}
    assert set(compared) == {line.partition for line in whole.lines if line.stage == "training_sets"}
    # contexts of the 3rd are at noon, before the late plays of 15:00; those of the 4th are after them
    assert compared[Partition(DAYS[2], "DE")].share == 0.0
    fourth = compared[Partition(DAYS[3], "FR")]
    assert (fourth.compared, fourth.of, fourth.changed, fourth.stale) == (2, 2, 2, False)
    changes = {one.name: one for one in fourth.changes}
    plays = changes["profile_plays_28d"]
    assert (plays.changed, plays.values, plays.groups, plays.largest, plays.mean) == (
        plays.values,
        plays.values,
        2,
        1.0,
        1.0,
    )
    assert changes["title_runtime_seconds"].changed == 0


def test_the_command_and_status_tell_it(home: Path) -> None:
    body = json.loads(CliRunner().invoke(app, ["late", "--home", str(home), "--json"]).output)
    assert {(row["stage"], row["date"], row["country"]): row["plays"] for row in body["partitions"]} == {
        (stage, str(partition.date), partition.country): plays for (stage, partition), plays in expected().items()
    }
    assert {(row["table"], row["with"]) for row in body["columns"]} == {
        (table, kind) for table in ("profile_snapshot", "title_snapshot", "training_sets") for kind in KINDS
    }
    assert all(0 < row["changed_share"] <= 1 and row["changed"] <= row["values"] for row in body["columns"])
    units = {row["name"]: row["unit"] for row in body["columns"]}
    assert all(units.values())
    assert (units["watched_ms_7d"], units["last_played_at"], units["profile_plays_28d"]) == ("ms", "seconds", "plays")
    assert not any(row["sampled"] for row in body["rankers"])
    assert [row["date"] for row in body["rankers"] if row["with"] == ALONE] == [str(day) for day in DAYS[3:]]
    models = {(row["date"], row["with"]) for row in body["models"]}
    assert models == {(str(day), kind) for day in DAYS[-1:] for kind in (*KINDS, SEED)}
    late = {str(cell.day): plays for (stage, cell), plays in expected().items() if stage == "candidate_models"}
    assert all(row["late_plays"] == late[row["date"]] for row in body["models"])
    days = ["late", "--from", str(DAYS[4]), "--to", str(DAYS[4]), "--home", str(home)]
    some = json.loads(CliRunner().invoke(app, [*days, "--json"]).output)
    assert {row["date"] for row in some["partitions"]} == {str(DAYS[4])}
    shown = CliRunner().invoke(app, days)
    assert shown.exit_code == 0 and "of values" in shown.output and "profile_plays_28d" in shown.output
    assert "Training features with the late plays, as if they had come in time:" in shown.output
    assert "in 3 of 4 contexts (all 4 contexts of 2 partitions)." in shown.output
    assert (
        "Candidate models fitted again: by how much their scores differ for the items of all 4 contexts of"
        in shown.output
    )
    assert shown.stdout.startswith("3 plays of 2 profiles came after 6 partitions had been made without them: played ")
    assert "fitted again" not in CliRunner().invoke(app, [*days, "--models", "0"]).output
    sampled = CliRunner().invoke(app, [*days, "--contexts", "1", "--all"]).output
    assert "(a sample of 2 of 4 contexts of 2 partitions)." in sampled and "(sampled of 2)" in sampled
    every = json.loads(CliRunner().invoke(app, ["late", "--home", str(home), "--contexts", "1", "--json"]).output)
    assert every["rankers"] and all(row["sampled"] for row in every["rankers"])
    counts = {row["table"]: row["late"] for row in status(Platform(home), ())}
    by_stage = Counter(stage for stage, _ in expected())
    assert counts["training_sets"] == counts["contexts"] == by_stage["training_sets"]
    assert counts["profile_snapshot"] == by_stage["feature_snapshots"]
    assert counts["play_facts"] == counts["landing"] == 0


def test_status_says_what_is_not_as_it_should_be_and_why(
    home: Path, before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(of: Path) -> list[str]:
        return status_notes(Platform(of), status(Platform(of), ()))

    assert notes(before) == []
    (late,) = notes(home)
    assert (
        late
        == f"late: made without plays that came later; rec-platform late --home {home} says by how much they differ"
    )

    again, never = CELLS[4], Partition(DAYS[-1] + timedelta(days=1))
    for stage, cell in (("facts", again), ("candidate_models", never)):
        monkeypatch.setattr(flow_run, "audit", failing(cell))
        assert Platform(home).run(stage, [cell], run_id="test", force=True, allow_stale=True).failed
    stale, failed, still = notes(home)
    why = "volume on play_facts: 0 rows, expected more"
    assert stale == (
        f"stale: did not pass when made again, the version before stands: play_facts {again.key}: {why} (and 2 more)"
    )
    assert failed == f"failed: never passed, nothing stands: candidate_models {never.key}: {why}"
    assert still == late
    shown = CliRunner().invoke(app, ["status", "--home", str(home)])
    assert failed in shown.stderr and shown.exit_code == 0
    assert "failed: never" not in CliRunner().invoke(app, ["status", "--home", str(home), "--json"]).stderr


def test_status_lists_a_table_of_which_nothing_ever_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(MAPPING, tmp_path / SOURCE_FILE)
    deliver(Lake(tmp_path), {cell: rows(cell.day, cell.place, with_late=False) for cell in CELLS[:1]})
    monkeypatch.setattr(flow_run, "audit", failing(CELLS[0]))
    assert Platform(tmp_path).run("facts", CELLS[:1], run_id="test").failed
    told = {row["table"]: row for row in status(Platform(tmp_path), ())}["play_facts"]
    assert (told["partitions"], told["rows"], told["failed"]) == (0, 0, 1)
