"""Boosted trees as arrays of nodes, read from XGBoost's own JSON and walked by a kernel.

The sums are those of `Booster.inplace_predict` to the bit, in about a quarter of its time (docs/decisions/0123).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rec_platform.errors import ArtefactError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Float32, Float64, Int32, Int64

#: Objectives whose margin begins at `base_score` as it stands; others transform it first.
_OBJECTIVES = ("rank:ndcg",)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees, their nodes one after another; see `kernels.sum_trees` for the arrays."""

    n_features: int
    base: Float32
    roots: Int64
    depths: Int64
    feature: Int32
    threshold: Float32
    child: Int32
    leaf: Float32

    @classmethod
    def of(cls, model: bytes | bytearray) -> Forest:
        """The trees of a booster (`save_raw("json")`).

        Raises:
            ArtefactError: it is no sum of trees over numbers that starts from its `base_score`.
        """
        learner = json.loads(model)["learner"]
        trees, parameters = _trees(learner), learner["learner_model_param"]
        sizes = np.array([len(tree["left_children"]) for tree in trees], dtype=np.int64)
        roots = np.cumsum(sizes) - sizes
        first, second = (_joined(trees, name, np.int64) for name in ("left_children", "right_children"))
        condition, ends = _joined(trees, "split_conditions", np.float32), first < 0
        both = np.stack([first, second], axis=1) + np.repeat(roots, sizes)[:, None]
        child = np.where(ends[:, None], np.arange(len(ends))[:, None], both)
        n_features = int(parameters["num_feature"])
        feature = _joined(trees, "split_indices", np.int64)
        feature = feature + np.where(_joined(trees, "default_left", np.int64) > 0, 0, n_features)
        return cls(
            n_features=n_features,
            base=np.array([float(parameters["base_score"].strip("[]"))], dtype=np.float32),
            roots=roots,
            depths=_depths(roots, child, ends),
            feature=np.where(ends, 0, feature).astype(np.int32),
            threshold=np.where(ends, np.float32(np.nan), condition),
            child=child.astype(np.int32).ravel(),
            leaf=np.where(ends, condition, np.float32(0)),
        )

    def sums(self, values: Float32, out: Float64) -> None:
        """Write the margin of each item; values (features, items) float32, in rows; NaN is missing."""
        kernels.sum_trees(
            values, self.base, self.roots, self.depths, self.feature, self.threshold, self.child, self.leaf, out
        )


def _trees(learner: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The trees, if they are of the kind that `Forest` knows."""
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    trees: Sequence[Mapping[str, Any]] = booster.get("model", {}).get("trees", ())
    plain = not any(any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees)
    if booster["name"] != "gbtree" or objective not in _OBJECTIVES or not plain:
        raise ArtefactError(
            f"a {booster['name']} of objective {objective}, or trees that split by categories or have several outputs",
            place="model xgboost", repair=f"Score plain trees of {' or '.join(_OBJECTIVES)}; make the model again.",
        )  # fmt: skip
    return trees


def _joined(trees: Sequence[Mapping[str, Any]], name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(np.array(tree[name], dtype=dtype) for tree in trees)])


def _depths(roots: Int64, child: Int64, ends: npt.NDArray[np.bool_]) -> Int64:
    """The steps from each root to the deepest leaf below it."""
    depths = np.zeros(len(roots), dtype=np.int64)
    tree, node = np.arange(len(roots)), roots
    while len(node):
        inner = ~ends[node]
        tree, node = np.repeat(tree[inner], 2), child[node[inner]].ravel()
        depths[np.unique(tree)] += 1
    return depths
