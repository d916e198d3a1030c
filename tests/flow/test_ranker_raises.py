"""A ranker that raises while it is fitted: the others of its date are published, what comes after goes on with them, and the
next run makes what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulated_homes import FLOW, THREE_TRAINING_DAYS, run
from simulated_homes import NINE_DAYS_LAST as LAST
from test_ranker_file import POPULAR as SOUND

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import Incomplete, StorageFault
from rec_platform.flow import Platform, Report, Window
from rec_platform.flow.plan import Fate, Planned, foreseen
from rec_platform.lake import Manifest, PartitionState
from rec_platform.models.artefact import from_rows
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.own import OwnTrainer
from rec_platform.models.training import both_labels
from rec_platform.partition import Partition
from rec_platform.proofs.replay import replayed
from rec_platform.proofs.verdict import Finding
from rec_platform.tables import METRICS, RANKER_MODELS, SCORES_TABLE, TRAINING_SETS

pytestmark = pytest.mark.slow

BEFORE = LAST - timedelta(days=1)
DATES = (Partition(BEFORE), Partition(LAST))
SETTINGS = f"{THREE_TRAINING_DAYS}{{rankers}}[evaluation]\nreplicates = 20\n"
#: The planted ranker is the first to be fitted, so that the others come after what it does.
NAMED = "models = ['popular', 'logistic', 'xgboost']\nfiles = ['popular.py']\n"
#: The baseline `popularity` said once more, by a ranker that writes into what it is given and then raises on one date.
EARLY = """
#: Holds a context that one date alone learns from.
EARLY = Path(__file__).with_name("early.txt")
"""
RAISES = """
        if int(EARLY.read_text()) in frames[0].contexts.column("context_id").to_pylist():
            for frame in frames:
                frame.offsets[1:-1] = frame.offsets[-1]
            {}["of that date"]
"""
NOTES, FIT = "import TrainingFrames, notes_of\n", "config, seed):\n"
POPULAR = "\nfrom pathlib import Path" + SOUND.replace(NOTES, NOTES + EARLY).replace(FIT, FIT.rstrip() + RAISES)
GATE = 'if int(EARLY.read_text()) in frames[0].contexts.column("context_id").to_pylist():'
LINE = 1 + POPULAR.split("of that date")[0].count("\n")


def flow(home: Path) -> dict[str, Report]:
    """What every stage did for both dates; what some partitions lack is no error here."""
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, BEFORE, LAST)
    return {stage: platform.run(stage, platform.needed(stage, window), run_id="test") for stage in FLOW}


@pytest.fixture(scope="module")
def without(nine_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home run for both dates with the platform's rankers alone."""
    home = Path(shutil.copytree(nine_days, tmp_path_factory.mktemp("raises") / "without"))
    (home / "platform.toml").write_text(SETTINGS.format(rankers=""), encoding="utf-8")
    run(home, BEFORE, LAST)
    return home


def early(home: Path) -> int:
    """A context of the first training day of the first date, that can teach a ranking."""
    first = Partition(BEFORE - timedelta(days=3), "US")
    frame = flat(Platform(home).lake.read(TRAINING_SETS.name, [first], (c.CONTEXT_ID, c.ITEMS)))
    return int(frame.context(c.CONTEXT_ID)[both_labels(frame)[0]])


@dataclass(frozen=True)
class Planted:
    """A home with the planted ranker, and what the run did in which it raised."""

    home: Path
    reports: Mapping[str, Report]


@pytest.fixture(scope="module")
def planted(nine_days: Path, without: Path) -> Planted:
    """Nothing of its models, and of what reads them, was there before."""
    home = Path(shutil.copytree(nine_days, without.parent / "planted"))
    (home / "popular.py").write_text(POPULAR, encoding="utf-8")
    (home / "early.txt").write_text(str(early(without)), encoding="utf-8")
    (home / "platform.toml").write_text(SETTINGS.format(rankers=NAMED), encoding="utf-8")
    return Planted(home, flow(home))


@pytest.fixture
def home(planted: Planted, tmp_path: Path) -> Path:
    """A copy to go on from. What was raised is said of the file where it stands now."""
    copy = Path(shutil.copytree(planted.home, tmp_path / "home"))
    Platform(copy).run("ranker_models", DATES, run_id="test")
    return copy


def models(home: Path, day: date) -> list[str]:
    return list(from_rows(Platform(home).lake.read(RANKER_MODELS.name, [Partition(day)]), place="test"))


def states(home: Path, table: str, day: date) -> dict[Partition, PartitionState]:
    return {one: state for one, state in Platform(home).lake.state(table).items() if one.date == day}


def judged(home: Path, day: date) -> set[str]:
    lake = Platform(home).lake
    rows = lake.read(METRICS.name, [one for one in lake.state(METRICS.name) if one.date == day])
    return set(rows.column(c.MODEL).to_pylist())


def planned(home: Path) -> dict[str, Planned]:
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, BEFORE, LAST)
    stages = [platform.stages[name] for name in FLOW]
    found = foreseen(platform.index, stages, window, platform.settings, force=False, allow_stale=False)
    return {one.stage: one for one in found}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the rankers that are fitted, as they are."""
    found: list[str] = []
    for kind in (LogisticTrainer, BoostedTreesTrainer, OwnTrainer):

        def noted(trainer: RankerTrainer, *args: Any, fit: Any = kind.fit, **more: Any) -> Any:
            found.append(trainer.name)
            return fit(trainer, *args, **more)

        monkeypatch.setattr(kind, "fit", noted)
    return found


def test_the_other_rankers_of_its_date_are_published_and_all_that_comes_after(planted: Planted) -> None:
    assert (models(planted.home, BEFORE), models(planted.home, LAST)) == (
        ["logistic", "xgboost"], ["logistic", "popular", "xgboost"],
    )  # fmt: skip
    for stage, report in planted.reports.items():
        assert not (report.failed or report.blocked), stage
        assert report.ok is (stage != "ranker_models")
    for stage in ("scores", "metrics", "recommendations"):
        assert {one.day for one in planted.reports[stage].published} == {BEFORE, LAST}
    assert judged(planted.home, LAST) - judged(planted.home, BEFORE) == {"popular"}
    assert {"logistic", "xgboost", "popularity"} <= judged(planted.home, BEFORE)


def test_what_is_published_is_what_it_is_without_that_ranker(without: Path, planted: Planted) -> None:
    """To the last bit, also where it wrote into what the others are fitted on, of this date and of the next."""
    for table in (RANKER_MODELS.name, SCORES_TABLE.name, METRICS.name, "recommendations"):
        there = {one: state.content_hash for one, state in states(without, table, BEFORE).items()}
        assert {one: state.content_hash for one, state in states(planted.home, table, BEFORE).items()} == there
    mine, theirs = (from_rows(Platform(one).lake.read(RANKER_MODELS.name, [DATES[1]]), place="test")
                    for one in (planted.home, without))  # fmt: skip
    assert {name: mine[name] for name in theirs} == theirs


def test_the_run_says_which_ranker_which_date_what_and_where_and_the_commit_names_it(planted: Planted) -> None:
    report = planted.reports["ranker_models"]
    said = rf"line {LINE}: KeyError: 'of that date' \(ranker file .*popular\.py\)\. Correct the file"
    with pytest.raises(Incomplete, match=rf"{BEFORE} lacks popular: {said}.*stage ranker_models.*rec-platform run"):
        report.raise_if_failed()
    assert list(report.lacking) == [DATES[0]]
    partitions = Platform(planted.home).lake.manifests(RANKER_MODELS.name)[0]["partitions"]
    assert partitions[DATES[0].key]["lacks"] == report.lacking[DATES[0]]
    assert "lacks" not in partitions[DATES[1].key]


def test_the_plan_says_that_it_is_tried_again(planted: Planted) -> None:
    plan = planned(planted.home)
    rankers = plan["ranker_models"]
    assert (rankers.those(Fate.MAKE), rankers.those(Fate.CURRENT)) == ([DATES[0]], [DATES[1]])
    assert {one: list(lacks) for one, lacks in rankers.lacking.items()} == {DATES[0]: ["popular"]}
    assert {one.day for one in plan["scores"].those(Fate.IF_CHANGED)} == {BEFORE}
    assert not any(one.lacking for stage, one in plan.items() if stage != "ranker_models")


def test_a_date_that_lacks_a_ranker_is_made_whatever_its_training_sets_turn_out_to_be(home: Path) -> None:
    """The other date hangs on what its training set, that is made again, will hold."""
    later = Partition(LAST - timedelta(days=2), "US")
    Platform(home).lake.publish([], Manifest("test", "training_sets"), failed={later: "too_good_feature"})
    assert planned(home)["ranker_models"].fates == {DATES[0]: Fate.AFTER, DATES[1]: Fate.IF_CHANGED}


def test_the_next_run_tries_that_one_alone_and_makes_no_commit_if_it_raises_again(home: Path, fits: list[str]) -> None:
    before = Platform(home).index.versions
    again = flow(home)
    assert fits == ["popular"]
    assert not again["ranker_models"].ok
    assert again["scores"].current
    assert not again["scores"].published
    assert Platform(home).index.versions == before


def test_once_it_is_corrected_it_alone_is_fitted_and_later_stages_follow(home: Path, fits: list[str]) -> None:
    (home / "popular.py").write_text(POPULAR.replace(GATE, "if not frames:"), encoding="utf-8")
    again = run(home, BEFORE, LAST)
    assert fits == ["popular", "popular"], "another code makes it anew on both dates"
    assert models(home, BEFORE) == models(home, LAST) == ["logistic", "popular", "xgboost"]
    for stage in ("ranker_models", "scores"):
        assert {one.day for one in again[stage].published} == {BEFORE, LAST}
    assert {one.day for one in again["metrics"].published} == {BEFORE}, (
        "its scores of the other date are what they were"
    )
    assert "popular" in judged(home, BEFORE)
    made = states(home, RANKER_MODELS.name, BEFORE)
    assert not any(state.lacks for state in made.values())
    Platform(home).run("ranker_models", DATES, run_id="test", force=True).raise_if_failed()
    assert states(home, RANKER_MODELS.name, BEFORE) == made, "what was taken over is what fits of all make"


def test_what_raised_by_what_no_fingerprint_sees_is_made_by_the_same_code(home: Path, fits: list[str]) -> None:
    """The fingerprint is what it was, so the mark beside it has to say that there is something to do."""
    made_from = states(home, RANKER_MODELS.name, BEFORE)[DATES[0]].fingerprint
    (home / "early.txt").write_text("-1", encoding="utf-8")
    again = run(home, BEFORE, LAST)
    state = states(home, RANKER_MODELS.name, BEFORE)[DATES[0]]
    assert (state.fingerprint, state.lacks) == (made_from, {})
    assert fits == ["popular"]
    assert list(again["ranker_models"].published) == [DATES[0]]
    assert {one.day for one in again["scores"].published} == {BEFORE}
    assert not any(report.published for report in run(home, BEFORE, LAST).values())


def test_a_replay_holds_what_is_lacking_against_what_was(home: Path) -> None:
    def replay() -> Finding:
        platform = Platform(home)
        return replayed(platform.lake, platform.stages["ranker_models"], DATES[0], platform.settings)

    assert replay().passed
    (home / "early.txt").write_text("-1", encoding="utf-8")
    assert (replay().passed, replay().observed) == (False, "it lacks nothing made again, popular as published")


def force(home: Path, *days: Partition) -> Report:
    return Platform(home).run("ranker_models", days, run_id="test", force=True)


def test_where_all_rankers_of_a_date_raise_the_stage_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what each of them raised, and what the date before lacks."""
    first = int((home / "early.txt").read_text())
    for kind in (LogisticTrainer, BoostedTreesTrainer, OwnTrainer):

        def fit(trainer: RankerTrainer, frames: list[Frame], fit: Any = kind.fit, **more: Any) -> Any:
            if first not in frames[0].context(c.CONTEXT_ID):
                raise ValueError(f"nothing for {trainer.name}")
            return fit(trainer, frames, **more)

        monkeypatch.setattr(kind, "fit", fit)
    before = Platform(home).index.versions
    with pytest.raises(ValueError, match="nothing for popular") as raised:
        force(home, *DATES).raise_if_failed()
    logistic, xgboost, built, lacks = raised.value.__notes__
    assert logistic.startswith("logistic: ValueError: nothing for logistic (test_ranker_raises.py, line ")
    assert xgboost.startswith("xgboost: ValueError: nothing for xgboost (test_ranker_raises.py, line ")
    assert built == f"ranker_models: 1 of 2 partitions were built; the first left is {LAST}."
    assert f"{BEFORE} lacks popular: line {LINE}: KeyError" in lacks
    assert Platform(home).index.versions == before


def test_a_ranker_of_the_platform_is_left_out_as_one_of_a_file_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise MemoryError("no room for trees")

    monkeypatch.setattr(BoostedTreesTrainer, "fit", fit)
    report = force(home, DATES[1])
    assert models(home, LAST) == ["logistic", "popular"]
    said = report.lacking[DATES[1]]["xgboost"]
    assert said.startswith("MemoryError: no room for trees (test_ranker_raises.py, line ")


@pytest.mark.parametrize("fault", [StorageFault("the disk is full", place="", repair=""), KeyboardInterrupt()])
def test_what_is_no_rankers_fault_is_never_swallowed(
    home: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(OwnTrainer, "fit", fit)
    before = Platform(home).index.versions
    with pytest.raises(type(fault)):
        force(home, DATES[1])
    assert Platform(home).index.versions == before
