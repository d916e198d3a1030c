"""Run one stage: decide what is stale, build it, audit it, publish what passed in one commit."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rec_platform.checks import CheckResult, audit, cost
from rec_platform.config import Settings
from rec_platform.errors import AuditFailed, Incomplete, MissingInput, PlatformError, StorageFault
from rec_platform.flow.earlier import earlier_of
from rec_platform.flow.index import Index, Resolved, of_recipe, recipe
from rec_platform.flow.lacking import Lacking, lacks_told
from rec_platform.flow.reader import LakeReader
from rec_platform.flow.standing import standing_of
from rec_platform.lake import Lake, Manifest, Staged, Staging, remove_left
from rec_platform.partition import Partition
from rec_platform.stage import Built, Earlier, Input, Stage, Standing

#: Libraries that can change numbers; their versions stand in every manifest.
_LIBRARIES: Final = ("numpy", "pyarrow", "duckdb", "pandas", "scipy", "scikit-learn", "xgboost", "implicit", "numba")

Progress = Callable[[str, float], None]


def quiet(_what: str, _share: float) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Todo:
    """What running a stage over some partitions would do.

    Attributes:
        behind: of those that are current or blocked, the ones whose input this run should have made again and did not:
            which input, and why.
    """

    stale: Mapping[Partition, str]
    current: tuple[Partition, ...]
    blocked: Mapping[Partition, str]
    behind: Mapping[Partition, str] = field(default_factory=dict)
    holes: tuple[str, ...] = ()
    used_stale: tuple[str, ...] = ()

    @property
    def not_built(self) -> dict[Partition, str]:
        """What is left as it is: '' where that is right, the reason where it is not."""
        return {**dict.fromkeys(self.current, ""), **self.blocked, **self.behind}


@dataclass(frozen=True)
class Report:
    """What running a stage did.

    Attributes:
        published: rows per table for every partition that passed.
        current: partitions that were up to date and left alone.
        failed: partitions that broke a blocking check, with the checks.
        blocked: partitions whose input is missing or stale, with the reason.
        checks: every check result, passed ones too.
        versions: the table versions after the run.
        extra: what the stage said of each partition.
        cpu_seconds: what parts of the work took for each partition, as the stage counted them.
        lacking: what could not be made of partitions that were built without it.
        raised: what building raised; what was built before is among the others.
    """

    stage: str
    published: Mapping[Partition, Mapping[str, int]] = field(default_factory=dict)
    current: tuple[Partition, ...] = ()
    failed: Mapping[Partition, str] = field(default_factory=dict)
    blocked: Mapping[Partition, str] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[Partition, Mapping[str, Any]] = field(default_factory=dict)
    cpu_seconds: Mapping[Partition, Mapping[str, float]] = field(default_factory=dict)
    lacking: Lacking = field(default_factory=dict)
    raised: Exception | None = None

    @property
    def ok(self) -> bool:
        return not self.failed and not self.blocked and not self.lacking and self.raised is None

    def raise_if_failed(self) -> None:
        """Raise what building raised, or for what did not get published, or not whole, naming it and why.

        Of several kinds the others are notes.
        """
        faults = list(self._faults())
        for other in faults[1:]:
            faults[0].add_note(str(other))
        if faults:
            raise faults[0]

    def _faults(self) -> Iterator[Exception]:
        place = f"stage {self.stage}"
        if self.raised is not None:
            yield self.raised
        if self.failed:
            repair = "The rest was published. Correct the source and run again; readers keep the last good version."
            yield AuditFailed(_listing(self.failed, 3), place=place, repair=repair)
        if self.blocked:
            repair = "Correct what is said there, if anything is, and `rec-platform run`: it makes what these need."
            yield MissingInput(_listing(self.blocked, 1), place=place, repair=repair)
        if self.lacking:
            repair = "All else was made, and serves later stages. Correct what is said there, and `rec-platform run` makes it."
            yield Incomplete("; ".join(lacks_told(self.lacking)), place=place, repair=repair)


def _listing(reasons: Mapping[Partition, str], most: int) -> str:
    shown = [f"{partition.key}: {reason}" for partition, reason in list(reasons.items())[:most]]
    more = f" (and {len(reasons) - most} more)" if len(reasons) > most else ""
    return "; ".join(shown) + more


def plan_stage(
    index: Index, stage: Stage, partitions: Sequence[Partition], settings: Settings, *, force: bool, allow_stale: bool
) -> Todo:
    """Which of the partitions are stale (with their fingerprint), current, or blocked by their inputs."""
    made_by = recipe(stage.name, stage.code_version, stage.config(settings), settings.seed)
    stale: dict[Partition, str] = {}
    current: list[Partition] = []
    blocked: dict[Partition, str] = {}
    behind: dict[Partition, str] = {}
    holes: set[str] = set()
    used: set[str] = set()
    for partition in sorted(set(partitions), key=lambda p: (p.date is None, p)):
        resolved = index.resolve(stage.inputs(partition, settings))
        made_from = of_recipe(made_by, resolved)
        is_current = not force and _is_current(index, stage, partition, made_from)
        reason = _forbids(resolved, is_current=is_current, allow_stale=allow_stale)
        if resolved.behind and (reason or is_current):
            behind[partition] = resolved.behind[0]
        if reason:
            blocked[partition] = reason
            continue
        holes.update(resolved.holes)
        used.update(resolved.stale)
        used.update(() if is_current else resolved.behind)
        if is_current:
            current.append(partition)
        else:
            stale[partition] = made_from
    return Todo(stale, tuple(current), blocked, behind, tuple(sorted(holes)), tuple(sorted(used)))


def note_left_behind(index: Index, stage: Stage, todo: Todo) -> None:
    """Note in an index what a stage leaves as it is, so that stages after it do not take for new what is not."""
    index.left_behind([spec.name for spec in stage.tables], todo.not_built)


def _forbids(resolved: Resolved, *, is_current: bool, allow_stale: bool) -> str:
    if resolved.missing:
        more = f" and {len(resolved.missing) - 1} more" if len(resolved.missing) > 1 else ""
        return f"never published: {resolved.missing[0]}{more}"
    if resolved.stale and not allow_stale:
        return f"its input is stale ({resolved.stale[0]}); --allow-stale uses the last good version"
    if resolved.behind and not (is_current or allow_stale):
        return f"its input was not made again ({resolved.behind[0]}); --allow-stale uses what is there"
    return ""


def _is_current(index: Index, stage: Stage, partition: Partition, made_from: str) -> bool:
    for spec in stage.tables:
        state = index.state(spec.name).get(partition)
        if state is None or state.fingerprint != made_from or not state.whole:
            return False
    return True


def run_stage(
    lake: Lake,
    stage: Stage,
    partitions: Sequence[Partition],
    settings: Settings,
    *,
    index: Index,
    run_id: str,
    force: bool = False,
    allow_stale: bool = False,
    progress: Progress = quiet,
) -> Report:
    """Bring the partitions of a stage up to date.

    Builds only what is stale (all with `force`, and then from nothing but the inputs), audits it in staging, commits all
    that passed in one commit per table and marks what failed. Returns what happened; `Report.raise_if_failed` turns
    failures, and what partitions were built without, into an error. `index` is advanced to the new versions.

    Where building raises, what was built before is audited and published all the same, and the error stands in the report.
    What was not built, or is blocked, is noted in `index`: nothing later in this run is made from it unless `allow_stale`.

    Raises:
        StorageFault: files could not be read or written; nothing was published.
    """
    todo = plan_stage(index, stage, partitions, settings, force=force, allow_stale=allow_stale)
    note_left_behind(index, stage, todo)
    names = [spec.name for spec in stage.tables]
    index.left_behind(names, dict.fromkeys(todo.stale, "its run ended before"))
    if not todo.stale:
        return Report(stage.name, current=todo.current, blocked=todo.blocked)
    earlier = None if force else _earlier(index, stage, todo, settings)
    standing = {} if force else standing_of(index, stage, list(todo.stale), settings)
    manifest = _manifest(stage, settings, index, run_id, todo, earlier)
    if settings.memory.scratch is not None:
        remove_left(Path(settings.memory.scratch))
    with lake.staging(run_id) as staging:
        made = _collected(_build(staging, stage, todo, settings, index, progress, earlier, standing))
        checks = audit(stage.name, made.staged, lake=lake, settings=settings.audit)
        failed = _failures(checks)
        passed = [one for one in made.staged if one.partition not in failed]
        versions = lake.publish(passed, _with_costs(manifest, made.spent, checks), failed=failed)
    index.advance(versions)
    built = {one.partition for one in made.staged}
    index.left_behind(names, {partition: "" if partition in built else made.fault for partition in todo.stale})
    if made.raised is not None:
        left = next((partition.key for partition in todo.stale if partition not in built), "none")
        made.raised.add_note(
            f"{stage.name}: {len(built)} of {len(todo.stale)} partitions were built; the first left is {left}."
        )
    rows: dict[Partition, dict[str, int]] = {}
    for one in passed:
        rows.setdefault(one.partition, {})[one.spec.name] = one.rows
    extra = {one.partition: one.extra for one in made.staged if one.extra}
    return Report(
        stage.name, rows, todo.current, failed, todo.blocked, tuple(checks), versions, extra, made.spent, made.lacking,
        made.raised,
    )  # fmt: skip


@dataclass
class _Made:
    """What building gave until it ended, or raised."""

    staged: list[Staged] = field(default_factory=list)
    spent: dict[Partition, Mapping[str, float]] = field(default_factory=dict)
    lacking: dict[Partition, Mapping[str, str]] = field(default_factory=dict)
    raised: Exception | None = None

    @property
    def fault(self) -> str:
        if isinstance(self.raised, PlatformError):
            return self.raised.fault
        return "" if self.raised is None else f"{type(self.raised).__name__}: {self.raised}"


def _collected(building: Iterator[tuple[list[Staged], Built]]) -> _Made:
    made = _Made()
    try:
        for staged, built in building:
            made.staged += staged
            if built.cpu_seconds:
                made.spent[built.partition] = built.cpu_seconds
            if built.lacks:
                made.lacking[built.partition] = built.lacks
    except StorageFault:
        raise
    except Exception as error:  # whatever it is: what was built before is kept, and the report has it
        made.raised = error
    return made


def _earlier(index: Index, stage: Stage, todo: Todo, settings: Settings) -> Earlier | None:
    """What the stage may build on instead of its inputs alone (`flow/earlier.py`); None: nothing, or not surely."""
    partitions = list(todo.stale)
    before = _before(index, stage, partitions)
    there = plan_stage(index, stage, before, settings, force=False, allow_stale=True)
    if not before or len(there.current) < len(before):
        return None
    return earlier_of(index, stage.tables, before, _named(stage, [*before, *partitions], settings))


def _before(index: Index, stage: Stage, partitions: Sequence[Partition]) -> list[Partition]:
    """The partitions of the date that building these would start from, in every country."""
    day = stage.starts_from(partitions[0])
    return [] if day is None else [Partition(day, country) for country in index.countries]


def _named(stage: Stage, partitions: Sequence[Partition], settings: Settings) -> list[Input]:
    return [one for partition in partitions for one in stage.inputs(partition, settings)]


def _build(
    staging: Staging,
    stage: Stage,
    todo: Todo,
    settings: Settings,
    index: Index,
    progress: Progress,
    earlier: Earlier | None,
    standing: Mapping[Partition, Standing],
) -> Iterator[tuple[list[Staged], Built]]:
    """Each partition as soon as it is built, with its staged tables."""
    partitions = list(todo.stale)
    before = [] if earlier is None else _before(index, stage, partitions)
    done = 0

    def tell(what: str) -> None:
        progress(f"{stage.name}: {what}", done / len(partitions))

    reader = LakeReader(index, stage.name, _named(stage, [*before, *partitions], settings), tell=tell)
    if earlier is not None:
        building = stage.build_on(earlier, partitions, reader, settings)
    elif standing:
        building = stage.rebuild(standing, partitions, reader, settings)
    else:
        building = stage.build(partitions, reader, settings)
    for done, built in enumerate(building, 1):
        of, made_from = built.partition, todo.stale[built.partition]
        staged = [
            staging.write(spec, of, built.tables[spec.name], extra=built.extra, lacks=built.lacks).made_from(made_from)
            for spec in stage.tables
        ]
        progress(f"{stage.name} {built.partition.key}", done / len(partitions))
        yield staged, built


def _failures(checks: Sequence[CheckResult]) -> dict[Partition, str]:
    failed: dict[Partition, str] = {}
    for result in checks:
        if result.blocking and not result.passed:
            partition = Partition.parse(result.partition)
            reason = f"{result.check} on {result.table}: {result.observed}, expected {result.expected}"
            failed[partition] = f"{failed[partition]}; {reason}" if partition in failed else reason
    return failed


def libraries() -> dict[str, str]:
    """The versions of what rows may depend on besides our own code."""
    return {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()}


def _manifest(
    stage: Stage, settings: Settings, index: Index, run_id: str, todo: Todo, earlier: Earlier | None
) -> Manifest:
    tables = {one.table for partition in list(todo.stale)[:1] for one in stage.inputs(partition, settings)}
    inputs = {name: known for name in sorted(tables) if (known := index.versions.get(name)) is not None}
    built_on = {} if earlier is None else {str(earlier.day): {name: index.versions[name] for name in earlier.rows}}
    extra = {"holes": list(todo.holes), "used_stale": list(todo.used_stale), "built_on": built_on}
    return Manifest(
        run_id, stage.name, stage.code_version, stage.config(settings), settings.seed, inputs, libraries(),
        {name: found for name, found in extra.items() if found},
    )  # fmt: skip


def _with_costs(
    manifest: Manifest, spent: Mapping[Partition, Mapping[str, float]], checks: Sequence[CheckResult]
) -> Manifest:
    """The manifest with what checks, and parts of the work that the stage counted, took over all its partitions."""
    parts: dict[str, float] = {}
    for found in spent.values():
        for name, seconds in found.items():
            parts[name] = round(parts.get(name, 0.0) + seconds, 6)
    costs = {**parts, **({"checks": cost(checks)} if checks else {})}
    return replace(manifest, extra={**manifest.extra, "cpu_seconds": costs}) if costs else manifest
