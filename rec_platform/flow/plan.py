"""What a run over a window will do, partition by partition, before it does anything.

`plan_stage` says what is stale as things stand, but a run changes things as it goes: a late delivery makes raw plays stale,
and whether their facts are made again hangs on what those plays turn out to be, since fingerprints are over contents. So
the stages are planned in order, each on an index that also knows what the stages before it are going to make:

    to make               will be made, and all it reads is there
    after earlier stages  will be made, and reads something that an earlier stage of this run has to make first
    if input changes      stands, and is made again only if something it reads is made again and turns out different
    up to date            nothing it reads will be touched: it will be left alone
    cannot be made        reads something that is not there, or is not good, and that this run does not make

Said as far as it can be: every partition that is to be made may still break a check, and what reads it is then blocked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from rec_platform.config import Settings
from rec_platform.flow.index import Index, wanted
from rec_platform.flow.lacking import Lacking, lacking_of
from rec_platform.flow.run import plan_stage
from rec_platform.flow.window import Window, needed
from rec_platform.lake import PartitionState
from rec_platform.partition import Partition
from rec_platform.stage import Input, Stage


class Fate(StrEnum):
    """What will become of a partition: see the module."""

    MAKE = "to make"
    AFTER = "after earlier stages"
    IF_CHANGED = "if input changes"
    CURRENT = "up to date"
    CANNOT = "cannot be made"


@dataclass(frozen=True)
class Planned:
    """A stage of a plan.

    Attributes:
        fates: of every partition that the window needs, in order.
        reasons: why, of those that cannot be made.
        lacking: of those that stand without what raised when it was made, what that is; it is tried again.
    """

    stage: str
    fates: Mapping[Partition, Fate]
    reasons: Mapping[Partition, str]
    lacking: Lacking = field(default_factory=dict)

    def those(self, fate: Fate) -> list[Partition]:
        return [partition for partition, its in self.fates.items() if its is fate]


def foreseen(
    index: Index, stages: Iterable[Stage], window: Window, settings: Settings, *, force: bool, allow_stale: bool
) -> list[Planned]:
    """What a run over a window would do, by stage in the order given. `index` is not touched."""
    ahead = Ahead(index)
    return [
        _planned(ahead, stage, needed(stage.name, window, index, settings), settings, force, allow_stale)
        for stage in stages
    ]


Places = dict[date | None, set[str]]


class Ahead(Index):
    """An index on which a plan notes what stages will make. What never stood stands, empty, as soon as it is expected."""

    def __init__(self, index: Index) -> None:
        super().__init__(index.lake, index.versions)
        self._expected: dict[str, Mapping[Partition, PartitionState]] = {}
        self._to_come: dict[str, Places] = {}
        self._new: dict[str, Places] = {}

    def state(self, name: str) -> Mapping[Partition, PartitionState]:
        return self._expected[name] if name in self._expected else super().state(name)

    def _hole_states(self, name: str) -> Mapping[Partition, PartitionState]:
        there = self.state(name)
        return {partition: hole for partition, hole in super()._hole_states(name).items() if partition not in there}

    def expect(self, names: Iterable[str], certain: Sequence[Partition], perhaps: Sequence[Partition]) -> None:
        """Tables of which these partitions will be made for certain, and these perhaps."""
        for name in names:
            there = self.state(name)
            new = [one for one in certain if one not in there or there[one].stale]
            made = {one: replace(there[one], stale="") if one in there else PartitionState(0, "") for one in new}
            self._expected[name] = {**there, **made}
            self._new[name], self._to_come[name] = _places(new), _places([*certain, *perhaps])
            self.forget(name)

    def touched(self, inputs: Iterable[Input]) -> bool:
        """Whether something these name will be made, or perhaps made, by an earlier stage."""
        return any(self._meets(self._to_come.get(one.table, {}), one) for one in inputs)

    def waits(self, inputs: Iterable[Input]) -> bool:
        """Whether something these name is not there, or not good, before an earlier stage has made it."""
        return any(self._meets(self._new.get(one.table, {}), one) for one in inputs)

    def _meets(self, places: Places, one: Input) -> bool:
        days = {one.first} & places.keys() if one.first is not None and one.first == one.last else places.keys()
        return any(self._covers(one, day) and any(wanted(one, place) for place in places[day]) for day in days)


def _places(partitions: Iterable[Partition]) -> Places:
    """Countries by day; '' and None of a table without them."""
    found: Places = {}
    for partition in partitions:
        found.setdefault(partition.date, set()).add(partition.country or "")
    return found


def _planned(
    ahead: Ahead, stage: Stage, partitions: Sequence[Partition], settings: Settings, force: bool, allow_stale: bool
) -> Planned:
    """The fates of a stage's partitions, which are noted for the stages after it."""
    todo = plan_stage(ahead, stage, partitions, settings, force=force, allow_stale=allow_stale)
    inputs = {one: stage.inputs(one, settings) for one in [*todo.stale, *todo.current]}
    touched = [one for one, named in inputs.items() if ahead.touched(named)]
    anyway = touched if force else _made_anyway(ahead, stage, touched, settings)
    left = [] if allow_stale else [one for one in touched if one in todo.behind]
    reasons = {**todo.blocked, **{one: f"its input cannot be made again ({todo.behind[one]})" for one in left}}
    fates = dict.fromkeys(todo.stale, Fate.MAKE) | dict.fromkeys(todo.current, Fate.CURRENT)
    fates |= dict.fromkeys(touched, Fate.IF_CHANGED)
    fates |= {one: Fate.AFTER if ahead.waits(inputs[one]) else Fate.MAKE for one in anyway}
    fates |= dict.fromkeys(reasons, Fate.CANNOT)
    lacking = lacking_of(ahead, stage, todo.stale)
    found = Planned(stage.name, {one: fates[one] for one in sorted(fates)}, reasons, lacking)
    names = [spec.name for spec in stage.tables]
    ahead.left_behind(names, {**todo.behind, **reasons})
    ahead.expect(names, found.those(Fate.MAKE) + found.those(Fate.AFTER), found.those(Fate.IF_CHANGED))
    return found


def _made_anyway(ahead: Ahead, stage: Stage, partitions: Sequence[Partition], settings: Settings) -> list[Partition]:
    """Those that will be made whatever their inputs turn out to be.

    They never stood, or are not good or not whole, or were made by another configuration, code version or seed.
    """
    if not partitions:
        return []
    of_now = _settings(stage.code_version, stage.config(settings), settings.seed)
    made_so: dict[str, set[int]] = {}
    for spec in stage.tables:
        manifests = ahead.lake.manifests(spec.name, ahead.versions.get(spec.name))
        told = {one["version"]: _settings(one["code_version"], one["config"], one["seed"]) for one in manifests}
        made_so[spec.name] = {version for version, settings_then in told.items() if settings_then == of_now}

    def stands(partition: Partition, name: str) -> bool:
        state = ahead.state(name).get(partition)
        return state is not None and state.whole and state.version in made_so[name]

    return [one for one in partitions if not all(stands(one, name) for name in made_so)]


def _settings(code_version: int, config: Mapping[str, object], seed: int) -> str:
    """What a fingerprint covers besides inputs."""
    return json.dumps([code_version, config, seed], sort_keys=True, default=str)
