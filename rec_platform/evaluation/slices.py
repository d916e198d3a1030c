"""Slices: which contexts, or which positives, a number is about.

A context slice is a context column (country, tenure band, device): each of its values holds some of the contexts. An item
slice divides titles: in its value `hot`, positives that are not hot leave the list, all else stays (design, section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.evaluation.ties import Ints

#: The slice, and its value, that is everything.
ALL: Final = "all"
POPULARITY: Final = "popularity"
#: hot: the most played titles that hold half of the plays together; warm: the next 40 %; cold: the rest.
BANDS: Final = (("hot", 0.5), ("warm", 0.9), ("cold", 1.0))


@dataclass(frozen=True)
class ItemSlice:
    """A division of titles.

    Attributes:
        name: the slice's name.
        labels: its values.
        titles: int64, ascending: the titles told apart.
        codes: int64: for each of them the position of its value in `labels`.
        other: the position for every title not among them.
    """

    name: str
    labels: tuple[str, ...]
    titles: Ints
    codes: Ints
    other: int

    def of(self, titles: Ints) -> Ints:
        """The position in `labels` of each title's value."""
        if not len(self.titles):
            return np.full(len(titles), self.other, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.titles, titles), len(self.titles) - 1)
        return np.where(self.titles[place] == titles, self.codes[place], self.other)


@dataclass(frozen=True)
class Slices:
    """What to slice by, besides the whole: columns of the contexts, and divisions of titles."""

    contexts: tuple[str, ...] = (c.COUNTRY, c.TENURE_BAND, c.ACTIVITY_BAND, c.DEVICE)
    items: tuple[ItemSlice, ...] = ()


def popularity(titles: Ints, plays: Ints) -> ItemSlice:
    """Popularity bands from plays per title (over 28 days, as of the day); titles not named are cold.

    A title's band is that of the plays of all titles played more than it, so titles with equal plays share a band.

    >>> popularity(np.array([1, 2, 3]), np.array([50, 40, 10])).of(np.array([1, 2, 3, 4])).tolist()
    [0, 1, 2, 2]
    """
    order = np.argsort(titles)
    total = max(int(plays.sum()), 1)
    counts, inverse, size = np.unique(plays, return_inverse=True, return_counts=True)
    sums = counts * size
    more = (sums.sum() - np.cumsum(sums))[inverse] / total
    ends = np.array([end for _, end in BANDS[:-1]])
    codes = np.where(plays > 0, np.searchsorted(ends, more, side="right"), len(BANDS) - 1)
    return ItemSlice(POPULARITY, tuple(name for name, _ in BANDS), titles[order], codes[order], len(BANDS) - 1)


def context_values(contexts: pa.Table, name: str) -> pa.Array:
    """A context column as text, null as `unknown`; the slice `all` has one value."""
    if name == ALL:
        return pa.repeat(pa.scalar(ALL), contexts.num_rows)
    if name not in contexts.column_names:
        raise SchemaError(
            f"no context column {name!r} to slice by", place="frame given to evaluate",
            repair=f"It has {contexts.column_names}.",
        )  # fmt: skip
    column = contexts.column(name).cast(pa.string()).fill_null("unknown")
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
