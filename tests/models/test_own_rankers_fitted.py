"""Rankers of a user's files when they are fitted: those that cannot score are refused then, by file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ranker_files import file, first, fitted

from rec_platform.config import RankerConfig
from rec_platform.errors import ArtefactError, ConfigError, NumericError, SchemaError
from rec_platform.models.own import declared_in
from rec_platform.pipeline import Sources
from rec_platform.testing.model_contract import NOTES, made_frame


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
        ("np.zeros((len(rows), len(self.notes)))", "np.stack([column(frame, one.name)[rows] for one in self.notes], 1)",
         "gave a contribution nan"),
        ("manifest, {})", "manifest, {'w.npy': np.ones(2)})", "file 'w.npy' of ranker 'first' is ndarray, not bytes"),
        ("        return Art", "        frames[0].offsets[-1] -= 1\n        return Art", "writes into the frames"),
        ("    code_version = 1\n\n", "    code_version = 1\n    scale = 'probability'\n\n", "which is no probability"),
        ("        return np.nan_to_num", "        frame.offsets[1] -= 1\n        return np.nan_to_num",
         "which other models score"),
        ("        return np.nan_to_num", "        np.asarray(frame.item('label'))[:] = 0\n        return np.nan_to_num",
         "line 19: ValueError: assignment destination is read-only"),
        ("return self.notes\n", "return list(self.notes)\n", "`features` of the scorer 'first' are no tuple"),
        ("return self.notes\n", "return self.nothing\n", "line 16: AttributeError"),
        ("return FirstScorer(notes_of(artefact))", "return FirstScorer(self.notes)", "has no attribute 'notes'"),
        ("np.nan_to_num(column(frame, self.notes[0].name)).astype(float)",
         "np.nan_to_num(frame.feature_matrix(tuple(n.name for n in self.notes))) @ (np.ones(4, np.float32) / np.float32(3))",
         "other last digits"),
        (".astype(float)", ".astype(float) - frame.n_items", "another score among other contexts"),
    ],
)  # fmt: skip
def test_a_ranker_that_cannot_score_is_refused_when_it_is_fitted(tmp_path: Path, old: str, new: str, said: str) -> None:
    trainer = first(tmp_path, old, new)
    with pytest.raises(ConfigError) as refused:
        fitted(trainer)
    assert said in refused.value.fault
    assert "mine.py" in refused.value.place


def test_a_fit_leaves_nothing_to_its_scorer_but_the_artefact(tmp_path: Path) -> None:
    """What `fit` sets on its instance is not there in the process that scores, so it is not there when it is tried."""
    keeps = "        training = TrainingFrames.of("
    trainer = first(tmp_path, keeps, "        self.notes = tuple(features)\n" + keeps)
    assert trainer.load(fitted(trainer)).features == NOTES
    loads = "return FirstScorer(notes_of(artefact))"
    source = (tmp_path / "mine.py").read_text().replace(loads, "return FirstScorer(self.notes)")
    with pytest.raises(ConfigError, match="line 38: AttributeError"):
        fitted(declared_in(file(tmp_path, source))[0])


def test_where_files_stand_is_nothing_that_a_fit_is_told(tmp_path: Path) -> None:
    trainer = first(tmp_path, "parameters={}", "parameters=config.model_dump(mode='json')")
    made = [
        trainer.fit([made_frame()], features=NOTES, config=RankerConfig(files=files), seed=7)
        for files in ((), (str(tmp_path),))
    ]
    assert made[0] is not None
    assert made[0] == made[1]


def test_errors_of_the_platform_stay_what_they_are_and_say_the_line(tmp_path: Path) -> None:
    trainer = first(tmp_path, "column(frame, self.notes[0].name)", "column(frame, 'singal')")
    with pytest.raises(SchemaError, match="singal") as refused:
        fitted(trainer)
    assert refused.value.place.endswith("mine.py, line 19")


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
