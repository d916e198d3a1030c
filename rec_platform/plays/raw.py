"""From landed rows to valid plays: which rows are refused, by which rule, and the stage that publishes both.

For every partition: landed rows = accepted + duplicates + quarantined. The first rule a row breaks wins, in the order
unreadable, impossible, duplicate, missing_id, then the mapping's filters. Ingest counts with the same function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.engine import dialect
from rec_platform.engine.duckdb import connect
from rec_platform.errors import ConfigError, SourceError
from rec_platform.partition import UNREADABLE_COUNTRY, Partition
from rec_platform.plays.conditions import columns_of
from rec_platform.plays.countries import country_codes
from rec_platform.plays.counts import Counts
from rec_platform.plays.mapping import DUPLICATE, IMPOSSIBLE, MISSING_ID, UNREADABLE, PlaysMapping, SourceMapping
from rec_platform.plays.typed import CODES, EARLIEST, LATEST, Reading, play_reading
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import LANDING, QUARANTINED_PLAYS, RAW_PLAYS, TableSpec

#: Landed rows classified in one go: partitions are many and small, so they share a query.
_GROUP_ROWS: Final = 400_000

_SOUND: Final = "(unreadable IS NULL AND impossible IS NULL)"
_PLAYS: Final = f"""
    SELECT play AS {c.PLAY_ID}, event AS {c.EVENT}, profile AS {c.PROFILE}, title AS {c.TITLE},
        {dialect.instant("played")} AS {c.PLAYED_AT}, {dialect.instant("known")} AS {c.KNOWN_AT},
        watched AS {c.WATCHED_MS}, runtime AS {c.RUNTIME_MS}, engaged AS {c.ENGAGED}, session AS {c.SESSION_ID},
        device AS {c.DEVICE}, request AS {c.REQUEST_ID}, surface AS {c.SURFACE}, CAST(row_on_page AS INTEGER) AS {c.ROW},
        CAST(position_in_row AS INTEGER) AS {c.POSITION}, chance AS {c.PROPENSITY}, date, country
    FROM judged_plays WHERE rule IS NULL
    ORDER BY date, country, played, profile, title, play"""
_QUARANTINED: Final = f"""
    SELECT {", ".join(LANDING.schema.names)}, rule, coalesce(detail, '') AS detail, date, country
    FROM judged_plays WHERE rule <> '{DUPLICATE}'
    ORDER BY date, country, delivered_at, file_hash, line"""
_FIRSTS: Final = """
    SELECT file_hash, line, delivered_at, delivered, known, profile_source, title_source
    FROM judged_plays WHERE rule IS NULL"""


@dataclass(frozen=True)
class Classified:
    """Landed rows, judged.

    Attributes:
        plays: accepted rows: the columns of `raw_plays`, then `date` and `country`, in partition and table order.
        quarantined: refused rows, likewise; duplicates are counted, not kept (they stand in the landing table).
        counts: per partition and hash of the delivered file.
        firsts: what titles and profiles are derived from: per accepted row its ids, their texts, `known` (microseconds)
            and the delivered row, in no order; 0 rows unless asked for.
    """

    plays: pa.Table
    quarantined: pa.Table
    counts: dict[tuple[Partition, str], Counts]
    firsts: pa.Table

    def of_partitions(self) -> dict[Partition, Counts]:
        """Counts per partition."""
        whole: dict[Partition, Counts] = {}
        for (partition, _), counts in self.counts.items():
            whole[partition] = whole.get(partition, Counts()) + counts
        return whole


def classify(landed: pa.Table, plays: PlaysMapping, *, firsts: bool = False) -> Classified:
    """Judge whole partitions of landed rows (the columns of `landing`, then `date` and `country`; any row order).

    Args:
        firsts: also give what titles and profiles are derived from.

    Raises:
        ConfigError: a row's date or country, by this mapping, is not that of the partition it stands in.
        SourceError: two plays of a partition have different identities but the same 63-bit hash.
    """
    reading = play_reading(plays)
    connection = connect()
    connection.register("landed", landed)
    connection.register(CODES, country_codes(plays.country))
    statement = _judged(reading, plays)
    connection.execute(f"CREATE TEMP TABLE judged_plays AS {statement}", reading.params)
    _refuse_misplaced(connection)
    _refuse_equal_hashes(connection)
    return Classified(
        plays=connection.sql(_PLAYS).to_arrow_table().cast(_with_partition(RAW_PLAYS)),
        quarantined=connection.sql(_QUARANTINED).to_arrow_table().cast(_with_partition(QUARANTINED_PLAYS)),
        counts=_counts(connection, plays),
        firsts=connection.sql(_FIRSTS if firsts else f"{_FIRSTS} LIMIT 0").to_arrow_table(),
    )


def landing_place(reading: Reading, source: str) -> str:
    """SELECT of the rows of `source` with `land_date` (null where it cannot be read) and `land_country`.

    Rows whose date cannot be read, or cannot be, go under the delivery day and `__`; without a country, under `__`.
    """
    dated = f"coalesce(played BETWEEN {EARLIEST} AND {LATEST}, false)"
    country = f"CASE WHEN {dated} THEN coalesce(place, '{UNREADABLE_COUNTRY}') ELSE '{UNREADABLE_COUNTRY}' END"
    day = f"CASE WHEN {dated} THEN {dialect.day('played')} END"
    return reading.statement(source, f"SELECT *, {day} AS land_date, {country} AS land_country FROM judged")


def _judged(reading: Reading, plays: PlaysMapping) -> str:
    """Every landed row with its values, the copy it is among equal rows, the rule it broke and what broke it."""
    return reading.statement(
        "landed",
        f"""SELECT *, CASE {_rules(reading, plays)} END AS rule, CASE {_details(reading, plays)} END AS detail
            FROM (
                SELECT *, CASE WHEN {_SOUND} THEN row_number() OVER (
                    PARTITION BY date, country, {_SOUND}, identity ORDER BY known, delivered_at, file_hash, line
                ) ELSE 1 END AS copy
                FROM judged
            )""",
    )


def _broken(plays: PlaysMapping) -> list[tuple[str, str]]:
    """Each rule with the condition that a row broke it, in the order of the rules."""
    standing = [
        (UNREADABLE, "unreadable IS NOT NULL"),
        (IMPOSSIBLE, "impossible IS NOT NULL"),
        (DUPLICATE, "copy > 1"),
        (MISSING_ID, "NOT has_ids"),
    ]
    return standing + [(rule.name, f"NOT keeps_{place}") for place, rule in enumerate(plays.filters)]


def _rules(reading: Reading, plays: PlaysMapping) -> str:
    return " ".join(f"WHEN {condition} THEN {reading.bind(rule)}" for rule, condition in _broken(plays))


def _details(reading: Reading, plays: PlaysMapping) -> str:
    ids = [plays.profile.column, plays.title.column, *(plays.play_id.columns if plays.play_id else ())]
    shown = [ids, *(columns_of(rule.condition) for rule in plays.filters)]
    texts = ["unreadable", "impossible", "''", *(_shown(reading, names) for names in shown)]
    return " ".join(f"WHEN {condition} THEN {text}" for (_, condition), text in zip(_broken(plays), texts, strict=True))


def _shown(reading: Reading, names: Sequence[str]) -> str:
    """`column: text, column: text` of a row."""
    return " || ', ' || ".join(
        f"{reading.bind(name + ': ')} || coalesce(left({reading.text(name)}, 200), '(empty)')"
        for name in dict.fromkeys(names)
    )


def _refuse_misplaced(connection: Any) -> None:
    found = connection.execute(
        f"""SELECT date, country, {dialect.day("played")}, place, file_name, line FROM judged_plays
            WHERE {_SOUND} AND ({dialect.day("played")} <> date OR place <> country)
            ORDER BY date, country, file_name, line LIMIT 1"""
    ).fetchone()
    if found is not None:
        raise ConfigError(
            f"the mapping now reads {found[3]}|{found[2]} from a row that landed under {found[1]}|{found[0]}",
            place=f"{found[4]}, row {found[5]}",
            repair="Rules for played_at and country cannot change once rows have landed: use another home.",
        )


def _refuse_equal_hashes(connection: Any) -> None:
    found = connection.execute(
        """SELECT date, country, play FROM judged_plays WHERE rule IS NULL
           GROUP BY date, country, play HAVING count(*) > 1 ORDER BY ALL LIMIT 1"""
    ).fetchone()
    if found is not None:
        raise SourceError(
            f"two different plays have the id {found[2]}", place=f"{found[1]}|{found[0]}",
            repair="Map play_id to columns that tell plays apart.",
        )  # fmt: skip


def _counts(connection: Any, plays: PlaysMapping) -> dict[tuple[Partition, str], Counts]:
    broken = _broken(plays)
    first = ", ".join(f"count(*) FILTER (rule = '{rule}')" for rule, _ in broken)
    readable = f"AND {_SOUND}"
    hits = ", ".join(
        f"count(*) FILTER ({condition} {'' if rule in (UNREADABLE, IMPOSSIBLE) else readable})"
        for rule, condition in broken
    )
    rows = connection.execute(
        f"""SELECT date, country, file_hash, count(*), count(*) FILTER (rule IS NULL),
                count(*) FILTER (rule IS NULL AND told < ended), {first}, {hits}
            FROM judged_plays GROUP BY date, country, file_hash ORDER BY date, country, file_hash"""
    ).fetchall()
    names = [rule for rule, _ in broken]
    return {(Partition(row[0], row[1]), row[2]): _counted(names, row[3:]) for row in rows}


def _counted(names: Sequence[str], row: Sequence[int]) -> Counts:
    delivered, accepted, raised = row[:3]
    first = dict(zip(names, row[3 : 3 + len(names)], strict=True))
    hits = dict(zip(names, row[3 + len(names) :], strict=True))
    duplicates = first.pop(DUPLICATE)
    return Counts(delivered, accepted, duplicates, first, hits, raised)


def _with_partition(spec: TableSpec) -> pa.Schema:
    keys = [pa.field(c.DATE, pa.date32(), nullable=False), pa.field(c.COUNTRY, pa.string(), nullable=False)]
    return pa.schema([*spec.schema, *keys])


def split_by_partition(rows: pa.Table) -> dict[Partition, pa.Table]:
    """Rows in partition order, cut into partitions without their `date` and `country` columns."""
    if not rows.num_rows:
        return {}
    days = rows.column(c.DATE).cast(pa.int32()).to_numpy()
    countries = pc.dictionary_encode(rows.column(c.COUNTRY).combine_chunks())
    codes = _codes(countries)
    cuts = np.flatnonzero((np.diff(days) != 0) | (np.diff(codes) != 0)) + 1
    starts = [0, *cuts.tolist(), rows.num_rows]
    inside = rows.drop_columns([c.DATE, c.COUNTRY])
    return {
        Partition(rows.column(c.DATE)[start].as_py(), rows.column(c.COUNTRY)[start].as_py()): inside.slice(
            start, end - start
        )
        for start, end in pairwise(starts)
    }


def _codes(column: Any) -> Any:
    chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return chunk.indices.to_numpy()


@dataclass(frozen=True)
class RawPlays(Stage):
    """The stage of valid plays and quarantined rows."""

    mapping: SourceMapping

    name: ClassVar[str] = "raw_plays"
    about: ClassVar[str] = (
        "Valid plays, typed by the source's mapping, and the rows it refused with the rule each broke. "
        "Landed rows = accepted + duplicates + quarantined, partition by partition."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (RAW_PLAYS, QUARANTINED_PLAYS)
    code_version: ClassVar[int] = 1

    def config(self, settings: Settings) -> dict[str, Any]:
        return {
            "plays": self.mapping.plays.model_dump(mode="json", exclude={"files", "delimiter", "header", "columns"})
        }

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        return (Input(LANDING.name, partition.day, partition.day, countries=(partition.place,)),)

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        for group, landed in _groups(partitions, reader):
            judged = classify(landed, self.mapping.plays)
            plays, refused = split_by_partition(judged.plays), split_by_partition(judged.quarantined)
            counts = judged.of_partitions()
            for partition in group:
                yield _built(partition, plays.get(partition), refused.get(partition), counts.get(partition, Counts()))


def _built(partition: Partition, plays: pa.Table | None, refused: pa.Table | None, counts: Counts) -> Built:
    accepted = RAW_PLAYS.schema.empty_table() if plays is None else plays
    quarantined = QUARANTINED_PLAYS.schema.empty_table() if refused is None else refused
    found = Counts(counts.delivered, accepted.num_rows, counts.duplicates, {"": quarantined.num_rows})
    found.balanced(place=partition.key)
    tables = {RAW_PLAYS.name: accepted, QUARANTINED_PLAYS.name: quarantined}
    return Built(partition, tables, extra=counts.balanced(place=partition.key).to_json())


def _groups(partitions: Sequence[Partition], reader: Reader) -> Iterator[tuple[list[Partition], pa.Table]]:
    """Partitions with their landed rows: whole days, as many together as they are small."""
    group: list[Partition] = []
    parts: list[pa.Table] = []
    for _, day in groupby(partitions, key=lambda partition: partition.day):
        wanted = list(day)
        group += wanted
        parts.append(reader.read(LANDING.name, wanted))
        if sum(part.num_rows for part in parts) >= _GROUP_ROWS:
            yield group, pa.concat_tables(parts)
            group, parts = [], []
    if group:
        yield group, pa.concat_tables(parts)
