"""The truth of a simulated world: tastes, titles, windows, and the one formula of utility.

The simulator chooses by the functions of this file and tests ask them for the right answer, so the two cannot differ.
The formula, with slot = (daypart, weekend) of the local time in the country (docs/simulated-world.md says it in words):

    U(p, t, c, at) = (taste[p] + country_taste[c] + slot_taste[slot(c, at)]) . genres[t]
                     + hidden_taste[p] . hidden[t] + quality[t] + FRESH * exp(-age_days / FRESH_DAYS)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform.errors import KeyRefused
from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.localtime import DAY_MS, LocalTime

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

GENRES: Final = (
    "action", "animation", "comedy", "crime", "documentary", "drama", "family", "fantasy",
    "horror", "kids", "music", "reality", "romance", "scifi", "sport", "thriller",
)  # fmt: skip
DEVICES: Final = ("tv", "mobile", "web", "tablet")
N_HIDDEN: Final = 4
FIRST_VIDEO: Final = 1_000

#: What a title gains on the day it arrives in a country, and the days after which e-times less is left of it.
FRESH: Final = 0.8
FRESH_DAYS: Final = 14.0
#: P(engaged) = 1 / (1 + exp(-(ENGAGE_BASE + ENGAGE_SLOPE * U - ENGAGE_MOBILE on mobile))).
ENGAGE_BASE: Final = -0.7
ENGAGE_SLOPE: Final = 0.8
ENGAGE_MOBILE: Final = 0.4

#: `to_day` of a window that has no end, and the `since` of a title that is not offered.
OPEN: Final = 2**31 - 1
NEVER: Final = -(2**31)


@dataclass(frozen=True)
class People:
    """Profiles, one row each. `taste` (n, genres), `hidden` (n, N_HIDDEN), `devices` (n, 4) cumulative shares."""

    home: Ints
    signup: Ints
    rate: Floats
    rewatch: Singles
    devices: Singles
    taste: Singles
    hidden: Singles


@dataclass(frozen=True)
class Titles:
    """Titles, one row each. `genres` (n, genres) are weights adding up to 1; `appeal` is log exposure weight."""

    runtime_s: Ints
    series: Bools
    released: Ints
    known: Ints
    quality: Singles
    appeal: Singles
    genres: Singles
    hidden: Singles
    tags: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Windows:
    """Availability: title x country x [from_day, to_day) in UTC days since 1970; `known` in milliseconds."""

    title: Ints
    country: Ints
    from_day: Ints
    to_day: Ints
    known: Ints


@dataclass(frozen=True)
class Trips:
    """Journeys: the profile is in `country` on the UTC days [from_day, to_day)."""

    profile: Ints
    country: Ints
    from_day: Ints
    to_day: Ints


@dataclass(frozen=True)
class Truth:
    """Everything that is true in a world. `country_taste` (countries, genres), `slot_taste` (8, genres)."""

    config: WorldConfig
    people: People
    titles: Titles
    windows: Windows
    trips: Trips
    country_taste: Singles
    slot_taste: Singles

    @cached_property
    def clock(self) -> LocalTime:
        zones = tuple(country.time_zone for country in self.config.countries)
        return LocalTime.of(zones, self.config.start, self.config.days)

    @cached_property
    def title_vectors(self) -> Singles:
        """(titles, genres + hidden): what a profile's weights are multiplied with."""
        return np.hstack([self.titles.genres, self.titles.hidden])

    def since(self, day: int) -> Ints:
        """(countries, titles): the UTC day since which the title is offered there without a break, else NEVER."""
        out = np.full((len(self.config.countries), len(self.titles.quality)), NEVER, dtype=np.int64)
        w = self.windows
        on = (w.from_day <= day) & (day < w.to_day)
        out[w.country[on], w.title[on]] = w.from_day[on]
        return out

    def weights(self, profile: Ints, country: Ints, at: Ints) -> Singles:
        """(n, genres + hidden): what each of n contexts (profile, country, instant in ms) likes."""
        slot = self.clock.slot(country, at)
        liked = self.people.taste[profile] + self.country_taste[country] + self.slot_taste[slot]
        return np.hstack([liked, self.people.hidden[profile]])

    def country_index(self, code: str) -> int:
        codes = [country.code for country in self.config.countries]
        if code not in codes:
            raise KeyRefused(f"no country {code!r}", place="simulated world", repair=f"It has {codes}.")
        return codes.index(code)


def freshness(since: Ints, day: int) -> Singles:
    """FRESH * exp(-age / FRESH_DAYS), age in whole UTC days since the title arrived; 0 where it is not offered."""
    age = np.where(since == NEVER, np.inf, (day - since).astype(np.float64))
    return (FRESH * np.exp(-age / FRESH_DAYS)).astype(np.float32)


def engagement_probability(utility: npt.NDArray[np.floating], mobile: Bools | bool = False) -> Floats:
    """The true probability that a play of that utility is engaged (same shape as `utility`)."""
    push = ENGAGE_BASE + ENGAGE_SLOPE * np.asarray(utility, dtype=np.float64) - ENGAGE_MOBILE * np.asarray(mobile)
    return np.asarray(1.0 / (1.0 + np.exp(-push)))


def profile_index(user_id: str) -> int:
    """
    >>> profile_index("u0000123")
    123
    """
    return int(user_id.removeprefix("u"))


def true_utility(truth: Truth, profile: str, titles: Sequence[int], country: str, at: int) -> Floats:
    """The true utility of titles to a profile, in a country, at an instant.

    Args:
        profile: the delivered `user_id`.
        titles: the delivered `video_id`s, n of them.
        country: where the profile is.
        at: microseconds since 1970, UTC, as everywhere in the platform.

    Returns:
        float64, n values; -inf where the title is not offered there then.
    """
    return true_utilities(truth, [profile] * len(titles), titles, [country] * len(titles), [at] * len(titles))


def true_utilities(
    truth: Truth, profiles: Sequence[str], titles: Sequence[int], countries: Sequence[str], at: Sequence[int]
) -> Floats:
    """`true_utility` of n pairs at once: four sequences of n values each, in the units of `true_utility`."""
    who = np.array([profile_index(user) for user in profiles], dtype=np.int64)
    what = _title_rows(truth, np.asarray(titles, dtype=np.int64))
    codes = {code: truth.country_index(code) for code in set(countries)}
    where = np.array([codes[code] for code in countries], dtype=np.int64)
    when = np.asarray(at, dtype=np.int64) // 1000
    dots = np.einsum("nd,nd->n", truth.weights(who, where, when), truth.title_vectors[what])
    out: Floats = np.asarray(dots + truth.titles.quality[what], dtype=np.float64)
    for day in np.unique(when // DAY_MS):
        rows = np.flatnonzero(when // DAY_MS == day)
        since = truth.since(int(day))
        out[rows] += freshness(since, int(day))[where[rows], what[rows]]
        out[rows[since[where[rows], what[rows]] == NEVER]] = -np.inf
    return out


def true_choice_probabilities(truth: Truth, profile: str, titles: Sequence[int], country: str, at: int) -> Floats:
    """The probability that the profile would choose each title if all of them stood before it: softmax of the utility.

    float64, n values that add up to 1; 0 where a title is not offered. `KeyRefused` if none of them is.
    """
    utility = true_utility(truth, profile, titles, country, at)
    if not np.isfinite(utility).any():
        raise KeyRefused("none of the titles is offered", place=f"{country}", repair="Ask about titles offered then.")
    odds = np.exp(utility - utility.max())
    return np.asarray(odds / odds.sum())


def _title_rows(truth: Truth, videos: Ints) -> Ints:
    rows = videos - FIRST_VIDEO
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(truth.titles.quality)):
        raise KeyRefused(
            "a title is not of this world", place="titles",
            repair=f"Its video_ids are {FIRST_VIDEO} to {FIRST_VIDEO + len(truth.titles.quality) - 1}.",
        )  # fmt: skip
    return np.asarray(rows)
