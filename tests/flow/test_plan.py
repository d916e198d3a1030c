"""The plan of a run: what it says will be made is made, what it says is up to date is left alone, and nothing is passed over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from simulated_homes import FLOW, fill, world
from test_run import CELLS, COUNTRIES, DAYS, deliver, failing, fresh, make, play

from rec_platform.config import Settings
from rec_platform.facts.stage import Facts
from rec_platform.flow import Platform, Report, Window, run_stage
from rec_platform.flow import run as flow_run
from rec_platform.flow.plan import Fate, Planned, foreseen
from rec_platform.lake import Lake
from rec_platform.models.stage import CandidateModels
from rec_platform.partition import Partition
from rec_platform.plays.ingest import ingest
from rec_platform.simulation import simulate
from rec_platform.stage import Stage
from rec_platform.timetravel.snapshots import FeatureSnapshots

Fates = Mapping[str, Planned]


def kept(planned: Planned, report: Report) -> None:
    """What the plan promised of a stage is what its run did."""
    fate = {one: set(planned.those(one)) for one in Fate}
    published, current, blocked = set(report.published), set(report.current), set(report.blocked)
    assert set(planned.fates) == published | current | blocked, planned.stage
    assert fate[Fate.MAKE] | fate[Fate.AFTER] <= published, planned.stage
    assert fate[Fate.CURRENT] <= current, planned.stage
    assert fate[Fate.IF_CHANGED] <= published | current, planned.stage
    assert blocked <= fate[Fate.CANNOT] and not fate[Fate.CANNOT] & published, planned.stage
    assert set(planned.reasons) == fate[Fate.CANNOT] and all(planned.reasons.values())


def counted(planned: Planned) -> dict[Fate, int]:
    return dict(Counter(planned.fates.values()))


# --- the whole flow on a simulated home ------------------------------------------------------------------------------

CONFIG = world(plays=400, days=5, n_titles=30, late_share=0.2, empty_day=None)
FIRST, LAST = (CONFIG.start + timedelta(days=n) for n in (2, 3))
SETTINGS = "[rankers]\ntraining_days = 2\nmin_training_days = 1\nn_trees = 3\n"


def plan_home(home: Path, first: date = FIRST, *, force: bool = False) -> Fates:
    platform = Platform(home)
    stages, window = [platform.stages[name] for name in FLOW], window_of(platform, first)
    plan = foreseen(platform.index, stages, window, platform.settings, force=force, allow_stale=False)
    return {one.stage: one for one in plan}


def window_of(platform: Platform, first: date = FIRST) -> Window:
    return Window.checked(platform.index, platform.settings, first, LAST)


def run_home(home: Path, plan: Fates) -> dict[str, Report]:
    """What the run did that was planned, held against the plan."""
    platform = Platform(home)
    reports = {
        name: platform.run(name, platform.needed(name, window_of(platform)), run_id="test") for name in FLOW
    }  # fmt: skip
    for name in FLOW:
        kept(plan[name], reports[name])
    return reports


@pytest.mark.slow
def test_the_plan_of_a_home_is_kept_when_it_is_new_and_when_plays_come_late(tmp_path: Path) -> None:
    simulate(CONFIG, tmp_path / "world")
    files = sorted((tmp_path / "world" / "delivery").iterdir())
    held_back = next(file for file in files if file.name == f"plays-{FIRST}.csv")
    home = fill(tmp_path / "home", [file for file in files if file != held_back], SETTINGS)

    new = plan_home(home)
    assert set(counted(new["raw_plays"])) == {Fate.MAKE}
    assert all(set(counted(new[stage])) == {Fate.AFTER} for stage in FLOW[2:])
    assert counted(new["ranker_models"]) == {Fate.AFTER: 2}, "they read training sets, where there are some"
    run_home(home, new)

    assert all(set(counted(one)) == {Fate.CURRENT} for one in plan_home(home).values())
    assert all(set(counted(one)) == {Fate.MAKE} for one in plan_home(home, force=True).values())
    earlier = plan_home(home, FIRST - timedelta(days=1))
    assert counted(earlier["feature_snapshots"]) == {Fate.MAKE: 2, Fate.CURRENT: 4}

    ingest(home, Platform(home).mapping, [held_back])
    (home / "platform.toml").write_text(SETTINGS + "[training]\nknown_by = 'now'\n", encoding="utf-8")
    both = plan_home(home)
    assert set(counted(both["training_sets"])) == {Fate.MAKE}, "of another configuration, whatever the facts will be"
    assert set(counted(both["ranker_models"])) == {Fate.IF_CHANGED}

    (home / "platform.toml").write_text(SETTINGS, encoding="utf-8")
    late = plan_home(home)
    reports = run_home(home, late)
    changed = late["raw_plays"].those(Fate.MAKE)
    assert 0 < len(changed) < len(late["raw_plays"].fates)
    assert late["facts"].those(Fate.IF_CHANGED) == changed
    assert counted(late["facts"])[Fate.CURRENT] == len(late["facts"].fates) - len(changed)
    perhaps = {(name, one) for name in FLOW[2:] for one in late[name].those(Fate.IF_CHANGED)}
    made = {(name, one) for name in FLOW[2:] for one in reports[name].published}
    assert made < perhaps, "some of them were not changed by it"
    assert {name for name, _ in made} > {"facts"}, "and some were, not only facts"


# --- random histories of a few stages --------------------------------------------------------------------------------


class Otherwise(Facts):
    """Facts of newer code."""

    code_version = Facts.code_version + 1


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    lake = Lake(tmp_path)
    deliver(lake, {cell: [play(cell.day, p, p + 10) for p in (1, 2)] for cell in CELLS})
    return lake


WHOLE = Window(DAYS[2], DAYS[5], COUNTRIES)


def plan_of(lake: Lake, stages: Sequence[Stage], **options: bool) -> list[Planned]:
    options = {"force": False, "allow_stale": False, **options}
    return foreseen(fresh(lake), stages, WHOLE, Settings(), **options)


def run_as_planned(lake: Lake, stages: Sequence[Stage], **options: bool) -> Counter[Fate]:
    """Run the stages as one run, hold each against its plan; how many partitions of each fate there were."""
    plan, index = plan_of(lake, stages, **options), fresh(lake)
    for stage, planned in zip(stages, plan, strict=True):
        assert set(planned.those(Fate.IF_CHANGED)) <= set(fresh(lake).state(stage.tables[0].name)), "these stand"
        kept(planned, run_stage(lake, stage, list(planned.fates), Settings(), index=index, run_id="test", **options))
    return Counter(fate for planned in plan for fate in planned.fates.values())


@pytest.mark.parametrize("seed", range(12))
def test_plans_are_kept_whatever_stood_before(lake: Lake, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draw = random.Random(seed)

    def some(cells: Sequence[Partition]) -> list[Partition]:
        return [cell for cell in cells if draw.random() < 0.7]

    make(lake, Facts(), some(CELLS))
    make(lake, FeatureSnapshots(), some(CELLS[4:]))
    make(lake, CandidateModels(), some([Partition(day) for day in DAYS]))
    if draw.random() < 0.6:
        monkeypatch.setattr(flow_run, "audit", failing(draw.choice(CELLS[:6])))
        make(lake, Facts(), some(CELLS), force=True)
        monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    deliver(lake, {cell: [play(cell.day, p, p + 10) for p in (1, 2, 3)] for cell in draw.sample(CELLS, 3)})
    stages: list[Stage] = [draw.choice([Facts, Facts, Otherwise])(), FeatureSnapshots(), CandidateModels()]
    options = {name: draw.random() < 0.2 for name in ("force", "allow_stale")}
    run_as_planned(lake, stages[draw.random() < 0.3 :], **options)


def test_what_no_stage_of_the_run_repairs_cannot_be_made(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts that are not among the stages: never published first, then stale by a failed audit, then behind."""
    later = [FeatureSnapshots(), CandidateModels()]
    snapshots, _ = plan_of(lake, later)
    assert counted(snapshots) == {Fate.CANNOT: 8}
    assert "never published: " in snapshots.reasons[Partition(DAYS[2], "DE")]
    run_as_planned(lake, later)

    run_as_planned(lake, [Facts(), *later])
    monkeypatch.setattr(flow_run, "audit", failing(Partition(DAYS[1], "DE")))
    make(lake, Facts(), CELLS, force=True)
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    snapshots, _ = plan_of(lake, later)
    assert counted(snapshots) == {Fate.CANNOT: 8}
    assert "is stale" in snapshots.reasons[Partition(DAYS[2], "DE")]
    assert counted(plan_of(lake, later, allow_stale=True)[0]) == {Fate.CURRENT: 8}

    facts, snapshots, _ = plan_of(lake, [Facts(), *later])
    assert facts.those(Fate.MAKE) == [Partition(DAYS[1], "DE")], "it is tried again"
    assert counted(snapshots) == {Fate.IF_CHANGED: 8}, "which may change what stands"
    run_as_planned(lake, [Facts(), *later])


def test_a_plan_changes_nothing_for_the_run_after_it(lake: Lake) -> None:
    index = fresh(lake)
    asked = [Facts(), FeatureSnapshots()]
    foreseen(index, asked, WHOLE, Settings(), force=False, allow_stale=False)
    assert index.state("play_facts") == {}
    assert flow_run.plan_stage(
        index, FeatureSnapshots(), CELLS[4:], Settings(), force=False, allow_stale=False
    ).blocked  # fmt: skip
