"""How a source's files become plays, titles, profiles and availability: the mapping file, as frozen models.

docs/mapping.md explains every key with an example. A mapping is data: it names columns and chooses among rules; nothing
in it is ever executed or pasted into a query.

    source.py     a whole mapping, read from its file
    sections.py   its sections: plays, titles, profiles, availability
    columns.py    what it says of a column
"""

from __future__ import annotations

from rec_platform.plays.mapping.columns import (
    CountryRule,
    EventRule,
    IdColumn,
    KnownAt,
    Length,
    ListColumns,
    Moment,
    PlayIdRule,
    ReferenceKnownAt,
    TextColumn,
)
from rec_platform.plays.mapping.sections import (
    DUPLICATE,
    FAULT_KEY,
    IMPOSSIBLE,
    LINE_KEY,
    MISSING_ID,
    STANDING_RULES,
    UNREADABLE,
    AvailabilityMapping,
    Filter,
    Layout,
    PlaysMapping,
    ProfilesMapping,
    TitlesMapping,
)
from rec_platform.plays.mapping.source import (
    SourceMapping,
    SourceName,
    digest,
    load_mapping,
    parse_mapping,
)

__all__ = [
    "DUPLICATE",
    "FAULT_KEY",
    "IMPOSSIBLE",
    "LINE_KEY",
    "MISSING_ID",
    "STANDING_RULES",
    "UNREADABLE",
    "AvailabilityMapping",
    "CountryRule",
    "EventRule",
    "Filter",
    "IdColumn",
    "KnownAt",
    "Layout",
    "Length",
    "ListColumns",
    "Moment",
    "PlayIdRule",
    "PlaysMapping",
    "ProfilesMapping",
    "ReferenceKnownAt",
    "SourceMapping",
    "SourceName",
    "TextColumn",
    "TitlesMapping",
    "digest",
    "load_mapping",
    "parse_mapping",
]
