"""The plays as they came, coded and compact: what histories and days are made of.

A log is read batch by batch, so that the rows of the source are never in memory at once; what stays of a play are some
30 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import GrowingIds, GrowingTexts, Ids, Texts
from rec_platform.timetravel.kernels import NONE, Bools, Int16, Int32, Int64, Integers

Values = Integers
#: Which plays of a batch belong to a subset.
Predicate: TypeAlias = Callable[[pa.Table], Bools]
Plays: TypeAlias = pa.Table | Iterable[pa.Table | pa.RecordBatch]

#: The columns every timeline reads of the plays, besides its measures.
KEYS: Final = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.COUNTRY)
#: The columns whose sums are measures, unless others are named.
SUMMED: Final = (c.WATCHED_MS, c.ENGAGED)

_ROWS: Final = 1 << 20
#: The columns of a log, besides its measures.
_KINDS: Final[Mapping[str, type[np.generic]]] = {
    "profile": np.int32, "title": np.int32, "country": np.int16, "played": np.int64, "known": np.int64
}  # fmt: skip
#: For how many plays room is reserved at least, once a few hundred thousand have come in several batches.
_RESERVED: Final = 1 << 25


@dataclass(frozen=True)
class Log:
    """Plays in the order they came.

    Attributes:
        profile, title, country: codes.
        played: when each play began.
        known: from when on it is visible, max(played_at, known_at).
        measures: integer columns in the narrowest type that holds them.
    """

    profile: Int32
    title: Int32
    country: Int16
    played: Int64
    known: Int64
    measures: Mapping[str, Values]

    @classmethod
    def of(cls, batch: pa.Table, measures: Sequence[str], profiles: Ids, titles: Ids, countries: Texts) -> Log:
        """The plays of one batch in codes of sets that stand already; -1 for what is not in them.

        Raises:
            SchemaError: a column is missing.
        """
        check_columns(batch, (*KEYS, *measures))
        played = _integers(batch, c.PLAYED_AT)
        return cls(
            profiles.codes(_integers(batch, c.PROFILE)), titles.codes(_integers(batch, c.TITLE)),
            countries.codes(_whole(batch.column(c.COUNTRY))).astype(np.int16), played,
            np.maximum(played, _integers(batch, c.KNOWN_AT)),
            {name: narrowest(_integers(batch, name, missing=0)) for name in measures},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.played)

    def where(self, mask: Bools) -> Log:
        """The plays where the mask is true."""
        measures = {name: values[mask] for name, values in self.measures.items()}
        return Log(
            self.profile[mask], self.title[mask], self.country[mask], self.played[mask], self.known[mask], measures
        )


class LogReader:
    """Takes in batches of plays; `log` is what came of them.

    Args:
        measures: the integer columns to keep.
        subsets: by name, which plays of a batch belong to a part of the log.
    """

    def __init__(self, measures: Sequence[str], subsets: Mapping[str, Predicate]) -> None:
        self.profiles, self.titles, self.countries = GrowingIds(), GrowingIds(), GrowingTexts()
        self._subsets = subsets
        self._measures = tuple(measures)
        self._columns = {name: _Column(kind) for name, kind in _KINDS.items()}
        self._columns |= {name: _Column(np.int8) for name in measures}
        self._columns |= {_mask(name): _Column(np.bool_) for name in subsets}

    def take_in(self, plays: Plays) -> None:
        """Read all batches; `SchemaError` if a column is missing."""
        for batch in batches(plays):
            check_columns(batch, (*KEYS, *self._measures))
            self._take_in(batch)

    def _take_in(self, batch: pa.Table) -> None:
        played, columns = _integers(batch, c.PLAYED_AT), self._columns
        columns["profile"].append(self.profiles.codes(_integers(batch, c.PROFILE)))
        columns["title"].append(self.titles.codes(_integers(batch, c.TITLE)))
        columns["country"].append(self.countries.codes(_whole(batch.column(c.COUNTRY))))
        columns["played"].append(played)
        columns["known"].append(np.maximum(played, _integers(batch, c.KNOWN_AT)))
        for name in self._measures:
            columns[name].append(narrowest(_integers(batch, name, missing=0)))
        for name, holds in self._subsets.items():
            columns[_mask(name)].append(np.asarray(holds(batch), dtype=np.bool_))

    def log(self, profile: Int32, title: Int32, country: Int16) -> Log:
        """All plays, with the code that each code given out here has in the end. Once: codes are put in place."""
        for name, code in (("profile", profile), ("title", title), ("country", country)):
            kernels.recode(self._columns[name].values, code)
        plays = {name: self._columns.pop(name).values for name in _KINDS}
        measures = {name: self._columns.pop(name).values for name in self._measures}
        return Log(**plays, measures=measures)

    def masks(self) -> dict[str, Bools]:
        """Which plays of the log belong to each subset."""
        return {name: self._columns[_mask(name)].values for name in self._subsets}


class _Column:
    """A column that comes piece by piece.

    Room is reserved far ahead, so that little is ever copied: memory costs nothing before it is written to. A single
    piece has no more room than it needs.
    """

    def __init__(self, kind: type[np.generic]) -> None:
        self._room: npt.NDArray[Any] = np.empty(0, dtype=kind)
        self._rows = 0

    @property
    def values(self) -> npt.NDArray[Any]:
        """What has come so far, where it stands."""
        return self._room[: self._rows]

    def append(self, values: npt.NDArray[Any]) -> None:
        """Take in a copy of some values; they may be wider than those before."""
        kind, rows = np.promote_types(self._room.dtype, values.dtype), self._rows + len(values)
        if rows > len(self._room) or kind != self._room.dtype:
            ahead = max(4 * rows, min(128 * rows, _RESERVED)) if self._rows else rows
            room = np.empty(ahead, dtype=kind)
            room[: self._rows] = self.values
            self._room = room
        self._room[self._rows : rows] = values
        self._rows = rows


def _mask(name: str) -> str:
    return f"subset {name}"


def batches(plays: Plays) -> Iterator[pa.Table]:
    """Tables of at most about a million rows."""
    for part in [plays] if isinstance(plays, pa.Table) else plays:
        whole = pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part
        for first in range(0, max(whole.num_rows, 1), _ROWS):
            yield whole.slice(first, _ROWS)


def check_columns(plays: pa.Table, names: Sequence[str]) -> None:
    """`SchemaError` if a column is missing."""
    missing = [name for name in names if name not in plays.column_names]
    if missing:
        raise SchemaError(
            f"columns missing: {missing}", place=f"plays of a timeline, which have {plays.column_names}",
            repair=f"Read play_facts with {list(names)}.",
        )  # fmt: skip


def _integers(batch: pa.Table, name: str, missing: int = NONE) -> Int64:
    """A column as int64 in Arrow's own memory where that can be, so it may be read only; `missing` where it is null."""
    values = _whole(batch.column(name)).cast(pa.int64())
    values = pc.fill_null(values, missing) if values.null_count else values
    return cast(Int64, values.to_numpy(zero_copy_only=False))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.unify_dictionaries().combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def narrowest(values: Int64) -> Values:
    """The same integers in the narrowest of int8, int16, int32, int64.

    >>> narrowest(np.array([0, 300])).dtype
    dtype('int16')
    """
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return values.astype(kind)
    return values
