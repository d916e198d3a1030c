"""Ids as dense codes: 0, 1, 2, ... in ascending order of id, so that code order is id order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Int16, Int32, Int64

_FEWEST_BITS = 4
#: How many numbers there may be from the least to the greatest id, for each id, that each number has a place of its own:
#: no more than the slots of a hash table, and a quarter less time (25 M ids of 10,000).
_SPARSEST = 4


@dataclass(frozen=True)
class Coded:
    """Ids that are codes already: of a timeline's titles or profiles, -1 for those it does not know."""

    codes: Int32


@dataclass(frozen=True)
class Ids:
    """A set of integer ids.

    Attributes:
        ids: ascending, distinct.
    """

    ids: Int64

    @classmethod
    def of(cls, *columns: pa.ChunkedArray | pa.Array | Int64) -> Ids:
        """The distinct ids of all columns.

        >>> Ids.of(np.array([7, 3, 7])).ids.tolist()
        [3, 7]
        """
        parts = [np.asarray(pc.unique(column if not isinstance(column, np.ndarray) else pa.array(column)))
                 for column in columns]  # fmt: skip
        ids = np.sort(np.concatenate(parts)).astype(np.int64)  # np.unique hashes: twenty times slower
        ids = np.concatenate([ids[:1], ids[1:][ids[1:] != ids[:-1]]])
        return cls(ids)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def table(self) -> Int32:
        """The hash table that `shift` belongs to."""
        return kernels.hash_table(self.ids, self.shift)

    @property
    def shift(self) -> int:
        return 64 - max(int(2 * len(self)).bit_length(), _FEWEST_BITS)

    @cached_property
    def _places(self) -> Int32:
        """The code of each number from the least id to the greatest, -1 of others; empty where they do not lie close."""
        if not len(self) or int(self.ids[-1]) - int(self.ids[0]) >= _SPARSEST * len(self):
            return np.empty(0, dtype=np.int32)
        places = np.full(self.ids[-1] - self.ids[0] + 1, -1, dtype=np.int32)
        places[self.ids - self.ids[0]] = np.arange(len(self))
        return places

    def codes(self, wanted: npt.ArrayLike | Coded) -> Int32:
        """The code of each wanted id, -1 for ids that are not in the set (int32)."""
        if isinstance(wanted, Coded):
            return wanted.codes
        given = kernels.readable(wanted, np.int64)
        codes = np.empty(len(given), dtype=np.int32)
        self.write_codes(given, codes)
        return codes

    def write_codes(self, wanted: Int64, codes: Int32) -> None:
        """What `codes` gives, into an array of as many."""
        if len(self._places):
            kernels.place_codes(self._places, int(self.ids[0]), wanted, codes)
        else:
            kernels.hash_codes(self.table, self.ids, self.shift, wanted, codes)


class GrowingIds:
    """Codes for ids that come batch by batch, in order of appearance; `ordered` tells what they are in order of id.

    The table is hashed; where the ids given are many and lie close together, it has a place for each id between the
    least and the greatest (a quarter of the time for 20 M plays of 200,000 profiles).

    >>> growing = GrowingIds()
    >>> growing.codes(np.array([7, 3, 7])).tolist(), growing.codes(np.array([5, 3])).tolist()
    ([0, 1, 0], [2, 1])
    >>> ids, code = growing.ordered()
    >>> ids.ids.tolist(), code.tolist()
    ([3, 5, 7], [2, 0, 1])
    """

    def __init__(self) -> None:
        self._n = self._given = 0
        self._least, self._greatest = 2**63 - 1, -(2**63)
        #: The id of the table's first place; None: hashed.
        self._first: int | None = None
        self._ids: Int64 = np.empty(0, dtype=np.int64)
        self._hash(_FEWEST_BITS)

    def codes(self, given: npt.ArrayLike) -> Int32:
        """The code of each given id (int32); ids never seen get new ones."""
        wanted = kernels.readable(given, np.int64)
        codes = np.empty(len(wanted), dtype=np.int32)
        if len(wanted):
            self._choose_table(wanted)
        done = 0
        if self._first is not None:
            self._n = kernels.take_in_close(self._table, self._first, self._ids, self._n, wanted, codes)
            done = len(wanted)
        while done < len(wanted):
            more, self._n = kernels.take_in(self._table, self._ids, self._n, self._shift, wanted[done:], codes[done:])
            done += more
            if done < len(wanted):
                self._hash(64 - self._shift + 2)
        return codes

    def ordered(self) -> tuple[Ids, Int32]:
        """The set, and the code in it of each code given out so far."""
        found = self._ids[: self._n].copy()
        ids = Ids.of(found)
        return ids, ids.codes(found)

    def _choose_table(self, given: Int64) -> None:
        """Make room for some ids: by place while there are no more places than ids were given, else hashed."""
        self._given += len(given)
        self._least, self._greatest = min(self._least, int(given.min())), max(self._greatest, int(given.max()))
        places = self._greatest - self._least + 1
        if self._first is None:
            if 2 * places <= self._given:
                self._lay_out(places)
        elif places > self._given:
            self._first = None
            self._hash(max(int(4 * self._n).bit_length(), _FEWEST_BITS))
        elif self._least < self._first or self._greatest >= self._first + len(self._table):
            self._lay_out(places)

    def _lay_out(self, places: int) -> None:
        """A table by place, with as many places again around them."""
        self._first = max(self._least - places // 2, -(2**63))
        found = self._room(2 * places)
        self._table = np.zeros(2 * places, dtype=np.int32)
        self._table[found - self._first] = np.arange(1, len(found) + 1)

    def _hash(self, bits: int) -> None:
        self._shift = 64 - bits
        self._table = kernels.hash_table(self._room((1 << bits) // 2), self._shift)

    def _room(self, n: int) -> Int64:
        """Room for n ids in all; returns those that are there."""
        found = self._ids[: self._n].copy()
        self._ids = np.empty(n, dtype=np.int64)
        self._ids[: self._n] = found
        return found


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


class GrowingTexts:
    """As `GrowingIds`, for a few texts without nulls (countries).

    >>> growing = GrowingTexts()
    >>> growing.codes(pa.array(["FR", "DE"])).tolist(), growing.codes(pa.array(["AT", "FR"])).tolist()
    ([0, 1], [2, 0])
    >>> growing.ordered()
    (Texts(texts=('AT', 'DE', 'FR')), array([2, 1, 0], dtype=int16))
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def codes(self, given: pa.Array) -> Int16:
        """The code of each given text (int16); texts never seen get new ones."""
        coded = given if pa.types.is_dictionary(given.type) else pc.dictionary_encode(given)
        of_text = [self._codes.setdefault(text, len(self._codes)) for text in coded.dictionary.to_pylist()]
        return np.asarray(np.array(of_text, dtype=np.int16)[coded.indices.to_numpy(zero_copy_only=False)])

    def ordered(self) -> tuple[Texts, Int16]:
        """The set, and the code in it of each code given out so far."""
        texts = Texts(tuple(sorted(self._codes)))
        place = {text: code for code, text in enumerate(texts.texts)}
        return texts, np.array([place[text] for text in self._codes], dtype=np.int16)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
