"""Contexts and items that facts are asked about: as codes, in runs of one profile and place, with the moves of each window."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel import kernels
from rec_platform.timetravel.histories import Histories, Moves
from rec_platform.timetravel.kernels import Bools, Float64, Int32, Int64
from rec_platform.timetravel.zones import Zones

Values = Float64 | Int64


@dataclass(frozen=True)
class Asked:
    """Contexts and items as codes, in runs: by profile (as plays stand, too), place and time; `opens` where a run begins."""

    histories: Histories
    profile: Int32
    place: Int32
    at: Int64
    offsets: Int64
    item: Int32
    _moves: dict[tuple[int, str], Moves] = field(default_factory=dict)
    _local: dict[tuple[str, int], tuple[Int32, Int32]] = field(default_factory=dict)

    @cached_property
    def opens(self) -> Bools:
        opens = np.ones(len(self.at), dtype=np.bool_)
        opens[1:] = (self.profile[1:] != self.profile[:-1]) | (self.place[1:] != self.place[:-1])
        return opens

    def local(self, entity: str, window: int, zones: Zones) -> tuple[Int32, Int32, int]:
        """The local hour or weekday of a window's moves and of each context, and how many there may be."""
        moves, hours = self.moves(window), entity == "profile_hour"
        if (entity, window) not in self._local:
            self._local[entity, window] = kernels.local_keys(
                moves.bounds, moves.moves, self.histories.played, self.at, self.place, zones.starts, zones.begins,
                zones.offsets, hours,
            )  # fmt: skip
        return (*self._local[entity, window], 24 if hours else 7)

    @property
    def in_runs(self) -> bool:
        """Whether they stand as promised."""
        if len(self.at) < 2:
            return True
        by_profile, by_place, by_time = np.diff(self.profile), np.diff(self.place), np.diff(self.at)
        later = (by_profile == 0) & ((by_place > 0) | ((by_place == 0) & (by_time >= 0)))
        return bool(((by_profile > 0) | later).all())

    def moves(self, window: int) -> Moves:
        """The moves of a window."""
        if (window, "") not in self._moves:
            self._moves[window, ""] = self.histories.moves(self.profile, self.at, self.opens, window)
        return self._moves[window, ""]

    def moves_between(self, changes: Int64, name: str, window: int) -> Moves:
        """The moves of a window where runs end at some instants, too; `name` is the instants'."""
        before = np.searchsorted(changes, self.at)
        opens = self.opens.copy()
        opens[1:] |= before[1:] != before[:-1]
        if (opens == self.opens).all():
            return self.moves(window)
        if (window, name) not in self._moves:
            self._moves[window, name] = self.histories.moves(self.profile, self.at, opens, window)
        return self._moves[window, name]


def put_back(values: Values, order: npt.NDArray[np.intp]) -> Values:
    out = np.empty_like(values)
    out[order] = values
    return out


def rows_of(offsets: Int64, members: npt.NDArray[np.intp]) -> tuple[Int64, Int64]:
    """The item rows of some contexts, and their own offsets."""
    lengths = np.diff(offsets)[members]
    inner = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(inner[-1]) + np.repeat(offsets[:-1][members] - inner[:-1], lengths), inner
