"""What rankers share: reading training frames, and what their manifests say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.contexts.hashing import mix, seeded, uniform
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError
from rec_platform.models.artefact import Artefact, data_sha256
from rec_platform.models.contract import FeatureNote, Floats, column


@dataclass(frozen=True)
class TrainingFrames:
    """Frames with the columns a ranker reads."""

    frames: tuple[Frame, ...]
    features: tuple[FeatureNote, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(note.name for note in self.features)

    @property
    def n_items(self) -> int:
        return sum(frame.n_items for frame in self.frames)

    def data(self) -> dict[str, Any]:
        """What the manifest says of the data: sizes, and one hash over all that is read."""
        parts = [data_sha256(*_read(frame, self.names)) for frame in self.frames]
        return {
            "contexts": sum(frame.n_contexts for frame in self.frames),
            "items": self.n_items,
            "sha256": data_sha256(np.array(parts, dtype="S64")),
        }

    def notes(self) -> list[dict[str, str]]:
        """The features as the manifest names them, in order."""
        return [{"name": note.name, "about": note.about, "unit": note.unit} for note in self.features]


def notes_of(artefact: Artefact) -> tuple[FeatureNote, ...]:
    """The features an artefact's manifest names, in order."""
    return tuple(FeatureNote(**note) for note in artefact.manifest["features"])


def numbers(frame: Frame, name: str) -> Floats:
    """An item column as float64."""
    return np.asarray(frame.item(name), dtype=np.float64)


def with_both_labels(frame: Frame) -> Frame:
    """The contexts that hold an item of label above 0 and one of 0: the only ones a ranking can learn from."""
    if not frame.n_items:
        return frame.take(np.zeros(0, dtype=np.int64))
    positives = _count(frame, numbers(frame, c.LABEL) > 0)
    keep = np.flatnonzero((positives > 0) & (positives < np.diff(frame.offsets)))
    return frame if len(keep) == frame.n_contexts else frame.take(keep)


def thinned(frames: Sequence[Frame], max_items: int, seed: int) -> list[Frame]:
    """At most about `max_items` items: whole contexts, each kept with one probability by hash(seed, context_id).

    A fit's time and memory grow with its items, its ranking hardly improves past some hundred thousand; which contexts
    stay depends on no other context's presence but through that probability.
    """
    kept = [frame for frame in frames if frame.n_contexts]
    share = max_items / max(sum(frame.n_items for frame in kept), 1)
    if share >= 1:
        return kept
    words = seeded(seed, purpose="ranker contexts")
    chosen = [frame.take(np.flatnonzero(uniform(mix(words, frame.context(c.CONTEXT_ID))) < share)) for frame in kept]
    return [frame for frame in chosen if frame.n_contexts]


def group_weights(frame: Frame) -> Floats:
    """A weight per context: the mean training weight of its positives. Every context must hold a positive."""
    positive = numbers(frame, c.LABEL) > 0
    weights = np.where(positive, numbers(frame, c.WEIGHT), 0.0)
    return _sum(frame, weights) / _count(frame, positive)


def inverse_inclusion(frame: Frame) -> Floats:
    """item.weight / item_inclusion_probability: sampled items stand for those that were not drawn.

    Raises `NumericError` where a probability is not in (0, 1].
    """
    probability = numbers(frame, c.ITEM_INCLUSION_PROBABILITY)
    if np.any(~((probability > 0) & (probability <= 1))):
        raise NumericError(
            "an item inclusion probability is not in (0, 1]",
            place=f"training frame, items.{c.ITEM_INCLUSION_PROBABILITY}",
            repair="Build the training set again; each item needs the probability with which it was drawn.",
        )
    return numbers(frame, c.WEIGHT) / probability


def _count(frame: Frame, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.asarray(_sum(frame, flags.astype(np.float64)), dtype=np.int64)


def _sum(frame: Frame, values: Floats) -> Floats:
    """Sums per context; contexts without items have 0."""
    sums = np.bincount(frame.context_of_item, weights=values, minlength=frame.n_contexts)
    return np.asarray(sums, dtype=np.float64)


def _read(frame: Frame, names: Sequence[str]) -> list[npt.NDArray[Any]]:
    items = [frame.item(name) for name in (c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)]
    return [frame.offsets, *items, *(column(frame, name) for name in names)]
