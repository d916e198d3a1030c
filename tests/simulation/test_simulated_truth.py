"""The truth: the formula against its plain definition, the policy against its draws, the files against memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import exp
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.clock import DAY, HOUR, MINUTE, midnight
from rec_platform.errors import KeyRefused, SourceError
from rec_platform.simulation import (
    WorldConfig,
    engagement_probability,
    load_truth,
    true_choice_probabilities,
    true_utilities,
    true_utility,
)
from rec_platform.simulation.plays import State, watched_tenths
from rec_platform.simulation.policy import Days, Lists
from rec_platform.simulation.truth import FIRST_VIDEO, NEVER, OPEN
from rec_platform.simulation.world import make_truth

TRUTH = make_truth(WorldConfig.small(n_profiles=200, n_titles=80, plays=2_000))
VIDEOS = list(range(FIRST_VIDEO, FIRST_VIDEO + 80))
FIRST = midnight(TRUTH.config.start)


def plain_utility(profile: int, title: int, country: int, at: int) -> float:
    """The formula of docs/simulated-world.md, number by number."""
    day = at // DAY
    windows = zip(
        *(getattr(TRUTH.windows, name).tolist() for name in ("title", "country", "from_day", "to_day")), strict=True
    )
    since = [begin for t, c, begin, end in windows if (t, c) == (title, country) and begin <= day < end]
    if not since:
        return float("-inf")
    zone = ZoneInfo(TRUTH.config.countries[country].time_zone)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)
    slot = local.hour // 6 + (4 if local.weekday() >= 5 else 0)
    people, titles, total = TRUTH.people, TRUTH.titles, 0.0
    for genre in range(16):
        liking = people.taste[profile, genre] + TRUTH.country_taste[country, genre] + TRUTH.slot_taste[slot, genre]
        total += float(liking) * float(titles.genres[title, genre])
    total += sum(float(a) * float(b) for a, b in zip(people.hidden[profile], titles.hidden[title], strict=True))
    return total + float(titles.quality[title]) + 0.8 * exp(-(day - since[0]) / 14)


@given(
    profile=st.integers(0, 199), country=st.integers(0, 4), minutes=st.integers(0, 35 * 24 * 60 - 1),
    titles=st.lists(st.integers(0, 79), min_size=1, max_size=5),
)  # fmt: skip
def test_true_utility_is_the_stated_formula(profile, country, minutes, titles):
    at = FIRST + minutes * MINUTE
    code = TRUTH.config.countries[country].code
    found = true_utility(TRUTH, f"u{profile:07d}", [FIRST_VIDEO + title for title in titles], code, at)
    assert found == pytest.approx([plain_utility(profile, title, country, at) for title in titles], abs=2e-5)


def test_many_pairs_at_once_equal_one_by_one():
    rng = np.random.default_rng(3)
    users = [f"u{row:07d}" for row in rng.integers(0, 200, 50)]
    videos = rng.choice(VIDEOS, 50).tolist()
    countries = rng.choice(["US", "DE", "LI"], 50).tolist()
    at = (FIRST + rng.integers(0, 35 * DAY, 50)).tolist()
    single = [true_utility(TRUTH, *pair)[0] for pair in zip(users, [[v] for v in videos], countries, at, strict=True)]
    assert true_utilities(TRUTH, users, videos, countries, at) == pytest.approx(single, abs=1e-6)


def test_choice_probabilities_are_a_softmax_over_what_is_offered():
    utility = true_utility(TRUTH, "u0000005", VIDEOS, "DE", FIRST + 20 * HOUR)
    probability = true_choice_probabilities(TRUTH, "u0000005", VIDEOS, "DE", FIRST + 20 * HOUR)
    assert probability.sum() == pytest.approx(1)
    assert ((probability == 0) == np.isinf(utility)).all() and 0 < np.isinf(utility).sum() < 80
    offered = np.isfinite(utility)
    odds = probability[offered] / probability[offered][0]
    assert odds == pytest.approx(np.exp(utility[offered] - utility[offered][0]))


def test_questions_without_an_answer_are_refused():
    with pytest.raises(KeyRefused, match="no country 'FR'"):
        true_utility(TRUTH, "u0000001", VIDEOS, "FR", FIRST)
    with pytest.raises(KeyRefused, match="video_ids are 1000 to 1079"):
        true_utility(TRUTH, "u0000001", [999], "DE", FIRST)
    with pytest.raises(KeyRefused, match="outside the simulated world"):
        true_utility(TRUTH, "u0000001", [1000], "DE", FIRST + 400 * DAY)
    never = [FIRST_VIDEO + row for row in np.flatnonzero(TRUTH.since(FIRST // DAY)[1] == NEVER)]
    with pytest.raises(KeyRefused, match="none of the titles is offered"):
        true_choice_probabilities(TRUTH, "u0000001", never, "DE", FIRST)


def test_the_truth_on_disk_is_the_truth(world):
    again = make_truth(world.truth.config)
    for part in ("people", "titles", "windows", "trips"):
        loaded, made = vars(getattr(world.truth, part)), vars(getattr(again, part))
        for name, values in made.items():
            assert np.array_equal(loaded[name], values) if name != "tags" else loaded[name] == values
    assert np.array_equal(world.truth.slot_taste, again.slot_taste)
    assert np.array_equal(world.truth.country_taste, again.country_taste)


def test_a_folder_without_a_truth_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no truth here"):
        load_truth(tmp_path)


DAYS = Days.of(TRUTH, Lists.of(TRUTH.titles.genres), FIRST // DAY + 20)


def test_propensities_of_a_slot_add_up_to_one_over_the_offered_titles():
    scene = np.arange(10)
    shares = DAYS.shares(TRUTH.people.taste[:10], scene)
    everything = DAYS.propensity(shares, scene, np.tile(np.arange(80), (10, 1)), TRUTH.titles.genres)
    assert shares.sum(axis=1) == pytest.approx(np.ones(10))
    assert everything[DAYS.offered].min() > 0.15 / 80
    assert np.where(DAYS.offered, everything, 0).sum(axis=1) == pytest.approx(np.ones(10))


def test_pages_are_drawn_with_the_stated_propensities():
    scene, draws = np.array([1, 5]), 40_000
    shares = DAYS.shares(TRUTH.people.taste[[3, 4]], scene)
    page = DAYS.draw(shares, scene, draws, np.random.default_rng(8))
    expected = DAYS.propensity(shares, scene, np.tile(np.arange(80), (2, 1)), TRUTH.titles.genres)
    expected[~DAYS.offered[scene]] = 0
    for row in range(2):
        found = np.bincount(page[row], minlength=80)
        assert (found[expected[row] == 0] == 0).all()
        spread = np.sqrt(draws * expected[row] * (1 - expected[row])) + 1e-9
        assert (np.abs(found - draws * expected[row]) < 5 * spread).all()


def test_shown_titles_are_weighed_right_by_their_propensity(world):
    """Weighing each shown title by 1 / propensity makes the shown titles of a country look uniform."""
    lines = world.lines
    shown = lines[(lines["event"] == "shown") & (lines["country"] == "US")]
    counts = shown.groupby("video_id").size()
    weighed = (1 / shown["propensity"].astype(float)).groupby(shown["video_id"]).sum()
    always = world.availability[
        (world.availability["country"] == "US") & (world.availability["from_time"] < "2024-06-01")
    ]
    always = always[always["to_time"].isna()]["video_id"].astype(str)
    raw, corrected = counts.reindex(always).dropna(), weighed.reindex(always).dropna()
    assert raw.std() / raw.mean() > 4 * corrected.std() / corrected.mean()


@given(
    runtime=st.integers(30, 20_000), engaged=st.booleans(), likely=st.floats(0.01, 0.99), seed=st.integers(0, 99)
)  # fmt: skip
def test_watched_time_says_exactly_whether_a_play_is_engaged(runtime, engaged, likely, seed):
    many = np.full(50, runtime), np.full(50, engaged), np.full(50, likely)
    tenths = watched_tenths(*many, np.random.default_rng(seed))
    assert ((tenths >= np.minimum(7 * runtime, 6_000)) == engaged).all()
    assert tenths.min() >= 0 and tenths.max() <= 10 * runtime


def test_engagement_probability_rises_with_utility_and_falls_on_mobile():
    likely = engagement_probability(np.array([-1.0, 0.0, 2.0]))
    assert list(likely) == sorted(likely)
    assert likely[1] == pytest.approx(1 / (1 + exp(0.7)))
    assert engagement_probability(np.array([0.0]), mobile=True)[0] == pytest.approx(1 / (1 + exp(1.1)))


def test_memory_holds_the_last_distinct_series():
    state = State.new(2)
    for title in (5, 6, 5, 7, 8, 7):
        state.remember(np.array([1]), np.array([title]))
    assert state.memory.tolist() == [[-1, -1, -1], [7, 8, 5]]


def test_windows_never_overlap_and_stay_open_or_end():
    frame = pd.DataFrame(vars(TRUTH.windows)).sort_values(["title", "country", "from_day"])
    assert (frame["from_day"] < frame["to_day"]).all()
    before = frame.groupby(["title", "country"])["to_day"].shift()
    assert (before.isna() | (before < frame["from_day"])).all()
    assert (frame["to_day"] == OPEN).mean() > 0.7
