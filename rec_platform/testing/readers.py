"""A reader over tables held in memory: what a stage reads in a test or a notebook, without a lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.partition import UNREADABLE_COUNTRY, Grain, Partition
from rec_platform.stage import Earlier, Stage
from rec_platform.tables import TableSpec
from rec_platform.tables import table as table_of


class MemoryReader:
    """Implements `rec_platform.stage.Reader` over `tables`: table name -> partition -> rows in the table's own order.

    A partition in the mapping is published (with 0 rows too); one that is not there never was, and reading it raises
    `MissingInput`. Countries and days delivered are those of all date x country partitions given, unless named.

    Args:
        countries: every country delivered; None derives it from the partitions.
        folder: where `files` may write Parquet; without it `files` raises `KeyRefused`.

    >>> no_plays = table_of("play_facts").schema.empty_table()
    >>> reader = MemoryReader({"play_facts": {Partition(date(2025, 1, 1), "FR"): no_plays}})
    >>> reader.countries, reader.read("play_facts", reader.published("play_facts")).num_rows
    (('FR',), 0)
    """

    def __init__(
        self,
        tables: Mapping[str, Mapping[Partition, pa.Table]],
        *,
        countries: Sequence[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.tables = {name: dict(partitions) for name, partitions in tables.items()}
        self._countries = None if countries is None else tuple(sorted(countries))
        self._folder = folder
        #: What a stage said it was doing.
        self.told: list[str] = []

    @property
    def countries(self) -> tuple[str, ...]:
        if self._countries is not None:
            return self._countries
        return tuple(sorted({partition.place for partition in self._delivered()} - {UNREADABLE_COUNTRY}))

    @property
    def first_day(self) -> date:
        return min(self._days())

    @property
    def last_day(self) -> date:
        return max(self._days())

    def add(self, name: str, partition: Partition, rows: pa.Table) -> None:
        """Publish a partition, in the place of an older one."""
        self.tables.setdefault(name, {})[partition] = rows

    def earlier(self, stage: Stage, day: date) -> Earlier:
        """What `stage` published of a date, taken to be current, as `Stage.build_on` is given it."""
        rows = {spec.name: self.read(spec.name, self.published(spec.name, day)) for spec in stage.tables}
        dated = [name for name in self.tables if c.KNOWN_DATE in table_of(name).schema.names]
        return Earlier(day, rows, {name: self._news(name, day) for name in dated})

    def _news(self, table: str, day: date) -> pa.Table:
        rows = self.read(table, [partition for partition in self.published(table) if partition.day < day])
        return rows.filter(pc.greater_equal(rows.column(c.KNOWN_DATE), pa.scalar(day)))

    def published(self, table: str, day: date | None = None) -> list[Partition]:
        return sorted(
            (partition for partition in self.tables.get(table, {}) if day is None or partition.date == day),
            key=_place_in_order,
        )

    def rows(self, table: str, partitions: Iterable[Partition]) -> int:
        return sum(self._rows(table, partition).num_rows for partition in partitions)

    def tell(self, what: str) -> None:
        self.told.append(what)

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        """Paths of the partitions' rows, written as Parquet into `folder` now; empty partitions have none."""
        if self._folder is None:
            raise KeyRefused("this reader has no folder", place="MemoryReader.files", repair="Give it folder=.")
        written = []
        for partition in partitions:
            rows = self._rows(table, partition)
            if rows.num_rows:
                path = self._folder / f"{table}-{partition.key.replace('|', '-')}.parquet"
                pq.write_table(rows, path)
                written.append(str(path))
        return written

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        spec = table_of(table)
        parts = [_with_partition(self._rows(table, partition), spec, partition) for partition in partitions]
        empty = _with_partition(spec.schema.empty_table(), spec, Partition(date(2025, 1, 1), UNREADABLE_COUNTRY))
        whole = pa.concat_tables(parts) if parts else empty
        return whole if columns is None else whole.select(list(columns))

    def _rows(self, name: str, partition: Partition) -> pa.Table:
        rows = self.tables.get(name, {}).get(partition)
        if rows is None:
            there = ", ".join(key.key for key in self.published(name)) or "none"
            raise MissingInput(
                f"{name} has no partition {partition.key}", place="MemoryReader", repair=f"Published: {there}."
            )
        return rows

    def _delivered(self) -> list[Partition]:
        keys = [key for partitions in self.tables.values() for key in partitions]
        return [key for key in keys if key.grain is Grain.DATE_COUNTRY]

    def _days(self) -> list[date]:
        days = [key.day for key in self._delivered()]
        if not days:
            raise MissingInput("nothing was delivered", place="MemoryReader", repair="Give it a date x country table.")
        return days


def _place_in_order(partition: Partition) -> tuple[date, str]:
    return partition.date or date.min, partition.country or ""


def _with_partition(rows: pa.Table, spec: TableSpec, partition: Partition) -> pa.Table:
    if spec.grain is not Grain.NONE:
        days = pa.array([partition.date], pa.date32()).take(pa.array([0] * rows.num_rows, pa.int64()))
        rows = rows.append_column(c.DATE, days)
    if spec.grain is Grain.DATE_COUNTRY:
        rows = rows.append_column(c.COUNTRY, pa.repeat(pa.scalar(partition.country, pa.string()), rows.num_rows))
    return rows
