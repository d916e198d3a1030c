"""Facts: plays with their engagement, tiles of one date, and what snapshots roll them into."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.partition import Grain
from rec_platform.tables.spec import INSTANT, PROFILE_FIELD, TITLE_FIELD, TableSpec, field
from rec_platform.wording import counted

#: The rolling windows of the snapshot tables, in days. The last is the longest.
WINDOWS: Final = (1, 7, 28, 90)

PLAY_FACTS: Final = TableSpec(
    "play_facts",
    stage="facts",
    grain=Grain.DATE_COUNTRY,
    one_row="a play with its engagement",
    schema=pa.schema(
        [
            field(c.PLAY_ID, pa.int64(), "as in raw_plays"),
            PROFILE_FIELD,
            TITLE_FIELD,
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
    schema=pa.schema([_KNOWN_DATE, TITLE_FIELD, *_TILE_FACTS]),
    order=(c.KNOWN_DATE, c.TITLE),
)

PROFILE_TILES: Final = TableSpec(
    "profile_tiles",
    stage="facts",
    grain=Grain.DATE_COUNTRY,
    one_row="a profile's plays of one date and country, by the date they became known",
    schema=pa.schema([_KNOWN_DATE, PROFILE_FIELD, *_TILE_FACTS]),
    order=(c.KNOWN_DATE, c.PROFILE),
)


def _window_fields(scope: str = "") -> list[pa.Field]:
    where = "in this country" if scope else "in all countries"
    units = {c.PLAYS: "plays", c.WATCHED_MS: "milliseconds watched", c.ENGAGED_PLAYS: "engaged plays"}
    return [
        field(c.windowed(measure, days, scope), pa.int64(), f"{unit} over the last {counted(days, 'day')}, {where}")
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
            PROFILE_FIELD,
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
    schema=pa.schema([TITLE_FIELD, *_window_fields("country"), *_window_fields(), _LAST]),
    order=(c.TITLE,),
)
