"""Which proofs a run makes of what it has just published, and what it leaves alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rec_platform.cli_prove import prove
from rec_platform.contexts import stage as training
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.features import FeatureGenerator
from rec_platform.flow import STAGES, Platform, Report
from rec_platform.partition import Partition
from rec_platform.proofs.flow import FLOW_PROOFS, prove_incremental, prove_leak, prove_replay, sample_proofs


def published(home: Path, stage: str, day: date) -> Report:
    """A report as if the home's partitions of a day had just been made."""
    states = {spec.name: Platform(home).lake.state(spec.name) for spec in STAGES[stage].tables}
    keys = [key for key in states[STAGES[stage].tables[0].name] if key.day == day]
    return Report(stage, {key: {name: found[key].rows for name, found in states.items()} for key in keys})


@pytest.mark.parametrize("stage", list(FLOW_PROOFS))
def test_every_proof_of_a_stage_is_made_holds_and_says_its_cost(made: Path, last: date, stage: str) -> None:
    found = list(sample_proofs(Platform(made), published(made, stage, last)))
    assert [flow_proof for flow_proof, _ in found] == list(FLOW_PROOFS[stage])
    for _, proof in found:
        assert proof.passed, proof.observed
        assert proof.cpu_seconds > 0


def test_proofs_of_some_countries_look_at_those_alone(made: Path, last: date) -> None:
    platform, window = Platform(made), (last, last)
    both = [Partition(last, country) for country in ("DE", "US")]
    assert {proof.subject for proof in prove_incremental(platform, *window, about=5)} == {
        f"feature_snapshots {one.key}" for one in both
    }
    (counted,) = prove_incremental(platform, *window, ["DE"], about=5)
    assert (counted.subject, counted.passed) == (f"feature_snapshots DE|{last}", True)
    (again,) = prove_replay(platform, "scores", *window, ["US"], at_most=9, seed=1)
    assert (again.subject, again.passed) == (f"scores US|{last}", True)
    scrambled = [proof.subject for proof in prove_leak(platform, *window, ["DE"], instants=9, seed=1)]
    assert scrambled[0].startswith(f"DE|{last}") and not any("US" in subject for subject in scrambled)
    with pytest.raises(MissingInput, match=f"scores has no rows from {last} to {last} for FR ") as fault:
        list(prove_replay(platform, "scores", *window, ["US", "FR"], at_most=9, seed=1))
    assert "for DE, US; choose among those" in fault.value.repair
    with pytest.raises(KeyRefused, match="ranker_models is not made by country"):
        list(prove_replay(platform, "ranker_models", *window, ["US"], at_most=9, seed=1))
    told = CliRunner().invoke(prove, [*["replay", "--stage", "scores", "--countries", "US", "--json", "--home"], str(made),
                                      "--from", str(last), "--to", str(last)])  # fmt: skip
    assert [one["subject"] for one in json.loads(told.stdout)] == [again.subject]


def test_a_run_that_made_nothing_proves_nothing(made: Path) -> None:
    assert list(sample_proofs(Platform(made), Report("training_sets", current=(Partition(),)))) == []
    assert list(sample_proofs(Platform(made), Report("metrics", {Partition(): {}}))) == []


def test_code_that_changed_fails_the_replay_of_the_run(made: Path, last: date, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(FeatureGenerator):
        def apply(self, frame, sources):  # type: ignore[no-untyped-def]
            done = super().apply(frame, sources)
            name = done.features.column_names[0]
            return done.with_features({name: done.features.column(name).to_numpy() + 1})

    monkeypatch.setattr(training, "FeatureGenerator", Other)
    found = {one.name: proof for one, proof in sample_proofs(Platform(made), published(made, "training_sets", last))}
    assert not found["replay"].passed
    assert "code differs" in found["replay"].observed
