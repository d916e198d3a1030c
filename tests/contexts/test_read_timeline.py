"""The timeline of the stages reads the columns that declared facts need, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight
from rec_platform.config import FeatureConfig, Settings
from rec_platform.contexts.stage import read_timeline
from rec_platform.features import FeatureSet
from rec_platform.partition import Partition
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, TITLES
from rec_platform.testing.readers import MemoryReader
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import PLAY_COLUMNS

MONDAY = date(2025, 3, 10)
TV_PLAYS = """
from rec_platform.features import Fact, encoder

tv_share = Fact("tv_share", "profile", "share", 7, where="device == 'tv'")

@encoder(unit="share", about="of the profile's plays over 7 days, those on a television")
def on_tv(tv_share):
    return tv_share
"""


class Noting(MemoryReader):
    """Remembers the columns of plays that were asked for."""

    asked: Sequence[str] | None = None

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        self.asked = columns if table == PLAY_FACTS.name else self.asked
        return super().read(table, partitions, columns)


@pytest.fixture
def reader() -> Noting:
    rows = [
        {c.PLAY_ID: i, c.PROFILE: 1, c.TITLE: 7, c.PLAYED_AT: midnight(MONDAY) + i * HOUR, c.WATCHED_MS: 1, c.ENGAGED: 1,
         c.KNOWN_AT: midnight(MONDAY) + i * HOUR + 1, c.DEVICE: device}
        for i, device in enumerate(["tv", "web", "tv", "web", "web"])
    ]  # fmt: skip
    plays = {Partition(MONDAY, "FR"): pa.Table.from_pylist(rows, schema=PLAY_FACTS.schema)}
    reference = {spec.name: {Partition(): spec.schema.empty_table()} for spec in (TITLES, PROFILES, AVAILABILITY)}
    return Noting({PLAY_FACTS.name: plays, **reference})


def test_the_standard_set_reads_what_every_timeline_holds(reader: Noting) -> None:
    read_timeline(reader, Settings(), until=MONDAY)
    assert reader.asked == PLAY_COLUMNS


def test_a_filter_of_the_settings_reads_its_columns_too(reader: Noting, tmp_path: Path) -> None:
    file = tmp_path / "tv.py"
    file.write_text(TV_PLAYS, encoding="utf-8")
    settings = Settings(features=FeatureConfig(files=(str(file),)))
    timeline = read_timeline(reader, settings, until=MONDAY)
    assert reader.asked == (*PLAY_COLUMNS, c.DEVICE)
    facts = FeatureSet.from_config(settings.features).select(["on_tv"]).needed
    found = compute(
        timeline, facts, profile_id=[1], country=["FR"], at=[midnight(MONDAY) + DAY], offsets=[0, 0], title_id=[]
    )
    assert found["tv_share"].tolist() == [2 / 5]


def test_the_facts_wanted_may_be_others_than_the_settings(reader: Noting, tmp_path: Path) -> None:
    file = tmp_path / "tv.py"
    file.write_text(TV_PLAYS, encoding="utf-8")
    features = FeatureSet.from_config(FeatureConfig(files=(str(file),)))
    timeline = read_timeline(reader, Settings(), until=MONDAY, features=features)
    assert reader.asked == (*PLAY_COLUMNS, c.DEVICE)
    assert timeline.first_visible_play([1], [midnight(MONDAY) + DAY]).tolist() == [midnight(MONDAY)]
