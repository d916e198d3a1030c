"""The delivered world keeps the rules that docs/simulated-world.md states."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from rec_platform.simulation import true_utilities
from rec_platform.simulation.localtime import LocalTime
from rec_platform.simulation.truth import FIRST_VIDEO, GENRES


def test_nobody_plays_a_title_that_is_not_offered_there_then(world):
    plays = world.plays[["play_id", "video_id", "country", "start_time"]]
    joined = plays.merge(world.availability, on=["video_id", "country"])
    inside = (joined["from_time"] <= joined["start_time"]) & ~(joined["to_time"] <= joined["start_time"])
    assert joined[inside].groupby("play_id").size().eq(1).all()
    assert joined[inside]["play_id"].nunique() == len(plays)


def test_titles_leave_return_or_never_come(world):
    a = world.availability
    start, end = pd.Timestamp("2025-01-01", tz="UTC"), pd.Timestamp("2025-02-05", tz="UTC")
    assert len(a.drop_duplicates(["video_id", "country"])) < 400 * 5 * 0.95
    assert a["video_id"].nunique() == 400
    assert a["to_time"].between(start, end).sum() > 20
    assert a.duplicated(["video_id", "country"]).sum() > 5
    left = a.dropna(subset=["to_time"]).merge(a, on=["video_id", "country"], suffixes=("", "_next"))
    apart = (left["from_time_next"] >= left["to_time"]) | (left["from_time_next"] <= left["from_time"])
    assert apart.all()


def test_what_is_known_is_never_known_too_early(world):
    plays = world.plays
    tenths = (plays["watch_seconds"] * 10).round().astype("int64")
    ended = plays["start_time"] + pd.to_timedelta(tenths * 100, unit="ms")
    assert (plays["received_time"] > ended).all()
    assert (world.profiles["known_time"] >= world.profiles["signup_time"]).all()
    assert (world.availability["known_time"] <= world.availability["from_time"]).all()
    known = plays.merge(world.profiles, left_on="user_id", right_on="user_id", suffixes=("", "_home"))
    assert len(known) == len(plays)
    assert (known["start_time"] > known["known_time"]).all()


def test_titles_are_known_before_they_can_be_played(world):
    first = world.plays.groupby("video_id")["start_time"].min()
    titles = world.titles.set_index("video_id").loc[first.index]
    assert (pd.to_datetime(titles["known_time"], utc=True) < first).all()
    assert (pd.to_datetime(titles["release_date"], utc=True) <= first).all()


def test_most_plays_arrive_within_minutes_and_some_after_days(world):
    plays = world.plays
    delay = plays["received_time"] - plays["start_time"] - pd.to_timedelta(plays["watch_seconds"], unit="s")
    assert delay.median() < pd.Timedelta(minutes=3)
    assert 0.03 < (delay > pd.Timedelta(hours=1) - pd.Timedelta(seconds=1)).mean() < 0.05
    assert pd.Timedelta(days=2) < delay.max() <= pd.Timedelta(days=5, seconds=1)


def test_new_profiles_and_titles_every_day(world):
    days = pd.date_range("2025-01-01", periods=35, freq="D").date
    assert set(days) <= set(world.profiles["signup_time"].dt.date)
    assert set(days) <= set(pd.to_datetime(world.titles["release_date"]).dt.date)
    tenure = pd.Timestamp("2025-01-01", tz="UTC") - world.profiles["signup_time"]
    assert tenure.max() > pd.Timedelta(days=1_000)
    first = world.plays.groupby("user_id")["start_time"].min()
    new = world.profiles[world.profiles["signup_time"] >= pd.Timestamp("2025-01-01", tz="UTC")]
    assert new["user_id"].isin(first.index).mean() > 0.9


def test_a_few_profiles_travel(world):
    plays = world.plays.merge(world.profiles, on="user_id", suffixes=("", "_home"))
    away = plays["country"] != plays["country_home"]
    assert 5 < plays.loc[away, "user_id"].nunique() < 80
    assert "LI" not in set(plays.loc[away, "country"])


def test_popularity_and_activity_are_concentrated(world):
    titles = world.plays["video_id"].value_counts()
    profiles = world.plays["user_id"].value_counts()
    assert titles.head(40).sum() / titles.sum() > 0.4
    assert profiles.head(150).sum() / profiles.sum() > 0.3
    slope = np.polyfit(np.log(np.arange(5, 101)), np.log(titles.to_numpy()[4:100]), 1)[0]
    assert -1.5 < slope < -0.4


def test_sessions_hold_one_to_six_plays_one_after_the_other(world):
    plays = world.plays.sort_values(["user_id", "start_time"])
    sizes = plays.groupby("session").size()
    assert sizes.min() == 1 and sizes.max() == 6
    assert plays.groupby("session")["user_id"].nunique().eq(1).all()
    ended = plays["start_time"] + pd.to_timedelta(plays["watch_seconds"], unit="s")
    same_user = plays["user_id"] == plays["user_id"].shift()
    rest = plays["start_time"] - ended.shift()
    assert rest[same_user].min() > pd.Timedelta(seconds=19)
    new_session = same_user & (plays["session"] != plays["session"].shift())
    assert rest[new_session].min() > pd.Timedelta(minutes=34)


def test_places_on_the_page_and_propensities(world):
    plays = world.plays
    assert plays["propensity"].dropna().between(0, 1, inclusive="right").all()
    assert (plays["propensity"].isna() == (plays["surface"] == "search")).all()
    home = plays[plays["surface"] == "home"]
    assert set(home["row"]) == {0, 1, 2, 3}
    assert (home[home["row"] == 0]["propensity"] == 1).all()
    assert home[home["row"] > 0]["propensity"].max() < 0.6
    assert set(home[home["row"] > 0]["position"]) == {0, 1, 2, 3}
    first = (home["row"] == 1) & (home["position"] == 0)
    last = (home["row"] == 3) & (home["position"] == 3)
    assert first.sum() > 1.3 * last.sum()


def test_repeat_plays_are_moderate(world):
    plays = world.plays.sort_values("start_time")
    again = plays["video_id"] == plays.groupby("user_id")["video_id"].shift()
    assert 0.1 < again.mean() < 0.3
    series = world.titles["tags"].map(lambda tags: "series" in tags).to_numpy()
    is_series = series[plays["video_id"].to_numpy() - FIRST_VIDEO]
    assert again[is_series].mean() > 3 * again[~is_series].mean()


def test_engagement_is_common_and_grows_with_taste(world):
    plays = world.plays
    engaged = plays["watch_seconds"] >= np.minimum(0.7 * plays["runtime_seconds"], 600)
    liked = (world.truth.people.taste[rows_of(plays)] * world.truth.titles.genres[plays["video_id"] - FIRST_VIDEO]).sum(
        1
    )
    assert 0.5 < engaged.mean() < 0.85
    assert engaged[liked > 1].mean() > engaged[liked < 0].mean() + 0.15
    assert (plays["watch_seconds"] <= plays["runtime_seconds"]).all()


def test_taste_shows_in_what_is_played(world):
    """The share of a genre in a profile's plays, against the catalogue's, follows its true taste."""
    plays = world.plays
    heavy = plays["user_id"].value_counts().head(300).index
    genres = world.truth.titles.genres
    by_all = genres[plays["video_id"] - FIRST_VIDEO].mean(axis=0)
    correlations = []
    for user, own in plays[plays["user_id"].isin(heavy)].groupby("user_id"):
        share = genres[own["video_id"] - FIRST_VIDEO].mean(axis=0)
        correlations.append(
            np.corrcoef(np.log((share + 0.01) / (by_all + 0.01)), world.truth.people.taste[int(user[1:])])[0, 1]
        )
    assert np.mean(correlations) > 0.7
    assert np.quantile(correlations, 0.05) > 0.4


def test_learned_taste_beats_popularity_and_true_utility_beats_learned_taste(world):
    """Ranking the play that opens a session, from plays before it only: what a ranker is meant to find."""
    plays = world.plays.sort_values("start_time")
    cut = pd.Timestamp("2025-01-27", tz="UTC")
    past, later = plays[plays["start_time"] < cut], plays[plays["start_time"].between(cut, cut + pd.Timedelta(days=3))]
    opening = later.groupby("session").head(1).head(600)
    popular = np.bincount(past["video_id"] - FIRST_VIDEO, minlength=400) + 1.0
    genres = world.truth.titles.genres
    counts = np.zeros((1_500, len(GENRES)))
    np.add.at(counts, rows_of(past), genres[past["video_id"] - FIRST_VIDEO])
    taste = np.log((counts + 1) / (counts.sum(1, keepdims=True) + 16))
    who, what = rows_of(opening), opening["video_id"].to_numpy() - FIRST_VIDEO
    utility = utilities(world, opening)
    hits = {
        "popular": hit_rate(np.tile(np.log(popular), (len(who), 1)), what),
        "learned": hit_rate(np.log(popular) + (taste @ genres.T)[who], what),
        "true": hit_rate(np.log(popular) / 2 + utility, what),
    }
    assert hits["learned"] > 1.25 * hits["popular"]
    assert hits["true"] > 1.1 * hits["learned"]


def utilities(world, contexts: pd.DataFrame) -> np.ndarray:
    """(contexts, titles): true utility of every title, -inf where it is not offered."""
    videos = np.tile(world.titles["video_id"], len(contexts))
    users, countries = (np.repeat(contexts[name].to_numpy(), 400).tolist() for name in ("user_id", "country"))
    at = np.repeat([round(moment.timestamp() * 1e6) for moment in contexts["start_time"]], 400)
    return true_utilities(world.truth, users, videos.tolist(), countries, at.tolist()).reshape(-1, 400)


def hit_rate(scores: np.ndarray, played: np.ndarray) -> float:
    above = (scores > scores[np.arange(len(played)), played][:, None]).sum(axis=1)
    return float((above < 10).mean())


def rows_of(plays: pd.DataFrame) -> np.ndarray:
    return plays["user_id"].str[1:].astype(int).to_numpy()


def test_evenings_are_busy_by_the_local_clock(world):
    zones = {country.code: country.time_zone for country in world.truth.config.countries}
    for code in ("US", "DE", "BR", "JP"):
        own = world.plays[world.plays["country"] == code].groupby("session")["start_time"].min()
        hour = own.dt.tz_convert(zones[code]).dt.hour
        assert hour.between(18, 21).mean() > 3 * hour.between(2, 5).mean()


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_local_time_agrees_with_the_time_zone_database(zone):
    clock = LocalTime.of((zone,), datetime(2025, 3, 1).date(), 60)
    at = np.random.default_rng(1).integers(1_740_787_200_000, 1_745_971_200_000, 500)
    at = np.append(at, [1_741_503_599_999, 1_741_503_600_000, 1_743_296_399_999, 1_743_296_400_000])
    local = clock.local(np.zeros(len(at), dtype=np.int64), at)
    for instant, shown in zip(at.tolist(), local.tolist(), strict=True):
        there = datetime.fromtimestamp(instant / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
        assert abs(there.timestamp() * 1000 - shown) < 1
