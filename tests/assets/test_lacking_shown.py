"""A ranker that raised, as it is shown: by the run, by the plan, by `status`, and by Dagster."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from daemon import DAY
from deployment import Deployment

from assets.launch import plan_notes, plan_rows
from assets.materialise import check_name, check_results, check_specs, fault
from assets.metadata import of_partition
from rec_platform.flow import Report
from rec_platform.flow.plan import Fate, Planned
from rec_platform.partition import Partition

WINDOW = ("--from", DAY.isoformat(), "--to", DAY.isoformat())
DAYS = [Partition(date(2025, 1, day)) for day in range(1, 6)]
SAID = "line 3: KeyError: 'x' (ranker file sign.py). Correct the file."
STAGE = "ranker_models"
WHOLE = Report(STAGE, {one: {STAGE: 7} for one in DAYS})
REPORT = replace(WHOLE, lacking={one: {"sign": SAID} for one in DAYS[1:]})
#: A ranker that cannot be fitted: raises in its line 10.
RAISING = """
from rec_platform.models.contract import RankerTrainer


class SignTrainer(RankerTrainer):
    name = "sign"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        return {}["of no use"]

    def load(self, artefact):
        raise NotImplementedError
"""


def test_the_step_fails_with_what_raised_once_for_all_dates_of_the_same_reason() -> None:
    wrong = fault(REPORT, {})
    assert wrong is not None
    assert str(wrong.description).startswith(
        f"2025-01-02, 2025-01-03, 2025-01-04 and 1 more lack sign: {SAID[:-1]} (stage ranker_models). All else was made"
    )


def test_a_failed_check_hides_nothing_that_raised() -> None:
    wrong = fault(Report(REPORT.stage, failed={DAYS[0]: "a check"}, lacking={DAYS[1]: {"sign": SAID}}), {})
    assert wrong is not None
    first, second = str(wrong.description).splitlines()
    assert first.startswith("2025-01-01: a check (stage ranker_models).")
    assert second.startswith(f"2025-01-02 lacks sign: {SAID[:-1]}")


def test_the_materialisation_of_a_partition_shows_what_it_lacks() -> None:
    assert of_partition(REPORT, DAYS[1]) == {"rows_ranker_models": 7, "lacks_sign": SAID, "up_to_date": False}
    assert "lacks_sign" not in of_partition(REPORT, DAYS[0])


def test_a_check_of_the_asset_fails_and_names_what_is_lacking() -> None:
    lacking, whole = ({one.check_name: one for one in check_results(STAGE, report)} for report in (REPORT, WHOLE))
    name = check_name(STAGE, "whole")
    assert name in {spec.name for spec in check_specs(STAGE)}
    assert not any(spec.blocking for spec in check_specs(STAGE) if spec.name == name), "later layers go on"
    found = lacking[name]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    rows = [record.data for record in found.metadata["lacking"].value.records]
    assert rows == [{"partition": one.key, "lacks": "sign", "raised": SAID} for one in DAYS[1:]]
    assert whole[name].passed
    assert check_name("metrics", "whole") not in {spec.name for spec in check_specs("metrics")}
    assert check_name("scores", "whole") in {spec.name for spec in check_specs("scores")}


def test_a_plan_says_in_one_line_what_is_tried_again() -> None:
    planned = [
        Planned("ranker_models", dict.fromkeys(DAYS, Fate.MAKE), {}, {DAYS[0]: {"sign": SAID, "evidence": "other"}})
    ]
    assert plan_notes(planned) == [
        "ranker_models 2025-01-01 lacks sign: raised, is tried again; 2025-01-01 lacks evidence: raised, is tried again"
    ]
    assert plan_rows(planned)[0]["lacking"] == {"2025-01-01": {"sign": SAID, "evidence": "other"}}


_MATERIALISED = """
import json, sys
import dagster as dg
from assets.definitions import defs
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
with dg.DagsterInstance.get() as instance:
    job = defs.resolve_implicit_global_asset_job_def()
    asset = dg.AssetKey("ranker_models")
    result = job.execute_in_process(
        instance=instance, asset_selection=[asset], partition_key=sys.argv[1], raise_on_error=False, run_config=quiet
    )
    (record,) = instance.fetch_materializations(asset, limit=1).records
    failed = next(event for event in result.all_node_events if event.is_step_failure).step_failure_data
    print(json.dumps({
        "success": result.success, "said": failed.user_failure_data.description, "this run": record.run_id == result.run_id,
        "partition": record.partition_key, "lacks": record.asset_materialization.metadata["lacks_sign"].value,
        "failed checks": [one.check_name for one in result.get_asset_check_evaluations() if not one.passed],
    }))
"""


@pytest.mark.slow
def test_the_command_goes_on_without_it_says_so_and_fails(deployment: Deployment, tmp_path: Path) -> None:
    ours = Deployment(tmp_path / "home")
    shutil.copytree(deployment.home, ours.home, ignore=shutil.ignore_patterns("locks", "index"))
    (ours.home / "sign.py").write_text(RAISING)
    toml = ours.home / "platform.toml"
    toml.write_text(toml.read_text().replace("[rankers]\n", '[rankers]\nfiles = ["sign.py"]\n'))
    said = " ".join(ours.command("run", *WINDOW, code=1).split())
    assert f"ranker_models: {DAY} lacks sign: line 10: KeyError: 'of no use' (ranker file" in said
    assert "Correct what is said there, and `rec-platform run` makes it." in said
    rows: dict[str, Any] = {str(row["table"]): row for row in ours.rows("status")}
    why = rows["ranker_models"]["lacking"][DAY.isoformat()]["sign"]
    assert why.startswith("line 10: KeyError: 'of no use'")
    assert (rows["scores"]["lacking"], rows["ranker_models"]["stale"], rows["ranker_models"]["failed"]) == ({}, 0, 0)
    shown = json.loads(ours.python("-c", _MATERIALISED, DAY.isoformat()).splitlines()[-1])
    assert shown.pop("said").startswith(f"{DAY} lacks sign: line 10: KeyError: 'of no use' (ranker file")
    assert shown == {
        "success": False,
        "this run": True,
        "partition": DAY.isoformat(),
        "lacks": why,
        "failed checks": ["ranker_models__whole"],
    }


#: A ranker that can be fitted and tried, and raises in its line 20 where whole candidate sets are scored.
RAISING_IN_SCORES = """
from dataclasses import dataclass
import numpy as np
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer, Scorer, base_manifest
from rec_platform.models.training import TrainingFrames, notes_of


@dataclass(frozen=True)
class SignScorer(Scorer):
    notes: tuple
    name = "sign"

    @property
    def features(self):
        return self.notes

    def score(self, frame):
        if "played" in frame.items.column_names:
            return {}["of no use"]
        return np.zeros(frame.n_items)

    def contributions(self, frame, rows):
        return np.zeros((len(rows), len(self.notes)))


class SignTrainer(RankerTrainer):
    name = "sign"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        training = TrainingFrames.of(frames, features[:1], max_items=config.max_items, seed=seed)
        manifest = base_manifest(
            kind="ranker", code_version=1, seed=seed, data=training.data(), features=training.notes(), parameters={}
        )
        return Artefact.of(self.name, manifest, {})

    def load(self, artefact):
        return SignScorer(notes_of(artefact))
"""
_SCORED = """
import json, sys
import dagster as dg
from assets.definitions import defs
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
with dg.DagsterInstance.get() as instance:
    job = defs.resolve_implicit_global_asset_job_def()
    assets = [dg.AssetKey("scores"), dg.AssetKey("metrics")]
    result = job.execute_in_process(
        instance=instance, asset_selection=assets, partition_key=sys.argv[1], raise_on_error=False, run_config=quiet
    )
    made = {event.asset_key.to_user_string(): event.materialization.metadata for event in result.all_node_events
            if event.is_step_materialization}
    print(json.dumps({
        "success": result.success, "made": sorted(made), "lacks": made["scores"]["lacks_sign"].value,
        "failed checks": [one.check_name for one in result.get_asset_check_evaluations() if not one.passed],
    }))
"""


@pytest.mark.slow
def test_one_that_raises_while_scoring_is_told_and_what_is_there_is_measured(
    deployment: Deployment, tmp_path: Path
) -> None:
    """By the command, and in a run of Dagster's UI, where metrics follow in the same run: the check fails, the step does not."""
    ours = Deployment(tmp_path / "home")
    shutil.copytree(deployment.home, ours.home, ignore=shutil.ignore_patterns("locks", "index"))
    (ours.home / "sign.py").write_text(RAISING_IN_SCORES)
    toml = ours.home / "platform.toml"
    toml.write_text(toml.read_text().replace("[rankers]\n", '[rankers]\nfiles = ["sign.py"]\n'))
    key = f"FR|{DAY}"
    said = " ".join(ours.command("run", *WINDOW, code=1).split())
    assert f"scores: DE|{DAY}, {key} lack sign: line 20: KeyError: 'of no use' (ranker file" in said
    rows: dict[str, Any] = {str(row["table"]): row for row in ours.rows("status")}
    why = rows["scores"]["lacking"][key]["sign"]
    assert why.startswith("line 20: KeyError: 'of no use'")
    assert (rows["ranker_models"]["lacking"], rows["metrics"]["lacking"]) == ({}, {})
    shown = json.loads(ours.python("-c", _SCORED, key).splitlines()[-1])
    assert shown == {"success": True, "made": ["metrics", "scores"], "lacks": why, "failed checks": ["scores__whole"]}
