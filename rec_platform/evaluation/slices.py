"""Slices: which contexts, or which positives, a number is about.

A context slice is a context column (country, tenure band, device) or a division of profiles: each of its values holds some
of the contexts. An item slice divides titles: in its value `hot`, positives that are not hot leave the list, all else stays
(design, section 8). Two slices crossed hold what both values hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.errors import SchemaError
from rec_platform.evaluation.ties import Ints

#: The slice, and its value, that is everything.
ALL: Final = "all"
POPULARITY: Final = "popularity"
PROFILE_BAND: Final = "profile_band"
TITLE_AGE: Final = "title_age"
#: hot: the most played titles that hold half of the plays together; warm: the next 40 %; cold: the rest.
BANDS: Final = (("hot", 0.5), ("warm", 0.9), ("cold", 1.0))
#: The least age in days of a title in each band; `unknown` where its release is not known.
AGES: Final = {"under 4w": 0, "4w-1y": 28, "1y+": 365}
UNKNOWN: Final = "unknown"
#: Between the names, and the values, of two crossed slices.
COMMA: Final = ","


@dataclass(frozen=True)
class Division:
    """A division of titles, or of profiles.

    Attributes:
        name: the slice's name.
        labels: its values.
        ids: int64, ascending: the titles (profiles) told apart.
        codes: int64: for each of them the position of its value in `labels`.
        other: the position for every one not among them.
    """

    name: str
    labels: tuple[str, ...]
    ids: Ints
    codes: Ints
    other: int

    def of(self, ids: Ints) -> Ints:
        """The position in `labels` of each one's value."""
        if not len(self.ids):
            return np.full(len(ids), self.other, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self.codes[place], self.other)

    def crossed(self, other: Division) -> Division:
        """The division into pairs of values: of this one, then of the other."""
        ids = np.union1d(self.ids, other.ids)
        labels = tuple(COMMA.join(pair) for pair in product(self.labels, other.labels))
        width = len(other.labels)
        name = COMMA.join((self.name, other.name))
        return Division(name, labels, ids, self.of(ids) * width + other.of(ids), self.other * width + other.other)


@dataclass(frozen=True)
class Slices:
    """What to slice by, besides the whole.

    Attributes:
        contexts: columns of the contexts.
        items: divisions of titles.
        profiles: divisions of profiles.
        crossed: pairs of names of slices above; a crossed slice is called `first,second`, and its values alike.
    """

    contexts: tuple[str, ...] = (c.COUNTRY, c.TENURE_BAND, c.ACTIVITY_BAND, c.DEVICE)
    items: tuple[Division, ...] = ()
    profiles: tuple[Division, ...] = ()
    crossed: tuple[tuple[str, str], ...] = ()

    def of_contexts(self, contexts: pa.Table) -> dict[str, pa.Array]:
        """The value of each context in `all`, in every context slice and in crossings of two of these: n texts each."""
        found = {name: context_values(contexts, name) for name in (ALL, *self.contexts)}
        for division in self.profiles:
            codes = division.of(contexts.column(c.PROFILE).to_numpy())
            found[division.name] = pa.array(division.labels, pa.string()).take(pa.array(codes))
        return found | {
            COMMA.join(pair): pc.binary_join_element_wise(*(self._known(found, name) for name in pair), COMMA)
            for pair in self.crossed
            if not self._divisions(pair)
        }

    @property
    def divisions(self) -> tuple[Division, ...]:
        """The divisions of titles, and crossings of two of these."""
        both = (self._divisions(pair) for pair in self.crossed)
        return (*self.items, *(found[0].crossed(found[1]) for found in both if len(found) == 2))

    def of_division(self, division: Division, label: str, found: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """The value of each context in a division of titles and in its crossings with context slices: n texts each.

        Args:
            division, label: the division, and the value whose positives stay.
            found: the context slices (`of_contexts`).
        """
        whole, n = pa.scalar(label), len(found[ALL])
        values = {division.name: constant(label, n)}
        for pair in self.crossed:
            if division.name in pair and len(self._divisions(pair)) == 1:
                parts = (whole if name == division.name else self._known(found, name) for name in pair)
                values[COMMA.join(pair)] = pc.binary_join_element_wise(*parts, COMMA)
        return values

    def _divisions(self, names: tuple[str, str]) -> list[Division]:
        by_name = {division.name: division for division in self.items}
        return [by_name[name] for name in names if name in by_name]

    def _known(self, found: Mapping[str, pa.Array], name: str) -> pa.Array:
        if name not in found:
            have = ", ".join([*found, *(division.name for division in self.items)])
            raise SchemaError(f"no slice {name!r} to cross", place="slices", repair=f"There are: {have}.")
        return found[name].cast(pa.string())


def bands(name: str, ids: Ints, plays: Ints) -> Division:
    """hot, warm and cold from plays (over 28 days, as of the day); what is not named is cold.

    A band is that of the plays of all that have more plays, so equal plays share a band.

    >>> bands("popularity", np.array([1, 2, 3]), np.array([50, 40, 10])).of(np.array([1, 2, 3, 4])).tolist()
    [0, 1, 2, 2]
    """
    order = np.argsort(ids)
    total = max(int(plays.sum()), 1)
    counts, inverse, size = np.unique(plays, return_inverse=True, return_counts=True)
    sums = counts * size
    more = (sums.sum() - np.cumsum(sums))[inverse] / total
    ends = np.array([end for _, end in BANDS[:-1]])
    codes = np.where(plays > 0, np.searchsorted(ends, more, side="right"), len(BANDS) - 1)
    return Division(name, tuple(band for band, _ in BANDS), ids[order], codes[order], len(BANDS) - 1)


def popularity(titles: Ints, plays: Ints) -> Division:
    """Titles by plays: `bands`."""
    return bands(POPULARITY, titles, plays)


def profile_bands(profiles: Ints, plays: Ints) -> Division:
    """Profiles by plays: `bands`. The hot profiles are the few that make half of all plays."""
    return bands(PROFILE_BAND, profiles, plays)


def title_ages(titles: Ints, days: Ints) -> Division:
    """Titles by age in days as of the day; a negative age is that of a title not yet released, which is new.

    >>> title_ages(np.array([7, 5]), np.array([400, -2])).of(np.array([5, 6, 7])).tolist()
    [0, 3, 2]
    """
    order = np.argsort(titles)
    least = np.array(list(AGES.values()))
    codes = np.maximum(np.searchsorted(least, days, side="right") - 1, 0)
    return Division(TITLE_AGE, (*AGES, UNKNOWN), titles[order], codes[order], len(AGES))


def constant(label: str, n: int) -> pa.Array:
    """The same text n times, coded."""
    codes = pa.array(np.zeros(n, dtype=np.int32))  # given as NumPy's they would be looked through for missing ones
    return pa.DictionaryArray.from_arrays(codes, pa.array([label]), safe=False)


def context_values(contexts: pa.Table, name: str) -> pa.Array:
    """A context column as text, null as `unknown`; the slice `all` has one value."""
    if name == ALL:
        return constant(ALL, contexts.num_rows)
    if name not in contexts.column_names:
        raise SchemaError(
            f"no context column {name!r} to slice by", place="frame given to evaluate",
            repair=f"There are: {', '.join(contexts.column_names)}.",
        )  # fmt: skip
    column = contexts.column(name).cast(pa.string()).fill_null(UNKNOWN)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
