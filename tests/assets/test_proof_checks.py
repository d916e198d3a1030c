"""A proof beside a run, as Dagster shows it: its cost, its numbers, and an error where it fails."""

from __future__ import annotations

import dagster as dg

from assets.materialise import check_name, check_specs, fault, proof_results
from rec_platform.flow import STAGES, Report
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
