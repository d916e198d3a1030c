"""Which proofs a run makes of what it has just published, and what it leaves alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rec_platform.contexts import stage as training
from rec_platform.features import FeatureGenerator
from rec_platform.flow import STAGES, Platform, Report
from rec_platform.partition import Partition
from rec_platform.proofs.flow import FLOW_PROOFS, sample_proofs


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
