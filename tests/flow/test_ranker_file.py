"""A ranker file of the user's own, named in platform.toml: trained, scored and measured beside the platform's rankers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from simulated_homes import FLOW, THREE_TRAINING_DAYS, run
from simulated_homes import NINE_DAYS_LAST as LAST
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli import app
from rec_platform.errors import ArtefactError, ConfigError
from rec_platform.flow import Platform, Report
from rec_platform.flow.reader import LakeReader
from rec_platform.flow.standing import standing_of
from rec_platform.flow.trial.beside import trained
from rec_platform.flow.trial.trial import Trial
from rec_platform.lake import PartitionState
from rec_platform.models.artefact import from_rows
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.own import OwnTrainer
from rec_platform.partition import Partition
from rec_platform.reports.stages import shown
from rec_platform.scoring.rankers import read_rankers
from rec_platform.scoring.stage import recommend_one
from rec_platform.tables import METRICS, RANKER_MODELS, RECOMMENDATIONS

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
US = Partition(LAST, "US")
#: `evidence` makes the lists, where it exists.
SETTINGS = f"""{THREE_TRAINING_DAYS}\
files = [{{files}}]
[recommend]
models = ["evidence", "popularity"]
[evaluation]
replicates = 20
"""
#: The baseline `popularity`, said once more.
POPULAR = """
from dataclasses import dataclass
import numpy as np
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.training import TrainingFrames, notes_of

@dataclass(frozen=True)
class PopularScorer(Scorer):
    notes: tuple
    name = "popular"

    @property
    def features(self):
        return self.notes

    def score(self, frame):
        return np.nan_to_num(column(frame, "candidate_popularity")).astype(np.float64)

    def contributions(self, frame, rows):
        return self.score(frame)[rows][:, None]

class PopularTrainer(RankerTrainer):
    name = "popular"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        mine = [note for note in features if note.name == "candidate_popularity"]
        training = TrainingFrames.of(frames, mine, max_items=config.max_items, seed=seed)
        manifest = base_manifest(
            kind="ranker", code_version=1, seed=seed, data=training.data(), features=training.notes(), parameters={}
        )
        return Artefact.of(self.name, manifest, {})

    def load(self, artefact):
        return PopularScorer(notes_of(artefact))
"""
#: What reads rankers, or what reads that.
DEPENDENT = {"ranker_models", "scores", "metrics", "recommendations"}


def name_files(home: Path, *files: str) -> None:
    listed = ", ".join(f"'{file}'" for file in files)
    (home / "platform.toml").write_text(SETTINGS.format(files=listed), encoding="utf-8")


@pytest.fixture(scope="module")
def home(nine_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the example beside platform.toml."""
    home = Path(shutil.copytree(nine_days, tmp_path_factory.mktemp("rankers") / "home"))
    name_files(home, "evidence.py")
    shutil.copy(EXAMPLES / "rankers" / "evidence.py", home)
    (home / "popular.py").write_text(POPULAR, encoding="utf-8")
    run(home, LAST, LAST)
    return home


@pytest.fixture(scope="module")
def second(home: Path) -> dict[str, Report]:
    """What a second run did, after another file was named beside the first."""
    name_files(home, "evidence.py", "popular.py")
    return run(home, LAST, LAST)


def values(home: Path, model: str) -> dict[tuple[object, ...], str]:
    """The metrics of a model in the US: value, interval and n by metric, cut-off and slice."""
    rows = Platform(home).lake.read(METRICS.name, [US]).to_pylist()
    keys, found = (c.METRIC, c.CUTOFF, c.SLICE, c.SLICE_VALUE), (c.VALUE, c.LOW, c.HIGH, c.N, c.N_EXCLUDED)
    return {tuple(row[k] for k in keys): str([row[k] for k in found]) for row in rows if row[c.MODEL] == model}


def nmrr(home: Path, model: str) -> dict[str, Any]:
    rows = Platform(home).lake.read(METRICS.name, [US]).to_pylist()
    return next(row for row in rows if (row[c.MODEL], row[c.METRIC], row[c.SLICE]) == (model, "nmrr", "all"))


def listed(home: Path) -> pa.Table:
    """The list of a profile that nobody has heard of."""
    platform = Platform(home)
    return recommend_one(recommending(platform), platform.settings, profile_id=1, country="US", as_of=LAST)


def recommending(platform: Platform) -> LakeReader:
    """A reader over what lists of the US read."""
    return platform.reader(*platform.stages[RECOMMENDATIONS.name].inputs(US, platform.settings))


def test_it_is_trained_scored_and_measured_beside_the_platforms_own(home: Path, second: dict[str, Report]) -> None:
    assert {stage for stage, report in second.items() if report.published} == DEPENDENT
    assert all(report.current for stage, report in second.items() if stage not in DEPENDENT)
    rankers = from_rows(Platform(home).lake.read(RANKER_MODELS.name, [Partition(LAST)]), place="test")
    assert list(rankers) == ["evidence", "logistic", "popular", "xgboost"]
    judged = {model: nmrr(home, model) for model in (*rankers, "random")}
    assert judged["xgboost"][c.N] == judged["evidence"][c.N] > 100
    assert judged["evidence"][c.LOW] > judged["random"][c.HIGH]


def test_a_ranker_that_says_what_a_baseline_says_has_its_numbers(home: Path, second: dict[str, Report]) -> None:
    mine, theirs = values(home, "popular"), values(home, "popularity")
    assert len(theirs) > 100
    assert mine == theirs


def test_it_makes_lists_with_reasons_the_same_for_one_profile(home: Path, second: dict[str, Report]) -> None:
    platform = Platform(home)
    lists = platform.lake.read(RECOMMENDATIONS.name, [US], RECOMMENDATIONS.schema.names)
    profile = lists.column(c.PROFILE)[0].as_py()
    mine = [row for row in lists.to_pylist() if row[c.PROFILE] == profile]
    assert {row[c.MODEL] for row in mine} == {"evidence"}
    assert all(row[c.REASONS] for row in mine[:5])
    one = recommend_one(recommending(platform), platform.settings, profile_id=profile, country="US", as_of=LAST)
    names = (c.TITLE, c.SCORE, c.REASONS)
    assert one.select(names).to_pylist() == [{name: row[name] for name in names} for row in mine]


def test_the_picture_of_rankers_shows_what_moves_its_scores(home: Path, second: dict[str, Report]) -> None:
    platform = Platform(home)
    files = platform.settings.rankers.files
    picture = shown("ranker_models", platform.lake, [Partition(LAST)], ranker_files=files).pictures["picture"]
    for model in ("evidence", "logistic", "popular", "xgboost"):
        assert f">{model}<" in picture


def test_a_trial_of_features_trains_it_where_it_makes_the_lists(home: Path, second: dict[str, Report]) -> None:
    result = trained(Trial.of(home, EXAMPLES / "features" / "binge.py", LAST, LAST, ["US"]))
    assert result.ranker == "evidence"
    assert {row[c.METRIC] for row in result.differences(2)} >= {"nmrr", "ndcg"}


def test_another_code_makes_it_again_and_a_comment_does_not(home: Path, second: dict[str, Report]) -> None:
    file = home / "popular.py"
    file.write_text("# as popular as it gets\n" + POPULAR, encoding="utf-8")
    again = run(home, LAST, LAST)
    assert not any(report.published for report in again.values())
    before = {model: values(home, model) for model in ("xgboost", "evidence", "popular")}
    file.write_text(POPULAR.replace("return np.nan_to_num(", "return -np.nan_to_num("), encoding="utf-8")
    platform = Platform(home)
    stored = read_rankers(recommending(platform), LAST, files=platform.settings.rankers.files)
    with pytest.raises(ArtefactError, match=r"other code than the file holds now .*popular\.py"):
        stored["popular"]
    assert listed(home).num_rows, "lists are made by another"
    told = CliRunner().invoke(app, ["rankers", "list", "--home", str(home)]).stdout
    assert told.count("this code") == 3
    assert told.count("other code") == 1
    assert f"Next: rec-platform run --from {LAST} --to {LAST}" in told
    again = run(home, LAST, LAST)
    assert set(again) == set(FLOW)
    assert {stage for stage, report in again.items() if report.published} == DEPENDENT
    after = {model: values(home, model) for model in before}
    assert after["xgboost"] == before["xgboost"]
    assert after["evidence"] == before["evidence"]
    assert after["popular"] != before["popular"]


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


def models(home: Path, *, force: bool = False) -> PartitionState:
    """What stands of the rankers, after they were brought up to date."""
    platform = Platform(home)
    platform.run("ranker_models", [Partition(LAST)], run_id="test", force=force).raise_if_failed()
    return Platform(home).index.state(RANKER_MODELS.name)[Partition(LAST)]


def test_only_rankers_whose_code_or_choice_changed_are_fitted(
    home: Path, second: dict[str, Report], fits: list[str]
) -> None:
    """What is taken over is what fits of all of them make: `--force` finds nothing to commit."""
    (home / "popular.py").write_text(POPULAR.replace("return np.nan_to_num(", "return 2 * np.nan_to_num("), "utf-8")
    made = models(home)
    assert fits == ["popular"]
    assert models(home, force=True) == made
    assert sorted(fits[1:]) == ["evidence", "logistic", "popular", "xgboost"]
    fits.clear()
    name_files(home, "popular.py")
    models(home)
    assert fits == []
    name_files(home, "evidence.py", "popular.py")
    assert models(home).content_hash == made.content_hash
    assert fits == ["evidence"]


def test_what_stands_of_other_inputs_or_settings_is_fitted_anew(
    home: Path, second: dict[str, Report], fits: list[str]
) -> None:
    platform, settings = Platform(home), Platform(home).settings
    stage, days = platform.stages["ranker_models"], [Partition(LAST)]
    rankers = settings.rankers
    assert list(standing_of(platform.index, stage, days, settings)) == days
    for other in ({"seed": settings.seed + 1}, {"rankers": rankers.model_copy(update={"training_days": 2})}):
        assert standing_of(platform.index, stage, days, settings.model_copy(update=other)) == {}
    assert standing_of(platform.index, platform.stages["scores"], [US], settings) == {}
    deeper = settings.model_copy(update={"rankers": rankers.model_copy(update={"max_depth": 2})})
    standing = standing_of(platform.index, stage, days, deeper)
    assert list(standing) == days
    reader = platform.reader(*stage.inputs(days[0], deeper))
    for chosen, fitted in ((deeper, ["evidence", "logistic", "popular", "xgboost"]), (settings, [])):
        fits.clear()
        (built,) = stage.rebuild(standing, days, reader, chosen)
        assert sorted(fits) == fitted
        assert list(built.extra["models"]) == ["logistic", "xgboost", "evidence", "popular"]


def test_models_of_other_versions_of_their_libraries_are_fitted_anew(
    home: Path, second: dict[str, Report], fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that name them; `popular` has another code, too."""
    (home / "popular.py").write_text(POPULAR, "utf-8")
    monkeypatch.setattr("rec_platform.models.stage.libraries", lambda *names: dict.fromkeys(names, "0.0"))
    models(home)
    assert sorted(fits) == ["evidence", "logistic", "popular", "xgboost"]


def test_what_stands_and_was_changed_by_hand_is_not_taken_over(
    home: Path, second: dict[str, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(home)
    stage = platform.stages["ranker_models"]
    monkeypatch.setattr("rec_platform.flow.earlier.content_hash_like", lambda *_: "other")
    assert standing_of(platform.index, stage, [Partition(LAST)], platform.settings) == {}


def test_a_file_that_is_gone_or_no_longer_named_is_told(home: Path, second: dict[str, Report]) -> None:
    name_files(home, "gone.py")
    platform = Platform(home)
    with pytest.raises(ConfigError, match=r"cannot be read.*ranker file .*gone\.py"):
        platform.plan("ranker_models", [Partition(LAST)])
    name_files(home)
    with pytest.raises(ArtefactError, match=r"\[rankers\] files does not name.*model evidence.*rec-platform run"):
        listed(home)
    assert Partition(LAST) in Platform(home).plan("ranker_models", [Partition(LAST)]).stale
