"""Jobs over any set of partitions: one per stage, and chains of them for the daily schedule and the landing sensor.

A Dagster run over assets takes one key or one rectangle of keys. Deliveries are ragged (most countries have no plays on most
days), so these jobs take the keys as configuration and log one materialisation per partition; the body is the assets' own.
Measured: 5-6 ms per partition against 13-14 ms for a range run over assets.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from assets.home import Home
from assets.materialise import fault, log_materialisations, proofs_of, results, run, told
from rec_platform.flow import LAYERS, STAGES
from rec_platform.partition import Partition

ORDER: Final = tuple(stage for layer in LAYERS for stage in layer)


class StageConfig(dg.Config):
    """What a stage op is asked for.

    Attributes:
        partitions: keys such as FR|2025-01-01 (or 2025-01-01, or all); none is nothing to do.
        force, allow_stale: as the options of `rec-platform run`.
        go_on: leave a failure to the end of a chain, so that what does not depend on it is made all the same.
    """

    partitions: list[str]
    force: bool = False
    allow_stale: bool = False
    go_on: bool = False


def stage_op(stage: str) -> dg.OpDefinition:
    """The op `make_<stage>`: takes what failed before it in a chain, gives that and what failed in it."""

    @dg.op(
        name=f"make_{stage}",
        description=STAGES[stage].about,
        ins={"failed_before": dg.In(list, default_value=[])},
        out=dg.Out(list),
    )
    def make(
        context: dg.OpExecutionContext, config: StageConfig, home: Home, failed_before: Sequence[str]
    ) -> list[str]:
        if not config.partitions:
            return list(failed_before)
        keys = [Partition.parse(key) for key in config.partitions]
        report, seconds = run(context, home, stage, keys, force=config.force, allow_stale=config.allow_stale)
        proofs, unproven = proofs_of(home, report)
        for result in results(stage, report, proofs, unproven):
            context.log_event(_evaluation(result, stage))  # type: ignore[arg-type]  # taken, though not declared
        log_materialisations(context, home, stage, report, seconds)
        wrong = fault(report, proofs) or unproven
        if wrong is None:
            return list(failed_before)
        if not config.go_on:
            raise wrong
        return [*failed_before, told(wrong)]

    return make


def _evaluation(result: dg.AssetCheckResult, stage: str) -> dg.AssetCheckEvaluation:
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(stage),
        check_name=result.check_name,
        passed=result.passed,
        metadata=dict(result.metadata),
        severity=result.severity,
        blocking=result.severity is dg.AssetCheckSeverity.ERROR,
    )


@dg.op(name="verdict", description="Fails if any stage before it failed in part.")
def verdict(failed: list[str]) -> None:
    if failed:
        raise dg.Failure(description="\n".join(failed), allow_retries=False)


_OPS: Final = {stage: stage_op(stage) for stage in ORDER}


def stage_job(stage: str) -> dg.JobDefinition:
    """The job `run_<stage>`."""

    @dg.job(name=f"run_{stage}", description=STAGES[stage].about)
    def job() -> None:
        _OPS[stage]()

    return job


def chain_job(name: str, stages: Sequence[str], about: str) -> dg.JobDefinition:
    """A job of several stages, each starting when the one before it has ended."""

    @dg.job(name=name, description=about)
    def job() -> None:
        failed: Any = None
        for stage in stages:
            failed = _OPS[stage]() if failed is None else _OPS[stage](failed)
        verdict(failed)

    return job


def chain_config(keys: Mapping[str, Sequence[Partition]]) -> dict[str, Any]:
    """The run configuration of a chain: the partitions of each stage."""
    asked = {
        stage: {"partitions": [one.key for one in partitions], "go_on": True} for stage, partitions in keys.items()
    }
    return {"ops": {f"make_{stage}": {"config": config} for stage, config in asked.items()}}


STAGE_JOBS: Final = tuple(stage_job(stage) for stage in ORDER)
DAILY_FLOW: Final = chain_job("daily_flow", ORDER, "The whole flow of a day, layer after layer.")
TAKE_IN: Final = chain_job("take_in", LAYERS[0], "What a delivery changes at once: reference, raw plays, facts.")
