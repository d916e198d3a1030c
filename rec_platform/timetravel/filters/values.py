"""What a filter reads: its columns, and their values over some plays with their titles and local clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.config import SourceRules
from rec_platform.tables import PLAY_FACTS, TITLES
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids, Texts
from rec_platform.timetravel.revisions import instants, ordered
from rec_platform.timetravel.zones import Zones

Kind = Literal["number", "text", "texts", "id", "instant", "duration", "condition", "nothing"]

_IDS: Final = (c.PLAY_ID, c.PROFILE, c.TITLE, c.SESSION_ID)


def _kind(column: pa.Field) -> Kind:
    if column.name in _IDS:
        return "id"
    if pa.types.is_list(column.type):
        return "texts"
    if pa.types.is_timestamp(column.type):
        return "instant"
    return "text" if pa.types.is_string(column.type) else "number"


#: What a filter may read of a play, and what kind of thing it is.
OF_PLAYS: Final[dict[str, Kind]] = {
    **{column.name: _kind(column) for column in PLAY_FACTS.schema}, c.COUNTRY: "text"
}  # fmt: skip
#: What it may read of the play's title.
OF_TITLES: Final[dict[str, Kind]] = {
    column.name: _kind(column) for column in TITLES.schema if column.name not in (c.TITLE, c.KNOWN_AT)
}
#: When the play began, on the clock of its country.
OF_CLOCKS: Final[dict[str, Kind]] = {"hour": "number", "weekday": "number"}
COLUMNS: Final = {**OF_PLAYS, **OF_TITLES, **OF_CLOCKS}
#: The one type in which values of a kind are compared; int64 for the rest.
ARROW: Final[dict[str, pa.DataType]] = {"number": pa.float64(), "text": pa.string(), "id": pa.int64()}


@dataclass(frozen=True)
class Node:
    """A piece of a condition: its kind, and its values over some plays. `constant` for what was written out."""

    kind: Kind
    of: Callable[[Plays], Any]
    constant: Any = None


def constant(kind: Kind, value: Any) -> Node:
    """What is written out, as one value for all plays."""
    boxed = pa.scalar(value, ARROW.get(kind, pa.int64())) if kind != "number" else pa.scalar(float(value))
    return Node(kind, lambda _: boxed, value)


def number(values: Any) -> Any:
    """Numbers with what is none (x / 0, too) missing."""
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


@dataclass(frozen=True)
class Revisions:
    """The rows of `titles` in order of (title, known_at)."""

    ids: Ids
    starts: npt.NDArray[np.int64]
    known: npt.NDArray[np.int64]
    rows: pa.Table

    @classmethod
    def of(cls, titles: pa.Table) -> Revisions:
        ids = Ids.of(titles.column(c.TITLE))
        return cls(ids, *ordered(titles, c.TITLE, ids))


@dataclass(frozen=True)
class Plays:
    """Some plays with their titles: the columns of a condition, missing values as nulls."""

    plays: pa.Table | pa.RecordBatch
    titles: Revisions
    rules: SourceRules

    def column(self, name: str) -> pa.ChunkedArray | pa.Array:
        if name in OF_CLOCKS:
            return self._clock[name]
        if name in OF_PLAYS:
            return _plain(self.plays.column(name), OF_PLAYS[name])
        if OF_TITLES[name] == "texts":
            return self.titles.rows.column(name).take(self._revision)
        return _plain(self.titles.rows.column(name), OF_TITLES[name]).take(self._revision)

    def holding(self, name: str, text: str) -> pa.ChunkedArray:
        """Whether the title's list has the text in it: looked up once per row of `titles`, then per play."""
        lists = self.titles.rows.column(name).combine_chunks()
        has = np.zeros(len(lists), dtype=bool)
        found = pc.fill_null(pc.equal(pc.list_flatten(lists), text), False)
        has[pc.list_parent_indices(lists).filter(found).to_numpy()] = True
        return pa.array(has, mask=lists.is_null().to_numpy(zero_copy_only=False)).take(self._revision)

    @cached_property
    def _revision(self) -> pa.Array:
        """The row of `titles` that counts for each play: the newest visible when the play is first seen."""
        known = np.maximum(instants(self.plays.column(c.PLAYED_AT)), instants(self.plays.column(c.KNOWN_AT)))
        code = self.titles.ids.codes(instants(self.plays.column(c.TITLE)))
        row = kernels.revisions_at(self.titles.starts, self.titles.known, code, known + 1)
        return pa.array(row, mask=row < 0)

    @cached_property
    def _clock(self) -> dict[str, pa.Array]:
        countries = Texts.of(self.plays.column(c.COUNTRY))
        zones = Zones.of(countries.texts, self.rules.time_zones)
        code, local = countries.codes(self.plays.column(c.COUNTRY)), instants(self.plays.column(c.PLAYED_AT)).copy()
        for place in range(len(countries)):
            mine, steps = code == place, slice(zones.starts[place], zones.starts[place + 1])
            step = np.searchsorted(zones.begins[steps], local[mine], side="right") - 1
            local[mine] += zones.offsets[steps][step]
        day = local // DAY
        # 1970-01-01 was a Thursday
        return {
            "hour": pa.array(((local - day * DAY) // HOUR).astype(np.float64)),
            "weekday": pa.array(((day + 3) % 7).astype(np.float64)),
        }


def _plain(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """A column in the one type of its kind; NaN is missing."""
    if kind == "number":
        return number(column.cast(pa.float64(), safe=False))
    return column.cast(ARROW.get(kind, pa.int64()))


def unboxed(found: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(found.to_numpy(zero_copy_only=False))
