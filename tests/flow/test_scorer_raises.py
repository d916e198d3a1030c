"""A ranker that can be fitted and raises while it scores: all else is scored, measured and listed, and the next run tries it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from simulated_homes import FLOW, THREE_TRAINING_DAYS, run
from simulated_homes import NINE_DAYS_LAST as LAST
from test_ranker_file import POPULAR as SOUND
from test_ranker_file import nmrr, values
from test_ranker_raises import BEFORE, flow, judged, planned, states
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli import app
from rec_platform.errors import ConfigError, Incomplete
from rec_platform.flow import Platform, Report
from rec_platform.flow.plan import Fate
from rec_platform.partition import Partition
from rec_platform.proofs.replay import replayed
from rec_platform.tables import CONTEXTS, METRICS, SCORES_TABLE

pytestmark = pytest.mark.slow

US, DE = Partition(LAST, "US"), Partition(LAST, "DE")
SETTINGS = f"{THREE_TRAINING_DAYS}files = ['popular.py']\n{{more}}[evaluation]\nreplicates = 20\n"
ODD = """
#: A context in which it raises.
ODD = Path(__file__).with_name("odd.txt")
"""
RAISES = """
        if int(ODD.read_text()) in frame.contexts.column("context_id").to_pylist():
            frame.offsets[1:-1] = frame.offsets[-1]
            {}["of that context"]
"""
#: The baseline `popularity` said once more, by a ranker that writes into what it is given and raises in one context.
NOTES, SCORE = "import TrainingFrames, notes_of\n", "def score(self, frame):\n"
POPULAR = "\nfrom pathlib import Path" + SOUND.replace(NOTES, NOTES + ODD).replace(SCORE, SCORE.rstrip() + RAISES)
GATE = 'if int(ODD.read_text()) in frame.contexts.column("context_id").to_pylist()'
LINE = 1 + POPULAR.split("of that context")[0].count("\n")
WINDOW = ("--from", str(BEFORE), "--to", str(LAST))


@dataclass(frozen=True)
class Planted:
    """A home with the planted ranker, and what the run did in which it raised in one context of a country."""

    home: Path
    reports: Mapping[str, Report]


@pytest.fixture(scope="module")
def planted(nine_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    home = Path(shutil.copytree(nine_days, tmp_path_factory.mktemp("scorer") / "planted"))
    contexts = Platform(home).lake.read(CONTEXTS.name, [US], (c.CONTEXT_ID,))
    (home / "odd.txt").write_text(str(contexts[c.CONTEXT_ID][-1]), encoding="utf-8")
    (home / "popular.py").write_text(POPULAR, encoding="utf-8")
    (home / "platform.toml").write_text(SETTINGS.format(more=""), encoding="utf-8")
    return Planted(home, flow(home))


@pytest.fixture
def home(planted: Planted, tmp_path: Path) -> Path:
    """A copy to go on from. What was raised is said of the file where it stands now."""
    copy = Path(shutil.copytree(planted.home, tmp_path / "home"))
    Platform(copy).run("scores", [US], run_id="test")
    return copy


def told(home: Path, *command: str) -> str:
    result = CliRunner().invoke(app, [*command, *WINDOW, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_all_else_is_scored_measured_and_listed(planted: Planted) -> None:
    for stage, report in planted.reports.items():
        assert not (report.failed or report.blocked), stage
        assert report.ok is (stage != "scores")
    for stage in ("scores", "metrics", "recommendations"):
        assert {one.day for one in planted.reports[stage].published} == {BEFORE, LAST}
    scored = {one: planted.reports["scores"].extra[one]["models"] for one in (US, DE)}
    assert set(scored[DE]) - set(scored[US]) == {"popular"}
    assert {"logistic", "xgboost", "popularity"} <= set(scored[US])
    assert "popular" in judged(planted.home, BEFORE)
    rows = Platform(planted.home).lake.read(METRICS.name, [US])
    assert "popular" not in rows.column(c.MODEL).to_pylist()
    assert nmrr(planted.home, "xgboost")[c.N] > 100


def test_the_run_says_which_model_which_partition_what_and_where_and_the_commit_names_it(planted: Planted) -> None:
    report = planted.reports["scores"]
    said = rf"line {LINE}: KeyError: 'of that context' \(ranker file .*popular\.py\)\. Correct the file"
    with pytest.raises(Incomplete, match=rf"{re.escape(US.key)} lacks popular: {said}.*stage scores.*rec-platform run"):
        report.raise_if_failed()
    assert list(report.lacking) == [US]
    assert states(planted.home, SCORES_TABLE.name, LAST)[US].lacks == report.lacking[US]


def test_the_plan_says_that_it_is_tried_again(planted: Planted) -> None:
    plan = planned(planted.home)
    assert plan["scores"].those(Fate.MAKE) == [US]
    assert {one: list(lacks) for one, lacks in plan["scores"].lacking.items()} == {US: ["popular"]}
    assert plan["metrics"].those(Fate.IF_CHANGED) == [US]
    assert not any(plan[stage].those(Fate.MAKE) for stage in FLOW if stage != "scores")


def test_the_next_run_tries_it_again_and_makes_no_commit_if_it_raises_again(home: Path) -> None:
    before = Platform(home).index.versions
    again = flow(home)
    assert list(again["scores"].lacking) == [US]
    assert not any(report.published for stage, report in again.items() if stage != "scores")
    assert Platform(home).index.versions == before


def test_what_no_fingerprint_sees_is_made_by_the_same_code_and_measured(home: Path) -> None:
    """And what was measured of the other models meanwhile is what is measured of them beside it."""
    made_from, alone = states(home, SCORES_TABLE.name, LAST)[US].fingerprint, values(home, "xgboost")
    (home / "odd.txt").write_text("-1", encoding="utf-8")
    again = run(home, BEFORE, LAST)
    assert {stage: list(report.published) for stage, report in again.items() if report.published} == {
        "scores": [US], "metrics": [US],
    }  # fmt: skip
    state = states(home, SCORES_TABLE.name, LAST)[US]
    assert (state.fingerprint, state.lacks) == (made_from, {})
    assert values(home, "popular") == values(home, "popularity")
    assert {key: found for key, found in values(home, "xgboost").items() if key in alone} == alone
    assert not any(report.published for report in run(home, BEFORE, LAST).values())


def test_a_replay_holds_what_is_lacking_against_what_was(home: Path) -> None:
    platform = Platform(home)
    assert replayed(platform.lake, platform.stages["scores"], US, platform.settings).passed
    (home / "odd.txt").write_text("-1", encoding="utf-8")
    found = replayed(platform.lake, platform.stages["scores"], US, platform.settings)
    assert (found.passed, found.observed) == (False, "it lacks nothing made again, popular as published")


def test_means_over_several_dates_say_on_how_many_each_model_was_measured(planted: Planted, tmp_path: Path) -> None:
    fewer = "not on all of these contexts, so their means are over others: popular on 3 of 4 partitions (2 of 2 dates)"
    assert fewer in told(planted.home, "metrics")
    compared = told(planted.home, "compare", "popular", "popularity")
    assert fewer in compared
    assert "different contexts on nmrr: choose days on which both were scored" in compared
    assert "not on all" not in told(planted.home, "compare", "xgboost", "popularity")
    told(planted.home, "report", "--out", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"Models {fewer}." in page
    assert "no verdict: measured on other contexts" in page
    assert "not on all" not in told(planted.home, "metrics", "--countries", "DE")


def test_status_names_it(planted: Planted) -> None:
    result = CliRunner().invoke(app, ["status", "--home", str(planted.home)])
    said = " ".join(result.output.split())
    assert f"each run tries it again: scores {US.key} popular: line {LINE}: KeyError: 'of that context'" in said


def test_lists_that_it_makes_fail_and_say_what_to_do(home: Path) -> None:
    """There is no other list to publish; the error names the model, the line, and both repairs. Its scores are there."""
    in_lists = 'if "label" not in frame.items.column_names'
    (home / "popular.py").write_text(POPULAR.replace(GATE, in_lists), encoding="utf-8")
    (home / "platform.toml").write_text(SETTINGS.format(more="[recommend]\nmodels = ['popular']\n"), encoding="utf-8")
    reports = flow(home)
    assert reports["scores"].ok
    with pytest.raises(ConfigError) as raised:
        reports["recommendations"].raise_if_failed()
    said = str(raised.value)
    assert said.startswith(f"model popular: line {LINE}: KeyError: 'of that context' (ranker file ")
    assert "Correct the file" in said
    assert "name another there first" in said
    assert not reports["recommendations"].published
