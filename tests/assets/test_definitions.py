"""What Dagster shows: the graph, its partitions, its checks; and how a backfill runs through the real daemon."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import daemon
import pytest
from daemon import DAY, DAYS, FIRST, small_home
from deployment import Deployment
from test_commands import hashes

from rec_platform.clock import days_between
from rec_platform.flow import LAYERS, STAGES

_SHOW = """
import json
from assets.definitions import defs
from assets.partitions import UNIVERSE
graph = defs.resolve_asset_graph()
print(json.dumps({
    "assets": {node.key.to_user_string(): {
        "group": node.group_name, "about": node.description, "kinds": sorted(node.kinds), "owners": list(node.owners or []),
        "checks": sorted(key.name for key in node.check_keys),
        "keys": [] if node.partitions_def is None else list(map(str, node.partitions_def.get_partition_keys())),
    } for node in graph.asset_nodes},
    "schedules": [one.name for one in defs.schedules], "sensors": [one.name for one in defs.sensors],
    "jobs": [one.name for one in defs.jobs],
}))
"""


@pytest.fixture(scope="module")
def shown(deployment: Deployment) -> dict[str, object]:
    found = json.loads(deployment.python("-c", _SHOW))
    assert isinstance(found, dict)
    return found


def test_every_stage_is_an_asset_with_group_description_and_kinds(
    shown: dict[str, dict[str, dict[str, object]]],
) -> None:
    assets = shown["assets"]
    assert set(assets) == {"landing", *(stage for layer in LAYERS for stage in layer)} == {"landing", *STAGES}
    for name, one in assets.items():
        assert one["group"] != "default", name
        assert one["about"], name
        assert one["kinds"], name
        assert one["owners"] == [], name
        assert name == "landing" or one["checks"], name


def test_partitions_are_the_delivered_days_and_today_where_no_play_of_it_is_needed(
    shown: dict[str, dict[str, dict[str, list[str]]]],
) -> None:
    assets = shown["assets"]
    assert assets["facts"]["keys"][0] == "DE|2025-01-01"
    assert len(assets["facts"]["keys"]) == 2 * DAYS
    assert len(assets["recommendations"]["keys"]) == 2 * (DAYS + 1)
    assert len(assets["ranker_models"]["keys"]) == DAYS + 1
    assert assets["reference"]["keys"] == []


def test_schedule_and_sensors_are_there(shown: dict[str, list[str]]) -> None:
    assert shown["schedules"] == ["daily"]
    assert shown["sensors"] == ["landing_folder"]
    assert set(shown["jobs"]) == {"daily_flow", "take_in", *(f"run_{stage}" for layer in LAYERS for stage in layer)}


@pytest.mark.slow
def test_a_backfill_of_everything_at_once_ends_as_the_command_line_does(deployment: Deployment, tmp_path: Path) -> None:
    """All assets selected in one backfill: the real daemon starts each layer after the one before it."""
    home = small_home(tmp_path)
    days = [day.isoformat() for day in days_between(FIRST, DAY)]
    cells = [f"{country}|{day}" for day in days for country in ("DE", "FR")]
    last = [f"{country}|{DAY}" for country in ("DE", "FR")]
    keys: dict[str, list[str] | None] = {
        "reference": None, "raw_plays": cells, "facts": cells, "feature_snapshots": last, "candidate_models": days,
        "training_sets": cells, "ranker_models": [DAY.isoformat()], "scores": last, "metrics": last, "recommendations": last,
    }  # fmt: skip
    Deployment(home).python(daemon.__file__, json.dumps(keys), str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["status"] == "COMPLETED_SUCCESS"
    layers = [set(layer) for layer in LAYERS]
    assert all(any(set(run) <= layer for layer in layers) for run in found["runs"]), found["runs"]
    assert {name: set(seen) for name, seen in found["seen"].items()} == {
        name: set(wanted) for name, wanted in keys.items() if wanted is not None
    }
    assert set(found["landed"]) == hashes(home)["landing"].keys() & set(cells)
    ours, theirs = hashes(home), hashes(deployment.home)
    for table in ours:
        common = ours[table].keys() & theirs[table].keys()
        assert common or not theirs[table], table
        assert {key: ours[table][key] for key in common} == {key: theirs[table][key] for key in common}, table


_DAILY = """
import json, sys
from datetime import date
from datetime import timedelta
from pathlib import Path
import dagster as dg
from assets.definitions import defs
from assets.schedules import request
from assets.sensors import landing_folder
found = {"late": str(request(date(2030, 1, 1)))}
with dg.DagsterInstance.get() as instance:
    asked = request(date.fromisoformat(sys.argv[1]))
    result = defs.resolve_job_def("daily_flow").execute_in_process(instance=instance, run_config=asked.run_config)
    found["daily"] = result.success
    found["read"] = sorted(instance.get_materialized_partitions(dg.AssetKey("landing")))
    found["seen"] = sorted(instance.get_materialized_partitions(dg.AssetKey("recommendations")))
    context = dg.build_sensor_context(instance=instance)
    found["nothing"] = str(landing_folder(context))
    (Path(sys.argv[2]) / "landing").mkdir()
    (Path(sys.argv[2]) / "landing" / "plays-late.csv").write_text(Path(sys.argv[3]).read_text())
    taken = landing_folder(context)
    (asked,) = taken.run_requests
    found["asked"] = asked.run_config["ops"]["make_facts"]["config"]["partitions"]
    found["landed"] = [[one.partition, one.metadata["files"].value] for one in taken.asset_events]
    for event in taken.asset_events:
        instance.report_runless_asset_event(event)
    found["taken"] = defs.resolve_job_def("take_in").execute_in_process(instance=instance, run_config=asked.run_config).success
    found["told"] = len(instance.fetch_materializations(dg.AssetKey("landing"), 1000).records)
    found["again"] = str(landing_folder(context))
print(json.dumps(found))
"""


def test_the_schedule_runs_the_day_and_the_sensor_takes_in_a_late_file(deployment: Deployment, tmp_path: Path) -> None:
    """Through Dagster, in process: today's lists are made; a dropped file changes the partitions of its rows only."""
    home = tmp_path / "home"
    shutil.copytree(deployment.home, home, ignore=shutil.ignore_patterns("dagster", "locks", "index"))
    header = next((deployment.home.parent / "world" / "delivery").glob("plays-*.csv")).read_text().splitlines()[0]
    late = tmp_path / "late.csv"
    played, known = f"{FIRST}T20:00:00.000Z", f"{DAY}T06:00:00.000Z"
    row = f"late-1,u0000001,1001,play,{played},{known},FR,600,3000,tv,s,r,home,0,0,0.5"
    late.write_text(f"{header}\n{row}\n")
    done = Deployment(home).python("-c", _DAILY, DAY.isoformat(), str(home), str(late))
    found = json.loads(done.splitlines()[-1])
    assert "was not delivered yet" in found["late"]
    assert found["daily"]
    assert f"FR|{DAY + timedelta(days=1)}" in found["seen"]
    assert "no new file" in found["nothing"]
    assert found["asked"] == [f"FR|{FIRST}"]
    ((told, files),) = found["landed"]
    assert told == f"FR|{FIRST}"
    assert files.startswith(f"plays-{FIRST}.csv, ") and files.endswith(", plays-late.csv")
    assert found["taken"]
    assert set(found["read"]) == {key for key in hashes(home)["landing"] if not key.startswith("__")}
    assert found["told"] == len(found["read"]) + 1, "take_in had heard of it"
    assert "no new file" in found["again"]
    before, after = hashes(deployment.home), hashes(home)
    changed = {key for key in before["play_facts"] if before["play_facts"][key] != after["play_facts"][key]}
    assert changed == {f"FR|{FIRST}"}
    assert before["training_sets"] == {key: after["training_sets"][key] for key in before["training_sets"]}
