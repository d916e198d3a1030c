"""What sources deliver: landed rows, raw and quarantined plays, and the reference (titles, profiles, availability)."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.partition import Grain
from rec_platform.tables.spec import INSTANT, PROFILE_FIELD, TITLE_FIELD, TableSpec, field

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
            PROFILE_FIELD,
            TITLE_FIELD,
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
            TITLE_FIELD,
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
            PROFILE_FIELD,
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
            TITLE_FIELD,
            field(c.COUNTRY, pa.string(), "ISO 3166-1 alpha-2"),
            field(c.AVAILABLE_FROM, INSTANT, "first instant offered"),
            field(c.AVAILABLE_TO, INSTANT, "first instant no longer offered; null is open", nullable=True),
            field(c.KNOWN_AT, INSTANT, "from when the platform knew this"),
        ]
    ),
    order=(c.TITLE, c.COUNTRY, c.AVAILABLE_FROM, c.KNOWN_AT),
)
