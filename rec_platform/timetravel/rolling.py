"""Window sums of every profile (or title) as of a midnight that moves forward: the state behind the snapshots.

Window w as of day D holds the plays of the days [D - w, D) known before D. Going from midnight `since` to `until`:

    newly visible   played in [until - w, until), known in [since, until)
    gone            played in [since - w, until - w), known before since

Both are whole tiles, so the state moves by adding and subtracting integers and equals a fresh count to the bit. From
nothing (`since` before all time) the same step is the fresh count. Of a window no longer than the step nothing stays:
its sums begin at zero, and what is gone from it need not be read. Days are numbered from 1970-01-01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.errors import KeyRefused
from rec_platform.tables import WINDOWS

Ints = npt.NDArray[np.int64]

#: The measures of a tile, in the order of `Tiles.measures`.
MEASURES: Final = (c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS)
LONGEST: Final = WINDOWS[-1]
#: Before every day and instant: the midnight of a state that has seen nothing, and a last play that never was.
NEVER: Final = int(np.iinfo(np.int64).min)

#: A sum that is kept: (measure, window in days).
Kept = tuple[str, int]
EVERY_SUM: Final[tuple[Kept, ...]] = tuple((measure, days) for measure in MEASURES for days in WINDOWS)
LONGEST_PLAYS: Final[Kept] = (c.PLAYS, LONGEST)


@dataclass(frozen=True)
class Tiles:
    """The tiles of some play dates over all countries, rows in any order.

    `day` is the day of the plays of each row, `known` the day they became known, `country` a number for their country,
    `last` in microseconds.
    """

    day: Ints
    ids: Ints
    country: Ints
    known: Ints
    measures: Mapping[str, Ints]
    last: Ints


_NONE: Final[Ints] = np.empty(0, np.int64)
#: Days without plays.
NO_TILES: Final = Tiles(_NONE, _NONE, _NONE, _NONE, dict.fromkeys(MEASURES, _NONE), _NONE)


class Codes:
    """Dense codes 0, 1, ... for keys, given out as keys come (those of one call in any order); `keys[code]` is the key again."""

    def __init__(self) -> None:
        self.keys: Ints = np.empty(0, np.int64)
        self._sorted: Ints = np.empty(0, np.int64)
        self._code: Ints = np.empty(0, np.int64)

    def of(self, keys: Ints) -> Ints:
        """The code of each key; keys never seen get new ones.

        >>> codes = Codes()
        >>> codes.of(np.array([70, 30, 70])).tolist(), codes.of(np.array([99, 30])).tolist()
        ([0, 1, 0], [2, 1])
        """
        if not self.keys.size:
            return self._first_of_all(keys)
        place = np.searchsorted(self._sorted, keys)
        new = ~self._stands(place, keys)
        if new.any():
            self._take_in(_distinct(keys[new]))
            place = np.searchsorted(self._sorted, keys)
        return self._code[place]

    @property
    def in_order(self) -> Ints:
        """The codes of all keys, smallest key first."""
        return self._code

    def _first_of_all(self, keys: Ints) -> Ints:
        """Codes in the order of first appearance: neighbours among the keys are neighbours among the codes."""
        if (keys[1:] > keys[:-1]).all():
            self.keys = self._sorted = keys
            self._code = np.arange(keys.size)
            return self._code
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        head: npt.NDArray[np.bool_] = np.append(True, ordered[1:] != ordered[:-1])
        first = np.zeros(keys.size, np.bool_)
        first[order[head]] = True
        self.keys, self._sorted = keys[first], ordered[head]
        self._code = (np.cumsum(first) - 1)[order[head]]
        codes = np.empty(keys.size, np.int64)
        codes[order] = self._code[np.cumsum(head) - 1]
        return codes

    def _stands(self, place: Ints, keys: Ints) -> npt.NDArray[np.bool_]:
        """Whether the sorted keys hold these at the places where they would stand."""
        return np.equal(np.take(self._sorted, place, mode="clip"), keys)

    def _take_in(self, new: Ints) -> None:
        place = np.searchsorted(self._sorted, new)
        self._code = np.insert(self._code, place, np.arange(self.keys.size, self.keys.size + new.size))
        self._sorted = np.insert(self._sorted, place, new)
        self.keys = np.concatenate([self.keys, new])


def _distinct(keys: Ints) -> Ints:
    """The different keys, sorted (NumPy's own goes by hashes, at ten times the cost of a sort that sees runs)."""
    ordered = np.sort(keys, kind="stable")
    first: npt.NDArray[np.bool_] = np.append(True, ordered[1:] != ordered[:-1])
    return ordered[first]


def _placed(values: Ints, codes: Ints, size: int) -> Ints:
    """Values of rows by code, for codes in the order of first appearance; of rows with the same code one stays."""
    if size == values.size:  # Each row has a code of its own: its number.
        return np.require(values, requirements="W")
    placed = np.empty(size, np.int64)
    placed[codes] = values
    return placed


def _runs(values: Ints) -> list[slice]:
    """The rows of each run of equal values."""
    heads = np.flatnonzero(values[1:] != values[:-1]) + 1
    return [slice(*ends) for ends in pairwise([0, *heads.tolist(), values.size])] if values.size else []


class Sums:
    """One integer per code and kept sum; grows as codes do. `values[kept]` has a value for each code."""

    def __init__(self, kept: Iterable[Kept]) -> None:
        self.values: dict[Kept, Ints] = {one: np.zeros(0, np.int64) for one in kept}

    def grow(self, size: int) -> None:
        """Room for `size` codes, with zeros in the new ones."""
        for one, values in self.values.items():
            if size > values.size:
                self.values[one] = np.zeros(size, np.int64)
                self.values[one][: values.size] = values

    def add(self, codes: Ints, measures: Mapping[str, Ints], windows: Iterable[int]) -> None:
        for one in self._of(windows):
            np.add.at(self.values[one], codes, measures[one[0]])

    def subtract(self, codes: Ints, measures: Mapping[str, Ints], windows: Iterable[int]) -> None:
        for one in self._of(windows):
            np.subtract.at(self.values[one], codes, measures[one[0]])

    def clear(self, windows: Iterable[int]) -> None:
        for one in self._of(windows):
            self.values[one][:] = 0

    def _of(self, windows: Iterable[int]) -> list[Kept]:
        return [one for one in self.values if one[1] in set(windows)]


@dataclass(frozen=True)
class _Coded:
    """A day's tiles with codes for ids and cells, sorted by the day they became known; complete from `known_from` on."""

    known_from: int
    known: Ints
    entity: Ints
    cell: Ints
    measures: Mapping[str, Ints]
    last: Ints

    def known_in(self, since: int, until: int) -> _Coded:
        """The rows that became known in [since, until)."""
        first, end = np.searchsorted(self.known, [since, until])
        return self.rows(slice(int(first), int(end)), max(since, self.known_from))

    def rows(self, rows: slice, known_from: int) -> _Coded:
        measures = {name: values[rows] for name, values in self.measures.items()}
        return _Coded(known_from, self.known[rows], self.entity[rows], self.cell[rows], measures, self.last[rows])


_NO_CODED: Final = _Coded(NEVER, _NONE, _NONE, _NONE, NO_TILES.measures, _NONE)


@dataclass
class _Country:
    """The entities seen in a country: `cell[codes.of(ids)]` are their cells."""

    codes: Codes = field(default_factory=Codes)
    cell: Ints = field(default_factory=_NONE.copy)


class Rolling:
    """The facts of every entity of one kind, over all countries and per country (a cell), as of midnight `as_of`.

    Args:
        load: the tiles of a day; empty where it has none. Of the days before a state that was restored it is asked for
            those that leave a window.
        kept_per_cell: the sums kept per entity and country; per entity all of them are.
    """

    def __init__(self, load: Callable[[int], Tiles], kept_per_cell: Iterable[Kept]) -> None:
        self.as_of = NEVER
        self.entities = Codes()
        self.sums, self.cell_sums = Sums(EVERY_SUM), Sums([*kept_per_cell])
        self.last: Ints = np.empty(0, np.int64)
        self._cell_entity: Ints = np.empty(0, np.int64)
        self._countries: dict[int, _Country] = {}
        self._load = load
        self._days: dict[int, _Coded] = {}

    def advance(self, until: int) -> None:
        """Move to midnight `until`, any number of days ahead; `KeyRefused` if it lies behind."""
        since = self.as_of
        if until < since:
            raise KeyRefused(
                f"a state as of day {since} cannot move back to day {until}",
                place="Rolling.advance, days since 1970-01-01",
                repair="Give the dates in order, or start from a new state.",
            )
        if since != NEVER:
            self._forget(since, until)
        for day in range(until - LONGEST, until):
            self._see(day, since, until)
        self.as_of = until
        self._days = {day: tiles for day, tiles in self._days.items() if day >= until - LONGEST}

    def codes(self, ids: Ints, country: Ints) -> tuple[Ints, Ints]:
        """The entity code and the cell code of each pair of id and country number, made where they are new."""
        cell = np.empty(ids.size, np.int64)
        for rows in _runs(country):
            cell[rows] = self._cells_of(int(country[rows.start]), ids[rows])
        self.sums.grow(self.entities.keys.size)
        self.cell_sums.grow(self._cell_entity.size)
        if self.entities.keys.size > self.last.size:
            self.last = np.append(self.last, np.full(self.entities.keys.size - self.last.size, NEVER))
        return self._cell_entity[cell], cell

    def _cells_of(self, country: int, ids: Ints) -> Ints:
        """One search among the ids of a country finds the cell, which knows its entity."""
        here = self._countries.setdefault(country, _Country())
        code, known = here.codes.of(ids), here.cell.size
        new = here.codes.keys[known:]
        if new.size:
            first = self._cell_entity.size
            here.cell = np.append(here.cell, np.arange(first, first + new.size))
            self._cell_entity = np.append(self._cell_entity, self.entities.of(new))
        return here.cell[code]

    def restore(
        self,
        as_of: int,
        *,
        ids: Ints,
        country: Ints,
        sums: Mapping[Kept, Ints],
        cell_sums: Mapping[Kept, Ints],
        last: Ints,
        news: Tiles,
    ) -> None:
        """Take over a state as of midnight `as_of` where there is none; rows of one entity agree in `sums` and `last`.

        Args:
            ids, country: of each row, which is a cell. Rows of a country stand together, in the order of their ids, as in a
                snapshot, or else are sorted here.
            news: what became known on `as_of` or later of the days before it.
        """
        assert not self._cell_entity.size
        entity = self._cell_entity = self.entities.of(ids)
        for rows in _runs(country):
            here = self._countries.setdefault(int(country[rows.start]), _Country())
            code = here.codes.of(ids[rows])
            here.cell = np.resize(here.cell, here.codes.keys.size)
            here.cell[code] = np.arange(rows.start, rows.stop)
        size = self.entities.keys.size
        self.sums.values = {one: _placed(sums[one], entity, size) for one in self.sums.values}
        self.cell_sums.values = {one: _placed(cell_sums[one], entity, ids.size) for one in self.cell_sums.values}
        self.last = _placed(last, entity, size)
        self.as_of = as_of
        self._hold(news, as_of)

    def alive(self) -> npt.NDArray[np.bool_]:
        """For each cell, whether the longest window holds a visible play in it."""
        return self.cell_sums.values[LONGEST_PLAYS] > 0

    def cells_in(self, country: int, member: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """The cells of a country where `member` holds, in the order of their entity's id, and their entity codes."""
        here = self._countries.get(country, _Country())
        cells = here.cell[here.codes.in_order]
        cells = cells[member[cells]]
        return cells, self._cell_entity[cells]

    def _see(self, day: int, since: int, until: int) -> None:
        # A day not yet begun at `since` has no tile known before it; of an earlier one the news are held, if it has any.
        tiles = self._whole(day) if day >= since else self._days.get(day)
        if tiles and tiles.known.size and tiles.known[-1] >= since:
            new = tiles.known_in(since, until)
            windows = [days for days in WINDOWS if day >= until - days]
            self.sums.add(new.entity, new.measures, windows)
            self.cell_sums.add(new.cell, new.measures, windows)
            np.maximum.at(self.last, new.entity, new.last)

    def _forget(self, since: int, until: int) -> None:
        """Take away what leaves each window: all of it, or the days before its new first one."""
        emptied = [days for days in WINDOWS if days <= until - since]
        self.sums.clear(emptied)
        self.cell_sums.clear(emptied)
        left = [days for days in WINDOWS if days > until - since]
        for day in sorted({since - days + n for days in left for n in range(until - since)}):
            gone = self._whole(day).known_in(NEVER, since)
            windows = [days for days in left if since - days <= day < until - days]
            self.sums.subtract(gone.entity, gone.measures, windows)
            self.cell_sums.subtract(gone.cell, gone.measures, windows)

    def _whole(self, day: int) -> _Coded:
        held = self._days.get(day)
        if held is None or held.known_from != NEVER:
            self._days[day] = _NO_CODED
            self._hold(self._load(day), NEVER)
        return self._days[day]

    def _hold(self, tiles: Tiles, known_from: int) -> None:
        """Keep tiles by day, in the order in which they became known."""
        entity, cell = self.codes(tiles.ids, tiles.country)
        order = np.lexsort([tiles.known, tiles.day])
        measures = {name: values[order] for name, values in tiles.measures.items()}
        coded = _Coded(known_from, tiles.known[order], entity[order], cell[order], measures, tiles.last[order])
        day = tiles.day[order]
        for rows in _runs(day):
            self._days[int(day[rows.start])] = coded.rows(rows, known_from)
