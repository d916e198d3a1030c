"""Contexts, and DMC-12: contexts with their items, as training sets and as scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.partition import Grain
from rec_platform.tables.spec import INSTANT, TableSpec, field

CONTEXT_FIELDS: Final = [
    field(c.CONTEXT_ID, pa.int64(), "63-bit hash of profile, country and instant"),
    field(c.AT, INSTANT, "the context's instant: played_at of the session's first play"),
    field(c.DEVICE, pa.string(), "the device of that play; 'unknown' where the source has none"),
    field(c.TENURE_DAYS, pa.float64(), "days since signup, else since the first visible play; 0 for a first-timer"),
    field(c.TENURE_BAND, pa.string(), "new, 1-4w, 1-3m, 3-12m, 1y+"),
    field(c.ACTIVITY_BAND, pa.string(), "plays over 28 days: none, light, medium, heavy"),
    field(c.STRATUM, pa.string(), "country/tenure_band, what the sampler balances"),
    field(c.INCLUSION_PROBABILITY, pa.float64(), "probability in (0,1] with which the sampler kept the context"),
]

#: What the features of a context were made from.
CERTIFICATE_FIELDS: Final = [
    field(c.KNOWN_BY, pa.string(), "as known then (default), with all known now, or known before that instant"),
    field(c.NEWEST_PLAYED_AT, INSTANT, "the newest play its features read; null if none", nullable=True),
    field(c.NEWEST_KNOWN_AT, INSTANT, "when the newest thing they read became known; null if none", nullable=True),
]

CONTEXTS: Final = TableSpec(
    "contexts",
    stage="training_sets",
    grain=Grain.DATE_COUNTRY,
    one_row="a sampled context: the first play of a session",
    schema=pa.schema([field(c.PROFILE, pa.int64(), "who"), *CONTEXT_FIELDS, *CERTIFICATE_FIELDS]),
    order=(c.AT, c.CONTEXT_ID),
)


def dmc12_schema(item_fields: list[pa.Field], more: Sequence[pa.Field] = ()) -> pa.Schema:
    """The schema of a DMC-12 table: context columns, `more` of them, `items` as a list of structs of `item_fields`."""
    return pa.schema(
        [
            field(c.PROFILE, pa.int64(), "who"),
            field(c.DMC12_NAMES[c.COUNTRY], pa.string(), "where: ISO 3166-1 alpha-2"),
            *CONTEXT_FIELDS,
            *more,
            field(c.ITEMS, pa.list_(pa.struct(item_fields)), "what is ranked in the context"),
        ]
    )


_OPEN: Final = pa.struct([])
ITEM_FIELDS: Final = [
    field(c.DMC12_NAMES[c.TITLE], pa.int64(), "what: the title"),
    field(c.LABEL, pa.float64(), "1 if played in the label window and engaged, else 0"),
    field(c.WEIGHT, pa.float64(), "for training only, mean 1; metrics never read it"),
    field(c.ITEM_INCLUSION_PROBABILITY, pa.float64(), "probability in (0,1] of being drawn; 1 for played titles"),
]

TRAINING_SETS: Final = TableSpec(
    "training_sets",
    stage="training_sets",
    grain=Grain.DATE_COUNTRY,
    one_row="a context in DMC-12: its items with label, weight and features as of its own instant",
    schema=dmc12_schema(
        [*ITEM_FIELDS, field(c.FEATURES, _OPEN, "by feature, as of the context's instant; NaN where missing")],
        CERTIFICATE_FIELDS,
    ),
    order=(c.AT, c.CONTEXT_ID),
    open_structs=(c.FEATURES,),
)

SCORES_TABLE: Final = TableSpec(
    "scores",
    stage="scores",
    grain=Grain.DATE_COUNTRY,
    one_row="a context in DMC-12 with a score per model: every positive and the union of each model's top 100",
    schema=pa.schema(
        [
            *list(dmc12_schema([]))[:-1],
            field(c.N_CANDIDATES, pa.int64(), "titles in the candidate set"),
            field(
                c.ITEMS,
                pa.list_(
                    pa.struct(
                        [
                            *ITEM_FIELDS,
                            field(c.REACHABLE, pa.bool_(), "whether the title stands in the candidate set"),
                            field(c.SCORES, _OPEN, "by model, higher is better; never NaN"),
                            field(c.N_ABOVE, _OPEN, "by model, candidates that score above it"),
                            field(c.N_EQUAL, _OPEN, "by model, other candidates that score the same"),
                        ]
                    )
                ),
                "every positive, and the union of each model's top 100",
            ),
        ]
    ),
    order=(c.AT, c.CONTEXT_ID),
    open_structs=(c.SCORES, c.N_ABOVE, c.N_EQUAL),
)
