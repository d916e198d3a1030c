"""Scored lists for the evaluation benchmark: distinct scores, about two positives a context, four models.

Written once as Arrow IPC and read into memory by each contestant before its clock starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import Meter

from rec_platform.dmc12.frame import Frame

MODELS = ("m1", "m2", "m3", "m4")
TITLES_N = 2_000
K = 10


def context_columns(rng: np.random.Generator, n: int) -> pa.Table:
    return pa.table(
        {
            "profile_id": rng.integers(0, max(n // 3, 1), n),
            "country": rng.choice(["FR", "GB", "DE", "US"], n),
            "tenure_band": rng.choice(["new", "1-4w", "1-3m", "3-12m", "1y+"], n),
            "activity_band": rng.choice(["none", "light", "medium", "heavy"], n),
            "device": rng.choice(["tv", "phone", "web"], n),
        }
    )


def item_columns(rng: np.random.Generator, rows: int, items: int) -> pa.Table:
    """Titles, labels, and scores that know more of the label from model to model."""
    label = (rng.random(rows) < 2 / items).astype(np.float64)
    scores = {name: rng.random(rows) + label * 0.1 * place for place, name in enumerate(MODELS)}
    return pa.table({"title_id": rng.integers(0, TITLES_N, rows), "label": label, **scores})


def make(meter: Meter, *, folder: str, contexts: int, items: int) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    with meter.phase("making"):
        for name, table in (
            ("contexts", context_columns(rng, contexts)), ("items", item_columns(rng, contexts * items, items))
        ):  # fmt: skip
            with (
                pa.OSFile(str(Path(folder) / f"{name}.arrow"), "wb") as sink,
                pa.ipc.new_file(sink, table.schema) as out,
            ):
                out.write_table(table)
    (Path(folder) / "complete").touch()


@dataclass(frozen=True)
class Lists:
    """Contexts, and their items in order; as many items each."""

    contexts: pa.Table
    items: pa.Table

    @property
    def length(self) -> int:
        return self.items.num_rows // self.contexts.num_rows

    @property
    def offsets(self) -> np.ndarray:
        return np.arange(self.contexts.num_rows + 1) * self.length

    @property
    def context(self) -> np.ndarray:
        """For each item, the row of its context."""
        return np.repeat(np.arange(self.contexts.num_rows), self.length)

    def look(self) -> float:
        """Every number of the items once, as they are in memory where somebody has just made them."""
        return sum(float(np.sum(self.items.column(name).to_numpy())) for name in self.items.column_names)

    def frame(self) -> Frame:
        plain, scores = ({name: self.items.column(name) for name in names} for names in (("title_id", "label"), MODELS))
        return Frame.of(self.contexts, self.offsets, items=plain, scores=scores)


def read(folder: str, first: int = 0) -> Lists:
    """The lists of a folder, in memory; the `first` contexts of them, if any number is named."""
    contexts, items = (
        pa.ipc.open_file(pa.OSFile(f"{folder}/{name}.arrow")).read_all() for name in ("contexts", "items")
    )
    length = items.num_rows // contexts.num_rows
    n = first or contexts.num_rows
    return Lists(contexts.slice(0, n).combine_chunks(), items.slice(0, n * length).combine_chunks())
