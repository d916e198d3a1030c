"""Reference rows as known at an instant: attributes of titles, signups of profiles, offers in countries.

A change is a further row with a later `known_at`; at an instant the newest row known strictly before it counts. Of two
rows of a key with the same `known_at` the later one in the table counts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids, Texts
from rec_platform.timetravel.kernels import NONE, Bools, Int32, Int64

_FOREVER = 2**63 - 1
_KEPT_SETS = 64


def instants(column: pa.ChunkedArray | pa.Array, missing: int = NONE) -> Int64:
    """A timestamp or int64 column as int64; `missing` where it is null."""
    values = column.cast(pa.int64())
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    values = pc.fill_null(values, missing) if values.null_count else values
    return kernels.plain(values.to_numpy(zero_copy_only=False), np.int64)


@dataclass(frozen=True)
class ListAttribute:
    """A list attribute (genres, tags) of revisions: revision r has values[starts[r]:starts[r + 1]], distinct codes.

    `differs` is true where a revision has other values than the one above it.
    """

    names: Texts
    starts: Int64
    values: Int32
    differs: Bools

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> ListAttribute:
        lists = column.combine_chunks()
        flat, row = lists.flatten(), np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
        names, there = Texts.of(flat), np.asarray(flat.is_valid())
        code = names.codes(flat.drop_null()).astype(np.int64)
        entries = np.unique(row[there] * len(names) + code)  # by row, then text; each once
        row_of, values = np.divmod(entries, max(len(names), 1))
        starts = np.append(0, np.cumsum(np.bincount(row_of, minlength=len(lists)))).astype(np.int64)
        return cls(names, starts, values.astype(np.int32), _differs(starts, row_of, values))


def _differs(starts: Int64, row_of: Int64, values: Int64) -> Bools:
    """Whether each row has other values than the one above it; the first has."""
    lengths = np.diff(starts)
    differs = np.append(True, lengths[1:] != lengths[:-1])[: len(lengths)]
    same = np.flatnonzero(~differs[row_of])
    above = same - starts[row_of[same]] + starts[row_of[same] - 1]
    differs[row_of[same[values[same] != values[above]]]] = True
    return np.asarray(differs)


@dataclass(frozen=True)
class Newest:
    """The values of each title's newest row in a list attribute, where they are two at most.

    Attributes:
        since: int64 (titles): when that row became known; the largest int64 where it has more values, or there is none.
        pair: int32 (titles, 2): its values, one twice; the number of all values where it has none.
    """

    since: Int64
    pair: Int32

    @classmethod
    def of(cls, starts: Int64, known: Int64, attribute: ListAttribute) -> Newest:
        """Of rows by title, as `TitleRevisions` has them."""
        has = np.flatnonzero(np.diff(starts))
        row = starts[has + 1] - 1
        begin, end = attribute.starts[row], attribute.starts[row + 1]
        few = end - begin <= 2
        has, row, begin, end = has[few], row[few], begin[few], end[few]
        values = np.append(attribute.values, len(attribute.names)).astype(np.int32)  # the last stands for none
        since = np.full(len(starts) - 1, _FOREVER, dtype=np.int64)
        pair = np.full((len(starts) - 1, 2), len(attribute.names), dtype=np.int32)
        since[has] = known[row]
        pair[has] = values[np.where(end > begin, [begin, end - 1], -1).T]
        return cls(since, pair)


@dataclass(frozen=True)
class TitleRevisions:
    """The rows of `titles`, sorted by (title, known_at).

    `newest` has for each list attribute the values of each title's newest row.
    """

    starts: Int64
    known: Int64
    released_at: Int64
    runtime_ms: Int64
    lists: dict[str, ListAttribute]
    newest: dict[str, Newest]

    @classmethod
    def of(cls, titles: pa.Table, ids: Ids) -> TitleRevisions:
        starts, known, titles = ordered(titles, c.TITLE, ids)
        lists = {name: ListAttribute.of(titles.column(name)) for name in (c.GENRES, c.TAGS)}
        released, runtime = instants(titles.column(c.RELEASED_AT)), instants(titles.column(c.RUNTIME_MS))
        newest = {name: Newest.of(starts, known, attribute) for name, attribute in lists.items()}
        return cls(starts, known, released, runtime, lists, newest)

    def changes(self, attribute: str, visible_since: Int64) -> Int64:
        """When a list of a title that had visible plays by then became another, ascending."""
        title = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        other = self.lists[attribute].differs.copy()
        other[self.starts[:-1][np.diff(self.starts) > 0]] = True
        return np.sort(self.known[other & (self.known >= visible_since[title])])


@dataclass(frozen=True)
class ProfileRevisions:
    """The rows of `profiles`, sorted by (profile, known_at)."""

    starts: Int64
    known: Int64
    signup_at: Int64

    @classmethod
    def of(cls, profiles: pa.Table, ids: Ids) -> ProfileRevisions:
        starts, known, profiles = ordered(profiles, c.PROFILE, ids)
        return cls(starts, known, instants(profiles.column(c.SIGNUP_AT)))


def ordered(table: pa.Table, key: str, ids: Ids) -> tuple[Int64, Int64, pa.Table]:
    """The table in order of (key, known_at), with group starts and known instants."""
    codes, known = ids.codes(instants(table.column(key))), instants(table.column(c.KNOWN_AT))
    order = np.lexsort((known, codes))
    return kernels.group_starts(codes, len(ids)), known[order], table.take(pa.array(order))


def value_at(starts: Int64, known: Int64, values: Int64, key: Int32, at: Int64) -> Int64:
    """`values` of the newest revision of each key known before its instant; `NONE` where there is none."""
    rows = kernels.revisions_at(starts, known, key, at)
    if not len(values):
        return np.full(len(rows), NONE, dtype=np.int64)
    return np.where(rows >= 0, values[np.maximum(rows, 0)], NONE)


@dataclass(frozen=True)
class Offers:
    """The rows of `availability`, sorted by (country, title, available_from, known_at).

    A row with the same title, country and available_from as an older one corrects it; an offer is withdrawn by a
    correction whose available_to is its available_from.
    """

    countries: Texts
    n_titles: int
    keys: Ids
    starts: Int64
    code: Int64
    begins: Int64
    ends: Int64
    known: Int64
    #: Sets already made, by country and position among the country's change points; the newest few are kept.
    _sets: OrderedDict[tuple[int, int], tuple[Int32, int]] = field(default_factory=OrderedDict, compare=False)
    _changes: dict[int, Int64] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, availability: pa.Table, titles: Ids) -> Offers:
        countries = Texts.of(availability.column(c.COUNTRY))
        title = titles.codes(instants(availability.column(c.TITLE))).astype(np.int64)
        code = countries.codes(availability.column(c.COUNTRY)).astype(np.int64) * len(titles) + title
        begins = instants(availability.column(c.AVAILABLE_FROM))
        ends = instants(availability.column(c.AVAILABLE_TO), _FOREVER)
        known = instants(availability.column(c.KNOWN_AT))
        order = np.lexsort((known, begins, code))
        keys = Ids.of(code)
        starts = kernels.group_starts(keys.codes(code), len(keys))
        return cls(countries, len(titles), keys, starts, code[order], begins[order], ends[order], known[order])

    def since(self, country: Int32, at: Int64, offsets: Int64, item: Int32) -> Int64:
        """Per item, from when its offer in the context's country runs that holds at the instant; `NONE` if none."""
        return kernels.offered_since(
            self.keys.table, self.keys.ids, self.keys.shift, self.starts, self.begins, self.ends, self.known,
            self.n_titles, country, at, offsets, item,
        )  # fmt: skip

    def available(self, country: str, at: int) -> Int32:
        """Codes of the titles offered in the country at the instant, as known then, ascending."""
        return self._held(country, at)[0]

    def newest_known(self, country: str, at: int) -> int:
        """When the newest row that `available` was made from became known; `NONE` if there was none."""
        return self._held(country, at)[1]

    def _held(self, country: str, at: int) -> tuple[Int32, int]:
        place = self.countries.code(country)
        if place < 0:
            return np.empty(0, dtype=np.int32), NONE
        if place not in self._changes:
            self._changes[place] = self._change_points(place)
        key = (place, int(np.searchsorted(self._changes[place], at, side="right")))
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = self._set_at(place, at)
            if len(self._sets) > _KEPT_SETS:
                self._sets.popitem(last=False)
        return found

    def _rows(self, place: int) -> slice:
        lo, hi = np.searchsorted(self.code, [place * self.n_titles, (place + 1) * self.n_titles])
        return slice(int(lo), int(hi))

    def _change_points(self, place: int) -> Int64:
        """The instants at which the country's set may change: an offer begins, ends, or the row has become known."""
        rows = self._rows(place)
        return np.unique(np.concatenate([self.begins[rows], self.ends[rows], self.known[rows] + 1]))

    def _set_at(self, place: int, at: int) -> tuple[Int32, int]:
        rows = self._rows(place)
        code, begins, known = self.code[rows], self.begins[rows], self.known[rows]
        seen = known < at
        corrected = np.zeros(len(code), dtype=bool)
        corrected[:-1] = (code[1:] == code[:-1]) & (begins[1:] == begins[:-1]) & seen[1:]
        holds = ~corrected & seen & (begins <= at) & (at < self.ends[rows])
        titles = np.unique(code[holds] - place * self.n_titles).astype(np.int32)
        return titles, int(known[seen].max(initial=NONE))
