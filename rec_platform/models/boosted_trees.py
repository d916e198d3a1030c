"""Ranker `xgboost`: gradient-boosted trees with the LambdaMART objective `rank:ndcg`.

Fed frame by frame from Arrow columns: the list offsets are the groups, no row is copied into pandas and no whole
matrix is built (the quantised one of `QuantileDMatrix` takes a byte per value). A group weighs the mean of its
positives' weights; groups without both labels teach nothing and are left out. Stored as UBJSON.

Negatives are drawn by popularity in part, so a title rarely drawn would look better than it is. Items therefore start from
different margins while fitting (`sampling_margin`), and from 0 when scoring: the correction of sampled softmax (Bengio and
Senecal, "Adaptive importance sampling", 2008). Measured in docs/decisions/0050.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.config import RankerConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ArtefactError
from rec_platform.models.artefact import Artefact, libraries
from rec_platform.models.contract import FeatureNote, Floats, Ids, RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.forest import Forest
from rec_platform.models.training import TrainingFrames, group_weights, notes_of, numbers

MODEL_FILE: Final = "model.ubj"
#: One, in fits and in predictions: dates run in threads of ours, which never wait for each other.
THREADS: Final = 1
#: Items scored at a time: few enough that they stay small (3 MB at 50 features) and are shared out evenly.
BLOCK: Final = 16_384


@dataclass(frozen=True)
class BoostedTreesScorer(Scorer):
    """A booster, kept as its bytes so that equality and copies stay plain."""

    notes: tuple[FeatureNote, ...]
    payload: bytes

    name = "xgboost"

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return self.notes

    @cached_property
    def booster(self) -> Any:
        """The loaded `xgboost.Booster`."""
        import xgboost

        return xgboost.Booster({"nthread": THREADS}, model_file=bytearray(self.payload))

    @cached_property
    def forest(self) -> Forest:
        """The booster's trees; `ArtefactError` where they are not over these features."""
        forest = Forest.of(self.booster.save_raw("json"))
        if forest.n_features != len(self.notes):
            raise ArtefactError(
                f"trees over {forest.n_features} features where the manifest names {len(self.notes)}",
                place=f"model {self.name}", repair="Make the model again with --force.",
            )  # fmt: skip
        return forest

    def score(self, frame: Frame) -> Floats:
        """The sum of the leaves in float32, as XGBoost computes it to the bit; blocks of items in threads."""
        columns, forest = [column(frame, note.name) for note in self.notes], self.forest
        scores = np.empty(frame.n_items, dtype=np.float64)
        blocks = [slice(start, min(start + BLOCK, frame.n_items)) for start in range(0, frame.n_items, BLOCK)]

        def fill(items: slice) -> None:
            forest.sums(np.stack([values[items] for values in columns]), scores[items])

        if len(blocks) == 1:
            fill(blocks[0])
        else:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                list(pool.map(fill, blocks))
        return scores

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        """Per-feature contributions by the path through each tree (Saabas), XGBoost's `approx_contribs`.

        TreeSHAP shares a contribution among features more fairly, but took 14 of the 19 s of a day's lists (28,000 rows).
        """
        import xgboost

        if not len(rows):
            return np.zeros((0, len(self.notes)))
        names = [note.name for note in self.notes]
        values = np.stack([column(frame, name)[rows] for name in names], axis=1)
        matrix = xgboost.DMatrix(values, feature_names=names)
        parts = self.booster.predict(matrix, pred_contribs=True, approx_contribs=True)
        return np.asarray(parts, dtype=np.float64)[:, :-1]


class BoostedTreesTrainer(RankerTrainer):
    """Native `xgboost.train`; see the module."""

    name = "xgboost"
    code_version = 1

    def fit(
        self, frames: Sequence[Frame], *, features: Sequence[FeatureNote], config: RankerConfig, seed: int
    ) -> Artefact | None:
        import xgboost

        training = TrainingFrames.of(frames, features, max_items=config.max_items, seed=seed)
        if not len(training) or not training.features:
            return None
        parameters = _parameters(config, seed)
        matrix = xgboost.QuantileDMatrix(_batches(training), nthread=THREADS)
        booster = xgboost.train(parameters, matrix, num_boost_round=config.n_trees)
        manifest = base_manifest(
            kind="ranker", code_version=self.code_version, seed=seed, data=training.data(), features=training.notes(),
            parameters={**parameters, "n_trees": config.n_trees, "max_items": config.max_items},
            libraries=libraries("numpy", "xgboost"),
        )  # fmt: skip
        return Artefact.of(self.name, manifest, {MODEL_FILE: bytes(booster.save_raw("ubj"))})

    def load(self, artefact: Artefact) -> BoostedTreesScorer:
        return BoostedTreesScorer(notes_of(artefact), artefact.file(MODEL_FILE))


def _parameters(config: RankerConfig, seed: int) -> dict[str, Any]:
    return {
        "objective": "rank:ndcg",
        "tree_method": "hist",
        "max_depth": config.max_depth,
        "learning_rate": config.learning_rate,
        "nthread": THREADS,
        "seed": seed,
    }


def _batches(training: TrainingFrames) -> Any:
    """The frames as an `xgboost.DataIter`, one batch each: groups must not be split between batches, and are not."""
    import xgboost

    class Batches(xgboost.DataIter):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.position = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            if self.position == len(training):
                return False
            frame = training.part(self.position)
            self.position += 1
            input_data(
                data=_arrow(frame, training.names),
                label=numbers(frame, c.LABEL).astype(np.float32),
                group=np.diff(frame.offsets),
                base_margin=sampling_margin(frame).astype(np.float32),
                weight=group_weights(frame).astype(np.float32),
            )
            return True

        def reset(self) -> None:
            self.position = 0

    return Batches()


def sampling_margin(frame: Frame) -> Floats:
    """Per item: -ln(item_inclusion_probability), from the mean of it over the context's drawn items; 0 for played ones.

    Centred, because a played title's own chance of being drawn is not stored: it stands at the average. Uncentred, a large
    catalogue (small probabilities) would start every negative so far ahead that the trees never catch up.
    """
    surprise = -np.log(numbers(frame, c.ITEM_INCLUSION_PROBABILITY))
    context, drawn = frame.context_of_item, surprise > 0
    sums = np.bincount(context[drawn], weights=surprise[drawn], minlength=frame.n_contexts)
    mean = sums / np.maximum(np.bincount(context[drawn], minlength=frame.n_contexts), 1)
    return np.where(drawn, surprise - mean[context], 0.0)


def _arrow(frame: Frame, names: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.array(column(frame, name)) for name in names})
