"""Who sits down to watch, when, and where, on one UTC day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rec_platform.simulation.localtime import DAY_MS, HOUR_MS, Ints, day_number, weekend
from rec_platform.simulation.truth import Floats, Truth

#: Shares of sessions with 1, 2, ... 6 plays.
PLAYS_SHARES: Final = np.array([0.38, 0.25, 0.16, 0.10, 0.07, 0.04])
MEAN_PLAYS: Final = float(PLAYS_SHARES @ np.arange(1, 7))
MOST_SESSIONS: Final = 6
#: Share of intended plays that happen: sessions that find no room before midnight, or run into a day without plays,
#: are lost (measured on worlds of 70,000 to 5 million plays).
FOUND: Final = 0.967
#: How likely a session begins in each local hour, on weekdays and at weekends (relative).
_WEEKDAY = [3, 2, 1, 1, 1, 1, 2, 3, 3, 2, 2, 2, 3, 3, 3, 4, 5, 7, 10, 13, 14, 12, 9, 5]
_WEEKEND = [5, 4, 2, 1, 1, 1, 2, 4, 6, 8, 9, 9, 9, 10, 10, 10, 10, 11, 13, 15, 15, 13, 10, 7]
HOURS: Final = np.array([_WEEKDAY, _WEEKEND], dtype=np.float64)
_HALF: Final = HOUR_MS // 2


@dataclass(frozen=True)
class Sessions:
    """Sessions of a day, sorted by (profile, start): `nth` counts a profile's sessions of the day from 0."""

    profile: Ints
    start: Ints
    country: Ints
    plays: Ints
    nth: Ints


def expected_weight(truth: Truth) -> float:
    """Sum over days and profiles of relative activity: what the target number of sessions is divided by."""
    config = truth.config
    first = day_number(config.start)
    total = 0.0
    for day in range(first, first + config.days):
        if day - first != config.empty_day:
            total += float(_mean_sessions(truth, day, where_on(truth, day), 1.0).sum())
    return total


def where_on(truth: Truth, day: int) -> Ints:
    """The country each profile is in on a UTC day."""
    here = truth.people.home.copy()
    away = (truth.trips.from_day <= day) & (day < truth.trips.to_day)
    here[truth.trips.profile[away]] = truth.trips.country[away]
    return here


def sessions_of(truth: Truth, day: int, scale: float, rng: np.random.Generator) -> Sessions:
    """The sessions that begin on a UTC day; a new profile's first begins minutes after its signup."""
    here = where_on(truth, day)
    signup = truth.people.signup
    count = np.minimum(rng.poisson(_mean_sessions(truth, day, here, scale)), MOST_SESSIONS)
    new = np.flatnonzero(signup // DAY_MS == day)
    profile = np.concatenate([np.repeat(np.arange(len(here)), count), new])
    usual = _starts(truth, day, np.repeat(here, count), rng)
    start = np.concatenate([usual, _soon(signup[new], rng)])
    order = np.lexsort((start, profile))
    order = order[start[order] > signup[profile[order]]]
    profile, start = profile[order], start[order]
    plays = 1 + np.searchsorted(np.cumsum(PLAYS_SHARES)[:-1], rng.random(len(profile)), side="right")
    return Sessions(profile, start, here[profile], plays, _nth(profile))


def _mean_sessions(truth: Truth, day: int, here: Ints, scale: float) -> Floats:
    of_country = _half_hours(truth, day).sum(axis=1)
    known = truth.people.signup < day * DAY_MS
    return np.asarray(truth.people.rate * known * of_country[here] * scale)


def _half_hours(truth: Truth, day: int) -> Floats:
    """(countries, 48): how likely a session begins in each UTC half hour of the day; about 1 in sum on a mean day."""
    at = day * DAY_MS + np.arange(48) * _HALF
    local = np.stack([truth.clock.local(np.full(48, c), at) for c in range(len(truth.config.countries))])
    week = (5 * HOURS[0].sum() + 2 * HOURS[1].sum()) / 7
    return np.asarray(HOURS[weekend(local), (local % DAY_MS) // HOUR_MS] / (2 * week))


def _starts(truth: Truth, day: int, country: Ints, rng: np.random.Generator) -> Ints:
    shares = _half_hours(truth, day)
    cumulative = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    draws = rng.random(len(country))
    half = np.zeros(len(country), dtype=np.int64)
    for number in range(len(shares)):
        of_country = country == number
        half[of_country] = np.searchsorted(cumulative[number], draws[of_country], side="right")
    return np.asarray(day * DAY_MS + half * _HALF + rng.integers(0, _HALF, len(country)))


def _soon(signup: Ints, rng: np.random.Generator) -> Ints:
    return np.asarray(signup + rng.integers(60_000, 600_000, len(signup)))


def _nth(profile: Ints) -> Ints:
    """For sorted profiles, how many equal ones stand before.

    >>> _nth(np.array([4, 4, 7, 9, 9, 9]))
    array([0, 1, 0, 0, 1, 2])
    """
    first = np.concatenate([[True], profile[1:] != profile[:-1]])[: len(profile)]
    position = np.arange(len(profile))
    return position - np.maximum.accumulate(np.where(first, position, 0))
