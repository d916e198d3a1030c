"""Titles, profiles and availability as the platform came to know them: the stage `reference`.

Every row says from when it was known. A changed attribute in a later delivery is a further row; an unchanged one is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import Frozen, Settings
from rec_platform.engine import dialect
from rec_platform.engine.duckdb import connect
from rec_platform.errors import KeyRefused, SourceError
from rec_platform.partition import Partition
from rec_platform.plays.countries import country_codes
from rec_platform.plays.mapping import (
    AvailabilityMapping,
    CountryRule,
    IdColumn,
    ProfilesMapping,
    ReferenceKnownAt,
    SourceMapping,
    TextColumn,
    TitlesMapping,
    digest,
)
from rec_platform.plays.typed import CODES, Reading, availability_reading, profile_reading, title_reading
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import (
    AVAILABILITY,
    LANDING_AVAILABILITY,
    LANDING_PROFILES,
    LANDING_TITLES,
    PROFILES,
    TITLES,
    TableSpec,
)

#: The landing table of each section.
LANDED: Final = {"titles": LANDING_TITLES, "profiles": LANDING_PROFILES, "availability": LANDING_AVAILABILITY}
#: The file name that derived rows bear: no delivered file can, since a slash is not part of a file's name.
_DERIVED: Final = "plays/derived/"

_TITLE_VALUES: Final = {
    c.NAME: "title_name",
    c.GENRES: "genre_list",
    c.TAGS: "tag_list",
    c.RUNTIME_MS: "runtime",
    c.RELEASED_AT: dialect.instant("released"),
}
_PROFILE_VALUES: Final = {c.SIGNUP_AT: dialect.instant("signup"), c.HOME_COUNTRY: "home"}


@dataclass(frozen=True)
class Section:
    """How one landing table of reference rows is read.

    Attributes:
        spec: the table it becomes.
        reading: the typed values of a row.
        country: the country rule of the section, if it has one.
        key: what a row is about, as values; the newest row per key holds.
        values: the attributes, by column, whose change makes a further row.
        derived: the file name of the rows that count (None: of delivered files).
    """

    spec: TableSpec
    reading: Reading
    country: CountryRule | None
    key: Mapping[str, str]
    values: Mapping[str, str]
    derived: str | None = None


def sections(mapping: SourceMapping) -> dict[str, Section]:
    """The sections a source has rows for."""
    found = {"titles": _titles(mapping), "profiles": _profiles(mapping)}
    return found | ({"availability": _availability(mapping.availability)} if mapping.availability else {})


def derived_label(mapping: SourceMapping, section: str) -> str:
    """The file name of rows of a section derived from plays: it changes when what is derived does."""
    rule: Frozen = mapping.titles if section == "titles" else mapping.profiles
    id_rule = mapping.plays.title if section == "titles" else mapping.plays.profile
    return f"{_DERIVED}{digest(rule)}-{digest(id_rule)}"


def _titles(mapping: SourceMapping) -> Section:
    titles, label = mapping.titles, None
    if titles.from_plays:
        label = derived_label(mapping, "titles")
        titles = TitlesMapping(
            files=(label,), title=_derived_id(mapping.plays.title), known_at=_DERIVED_KNOWN, name=_DERIVED_NAME
        )
    return Section(TITLES, title_reading(titles), None, {c.TITLE: "id"}, _TITLE_VALUES, label)


def _profiles(mapping: SourceMapping) -> Section:
    profiles, label = mapping.profiles, None
    if profiles.from_plays:
        label = derived_label(mapping, "profiles")
        profiles = ProfilesMapping(files=(label,), profile=_derived_id(mapping.plays.profile), known_at=_DERIVED_KNOWN)
    return Section(
        PROFILES, profile_reading(profiles), profiles.country, {c.PROFILE: "id"}, _PROFILE_VALUES, label
    )  # fmt: skip


_DERIVED_KNOWN: Final = ReferenceKnownAt(rule="column", column="known_at")
_DERIVED_NAME: Final = TextColumn(column="name")


def _derived_id(rule: IdColumn) -> IdColumn:
    return IdColumn(column="id", kind=rule.kind)


def _availability(offers: AvailabilityMapping) -> Section:
    key = {c.TITLE: "id", c.COUNTRY: "place", c.AVAILABLE_FROM: dialect.instant("opens")}
    values = {c.AVAILABLE_TO: dialect.instant("closes")}
    return Section(AVAILABILITY, availability_reading(offers), offers.country, key, values)


@dataclass(frozen=True)
class Read:
    """Reference rows read: the table, how many rows were left out, and the first of them, said in words."""

    rows: pa.Table
    delivered: int
    unreadable: int
    examples: tuple[str, ...]


def read_section(landed: pa.Table, section: Section) -> Read:
    """The reference table of a section's landed rows.

    Of rows about the same thing known at the same instant the last delivered holds. Rows that cannot be read are left out
    and counted.

    Raises:
        SourceError: two source ids share a 63-bit hash.
    """
    name = pc.field(c.FILE_NAME)
    own = name == section.derived if section.derived else ~pc.starts_with(name, _DERIVED)
    landed = landed.filter(own)
    connection = connect()
    connection.register("landed", landed)
    connection.register(CODES, country_codes(section.country or CountryRule(constant="ZZ")))
    connection.execute(
        f"CREATE TEMP TABLE judged_rows AS {section.reading.statement('landed', 'SELECT * FROM judged')}",
        section.reading.params,
    )
    _refuse_collisions(connection, section.spec)
    rows = connection.sql(_history(section)).to_arrow_table().cast(section.spec.schema)
    bad = connection.execute(
        """SELECT file_name, line, coalesce(unreadable, impossible) FROM judged_rows
           WHERE unreadable IS NOT NULL OR impossible IS NOT NULL ORDER BY delivered_at, file_hash, line"""
    ).fetchall()
    examples = tuple(f"{file}, row {line}: {fault}" for file, line, fault in bad[:5])
    return Read(rows, landed.num_rows, len(bad), examples)


def _history(section: Section) -> str:
    """Rows where something changed, per key in the order they became known."""
    columns = {**section.key, **section.values, c.KNOWN_AT: dialect.instant("known"), c.SOURCE_ID: "id_source"}
    named = ", ".join(f"{columns[name]} AS {name}" for name in section.spec.schema.names)
    key = ", ".join(section.key)
    state = ", ".join(section.values)
    return f"""
        WITH named AS (SELECT {named}, delivered_at AS d, file_hash AS f, line AS l FROM judged_rows
                       WHERE unreadable IS NULL AND impossible IS NULL),
        settled AS (SELECT * FROM named QUALIFY row_number() OVER (
            PARTITION BY {key}, known_at ORDER BY d DESC, f DESC, l DESC) = 1),
        changed AS (SELECT * FROM settled QUALIFY lag(row({state})) OVER (
            PARTITION BY {key} ORDER BY known_at) IS DISTINCT FROM row({state}))
        SELECT {", ".join(section.spec.schema.names)} FROM changed ORDER BY {", ".join(section.spec.order)}"""


def _refuse_collisions(connection: Any, spec: TableSpec) -> None:
    found = connection.execute(
        """SELECT min(id_source), max(id_source) FROM judged_rows WHERE id IS NOT NULL
           GROUP BY id HAVING count(DISTINCT id_source) > 1 ORDER BY id LIMIT 1"""
    ).fetchone()
    if found is not None:
        raise SourceError(
            f"the ids {found[0]!r} and {found[1]!r} have the same 63-bit hash",
            place=f"table {spec.name}",
            repair="Have the source rename one of them; nothing of this table was published.",
        )


@dataclass(frozen=True)
class Reference(Stage):
    """The stage of titles, profiles and availability."""

    mapping: SourceMapping

    name: ClassVar[str] = "reference"
    about: ClassVar[str] = (
        "Titles, profiles and where titles are offered, each row with the instant from which it was known."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (TITLES, PROFILES, AVAILABILITY)
    code_version: ClassVar[int] = 1

    def config(self, settings: Settings) -> dict[str, Any]:
        layout = {"files", "delimiter", "header", "columns"}
        parts = {"titles": self.mapping.titles, "profiles": self.mapping.profiles} | (
            {"availability": self.mapping.availability} if self.mapping.availability else {}
        )
        ids = {"title": self.mapping.plays.title, "profile": self.mapping.plays.profile}
        return {name: part.model_dump(mode="json", exclude=layout) for name, part in (parts | ids).items()}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        return tuple(Input(LANDED[name].name, optional=True) for name in sections(self.mapping))

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        for partition in partitions:
            tables = {spec.name: spec.schema.empty_table() for spec in self.tables}
            extra: dict[str, Any] = {}
            for name, section in sections(self.mapping).items():
                landed = LANDED[name].name
                read = read_section(reader.read(landed, reader.published(landed)), section)
                tables[section.spec.name] = read.rows
                extra[name] = {"delivered": read.delivered, "unreadable": read.unreadable, "rows": read.rows.num_rows}
            yield Built(partition, tables, extra)


def as_known(table: pa.Table, key: str | Sequence[str], at: int) -> pa.Table:
    """The newest row per key that was known strictly before the instant `at`, in the table's order.

    Args:
        table: rows of `titles`, `profiles` or `availability`, in the table's own order.
        key: the column (or columns) a row is about, leading in that order.
        at: microseconds since 1970.
    """
    keys = [key] if isinstance(key, str) else list(key)
    known = table.filter(pc.less(table.column(c.KNOWN_AT), pa.scalar(at, table.schema.field(c.KNOWN_AT).type)))
    if known.num_rows < 2:
        return known
    last = np.zeros(known.num_rows, dtype=bool)
    last[-1] = True
    for name in keys:
        column = known.column(name).combine_chunks()
        last[:-1] |= pc.not_equal(column[:-1], column[1:]).to_numpy(zero_copy_only=False)
    return known.filter(pa.array(last))


#: How many ids an error names, and how much of each.
_EXAMPLES: Final = 5
_LONGEST: Final = 40


def resolve_id(table: pa.Table, key: str, text: str) -> int:
    """The id of a source's id, or of an id itself, in `titles` or `profiles`.

    Raises:
        KeyRefused: neither a source id nor an id of the table; names a few that are.
    """
    text = text.strip()
    found = table.filter(pc.equal(table.column(c.SOURCE_ID), text)).column(key)
    if not len(found) and text.removesuffix(".0").lstrip("-").isdigit() and len(text) < 22:
        number = int(text.removesuffix(".0"))
        if -(2**63) <= number < 2**63:
            found = table.filter(pc.equal(table.column(key), number)).column(key)
    if len(found):
        return int(found[0].as_py())
    every = list(dict.fromkeys(table.column(c.SOURCE_ID).to_pylist()))
    some = (
        ", ".join(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..." for one in every[:_EXAMPLES]) or "none at all"
    )
    raise KeyRefused(f"there is no {key} {text!r}", place=key, repair=f"Of {len(every):,} known ones some are: {some}.")


def source_ids(table: pa.Table, key: str) -> dict[int, str]:
    """The source's id of every id of `titles` or `profiles`."""
    return dict(zip(table.column(key).to_pylist(), table.column(c.SOURCE_ID).to_pylist(), strict=True))
