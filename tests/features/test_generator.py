"""The generator: hand-worked features, the same bytes whatever the chunks and the order of contexts."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, midnight, parse_day
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureGenerator, FeatureSet, asked, generator, title_tables
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.timetravel.timeline import Timeline

NOON = midnight(parse_day("2025-03-11", place="test")) + 12 * HOUR
ANA, BEN = 1, 2
STEP = FeatureGenerator(FeatureSet.standard())


def play(profile: int, title: int, played: int, *, lag: int = 30 * MINUTE, ms: int = 600_000, engaged: int = 1) -> dict:
    return {
        c.PROFILE: profile, c.TITLE: title, c.PLAYED_AT: played, c.KNOWN_AT: played + lag, c.WATCHED_MS: ms,
        c.ENGAGED: engaged, c.COUNTRY: "FR",
    }  # fmt: skip


def timeline() -> Timeline:
    plays = [
        play(ANA, 7, NOON - 2 * DAY),
        play(ANA, 7, NOON - 1 * DAY, ms=1_200_000),
        play(ANA, 8, NOON - 10 * DAY, engaged=0),
        play(ANA, 8, NOON - 20 * HOUR, lag=2 * DAY),  # Ana's evening: not known yet
        play(BEN, 7, NOON - 2 * DAY),
        play(ANA, 7, NOON),  # at the very instant
    ]
    titles = [
        {c.TITLE: 7, c.KNOWN_AT: 0, c.SOURCE_ID: "7", c.NAME: None, c.GENRES: ["crime", "drama"], c.TAGS: [],
         c.RUNTIME_MS: 90_000, c.RELEASED_AT: NOON - 100 * DAY},
        {c.TITLE: 8, c.KNOWN_AT: 0, c.SOURCE_ID: "8", c.NAME: None, c.GENRES: ["drama"], c.TAGS: ["slow"],
         c.RUNTIME_MS: None, c.RELEASED_AT: None},
    ]  # fmt: skip
    offers = [{c.TITLE: 7, c.COUNTRY: "FR", c.AVAILABLE_FROM: NOON - 3 * DAY, c.AVAILABLE_TO: None, c.KNOWN_AT: 0}]
    kinds = pa.schema([*((n, pa.int64()) for n in (c.PROFILE, c.TITLE)), (c.PLAYED_AT, INSTANT), (c.KNOWN_AT, INSTANT),
                       (c.WATCHED_MS, pa.int64()), (c.ENGAGED, pa.int8()), (c.COUNTRY, pa.string())])  # fmt: skip
    return Timeline.build(
        pa.Table.from_pylist(plays, schema=kinds), pa.Table.from_pylist(titles, schema=TITLES.schema),
        PROFILES.schema.empty_table(), pa.Table.from_pylist(offers, schema=AVAILABILITY.schema), rules=SourceRules(),
    )  # fmt: skip


def frame(rows: list[tuple[int, int, list[int]]]) -> Frame:
    contexts = pa.table(
        {
            c.PROFILE: pa.array([row[0] for row in rows], pa.int64()),
            c.COUNTRY: pa.array(["FR"] * len(rows), pa.string()),
            c.AT: pa.array([row[1] for row in rows], INSTANT),
            c.DEVICE: pa.array(["mobile"] * len(rows), pa.string()),
            c.TENURE_DAYS: pa.array([10.0] * len(rows), pa.float64()),
        }
    )
    offsets = np.concatenate([[0], np.cumsum([len(row[2]) for row in rows])]).astype(np.int64)
    return Frame.of(contexts, offsets, items={c.TITLE: np.array([t for row in rows for t in row[2]], dtype=np.int64)})


def test_hand_worked_features() -> None:
    """Ana at noon sees 3 of her 5 earlier plays and the one at noon: one is not known, one is at the very instant."""
    done = STEP.apply(frame([(ANA, NOON, [7, 8, 99])]), Sources(timeline()))
    got = {name: done.features.column(name).to_pylist() for name in done.features.column_names}
    nan = math.nan
    expected = {
        "profile_plays_7d": [2, 2, 2], "profile_plays_28d": [3, 3, 3], "profile_seconds_28d": [2400] * 3,
        "days_since_last_played": [1, 1, 1], "profile_trend": [8 / 3] * 3,
        "profile_engaged_rate": [(2 + 2.5) / 8] * 3, "profile_hour_share": [1, 1, 1],
        "profile_title_plays": [2, 1, 0], "days_since_title_last_played": [1, 10, nan],
        # crime 2/3, drama 3/3 for title 7; drama 3/3 for title 8
        "genre_share_mean": [(2 / 3 + 1) / 2, 1, nan], "genre_share_max": [1, 1, nan], "tag_share_max": [nan, 1 / 3, nan],
        # as of 00:00: Ana's three and Ben's one
        "title_plays_28d": [3, 1, 0], "country_title_plays_7d": [3, 0, 0], "country_title_share": [3 / 4, 1 / 4, 0],
        "title_age_days": [100, nan, nan], "availability_age_days": [3, nan, nan],
        "title_runtime_seconds": [90, nan, nan], "device_mobile": [1, 1, 1], "device_tv": [0, 0, 0],
        "tenure_days": [10, 10, 10], "history_days": [10, 10, 10],
    }  # fmt: skip
    for name, values in expected.items():
        assert got[name] == pytest.approx(values, rel=1e-6, nan_ok=True), name


def test_chunks_and_order_of_contexts_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows = [
        (int(rng.integers(1, 4)), NOON + int(rng.integers(-3, 3)) * DAY // 2, [7, 8, 99][: rng.integers(0, 4)])
        for _ in range(40)
    ]
    one = frame(rows)
    whole = STEP.apply(one, Sources(timeline())).features
    for module in (generator, title_tables):
        monkeypatch.setattr(module, "CHUNK", 3)
    order = rng.permutation(40)
    again = STEP.apply(one, Sources(timeline())).features
    back = STEP.apply(one.take(order), Sources(timeline())).take(np.argsort(order)).features
    for name in whole.column_names:
        found = [table.column(name).to_numpy().tobytes() for table in (whole, again, back)]
        assert found[0] == found[1] == found[2], name


def test_a_frame_without_items_or_contexts_gets_empty_columns() -> None:
    for rows in ([], [(ANA, NOON, [])]):
        done = STEP.apply(frame(rows), Sources(timeline()))
        assert done.features.column_names == list(FeatureSet.standard().names)
        assert done.features.num_rows == 0


def test_it_is_a_step_of_a_pipeline() -> None:
    pipeline = Pipeline([STEP])
    assert {column.name for column in STEP.adds} == set(FeatureSet.standard().names)
    done = pipeline.apply(frame([(BEN, NOON, [7])]), Sources(timeline()))
    assert done.features.schema.field("profile_plays_7d").type == pa.float32()
    assert pipeline.to_json()[0]["digest"] == FeatureSet.standard().digest


def test_without_a_timeline_it_says_so() -> None:
    with pytest.raises(ConfigError, match="no Timeline was given"):
        STEP.apply(frame([(ANA, NOON, [7])]), Sources())


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), max_size=40))
def test_the_order_of_keys_is_that_of_a_stable_sort(keys: list[int]) -> None:
    array = np.array(keys, dtype=np.int64)
    assert asked.stable_order(array).tolist() == np.argsort(array, kind="stable").tolist()


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3) | st.integers(2**62, 2**62 + 60), max_size=40))
def test_the_numbers_of_keys_are_those_of_a_sort(keys: list[int]) -> None:
    array = np.array(keys, dtype=np.int64)
    _, first, number = np.unique(array, return_index=True, return_inverse=True)
    found = asked.numbered(array)
    assert [part.tolist() for part in found] == [first.tolist(), number.tolist()]
