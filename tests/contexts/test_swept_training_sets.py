"""Training sets swept by bucket of profiles are the same bytes as from one timeline."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from context_worlds import DAY_ONE, histories, offers, reader
from hypothesis import given, settings
from hypothesis import strategies as st
from test_training_sets import SETTINGS, busy

from rec_platform.config import FeatureConfig, MemoryConfig, SamplerConfig, SeenRule, Settings, TrainingConfig
from rec_platform.contexts.stage import TrainingSets
from rec_platform.features import by_bucket, records
from rec_platform.lake import content_hash
from rec_platform.partition import Partition
from rec_platform.stage import Built
from rec_platform.testing.context_oracle import Offer, Play
from rec_platform.testing.readers import MemoryReader

MOODS = str(Path(__file__).parents[2] / "examples" / "features" / "moods.py")
PARTITIONS = [Partition(DAY_ONE + timedelta(days=number), country) for number in range(3) for country in ("DE", "FR")]


def of(plays: MemoryReader, chosen: Settings, plays_at_once: int) -> list[Built]:
    memory = MemoryConfig(plays_at_once=plays_at_once)
    return list(TrainingSets().build(PARTITIONS, plays, chosen.model_copy(update={"memory": memory})))


def same(plays: MemoryReader, chosen: Settings, buckets: int, n_plays: int) -> list[Built]:
    """The partitions made in so many buckets, which are those made in one."""
    whole, swept = of(plays, chosen, n_plays + 1), of(plays, chosen, max(-(-n_plays // buckets), 1))
    for one, other in zip(whole, swept, strict=True):
        assert one.partition == other.partition
        assert {name: content_hash(rows) for name, rows in one.tables.items()} == {
            name: content_hash(rows) for name, rows in other.tables.items()
        }
        assert one.extra["buckets"] == 1
        assert {**other.extra, "buckets": 1} == one.extra
    return swept


@pytest.mark.slow
@settings(max_examples=15, derandomize=True, deadline=None)
@given(histories(), st.one_of(st.just([]), offers()), st.sampled_from([1, 2, 5]), st.sampled_from(["then", "now"]))
def test_whatever_is_played_and_however_many_buckets(
    plays: list[Play], offered: list[Offer], buckets: int, known_by: str
) -> None:
    """Late and simultaneous plays, offers or none, empty partitions, buckets without contexts."""
    chosen = SETTINGS.model_copy(update={"training": TrainingConfig(known_by=known_by)})
    same(reader(plays, offered), chosen, buckets, len(plays))


@pytest.mark.parametrize(
    "chosen",
    [
        SETTINGS,
        SETTINGS.model_copy(update={"sampler": SamplerConfig(max_contexts=10)}),
        SETTINGS.model_copy(
            update={
                "rules": SETTINGS.rules.model_copy(update={"seen": SeenRule(kind="drop")}),
                "labels": SETTINGS.labels.model_copy(update={"horizon_days": 2}),
            }
        ),
        SETTINGS.model_copy(update={"features": FeatureConfig(files=(MOODS,))}),
    ],
    ids=["all contexts", "a sample of strata", "seen titles dropped, two days of labels", "filters by the hour"],
)
def test_forced_buckets(chosen: Settings) -> None:
    made = same(reader(busy()), chosen, 7, len(busy()))
    assert made[0].extra["buckets"] == 7
    assert sum(one.extra["contexts"] for one in made) > 10


def test_a_day_of_ticks_at_a_time_and_progress_is_told() -> None:
    plays = reader(busy())
    with patch.object(records, "TICK_BYTES", 1):
        same(plays, SETTINGS, 3, len(busy()))
    assert [told for told in plays.told if "sums over all plays" in told] == [
        "pass 2 of 2: sums over all plays for 1 days"
    ] * 3
    assert plays.told.count("pass 2 of 2: bucket 3 of 3") == 3


class Counting:
    """A file of parts of frames; tells how many there are that were not closed."""

    now = most = made = 0

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._writer = pa.RecordBatchFileWriter(path, schema)
        Counting.now, Counting.made = Counting.now + 1, Counting.made + 1
        Counting.most = max(Counting.most, Counting.now)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()
        Counting.now -= 1


def test_no_more_files_are_open_than_buckets_however_many_days() -> None:
    with patch.object(by_bucket.pa.ipc, "new_file", Counting):
        same(reader(busy()), SETTINGS, 3, len(busy()))
    assert (Counting.now, Counting.made) == (0, 24)
    assert Counting.most <= 3


def test_nothing_stays_in_the_scratch_folder(tmp_path: Path) -> None:
    memory = MemoryConfig(plays_at_once=50, scratch=str(tmp_path / "made"))
    built = TrainingSets().build(PARTITIONS, reader(busy()), SETTINGS.model_copy(update={"memory": memory}))
    next(built)
    (held,) = (tmp_path / "made").iterdir()
    assert held.name.startswith("sweep.")
    built.close()
    assert not list((tmp_path / "made").iterdir())
