"""The frame that stages pass on: contexts, list offsets, and flat item columns.

In Arrow the nested form of DMC-12 costs nothing: the list offsets ARE the ranking groups (XGBoost's group pointer,
the evaluator's segments) and flattening is zero-copy. So code works on a `Frame`; nobody groups, sorts or explodes
rows to rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import SchemaError

Array = npt.NDArray[Any]


def _columns(columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> pa.Table:
    arrays = [
        values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values) for values in columns.values()
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


@dataclass(frozen=True)
class Frame:
    """Contexts and their items.

    Attributes:
        contexts: one row per context, n rows: profile_id, country, context_id, at, device, ...
        offsets: int64, n + 1 values; the items of context i are rows offsets[i]:offsets[i + 1] of the flat tables.
        items: one row per item, m = offsets[-1] rows: title_id, label, weight, item_inclusion_probability, ...
        features: one float32 column per feature, m rows; NaN is missing.
        scores: one float64 column per model, m rows; NaN is an error where it is written.
    """

    contexts: pa.Table
    offsets: npt.NDArray[np.int64]
    items: pa.Table
    features: pa.Table
    scores: pa.Table

    def __post_init__(self) -> None:
        if len(self.offsets) != self.contexts.num_rows + 1 or (len(self.offsets) and self.offsets[0] != 0):
            raise SchemaError(
                f"{len(self.offsets)} offsets for {self.contexts.num_rows} contexts",
                place="DMC-12 frame", repair="Give one offset more than contexts, from 0.",
            )  # fmt: skip
        for part, rows in (("items", self.items), ("features", self.features), ("scores", self.scores)):
            if rows.num_columns and rows.num_rows != self.n_items:
                raise SchemaError(
                    f"{part} has {rows.num_rows} rows where the offsets end at {self.n_items}",
                    place="DMC-12 frame", repair="Flat tables have one row per item.",
                )  # fmt: skip

    @classmethod
    def of(cls, contexts: pa.Table, offsets: npt.NDArray[np.int64] | None = None, **flat: Mapping[str, Array]) -> Frame:
        """A frame from contexts and, by keyword, flat `items`, `features`, `scores`; no offsets, no items."""
        if offsets is None:
            offsets = np.zeros(contexts.num_rows + 1, dtype=np.int64)
        parts = {name: _columns(flat.get(name, {})) for name in ("items", "features", "scores")}
        return cls(contexts, np.asarray(offsets, dtype=np.int64), **parts)

    @property
    def n_contexts(self) -> int:
        return int(self.contexts.num_rows)

    @property
    def n_items(self) -> int:
        return int(self.offsets[-1])

    @property
    def context_of_item(self) -> npt.NDArray[np.int64]:
        """For each item, the row of its context (int64, m values)."""
        return np.repeat(np.arange(self.n_contexts, dtype=np.int64), np.diff(self.offsets))

    def context(self, name: str) -> Array:
        """A context column as NumPy; instants as int64 microseconds."""
        return to_numpy(self.contexts, name, part="contexts")

    def item(self, name: str) -> Array:
        """An item column as NumPy."""
        return to_numpy(self.items, name, part="items")

    def feature_matrix(self, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
        """The named features as a row-major float32 array of shape (m, len(names)): what libraries of models read."""
        out = np.empty((self.n_items, len(names)), dtype=np.float32)
        for position, name in enumerate(names):
            out[:, position] = to_numpy(self.features, name, part="features")
        return out

    def with_contexts(self, columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> Frame:
        return replace(self, contexts=_set(self.contexts, columns))

    def with_items(self, columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> Frame:
        return replace(self, items=_set(self.items, columns))

    def with_features(self, columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> Frame:
        return replace(self, features=_set(self.features, columns))

    def with_scores(self, columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> Frame:
        return replace(self, scores=_set(self.scores, columns))

    def take(self, contexts: npt.NDArray[np.int64]) -> Frame:
        """The frame of some of its contexts, in the order given, with their items."""
        lengths = np.diff(self.offsets)[contexts]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.repeat(self.offsets[:-1][contexts] - offsets[:-1], lengths)
        rows = pa.array(starts + np.arange(offsets[-1]))
        flat = [part.take(rows) if part.num_columns else part for part in (self.items, self.features, self.scores)]
        return Frame(self.contexts.take(pa.array(contexts)), offsets, *flat)


def concat(frames: Sequence[Frame]) -> Frame:
    """One frame of all the frames' contexts, in order; at least one frame, all with the same columns."""
    lengths = [np.diff(frame.offsets) for frame in frames]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    parts = ("contexts", "items", "features", "scores")
    contexts, *flat_parts = (pa.concat_tables([getattr(frame, part) for frame in frames]) for part in parts)
    return Frame(contexts.combine_chunks(), offsets, *(part.combine_chunks() for part in flat_parts))


def keep_items(frame: Frame, rows: npt.NDArray[np.int64]) -> Frame:
    """The frame with some of its items, given by ascending row; every context stays, if empty."""
    lengths = np.bincount(frame.context_of_item[rows], minlength=frame.n_contexts)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    parts = (frame.items, frame.features, frame.scores)
    return Frame(frame.contexts, offsets, *(part.take(pa.array(rows)) if part.num_columns else part for part in parts))


def to_numpy(table: pa.Table, name: str, *, part: str) -> Array:
    """A column of a table as NumPy; instants become int64 microseconds; `SchemaError` if it is not there."""
    position = table.schema.get_field_index(name)  # `column_names` makes a list of all of them
    if position < 0:
        raise SchemaError(
            f"no column {name!r}", place=f"{part} of a DMC-12 frame",
            repair=f"It has {table.column_names}; add the step that makes {name!r} before this one.",
        )  # fmt: skip
    values = _whole(table.column(position))
    if pa.types.is_timestamp(values.type):
        values = values.view(pa.int64())
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; where it has one chunk, that one (`combine_chunks` would copy it)."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _set(table: pa.Table, columns: Mapping[str, Array | pa.Array | pa.ChunkedArray]) -> pa.Table:
    if not table.num_columns:
        return _columns(columns)
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        position = table.schema.get_field_index(name)
        table = table.append_column(name, column) if position < 0 else table.set_column(position, name, column)
    return table


def nested(frame: Frame, *, item_columns: tuple[str, ...], structs: Mapping[str, pa.Table]) -> pa.Table:
    """The frame as a DMC-12 table: context columns, then `items`.

    Args:
        item_columns: plain item columns, in order; numbers are written as `double` except ids, counts and booleans.
        structs: inner structs by name (`features`, `scores`, ...), each a table of m rows; written as `double`.
    """
    fields = {c.DMC12_NAMES.get(name, name): _written(frame.items.column(name)) for name in item_columns}
    for name, table in structs.items():
        fields[name] = _struct(table, frame.n_items)
    inner = pa.StructArray.from_arrays(
        list(fields.values()), fields=[pa.field(name, values.type, nullable=False) for name, values in fields.items()]
    )
    kind = pa.list_(pa.field("element", inner.type, nullable=False))
    lists = pa.ListArray.from_arrays(pa.array(frame.offsets.astype(np.int32)), inner, type=kind)
    names = [c.DMC12_NAMES.get(name, name) for name in frame.contexts.column_names]
    contexts = frame.contexts.rename_columns(names)
    return contexts.append_column(pa.field(c.ITEMS, kind, nullable=False), lists)


def packed(frame: Frame) -> pa.Table:
    """The frame as a table of one row per context, names and types as they are; nothing is copied, `flat` undoes it."""
    parts = {c.FEATURES: frame.features, c.SCORES: frame.scores}
    fields = {name: _whole(frame.items.column(name)) for name in frame.items.column_names}
    fields |= {
        name: pa.StructArray.from_arrays([_whole(column) for column in part.columns], names=part.column_names)
        for name, part in parts.items()
        if part.num_columns
    }
    inner = (
        pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
        if fields
        else pa.StructArray.from_buffers(pa.struct([]), frame.n_items, [None])
    )
    lists = pa.ListArray.from_arrays(pa.array(frame.offsets.astype(np.int32)), inner)
    return frame.contexts.append_column(c.ITEMS, lists)


def sliced(frame: Frame, first: int, last: int) -> Frame:
    """The contexts in rows `first` to `last`, the latter excluded, with their items; nothing is copied but offsets."""
    begin, end = (int(frame.offsets[row]) for row in (first, last))
    flat_parts = [part.slice(begin, end - begin) for part in (frame.items, frame.features, frame.scores)]
    return Frame(frame.contexts.slice(first, last - first), frame.offsets[first : last + 1] - begin, *flat_parts)


def _written(column: pa.ChunkedArray) -> pa.Array:
    values = _whole(column)
    return values.cast(pa.float64()) if pa.types.is_floating(values.type) else values


def _struct(table: pa.Table, rows: int) -> pa.Array:
    arrays = [_written(table.column(name)) for name in table.column_names]
    if not arrays:
        return pa.StructArray.from_buffers(pa.struct([]), rows, [None])
    fields = [
        pa.field(name, values.type, nullable=False) for name, values in zip(table.column_names, arrays, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def flat(table: pa.Table) -> Frame:
    """A DMC-12 table as a frame, the inverse of `nested`; features become float32 again, other structs stay in `items`.

    Structs other than `features` and `scores` become item columns named `struct.field`.
    """
    lists = _whole(table.column(c.ITEMS))
    offsets = lists.offsets.to_numpy().astype(np.int64)
    inner = lists.flatten()
    back = {theirs: ours for ours, theirs in c.DMC12_NAMES.items()}
    plain: dict[str, pa.Array] = {}
    parts: dict[str, pa.Table] = {c.FEATURES: pa.table({}), c.SCORES: pa.table({})}
    for position, inner_field in enumerate(inner.type):
        values = inner.field(position)
        if not pa.types.is_struct(inner_field.type):
            plain[back.get(inner_field.name, inner_field.name)] = values
            continue
        leaves = {leaf.name: values.field(n) for n, leaf in enumerate(inner_field.type)}
        if inner_field.name == c.FEATURES:
            parts[c.FEATURES] = pa.table({name: leaf.cast(pa.float32()) for name, leaf in leaves.items()})
        elif inner_field.name == c.SCORES:
            parts[c.SCORES] = pa.table(leaves)
        else:
            plain.update({f"{inner_field.name}.{name}": leaf for name, leaf in leaves.items()})
    contexts = table.drop_columns([c.ITEMS])
    contexts = contexts.rename_columns([back.get(name, name) for name in contexts.column_names])
    return Frame(contexts, offsets - offsets[0], pa.table(plain), parts[c.FEATURES], parts[c.SCORES])
