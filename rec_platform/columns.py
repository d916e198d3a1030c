"""Every column name, once. Import from here; never write a column's name as text elsewhere.

Our words (design, section 2) stand on the left. DMC-12 keeps the field's own names for two of them; `DMC12_NAMES`
is the one place where they meet.
"""

from __future__ import annotations

from typing import Final

# who, what, where, when
PROFILE: Final = "profile_id"
TITLE: Final = "title_id"
COUNTRY: Final = "country"
DATE: Final = "date"
PLAYED_AT: Final = "played_at"
KNOWN_AT: Final = "known_at"
KNOWN_DATE: Final = "known_date"

# a play
PLAY_ID: Final = "play_id"
EVENT: Final = "event"
WATCHED_MS: Final = "watched_ms"
RUNTIME_MS: Final = "runtime_ms"
ENGAGED: Final = "engaged"
SESSION_ID: Final = "session_id"
DEVICE: Final = "device"
REQUEST_ID: Final = "request_id"
SURFACE: Final = "surface"
ROW: Final = "row"
POSITION: Final = "position"
PROPENSITY: Final = "propensity"

# a delivered row
FILE_HASH: Final = "file_hash"
FILE_NAME: Final = "file_name"
LINE: Final = "line"
DELIVERED_AT: Final = "delivered_at"
DELIVERED: Final = "delivered"
RULE: Final = "rule"
DETAIL: Final = "detail"

# reference
SOURCE_ID: Final = "source_id"
NAME: Final = "name"
GENRES: Final = "genres"
TAGS: Final = "tags"
RELEASED_AT: Final = "released_at"
SIGNUP_AT: Final = "signup_at"
HOME_COUNTRY: Final = "home_country"
AVAILABLE_FROM: Final = "available_from"
AVAILABLE_TO: Final = "available_to"

# tiles and snapshots
PLAYS: Final = "plays"
ENGAGED_PLAYS: Final = "engaged_plays"
LAST_PLAYED_AT: Final = "last_played_at"
COUNTRY_PLAYS: Final = "country_plays"

# contexts and items
CONTEXT_ID: Final = "context_id"
AT: Final = "at"
STRATUM: Final = "stratum"
TENURE_BAND: Final = "tenure_band"
ACTIVITY_BAND: Final = "activity_band"
TENURE_DAYS: Final = "tenure_days"
INCLUSION_PROBABILITY: Final = "inclusion_probability"
KNOWN_BY: Final = "known_by"
NEWEST_PLAYED_AT: Final = "newest_played_at"
NEWEST_KNOWN_AT: Final = "newest_known_at"
ITEMS: Final = "items"
LABEL: Final = "label"
WEIGHT: Final = "weight"
ITEM_INCLUSION_PROBABILITY: Final = "item_inclusion_probability"
FEATURES: Final = "features"
SCORES: Final = "scores"
N_CANDIDATES: Final = "n_candidates"
N_ABOVE: Final = "n_above"
N_EQUAL: Final = "n_equal"
REACHABLE: Final = "reachable"

# metrics
METRIC: Final = "metric"
MODEL: Final = "model"
CUTOFF: Final = "k"
SLICE: Final = "slice"
SLICE_VALUE: Final = "slice_value"
VALUE: Final = "value"
LOW: Final = "low"
HIGH: Final = "high"
DETECTABLE: Final = "detectable"
N: Final = "n"
N_EXCLUDED: Final = "n_excluded"
N_UNREACHABLE: Final = "n_unreachable"

# recommendations
RANK: Final = "rank"
SCORE: Final = "score"
REASONS: Final = "reasons"

#: Our name -> the name in DMC-12, the standard format between stages (design, section 3).
DMC12_NAMES: Final = {TITLE: "show_title_id", COUNTRY: "country_iso_code"}


def windowed(measure: str, days: int, scope: str = "") -> str:
    """The snapshot column of a measure over the last `days` days.

    >>> windowed("plays", 28)
    'plays_28d'
    >>> windowed("plays", 7, scope="country")
    'country_plays_7d'
    """
    return f"{scope}_{measure}_{days}d" if scope else f"{measure}_{days}d"
