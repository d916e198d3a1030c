"""What a table is: `TableSpec`, and the fields that many tables have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.partition import Grain

INSTANT: Final = pa.timestamp("us", tz="UTC")


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


PROFILE_FIELD: Final = field(c.PROFILE, pa.int64(), "who: the source's integer, or a 63-bit hash of its text")
TITLE_FIELD: Final = field(c.TITLE, pa.int64(), "what: the source's integer, or a 63-bit hash of its text")
