"""Certificates in training sets: every context has one, models of candidates are in it, and the audit blocks a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from context_worlds import DAY_ONE, instants, reader

from rec_platform import columns as c
from rec_platform.checks import CheckResult, audit
from rec_platform.clock import HOUR, midnight
from rec_platform.config import AuditConfig, NegativeConfig, Settings
from rec_platform.contexts.extension import FeatureExtension, NoExtension
from rec_platform.contexts.stage import CERTIFICATES, TrainingSets
from rec_platform.dmc12.frame import Frame
from rec_platform.lake import Lake
from rec_platform.lake.content import content_hash
from rec_platform.partition import Partition
from rec_platform.stage import Built
from rec_platform.tables import CONTEXTS, TRAINING_SETS
from rec_platform.testing.context_oracle import Play
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Int64

TODAY = DAY_ONE + timedelta(days=1)
FR = Partition(TODAY, "FR")
NOON = midnight(TODAY) + 12 * HOUR
SETTINGS = Settings(negatives=NegativeConfig(items=3))


def world() -> list[Play]:
    """Ana (1) begins a session at noon; the day before she and others have played three titles."""
    before = midnight(DAY_ONE)
    rows = [
        Play(who, before + who * HOUR, title, 10 * who + title, before + 5 * HOUR)
        for who in (1, 2)
        for title in (1, 2, 3)
    ]
    return [*rows, Play(1, NOON, 2, 99, NOON)]


def build(extension: FeatureExtension | None = None) -> Built:
    (built,) = TrainingSets(extension or NoExtension()).build([FR], reader(world()), SETTINGS)
    return built


def checked(built: Built, folder: Path) -> dict[tuple[str, str], CheckResult]:
    lake = Lake(folder)
    with lake.staging("test") as staging:
        staged = [
            staging.write(spec, FR, built.tables[spec.name], extra=built.extra) for spec in (CONTEXTS, TRAINING_SETS)
        ]
        results = audit("training_sets", staged, lake=lake, settings=AuditConfig())
    return {(result.table, result.check): result for result in results}


def failed(built: Built, folder: Path) -> set[str]:
    found = checked(built, folder).values()
    return {result.check for result in found if result.blocking and not result.passed}


def test_every_context_says_the_newest_it_was_made_from(tmp_path: Path) -> None:
    built = build()
    for spec in (CONTEXTS, TRAINING_SETS):
        rows = built.tables[spec.name]
        assert rows.column(c.NEWEST_PLAYED_AT).to_pylist() == instants([midnight(DAY_ONE) + 5 * HOUR]).to_pylist()
        assert rows.column(c.NEWEST_KNOWN_AT).to_pylist() == instants([midnight(DAY_ONE) + 5 * HOUR]).to_pylist()
        assert rows.column(c.KNOWN_BY).to_pylist() == ["then"]
    assert built.extra["least_seconds_before_at"] == {c.NEWEST_PLAYED_AT: 31 * 3600.0, c.NEWEST_KNOWN_AT: 31 * 3600.0}
    assert not failed(built, tmp_path)


def test_it_says_what_it_cost_beside_the_rows_and_in_no_hash() -> None:
    one, other = build(), build()
    assert one.cpu_seconds.keys() == {CERTIFICATES}
    assert one.cpu_seconds[CERTIFICATES] > 0
    assert one.extra == other.extra
    assert [content_hash(one.tables[spec.name]) for spec in TrainingSets.tables] == [
        content_hash(other.tables[spec.name]) for spec in TrainingSets.tables
    ]


def test_a_lookup_that_takes_in_the_instant_itself_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = kernels.window_moves

    def faulty(*arguments: Any) -> Any:
        """`known <= at` for `known < at`."""
        return honest(*arguments[:4], arguments[4] + 1, *arguments[5:])

    monkeypatch.setattr(kernels, "window_moves", faulty)
    assert failed(build(), tmp_path) >= {"newest_known_before_at"}


@dataclass(frozen=True)
class ModelsOf(NoExtension):
    """Pretends that the steps added scores of models as of a day."""

    day: date

    def as_of(self, frame: Frame) -> Int64:
        return np.full(frame.n_contexts, midnight(self.day), dtype=np.int64)


@pytest.mark.parametrize(
    ("day", "blocked"), [(DAY_ONE, set()), (TODAY, set()), (TODAY + timedelta(days=1), {"played", "known"})]
)
def test_models_stand_in_it_as_the_last_microsecond_before_their_date(
    day: date, blocked: Sequence[str], tmp_path: Path
) -> None:
    built = build(ModelsOf(day))
    at = np.asarray(built.tables[CONTEXTS.name].column(c.NEWEST_KNOWN_AT).cast("int64"))
    assert at.tolist() == [max(midnight(day) - 1, midnight(DAY_ONE) + 5 * HOUR)]
    assert failed(built, tmp_path) == {f"newest_{clock}_before_at" for clock in blocked}
