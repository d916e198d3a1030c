"""The standard facts and features. docs/features.md lists them; it is generated from here."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.features.encoders import Array, Encoder, as_is, days_since, encoder, ratio, scaled, smoothed_rate
from rec_platform.features.words import MEASURED, any_of, over_days
from rec_platform.tables import WINDOWS
from rec_platform.timetravel.facts import Entity, Fact, Measure
from rec_platform.timetravel.kernels import NONE

_LONGEST: Final = WINDOWS[-1]
_SCOPES: Final[dict[str, Entity]] = {"profile": "profile", "country_title": "title_country", "title": "title"}
_MEASURES: Final[tuple[Measure, ...]] = ("plays", "watched_ms", "engaged_plays")


def _alike(name: str, attribute: Literal["genres", "tags"], over: Literal["mean", "max"]) -> Fact:
    return Fact(
        name, "profile_attribute", "plays", _LONGEST, attribute=attribute, over=over,
        about=f"the profile's plays of titles that share one of the title's {attribute}, {over} over them, over 90 days",
    )  # fmt: skip


#: profile_plays_7d, country_title_watched_ms_28d, ...: three measures over the windows of the snapshots.
WINDOWED: Final = tuple(
    Fact(f"{scope}_{measure}_{days}d", entity, measure, days, about=over_days(MEASURED[measure], scope, days))
    for scope, entity in _SCOPES.items()
    for measure in _MEASURES
    for days in WINDOWS
)
FACTS: Final = (
    *WINDOWED,
    Fact("profile_last_played_at", "profile", "last_played_at", about="the profile's last play"),
    Fact("profile_hour_plays", "profile_hour", "plays", _LONGEST, "the profile's plays in the context's local hour"),
    Fact("profile_weekday_plays", "profile_weekday", "plays", _LONGEST, "the profile's plays on its local weekday"),
    Fact("profile_title_plays", "profile_title", "plays", about="the profile's plays of the title, ever"),
    Fact("profile_title_last_played_at", "profile_title", "last_played_at", about="the last of them"),
    _alike("profile_genre_plays_mean", "genres", "mean"), _alike("profile_genre_plays_max", "genres", "max"),
    _alike("profile_tag_plays_mean", "tags", "mean"), _alike("profile_tag_plays_max", "tags", "max"),
    Fact("title_last_played_at", "title", "last_played_at", _LONGEST, "the title's last play by anyone, anywhere"),
    Fact("country_plays_28d", "country", "plays", 28, "all plays in the context's country, over 28 days"),
    Fact("platform_first_played_at", "platform", "first_played_at", about="the first play of all"),
    Fact("title_released_at", "title", "released_at", about="when the title came out, as known then"),
    Fact("title_runtime_ms", "title", "runtime_ms", about="how long the title lasts, as known then"),
    Fact("title_available_from", "title_country", "available_from", about="from when the title is offered there"),
)  # fmt: skip
_BY_NAME: Final = {fact.name: fact for fact in FACTS}


def _seconds(scope: str, days: int) -> Encoder:
    fact = _BY_NAME[f"{scope}_watched_ms_{days}d"]
    return scaled(f"{scope}_seconds_{days}d", fact, 1000.0, "seconds", over_days("watched in plays", scope, days))


@encoder(unit="days", about="since the profile's last play; missing before its first")
def days_since_last_played(profile_last_played_at: Array, at: Array) -> Array:
    return days_since(profile_last_played_at, at)


@encoder(unit="ratio", about="the profile's plays of 7 days against a quarter of those of 28; missing without any")
def profile_trend(profile_plays_7d: Array, profile_plays_28d: Array) -> Array:
    return ratio(4 * profile_plays_7d, profile_plays_28d)


@encoder(unit="seconds", about="watched per play by the profile, over 90 days; missing without plays")
def profile_mean_seconds(profile_watched_ms_90d: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_watched_ms_90d / 1000, profile_plays_90d)


@encoder(unit="share", about="engaged share of the profile's plays over 90 days, drawn to 0.5 by 5 plays")
def profile_engaged_rate(profile_engaged_plays_90d: Array, profile_plays_90d: Array) -> Array:
    return smoothed_rate(profile_engaged_plays_90d, profile_plays_90d, prior=0.5, weight=5.0)


@encoder(unit="share", about="of the profile's plays over 90 days, those in the context's local hour of the day")
def profile_hour_share(profile_hour_plays: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_hour_plays, profile_plays_90d)


@encoder(unit="share", about="of the profile's plays over 90 days, those on the context's local weekday")
def profile_weekday_share(profile_weekday_plays: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_weekday_plays, profile_plays_90d)


@encoder(unit="days", about="how much of the longest window (90 days) had been recorded")
def history_days(platform_first_played_at: Array, at: Array) -> Array:
    days = (at - np.where(platform_first_played_at == NONE, at, platform_first_played_at)) / DAY
    return np.asarray(np.minimum(days, _LONGEST))


@encoder(unit="ratio", about="the title's plays in the country of 7 days against a quarter of those of 28")
def country_title_trend(country_title_plays_7d: Array, country_title_plays_28d: Array) -> Array:
    return ratio(4 * country_title_plays_7d, country_title_plays_28d)


@encoder(unit="share", about="the title's share of all plays in the country, over 28 days")
def country_title_share(country_title_plays_28d: Array, country_plays_28d: Array) -> Array:
    return ratio(country_title_plays_28d, country_plays_28d)


@encoder(unit="share", about="engaged share of the title's plays in the country over 28 days, drawn to 0.5 by 20 plays")
def country_title_engaged_rate(country_title_engaged_plays_28d: Array, country_title_plays_28d: Array) -> Array:
    return smoothed_rate(country_title_engaged_plays_28d, country_title_plays_28d, prior=0.5, weight=20.0)


@encoder(unit="ratio", about="the title's plays of 7 days against a quarter of those of 28")
def title_trend(title_plays_7d: Array, title_plays_28d: Array) -> Array:
    return ratio(4 * title_plays_7d, title_plays_28d)


@encoder(unit="seconds", about="watched per play of the title, over 28 days; missing without plays")
def title_mean_seconds(title_watched_ms_28d: Array, title_plays_28d: Array) -> Array:
    return ratio(title_watched_ms_28d / 1000, title_plays_28d)


@encoder(unit="share", about="engaged share of the title's plays over 90 days, drawn to 0.5 by 20 plays")
def title_engaged_rate(title_engaged_plays_90d: Array, title_plays_90d: Array) -> Array:
    return smoothed_rate(title_engaged_plays_90d, title_plays_90d, prior=0.5, weight=20.0)


@encoder(unit="days", about="since anyone last played the title, as of the last tick; missing after 90 days without")
def days_since_title_played_by_anyone(title_last_played_at: Array, at: Array) -> Array:
    return days_since(title_last_played_at, at)


@encoder(unit="days", about="since the profile last played the title; missing if it never did")
def days_since_title_last_played(profile_title_last_played_at: Array, at: Array) -> Array:
    return days_since(profile_title_last_played_at, at)


@encoder(
    unit="share", about="of the profile's plays over 90 days, those in each genre of the title, mean over its genres"
)
def genre_share_mean(profile_genre_plays_mean: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_genre_plays_mean, profile_plays_90d)


@encoder(unit="share", about="the same, for the genre of the title that the profile plays most")
def genre_share_max(profile_genre_plays_max: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_genre_plays_max, profile_plays_90d)


@encoder(
    unit="share", about="of the profile's plays over 90 days, those with each tag of the title, mean over its tags"
)
def tag_share_mean(profile_tag_plays_mean: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_tag_plays_mean, profile_plays_90d)


@encoder(unit="share", about="the same, for the tag of the title that the profile plays most")
def tag_share_max(profile_tag_plays_max: Array, profile_plays_90d: Array) -> Array:
    return ratio(profile_tag_plays_max, profile_plays_90d)


@encoder(unit="days", about="since the title came out; negative before, missing where unknown")
def title_age_days(title_released_at: Array, at: Array) -> Array:
    return days_since(title_released_at, at)


@encoder(unit="days", about="since the title has been on offer in the country; missing where it is not")
def availability_age_days(title_available_from: Array, at: Array) -> Array:
    return days_since(title_available_from, at)


def _device(group: str, *names: str) -> Encoder:
    def is_one(device: Array) -> Array:
        return np.asarray(np.isin(device.astype(str), names), dtype=np.float64)

    return Encoder(f"device_{group}", (c.DEVICE,), is_one, "0 or 1", f"1 if the context's device is {any_of(names)}")


DEVICES: Final = (
    _device("tv", "tv", "television", "smart_tv", "console"),
    _device("mobile", "mobile", "phone", "smartphone"),
    _device("tablet", "tablet"),
    _device("web", "web", "desktop", "computer", "laptop", "browser"),
)
TENURE: Final = Encoder(
    c.TENURE_DAYS, (c.TENURE_DAYS,), lambda tenure_days: tenure_days, "days",
    "since the profile's signup, else its first visible play",
)  # fmt: skip
RUNTIME: Final = scaled(
    "title_runtime_seconds", _BY_NAME["title_runtime_ms"], 1000.0, "seconds",
    "how long the title lasts; missing where unknown",
)  # fmt: skip

ENCODERS: Final[tuple[Encoder, ...]] = (
    *(as_is(_BY_NAME[f"profile_plays_{days}d"]) for days in WINDOWS),
    *(_seconds("profile", days) for days in WINDOWS),
    as_is(_BY_NAME["profile_engaged_plays_28d"]), days_since_last_played, profile_trend, profile_mean_seconds,
    profile_engaged_rate, profile_hour_share, profile_weekday_share, TENURE, history_days, *DEVICES,
    *(as_is(_BY_NAME[f"country_title_plays_{days}d"]) for days in WINDOWS),
    _seconds("country_title", 28), country_title_trend, country_title_share, country_title_engaged_rate,
    *(as_is(_BY_NAME[f"title_plays_{days}d"]) for days in WINDOWS),
    _seconds("title", 28), title_trend, title_mean_seconds, title_engaged_rate, days_since_title_played_by_anyone,
    as_is(_BY_NAME["profile_title_plays"]), days_since_title_last_played,
    genre_share_mean, genre_share_max, tag_share_mean, tag_share_max,
    title_age_days, availability_age_days, RUNTIME,
)  # fmt: skip
