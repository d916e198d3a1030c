"""Ids as dense codes: 0, 1, 2, ... in ascending order of id, so that code order is id order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Int32, Int64


@dataclass(frozen=True)
class Ids:
    """A set of integer ids.

    Attributes:
        ids: ascending, distinct.
        table, shift: the hash table `codes` looks them up in.
    """

    ids: Int64
    table: Int32
    shift: int

    @classmethod
    def of(cls, *columns: pa.ChunkedArray | pa.Array | Int64) -> Ids:
        """The distinct ids of all columns.

        >>> Ids.of(np.array([7, 3, 7])).ids.tolist()
        [3, 7]
        """
        parts = [np.asarray(pc.unique(column if not isinstance(column, np.ndarray) else pa.array(column)))
                 for column in columns]  # fmt: skip
        ids = kernels.plain(np.unique(np.concatenate(parts)), np.int64)
        shift = 64 - max(int(2 * len(ids)).bit_length(), 4)
        return cls(ids, kernels.hash_table(ids, shift), shift)

    def __len__(self) -> int:
        return len(self.ids)

    def codes(self, wanted: npt.ArrayLike) -> Int32:
        """The code of each wanted id, -1 for ids that are not in the set (int32)."""
        return kernels.hash_codes(self.table, self.ids, self.shift, kernels.plain(wanted, np.int64))


@dataclass(frozen=True)
class Texts:
    """A set of texts (countries, genres, tags), ascending and distinct."""

    texts: tuple[str, ...]

    @classmethod
    def of(cls, *columns: pa.ChunkedArray | pa.Array) -> Texts:
        """The distinct texts of all columns; nulls are left out."""
        found = {text for column in columns for text in pc.unique(column).to_pylist() if text is not None}
        return cls(tuple(sorted(found)))

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, text: str) -> int:
        """The code of one text, -1 if it is not in the set."""
        return self.texts.index(text) if text in self.texts else -1

    def codes(self, wanted: pa.ChunkedArray | pa.Array | npt.NDArray[np.generic]) -> Int32:
        """The code of each wanted text, -1 for texts that are not in the set (int32)."""
        values = pa.array(wanted, pa.string()) if isinstance(wanted, np.ndarray) else wanted
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        found = pc.index_in(values, value_set=pa.array(self.texts, pa.string()).cast(_plain_type(values.type)))
        return kernels.plain(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int32)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
