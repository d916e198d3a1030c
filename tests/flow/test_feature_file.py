"""A feature file of the user's own (examples/features/binge.py), named in platform.toml: what it changes and what not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from simulated_homes import FLOW, run
from simulated_homes import NINE_DAYS_LAST as LAST
from simulated_homes import THREE_TRAINING_DAYS as SETTINGS

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureSet
from rec_platform.flow import Platform, Report, Window
from rec_platform.models.artefact import from_rows
from rec_platform.models.training import notes_of
from rec_platform.partition import Partition
from rec_platform.tables import PLAY_FACTS, RANKER_MODELS, TRAINING_SETS

EXAMPLE = Path(__file__).parents[2] / "examples" / "features" / "binge.py"
NEW = ("binge_share", "binge_pace")
#: What reads features, or what reads that.
DEPENDENT = {"training_sets", "ranker_models", "scores", "metrics", "recommendations"}


@pytest.fixture(scope="module")
def home(nine_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Path(shutil.copytree(nine_days, tmp_path_factory.mktemp("features") / "home"))
    run(home, LAST, LAST)
    return home


@pytest.fixture(scope="module")
def second(home: Path) -> dict[str, Report]:
    """What a second run did, after the example was named in the settings."""
    name_files(home, EXAMPLE)
    return run(home, LAST, LAST)


def name_files(home: Path, *files: Path) -> None:
    listed = ", ".join(f"'{file}'" for file in files)
    (home / "platform.toml").write_text(f"{SETTINGS}[features]\nfiles = [{listed}]\n", encoding="utf-8")


def training_frame(home: Path, partition: Partition) -> Frame:
    rows = Platform(home).lake.read(TRAINING_SETS.name, [partition], TRAINING_SETS.schema.names)
    return flat(rows)


def test_only_what_reads_features_is_made_again(second: dict[str, Report]) -> None:
    assert set(second) == set(FLOW)
    assert {stage for stage, report in second.items() if report.published} == DEPENDENT
    assert not any(report.current for stage, report in second.items() if stage in DEPENDENT)
    assert all(report.current for stage, report in second.items() if stage not in DEPENDENT)


def test_training_sets_then_hold_the_new_features(home: Path, second: dict[str, Report]) -> None:
    for partition in second["training_sets"].published:
        features = training_frame(home, partition).features
        assert set(NEW) <= set(features.column_names)
        assert "profile_title_plays" in features.column_names


def test_rankers_learn_from_them(home: Path, second: dict[str, Report]) -> None:
    rows = Platform(home).lake.read(RANKER_MODELS.name, [Partition(LAST)])
    rankers = from_rows(rows, place="test")
    assert set(rankers) == {"logistic", "xgboost"}
    for artefact in rankers.values():
        assert set(NEW) <= {note.name for note in notes_of(artefact)}


def test_corrected_words_make_nothing_again_and_reach_who_asks(
    home: Path, second: dict[str, Report], tmp_path: Path
) -> None:
    """Models keep the words that they were fitted with, and so do the reasons that they give."""
    assert second["ranker_models"].published
    corrected = tmp_path / EXAMPLE.name
    corrected.write_text(EXAMPLE.read_text(encoding="utf-8").replace('about="', 'about="corrected: '), encoding="utf-8")
    name_files(home, corrected)
    reports = run(home, LAST, LAST)
    assert not any(report.published for report in reports.values())
    declared = {one.name: one.about for one in FeatureSet.from_config(Platform(home).settings.features).encoders}
    assert all(declared[name].startswith("corrected: ") for name in NEW)
    kept = from_rows(Platform(home).lake.read(RANKER_MODELS.name, [Partition(LAST)]), place="test")
    for artefact in kept.values():
        assert not any(note.about.startswith("corrected") for note in notes_of(artefact))
    name_files(home, EXAMPLE)


def test_the_new_feature_is_what_it_says(home: Path, second: dict[str, Report]) -> None:
    """Counted from the facts table, play by play, at each context's own instant."""
    partition = Partition(LAST, "US")
    frame = training_frame(home, partition)
    rows = frame.context_of_item
    profile, at, title = frame.context(c.PROFILE)[rows], frame.context(c.AT)[rows], frame.item(c.TITLE)
    counted = [share(plays(home), *of) for of in zip(profile[::97], title[::97], at[::97], strict=True)]
    expected = np.array(counted, dtype=np.float32)
    found = np.asarray(frame.features.column("binge_share"))[::97]
    assert np.nanmax(expected) > 0
    np.testing.assert_array_equal(found, expected)


def plays(home: Path) -> npt.NDArray[np.int64]:
    """Every play: profile, title, played at, known at; one row each."""
    lake = Platform(home).lake
    table = lake.read(PLAY_FACTS.name, lake.state(PLAY_FACTS.name))
    names = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT)
    return np.stack([table.column(name).cast("int64").to_numpy() for name in names], axis=1)


def share(played: npt.NDArray[np.int64], profile: int, title: int, at: int) -> float:
    since = at - 3 * 86_400_000_000
    own = played[(played[:, 0] == profile) & (played[:, 2] >= since) & (played[:, 2] < at) & (played[:, 3] < at)]
    return float(np.mean(own[:, 1] == title)) if len(own) else float("nan")


def test_a_run_that_asks_what_is_due_serves_no_model_beside_an_encoder_that_raised(
    home: Path, second: dict[str, Report], tmp_path: Path
) -> None:
    """The models of before are up to date by what is published, so nobody runs their stage; lists wait all the same."""
    assert second["ranker_models"].published
    broken = tmp_path / EXAMPLE.name
    broken.write_text(EXAMPLE.read_text(encoding="utf-8").replace("    return", "    raise KeyError('x')\n    return"))
    name_files(home, broken)
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, LAST, LAST)
    first = platform.plan("recommendations", platform.needed("recommendations", window))
    assert first.stale and not first.blocked
    for stage in FLOW[: FLOW.index("recommendations")]:
        todo = platform.due(stage, platform.needed(stage, window))
        if stage == "training_sets":
            with pytest.raises(ConfigError, match="it raised KeyError"):
                platform.run(stage, list(todo.stale), run_id="test").raise_if_failed()
        if stage == "ranker_models":
            assert todo.current and not todo.stale and set(todo.behind) == set(todo.current)
    after = platform.plan("recommendations", platform.needed("recommendations", window))
    assert not after.stale and set(after.blocked) == set(first.stale)
    assert all("ranker_models" in why and "it raised KeyError" in why for why in after.blocked.values())
    name_files(home, EXAMPLE)


def test_a_comment_changes_no_fingerprint_and_a_changed_encoder_does(
    home: Path, second: dict[str, Report], tmp_path: Path
) -> None:
    copy = Path(shutil.copy(EXAMPLE, tmp_path / "binge.py"))
    copy.write_text("# a comment\n" + copy.read_text(encoding="utf-8"), encoding="utf-8")
    assert not stale(home, copy)
    copy.write_text(copy.read_text(encoding="utf-8").replace("> 0", "> 1", 1), encoding="utf-8")
    assert stale(home, copy) == set(second["training_sets"].published)


def stale(home: Path, file: Path) -> set[Partition]:
    """The training sets that would be made again with this file in place of the example."""
    name_files(home, file)
    try:
        platform = Platform(home)
        return set(platform.plan("training_sets", sorted(platform.lake.state(TRAINING_SETS.name))).stale)
    finally:
        name_files(home, EXAMPLE)
