"""What a stage is: the contract between the flow and the code that makes a table.

A stage is given partitions and a `Reader` bound to fixed table versions; it yields what it built, partition by partition.
It never writes, never decides what is stale, never asks for "the latest": that is the flow's work, done once for all stages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from rec_platform.config import Settings
from rec_platform.partition import Partition
from rec_platform.tables import TableSpec


@dataclass(frozen=True)
class Input:
    """Input partitions of one table that a partition reads.

    Attributes:
        table: the table's name.
        first, last: the days read, both included; both None for a table that is not partitioned.
        countries: the countries read; None for a table without the dimension, or with `every_country`.
        every_country: read all countries the platform has delivered.
        cut: only rows with `known_at` before 00:00 UTC of this day are read. The fingerprint covers just these, so a
            late play changes nothing that could not have known of it.
        optional: days of the range that nobody published are simply not there (a look-back over the first days, models
            of days before the first); without it they are an error.
    """

    table: str
    first: date | None = None
    last: date | None = None
    countries: tuple[str, ...] | None = None
    every_country: bool = False
    cut: date | None = None
    optional: bool = False


@dataclass(frozen=True)
class Built:
    """One partition, built: its rows per table, sorted in the table's order, and facts worth showing.

    `extra` is JSON: counts for the manifest and the UI (duplicates, what was dropped and why, versions of models used).
    `cpu_seconds` is what parts of the work took that somebody asks about, by name (certificates): of the manifest and the UI
    only, never of a hash.
    `lacks` are parts that could not be made (a ranker, its scores), by name, with what was raised: the rows are without
    them. They are published, but the partition is not current: the next run builds it again.
    """

    partition: Partition
    tables: Mapping[str, pa.Table]
    extra: Mapping[str, Any] = field(default_factory=dict)
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Earlier:
    """What a stage published of an earlier date, all countries, and found to be what building it now would give.

    Attributes:
        day: the date.
        rows: per table of the stage the rows of all countries, as `Reader.read` gives them.
        news: per input table with a `known_date`: the rows of dates before `day` that became known on it or later.
    """

    day: date
    rows: Mapping[str, pa.Table]
    news: Mapping[str, pa.Table]


@dataclass(frozen=True)
class Standing:
    """What a stage published of a partition, found to be made from the very inputs, seed and code version that building it now
    would use: what makes it stale is the configuration alone.

    Attributes:
        config: what `Stage.config` gave when it was made.
        rows: per table of the stage its rows.
    """

    config: Mapping[str, Any]
    rows: Mapping[str, pa.Table]


def silent(what: str) -> None:
    """What `Reader.tell` does where nobody listens."""


class Reader(Protocol):
    """Reads published partitions at the versions the run fixed at its start."""

    @property
    def countries(self) -> tuple[str, ...]:
        """Every country the platform has delivered, sorted."""

    @property
    def first_day(self) -> date:
        """The first day that was delivered."""

    @property
    def last_day(self) -> date:
        """The last day that was delivered; the days from the first to it are complete."""

    def published(self, table: str, day: date | None = None) -> list[Partition]:
        """The partitions of a table that have a state (empty ones too), of one day if given, sorted."""

    def rows(self, table: str, partitions: Iterable[Partition]) -> int:
        """How many rows these partitions hold, without reading them."""

    def tell(self, what: str) -> None:
        """Say what is being done, where that takes long before the next partition is ready. Changes nothing."""

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        """Paths of the Parquet files of these partitions, in partition order; an empty partition has none."""

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of these partitions in partition order, with `date` (date32) and `country` (string) columns appended
        where the table has those dimensions and `columns` is None or names them. Rows inside a partition stand in the
        table's own order. No partitions, or only empty ones: a table of 0 rows with the declared schema.
        """


@dataclass(frozen=True)
class Retold:
    """A `Reader` that tells what another does; what is built on it says what it tells otherwise."""

    reader: Reader

    @property
    def countries(self) -> tuple[str, ...]:
        return self.reader.countries

    @property
    def first_day(self) -> date:
        return self.reader.first_day

    @property
    def last_day(self) -> date:
        return self.reader.last_day

    def published(self, table: str, day: date | None = None) -> list[Partition]:
        return self.reader.published(table, day)

    def rows(self, table: str, partitions: Iterable[Partition]) -> int:
        return self.reader.rows(table, partitions)

    def tell(self, what: str) -> None:
        self.reader.tell(what)

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        return self.reader.files(table, partitions)

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        return self.reader.read(table, partitions, columns)


class Stage(ABC):
    """A stage of the flow.

    Class attributes:
        name: the asset's name.
        about: one or two sentences for the UI and the docs.
        tables: the tables it publishes; all have the same grain.
        code_version: an integer raised whenever the same inputs would give other rows.
        rebuilds: whether `rebuild` can keep some of what stands.
        has_parts: whether a partition can be built without some of it (`Built.lacks`).
    """

    name: ClassVar[str]
    about: ClassVar[str]
    tables: ClassVar[tuple[TableSpec, ...]]
    code_version: ClassVar[int]
    rebuilds: ClassVar[bool] = False
    has_parts: ClassVar[bool] = False

    @abstractmethod
    def config(self, settings: Settings) -> dict[str, Any]:
        """The part of the settings the stage reads, as JSON: what its fingerprint covers besides inputs."""

    @abstractmethod
    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        """Exactly the input partitions this partition reads."""

    @abstractmethod
    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        """Build the partitions (given in order of date, then country), yielding each as soon as it is ready.

        Reads nothing that `inputs` did not name for one of the partitions. Work that several partitions share (a
        timeline, a rolled day) is done once. A partition that cannot be built raises; the flow says which.
        """

    def starts_from(self, first: Partition) -> date | None:
        """The earlier date whose own partitions spare `build_on` work when `first` is the first to build; None: none."""
        return None

    def build_on(
        self, earlier: Earlier, partitions: Sequence[Partition], reader: Reader, settings: Settings
    ) -> Iterator[Built]:
        """What `build` gives, to the bit, for less work. `reader` also reads what the earlier partitions were made from.

        Only a short cut: `build` is the definition, fingerprints do not know of this, and the flow calls it only where
        the earlier partitions of all countries are current and their rows have the content hashes on record.
        """
        return self.build(partitions, reader, settings)

    def rebuild(
        self,
        standing: Mapping[Partition, Standing],
        partitions: Sequence[Partition],
        reader: Reader,
        settings: Settings,
    ) -> Iterator[Built]:
        """What `build` gives, to the bit, for less work: of some partitions it is known what was made by other settings.

        A short cut like `build_on`: whatever the settings did not change may be taken over, and nothing else.
        """
        return self.build(partitions, reader, settings)

    def worded_as(self, published: Mapping[str, pa.Table], tables: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
        """What was built of a partition, per table, in the words of what is published of it.

        For a stage whose rows hold words that its fingerprint does not cover; nothing else may become other.
        """
        return tables
