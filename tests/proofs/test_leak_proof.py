"""Future-scramble of published partitions: honest ones hold, and each planted look ahead is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rec_platform import columns as c
from rec_platform.clock import midnight
from rec_platform.config import Settings
from rec_platform.contexts import stage as training
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator
from rec_platform.flow import Platform
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.partition import Partition
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.proofs.flow import AT_MIDNIGHT, leak_of_contexts, leak_of_midnight
from rec_platform.proofs.scramble import Scrambled, first_difference
from rec_platform.scoring.stage import timeline_inputs
from rec_platform.stage import Reader
from rec_platform.tables import INSTANT, PLAY_FACTS, PROFILE_TILES, PROFILES, TITLE_TILES, TITLES
from rec_platform.timetravel import timeline as timelines
from rec_platform.timetravel.kernels import Int32, Int64
from rec_platform.timetravel.revisions import value_at
from rec_platform.timetravel.rolling import NEVER, Rolling
from rec_platform.timetravel.snapshots import FeatureSnapshots
from rec_platform.timetravel.timeline import Timeline


def leak(home: Path, day: date) -> Any:
    return leak_of_contexts(Platform(home), Partition(day, "US"), seed=3, at_most=1 << 40)


def test_an_honest_partition_holds_and_says_what_it_cost(made: Path, last: date) -> None:
    proof = leak(made, last)
    assert proof.passed, proof.observed
    assert "contexts" in proof.observed
    assert proof.cpu_seconds > 0


def test_snapshots_and_candidate_models_hold(made: Path, last: date) -> None:
    for stage, partition in (("feature_snapshots", Partition(last, "US")), ("candidate_models", Partition(last))):
        assert stage in AT_MIDNIGHT
        proof = leak_of_midnight(Platform(made), stage, partition)
        assert proof.passed, proof.observed
        assert ("from nothing and rolled" in proof.observed) == (stage == "feature_snapshots")


class AndTheInstantItself(FeatureGenerator):
    """Facts with `<=` where `<` belongs: the play a context begins with is among them."""

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        at = pa.array(frame.context(c.AT).astype(np.int64) + 1).cast(INSTANT)
        made = super().apply(frame.with_contexts({c.AT: at}), sources).features
        return frame.with_features(dict(zip(made.column_names, made.columns, strict=True)))


def test_less_or_equal_where_less_belongs_is_named(made: Path, last: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FeatureGenerator", AndTheInstantItself)
    proof = leak(made, last)
    assert not proof.passed
    assert proof.observed.startswith("context ")
    assert " of title " in proof.observed
    assert "with another future" in proof.observed
    assert proof.subject.partition(" at ")[2] in proof.observed  # only the context at T itself reads its own play


@pytest.mark.parametrize("seed", range(4))
def test_a_record_read_at_the_instant_it_becomes_known_is_named(
    made: Path, last: date, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Of one context alone, that which begins at T; every draw finds it."""

    def at_the_instant(starts: Int64, known: Int64, values: Int64, key: Int32, at: Int64) -> Int64:
        return value_at(starts, known, values, key, at + 1)

    monkeypatch.setattr(timelines, "value_at", at_the_instant)
    proof = leak_of_contexts(Platform(made), Partition(last, "US"), seed=seed, at_most=1 << 40)
    assert not proof.passed
    assert "tenure" in proof.observed
    assert proof.subject.partition(" at ")[2] in proof.observed


@dataclass(frozen=True)
class WholePeriodCounts(Transformer):
    """An encoder that reads a count of all plays of the timeline, whenever they were."""

    name = "whole_period"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (Column(Level.ITEM, c.TITLE, pa.int64()),)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.FEATURE, "whole_period_plays", pa.float32()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        timeline = sources.need(Timeline, step=self.name)
        counts = np.bincount(timeline.histories.title, minlength=len(timeline.titles))
        code = timeline.titles.codes(frame.item(c.TITLE))
        return frame.with_features({"whole_period_plays": counts[code].astype(np.float32)})

    def to_json(self) -> dict[str, Any]:
        return {}


class Planting(CandidateFeatures):
    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[tuple[Transformer, ...], tuple[object, ...]]:
        steps, sources = super().steps(reader, days, settings)
        return (*steps, WholePeriodCounts()), sources


def test_a_count_over_the_whole_log_is_named(made: Path, last: date) -> None:
    platform = Platform(made)
    platform.stages["training_sets"] = training.TrainingSets(Planting())
    proof = leak_of_contexts(platform, Partition(last, "DE"), seed=3, at_most=64)
    assert not proof.passed
    assert "whole_period_plays of title" in proof.observed


def test_a_snapshot_that_counts_what_became_known_later_is_named(
    made: Path, last: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rec_platform.timetravel import snapshots

    honest = snapshots._as_tiles

    def as_if_known_at_once(rows: pa.Table, *others: Any) -> Any:
        known = pc.subtract(pc.cast(rows.column(c.KNOWN_DATE), pa.int32()), pa.scalar(30, pa.int32())).cast(pa.date32())
        return honest(rows.set_column(rows.schema.get_field_index(c.KNOWN_DATE), c.KNOWN_DATE, known), *others)

    monkeypatch.setattr(snapshots, "_as_tiles", as_if_known_at_once)
    proof = leak_of_midnight(Platform(made), "feature_snapshots", Partition(last, "US"))
    assert not proof.passed
    assert "profile_snapshot" in proof.observed


def test_a_snapshot_that_counts_it_only_where_it_rolls_is_named(
    made: Path, last: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Rolling._see

    def as_if_a_day_later(rolling: Rolling, day: int, since: int, until: int) -> None:
        honest(rolling, day, since, until if since == NEVER else until + 1)

    monkeypatch.setattr(Rolling, "_see", as_if_a_day_later)
    proof = leak_of_midnight(Platform(made), "feature_snapshots", Partition(last, "US"))
    assert not proof.passed
    assert ", rolled: profile_id " in proof.observed


def test_the_scramble_changes_everything_hidden_and_nothing_visible(made: Path, last: date) -> None:
    platform = Platform(made)
    reader = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=date(2100, 1, 1)))
    at = midnight(last) + 3_600_000_000
    other = Scrambled(reader, at, seed=0)
    plays = reader.published(PLAY_FACTS.name)
    for table, partitions in ((PLAY_FACTS.name, plays), (PROFILES.name, [Partition()]), (TITLES.name, [Partition()])):
        honest, told = (one.read(table, partitions) for one in (reader, other))
        assert visible(honest, at).equals(visible(told, at)), table
        assert not honest.equals(told), table
        at_the_edge = pc.equal(told.column(c.KNOWN_AT), pa.scalar(at, pa.int64()).cast(INSTANT))
        assert pc.any(at_the_edge).as_py(), f"a <= in what reads {table} would pass"
    hidden = Scrambled(reader, at, 0).read(PLAY_FACTS.name, plays, [c.TITLE])
    assert hidden.column_names == [c.TITLE]


def test_for_everybody_a_play_falls_to_either_less_or_equal(made: Path, last: date) -> None:
    """One that began before T and is known at T exactly, and one that begins at T exactly; without them `<=` may pass."""
    told, honest = told_of_plays(made, at := midnight(last) + 3_600_000_000)
    everybody = set(honest.column(c.PROFILE).to_pylist())
    played, known = (instants(told, name) for name in (c.PLAYED_AT, c.KNOWN_AT))
    profile = told.column(c.PROFILE).to_numpy()
    assert everybody
    assert everybody <= set(profile[(played < at) & (known == at)].tolist())
    assert everybody <= set(profile[(played == at) & (known == at)].tolist())


def test_a_play_that_becomes_known_at_the_very_instant_is_not_told_as_it_is(made: Path, last: date) -> None:
    """(Not the first of its profile, whose copies stand at the edge.)"""
    honest = told_of_plays(made, midnight(last))[1]
    first = set(np.unique(honest.column(c.PROFILE).to_numpy(), return_index=True)[1].tolist())
    row = next(n for n in range(honest.num_rows // 2, honest.num_rows) if n not in first)
    told, _ = told_of_plays(made, int(instants(honest, c.KNOWN_AT)[row]))
    same = (told.column(c.PLAY_ID).to_numpy() == honest.column(c.PLAY_ID)[row].as_py()) & (
        instants(told, c.PLAYED_AT) == instants(honest, c.PLAYED_AT)[row]
    )
    assert not same.any()


@pytest.mark.parametrize("table", [PROFILE_TILES.name, TITLE_TILES.name])
def test_tiles_known_on_the_day_of_a_midnight_or_later_count_other_things(made: Path, last: date, table: str) -> None:
    platform = Platform(made)
    reader = platform.reader(*FeatureSnapshots().inputs(Partition(last + timedelta(days=90), "US"), platform.settings))
    cells = reader.published(table)
    tiles = reader.read(table, cells)
    days = tiles.column(c.KNOWN_DATE).to_numpy()
    day = min(on for on in set(days.tolist()) if on > min(days))
    hidden = days >= np.datetime64(day)
    told = Scrambled(reader, midnight(day), seed=0).read(table, cells)
    assert (days == np.datetime64(day)).any() and not hidden.all()
    for name in (c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS):
        assert ((told.column(name).to_numpy() != tiles.column(name).to_numpy()) == hidden).all(), name


def told_of_plays(home: Path, at: int) -> tuple[pa.Table, pa.Table]:
    """All plays of a home as a scrambled reader tells them at T, and as they are."""
    platform = Platform(home)
    reader = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=date(2100, 1, 1)))
    plays = reader.published(PLAY_FACTS.name)
    return Scrambled(reader, at, seed=0).read(PLAY_FACTS.name, plays), reader.read(PLAY_FACTS.name, plays)


def instants(rows: pa.Table, name: str) -> np.ndarray:
    return np.asarray(rows.column(name).cast(pa.int64()))


def visible(rows: pa.Table, at: int) -> pa.Table:
    instant = pa.scalar(at, pa.int64()).cast(INSTANT)
    seen = pc.less(rows.column(c.KNOWN_AT), instant)
    if c.PLAYED_AT in rows.column_names:
        seen = pc.and_(seen, pc.less(rows.column(c.PLAYED_AT), instant))
    return rows.filter(seen).combine_chunks()


def frame_of(values: list[float], ids: list[int]) -> Frame:
    n = len(ids)
    contexts = pa.table({c.CONTEXT_ID: ids, c.PROFILE: [7] * n, c.AT: pa.array(range(n), pa.int64()).cast(INSTANT)})
    return Frame.of(contexts, np.arange(n + 1), items={c.TITLE: np.arange(n)}, features={"f": np.array(values)})


def test_the_first_difference_is_that_of_the_first_context() -> None:
    honest = frame_of([1.0, float("nan"), 3.0], [10, 11, 12])
    assert first_difference(honest, frame_of([1.0, float("nan"), 3.0], [10, 11, 12])) is None
    found = first_difference(honest, frame_of([1.0, 2.0, 4.0], [10, 11, 12]))
    assert found is not None
    assert (found.context_id, found.column, found.scrambled) == (11, "f of title 1", 2.0)
    fewer = first_difference(honest, frame_of([1.0, float("nan")], [10, 11]))
    assert fewer is not None
    assert (fewer.context_id, fewer.column) == (12, "kept by the sampler")
