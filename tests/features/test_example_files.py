"""The example feature files, worked by hand through the generator."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, midnight, parse_day
from rec_platform.config import FeatureConfig, SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.pipeline import Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PLAY_FACTS, PROFILES, TITLES
from rec_platform.timetravel.reading import timeline_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "features"
#: Tuesday 11 March 2025; Paris is an hour ahead of UTC.
TODAY = midnight(parse_day("2025-03-11", place="test"))
ANA, BEN = 1, 2


def play(profile: int, title: int, played: int, *, lag: int = 30 * MINUTE, ms: int = 600_000, device: str) -> dict:
    return {c.PLAY_ID: played, c.PROFILE: profile, c.TITLE: title, c.PLAYED_AT: played, c.KNOWN_AT: played + lag,
            c.WATCHED_MS: ms, c.ENGAGED: 1, c.COUNTRY: "FR", c.DEVICE: device}  # fmt: skip


PLAYS = [
    play(ANA, 7, TODAY + 11 * HOUR, device="tv"),
    play(ANA, 8, TODAY + 11 * HOUR, device="tv", lag=2 * HOUR),  # not known yet at 12:15
    play(ANA, 8, TODAY + 10 * HOUR + 25 * MINUTE, device="tv"),
    play(BEN, 7, TODAY + 8 * HOUR, device="console"),
    play(BEN, 7, TODAY - 14 * HOUR, device="web"),
    play(ANA, 8, TODAY - 29 * HOUR, device="mobile", ms=100_000),  # the 9th, 20:00 in Paris
    play(ANA, 7, TODAY - 54 * HOUR, device="tv", ms=540_000),  # the 8th, 19:00 in Paris; nine tenths to the millisecond
    play(ANA, 7, TODAY - 20 * DAY + 18 * HOUR, device="tv"),
]
DESCRIBED = [
    {c.TITLE: title, c.KNOWN_AT: 0, c.SOURCE_ID: str(title), c.GENRES: [genre], c.TAGS: [], c.RUNTIME_MS: 600_000}
    for title, genre in ((7, "drama"), (8, "crime"))
]


def moods(features: FeatureSet) -> dict[str, list[float]]:
    """Of one context: Ana at 12:15 UTC, with the titles 7, 8 and one nobody knows."""
    schema = pa.schema([*PLAY_FACTS.schema, pa.field(c.COUNTRY, pa.string())])
    timeline = timeline_of(
        pa.Table.from_pylist(PLAYS, schema=schema), pa.Table.from_pylist(DESCRIBED, schema=TITLES.schema),
        PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table(),
        rules=SourceRules(time_zones={"default": "UTC", "FR": "Europe/Paris"}), facts=features.needed,
    )  # fmt: skip
    contexts = pa.table({
        c.PROFILE: pa.array([ANA], pa.int64()), c.COUNTRY: ["FR"], c.DEVICE: ["tv"], c.TENURE_DAYS: [10.0],
        c.AT: pa.array([TODAY + 12 * HOUR + 15 * MINUTE], INSTANT),
    })  # fmt: skip
    frame = Frame.of(contexts, np.array([0, 3]), items={c.TITLE: np.array([7, 8, 99])})
    made = FeatureGenerator(features).apply(frame, Sources(timeline)).features
    return {name: made.column(name).to_pylist() for name in made.column_names}


def test_moods_by_hand() -> None:
    features = FeatureSet.from_config(FeatureConfig(files=(str(EXAMPLES / "moods.py"),)))
    got, nan = moods(features), math.nan
    expected = {
        "plays_just_now": [1, 1, 1],  # 11:00; 10:25 is 110 minutes ago
        "drama_mood": [2 / 4] * 3,
        "evening_variety": [2 / 5] * 3,  # 7 and 8 in the evening, of five plays
        "left_unfinished": [0, 1, 0],
        "title_on_big_screens": [1 / 2, 0, nan],  # as of 00:00: 7 on a television and on the web, 8 on a phone
        "country_title_surge": [4 * 2 / 1, nan, nan],  # as of 12:00: two plays of 7 since 06:00, one on the 10th
        "title_of_the_day": [1, 0, 0],
    }
    assert set(expected) == set(features.names) - set(FeatureSet.standard().names)
    for name, values in expected.items():
        assert got[name] == pytest.approx(values, rel=1e-6, nan_ok=True), name


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_every_example_is_a_whole_set_beside_the_standard_one(file: Path) -> None:
    features = FeatureSet.from_config(FeatureConfig(files=(str(file),)))
    assert len(features.names) > len(FeatureSet.standard().names)
    assert features.digest != FeatureSet.standard().digest
    assert all(fact.about for fact in features.facts)


def test_a_set_says_what_its_timeline_must_hold() -> None:
    plain, rich = FeatureSet.standard(), FeatureSet.from_config(FeatureConfig(files=(str(EXAMPLES / "moods.py"),)))
    assert (plain.filters, plain.measures, plain.play_columns) == ((), (), ())
    assert {one.text for one in rich.filters} == {
        "'drama' in genres", "hour >= 18", "watched_ms < 0.9 * runtime_ms", "device in ('tv', 'console')"
    }  # fmt: skip
    assert set(rich.play_columns) == {c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.COUNTRY, c.WATCHED_MS, c.DEVICE}
