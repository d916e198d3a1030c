"""What titles have by tick, and by country and tick: encoded once for all contexts that share it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Final

import numpy as np

from rec_platform.features.asked import Asked, numbered
from rec_platform.features.feature_set import FeatureSet, Grain
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Bools, Float32, Int64

#: Items of a chunk of contexts, and titles encoded at a time: what is in float64 then, so that it stays in the processor's
#: caches. Half as many have more calls each (a tenth of `in_runs`); four times as many take a fifth less in one thread of a
#: warm process, and more than they save for memory never touched before in two threads of a fresh one.
CHUNK: Final = 1 << 18


class Stretch:
    """Contexts that titles' features are written of together, in groups: those in one country between two ticks.

    Attributes:
        members: the contexts, ascending.
        some: a context of each group, groups ascending with time.
        group: the group of each context.
        wanted: bool (groups, 1 + titles): the titles that contexts of a group ask for; the first stands for all that the
            timeline does not know.
    """

    def __init__(self, asked: Asked, members: Int64, tick: int, n_titles: int) -> None:
        self.asked, self.members = asked, members
        first, self.group = numbered(asked.groups(members, Grain(tick, apart=True)))
        self.some = members[first]
        self.wanted = np.zeros((len(first), 1 + n_titles), dtype=np.bool_)
        kernels.mark(self.wanted, self.group, *asked.ends(members), asked.title)


class Table:
    """The features of a grain, encoded once for each title that a context of a group asks for.

    Groups are the contexts of the grain: one or more groups of the stretch.

    Attributes:
        group: the group of each of the stretch's contexts.
        values: float32 (features, groups, 1 + titles), made for those that contexts ask for.
    """

    def __init__(self, part: FeatureSet, grain: Grain, stretch: Stretch) -> None:
        self._part, self._asked = part, stretch.asked
        first, place = numbered(stretch.asked.groups(stretch.some, grain))
        self._some, self.group = stretch.some[first], place[stretch.group]
        wanted = np.zeros((len(first), stretch.wanted.shape[1]), dtype=np.bool_)
        for mine, titles in zip(place, stretch.wanted, strict=True):
            wanted[mine] |= titles
        self.values = _ROOM.of((len(part.names), *wanted.shape), grain)
        for piece in self._pieces(wanted):
            self._fill(piece, wanted[piece])

    @staticmethod
    def _pieces(wanted: Bools) -> Iterator[slice]:
        """Groups in order, with about a chunk of titles asked for."""
        ends = np.cumsum(np.count_nonzero(wanted, axis=1))
        cuts = np.flatnonzero(np.diff(ends // CHUNK)) + 1
        yield from (slice(int(a), int(b)) for a, b in itertools.pairwise([0, *cuts, len(ends)]))

    def _fill(self, piece: slice, wanted: Bools) -> None:
        """Read the facts of some groups' titles, and encode them."""
        some, (bounds, title) = self._some[piece], kernels.marked(wanted)
        values = self._asked.read(self._asked.of_members(some), bounds, title, self._part.needed)
        values |= {name: self._asked.columns[name][some] for name in self._part.columns}
        for name, feature in self._part.encode(values, np.diff(bounds)):
            mine = self.values[self._part.names.index(name), piece]
            kernels.enter(kernels.plain(feature, np.float64), bounds, title, mine)


class _Room(threading.local):
    """Memory of a thread for the values of tables, one after another: fresh memory costs more than filling it."""

    def __init__(self) -> None:
        self._held: dict[Grain, Float32] = {}

    def of(self, shape: tuple[int, ...], use: Grain) -> Float32:
        """An array of some shape, with anything in it, that the next of the same use may overwrite."""
        size = int(np.prod(shape))
        if use not in self._held or len(self._held[use]) < size:
            self._held[use] = np.empty(size, dtype=np.float32)
        return self._held[use][:size].reshape(shape)


_ROOM: Final = _Room()
