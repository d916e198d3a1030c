"""The reader a stage is given: published partitions at fixed versions, and only those its inputs name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import pyarrow as pa

from rec_platform.errors import MissingInput
from rec_platform.flow.index import Index
from rec_platform.partition import Partition
from rec_platform.stage import Input, silent


class LakeReader:
    """Implements `stage.Reader` over an `Index`.

    Reading a partition that no input of the run named is an error: the fingerprint would not know of it.
    """

    def __init__(
        self, index: Index, stage: str, inputs: Iterable[Input], *, tell: Callable[[str], None] = silent
    ) -> None:
        self._index = index
        self._stage = stage
        self._tell = tell
        self._named: dict[str, set[Partition]] = {}
        for one in dict.fromkeys(inputs):
            self._named.setdefault(one.table, set()).update(index.partitions(one))

    @property
    def countries(self) -> tuple[str, ...]:
        return self._index.countries

    @property
    def first_day(self) -> date:
        return self._index.first_day

    @property
    def last_day(self) -> date:
        return self._index.last_day

    def published(self, table: str, day: date | None = None) -> list[Partition]:
        named = self._named.get(table, set())
        return sorted(partition for partition in named if day is None or partition.date == day)

    def rows(self, table: str, partitions: Iterable[Partition]) -> int:
        state = self._index.state(table)
        return sum(state[partition].rows for partition in self._checked(table, partitions))

    def tell(self, what: str) -> None:
        self._tell(what)

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        wanted = self._checked(table, partitions)
        version = self._index.versions.get(table)
        return [] if version is None else self._index.lake.files(table, wanted, version)

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = self._checked(table, partitions)
        return self._index.lake.read(table, wanted, columns, self._index.versions.get(table))

    def _checked(self, table: str, partitions: Iterable[Partition]) -> list[Partition]:
        """The partitions that hold rows; `MissingInput` for one that is published but was not named as an input."""
        wanted, named = list(partitions), self._named.get(table, set())
        strange = [partition.key for partition in wanted if partition not in named and partition in self._state(table)]
        if strange:
            raise MissingInput(
                f"stage {self._stage} reads {table} {strange[:3]}, which its inputs do not name",
                place="inputs() of the stage",
                repair="Name them there, so that the fingerprint covers them.",
            )
        return [partition for partition in wanted if partition in named]

    def _state(self, table: str) -> set[Partition]:
        return set(self._index.state(table))
