"""What rankers share: reading training frames, and what their manifests say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.contexts.hashing import mix, seeded, uniform
from rec_platform.contexts.segments import ranges
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError
from rec_platform.models.artefact import MANIFEST, Artefact, data_sha256
from rec_platform.models.contract import FeatureNote, Floats, Floats32, column

Ints = npt.NDArray[np.int64]
#: What rankers read of an item beside its features.
READ_OF_ITEMS: Final = (c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)


@dataclass(frozen=True)
class Thinned(Sequence[Frame]):
    """Frames without contexts that no fit of all of them reads.

    Attributes:
        items: how many items of contexts that teach there were before.
    """

    frames: tuple[Frame, ...]
    items: int

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, position: Any) -> Any:
        return self.frames[position]


@dataclass(frozen=True)
class TrainingFrames:
    """The contexts a ranker reads, with the columns it reads. They are copied out of their frames only while they are read.

    Attributes:
        frames: whole frames, each with at least one context that is read.
        contexts: for each frame the rows of the contexts that are read, ascending.
        features: the feature columns that are read, in order.
    """

    frames: tuple[Frame, ...]
    contexts: tuple[Ints, ...]
    features: tuple[FeatureNote, ...]

    @classmethod
    def of(
        cls, frames: Sequence[Frame], features: Sequence[FeatureNote], *, max_items: int, seed: int
    ) -> TrainingFrames:
        """The contexts that can teach a ranking, at most about `max_items` items of them.

        Only contexts with an item of label above 0 and one of 0 teach; of these whole contexts stay, each with one
        probability by hash(seed, context_id). A fit's time and memory grow with its items, its ranking hardly improves past
        some hundred thousand; which contexts stay depends on no other context's presence but through that probability.
        """
        teaching = [both_labels(frame) for frame in frames]
        found = sum(int(np.diff(frame.offsets)[mine].sum()) for frame, mine in zip(frames, teaching, strict=True))
        items = frames.items if isinstance(frames, Thinned) else found
        if items > max_items:
            teaching = [
                mine[draws(frame, seed)[mine] < max_items / items] for frame, mine in zip(frames, teaching, strict=True)
            ]
        read = [(frame, mine) for frame, mine in zip(frames, teaching, strict=True) if len(mine)]
        return cls(tuple(frame for frame, _ in read), tuple(mine for _, mine in read), tuple(features))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(note.name for note in self.features)

    @property
    def n_items(self) -> int:
        return sum(len(rows) for rows in self._rows)

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self.frames)

    def part(self, position: int) -> Frame:
        """What is read of one frame: its items with label, weight and inclusion probability, and the features."""
        frame = self.frames[position]
        columns = pa.table({name: pa.array(column(frame, name)) for name in self.names})
        narrow = replace(frame, items=frame.items.select(READ_OF_ITEMS), features=columns, scores=pa.table({}))
        every = len(self.contexts[position]) == frame.n_contexts
        return narrow if every else narrow.take(self.contexts[position])

    def item(self, name: str) -> Floats:
        """An item column of all that is read, as float64."""
        return self._joined([numbers(frame, name) for frame in self.frames], np.float64)

    def feature(self, name: str) -> Floats32:
        """A feature of all that is read."""
        return self._joined([column(frame, name) for frame in self.frames], np.float32)

    def data(self) -> dict[str, Any]:
        """What the manifest says of the data: sizes, and one hash over all that is read."""
        parts = [data_sha256(*_read(self.part(position), self.names)) for position in range(len(self))]
        return {
            "contexts": sum(len(mine) for mine in self.contexts),
            "items": self.n_items,
            "sha256": data_sha256(np.array(parts, dtype="S64")),
        }

    def notes(self) -> list[dict[str, str]]:
        """The features as the manifest names them, in order."""
        return [{"name": note.name, "about": note.about, "unit": note.unit} for note in self.features]

    @cached_property
    def _rows(self) -> tuple[Ints, ...]:
        """For each frame the rows of the items that are read."""
        pairs = zip(self.frames, self.contexts, strict=True)
        return tuple(ranges(frame.offsets[:-1][mine], np.diff(frame.offsets)[mine]) for frame, mine in pairs)

    def _joined(self, columns: Sequence[npt.NDArray[Any]], dtype: type[np.floating[Any]]) -> npt.NDArray[Any]:
        parts = [values[rows] for values, rows in zip(columns, self._rows, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def draws(frame: Frame, seed: int) -> Floats:
    """The number in [0, 1) that decides whether a context is read where there are too many."""
    return uniform(mix(seeded(seed, purpose="ranker contexts"), frame.context(c.CONTEXT_ID)))


def notes_of(artefact: Artefact) -> tuple[FeatureNote, ...]:
    """The features an artefact's manifest names, in order."""
    return tuple(FeatureNote(**note) for note in artefact.manifest["features"])


def in_words_of(made: Artefact, other: Artefact) -> Artefact:
    """An artefact with what another one says of the same features; as it is where theirs are not the same."""
    if _named(made) != _named(other):
        return made
    files = {name: payload for name, payload in made.files.items() if name != MANIFEST}
    return Artefact.of(made.model, made.manifest | {"features": other.manifest["features"]}, files)


def _named(artefact: Artefact) -> list[object]:
    """The features an artefact's manifest names; a user's ranker may have written them its own way."""
    return [one.get("name", one) if isinstance(one, dict) else one for one in artefact.manifest["features"]]


def numbers(frame: Frame, name: str) -> Floats:
    """An item column as float64."""
    return np.asarray(frame.item(name), dtype=np.float64)


def compact(frame: Frame, names: Sequence[str]) -> Frame:
    """The frame with what rankers read alone, in memory of its own: columns of a table that was read hold on to more."""
    items, features = np.empty((len(READ_OF_ITEMS), frame.n_items)), np.empty((len(names), frame.n_items), np.float32)
    for place, name in enumerate(READ_OF_ITEMS):
        items[place] = numbers(frame, name)
    for place, name in enumerate(names):
        features[place] = column(frame, name)
    return Frame.of(
        frame.contexts, frame.offsets.copy(),
        items=dict(zip(READ_OF_ITEMS, items, strict=True)), features=dict(zip(names, features, strict=True)),
    )  # fmt: skip


def both_labels(frame: Frame) -> Ints:
    """The rows of the contexts that hold an item of label above 0 and one of 0: the only ones a ranking can learn from."""
    if not frame.n_items:
        return np.zeros(0, dtype=np.int64)
    positives = _count(frame, numbers(frame, c.LABEL) > 0)
    return np.flatnonzero((positives > 0) & (positives < np.diff(frame.offsets)))


def with_both_labels(frame: Frame) -> Frame:
    """The frame of the contexts of `both_labels`."""
    keep = both_labels(frame)
    return frame if len(keep) == frame.n_contexts else frame.take(keep)


def group_weights(frame: Frame) -> Floats:
    """A weight per context: the mean training weight of its positives. Every context must hold a positive."""
    positive = numbers(frame, c.LABEL) > 0
    weights = np.where(positive, numbers(frame, c.WEIGHT), 0.0)
    return _sum(frame, weights) / _count(frame, positive)


def inverse_inclusion(weight: Floats, probability: Floats) -> Floats:
    """weight / item_inclusion_probability per item: sampled items stand for those that were not drawn.

    Raises `NumericError` where a probability is not in (0, 1].
    """
    if np.any(~((probability > 0) & (probability <= 1))):
        raise NumericError(
            "an item inclusion probability is not in (0, 1]",
            place=f"training frame, items.{c.ITEM_INCLUSION_PROBABILITY}",
            repair="Build the training set again; each item needs the probability with which it was drawn.",
        )
    return weight / probability


def _count(frame: Frame, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.asarray(_sum(frame, flags.astype(np.float64)), dtype=np.int64)


def _sum(frame: Frame, values: Floats) -> Floats:
    """Sums per context; contexts without items have 0."""
    sums = np.bincount(frame.context_of_item, weights=values, minlength=frame.n_contexts)
    return np.asarray(sums, dtype=np.float64)


def _read(frame: Frame, names: Sequence[str]) -> list[npt.NDArray[Any]]:
    items = [frame.item(name) for name in READ_OF_ITEMS]
    return [frame.offsets, *items, *(column(frame, name) for name in names)]
