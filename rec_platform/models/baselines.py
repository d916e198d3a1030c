"""Scorers that are one feature, or none: what every ranker has to beat. Nothing is fitted, nothing is stored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from rec_platform.dmc12.frame import Frame
from rec_platform.models.collaborative import COLLABORATIVE
from rec_platform.models.contract import FeatureNote, Floats, Ids, Scorer, column
from rec_platform.models.popularity import POPULARITY

LAST_PLAYED: Final = FeatureNote("days_since_title_last_played", "since the profile last played the title", "days")
#: The score of a title never played, in days: below any title played since the first day a partition may bear.
NEVER: Final = -1.0e6


@dataclass(frozen=True)
class RandomScorer(Scorer):
    """The constant 0: every order is a tie, and metrics of ties are exact expectations of a random order."""

    name = "random"

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return ()

    def score(self, frame: Frame) -> Floats:
        return np.zeros(frame.n_items)

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        return np.zeros((len(rows), 0))


class OneFeature(Scorer):
    """A score that is a function of one feature."""

    @property
    @abstractmethod
    def note(self) -> FeatureNote:
        """The feature."""

    @abstractmethod
    def of(self, values: Floats) -> Floats:
        """The score of each value; finite for NaN."""

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return (self.note,)

    def score(self, frame: Frame) -> Floats:
        return self.of(column(frame, self.note.name).astype(np.float64))

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        """How far the score stands above the lowest a title can have."""
        lowest = self.of(np.array([np.nan]))[0]
        scores = self.of(column(frame, self.note.name)[rows].astype(np.float64))
        return np.asarray(np.maximum(scores - lowest, 0.0), dtype=np.float64)[:, None]


@dataclass(frozen=True)
class PopularityScorer(OneFeature):
    """`candidate_popularity`; 0 where no candidate model existed."""

    name = "popularity"

    @property
    def note(self) -> FeatureNote:
        return POPULARITY

    def of(self, values: Floats) -> Floats:
        return np.nan_to_num(values, nan=0.0)


@dataclass(frozen=True)
class LastPlayedScorer(OneFeature):
    """The title played most recently first; titles never played below all others."""

    name = "last_played"

    @property
    def note(self) -> FeatureNote:
        return LAST_PLAYED

    def of(self, values: Floats) -> Floats:
        return np.asarray(np.where(np.isnan(values), NEVER, -values), dtype=np.float64)


@dataclass(frozen=True)
class CollaborativeScorer(OneFeature):
    """`candidate_collaborative`; 0 where no candidate model existed."""

    name = "collaborative"

    @property
    def note(self) -> FeatureNote:
        return COLLABORATIVE

    def of(self, values: Floats) -> Floats:
        return np.nan_to_num(values, nan=0.0)


def baselines(features: Collection[str]) -> tuple[Scorer, ...]:
    """The baselines that can score: one whose feature the deployment left out cannot."""
    return tuple(scorer for scorer in BASELINES if all(note.name in features for note in scorer.features))


#: In the order of the scores table.
BASELINES: Final[tuple[Scorer, ...]] = (RandomScorer(), PopularityScorer(), LastPlayedScorer(), CollaborativeScorer())
