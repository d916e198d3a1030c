"""A plain log of interactions: who, what, in which order. Nothing else is asked of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.errors import SchemaError

Ints = npt.NDArray[np.int64]

#: Seconds of numbers below this, milliseconds below the next, else microseconds: 2286 in seconds, 1970-04 in microseconds.
_SECONDS: Final = 10**10
_MILLISECONDS: Final = 10**13


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions in order of (profile, time, place in the file).

    Attributes:
        profile, title: int64 codes: positions in `profiles` and `titles`.
        at: int64: microseconds since 1970 where `timed`, else the place in the profile's sequence.
        profiles, titles: the ids as the source writes them.
        timed: whether `at` is a time.
    """

    profile: Ints
    title: Ints
    at: Ints
    profiles: tuple[str, ...]
    titles: tuple[str, ...]
    timed: bool

    @classmethod
    def of(cls, profile: pa.Array, title: pa.Array, at: Ints | None) -> Interactions:
        """Rows in any order; those of a profile at one time keep theirs. Without times the rows are in order of time."""
        who, whose = _coded(profile)
        what, whats = _coded(title)
        rows = np.arange(len(who)) if at is None else np.asarray(at, dtype=np.int64)
        order = np.lexsort((np.arange(len(who)), rows, who))
        who, rows = who[order], rows[order]
        if at is None:
            starts = np.searchsorted(who, np.arange(len(whose)))
            rows = np.arange(len(who)) - starts[who]
        return cls(who, what[order], rows, whose, whats, at is not None)

    def __len__(self) -> int:
        return len(self.profile)

    @property
    def starts(self) -> Ints:
        """Profile p's rows are starts[p]:starts[p + 1]."""
        return np.searchsorted(self.profile, np.arange(len(self.profiles) + 1)).astype(np.int64)

    @property
    def given_twice(self) -> int:
        """How many rows are equal to another in who, what and when; 0 where nothing says when."""
        if not self.timed:
            return 0
        rows = np.stack([self.profile, self.title, self.at], axis=1)
        return len(rows) - len(np.unique(rows, axis=0))


def read_interactions(
    path: str | Path, *, profile: str, title: str, at: str = "", separator: str = ",", names: tuple[str, ...] = ()
) -> Interactions:
    """A CSV (any separator, `::` too) or Parquet file with a column per thing.

    Args:
        profile, title: names of the columns of who and what.
        at: name of the column of when: seconds, milliseconds or microseconds since 1970, or a timestamp. Empty: the
            file's order is the order of time.
        separator: of a CSV.
        names: of the columns of a CSV without a header.

    Raises:
        SchemaError: the file cannot be read or is empty, a column is missing, or a value of these columns is.
    """
    place = f"interactions {path}"
    try:
        table = pq.read_table(path) if str(path).endswith(".parquet") else _csv(Path(path), separator, names)
    except (pa.ArrowInvalid, UnicodeDecodeError) as fault:
        raise SchemaError(
            f"it cannot be read: {fault}", place=place,
            repair="Give a CSV whose lines have the same fields in UTF-8, or a .parquet file.",
        ) from None  # fmt: skip
    for name in (profile, title, *([at] if at else [])):
        if name not in table.column_names:
            raise SchemaError(
                f"no column {name!r}", place=place,
                repair=f"It has {', '.join(table.column_names)}: name who, what and when of these (--columns).",
            )  # fmt: skip
        if pa.types.is_binary(table.column(name).type):
            raise SchemaError(f"column {name!r} is no text in UTF-8", place=place, repair="Write the file in UTF-8.")
        if table.column(name).null_count:
            raise SchemaError(
                f"column {name!r} has {table.column(name).null_count} rows without a value", place=place,
                repair="Remove these rows from the file: an interaction needs who, what and when.",
            )  # fmt: skip
    when = _instants(table.column(at), place=f"{place}, column {at!r}") if at else None
    return Interactions.of(table.column(profile), table.column(title), when)


def read_sequences(path: str | Path) -> Interactions:
    """A text file with a line per profile: `user item item ...` in order of time. Blank lines are nobody's.

    Raises `SchemaError` naming a line without an item.
    """
    profiles: list[str] = []
    titles: list[str] = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        who, *what = line.split()
        if not what:
            raise SchemaError(
                f"line {number} has no item",
                place=f"sequences {path}",
                repair="Write `user item item ...` in each line.",
            )
        profiles += [who] * len(what)
        titles += what
    return Interactions.of(pa.array(profiles), pa.array(titles), None)


def of_plays(plays: pa.Table) -> Interactions:
    """The plays of the lake (`play_facts`) as interactions: every play one, engaged or not."""
    at = np.asarray(plays.column(c.PLAYED_AT).cast(pa.int64()).to_numpy(), dtype=np.int64)
    return Interactions.of(plays.column(c.PROFILE), plays.column(c.TITLE), at)


def _csv(path: Path, separator: str, names: tuple[str, ...]) -> pa.Table:
    if len(separator) == 1:
        return pa_csv.read_csv(
            path, pa_csv.ReadOptions(column_names=list(names) or None), pa_csv.ParseOptions(delimiter=separator)
        )  # fmt: skip
    lines = [line.split(separator) for line in path.read_text(encoding="utf-8").splitlines()]
    if not lines:
        raise pa.ArrowInvalid("Empty CSV file")
    head, rows = (list(names), lines) if names else (lines[0], lines[1:])
    wrong = next((number for number, row in enumerate(rows, start=1 + (not names)) if len(row) != len(head)), 0)
    if wrong:
        raise SchemaError(
            f"line {wrong} does not have {len(head)} fields", place=f"interactions {path}",
            repair=f"Check the separator {separator!r} and the names {', '.join(head)}.",
        )  # fmt: skip
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(head)})


def _coded(column: pa.Array | pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    """Codes in order of first appearance, and the texts they stand for."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(pc.cast(encoded.dictionary, pa.string()).to_pylist())


def _instants(column: pa.ChunkedArray, *, place: str) -> Ints:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(), dtype=np.int64)
    try:
        values = np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowInvalid as fault:
        raise SchemaError(
            f"a value is no time: {fault}", place=place,
            repair="Give seconds, milliseconds or microseconds since 1970, or a timestamp column.",
        ) from None  # fmt: skip
    largest = int(np.abs(values).max(initial=0))
    return values * (1_000_000 if largest < _SECONDS else 1_000 if largest < _MILLISECONDS else 1)
