"""Replay: what was published comes out again from the versions on record; what differs is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.contexts.stage import TrainingSets
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.flow import STAGES, Platform
from rec_platform.flow.run import libraries
from rec_platform.models import stage as models
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.contract import FeatureNote
from rec_platform.models.features import feature_notes
from rec_platform.partition import Partition
from rec_platform.proofs import replay as replaying
from rec_platform.proofs.flow import prove_replay, replay
from rec_platform.stage import Built, Reader


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


@pytest.mark.parametrize("stage", ["feature_snapshots", "training_sets", "scores"])
def test_published_partitions_come_out_again(made: Path, last: date, stage: str) -> None:
    proof = replay(Platform(made), stage, Partition(last, "US"))
    assert proof.passed, proof.observed
    assert "at the versions on record" in proof.observed


@pytest.mark.parametrize(("changed", "passes"), [("about", True), ("unit", True), ("name", False)])
def test_a_model_comes_out_again_beside_corrected_words(
    made: Path, last: date, monkeypatch: pytest.MonkeyPatch, changed: str, passes: bool
) -> None:
    """Artefacts keep the words of their features: those on record, whatever is said now. A name is no word."""

    def reworded(settings: Settings) -> tuple[FeatureNote, ...]:
        first, *others = feature_notes(settings)
        return (replace(first, **{changed: "corrected"}), *others)

    monkeypatch.setattr(models, "feature_notes", reworded)
    proof = replay(Platform(made), "ranker_models", Partition(last))
    assert proof.passed is passes, proof.observed


def changed_in_place(home: Path, table: str, partition: Partition, column: str) -> None:
    """One value of a published file is another, behind the lake's back."""
    (path,) = Platform(home).lake.files(table, [partition])
    with pq.ParquetFile(path) as file:
        rows = file.read()
    where = rows.schema.get_field_index(column)
    more = pc.add(rows.column(column), pa.scalar(1, rows.schema.field(where).type))
    pq.write_table(rows.set_column(where, rows.schema.field(where), more), path)


def test_the_first_upstream_table_that_differs_is_named(home: Path, last: date) -> None:
    from datetime import timedelta

    before = Partition(last - timedelta(days=1), "DE")
    changed_in_place(home, "play_facts", before, c.WATCHED_MS)
    proof = replay(Platform(home), "training_sets", Partition(last, "US"))
    assert not proof.passed
    assert f"the first table that differs is play_facts {before.key}" in proof.observed


def test_published_rows_that_are_not_those_recorded_are_named(home: Path, last: date) -> None:
    changed_in_place(home, "contexts", Partition(last, "US"), c.TENURE_DAYS)
    proof = replay(Platform(home), "training_sets", Partition(last, "US"))
    assert not proof.passed
    assert "contexts US|" in proof.observed
    assert "not those its commit recorded" in proof.observed


class OtherWork(TrainingSets):
    """The same code version, and other rows."""

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        for built in super().build(partitions, reader, settings):
            yield Built(built.partition, {name: rows[:-1] for name, rows in built.tables.items()}, built.extra)


def test_code_that_changed_under_its_version_is_named(made: Path, last: date) -> None:
    platform = Platform(made)
    platform.stages["training_sets"] = OtherWork(CandidateFeatures())
    proof = replay(platform, "training_sets", Partition(last, "US"))
    assert not proof.passed
    assert "code differs: every input has the hash on record and every library its version" in proof.observed


def test_libraries_that_changed_are_named(made: Path, last: date, monkeypatch: pytest.MonkeyPatch) -> None:
    now = libraries()
    monkeypatch.setattr(replaying, "libraries", lambda: now | {"numpy": "1.0"})
    platform = Platform(made)
    assert replay(platform, "training_sets", Partition(last, "US")).passed, "rows that are the same are the same"
    platform.stages["training_sets"] = OtherWork(CandidateFeatures())
    proof = replay(platform, "training_sets", Partition(last, "US"))
    assert (
        f"libraries differ: every input has the hash on record, and numpy was {now['numpy']}, is 1.0" in proof.observed
    )


def test_a_fingerprint_of_other_inputs_is_named_though_the_rows_are_the_same(
    made: Path, last: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "fingerprint", lambda *_: "of other inputs")
    proof = replay(Platform(made), "feature_snapshots", Partition(last, "US"))
    assert not proof.passed
    assert "the same rows, but the fingerprint on record is of other inputs" in proof.observed


def test_a_raised_code_version_is_named(made: Path, last: date) -> None:
    platform = Platform(made)
    raised = type("Raised", (TrainingSets,), {"code_version": 99})
    platform.stages["training_sets"] = raised(CandidateFeatures())
    assert "is 99 now" in replay(platform, "training_sets", Partition(last, "US")).observed


def test_another_configuration_is_named(home: Path, last: date) -> None:
    with (home / "platform.toml").open("a", encoding="utf-8") as settings:
        settings.write("[negatives]\nitems = 7\n")
    proof = replay(Platform(home), "training_sets", Partition(last, "US"))
    assert not proof.passed
    assert "configuration differs: steps" in proof.observed


def test_what_is_not_there_is_refused_by_name(made: Path, last: date) -> None:
    platform = Platform(made)
    with pytest.raises(KeyRefused, match="no replay of 'landing'"):
        list(prove_replay(platform, "landing", last, last, at_most=1, seed=0))
    with pytest.raises(MissingInput, match="scores has no rows from 2020-01-01"):
        list(prove_replay(platform, "scores", date(2020, 1, 1), date(2020, 1, 2), at_most=1, seed=0))


@pytest.mark.parametrize("stage", ["candidate_models", "ranker_models", "scores"])
def test_stages_with_and_without_countries_can_be_asked_for(made: Path, last: date, stage: str) -> None:
    proof = next(prove_replay(Platform(made), stage, last, last, at_most=1, seed=0))
    assert proof.passed, proof.observed
    with pytest.raises(MissingInput, match=f"{STAGES[stage].tables[-1].name} has no rows from 2020-01-01"):
        next(prove_replay(Platform(made), stage, date(2020, 1, 1), date(2020, 1, 2), at_most=1, seed=0))
