"""Counts, history, other tables, and what an audit costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import good_tables as g
import pandas as pd
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform import tables
from rec_platform.checks import RULES, CheckResult, audit, cost
from rec_platform.checks.judge import Bounds, Check, get_ready, judge
from rec_platform.config import AuditConfig
from rec_platform.errors import KeyRefused, NumericError
from rec_platform.lake import Lake, Manifest, Staged, Staging
from rec_platform.partition import Partition

audit_module, judge_module = (import_module(f"rec_platform.checks.{name}") for name in ("audit", "judge"))
FR = Partition(g.DAY, "FR")


def one(results: list[CheckResult], check: str, partition: Partition = FR) -> CheckResult:
    (found,) = [result for result in results if result.check == check and result.partition == partition.key]
    return found


def raw(rows: int, day: int = 0) -> pa.Table:
    """So many plays, one a second, on a day counted from `g.DAY`."""
    start = g.MIDNIGHT + day * 24 * g.HOUR
    instants = [start + second * 1_000_000 for second in range(rows)]
    full: g.Rows = {field.name: [None] * rows for field in tables.RAW_PLAYS.schema}
    return g.typed(
        tables.RAW_PLAYS,
        full | {
            c.PLAY_ID: list(range(rows)), c.EVENT: ["play"] * rows, c.PROFILE: [1] * rows, c.TITLE: [1] * rows,
            c.PLAYED_AT: instants, c.KNOWN_AT: instants,
        },
    )  # fmt: skip


def stage_raw(staging: Staging, rows: int, day: int = 0, extra: dict[str, Any] | None = None) -> Staged:
    partition = Partition(g.DAY + timedelta(days=day), "FR")
    return staging.write(tables.RAW_PLAYS, partition, raw(rows, day), extra=extra)


def audit_raw(home: Path, rows: int, extra: dict[str, Any] | None, **settings: float) -> list[CheckResult]:
    lake = Lake(home)
    with lake.staging("test") as staging:
        staged = [stage_raw(staging, rows, extra=extra)]
        return audit("raw_plays", staged, lake=lake, settings=AuditConfig(**settings))


def test_delivered_rows_must_add_up(tmp_path: Path) -> None:
    good = {"delivered": 7, "accepted": 4, "duplicates": 1, "quarantined": {"missing_id": 2}}
    assert one(audit_raw(tmp_path, 4, good), "landing_reconciles").passed
    lost = one(audit_raw(tmp_path, 4, good | {"delivered": 8}), "landing_reconciles")
    assert not lost.passed and lost.blocking
    assert lost.observed.startswith("8 delivered = 4 accepted + 1 duplicates + 2 quarantined")
    not_written = one(audit_raw(tmp_path, 3, good), "landing_reconciles")
    assert not not_written.passed


def test_refused_rows_warn_past_the_bound(tmp_path: Path) -> None:
    counts = {"delivered": 10, "accepted": 4, "duplicates": 0, "quarantined": {"missing_id": 6}}
    result = one(audit_raw(tmp_path, 4, counts), "quarantined_share_bounded")
    assert not result.passed and not result.blocking
    assert result.observed == "0.6 of 10 delivered rows (missing_id 6)"
    assert one(audit_raw(tmp_path, 4, counts, max_quarantined_share=0.6), "quarantined_share_bounded").passed


@pytest.mark.parametrize(("delivered", "passed"), [(999, True), (1_000, False)])
def test_many_rows_and_none_accepted_blocks(tmp_path: Path, delivered: int, passed: bool) -> None:
    counts = {"delivered": delivered, "accepted": 0, "duplicates": 0, "quarantined": {"missing_id": delivered}}
    result = one(audit_raw(tmp_path, 0, counts), "some_row_accepted")
    assert result.passed is passed and result.blocking


def test_quarantined_rows_are_those_counted(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        rows = g.good("quarantined_plays")
        staged = [staging.write(tables.QUARANTINED_PLAYS, FR, rows, extra=g.raw_counts(missing_id=3))]
        results = audit("raw_plays", staged, lake=lake, settings=AuditConfig())
    assert one(results, "quarantined_rows_counted").observed == "2 rows, 3 counted"
    assert not one(results, "quarantined_rows_counted").passed


# --- history ---------------------------------------------------------------------------------------------------------


def with_history(home: Path, rows: int, days: int) -> Lake:
    """A lake with `days` published days before `g.DAY`, of `rows` plays each."""
    lake = Lake(home)
    with lake.staging("before") as staging:
        lake.publish([stage_raw(staging, rows, -day) for day in range(1, days + 1)], Manifest("before", "raw_plays"))
    return lake


@pytest.mark.parametrize(("rows", "passed"), [(20, True), (400, True), (401, False), (1, True), (0, False)])
def test_volume_is_compared_with_the_median_of_published_days(tmp_path: Path, rows: int, passed: bool) -> None:
    lake = with_history(tmp_path, 20, 8)
    with lake.staging("test") as staging:
        results = audit("raw_plays", [stage_raw(staging, rows)], lake=lake, settings=AuditConfig())
    result = one(results, "volume_like_history")
    assert result.passed is passed and not result.blocking
    assert result.observed == f"{rows} rows, {rows / 20:.3g} times the median 20"
    assert result.expected == "0.05 to 20 times the median"


def test_little_history_is_not_judged(tmp_path: Path) -> None:
    lake = with_history(tmp_path, 20, 6)
    with lake.staging("test") as staging:
        results = audit("raw_plays", [stage_raw(staging, 0)], lake=lake, settings=AuditConfig())
    assert one(results, "volume_like_history").passed
    assert one(results, "volume_like_history").observed.startswith("not judged")


def test_days_of_the_same_call_are_history_for_later_ones_only(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        staged = [stage_raw(staging, 20, day) for day in range(8)] + [stage_raw(staging, 0, 8)]
        results = audit("raw_plays", staged, lake=lake, settings=AuditConfig())
    found = {result.partition: result for result in results if result.check == "volume_like_history"}
    assert not found[Partition(g.DAY + timedelta(days=8), "FR").key].passed
    assert found[FR.key].observed == "not judged: 20 rows; 0 partitions before it, too few to compare"


def test_a_faulty_partition_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        staged = [stage_raw(staging, 3, day) for day in range(3)]
        bad = Partition(g.DAY + timedelta(days=3), "FR")
        staged.insert(1, staging.write(tables.RAW_PLAYS, bad, raw(3, 4)))
        results = audit("raw_plays", staged, lake=lake, settings=AuditConfig())
    assert {result.partition for result in results if not result.passed} == {bad.key}
    assert one(results, "played_at_inside_date", bad).observed == "3 of 3 rows"


@pytest.mark.parametrize(("rows", "said"), [(1, "1 of 1 row"), (1200, "1,200 of 1,200 rows")])
def test_one_row_is_one_row(tmp_path: Path, rows: int, said: str) -> None:
    lake, bad = Lake(tmp_path), Partition(g.DAY + timedelta(days=3), "FR")
    with lake.staging("test") as staging:
        staged = [staging.write(tables.RAW_PLAYS, bad, raw(rows, 4))]
        results = audit("raw_plays", staged, lake=lake, settings=AuditConfig())
    assert one(results, "played_at_inside_date", bad).observed == said


# --- other tables ----------------------------------------------------------------------------------------------------


def test_contexts_and_training_sets_hold_the_same(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        staged = [
            staging.write(tables.CONTEXTS, FR, g.good("contexts", n=3)),
            staging.write(tables.TRAINING_SETS, FR, g.good("training_sets", n=4)),
        ]
        results = audit("training_sets", staged, lake=lake, settings=AuditConfig())
    assert one(results, "contexts_match").observed == "4 training contexts, 3 contexts"
    assert not one(results, "contexts_match").passed


@pytest.mark.parametrize(("as_of", "passed"), [("2025-03-10", True), ("2025-03-11", False)])
def test_a_model_that_read_past_its_date_is_caught(tmp_path: Path, as_of: str, passed: bool) -> None:
    lake = Lake(tmp_path)
    rows = g.models() | {"payload": [json.dumps({"data": {"as_of": as_of}}).encode(), b"\xff\xfe"]}
    with lake.staging("test") as staging:
        staged = [staging.write(tables.CANDIDATE_MODELS, Partition(g.DAY), g.typed(tables.CANDIDATE_MODELS, rows))]
        results = audit("candidate_models", staged, lake=lake, settings=AuditConfig())
    assert one(results, "model_sees_no_future", Partition(g.DAY)).passed is passed


def test_a_table_of_another_stage_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        staged = [stage_raw(staging, 1)]
        with pytest.raises(KeyRefused, match=r"raw_plays is of stage raw_plays .audit of stage facts"):
            audit("facts", staged, lake=lake, settings=AuditConfig())


def test_a_home_whose_name_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1]*").mkdir()
    assert all(result.passed for result in audit_raw(tmp_path / "a[1]*", 4, None))


# --- the judge and its cost ------------------------------------------------------------------------------------------


def test_the_judge_names_rows_and_skips_what_is_not_there() -> None:
    """Checks of one table and of another, some with the same bounds, of tables with more and with fewer partitions."""
    exact, open_ended, one = (0.0, 0.0, True), (0.0, None, False), (1.0, 1.0, True)
    judged: dict[Check, tuple[list[float | None], Bounds, set[int]]] = {
        ("x", "a"): ([0.0, 1.0, None], exact, {1}),
        ("x", "b"): ([0.5, 2.0, -1.0], open_ended, {2}),
        ("x", "c"): ([None, None, None], one, set()),
        ("x", "d"): ([-1.0, 0.0, 2.0], exact, {0, 2}),
        ("y", "a"): ([0.0, 0.0, 0.0, -0.5], exact, {3}),
        ("y", "b"): ([-1.0, -2.0, 0.0, None], (0.0, None, True), {0, 1}),
        ("z", "a"): ([], exact, set()),
    }
    columns = {check: values for check, (values, _, _) in judged.items()}
    bounds = {check: bound for check, (_, bound, _) in judged.items()}
    assert judge(columns, bounds) == {check: frozenset(rows) for check, (_, _, rows) in judged.items()}


def test_what_cannot_be_judged_is_an_error() -> None:
    exact = (0.0, 0.0, True)
    with pytest.raises(NumericError, match=r"the checks with the bounds \(0.0, 0.0, True\) could not be evaluated"):
        judge_module._validated(pd.DataFrame({str(exact): ["no", "numbers"]}), [exact])


@pytest.mark.parametrize("faulty", ["profile_snapshot", "title_snapshot"])
def test_tables_judged_at_once_break_their_own_checks(tmp_path: Path, faulty: str) -> None:
    lake, places = Lake(tmp_path), [Partition(g.DAY, country) for country in ("DE", "FR", "US")]
    with lake.staging("test") as staging:
        staged = []
        for name in ("profile_snapshot", "title_snapshot"):
            for place in places:
                rows = g.FLAT[name]()
                if name == faulty and place.country == "FR":
                    rows |= {c.LAST_PLAYED_AT: [g.MIDNIGHT, *rows[c.LAST_PLAYED_AT][1:]]}
                staged.append(staging.write(tables.table(name), place, g.typed(tables.table(name), rows)))
        results = audit("feature_snapshots", staged, lake=lake, settings=AuditConfig())
    assert len(results) == sum(3 * len(RULES[one]) for one in ("profile_snapshot", "title_snapshot"))
    assert {(one.table, one.check, one.partition) for one in results if not one.passed} == {
        (faulty, "snapshot_sees_no_future", "FR|" + str(g.DAY))
    }


def test_a_session_of_the_database_kept_is_set_as_any_other() -> None:
    """In a zone of its own a machine would compare instants with the days of that zone."""
    code = (
        "from rec_platform.engine.duckdb import connect, cursor\n"
        "fresh, kept = (dict(s.sql('SELECT name, value FROM duckdb_settings()').fetchall()) for s in (connect(), cursor()))\n"
        "print(kept['TimeZone'], {name for name in fresh if fresh[name] != kept[name]} - {'enable_progress_bar'})"
    )
    environment = {**os.environ, "TZ": "America/New_York"}
    told = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert told.stdout == "UTC set()\n"


def test_importing_the_checks_does_not_import_great_expectations() -> None:
    code = (
        "import sys, rec_platform.checks, rec_platform.checks.judge; "
        "sys.exit(any(name.split('.')[0] == 'great_expectations' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_hundred_small_partitions_in_one_call_are_quick(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.staging("test") as staging:
        staged = [stage_raw(staging, 3, day) for day in range(-100, 100)]
        get_ready()
        began = time.process_time()
        results = audit("raw_plays", staged, lake=lake, settings=AuditConfig())
        seconds = time.process_time() - began
    assert len(results) == 200 * len(RULES["raw_plays"])
    assert all(result.passed for result in results)
    assert seconds < 5


def test_every_check_says_its_share_of_the_pass_that_measured_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, burnt = audit_module.profile, 0.2

    def slow(spec: tables.TableSpec, staged: Sequence[Staged]) -> Any:
        until = time.process_time() + burnt
        while time.process_time() < until:
            pass
        return honest(spec, staged)

    before = {one.check: one.cpu_seconds for one in audit_raw(tmp_path, 4, None)}
    monkeypatch.setattr(audit_module, "profile", slow)
    after = {one.check: one.cpu_seconds for one in audit_raw(tmp_path, 4, None)}
    assert min(before.values()) > 0
    by_query = [rule.check for rule in RULES["raw_plays"] if rule.sql]
    assert min(after[check] for check in by_query) >= burnt / len(by_query)
    assert sum(after[check] for check in by_query) >= burnt
    assert cost(audit_raw(tmp_path, 4, None))["raw_plays"].keys() == after.keys()
