"""What comes out: metrics, the sums behind them, and recommendations."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.partition import Grain
from rec_platform.tables.spec import PROFILE_FIELD, TITLE_FIELD, TableSpec, field

_METRIC_KEY: Final = [
    field("protocol", pa.string(), "session (default) or daily_list"),
    field("estimand", pa.string(), "context: mean over contexts; profile: mean over profiles"),
    field(c.MODEL, pa.string(), "the model, or a baseline"),
    field(c.METRIC, pa.string(), "the metric's name"),
    field(c.CUTOFF, pa.int32(), "the cut-off; 0 where the metric has none"),
    field(c.SLICE, pa.string(), "what is sliced by; 'all' for the whole"),
    field(c.SLICE_VALUE, pa.string(), "the slice's value; 'all' for the whole"),
]
_RULES: Final = field(
    "rules", pa.string(),
    "JSON: split, cut, candidate set, seen and cold rule, ties, weighting, seed, data hash: what two numbers must share",
)  # fmt: skip
_METRIC_ORDER: Final = ("protocol", "estimand", c.MODEL, c.METRIC, c.CUTOFF, c.SLICE, c.SLICE_VALUE)

METRICS: Final = TableSpec(
    "metrics",
    stage="metrics",
    grain=Grain.DATE_COUNTRY,
    one_row="a metric of a model at a cut-off in a slice: value, interval, n",
    schema=pa.schema(
        [
            *_METRIC_KEY,
            field(c.VALUE, pa.float64(), "the estimate; NaN where n is 0"),
            field(c.LOW, pa.float64(), "lower end of the 95 % interval; NaN where there is no verdict"),
            field(c.HIGH, pa.float64(), "upper end of the 95 % interval; NaN where there is no verdict"),
            field(
                c.DETECTABLE, pa.float64(), "smallest difference of two such numbers found with 80 % power; NaN if none"
            ),
            field(c.N, pa.int64(), "contexts the value rests on"),
            field(c.N_EXCLUDED, pa.int64(), "contexts left out because the metric is not defined on them"),
            field(c.N_UNREACHABLE, pa.int64(), "positives outside the candidate set, kept in the denominators"),
            _RULES,
        ]
    ),
    order=_METRIC_ORDER,
)

METRIC_SUMS: Final = TableSpec(
    "metric_sums",
    stage="metrics",
    grain=Grain.DATE_COUNTRY,
    one_row="the mergeable sums behind metric rows, in fixed point",
    schema=pa.schema(
        [
            *_METRIC_KEY,
            field(
                "kind",
                pa.string(),
                "mean: a numerator; weight: a denominator (no metric); tally: amounts by cell",
            ),
            field("population", pa.string(), "the contexts summed over, by name, and what their metrics needed"),
            _RULES,
            field("seed", pa.int64(), "of the bootstrap; rows of different seeds do not merge"),
            field(c.N, pa.int64(), "contexts of the population"),
            field(c.N_EXCLUDED, pa.int64(), "contexts outside the population"),
            field(c.N_UNREACHABLE, pa.int64(), "positives outside the candidate set"),
            field(
                "total",
                pa.int64(),
                "mean: sum of weight x metric, weight: sum of weights, in 2^-30; tally: how many cells there could be",
            ),
            field("replicates", pa.list_(pa.int64()), "the total in each bootstrap replicate"),
            field(
                "by_group", pa.list_(pa.int64()), "the total in each of 64 hash groups of profiles, for paired tests"
            ),
            field("cells", pa.list_(pa.int64()), "tally: what was hit (titles shown, ranks, bins), ascending"),
            field(
                "groups", pa.list_(pa.int64()), "tally: per cell, bit g is set where a profile of hash group g hit it"
            ),
            field("weights", pa.list_(pa.int64()), "tally: per cell, the amount of each of its groups, in 2^-30"),
        ]
    ),
    order=(*_METRIC_ORDER, "kind", "population"),
)

RECOMMENDATIONS: Final = TableSpec(
    "recommendations",
    stage="recommendations",
    grain=Grain.DATE_COUNTRY,
    one_row="a title recommended to a profile of the country on the date",
    schema=pa.schema(
        [
            PROFILE_FIELD,
            field(c.RANK, pa.int32(), "from 1"),
            TITLE_FIELD,
            field(c.SCORE, pa.float64(), "the model's score: comparable within one profile only"),
            field(c.MODEL, pa.string(), "the model that made the row"),
            field(c.REASONS, pa.list_(pa.string()), "the strongest features behind the score, strongest first"),
        ]
    ),
    order=(c.PROFILE, c.RANK),
)
