"""A proof beside a run, as Dagster shows it: its cost, its numbers, and an error where it fails."""

from __future__ import annotations

from datetime import date

import dagster as dg

from assets.materialise import check_name, check_results, check_specs, fault, proof_results
from assets.metadata import of_partition
from rec_platform.checks import CheckResult
from rec_platform.contexts.stage import CERTIFICATES
from rec_platform.flow import STAGES, Report
from rec_platform.partition import Partition
from rec_platform.proofs import Proof
from rec_platform.proofs.flow import FLOW_PROOFS, FlowProof

STAGE = "training_sets"


def proofs(*, passed: bool) -> dict[str, tuple[FlowProof, Proof]]:
    rows = ({"feature": "f", "knows": 0.5},)
    return {
        one.name: (one, Proof(one.name, "US|2025-01-01", passed, "what was found", 0.25, rows))
        for one in FLOW_PROOFS[STAGE]
    }


def test_every_proof_is_a_declared_check_of_its_stage() -> None:
    for stage in STAGES:
        declared = {spec.name for spec in check_specs(stage)}
        assert {check_name("proof", one.name) for one in FLOW_PROOFS.get(stage, ())} <= declared
    assert set(FLOW_PROOFS) == {"feature_snapshots", "training_sets", "scores"}


def test_a_proof_shows_its_cost_and_its_numbers() -> None:
    results = list(proof_results(STAGE, proofs(passed=True)))
    assert [one.check_name for one in results] == [f"proof__{one.name}" for one in FLOW_PROOFS[STAGE]]
    for one in results:
        assert one.passed
        assert one.metadata["cpu_seconds"].value == 0.25
        assert one.metadata["numbers"].value.records[0].data == {"feature": "f", "knows": "0.5"}


def test_a_run_without_anything_new_passes_and_says_so() -> None:
    results = list(proof_results(STAGE, {}))
    assert len(results) == len(FLOW_PROOFS[STAGE])
    assert all(one.passed and one.metadata["observed"].value == "nothing to look at" for one in results)


def test_a_failed_proof_is_the_steps_error_and_a_suspicious_feature_a_warning() -> None:
    broken = proofs(passed=False)
    wrong = fault(Report(STAGE), broken)
    assert wrong is not None
    said = str(wrong.description)
    assert said.startswith("published, but a proof fails: future_scramble of US|2025-01-01: what was found; replay of")
    assert "knows_the_future" not in said
    severities = {one.check_name: one.severity for one in proof_results(STAGE, broken)}
    assert severities["proof__future_scramble"] is dg.AssetCheckSeverity.ERROR
    assert severities["proof__knows_the_future"] is dg.AssetCheckSeverity.WARN
    assert fault(Report(STAGE), proofs(passed=True)) is None


def test_a_check_shows_its_cost_and_a_certificates_check_that_of_the_certificates() -> None:
    partitions = [Partition(date(2025, 1, 1), country) for country in ("DE", "US")]
    results = tuple(
        CheckResult(check, table, partition.key, True, True, "", "", 0.125)
        for table in ("contexts", "training_sets")
        for check in ("newest_known_before_at", "at_inside_date")
        for partition in partitions
    )
    spent = {partition: {CERTIFICATES: 0.5} for partition in partitions}
    report = Report(STAGE, {one: {"contexts": 1} for one in partitions}, checks=results, cpu_seconds=spent)
    found = {one.check_name: one.metadata for one in check_results(STAGE, report)}
    certificate = found["training_sets__newest_known_before_at"]
    other = found["contexts__at_inside_date"] | found["contexts__newest_known_before_at"]
    assert certificate["cpu_seconds"].value == other["cpu_seconds"].value == 0.125
    assert certificate["cpu_seconds_of_certificates"].value == 1.0
    assert "cpu_seconds_of_certificates" not in other
    assert of_partition(report, partitions[0])["cpu_seconds_of_certificates"] == 0.5
