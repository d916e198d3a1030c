"""The content hash of a partition: over its rows in their fixed order, and over nothing else.

Not over file bytes (a writer's version would show), not over chunk layout, not over what stands under a null. It says
whether two partitions hold the same rows, on any machine; it is no seal against an adversary, so XXH3 of 128 bits does
(decision 0096). Files that must not be tampered with, such as models, carry SHA-256 of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from rec_platform import columns as c


class _Digest(Protocol):
    def update(self, data: Any, /) -> None: ...

    def hexdigest(self) -> str: ...


#: Hex digits of a content hash -> what made it: the first hash of today, the second of homes older than it.
_MAKERS: Final[dict[int, Callable[[], _Digest]]] = {32: xxhash.xxh3_128, 64: hashlib.sha256}
_TODAY: Final = 32
_EPOCH: Final = date(1970, 1, 1).toordinal()
#: Numbers are hashed in blocks that stay in the cache between the look for NaN and the hash.
_BLOCK: Final = 1 << 16


def content_hash(table: pa.Table) -> str:
    """XXH3-128, hex, of names, types and values of a table, row by row in order.

    >>> a = pa.table({"x": pa.chunked_array([[1], [None]], pa.int64())})
    >>> content_hash(a) == content_hash(a.combine_chunks())
    True
    """
    return _hash(table, _MAKERS[_TODAY]())


def content_hash_like(recorded: str, table: pa.Table) -> str:
    """The content hash of a table by the function that made `recorded`, to be compared with it.

    >>> table = pa.table({"x": [1]})
    >>> content_hash_like(content_hash(table), table) == content_hash(table)
    True
    """
    return _hash(table, _MAKERS.get(len(recorded), _MAKERS[_TODAY])())


def _hash(table: pa.Table, digest: _Digest) -> str:
    digest.update(str(table.num_rows).encode())
    for name in table.column_names:
        digest.update(f"|{name}:".encode())
        _feed(digest, _whole(table.column(name)))
    return digest.hexdigest()


def known_hashes(table: pa.Table, whole: str = "") -> dict[date, str]:
    """For a table with `known_at` or `known_date`: the content hash of the rows of each known date; else empty.

    `whole` is the table's own content hash, if the caller has it: that of its only date, where there is no other.

    A stage that may not see rows known from its cut on fingerprints just the dates before the cut, so that a late play
    changes nothing that could not have known of it (Ana's evening, `clock.py`).
    """
    known = _known_date(table)
    if known is None or not table.num_rows:
        return {}
    number = known.cast(pa.int32()).to_numpy()
    order = np.argsort(number, kind="stable")
    days, starts = np.unique(number[order], return_index=True)
    if len(days) == 1:
        return {_date(days[0]): whole or content_hash(table)}
    by_day, ends = table.take(pa.array(order)), [*starts[1:], len(number)]
    return {
        _date(day): content_hash(by_day.slice(start, end - start))
        for day, start, end in zip(days, starts, ends, strict=True)
    }


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH + int(day))


def _known_date(table: pa.Table) -> pa.ChunkedArray | None:
    if c.KNOWN_DATE in table.column_names:
        return table.column(c.KNOWN_DATE)
    if c.KNOWN_AT in table.column_names:
        return table.column(c.KNOWN_AT).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    return None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array, where it stands if it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _feed(digest: _Digest, values: pa.Array) -> None:
    """Feed one column, level by level: type, validity, then values with nulls taken out."""
    kind = values.type
    if values.null_count:
        digest.update(b"n" + np.packbits(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes())
        values = values.drop_null()
    if pa.types.is_struct(kind):
        digest.update(b"struct")
        for position, inner in enumerate(kind):
            digest.update(f".{inner.name}:".encode())
            _feed(digest, values.field(position))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        digest.update(b"list" + pc.list_value_length(values).cast(pa.int64()).to_numpy().tobytes())
        _feed(digest, values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        digest.update(b"text" + pc.binary_length(values).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
        digest.update(_joined(values))
    else:
        digest.update(str(kind).encode())
        numbers = np.ascontiguousarray(_numbers(values))
        for start in range(0, numbers.size, _BLOCK):
            digest.update(_one_nan(numbers[start : start + _BLOCK]))


def _joined(values: pa.Array) -> bytes:
    """The bytes of all texts, end to end."""
    large = values.cast(pa.large_binary())
    offsets = np.frombuffer(large.buffers()[1], dtype=np.int64)[large.offset : large.offset + len(large) + 1]
    data = large.buffers()[2]
    return b"" if data is None else data.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()


def _numbers(values: pa.Array) -> np.ndarray[Any, Any]:
    """Values without nulls as NumPy."""
    if pa.types.is_date32(values.type):
        values = values.view(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.view(pa.int64())
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _one_nan(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same numbers with every NaN as the same NaN, so that its payload does not count."""
    if numbers.dtype.kind == "f" and np.isnan(numbers.min()):
        return np.where(np.isnan(numbers), np.array(np.nan, dtype=numbers.dtype), numbers)
    return numbers
