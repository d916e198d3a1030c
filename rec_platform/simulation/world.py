"""Draws the truth of a world from its configuration: people, titles, windows, trips, tastes."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.localtime import DAY_MS, HOUR_MS, N_SLOTS, Ints, day_number
from rec_platform.simulation.truth import (
    GENRES,
    N_HIDDEN,
    OPEN,
    Bools,
    Floats,
    People,
    Singles,
    Titles,
    Trips,
    Truth,
    Windows,
)

#: Standard deviations of the parts of utility.
TASTE, HIDDEN, COUNTRY_TASTE, SLOT_TASTE = 1.3, 0.45, 0.35, 0.5
#: Exposure weight of the title of rank r is r^-APPEAL_POWER.
APPEAL_POWER: Final = 0.7
ACTIVITY_SIGMA: Final = 1.0
SERIES_SHARE: Final = 0.35
NEVER_OFFERED, LEAVES, RETURNS = 0.12, 0.12, 0.3
MOODS: Final = ("dark", "feelgood", "slow", "witty", "epic", "quirky", "tense", "tender", "raw", "cosy")


def stream(config: WorldConfig, *key: int) -> np.random.Generator:
    """A generator of its own for each part of the world and each day, so that no part shifts another's draws."""
    return np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=key))


def make_truth(config: WorldConfig) -> Truth:
    """The whole truth of the world of `config`."""
    rng = stream(config, 0)
    tastes = rng.normal(0, COUNTRY_TASTE, (len(config.countries), len(GENRES))).astype(np.float32)
    slots = rng.normal(0, SLOT_TASTE, (N_SLOTS, len(GENRES))).astype(np.float32)
    people = _people(config, stream(config, 1))
    titles = _titles(config, stream(config, 2))
    windows = _windows(config, titles, stream(config, 3))
    return Truth(config, people, titles, windows, _trips(config, people, stream(config, 4)), tastes, slots)


def spread_over_days(config: WorldConfig, n: int) -> Ints:
    """n days of the world in order, evenly spread: with n at least the number of days, every day has one."""
    return day_number(config.start) + np.arange(n, dtype=np.int64) * config.days // max(n, 1)


def _people(config: WorldConfig, rng: np.random.Generator) -> People:
    n = config.n_profiles
    home = _homes(config, rng)
    device_shares = rng.dirichlet((2.0, 1.2, 0.6, 0.3), n)
    return People(
        home=home,
        signup=_signups(config, rng),
        rate=_activity(config, home, rng),
        rewatch=rng.beta(2.0, 6.0, n).astype(np.float32),
        devices=np.cumsum(device_shares, axis=1).astype(np.float32),
        taste=rng.normal(0, TASTE, (n, len(GENRES))).astype(np.float32),
        hidden=rng.normal(0, 1, (n, N_HIDDEN)).astype(np.float32),
    )


def _homes(config: WorldConfig, rng: np.random.Generator) -> Ints:
    fixed = np.array([country.profiles or 0 for country in config.countries])
    shares = np.array([0.0 if country.profiles else country.share for country in config.countries])
    rest = config.n_profiles - int(fixed.sum())
    counts = fixed + (rng.multinomial(rest, shares / shares.sum()) if rest else 0)
    return rng.permutation(np.repeat(np.arange(len(counts)), np.asarray(counts, dtype=np.int64))).astype(np.int64)


def _signups(config: WorldConfig, rng: np.random.Generator) -> Ints:
    """Instants, in ms, in order of profile: up to four years before the world, then some on every day of it."""
    new = round(config.n_profiles * config.new_profile_share)
    old = config.n_profiles - new
    start = day_number(config.start)
    before = (start - 1 - np.sort((1_460 * rng.random(old) ** 2).astype(np.int64))[::-1]) * DAY_MS
    during = spread_over_days(config, new) * DAY_MS
    return np.concatenate([before, during]) + rng.integers(6 * HOUR_MS, 18 * HOUR_MS, config.n_profiles)


def _activity(config: WorldConfig, home: Ints, rng: np.random.Generator) -> Floats:
    """Relative activity: heavy-tailed, of mean `activity` in each country; alike in countries with a fixed number."""
    rate = np.minimum(rng.lognormal(0, ACTIVITY_SIGMA, len(home)), 12.0)
    for number, country in enumerate(config.countries):
        of_country = home == number
        rate[of_country] = 1.0 if country.profiles else rate[of_country]
        if of_country.any():
            rate[of_country] *= country.activity / rate[of_country].mean()
    return rate


def _titles(config: WorldConfig, rng: np.random.Generator) -> Titles:
    n = config.n_titles
    new = round(n * config.new_title_share)
    start = day_number(config.start)
    before = start - 30 - np.sort((7_000 * rng.random(n - new) ** 2).astype(np.int64))[::-1]
    released = np.concatenate([before, spread_over_days(config, new)])
    appeal = -APPEAL_POWER * np.log(rng.permutation(n) + 1.0)
    standard = (appeal - appeal.mean()) / appeal.std()
    series = rng.random(n) < SERIES_SHARE
    genres = _genres(n, rng)
    return Titles(
        runtime_s=_runtimes(series, rng),
        series=series,
        released=released,
        known=(released - rng.integers(1, 15, n)) * DAY_MS + 9 * HOUR_MS,
        quality=(0.3 * standard + rng.normal(0, 0.35, n)).astype(np.float32),
        appeal=appeal.astype(np.float32),
        genres=genres,
        hidden=rng.normal(0, HIDDEN, (n, N_HIDDEN)).astype(np.float32),
        tags=_tags(series, rng),
    )


def _genres(n: int, rng: np.random.Generator) -> Singles:
    """One to three genres of equal weight for each title; common genres are about four times as common as rare ones."""
    common = np.linspace(4, 1, len(GENRES))
    ranks = rng.random((n, len(GENRES))) ** (1 / common)
    best = np.argsort(-ranks, axis=1)[:, :3]
    how_many = rng.choice([1, 2, 3], n, p=[0.45, 0.4, 0.15])
    weights = np.zeros((n, len(GENRES)), dtype=np.float32)
    np.put_along_axis(weights, best, (np.arange(3) < how_many[:, None]).astype(np.float32), axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _runtimes(series: Bools, rng: np.random.Generator) -> Ints:
    """Seconds: episodes of 20 to 55 minutes, films of 80 to 150, one title in twelve a short of 4 to 12."""
    n = len(series)
    minutes = np.where(series, rng.uniform(20, 55, n), rng.uniform(80, 150, n))
    minutes = np.where(rng.random(n) < 1 / 12, rng.uniform(4, 12, n), minutes)
    return np.asarray(np.round(minutes * 60), dtype=np.int64)


def _tags(series: Bools, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    moods = rng.integers(0, len(MOODS), (len(series), 2))
    return tuple(
        ("series" if is_series else "film", *dict.fromkeys(MOODS[mood] for mood in pair))
        for is_series, pair in zip(series, moods, strict=True)
    )


def _windows(config: WorldConfig, titles: Titles, rng: np.random.Generator) -> Windows:
    """Windows of every title in the countries it ever comes to, at least one.

    Some arrive there a week or two late, some leave during the world or soon after, and some of those come back.
    """
    n, countries = config.n_titles, len(config.countries)
    offered = rng.random((n, countries)) >= NEVER_OFFERED
    offered[np.arange(n), rng.integers(0, countries, n)] = True
    title, country = (part.astype(np.int64) for part in np.nonzero(offered))
    begin = titles.released[title] + np.where(rng.random(len(title)) < 0.2, rng.integers(7, 15, len(title)), 0)
    start = day_number(config.start)
    leave = np.maximum(start + rng.integers(1, config.days + 30, len(title)), begin + 10)
    end = np.where(rng.random(len(title)) < LEAVES, leave, OPEN)
    back = (end < OPEN) & (rng.random(len(title)) < RETURNS)
    again = end[back] + rng.integers(3, 8, int(back.sum()))
    known = np.maximum(titles.known[title], (begin - 30) * DAY_MS)
    return Windows(
        title=np.concatenate([title, title[back]]),
        country=np.concatenate([country, country[back]]),
        from_day=np.concatenate([begin, again]),
        to_day=np.concatenate([end, np.full(len(again), OPEN, dtype=np.int64)]),
        known=np.concatenate([known, (again - 2) * DAY_MS + 9 * HOUR_MS]),
    )


def _trips(config: WorldConfig, people: People, rng: np.random.Generator) -> Trips:
    places = np.array(
        [number for number, country in enumerate(config.countries) if country.profiles is None], dtype=np.int64
    )
    share = config.traveller_share if len(places) > 1 else 0.0
    profile = np.flatnonzero(rng.random(config.n_profiles) < share).astype(np.int64)
    target = places[rng.integers(0, max(len(places), 1), len(profile))]
    begin = day_number(config.start) + rng.integers(0, config.days, len(profile))
    lasts = rng.integers(3, 15, len(profile))
    real = target != people.home[profile]
    return Trips(profile[real], target[real], begin[real], (begin + lasts)[real])
