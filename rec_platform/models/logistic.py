"""Ranker `logistic`: logistic regression on scaled features, corrected for the sampling of negatives.

Each feature x enters as (s(x) - mean) / deviation with s(x) = sign(x) ln(1 + |x|), which tames counts; a missing one
enters as the mean, with a flag of its own beside it. Each item weighs weight / item_inclusion_probability, so the
fitted probability is that of the whole candidate set and not of the sample. Scored in NumPy from four small arrays:
scikit-learn is needed only to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.config import RankerConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.models.artefact import Artefact, libraries, npy_bytes
from rec_platform.models.contract import FeatureNote, Floats, Ids, RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.training import TrainingFrames, inverse_inclusion, notes_of

REGULARISATION: Final = 1.0
MOST_ITERATIONS: Final = 200
#: Of the mean loss: positives are a hundredth of the weight, so the default 1e-4 stops before they are fitted.
TOLERANCE: Final = 1e-5


@dataclass(frozen=True, eq=False)
class LogisticScorer(Scorer):
    """Fitted coefficients.

    Attributes:
        notes: the features (f).
        center, scale: mean and deviation of s(x) (f).
        slopes: coefficient of the scaled value (f).
        missing: coefficient of the missing flag (f).
        intercept: the constant.
    """

    notes: tuple[FeatureNote, ...]
    center: Floats
    scale: Floats
    slopes: Floats
    missing: Floats
    intercept: float

    name = "logistic"

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return self.notes

    def score(self, frame: Frame) -> Floats:
        """The log-odds of engagement. Feature by feature, always in the same order, so chunks cannot change a digit."""
        scores = np.full(frame.n_items, self.intercept)
        for which, note in enumerate(self.notes):
            scores += self._part(column(frame, note.name), which)
        return scores

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        parts = [self._part(column(frame, note.name)[rows], which) for which, note in enumerate(self.notes)]
        return np.column_stack(parts) if parts else np.zeros((len(rows), 0))

    def _part(self, values: npt.NDArray[np.float32], which: int) -> Floats:
        squashed = squash(values)
        gone = np.isnan(squashed)
        scaled = (squashed - self.center[which]) / self.scale[which]
        return np.asarray(np.where(gone, self.missing[which], self.slopes[which] * scaled), dtype=np.float64)


class LogisticTrainer(RankerTrainer):
    """scikit-learn's LogisticRegression by lbfgs; see the module."""

    name = "logistic"
    code_version = 2
    scale = "log_odds"

    def fit(
        self, frames: Sequence[Frame], *, features: Sequence[FeatureNote], config: RankerConfig, seed: int
    ) -> Artefact | None:
        # Imported here: scoring does not need it, and it takes a second.
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        training = TrainingFrames.of(frames, features, max_items=config.max_items, seed=seed)
        labels = training.item(c.LABEL) > 0
        if not labels.any() or not training.features:
            return None
        weights = inverse_inclusion(training.item(c.WEIGHT), training.item(c.ITEM_INCLUSION_PROBABILITY))
        matrix, center, scale = _design(training)
        model = LogisticRegression(C=REGULARISATION, max_iter=MOST_ITERATIONS, tol=TOLERANCE, random_state=seed)
        with threadpool_limits(limits=1):
            model.fit(matrix, labels, sample_weight=weights / weights.mean())
        return self._artefact(training, center, scale, model.coef_[0], float(model.intercept_[0]), config, seed)

    def _artefact(
        self,
        training: TrainingFrames,
        center: Floats,
        scale: Floats,
        coefficients: Floats,
        intercept: float,
        config: RankerConfig,
        seed: int,
    ) -> Artefact:
        n = len(training.features)
        manifest = base_manifest(
            kind="ranker", code_version=self.code_version, seed=seed, data=training.data(), features=training.notes(),
            parameters={"regularisation": REGULARISATION, "max_items": config.max_items},
            fitted={"intercept": intercept}, libraries=libraries("numpy", "scikit-learn"),
        )  # fmt: skip
        arrays = {"center": center, "scale": scale, "slopes": coefficients[:n], "missing": coefficients[n:]}
        return Artefact.of(
            self.name,
            manifest,
            {f"{name}.npy": npy_bytes(values.astype(np.float64)) for name, values in arrays.items()},
        )

    def load(self, artefact: Artefact) -> LogisticScorer:
        arrays = {name: artefact.array(f"{name}.npy") for name in ("center", "scale", "slopes", "missing")}
        intercept = float(artefact.manifest["fitted"]["intercept"])
        return LogisticScorer(notes=notes_of(artefact), intercept=intercept, **arrays)


def squash(values: npt.NDArray[np.float32]) -> Floats:
    """sign(x) ln(1 + |x|), in float64; NaN stays.

    >>> squash(np.array([0.0, -1.0], dtype=np.float32)).round(4).tolist()
    [0.0, -0.6931]
    """
    wide = values.astype(np.float64)
    return np.asarray(np.copysign(np.log1p(np.abs(wide)), wide))


def _spread(values: Floats) -> tuple[float, float]:
    """Mean and deviation. Of equal values that value and 1: a deviation of rounding alone would blow up any other value.

    >>> _spread(np.full(10, 0.1))
    (0.1, 1.0)
    """
    if values.min() == values.max():
        return float(values[0]), 1.0
    return float(values.mean()), float(values.std())


def _design(training: TrainingFrames) -> tuple[npt.NDArray[np.float32], Floats, Floats]:
    """The fitted matrix, float32 of shape (m, 2 f): scaled values, then missing flags; with the centers and scales."""
    n, m = len(training.features), training.n_items
    matrix = np.zeros((m, 2 * n), dtype=np.float32)
    center, scale = np.zeros(n), np.ones(n)
    for which, name in enumerate(training.names):
        values = squash(training.feature(name))
        gone = np.isnan(values)
        if not gone.all():
            center[which], scale[which] = _spread(values[~gone])
        matrix[:, which] = np.where(gone, 0.0, (values - center[which]) / scale[which])
        matrix[:, n + which] = gone
    return matrix, center, scale
