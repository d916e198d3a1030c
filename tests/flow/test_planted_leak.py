"""A feature that knows the answer never gets out of the training sets' staging: plants in the real flow, the real audit.

A declared feature cannot leak, for its facts are as of the context's instant. So the plants stand where a leak can really
come from: a step that a later stage adds, a generator that asks for the wrong instant, a reader that forgets one of the
two clocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from simulated_homes import fill, run, world

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import Settings
from rec_platform.contexts import stage as training
from rec_platform.contexts.stage import TrainingSets
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import AuditFailed
from rec_platform.features import FeatureGenerator
from rec_platform.flow import Platform, Report, Window, run_stage
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.partition import Partition
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.simulation import simulate
from rec_platform.stage import Built, Reader
from rec_platform.tables import CONTEXTS, INSTANT, PLAY_FACTS, TRAINING_SETS

CONFIG = world(plays=6_000, days=10, n_titles=120)
LAST = CONFIG.start + timedelta(days=CONFIG.days - 1)
#: Days that have training sets in the tests that need many contexts.
DAYS = 7
TABLES = (CONTEXTS.name, TRAINING_SETS.name)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything that training sets of the last days read is published."""
    folder = tmp_path_factory.mktemp("leak")
    simulate(CONFIG, folder / "world")
    home = fill(folder / "home", (folder / "world" / "delivery").iterdir(), f"[rankers]\ntraining_days = {DAYS - 1}\n")
    run(home, LAST, LAST, ("reference", "raw_plays", "facts", "candidate_models"))
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "home"))


def train(home: Path, stage: TrainingSets, *, days: int = 2, force: bool = False) -> Report:
    """What the stage did for the last days, in two countries."""
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, LAST, LAST)
    partitions = [part for part in platform.needed(stage.name, window) if part.day > LAST - timedelta(days=days)]
    assert len(partitions) == 2 * days
    return run_stage(
        platform.lake, stage, partitions, platform.settings, index=platform.index, run_id="leak", force=force
    )


def refused(home: Path, stage: TrainingSets, feature: str) -> list[str]:
    """All partitions fail on `too_good_feature`, which names the feature, and nothing of them can be read: the reasons."""
    report = train(home, stage)
    assert not report.published
    assert len(report.failed) == 4
    for partition, reason in report.failed.items():
        assert "too_good_feature on training_sets" in reason
        assert feature in reason, reason
        assert all(partition not in Platform(home).lake.state(table) for table in TABLES)
    with pytest.raises(AuditFailed, match=rf"\|{LAST - timedelta(days=1)}: .*too_good_feature.*{feature} AUC"):
        report.raise_if_failed()
    return list(report.failed.values())


def hashes(home: Path) -> dict[tuple[str, Partition], str]:
    lake = Platform(home).lake
    return {(table, part): state.content_hash for table in TABLES for part, state in lake.state(table).items()}


# --- a step that knows the label -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlantedStep(Transformer):
    """A noisy copy of the label, as a score fitted on the very plays it is to predict would be."""

    name = "planted"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (Column(Level.ITEM, c.LABEL, pa.float64()),)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.FEATURE, "planted_score", pa.float32()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        noise = np.random.default_rng(0).normal(0, 0.2, frame.n_items)
        return frame.with_features({"planted_score": (frame.item(c.LABEL) + noise).astype(np.float32)})

    def to_json(self) -> dict[str, Any]:
        return {}


class Planting(CandidateFeatures):
    """The real extension, and the planted step behind its own."""

    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[tuple[Transformer, ...], tuple[object, ...]]:
        steps, sources = super().steps(reader, days, settings)
        return (*steps, PlantedStep()), sources


def test_a_step_that_knows_the_label_is_caught(home: Path) -> None:
    refused(home, TrainingSets(Planting()), "planted_score")


# --- a generator that asks for the wrong instant ---------------------------------------------------------------------


class DayAfter(FeatureGenerator):
    """Reads the facts as of the end of the day rather than of the context's instant."""

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        at = frame.context(c.AT).astype(np.int64)
        late = pa.array((at // DAY + 1) * DAY).cast(INSTANT)
        made = super().apply(frame.with_contexts({c.AT: late}), sources)
        certificate = {name: made.contexts.column(name) for name in (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT)}
        features = dict(zip(made.features.column_names, made.features.columns, strict=True))
        return frame.with_features(features).with_contexts(certificate)


def test_features_as_of_the_end_of_the_day_are_caught(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FeatureGenerator", DayAfter)
    reasons = refused(home, TrainingSets(CandidateFeatures()), "profile_title_plays")
    assert all("newest_played_before_at on training_sets" in reason for reason in reasons)


# --- a reader that forgets a clock -----------------------------------------------------------------------------------


class Forgetting:
    """A reader whose plays are known the moment they begin, and visible from then on rather than after."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        rows = self._reader.read(table, partitions, columns)
        if table != PLAY_FACTS.name or columns is None:
            return rows
        begun = pc.subtract(rows.column(c.PLAYED_AT).cast(pa.int64()), 1).cast(INSTANT)
        for name in (c.PLAYED_AT, c.KNOWN_AT):
            rows = rows.set_column(rows.schema.get_field_index(name), name, begun)
        return rows


class OwnPlayCounted(TrainingSets):
    """Labels and contexts are right; only the history that features look back on is off by one play."""

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        yield from super().build(partitions, Forgetting(reader), settings)  # type: ignore[arg-type]


def draw(home: Path, *, items: int, popularity_share: float) -> None:
    """Choose how negatives are drawn."""
    with (home / "platform.toml").open("a", encoding="utf-8") as settings:
        settings.write(f"[negatives]\nitems = {items}\npopularity_share = {popularity_share}\n")


def test_counting_the_play_a_context_begins_with_is_caught(home: Path) -> None:
    draw(home, items=30, popularity_share=0.0)
    refused(home, OwnPlayCounted(CandidateFeatures()), "days_since_title_last_played")


def test_it_is_caught_where_popular_titles_are_drawn_for_certain(home: Path) -> None:
    refused(home, OwnPlayCounted(CandidateFeatures()), "days_since_title_last_played")


# --- without a plant -------------------------------------------------------------------------------------------------


def test_the_same_flow_without_a_plant_passes(home: Path) -> None:
    report = train(home, TrainingSets(CandidateFeatures()))
    report.raise_if_failed()
    assert len(report.published) == 4
    seen = [check for check in report.checks if check.check == "too_good_feature"]
    assert [check.passed for check in seen] == [True] * 4
    assert "over" in seen[0].observed


def test_it_passes_where_the_most_popular_title_is_drawn_for_certain(home: Path) -> None:
    draw(home, items=12, popularity_share=0.5)
    train(home, TrainingSets(CandidateFeatures()), days=DAYS).raise_if_failed()


def test_a_leak_leaves_the_last_good_version_to_readers_and_marks_it_stale(home: Path) -> None:
    train(home, TrainingSets(CandidateFeatures())).raise_if_failed()
    before = hashes(home)
    assert len(train(home, TrainingSets(Planting()), force=True).failed) == 4
    assert hashes(home) == before
    stale = [state.stale or "" for state in Platform(home).lake.state(TRAINING_SETS.name).values()]
    assert all("planted_score" in reason for reason in stale)
    train(home, TrainingSets(CandidateFeatures())).raise_if_failed()
    assert not any(state.stale for state in Platform(home).lake.state(TRAINING_SETS.name).values())
    assert hashes(home) == before
