"""Trained models: their files, as rows."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.partition import Grain
from rec_platform.tables.spec import TableSpec, field

MODEL_FIELDS: Final = [
    field(c.MODEL, pa.string(), "the model's name"),
    field("file", pa.string(), "the artefact's file: manifest.json, *.npy, *.ubj, *.parquet"),
    field("sha256", pa.string(), "of the payload, checked before it is read"),
    field("payload", pa.large_binary(), "the file's bytes"),
]

CANDIDATE_MODELS: Final = TableSpec(
    "candidate_models",
    stage="candidate_models",
    grain=Grain.DATE,
    one_row="a file of a model fitted on plays visible at 00:00 UTC of the date",
    schema=pa.schema(MODEL_FIELDS),
    order=(c.MODEL, "file"),
)

RANKER_MODELS: Final = TableSpec(
    "ranker_models",
    stage="ranker_models",
    grain=Grain.DATE,
    one_row="a file of a model fitted on the training sets of the usable days before the date",
    schema=pa.schema(MODEL_FIELDS),
    order=(c.MODEL, "file"),
)
