"""A run over everything the kernels of evaluation can do, on next to nothing, so that all of them are compiled.

`make` calls it once (`python -m rec_platform.evaluation.warm_up`); a warm start then loads them from the environment.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import kernels
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.metrics import STANDARD


def run_everything() -> None:
    """Evaluate a list of two titles, once all tied, scored by two models in 64 bits and in 32, with and without replicates."""
    contexts, items = pa.table({c.PROFILE: [1]}), {c.TITLE: np.array([1, 2]), c.LABEL: np.array([0.0, 1.0])}
    for kind in (np.float64, np.float32):
        for scores in (np.arange(2, dtype=kind), np.zeros(2, dtype=kind)):
            frame = Frame.of(contexts, np.array([0, 2]), items=items, scores={"a": scores, "b": scores})
            for replicates in (0, 1):
                evaluate(frame, seed=0, metrics=STANDARD, accumulators=(), replicates=replicates)
    kernels.rehash(np.full(4, -1, dtype=np.int32), np.zeros((2, kernels.FIELDS), dtype=np.int64), 1)


if __name__ == "__main__":
    run_everything()
