"""The late ledger: plays that came after something had been made without them.

A partition made as known then is not rebuilt when a late play arrives (design, section 3): it shows what was known then. The
ledger says which partitions and models those are. For a partition that reads plays under a cut (nothing known from
00:00 UTC of a day on), a play is late iff

- it stands in a day and country that the partition's inputs name,
- its row entered `play_facts` after the version that the partition was first made from, and
- its `known_at` is not before the cut, so that no later run would show it either.

A partition without a cut (`known_by = "now"`) is judged by the version it was last made from: the next run takes such plays in.
A partition that reads no plays itself (rankers) has the late plays of the partitions it reads; metrics read plays.

Nothing is written for this: versions, fingerprints and manifests of the lake tell it. *Ana's evening* (clock.py), delivered
on the 12th, is late for the training sets of the 10th and 11th and for the models of the 11th and 12th.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.clock import midnight
from rec_platform.config import Settings, TrainingConfig
from rec_platform.contexts.known_by import THEN
from rec_platform.flow.index import Index
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.stage import Input, Stage
from rec_platform.tables import PLAY_FACTS, PROFILE_TILES, TITLE_TILES
from rec_platform.timetravel.revisions import instants

Ids = npt.NDArray[np.int64]

#: Tables whose rows are plays, cell by cell: one stage makes them together, so equal fingerprints are equal plays.
PLAY_TABLES: Final = (PLAY_FACTS.name, TITLE_TILES.name, PROFILE_TILES.name)
_NOBODY: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Late:
    """A partition and the late plays it was made without.

    Attributes:
        stage: the stage that made it.
        plays, profiles: how many late plays, of how many profiles.
        played_from, played_to, known_from: when the first and last of them began, and when the first became known.
        numbers: which plays: numbers of `Ledger.plays`; equal numbers, equal plays.
        known_by: by what it was made: `then`, `now`, or an instant.
    """

    stage: str
    partition: Partition
    plays: int
    profiles: int
    played_from: int
    played_to: int
    known_from: int
    numbers: Ids = field(repr=False, compare=False)
    known_by: str = THEN


@dataclass(frozen=True)
class Ledger:
    """Every published partition that was made without plays that came later.

    Attributes:
        lines: by stage in flow order, then partition.
    """

    lines: tuple[Late, ...]
    _arrivals: Arrivals

    def between(self, first: date, last: date) -> Ledger:
        """The partitions from `first` to `last`, both included."""
        return Ledger(tuple(one for one in self.lines if first <= one.partition.day <= last), self._arrivals)

    def together(self, lines: Sequence[Late]) -> Late:
        """The late plays of some of its lines, each counted once, under the stage and partition of the first."""
        ids = _union(line.numbers for line in lines)
        return self._arrivals.told(lines[0].stage, lines[0].partition, ids, lines[0].known_by)

    def plays(self, numbers: Ids) -> dict[Partition, Ids]:
        """Where the plays of these numbers stand: their rows in each day and country of `play_facts`, ascending."""
        return self._arrivals.places(numbers)


def ledger(lake: Lake, index: Index, stages: Mapping[str, Stage], settings: Settings) -> Ledger:
    """The late ledger of what stands: see the module."""
    arrivals = Arrivals(lake, index)
    late: dict[tuple[str, Partition], Ids] = {}
    found: list[Late] = []
    for stage in stages.values():
        if any(spec.name in PLAY_TABLES for spec in stage.tables):
            continue
        for partition, made in sorted(_made(lake, index, stage).items(), key=lambda pair: pair[0].key):
            ids = _late_of(partition, made, stage, settings, index, arrivals, late)
            if len(ids):
                late |= {(spec.name, partition): ids for spec in stage.tables}
                found.append(arrivals.told(stage.name, partition, ids, made.known_by))
    return Ledger(tuple(found), arrivals)


@dataclass(frozen=True)
class _Made:
    """A partition's first and newest making: the versions of the tables it read, and by what `known_by`."""

    first: Mapping[str, int]
    newest: Mapping[str, int]
    known_by: str


def _made(lake: Lake, index: Index, stage: Stage) -> dict[Partition, _Made]:
    spec = stage.tables[0]
    standing, made = index.state(spec.name), dict[Partition, _Made]()
    for manifest in reversed(lake.manifests(spec.name, index.versions.get(spec.name))):
        for key, entry in manifest["partitions"].items():
            partition = Partition.parse(key)
            if partition in standing and entry["rows"] >= 0 and not entry.get("stale"):
                first = made[partition].first if partition in made else manifest["inputs"]
                made[partition] = _Made(first, manifest["inputs"], manifest["config"].get("known_by", THEN))
    return made


def _late_of(
    partition: Partition, made: _Made, stage: Stage, settings: Settings, index: Index, arrivals: Arrivals,
    late: Mapping[tuple[str, Partition], Ids],
) -> Ids:  # fmt: skip
    as_made = settings.model_copy(update={"training": TrainingConfig(known_by=made.known_by)})
    inputs = stage.inputs(partition, as_made)
    direct = [one for one in inputs if one.table in PLAY_TABLES]
    if direct:
        return _union(
            arrivals.late(one, (made.newest if one.cut is None else made.first).get(one.table, -1)) for one in direct
        )
    return _union(late.get((one.table, read), _NOBODY) for one in inputs for read in index.partitions(one))


def _union(parts: Iterable[Ids]) -> Ids:
    return np.unique(np.concatenate([_NOBODY, *parts]))


@dataclass(frozen=True)
class _Cells:
    """Days and countries of a table of plays, with the version that last changed each and all fingerprints it had."""

    cells: tuple[Partition, ...]
    days: Ids
    versions: Ids
    fingerprints: Mapping[Partition, Sequence[tuple[int, str]]]

    def changed_since(self, version: int, one: Input) -> Iterator[Partition]:
        """The cells that an input names and that changed after a version."""
        inside = self.versions > version
        if one.first is not None and one.last is not None:
            inside &= (self.days >= one.first.toordinal()) & (self.days <= one.last.toordinal())
        for row in np.flatnonzero(inside):
            cell = self.cells[row]
            if one.every_country or (one.countries is not None and cell.country in one.countries):
                yield cell

    def fingerprint(self, cell: Partition, version: int) -> str | None:
        """What the cell was made from at a version; None where it was not there yet."""
        had = [made_from for since, made_from in self.fingerprints[cell] if since <= version]
        return had[-1] if had else None


@dataclass
class Arrivals:
    """When plays entered. A play is known by a number of its own, the same wherever it is met in one ledger."""

    lake: Lake
    index: Index
    _rows: dict[Partition, tuple[int, dict[str, Ids]]] = field(default_factory=dict)
    _entered: dict[tuple[Partition, str | None], Ids] = field(default_factory=dict)
    _tables: dict[str, _Cells] = field(default_factory=dict)
    _asked: dict[tuple[Input, int], Ids] = field(default_factory=dict)
    _joined: dict[str, tuple[int, Ids]] = field(default_factory=dict)

    def late(self, one: Input, version: int) -> Ids:
        """The plays an input names that entered after a version of its table and that its cut hides."""
        if (one, version) not in self._asked:
            cells = self._cells(one.table)
            found = [
                self._hidden(self._entered_since(cell, cells.fingerprint(cell, version)), cell, one.cut)
                for cell in cells.changed_since(version, one)
            ]
            self._asked[one, version] = _union(found)
        return self._asked[one, version]

    def told(self, stage: str, partition: Partition, ids: Ids, known_by: str) -> Late:
        """A ledger's line about some plays."""
        known, played, profile = (self._values(ids, name) for name in (c.KNOWN_AT, c.PLAYED_AT, c.PROFILE))
        return Late(
            stage, partition, len(ids), len(np.unique(profile)), int(played.min()), int(played.max()), int(known.min()),
            ids, known_by,
        )  # fmt: skip

    def places(self, ids: Ids) -> dict[Partition, Ids]:
        """The rows in which plays stand, by day and country."""
        bases = np.array([base for base, _ in self._rows.values()], dtype=np.int64)
        cell = np.searchsorted(bases, ids, side="right") - 1
        cells = list(self._rows)
        return {cells[one]: ids[cell == one] - bases[one] for one in np.unique(cell).tolist()}

    def _cells(self, name: str) -> _Cells:
        if name not in self._tables:
            had: dict[Partition, list[tuple[int, str]]] = {}
            for manifest in reversed(self.lake.manifests(name, self.index.versions.get(name))):
                for key, entry in manifest["partitions"].items():
                    if entry["rows"] >= 0 and not entry.get("stale"):
                        had.setdefault(Partition.parse(key), []).append((manifest["version"], entry["fingerprint"]))
            days = np.array([cell.day.toordinal() for cell in had], dtype=np.int64)
            newest = np.array([made[-1][0] for made in had.values()], dtype=np.int64)
            self._tables[name] = _Cells(tuple(had), days, newest, had)
        return self._tables[name]

    def _entered_since(self, cell: Partition, made_from: str | None) -> Ids:
        """The plays that stand in the cell now and did not when it was made from that."""
        if (cell, made_from) not in self._entered:
            base, rows = self._current(cell)
            new = np.ones(len(rows[c.PLAY_ID]), dtype=np.bool_)
            if made_from is not None:
                new = ~np.isin(rows[c.PLAY_ID], self._play_ids(cell, made_from))
            self._entered[cell, made_from] = base + np.flatnonzero(new)
        return self._entered[cell, made_from]

    def _play_ids(self, cell: Partition, made_from: str) -> Ids:
        versions = [since for since, known in self._cells(PLAY_FACTS.name).fingerprints[cell] if known == made_from]
        if not versions:
            return _NOBODY
        return instants(self.lake.read(PLAY_FACTS.name, [cell], [c.PLAY_ID], versions[-1]).column(c.PLAY_ID))

    def _current(self, cell: Partition) -> tuple[int, dict[str, Ids]]:
        """The cell's plays as they stand, and the number of the first of them."""
        if cell not in self._rows:
            names = [c.PLAY_ID, c.PROFILE, c.PLAYED_AT, c.KNOWN_AT]
            table = self.lake.read(PLAY_FACTS.name, [cell], names, self.index.versions.get(PLAY_FACTS.name))
            base = sum(len(rows[c.PLAY_ID]) for _, rows in self._rows.values())
            self._rows[cell] = (base, {name: instants(table.column(name)) for name in names})
        return self._rows[cell]

    def _hidden(self, ids: Ids, cell: Partition, cut: date | None) -> Ids:
        if cut is None or not len(ids):
            return ids
        base, rows = self._current(cell)
        return ids[rows[c.KNOWN_AT][ids - base] >= midnight(cut)]

    def _values(self, ids: Ids, name: str) -> Ids:
        held, values = self._joined.get(name, (0, _NOBODY))
        if held < len(self._rows):  # a big ledger asks thousands of times, and cells only come
            values = np.concatenate([rows[name] for _, rows in self._rows.values()])
            self._joined[name] = len(self._rows), values
        return values[ids]


def counts(found: Ledger, stages: Mapping[str, Stage]) -> dict[str, int]:
    """How many partitions of each table stand in a ledger."""
    by_stage: dict[str, int] = {}
    for one in found.lines:
        by_stage[one.stage] = by_stage.get(one.stage, 0) + 1
    return {spec.name: number for stage, number in by_stage.items() for spec in stages[stage].tables}
