"""The report of a home: every section there, numbers as stored, nothing fetched, equal bytes twice."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli import app
from rec_platform.errors import MissingInput
from rec_platform.evaluation import rolled_up
from rec_platform.evaluation.comparison import NO_VERDICT, only
from rec_platform.flow import Platform
from rec_platform.lake import Lake
from rec_platform.reports import data
from rec_platform.reports.judged import against_baseline, differences, judged, telling
from rec_platform.reports.report import report, verdict
from rec_platform.reports.stages import shown
from rec_platform.simulation import simulate
from rec_platform.tables import METRIC_SUMS, METRICS
from tests.flow.simulated_homes import fill, run, world

FIRST, LAST = date(2025, 1, 6), date(2025, 1, 7)
SETTINGS = "[evaluation]\nreplicates = 40\n[rankers]\nmin_training_days = 3\nn_trees = 20\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two judged days of a small world."""
    folder = tmp_path_factory.mktemp("report")
    simulate(world(plays=6_000, days=8, n_titles=120), folder / "world")
    filled = fill(folder / "home", (folder / "world" / "delivery").rglob("*.*"), SETTINGS)
    run(filled, FIRST, LAST)
    return filled


@pytest.fixture(scope="module")
def page(home: Path) -> str:
    lake = Platform(home).lake
    partitions = sorted(lake.state(METRIC_SUMS.name))
    return report(lake, FIRST, LAST, partitions, min_contexts=30, progress=lambda _what, _share: None)


@pytest.mark.slow
def test_every_section_is_there_and_nothing_is_fetched(page: str) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    expected = "Summary, Models, Slices, Lists, Calibration, Volume, Plays and contexts, Features, Drift, "
    expected += "How it was judged, All numbers"
    assert ", ".join(titles) == expected
    assert not re.findall(r'(?:src|href)="(?!#)', page)


@pytest.mark.slow
def test_the_summary_says_what_the_sums_say(home: Path, page: str) -> None:
    lake = Platform(home).lake
    found = judged(lake, sorted(lake.state(METRIC_SUMS.name)))
    whole = {row[c.MODEL]: row for row in found.values()}
    best = max(found.models, key=lambda name: whole[name][c.VALUE])
    assert f"{whole[best][c.VALUE]:.3f}" in page
    assert found.models[0] == best
    said = verdict(found, best)
    assert best in said
    assert found.baseline in said
    pairs, every = found.pairs, differences(found)
    assert [row["difference"] for row in pairs] == [row["difference"] for row in every if row[c.SLICE] == "all"]
    assert len(pairs) == len(found.models) * (len(found.models) - 1) / 2


@pytest.mark.slow
def test_below_the_fewest_contexts_nothing_has_a_verdict(home: Path) -> None:
    lake = Platform(home).lake
    found = judged(lake, sorted(lake.state(METRIC_SUMS.name)), min_contexts=1_000_000)
    assert {row["verdict"] for row in [*found.pairs, *against_baseline(found)]} == {NO_VERDICT}


def test_a_slice_that_holds_every_context_in_one_value_says_nothing() -> None:
    def row(name: str, value: str, n: int) -> dict[str, object]:
        return {c.SLICE: name, c.SLICE_VALUE: value, c.N: n}

    whole, tv, known = row("all", "all", 9), row("device", "unknown", 9), row("country", "FR", 8)
    parts = [row("band", "new", 5), row("band", "old", 9)]
    assert telling([whole, tv, known, *parts]) == [whole, known, *parts]


@pytest.mark.slow
def test_the_command_writes_the_same_bytes(home: Path, page: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    result = CliRunner().invoke(
        app, ["report", "--from", str(FIRST), "--to", str(LAST), "--home", str(home), "--out", str(out)]
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert out.read_text(encoding="utf-8") == page


@pytest.mark.slow
def test_the_same_pictures_stand_beside_the_assets(home: Path) -> None:
    lake = Platform(home).lake
    partitions = sorted(lake.state(METRICS.name))
    metrics = shown("metrics", lake, partitions).pictures
    assert set(metrics) >= {"picture", "slices"}
    few = shown("metrics", lake, partitions, min_contexts=1_000_000)
    assert few.pictures["slices"].count(" ?<") > metrics["slices"].count(" ?<"), "too few for a verdict"
    drawn = shown("training_sets", lake, partitions).pictures
    assert set(drawn) >= {"picture", "features", "drift"}
    assert max(len(picture) for picture in (metrics | drawn).values()) < 100_000
    drift, dates = data.drift(data.sampled_features(lake, partitions))
    assert dates == [LAST]
    assert all(len(values) == 1 for values in drift.values())


def test_no_metrics_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="rec-platform run"):
        judged(Lake(tmp_path), [])


@pytest.mark.slow
def test_days_without_a_context_are_an_error_that_says_so(home: Path) -> None:
    """Metrics are published for them; they hold no number."""
    lake = Platform(home).lake
    partitions = sorted(lake.state(METRIC_SUMS.name))
    whole = rolled_up(lake.read(METRIC_SUMS.name, [one], METRIC_SUMS.schema.names) for one in partitions)
    with pytest.raises(MissingInput, match="nothing to judge"):
        judged(lake, partitions, sums=only(whole, lambda _key: False))
