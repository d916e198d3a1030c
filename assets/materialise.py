"""The one body all stages share: bring the given partitions up to date, report each, fail if any failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Final

import dagster as dg

from assets.home import Home
from assets.landed import report_landed
from assets.metadata import of_partition, of_run, table
from rec_platform.checks import CheckResult
from rec_platform.checks.rules import CERTIFICATE_CHECKS, RULES
from rec_platform.contexts.stage import CERTIFICATES
from rec_platform.errors import PlatformError, StorageFault
from rec_platform.flow import LAYERS, STAGES, Report
from rec_platform.partition import Partition
from rec_platform.plays.raw import RawPlays
from rec_platform.proofs import Proof
from rec_platform.proofs.flow import FLOW_PROOFS, FlowProof, sample_proofs
from rec_platform.tables import TRAINING_SETS

#: A disk that hiccups is worth three more tries, 2, 4 and 8 seconds later; nothing else gets better by itself.
RETRIES: Final = 3
SINGLE_RUN: Final = dg.BackfillPolicy.single_run()


def check_specs(stage: str) -> list[dg.AssetCheckSpec]:
    """The checks of a stage's tables, and the proofs made of a sample of what it published, as Dagster lists them."""
    proofs = (_proof_spec(stage, one) for one in FLOW_PROOFS.get(stage, ()))
    return [*_rule_specs(stage), *_whole_specs(stage), *proofs]


def _whole_specs(stage: str) -> list[dg.AssetCheckSpec]:
    """Of a stage whose partitions have parts: the check that all of them could be made."""
    about = (
        "A part of a partition (a ranker, its scores) raised; the rest was published. Correct what is said; the next run "
        "makes it."
    )
    return [dg.AssetCheckSpec(check_name(stage, "whole"), asset=stage, description=about)] if _has_parts(stage) else []


def _has_parts(stage: str) -> bool:
    return STAGES[stage].has_parts


def _goes_on(stage: str) -> bool:
    """Whether a later stage of its layer hangs on the stage's step."""
    return any(stage in layer[:-1] for layer in LAYERS)


def _proof_spec(stage: str, proof: FlowProof) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=check_name("proof", proof.name),
        asset=stage,
        description=f"{proof.means} {proof.repair}",
        blocking=proof.fails,
    )


def _rule_specs(stage: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name=check_name(spec.name, rule.check),
            asset=stage,
            description=f"{rule.means} {rule.repair}",
            blocking=rule.blocking,
        )
        for spec in STAGES[stage].tables
        for rule in RULES[spec.name]
    ]


def check_name(table: str, check: str) -> str:
    """A check's name in Dagster.

    >>> check_name("raw_plays", "keys_not_null")
    'raw_plays__keys_not_null'
    """
    return f"{table}__{check}"


def keys_of(context: dg.AssetExecutionContext) -> list[Partition]:
    """The partitions this run was given: the keys themselves, never a range inferred from them."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return [Partition()]
    return [Partition.parse(str(key)) for key in context.partition_keys]


def materialise(
    context: dg.AssetExecutionContext, home: Home, stage: str
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    """The body of every asset: run the stage over the run's partitions, with its checks and metadata.

    If a partition failed, or lacks what raised, or the stage raised, those that passed are logged one by one and the step
    fails naming the others (Dagster cannot fail one key of a range). What partitions lack fails the check alone where
    stages of the same layer come after: in their run Dagster would skip them, and they can go on with what is there.
    """
    report, seconds = run(context, home, stage, keys_of(context))
    proofs, unproven = proofs_of(home, report)
    yield from results(stage, report, proofs, unproven)
    wrong = fault(replace(report, lacking={}) if _goes_on(stage) else report, proofs) or unproven
    if wrong is not None:
        log_materialisations(context, home, stage, report, seconds)
        raise wrong
    for partition in (*report.published, *report.current):
        if partition.date is not None:
            context.add_asset_metadata(of_partition(report, partition), partition_key=partition.key)
    yield dg.MaterializeResult(asset_key=stage, metadata=of_run(home.platform(), stage, report, seconds))


def run(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    home: Home,
    stage: str,
    partitions: Sequence[Partition],
    **options: bool,
) -> tuple[Report, float]:
    """Run the stage; a storage fault asks Dagster for a retry, any other fault fails at once."""
    started = perf_counter()
    try:
        if stage == RawPlays.name:
            report_landed(context.instance, home.platform().lake, partitions)
        report = home.platform().run(
            stage, partitions, run_id=context.run_id, progress=_log_progress(context), **options
        )
    except StorageFault as fault:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=2 ** (context.retry_number + 1)) from fault
    except PlatformError as fault:
        raise _as_failure(fault) from fault
    return report, perf_counter() - started


def _said(fault: PlatformError) -> str:
    return "\n".join([str(fault), *getattr(fault, "__notes__", ())])


#: Who else wants to hear how far a stage is: the terminal of `rec-platform run`.
listener: Callable[[str, float], None] | None = None


def _log_progress(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Callable[[str, float], None]:
    """A line in the log at each tenth: a line per partition would cost more than small partitions do."""
    last = [0]

    def show(what: str, share: float) -> None:
        if listener is not None:
            listener(what, share)
        if int(share * 10) > last[0]:
            last[0] = int(share * 10)
            context.log.info(f"{what}: {share:.0%}")

    return show


def proofs_of(home: Home, report: Report) -> tuple[dict[str, tuple[FlowProof, Proof]], Exception | None]:
    """The proofs of what the run published, by name; where making them raised: none, and the step's error."""
    try:
        return {one.name: (one, made) for one, made in sample_proofs(home.platform(), report)}, None
    except PlatformError as error:
        return {}, _as_failure(error)


def results(
    stage: str, report: Report, proofs: Mapping[str, tuple[FlowProof, Proof]], unproven: Exception | None
) -> Iterator[dg.AssetCheckResult]:
    """The results of checks and proofs; none of those that a stage that raised, or a proof, never came to."""
    if report.raised is None or report.checks:
        yield from check_results(stage, report)
    if unproven is None and (report.raised is None or proofs):
        yield from proof_results(stage, proofs)


def proof_results(stage: str, proofs: Mapping[str, tuple[FlowProof, Proof]]) -> Iterator[dg.AssetCheckResult]:
    """One result per proof of the stage; a run that made nothing to look at proves nothing and breaks nothing."""
    for one in FLOW_PROOFS.get(stage, ()):
        made = proofs[one.name][1] if one.name in proofs else None
        said = {"observed": "nothing to look at"} if made is None else _proof_metadata(made)
        yield dg.AssetCheckResult(
            passed=made is None or made.passed,
            asset_key=stage,
            check_name=check_name("proof", one.name),
            severity=dg.AssetCheckSeverity.ERROR if one.fails else dg.AssetCheckSeverity.WARN,
            metadata=said,
        )


def _proof_metadata(made: Proof) -> dict[str, Any]:
    rows = [{name: str(value) for name, value in row.items()} for row in made.rows[:60]]
    shown: dict[str, Any] = {"of": made.subject, "observed": made.observed, "cpu_seconds": made.cpu_seconds}
    return shown | ({"numbers": table(rows)} if rows else {})


def fault(report: Report, proofs: Mapping[str, tuple[FlowProof, Proof]]) -> Exception | None:
    """The step's error: what did not get published, or not whole, or what was published and does not hold."""
    if not report.ok:
        return failure(report)
    broken = [
        f"{one.name} of {made.subject}: {made.observed}"
        for one, made in proofs.values()
        if not made.passed and one.fails
    ]
    if not broken:
        return None
    return dg.Failure(description=f"published, but a proof fails: {'; '.join(broken)}", allow_retries=False)


def failure(report: Report) -> Exception:
    """What did not get published, or not whole, and why. A fault of ours is itself, not hidden in another."""
    try:
        report.raise_if_failed()
    except PlatformError as fault:
        return _as_failure(fault)
    except Exception as fault:
        return fault
    raise AssertionError("a report that is ok has no failure")


def _as_failure(fault: PlatformError) -> dg.Failure:
    made = dg.Failure(description=_said(fault), allow_retries=False)
    made.__cause__ = fault
    return made


def told(wrong: Exception) -> str:
    """A step's error in a line or more."""
    return str(wrong.description) if isinstance(wrong, dg.Failure) else f"{type(wrong).__name__}: {wrong}"


def check_results(stage: str, report: Report) -> Iterator[dg.AssetCheckResult]:
    """One result per check over all partitions of the run; those that broke it, or lack something, stand in its table."""
    for name, results in by_check(stage, report).items():
        broken = [result for result in results if not result.passed]
        yield dg.AssetCheckResult(
            passed=not broken,
            asset_key=stage,
            check_name=name,
            severity=severity(results),
            metadata={"partitions": len(results), **_cost(results, report), **_broken_table(broken)},
        )
    if _has_parts(stage):
        yield _whole(stage, report)


def _whole(stage: str, report: Report) -> dg.AssetCheckResult:
    """Whether what the run built lacks nothing. It stops nobody: what reads the partition goes on with what is there."""
    rows = [
        {"partition": partition.key, "lacks": name, "raised": reason}
        for partition, lacks in report.lacking.items()
        for name, reason in lacks.items()
    ]
    return dg.AssetCheckResult(
        passed=not rows,
        asset_key=stage,
        check_name=check_name(stage, "whole"),
        metadata={"partitions": len(report.published), **({"lacking": table(rows[:50])} if rows else {})},
    )


def _cost(results: Sequence[CheckResult], report: Report) -> dict[str, float]:
    """What judging by a check took; of the checks of certificates in training sets, what making those took, too: once."""
    shown = {"cpu_seconds": results[0].cpu_seconds} if results else {}
    if results and results[0].table == TRAINING_SETS.name and results[0].check in CERTIFICATE_CHECKS:
        made = sum(spent.get(CERTIFICATES, 0.0) for spent in report.cpu_seconds.values())
        shown["cpu_seconds_of_certificates"] = round(made, 6)
    return shown


def by_check(stage: str, report: Report) -> dict[str, list[CheckResult]]:
    """Results by the check's name, checks without any partition to judge included."""
    found: dict[str, list[CheckResult]] = {spec.name: [] for spec in _rule_specs(stage)}
    for result in report.checks:
        found[check_name(result.table, result.check)].append(result)
    return found


def severity(results: Sequence[CheckResult]) -> dg.AssetCheckSeverity:
    broken = any(result.blocking for result in results if not result.passed)
    return dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN


def _broken_table(broken: Sequence[CheckResult]) -> dict[str, dg.MetadataValue]:
    rows = [
        {"partition": one.partition, "table": one.table, "observed": one.observed, "expected": one.expected}
        for one in broken[:50]
    ]
    return {"broken": table(rows), "n_broken": dg.MetadataValue.int(len(broken))} if rows else {}


def log_materialisations(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, home: Home, stage: str, report: Report, seconds: float
) -> None:
    """One materialisation per partition that passed or was current; the last one carries the run's table and picture.

    The last, because the UI shows an asset's latest materialisation first, and because images live in the event log: one
    per run, not one per partition.
    """
    partitions = [*report.current, *report.published]
    for partition in partitions:
        key = None if partition.date is None else partition.key
        whole = of_run(home.platform(), stage, report, seconds) if partition is partitions[-1] else {}
        metadata = {**whole, **of_partition(report, partition)}
        context.log_event(dg.AssetMaterialization(asset_key=stage, partition=key, metadata=metadata))
