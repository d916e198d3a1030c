"""A stage that raises in Dagster: what it had made is shown as made, the step says what was raised, a chain goes on."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from daemon import DAY
from deployment import Deployment
from test_commands import copy_of, hashes

from assets.launch import Outcome, table_of
from assets.materialise import failure, results, told
from rec_platform.checks import CheckResult
from rec_platform.errors import ConfigError
from rec_platform.flow import Report
from rec_platform.partition import Partition

STAGE = "training_sets"
FAULT = ConfigError("it raised KeyError: 'b' (line 9 of odd.py)", place="encoder 'odd'", repair="Correct that line.")
CELL = Partition(date(2025, 1, 1), "DE")
CHECK = CheckResult("keys_present", "contexts", CELL.key, True, True, "", "", 0.1)


def test_what_a_stage_raised_is_the_steps_error_with_its_traceback_behind_it() -> None:
    wrong = failure(Report(STAGE, raised=FAULT))
    assert isinstance(wrong, dg.Failure) and not wrong.allow_retries
    assert told(wrong).startswith("it raised KeyError: 'b' (line 9 of odd.py) (encoder 'odd'). Correct that line.")
    assert wrong.__cause__ is FAULT


def test_a_fault_of_ours_is_not_hidden() -> None:
    bug = KeyError("bug")
    assert failure(Report(STAGE, raised=bug)) is bug
    assert told(bug) == "KeyError: 'bug'"


def test_checks_that_a_stage_never_came_to_are_not_shown_as_passed() -> None:
    assert list(results(STAGE, Report(STAGE, raised=FAULT), {}, None)) == []
    part = {one.check_name for one in results(STAGE, Report(STAGE, checks=(CHECK,), raised=FAULT), {}, None)}
    assert "contexts__keys_present" in part
    assert not any(name.startswith("proof__") for name in part if name)
    unproven = {one.check_name for one in results(STAGE, Report(STAGE), {}, dg.Failure("a proof raised"))}
    assert unproven == part


def test_what_stands_on_inputs_that_were_not_made_again_is_not_counted_as_up_to_date() -> None:
    made, left = Outcome("facts", 4, 4, 0, 0, 0, 0, 1.0), Outcome("metrics", 3, 0, 1, 2, 0, 0, 1.0)
    assert [column.header for column in table_of([made]).columns][2:5] == ["made", "up to date", "failed"]
    told_of = table_of([made, left])
    assert [column.header for column in told_of.columns][2:5] == ["made", "up to date", "left"]
    assert [list(column.cells)[1] for column in told_of.columns] == ["metrics", "3", "0", "1", "2", "0", "1.0"]


ODD = '''"""Raises for DE of one date, as long as the file beside it is there."""

from pathlib import Path

import numpy as np

from rec_platform.features import encoder


@encoder(unit="hours", about="hours since midnight, UTC")
def odd_hours(at, country):
    bad = (np.asarray(at).astype("int64") // 86_400_000_000 == {day}) & (np.asarray(country).astype(str) == "DE")
    return {{"a": at}}["b"] if bad.any() else np.asarray(at).astype("int64") % 86_400_000_000 / 3.6e9
'''
#: The date at which it raises, one of the four training days.
BAD = date(2025, 1, 4)
SAID = "it raised KeyError: 'b' (line 13 of"

_RUNS = """
import json, sys
import dagster as dg
from assets.definitions import defs
from assets.jobs import ORDER, chain_config
from assets.schedules import request
from datetime import date
job, *keys = json.loads(sys.argv[1])
asset = dg.AssetKey("training_sets")
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

def told(result, instance):
    failed = {event.step_key: event.step_failure_data for event in result.all_node_events if event.is_step_failure}
    logged = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.asset_materialization for entry in logged]
    checks = result.get_asset_check_evaluations()
    return {
        "success": result.success, "run": result.run_id,
        "said": {step: data.user_failure_data.description for step, data in failed.items()},
        "made": sorted((one.asset_key.path[0], one.partition, bool(one.metadata["up_to_date"].value)) for one in made),
        "failed checks": [one.check_name for one in checks if not one.passed],
        "checks": sorted({one.asset_key.path[0] for one in checks}),
    }

with dg.DagsterInstance.get() as instance:
    if job == "asset":
        ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]}
        found = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[asset], tags=ends, raise_on_error=False, run_config=quiet
        )
    else:
        asked = request(date.fromisoformat(keys[0])).run_config
        found = defs.resolve_job_def("daily_flow").execute_in_process(
            instance=instance, run_config={**asked, **quiet}, raise_on_error=False
        )
    print(json.dumps(told(found, instance)))
"""


@pytest.fixture
def odd(deployment: Deployment, tmp_path: Path) -> Deployment:
    """The deployment, with a feature file that raises at one date of one country."""
    home = copy_of(deployment, tmp_path / "home")
    (home.home / "odd.py").write_text(ODD.format(day=(BAD - date(1970, 1, 1)).days))
    toml = home.home / "platform.toml"
    toml.write_text('[features]\nfiles = ["odd.py"]\n' + toml.read_text())
    return home


def run_of(home: Deployment, *asked: str) -> dict[str, Any]:
    found = json.loads(home.python("-c", _RUNS, json.dumps(asked)).splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_the_asset_shows_what_was_made_before_it_raised_and_why_no_more(odd: Deployment) -> None:
    before = hashes(odd.home)[STAGE]
    found = run_of(odd, "asset", "DE|2025-01-02", "DE|2025-01-05")
    made = {f"DE|2025-01-0{n}" for n in (2, 3)}
    assert found["made"] == [[STAGE, partition, False] for partition in sorted(made)]
    assert found["said"][STAGE].startswith(SAID)
    assert f"training_sets: 2 of 4 partitions were built; the first left is DE|{BAD}." in found["said"][STAGE]
    assert (found["success"], found["failed checks"], found["checks"]) == (False, [], [STAGE])
    after = hashes(odd.home)[STAGE]
    assert {key for key in before if before[key] != after[key]} == made
    rows: dict[str, Any] = {str(row["table"]): row for row in odd.rows("status")}
    (run,) = rows[STAGE]["raised_in"]
    assert (run["run"], run["left"], run["first"]) == (found["run"], 2, f"DE|{BAD}")


@pytest.mark.slow
def test_the_daily_flow_goes_on_past_it_with_what_does_not_depend_on_it(odd: Deployment) -> None:
    """Rankers of before stand beside training sets that were not made again; nothing is made from them."""
    before = hashes(odd.home)
    shutil.rmtree(odd.home / "lake" / "recommendations")
    found = run_of(odd, "daily", DAY.isoformat())
    assert list(found["said"]) == ["verdict"]
    lines = found["said"]["verdict"].splitlines()
    assert lines[0].startswith(SAID)
    assert any("its input was not made again (training_sets" in line and SAID in line for line in lines[1:])
    stages = {stage for stage, _, _ in found["made"]}
    assert stages >= {"raw_plays", "facts", "feature_snapshots", "candidate_models", STAGE, "metrics"}
    assert not any(stage == "recommendations" for stage, _, _ in found["made"])
    after = hashes(odd.home)
    for table in ("ranker_models", "scores", "metrics"):
        assert after[table] == before[table]
    assert after["recommendations"] == {}
