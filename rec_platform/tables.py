"""Every table of the platform, in flow order: its grain, its key, its columns with types and units.

A `TableSpec` is the one description of a table that the lake writes by, the checks judge by and the docs print. The
partition columns `date` and `country` are not inside the files and not in `schema`; the lake adds them when it reads.
Rows of a partition stand in the order of `order`, always, so that equal rows mean equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import KeyRefused, SchemaError
from rec_platform.partition import Grain

INSTANT: Final = pa.timestamp("us", tz="UTC")

#: The rolling windows of the snapshot tables, in days. The last is the longest.
WINDOWS: Final = (1, 7, 28, 90)


def field(name: str, kind: pa.DataType, about: str, *, nullable: bool = False) -> pa.Field:
    """A column with its meaning (and unit) attached, the text that docs and the UI show."""
    return pa.field(name, kind, nullable=nullable, metadata={"about": about})


@dataclass(frozen=True)
class TableSpec:
    """What a table is.

    Attributes:
        name: the table's name, also its folder in the lake.
        stage: the asset that publishes it.
        grain: how it is partitioned.
        one_row: what one row is, in words.
        schema: the columns inside the files, in order. Nested structs named in `open_structs` may hold any number of
            float64 fields (features, scores): their fields depend on configuration.
        order: the columns rows are sorted by; unique together within a partition unless `unique` is False.
    """

    name: str
    stage: str
    grain: Grain
    one_row: str
    schema: pa.Schema
    order: tuple[str, ...]
    unique: bool = True
    open_structs: tuple[str, ...] = ()

    def check(self, found: pa.Schema) -> None:
        """Raise `SchemaError` unless `found` has exactly this table's columns and types, in order."""
        missing = [name for name in self.schema.names if name not in found.names]
        extra = [name for name in found.names if name not in self.schema.names]
        if missing or extra:
            raise SchemaError(
                f"columns missing: {missing or 'none'}; columns not declared: {extra or 'none'}",
                place=f"table {self.name}, which has {found.names}",
                repair=f"Produce exactly {self.schema.names}.",
            )
        for expected in self.schema:
            actual = found.field(expected.name).type
            if not _matches(actual, expected.type, self.open_structs):
                raise SchemaError(
                    f"column {expected.name} is {actual}",
                    place=f"table {self.name}",
                    repair=f"It is declared {expected.type}.",
                )


def _matches(actual: pa.DataType, expected: pa.DataType, open_structs: tuple[str, ...]) -> bool:
    if pa.types.is_list(expected) or pa.types.is_large_list(expected):
        return (pa.types.is_list(actual) or pa.types.is_large_list(actual)) and _matches(
            actual.value_type, expected.value_type, open_structs
        )
    if not pa.types.is_struct(expected):
        return bool(actual == expected)
    if not pa.types.is_struct(actual):
        return False
    wanted = {f.name: f.type for f in expected}
    given = {f.name: f.type for f in actual}
    if set(wanted) != set(given):
        return False
    return all(
        pa.types.is_struct(given[name]) if name in open_structs else _matches(given[name], kind, open_structs)
        for name, kind in wanted.items()
    )


_PROFILE: Final = field(c.PROFILE, pa.int64(), "who: the source's integer, or a 63-bit hash of its text")
_TITLE: Final = field(c.TITLE, pa.int64(), "what: the source's integer, or a 63-bit hash of its text")

LANDING: Final = TableSpec(
    "landing",
    stage="landing",
    grain=Grain.DATE_COUNTRY,
    one_row="a row as delivered",
    schema=pa.schema(
        [
            field(c.FILE_HASH, pa.string(), "SHA-256 of the delivered file: the same file twice is skipped by it"),
            field(c.FILE_NAME, pa.string(), "the file's name, without its folder"),
            field(c.LINE, pa.int64(), "row number in the file, the first data row is 1"),
            field(c.DELIVERED_AT, INSTANT, "when the file was delivered"),
            field(c.DELIVERED, pa.string(), "the delivered columns as a JSON object of texts, keys sorted"),
        ]
    ),
    order=(c.DELIVERED_AT, c.FILE_HASH, c.LINE),
)


def _landing_of(section: str) -> TableSpec:
    return TableSpec(
        f"landing_{section}",
        stage="landing",
        grain=Grain.NONE,
        one_row=f"a row of a delivered {section} file (or, for sources without such files, one derived from plays)",
        schema=LANDING.schema,
        order=LANDING.order,
    )


LANDING_TITLES: Final = _landing_of("titles")
LANDING_PROFILES: Final = _landing_of("profiles")
LANDING_AVAILABILITY: Final = _landing_of("availability")

RAW_PLAYS: Final = TableSpec(
    "raw_plays",
    stage="raw_plays",
    grain=Grain.DATE_COUNTRY,
    one_row="a valid event (a play, or a title shown)",
    schema=pa.schema(
        [
            field(
                c.PLAY_ID, pa.int64(), "the source's id, or a 63-bit hash of the delivered row; unique in a partition"
            ),
            field(c.EVENT, pa.string(), "play or shown"),
            _PROFILE,
            _TITLE,
            field(c.PLAYED_AT, INSTANT, "when the play began"),
            field(c.KNOWN_AT, INSTANT, "when the platform could first know of it; never before played_at"),
            field(c.WATCHED_MS, pa.int64(), "milliseconds watched; null where the source has none", nullable=True),
            field(c.RUNTIME_MS, pa.int64(), "milliseconds the title lasts, as the play says it", nullable=True),
            field(c.ENGAGED, pa.bool_(), "the source's own verdict, where the mapping names one", nullable=True),
            field(
                c.SESSION_ID,
                pa.int64(),
                "the source's session or invoice, hashed; null where it has none",
                nullable=True,
            ),
            field(c.DEVICE, pa.string(), "the device, lower case; null where unknown", nullable=True),
            field(c.REQUEST_ID, pa.string(), "the page request that showed the title", nullable=True),
            field(c.SURFACE, pa.string(), "where it was shown (home, search)", nullable=True),
            field(c.ROW, pa.int32(), "row on the page, from 0", nullable=True),
            field(c.POSITION, pa.int32(), "position in the row, from 0", nullable=True),
            field(
                c.PROPENSITY,
                pa.float64(),
                "probability in (0,1] that the logging policy showed it here; null is unknown",
                nullable=True,
            ),
        ]
    ),
    order=(c.PLAYED_AT, c.PROFILE, c.TITLE, c.PLAY_ID),
)

QUARANTINED_PLAYS: Final = TableSpec(
    "quarantined_plays",
    stage="raw_plays",
    grain=Grain.DATE_COUNTRY,
    one_row="a refused row with the rule it broke",
    schema=pa.schema(
        [
            *LANDING.schema,
            field(c.RULE, pa.string(), "the first rule it broke, in declared order"),
            field(c.DETAIL, pa.string(), "the column and text that broke it"),
        ]
    ),
    order=(c.DELIVERED_AT, c.FILE_HASH, c.LINE),
)

TITLES: Final = TableSpec(
    "titles",
    stage="reference",
    grain=Grain.NONE,
    one_row="a title as known from known_at on (a change is a further row)",
    schema=pa.schema(
        [
            _TITLE,
            field(c.KNOWN_AT, INSTANT, "from when the platform knew this"),
            field(c.SOURCE_ID, pa.string(), "the source's own id, as text"),
            field(c.NAME, pa.string(), "the title's name", nullable=True),
            field(c.GENRES, pa.list_(pa.string()), "genres, in the source's order; empty where unknown"),
            field(c.TAGS, pa.list_(pa.string()), "tags, in the source's order; empty where unknown"),
            field(c.RUNTIME_MS, pa.int64(), "milliseconds the title lasts", nullable=True),
            field(c.RELEASED_AT, INSTANT, "when the title came out", nullable=True),
        ]
    ),
    order=(c.TITLE, c.KNOWN_AT),
)

PROFILES: Final = TableSpec(
    "profiles",
    stage="reference",
    grain=Grain.NONE,
    one_row="a profile as known from known_at on (a change is a further row)",
    schema=pa.schema(
        [
            _PROFILE,
            field(c.KNOWN_AT, INSTANT, "from when the platform knew this"),
            field(c.SOURCE_ID, pa.string(), "the source's own id, as text"),
            field(c.SIGNUP_AT, INSTANT, "when the profile was made; null where the source does not say", nullable=True),
            field(c.HOME_COUNTRY, pa.string(), "the profile record's country", nullable=True),
        ]
    ),
    order=(c.PROFILE, c.KNOWN_AT),
)

AVAILABILITY: Final = TableSpec(
    "availability",
    stage="reference",
    grain=Grain.NONE,
    one_row="a title offered in a country over [available_from, available_to)",
    schema=pa.schema(
        [
            _TITLE,
            field(c.COUNTRY, pa.string(), "ISO 3166-1 alpha-2"),
            field(c.AVAILABLE_FROM, INSTANT, "first instant offered"),
            field(c.AVAILABLE_TO, INSTANT, "first instant no longer offered; null is open", nullable=True),
            field(c.KNOWN_AT, INSTANT, "from when the platform knew this"),
        ]
    ),
    order=(c.TITLE, c.COUNTRY, c.AVAILABLE_FROM, c.KNOWN_AT),
)

PLAY_FACTS: Final = TableSpec(
    "play_facts",
    stage="facts",
    grain=Grain.DATE_COUNTRY,
    one_row="a play with its engagement",
    schema=pa.schema(
        [
            field(c.PLAY_ID, pa.int64(), "as in raw_plays"),
            _PROFILE,
            _TITLE,
            field(c.PLAYED_AT, INSTANT, "when the play began"),
            field(c.KNOWN_AT, INSTANT, "when the platform could first know of it"),
            field(c.WATCHED_MS, pa.int64(), "milliseconds watched; 0 where the source has none"),
            field(c.ENGAGED, pa.int8(), "1 if the engagement rule holds, else 0"),
            field(c.SESSION_ID, pa.int64(), "the source's session or invoice", nullable=True),
            field(c.DEVICE, pa.string(), "the device; 'unknown' where the source has none"),
            field(c.SURFACE, pa.string(), "where it was shown", nullable=True),
            field(c.ROW, pa.int32(), "row on the page, from 0", nullable=True),
            field(c.POSITION, pa.int32(), "position in the row, from 0", nullable=True),
            field(c.PROPENSITY, pa.float64(), "exposure probability; null is unknown", nullable=True),
        ]
    ),
    order=(c.PLAYED_AT, c.PROFILE, c.TITLE, c.PLAY_ID),
)

_TILE_FACTS: Final = [
    field(c.PLAYS, pa.int64(), "plays of the date that became known on known_date"),
    field(c.WATCHED_MS, pa.int64(), "milliseconds watched in them"),
    field(c.ENGAGED_PLAYS, pa.int64(), "of them, those engaged"),
    field(c.LAST_PLAYED_AT, INSTANT, "the last of them began then"),
]
_KNOWN_DATE: Final = field(c.KNOWN_DATE, pa.date32(), "UTC date of known_at")

TITLE_TILES: Final = TableSpec(
    "title_tiles",
    stage="facts",
    grain=Grain.DATE_COUNTRY,
    one_row="a title's plays of one date and country, by the date they became known",
    schema=pa.schema([_KNOWN_DATE, _TITLE, *_TILE_FACTS]),
    order=(c.KNOWN_DATE, c.TITLE),
)

PROFILE_TILES: Final = TableSpec(
    "profile_tiles",
    stage="facts",
    grain=Grain.DATE_COUNTRY,
    one_row="a profile's plays of one date and country, by the date they became known",
    schema=pa.schema([_KNOWN_DATE, _PROFILE, *_TILE_FACTS]),
    order=(c.KNOWN_DATE, c.PROFILE),
)


def _window_fields(scope: str = "") -> list[pa.Field]:
    where = "in this country" if scope else "in all countries"
    units = {c.PLAYS: "plays", c.WATCHED_MS: "milliseconds watched", c.ENGAGED_PLAYS: "engaged plays"}
    return [
        field(c.windowed(measure, days, scope), pa.int64(), f"{unit} over the last {days} days, {where}")
        for measure, unit in units.items()
        for days in WINDOWS
    ]


_LAST: Final = field(
    c.LAST_PLAYED_AT,
    INSTANT,
    f"last visible play of the last {WINDOWS[-1]} days, anywhere; null if none",
    nullable=True,
)

PROFILE_SNAPSHOT: Final = TableSpec(
    "profile_snapshot",
    stage="feature_snapshots",
    grain=Grain.DATE_COUNTRY,
    one_row="a profile of the country: its facts as of 00:00 UTC of the date",
    schema=pa.schema(
        [
            _PROFILE,
            *_window_fields(),
            field(
                c.windowed(c.PLAYS, WINDOWS[-1], "country"),
                pa.int64(),
                f"plays over the last {WINDOWS[-1]} days in this country (0: here by its profile record only)",
            ),
            _LAST,
        ]
    ),
    order=(c.PROFILE,),
)

TITLE_SNAPSHOT: Final = TableSpec(
    "title_snapshot",
    stage="feature_snapshots",
    grain=Grain.DATE_COUNTRY,
    one_row="a title with a visible play in the country in the longest window: its facts as of 00:00 UTC of the date",
    schema=pa.schema([_TITLE, *_window_fields("country"), *_window_fields(), _LAST]),
    order=(c.TITLE,),
)

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
            _PROFILE,
            field(c.RANK, pa.int32(), "from 1"),
            _TITLE,
            field(c.SCORE, pa.float64(), "the model's score: comparable within one profile only"),
            field(c.MODEL, pa.string(), "the model that made the row"),
            field(c.REASONS, pa.list_(pa.string()), "the strongest features behind the score, strongest first"),
        ]
    ),
    order=(c.PROFILE, c.RANK),
)

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

#: Every table in flow order.
TABLES: Final = (
    LANDING,
    LANDING_TITLES,
    LANDING_PROFILES,
    LANDING_AVAILABILITY,
    RAW_PLAYS,
    QUARANTINED_PLAYS,
    TITLES,
    PROFILES,
    AVAILABILITY,
    PLAY_FACTS,
    TITLE_TILES,
    PROFILE_TILES,
    PROFILE_SNAPSHOT,
    TITLE_SNAPSHOT,
    CANDIDATE_MODELS,
    CONTEXTS,
    TRAINING_SETS,
    RANKER_MODELS,
    SCORES_TABLE,
    METRICS,
    METRIC_SUMS,
    RECOMMENDATIONS,
)
_BY_NAME: Final = {table.name: table for table in TABLES}


def table(name: str) -> TableSpec:
    """The table of that name; `KeyRefused` with the names there are otherwise."""
    if name not in _BY_NAME:
        raise KeyRefused(f"there is no table {name!r}", place="table name", repair=f"Tables: {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]
