"""Rankers of a user's files: the example keeps the contract, files that cannot be meant are refused by line."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ranker_files import EXAMPLE, FIRST, IMPORTS, file, fitted

from rec_platform import columns as c
from rec_platform.config import RankerConfig, RecommendConfig, Settings
from rec_platform.errors import ArtefactError, ConfigError, NumericError
from rec_platform.evaluation.stage import Metrics
from rec_platform.models import stage
from rec_platform.models.features import feature_notes
from rec_platform.models.own import declared_in
from rec_platform.models.registry import known_rankers, load_scorer, ranker_trainers, score_scales
from rec_platform.models.stage import RankerModels
from rec_platform.models.training import with_both_labels
from rec_platform.pipeline import Sources
from rec_platform.scoring.stage import Recommendations
from rec_platform.testing.model_contract import NOTES, RankerContract, made_frame, stored


class TestEvidence(RankerContract):
    trainer = declared_in(str(EXAMPLE))[0]


@pytest.mark.parametrize(("more", "same"), [("", True), ("\nUNITS = [note.unit for note in ()]\n", False)])
def test_what_features_say_counts_where_a_ranker_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, same: bool
) -> None:
    """`fit` is given the words; a ranker that tells shares from days by them is fitted again after a correction."""
    settings = Settings(rankers=RankerConfig(files=(file(tmp_path, FIRST + more),)))
    before = RankerModels().config(settings)
    said = tuple(replace(note, unit="corrected") for note in feature_notes(settings))
    monkeypatch.setattr(stage, "feature_notes", lambda _: said)
    assert (RankerModels().config(settings) == before) is same


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


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (
            "np.full(frame.n_items, np.nan)",
            r"model first gave the score nan in context .*scores\.first, .*{file}, line {line}",
        ),
        (
            "np.zeros(frame.n_items + 1)",
            r"line {line}: ranker 'first' gave float64 of shape .* for .* items \({file}\)",
        ),
        ("{}['x']", r"line {inner}: KeyError: 'x' \({file}\)"),
    ],
)
def test_wrong_scores_of_a_stored_model_name_its_file_and_line(tmp_path: Path, gives: str, said: str) -> None:
    """Of what it raises the line that did, else the line where `score` begins. It was sound on what it was tried on."""
    odd = f"    def score(self, frame):\n        if frame.n_contexts > 50:\n            return {gives}\n"
    source = FIRST.replace("    def score(self, frame):\n", odd)
    line = 1 + source.split("    def score")[0].count("\n")
    (trainer,) = declared_in(file(tmp_path, source))
    scorer = load_scorer(stored(fitted(trainer)), [str(tmp_path / "mine.py")])
    place = r"ranker file .*mine\.py"
    with pytest.raises((NumericError, ConfigError), match=said.format(file=place, line=line, inner=line + 2)):
        scorer.apply(made_frame(contexts=60), Sources())


def test_a_name_that_makes_no_lists_is_refused_when_they_are_planned(tmp_path: Path) -> None:
    mine, lists = file(tmp_path, FIRST), RecommendConfig(models=("first", "popularity"))
    Recommendations().config(Settings(recommend=lists, rankers=RankerConfig(files=(mine,))))
    with pytest.raises(
        ConfigError, match=r"no model 'first' \(recommend\.models\)\. Models: logistic, xgboost, random"
    ):
        Recommendations().config(Settings(recommend=lists))


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
        with pytest.raises(
            ConfigError,
            match=rf"a model '{name}' is there already, of the platform \(ranker file .*mine\.py, line 25\)",
        ):
            known_rankers([mine])
    both = [file(tmp_path, FIRST), file(tmp_path, FIRST, "yours.py")]
    with pytest.raises(
        ConfigError, match=r"'first' is there already, of .*mine\.py \(ranker file .*yours\.py, line 25\)"
    ):
        known_rankers(both)
    assert "first" in known_rankers([both[0], both[0]])  # one file named twice is one


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "line 1: not Python"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("from numpy import linalg, nothing\n", "line 1: ImportError"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("x = 'a\x00b'\n", "null bytes"),
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
    """Neither where it lacks a method, nor where it has all and only no name."""
    base = "class Base(RankerTrainer):\n    code_version = 1\n\n\nclass FirstTrainer(Base)"
    whole = (
        FIRST.replace('Trainer):\n    name = "first"\n', "Trainer):\n") + "\n\nclass Mine(FirstTrainer):\n    name = "
    )
    for source in (FIRST.replace("class FirstTrainer(RankerTrainer)", base), f"{whole}'first'\n"):
        assert [one.name for one in declared_in(file(tmp_path, source))] == ["first"]


def test_variants_are_rankers_beside_what_they_build_on_and_need_names(tmp_path: Path) -> None:
    more = "\n\nclass Second(FirstTrainer):\n    name = 'second'\n"
    assert [(one.name, one.line) for one in declared_in(file(tmp_path, FIRST + more))] == [
        ("first", 25),
        ("second", 40),
    ]
    with pytest.raises(ConfigError, match="line 40: class Second has the name of FirstTrainer, 'first'"):
        declared_in(file(tmp_path, FIRST + more.replace("second", "first")))


def test_a_mark_of_the_byte_order_is_no_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbf" + FIRST.encode())
    assert declared_in(str(tmp_path / "mine.py"))[0].code == declared_in(file(tmp_path, FIRST, "other.py"))[0].code
