"""What a model is: trainers that make artefacts, scorers that read them.

    CandidateTrainer   fits on plays visible at D          -> Artefact -> CandidateModel: features of any frame
    RankerTrainer      fits on training sets before D      -> Artefact -> Scorer: one score per item
    Scorer             a Transformer that reads declared feature columns and adds `scores.<model>`

The suite in `rec_platform/testing/model_contract.py` is the same contract, runnable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.config import CandidateConfig, RankerConfig
from rec_platform.dmc12.frame import Frame, to_numpy
from rec_platform.errors import NumericError
from rec_platform.models.artefact import Artefact
from rec_platform.pipeline import Column, Level, Sources, Transformer

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


#: Units that say nothing beside a number.
UNITLESS: Final = ("", "share", "ratio", "0 or 1")


@dataclass(frozen=True)
class FeatureNote:
    """A feature in words: what explanations and manifests say of it."""

    name: str
    about: str
    unit: str = ""

    def says(self, value: float) -> str:
        """
        >>> FeatureNote("age", "since the title came out; missing where unknown", "days").says(12.0)
        'since the title came out: 12 days'
        >>> FeatureNote("plays_28d", "plays of the title, over 28 days", "plays").says(float("nan"))
        'plays of the title, over 28 days: none'
        """
        about = self.about.split(";")[0]
        unit = "" if self.unit in UNITLESS or about.startswith(self.unit) else f" {self.unit}"
        return f"{about}: none" if np.isnan(value) else f"{about}: {value:.3g}{unit}"


@dataclass(frozen=True)
class Pairs:
    """Profile-title pairs to be scored, as a frame holds them: n contexts, m items.

    Attributes:
        profiles: profile per context (n).
        countries: country per context (n).
        context_of_item: row of its context, per item (m).
        titles: title per item (m).
    """

    profiles: Ids
    countries: npt.NDArray[np.object_]
    context_of_item: Ids
    titles: Ids


class CandidateModel(ABC):
    """A fitted candidate model: cheap scores of any profile and title, used as features."""

    #: The feature columns it gives.
    notes: ClassVar[tuple[FeatureNote, ...]]

    @abstractmethod
    def features(self, pairs: Pairs) -> dict[str, Floats32]:
        """One float32 value per pair for each of `notes`, finite for unknown profiles, titles and countries too."""


class CandidateTrainer(ABC):
    """Fits a candidate model on plays.

    Class attributes:
        name: the model's name.
        code_version: raised whenever the same inputs would give another artefact.
    """

    name: ClassVar[str]
    code_version: ClassVar[int]
    notes: ClassVar[tuple[FeatureNote, ...]]

    @abstractmethod
    def fit(self, plays: pa.Table, *, as_of: date, titles: pa.Table, config: CandidateConfig, seed: int) -> Artefact:
        """The model as of 00:00 UTC of `as_of`.

        Args:
            plays: PLAY_FACTS columns and `country`; rows not visible at `as_of` are left out by the trainer itself.
            titles: the TITLES table.
        """

    @abstractmethod
    def load(self, artefact: Artefact) -> CandidateModel:
        """The model of an artefact this trainer made."""


class RankerTrainer(ABC):
    """Fits a ranker on training sets (attributes as `CandidateTrainer`)."""

    name: ClassVar[str]
    code_version: ClassVar[int]
    #: `probability` or `log_odds` where scores tell how likely engagement is; empty where they only order.
    scale: ClassVar[str] = ""

    @abstractmethod
    def fit(
        self, frames: Sequence[Frame], *, features: Sequence[FeatureNote], config: RankerConfig, seed: int
    ) -> Artefact | None:
        """The model, or None where the frames hold nothing to learn from (no context with both labels).

        Args:
            frames: training sets as frames, each with items.label, items.weight, items.item_inclusion_probability and
                the named features; read more than once, so not an iterator.
            features: the features to read, in order.
        """

    @abstractmethod
    def load(self, artefact: Artefact) -> Scorer:
        """The scorer of an artefact this trainer made."""


class Scorer(Transformer):
    """A model that scores: reads its feature columns, adds `scores.<name>`.

    `name` is the model's name. A score compares items of one context and means nothing across contexts.
    """

    @property
    @abstractmethod
    def features(self) -> tuple[FeatureNote, ...]:
        """The feature columns it reads, in order."""

    @abstractmethod
    def score(self, frame: Frame) -> Floats:
        """A score per item (m values), higher is better, a pure function of the item's features."""

    def explain(self, frame: Frame, rows: Ids) -> list[list[str]]:
        """For each item row, the features that raised its score, strongest first, in words.

        A feature that is the same for every item of the context says nothing about this title and is left out.
        """
        return in_words(frame, rows, self.features, self.contributions(frame, rows))

    @abstractmethod
    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        """How much each feature moved the score of each row: shape (len(rows), len(features))."""

    @property
    def reads(self) -> tuple[Column, ...]:
        return tuple(Column(Level.FEATURE, note.name, pa.float32()) for note in self.features)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.SCORE, self.name, pa.float64()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        """The frame with the model's scores; `NumericError` for another number of them than of items, and for one that is
        not finite, naming the context."""
        scores = self.score(frame)
        if np.shape(scores) != (frame.n_items,):
            raise _not_one_each(self, frame, np.shape(scores))
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            raise _not_finite(self, frame, int(bad[0]), float(scores[bad[0]]))
        return frame.with_scores({self.name: scores})

    def to_json(self) -> dict[str, Any]:
        return {"features": [note.name for note in self.features]}


#: Reasons beyond this many are never asked for.
MOST_REASONS: Final = 10
#: Stands for a missing value where values are compared.
MISSING: Final = np.float32(-3.0e38)


def in_words(frame: Frame, rows: Ids, notes: Sequence[FeatureNote], contributions: Floats) -> list[list[str]]:
    """Contributions (len(rows), len(notes)) as texts, per row those above 0, largest first."""
    if not notes or not len(rows):
        return [[] for _ in rows]
    names = tuple(note.name for note in notes)
    telling = np.where(_varies(frame, rows, names), contributions, 0.0)
    values = np.stack([column(frame, name)[rows] for name in names], axis=1)
    order = np.argsort(-telling, axis=1, kind="stable")[:, :MOST_REASONS]
    return [
        [notes[which].says(float(values[row, which])) for which in ranked if telling[row, which] > 0]
        for row, ranked in enumerate(order)
    ]


def _varies(frame: Frame, rows: Ids, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Whether each feature takes more than one value in each row's context; shape (len(rows), len(names))."""
    contexts = np.searchsorted(frame.offsets, rows, side="right") - 1
    used, position = np.unique(contexts, return_inverse=True)
    part = frame.take(used)
    starts = part.offsets[:-1]
    out = np.empty((len(used), len(names)), dtype=np.bool_)
    for which, name in enumerate(names):
        raw = column(part, name)
        values = np.where(np.isnan(raw), MISSING, raw)
        out[:, which] = np.maximum.reduceat(values, starts) > np.minimum.reduceat(values, starts)
    return out[position]


def column(frame: Frame, name: str) -> Floats32:
    """A feature column as float32; `SchemaError` naming it if the frame lacks it."""
    return np.asarray(to_numpy(frame.features, name, part=c.FEATURES), dtype=np.float32)


def _not_one_each(scorer: Scorer, frame: Frame, shape: tuple[int, ...]) -> NumericError:
    return NumericError(
        f"model {scorer.name} gave scores of shape {shape} for {frame.n_items} items", place=f"scores.{scorer.name}",
        repair="Return one number per item from `score`, or make the model again with --force.",
    )  # fmt: skip


def _not_finite(scorer: Scorer, frame: Frame, row: int, score: float) -> NumericError:
    context = int(np.searchsorted(frame.offsets, row, side="right") - 1)
    which = (
        frame.contexts.column(c.CONTEXT_ID)[context].as_py() if c.CONTEXT_ID in frame.contexts.column_names else context
    )
    odd = [note.name for note in scorer.features if not np.isfinite(column(frame, note.name)[row])]
    return NumericError(
        f"model {scorer.name} gave the score {score} in context {which}; features not finite there: {odd or 'none'}",
        place=f"scores.{scorer.name}, item {row} of the chunk",
        repair="Correct the encoder of that feature, or make the model again with --force.",
    )


def base_manifest(
    *, kind: str, code_version: int, parameters: Mapping[str, Any], data: Mapping[str, Any], seed: int, **more: Any
) -> dict[str, Any]:
    """The part of a manifest that every model has."""
    return {
        "kind": kind,
        "code_version": code_version,
        "parameters": dict(parameters),
        "data": dict(data),
        "seed": seed,
        **more,
    }
