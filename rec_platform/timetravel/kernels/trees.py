"""Walks over decision trees."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.timetravel.kernels.compiling import Float32, Float64, Int32, Int64, compiled

#: Items walked together: their values, doubled, and their places stay in the first cache (10 kB at 20 features).
TOGETHER: Final = 64


@compiled
def sum_trees(
    values: Float32, base: Float32, roots: Int64, depths: Int64, feature: Int32, threshold: Float32, child: Int32,
    leaf: Float32, out: Float64,
) -> None:  # fmt: skip
    """Write the sum of the leaves that each item comes to, tree after tree in float32, beginning from base[0].

    All items of a block take each step together, without a branch: a walk that ends early stays in its leaf, whose
    threshold is NaN, which nothing reaches.

    Args:
        values: (features, items); NaN is missing.
        roots, depths: per tree: its first node, and the steps to its deepest leaf.
        feature: per node: f where a missing value of feature f goes to the first child, features + f where to the second.
        threshold: per node: a value from here on goes to the second child.
        child: (2 nodes): the first child of node k at 2 k, then the second; of a leaf the leaf itself.
        leaf: per node: what a leaf adds.
        out: (items).
    """
    n_features, n = values.shape
    block = np.empty(2 * n_features * TOGETHER, dtype=np.float32)
    node = np.empty(TOGETHER, dtype=np.int32)
    total = np.empty(TOGETHER, dtype=np.float32)
    for begin in range(0, n, TOGETHER):
        held = min(TOGETHER, n - begin)
        for f in range(n_features):
            low, high = f * TOGETHER, (n_features + f) * TOGETHER
            for j in range(held):
                value = values[f, begin + j]
                missing = value != value
                block[low + j] = -np.inf if missing else value
                block[high + j] = np.inf if missing else value
        total[:] = base[0]
        for tree in range(len(roots)):
            node[:] = roots[tree]
            for _ in range(depths[tree]):
                for j in range(TOGETHER):
                    at = np.uint32(node[j])
                    right = np.uint32(block[np.uint32(feature[at] * TOGETHER + j)] >= threshold[at])
                    node[j] = child[2 * at + right]
            for j in range(TOGETHER):
                total[j] += leaf[np.uint32(node[j])]
        for j in range(held):
            out[begin + j] = total[j]
