"""What `make` compiles of evaluation is all that an evaluation calls."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import numpy as np
import pyarrow as pa

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import STANDARD, evaluate, kernels, popularity
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.warm_up import run_everything
from rec_platform.testing.compiled import signatures

run_everything()
before = signatures(kernels)
assert len(before) > 15
rng = np.random.default_rng(1)
for n, items, kind in ((200, 9, np.float64), (40, 300, np.float32)):
    frame = Frame.of(
        pa.table({"profile_id": np.arange(n) % 7, "country": np.where(np.arange(n) % 2, "FR", "GB")}),
        np.arange(n + 1) * items,
        items={"title_id": np.tile(np.arange(items), n), "label": (rng.random(n * items) < 0.3).astype(float)},
        scores={name: rng.integers(0, 50, n * items).astype(kind) for name in "ab"},
    )
    bands = popularity(np.arange(items), np.arange(items))
    for replicates in (0, 3):
        for slices in (Slices(()), Slices(("country",), items=(bands,))):
            evaluate(frame, seed=1, metrics=STANDARD, replicates=replicates, slices=slices)
print(sorted(signatures(kernels) - before))
"""


def test_an_evaluation_needs_no_kernel_that_was_not_compiled_beforehand() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
