"""Ranker files that tests write, as a user would: one by its first feature, and one with its score in modules beside it."""

from __future__ import annotations

from pathlib import Path

from rec_platform.config import RankerConfig
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.own import declared_in
from rec_platform.testing.model_contract import NOTES, made_frame

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
#: `FIRST` with its score in a module of its own.
APART = FIRST.replace(
    "from dataclasses import dataclass\n", "from dataclasses import dataclass\nfrom parts import score_of\n"
)
APART = APART.replace(
    "np.nan_to_num(column(frame, self.notes[0].name)).astype(float)", "score_of(frame, self.notes[0].name)"
)
PARTS = """
from dataclasses import dataclass
import numpy as np
import factors

@dataclass
class Times:
    factor: float

def score_of(frame, name):
    from rec_platform.models.contract import column
    return Times(factors.ONE).factor * np.nan_to_num(column(frame, name)).astype(float)
"""


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


def apart(folder: Path, parts: str = PARTS, factors: str = "ONE = 1.0\n") -> str:
    folder.mkdir(exist_ok=True)
    file(folder, parts, "parts.py")
    file(folder, factors, "factors.py")
    return file(folder, APART)
