"""Rankers of a user's files: the example keeps the contract, files that cannot be meant are refused by line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rec_platform import columns as c
from rec_platform.config import RankerConfig, Settings
from rec_platform.errors import ArtefactError, ConfigError, NumericError
from rec_platform.evaluation.stage import Metrics
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.own import declared_in
from rec_platform.models.registry import known_rankers, load_scorer, ranker_trainers, score_scales
from rec_platform.models.stage import RankerModels
from rec_platform.models.training import with_both_labels
from rec_platform.pipeline import Sources
from rec_platform.testing.model_contract import NOTES, RankerContract, made_frame, stored

EXAMPLE = Path(__file__).parents[2] / "examples" / "rankers" / "evidence.py"
IMPORTS = """
from dataclasses import dataclass
import numpy as np
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.training import TrainingFrames, notes_of
"""
#: A ranker by its first feature.
FIRST = (
    IMPORTS
    + """
@dataclass(frozen=True)
class FirstScorer(Scorer):
    notes: tuple
    name = "first"

    @property
    def features(self):
        return self.notes

    def score(self, frame):
        return np.nan_to_num(column(frame, self.notes[0].name)).astype(float)

    def contributions(self, frame, rows):
        return np.zeros((len(rows), len(self.notes)))


class FirstTrainer(RankerTrainer):
    name = "first"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        training = TrainingFrames.of(frames, features, max_items=config.max_items, seed=seed)
        manifest = base_manifest(
            kind="ranker", code_version=1, seed=seed, data=training.data(), features=training.notes(), parameters={}
        )
        return Artefact.of(self.name, manifest, {}) if training.n_items else None

    def load(self, artefact):
        return FirstScorer(notes_of(artefact))
"""
)


class TestEvidence(RankerContract):
    trainer = declared_in(str(EXAMPLE))[0]


def file(folder: Path, source: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return str(path)


def first(folder: Path, old: str = "", new: str = "") -> RankerTrainer:
    """The ranker of `FIRST` with a change."""
    assert old in FIRST
    return declared_in(file(folder, FIRST.replace(old, new) if old else FIRST))[0]


def fitted(trainer: RankerTrainer) -> Artefact:
    made = trainer.fit([made_frame()], features=NOTES, config=RankerConfig(), seed=7)
    assert made is not None
    return made


def test_evidence_of_a_feature_is_what_it_says() -> None:
    """The feature `signal` alone, no sampling: each part's rate against that of all, drawn to it by 50 items, times a weight."""
    frame = with_both_labels(made_frame(contexts=200))
    ones = np.ones(frame.n_items)
    frame = frame.with_items({c.WEIGHT: ones, c.ITEM_INCLUSION_PROBABILITY: ones})
    artefact = TestEvidence.trainer.fit([frame], features=NOTES[:1], config=RankerConfig(), seed=7)
    assert artefact is not None
    signal = np.asarray(frame.features.column("signal"))
    label = np.asarray(frame.item(c.LABEL))
    cuts = [sorted(signal)[0], *np.quantile(signal, np.arange(1, 10) / 10), np.inf]
    inside = [(signal >= low) & (signal < high) for low, high in pairwise(cuts)]
    told = [np.log((label[one].sum() + 50 * label.mean()) / (one.sum() + 50) / label.mean()) for one in inside]
    of_item = np.array(told) @ np.array(inside)
    weight = np.cov(of_item, label, bias=True)[0, 1] / (np.var(of_item) + 0.01)
    assert weight > 0
    assert artefact.array("evidence.npy")[0, :10] == pytest.approx(weight * np.array(told))
    assert artefact.array("evidence.npy")[0, 10] == 0  # nothing is missing: nothing is known of missing ones


def test_rankers_of_files_are_fitted_beside_those_named(tmp_path: Path) -> None:
    files = (file(tmp_path, FIRST), str(EXAMPLE))
    config = RankerConfig(models=("xgboost",), files=files)
    assert list(ranker_trainers(config)) == ["xgboost", "first", "evidence"]
    assert list(ranker_trainers(RankerConfig(models=("first", "xgboost"), files=files[:1]))) == ["first", "xgboost"]
    with pytest.raises(ConfigError, match=r"no ranker 'second'.*Rankers: logistic, xgboost, first"):
        ranker_trainers(RankerConfig(models=("second",), files=files[:1]))


def test_a_stored_model_is_read_by_the_file_that_made_it(tmp_path: Path) -> None:
    files = [file(tmp_path, FIRST)]
    artefact = stored(fitted(known_rankers(files)["first"]))
    frame = made_frame(seed=2)
    scores = load_scorer(artefact, files).apply(frame, Sources()).scores.column("first")
    assert np.array_equal(scores, np.asarray(frame.features.column("signal"), dtype=np.float64))
    file(tmp_path, "# A comment is no other code.\n" + FIRST)
    load_scorer(artefact, files)
    file(tmp_path, FIRST.replace("np.nan_to_num(", "-np.nan_to_num("))
    with pytest.raises(ArtefactError, match=r"other code than the file holds now .*mine\.py.*rec-platform run"):
        load_scorer(artefact, files)
    with pytest.raises(ArtefactError, match=r"\[rankers\] files does not name.*model first.*Name the file again"):
        load_scorer(artefact)
    Path(files[0]).unlink()
    with pytest.raises(ConfigError, match=r"cannot be read.*mine\.py.*\[rankers\] files"):
        load_scorer(artefact, files)


def test_what_the_stage_is_made_from_follows_the_code_and_nothing_else(tmp_path: Path) -> None:
    def config(*files: str) -> object:
        return RankerModels().config(Settings(rankers=RankerConfig(files=files)))

    before = config(file(tmp_path, FIRST))
    assert before == config(file(tmp_path, FIRST + "\n# the end\n", "moved.py"))
    assert before != config(file(tmp_path, FIRST.replace("np.zeros", "np.ones")))
    assert "own" not in config()  # as it was before there were such files
    assert "files" not in config()["rankers"]


def test_scales_of_files_are_known(tmp_path: Path) -> None:
    mine = file(tmp_path, FIRST.replace("code_version = 1", "code_version = 1\n    scale = 'probability'"))
    assert score_scales([mine]) == score_scales() | {"first": "probability"}
    with_scale, without = (Settings(rankers=RankerConfig(files=files)) for files in ((mine,), (str(EXAMPLE),)))
    assert Metrics().config(with_scale)["scales"] == {"first": "probability"}
    assert Metrics().config(without) == Metrics().config(Settings())  # ranks alone: their numbers hang on scores only


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    for name in ("xgboost", "popularity", "collaborative", "random", "ceiling"):
        mine = file(tmp_path, FIRST.replace('name = "first"', f'name = "{name}"'))
        with pytest.raises(ConfigError, match=rf"a model '{name}' is there already \(ranker file .*mine\.py\)"):
            known_rankers([mine])
    both = [file(tmp_path, FIRST), file(tmp_path, FIRST, "yours.py")]
    with pytest.raises(ConfigError, match=r"'first' is there already \(ranker file .*yours\.py\)"):
        known_rankers(both)
    assert "first" in known_rankers([both[0], both[0]])  # one file named twice is one


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "line 1: not Python"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        (IMPORTS, "no ranker in it"),
        (IMPORTS + "class Half(RankerTrainer):\n    name = 'half'\n", "line 8: class Half has no fit, load"),
        (FIRST.replace("RankerTrainer):\n    name = ", "RankerTrainer):\n    title = "), "None is no `name`"),
        (FIRST.replace('name = "first"\n    code', 'name = "My ranker"\n    code'), "'My ranker' is no `name`"),
        (FIRST.replace("    code_version = 1\n", ""), "line 25: class FirstTrainer: None is no `code_version`"),
        (FIRST.replace("code_version = 1\n", "code_version = 1\n    scale = 'percent'\n"), "'percent' is no `scale`"),
        (
            FIRST.replace("    def fit(", "    def __init__(self, depth):\n        pass\n\n    def fit("),
            "cannot be made",
        ),
    ],
)
def test_files_that_declare_no_ranker_are_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        declared_in(file(tmp_path, source))
    assert said in refused.value.fault
    assert "mine.py" in refused.value.place
    assert refused.value.repair


def test_a_base_class_of_the_file_is_no_ranker(tmp_path: Path) -> None:
    base = "class Base(RankerTrainer):\n    code_version = 1\n\n\nclass FirstTrainer(Base)"
    assert [
        one.name for one in declared_in(file(tmp_path, FIRST.replace("class FirstTrainer(RankerTrainer)", base)))
    ] == ["first"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("training = TrainingFrames.of(", "training = None.of(", "line 30: AttributeError"),
        ("return Artefact.of(self.name, manifest, {}) if", "return 7 if", "`fit` of ranker 'first' returned int"),
        ("Artefact.of(self.name, manifest", "Artefact.of('second', manifest", "returned an artefact of model 'second'"),
        ("features=training.notes(), ", "", "has no 'features'"),
        ("return FirstScorer(notes_of(artefact))", "return None", "`load` of ranker 'first' returned NoneType"),
        ('notes: tuple\n    name = "first"', 'notes: tuple\n    name = "second"', "returned the scorer 'second'"),
        ("    def contributions(self, frame, rows):\n        return np.zeros((len(rows), len(self.notes)))\n", "",
         "TypeError: Can't instantiate abstract class FirstScorer"),
        ("np.zeros((len(rows), len(self.notes)))", "np.zeros(len(rows))", "explained"),
        (".astype(float)", ".astype(float)[:3]", "gave float64 of shape (3,)"),
        (".astype(float)", ".astype(str)", "gave <U"),
        ("np.nan_to_num(column", "abs(column", "gave the score nan where every feature is missing"),
        (".astype(float)", ".astype(float) - frame.n_items", "another score among other contexts"),
    ],
)  # fmt: skip
def test_a_ranker_that_cannot_score_is_refused_when_it_is_fitted(tmp_path: Path, old: str, new: str, said: str) -> None:
    trainer = first(tmp_path, old, new)
    with pytest.raises(ConfigError) as refused:
        fitted(trainer)
    assert said in refused.value.fault
    assert "mine.py" in refused.value.place


def test_nothing_that_could_run_code_is_stored(tmp_path: Path) -> None:
    trainer = first(tmp_path, "manifest, {})", "manifest, {'model.pickle': b''})")
    with pytest.raises(ArtefactError, match=r"'model\.pickle' of model 'first' is of a kind that is never loaded"):
        fitted(trainer)


def test_a_score_that_is_not_finite_later_names_model_and_context(tmp_path: Path) -> None:
    trainer = first(
        tmp_path,
        "np.nan_to_num(column(frame, self.notes[0].name))",
        "1 / np.nan_to_num(column(frame, self.notes[0].name), nan=1)",
    )
    scorer, frame = trainer.load(fitted(trainer)), made_frame()
    zero = frame.with_features({"signal": np.zeros(frame.n_items, np.float32)})
    with np.errstate(divide="ignore"), pytest.raises(NumericError, match="model first gave the score inf in context"):
        scorer.apply(zero, Sources())
