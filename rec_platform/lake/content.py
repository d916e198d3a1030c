"""The content hash of a partition: over its rows in their fixed order, and over nothing else.

Not over file bytes (a writer's version would show), not over chunk layout, not over what stands under a null.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c


def content_hash(table: pa.Table) -> str:
    """SHA-256, hex, of names, types and values of a table, row by row in order.

    >>> a = pa.table({"x": pa.chunked_array([[1], [None]], pa.int64())})
    >>> content_hash(a) == content_hash(a.combine_chunks())
    True
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in table.column_names:
        digest.update(f"|{name}:".encode())
        _feed(digest, _whole(table.column(name)))
    return digest.hexdigest()


def known_hashes(table: pa.Table) -> dict[date, str]:
    """For a table with `known_at` or `known_date`: the content hash of the rows of each known date; else empty.

    A stage that may not see rows known from its cut on fingerprints just the dates before the cut, so that a late play
    changes nothing that could not have known of it (Ana's evening, `clock.py`).
    """
    known = _known_date(table)
    if known is None:
        return {}
    days = pc.unique(known).sort()
    if len(days) == 1:
        return {days[0].as_py(): content_hash(table)}
    return {day.as_py(): content_hash(table.filter(pc.equal(known, day))) for day in days}


def _known_date(table: pa.Table) -> pa.ChunkedArray | None:
    if c.KNOWN_DATE in table.column_names:
        return table.column(c.KNOWN_DATE)
    if c.KNOWN_AT in table.column_names:
        return table.column(c.KNOWN_AT).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    return None


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            return column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _feed(digest: Any, values: pa.Array) -> None:
    """Feed one column, level by level: type, validity, then values with nulls taken out."""
    kind = values.type
    if values.null_count:
        digest.update(b"n" + np.packbits(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes())
        values = values.drop_null()
    if pa.types.is_struct(kind):
        digest.update(b"struct")
        for position, inner in enumerate(kind):
            digest.update(f".{inner.name}:".encode())
            _feed(digest, pc.struct_field(values, [position]))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        digest.update(b"list" + pc.list_value_length(values).cast(pa.int64()).to_numpy().tobytes())
        _feed(digest, values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        digest.update(b"text" + pc.binary_length(values).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
        digest.update(_joined(values))
    else:
        digest.update(str(kind).encode())
        digest.update(np.ascontiguousarray(_numbers(values)))


def _joined(values: pa.Array) -> bytes:
    """The bytes of all texts, end to end."""
    large = values.cast(pa.large_binary())
    offsets = np.frombuffer(large.buffers()[1], dtype=np.int64)[large.offset : large.offset + len(large) + 1]
    data = large.buffers()[2]
    return b"" if data is None else data.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()


def _numbers(values: pa.Array) -> np.ndarray[Any, Any]:
    """Values as NumPy; every NaN as the same NaN, so that its payload does not count."""
    if pa.types.is_boolean(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    numbers = np.asarray(values.to_numpy(zero_copy_only=False))
    if numbers.dtype.kind == "f" and np.isnan(numbers.min(initial=0.0)):
        return np.where(np.isnan(numbers), np.array(np.nan, dtype=numbers.dtype), numbers)
    return numbers
