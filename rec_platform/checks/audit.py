"""Judge what a stage has staged: profile each table, let the expectations judge all profiles, say it in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import process_time
from typing import Final

from rec_platform.checks.counts import COUNTED
from rec_platform.checks.judge import Check, get_ready, judge
from rec_platform.checks.measured import Measured, Measures, Scene
from rec_platform.checks.nested import NESTED
from rec_platform.checks.profile import profile
from rec_platform.checks.result import CheckResult
from rec_platform.checks.rule import Rule
from rec_platform.checks.rules import RULES
from rec_platform.checks.unique import unique_measures
from rec_platform.config import AuditConfig
from rec_platform.errors import KeyRefused
from rec_platform.lake import Lake, Staged
from rec_platform.tables import TABLES, TableSpec
from rec_platform.wording import counted, measured

Measurer = Callable[[TableSpec, Sequence[Staged], Scene], Measures]


def audit(stage_name: str, staged: Sequence[Staged], *, lake: Lake, settings: AuditConfig) -> list[CheckResult]:
    """Every check of every staged partition, passed ones too: by table in flow order, then rule, then as staged.

    Args:
        stage_name: the stage whose tables these are; `KeyRefused` for a table of another stage.
        staged: all partitions of one run of the stage, empty ones (no file) included.
        lake: for history; its published versions are not changed.
    """
    scene = Scene(staged, lake, settings)
    for one in staged:
        if one.spec.stage != stage_name:
            raise KeyRefused(
                f"table {one.spec.name} is of stage {one.spec.stage}", place=f"audit of stage {stage_name}",
                repair="Audit a stage's own tables.",
            )  # fmt: skip
    tables = {spec.name: mine for spec in TABLES if (mine := [one for one in staged if one.spec.name == spec.name])}
    measures = {name: measure(mine[0].spec, mine, scene) for name, mine in tables.items()}
    failing, judging = _judged(measures, settings)
    return [
        CheckResult(
            rule.check, name, one.partition.key, row not in failing[name, rule.check], rule.blocking,
            _observed(rule, measures[name][rule.check][row], one), rule.expected(settings),
            round(scene.cpu_seconds[name][rule.check] + judging, 6),
        )
        for name, mine in tables.items()
        for rule in RULES[name]
        for row, one in enumerate(mine)
    ]  # fmt: skip


def measure(spec: TableSpec, staged: Sequence[Staged], scene: Scene) -> Measures:
    """The measure of every rule of a table, per partition in the order staged; its sums and costs go into the scene."""
    measures: Measures = {}
    spent = scene.cpu_seconds.setdefault(spec.name, {})
    for measurer in _MEASURERS:
        started = process_time()
        found = measurer(spec, staged, scene)
        spent |= dict.fromkeys(found, (process_time() - started) / max(len(found), 1))
        measures |= found
    return measures


def _rows(spec: TableSpec, staged: Sequence[Staged], scene: Scene) -> Measures:
    measures, scene.sums[spec.name] = profile(spec, staged)
    return measures


def _of(by_table: Mapping[str, Callable[[Sequence[Staged], Scene], Measures]]) -> Measurer:
    def measured(spec: TableSpec, staged: Sequence[Staged], scene: Scene) -> Measures:
        return by_table[spec.name](staged, scene) if spec.name in by_table else {}

    return measured


_MEASURERS: Final[tuple[Measurer, ...]] = (_rows, unique_measures, _of(COUNTED), _of(NESTED))


def _judged(measures: Mapping[str, Measures], settings: AuditConfig) -> tuple[dict[Check, frozenset[int]], float]:
    """What breaks each check of all tables, and each check's share of the CPU-seconds of finding out."""
    rules = {(name, rule.check): rule for name in measures for rule in RULES[name]}
    columns = {(name, check): [found.value for found in measures[name][check]] for name, check in rules}
    bounds = {check: (*rule.bounds(settings), rule.blocking) for check, rule in rules.items()}
    get_ready()  # once per process, and no check's cost
    started = process_time()
    failing = judge(columns, bounds)
    return failing, (process_time() - started) / max(len(rules), 1)


def _observed(rule: Rule, found: Measured, one: Staged) -> str:
    if found.value is None:
        return f"not judged: {found.note}"
    if found.note:
        return found.note
    if rule.unit == "rows":
        return f"{found.value:,.0f} of {counted(one.rows, 'row')}"
    return measured(found.value, rule.unit)
