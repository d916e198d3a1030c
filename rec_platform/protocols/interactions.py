"""A plain log of interactions: who, what, in which order. Nothing else is asked of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

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
        SchemaError: the file cannot be read or holds no row, a column is missing or there twice, or a value of these is.
    """
    place = f"interactions {path}"
    try:
        table = pq.read_table(path) if str(path).endswith(".parquet") else _csv(Path(path), separator, names)
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as fault:
        _unreadable(fault, place, "Give a CSV whose lines have the same fields in UTF-8, or a .parquet file.")
    who, what, *when = (_column(table, name, place) for name in (profile, title, *([at] if at else [])))
    if not table.num_rows:
        raise SchemaError("no interaction in it", place=place, repair="Give a file with a row per interaction.")
    return Interactions.of(who, what, _instants(when[0], place=f"{place}, column {at!r}") if when else None)


def read_sequences(path: str | Path) -> Interactions:
    """A text file with a line per profile: `user item item ...` in order of time. Blank lines are nobody's.

    Raises `SchemaError` for a file that cannot be read or is empty, and naming a line without an item.
    """
    place, profiles, titles = f"sequences {path}", list[str](), list[str]()
    try:
        lines = _lines(Path(path))
    except (UnicodeDecodeError, OSError) as fault:
        _unreadable(fault, place, "Give a text file in UTF-8.")
    repair = "Write `user item item ...` in each line."
    for number, line in lines:
        who, *what = line.split()
        if not what:
            raise SchemaError(f"line {number} has no item", place=place, repair=repair)
        profiles += [who] * len(what)
        titles += what
    if not titles:
        raise SchemaError("no interaction in it", place=place, repair=repair)
    return Interactions.of(pa.array(profiles), pa.array(titles), None)


def of_plays(plays: pa.Table) -> Interactions:
    """The plays of the lake (`play_facts`) as interactions: every play one, engaged or not."""
    at = np.asarray(plays.column(c.PLAYED_AT).cast(pa.int64()).to_numpy(), dtype=np.int64)
    return Interactions.of(plays.column(c.PROFILE), plays.column(c.TITLE), at)


def _csv(path: Path, separator: str, names: tuple[str, ...]) -> pa.Table:
    if len(separator.encode()) == 1:
        return pa_csv.read_csv(
            path, pa_csv.ReadOptions(column_names=list(names) or None), pa_csv.ParseOptions(delimiter=separator)
        )  # fmt: skip
    if not separator:
        raise pa.ArrowInvalid("no separator was given")
    lines = [(number, line.split(separator)) for number, line in _lines(path)]
    if not lines:
        raise pa.ArrowInvalid("Empty CSV file")
    head, rows = (list(names), lines) if names else (lines[0][1], lines[1:])
    wrong = next((number for number, row in rows if len(row) != len(head)), 0)
    if wrong:
        raise SchemaError(
            f"line {wrong} does not have {len(head)} fields", place=f"interactions {path}",
            repair=f"Check the separator {separator!r} and the names {', '.join(head)}.",
        )  # fmt: skip
    columns = [pa.array([row[place] for _, row in rows], pa.string()) for place in range(len(head))]
    return pa.table(columns, names=head)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers. A mark of the byte order is none of the text."""
    with path.open(encoding="utf-8-sig") as text:
        return [(number, line.rstrip("\n")) for number, line in enumerate(text, start=1) if line.strip()]


def _column(table: pa.Table, name: str, place: str) -> pa.ChunkedArray:
    """A column that has a value in every row; `SchemaError` otherwise."""
    there = table.column_names
    if there.count(name) != 1:
        fault = f"no column {name!r}" if name not in there else f"{there.count(name)} columns {name!r}"
        repair = f"It has {', '.join(there)}: name who, what and when of these (--columns)."
        repair += " One column alone: another --separator?" if len(there) == 1 else ""
        raise SchemaError(fault, place=place, repair=repair)
    found = table.column(name)
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if pa.types.is_binary(found.type):
        raise SchemaError(f"column {name!r} is no text in UTF-8", place=place, repair="Write the file in UTF-8.")
    blank = pc.equal(found, "") if pa.types.is_string(found.type) or pa.types.is_large_string(found.type) else False
    missing = pc.sum(pc.or_kleene(found.is_null(nan_is_null=True), blank)).as_py() or 0
    if missing:
        raise SchemaError(
            f"column {name!r} has {missing} rows without a value", place=place,
            repair="Remove these rows from the file: an interaction needs who, what and when.",
        )  # fmt: skip
    return found


def _unreadable(fault: Exception, place: str, repair: str) -> NoReturn:
    said = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    raise SchemaError(f"it cannot be read: {said}", place=place, repair=repair) from None


def _coded(column: pa.Array | pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    """Codes in order of first appearance, and the texts they stand for."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(pc.cast(encoded.dictionary, pa.string()).to_pylist())


def _instants(column: pa.ChunkedArray, *, place: str) -> Ints:
    """Microseconds since 1970; finer timestamps are cut off there."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy(), dtype=np.int64)
    try:
        kind = column.type if pa.types.is_floating(column.type) else pa.int64()
        values: npt.NDArray[Any] = column.cast(kind).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as fault:
        _no_time(str(fault), place)
    largest = float(np.abs(values).max(initial=0))
    if not np.isfinite(largest):
        _no_time(f"{largest}", place)
    unit = 1_000_000 if largest < _SECONDS else 1_000 if largest < _MILLISECONDS else 1
    return np.asarray(np.rint(values * unit) if values.dtype.kind == "f" else values * unit, dtype=np.int64)


def _no_time(fault: str, place: str) -> NoReturn:
    repair = "Give seconds, milliseconds or microseconds since 1970, or a timestamp column."
    raise SchemaError(f"a value is no time: {fault}", place=place, repair=repair) from None
