"""Ids that must be unique in a partition, counted by sorting them.

In SQL, `count(DISTINCT play_id)` alone costs three times what all other rules of the table cost (docs/decisions/0045).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.checks.measured import Measured, Measures, Scene
from rec_platform.lake import Staged
from rec_platform.tables import TableSpec

#: Table -> check -> the integer column that must be unique.
UNIQUE: Final = {
    t.RAW_PLAYS.name: {"play_ids_unique": c.PLAY_ID},
    t.CONTEXTS.name: {"context_ids_unique": c.CONTEXT_ID},
    t.TRAINING_SETS.name: {"context_ids_unique": c.CONTEXT_ID},
    t.SCORES_TABLE.name: {"context_ids_unique": c.CONTEXT_ID},
}


def unique_measures(spec: TableSpec, staged: Sequence[Staged], _scene: Scene) -> Measures:
    """Per partition how many rows repeat an id that an earlier row has."""
    return {
        check: [Measured(float(_repeats(one.path, column))) for one in staged]
        for check, column in UNIQUE.get(spec.name, {}).items()
    }


def _repeats(path: Path | None, column: str) -> int:
    if path is None:
        return 0
    ids = np.sort(pq.read_table(path, columns=[column], partitioning=None).column(column).to_numpy())
    return int(np.count_nonzero(ids[1:] == ids[:-1]))
