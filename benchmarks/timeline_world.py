"""The world of the timeline benchmark: plays in one Parquet file a day, titles with genres, contexts with items.

200,000 profiles, 10,000 titles with one or two of 18 genres, 20 countries, 90 days; how often a profile plays and how
often a title is played fall as powers of their rank. A play becomes known when it ends, one in twenty up to ten days
later. Contexts are plays of the last 14 days. Each day has its own seed, so worlds of any size are made day by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Meter

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight, parse_day
from rec_platform.lake.staging import write_parquet
from rec_platform.tables import INSTANT, TITLES

START = midnight(parse_day("2025-01-01", place="benchmark"))
DAYS, PROFILES_N, TITLES_N, COUNTRIES_N, GENRES_N, CONTEXT_DAYS = 90, 200_000, 10_000, 20, 18, 14
COUNTRIES = [f"{chr(65 + n)}{chr(70 + n % 10)}" for n in range(COUNTRIES_N)]
FIRST_TITLE = 1_000_000

FEATURES = (
    "profile_plays_1d", "profile_plays_7d", "profile_plays_28d", "profile_plays_90d",
    "profile_seconds_1d", "profile_seconds_7d", "profile_seconds_28d", "profile_seconds_90d",
    "days_since_last_played", "profile_hour_share",
    "country_title_plays_1d", "country_title_plays_7d", "country_title_plays_28d",
    "title_plays_1d", "title_plays_7d", "title_plays_28d",
    "title_trend", "genre_share_mean", "profile_title_plays", "title_mean_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Where a world's files stand."""

    folder: Path

    @property
    def plays(self) -> list[Path]:
        return sorted(self.folder.glob("plays/*.parquet"))

    @property
    def titles(self) -> Path:
        return self.folder / "titles.parquet"

    def contexts(self, *, midnight: bool) -> Path:
        """profile_id, country, at; `midnight`: at 00:00 of their day."""
        return self.folder / ("contexts_midnight.parquet" if midnight else "contexts.parquet")

    @property
    def items(self) -> Path:
        """context (its row), title_id; contexts ascending."""
        return self.folder / "items.parquet"


def power_law(rng: np.random.Generator, n: int, size: int, exponent: float) -> np.ndarray:
    """Draws from 0..n-1 with probability falling as rank^-exponent; the ranks are shuffled over the codes, always alike."""
    weights = (np.arange(1, n + 1) + 5.0) ** -exponent
    edges = np.cumsum(weights / weights.sum())
    shuffled = np.random.default_rng(n).permutation(n)
    return shuffled[np.searchsorted(edges, rng.random(size)).clip(0, n - 1)]


def day_of_plays(day: int, n: int) -> pa.Table:
    """One row per play of a day, in order of time."""
    rng = np.random.default_rng([20, day])
    home = np.random.default_rng(20).integers(0, COUNTRIES_N, PROFILES_N)
    played = np.sort(rng.integers(0, DAY, n)) + START + day * DAY
    profile = power_law(rng, PROFILES_N, n, 0.6)
    watched = rng.integers(10_000, 7_200_000, n)
    late = np.where(rng.random(n) < 0.05, rng.integers(0, 10 * DAY, n), 0)
    return pa.table(
        {
            c.PROFILE: profile, c.TITLE: power_law(rng, TITLES_N, n, 0.9) + FIRST_TITLE,
            c.PLAYED_AT: pa.array(played).cast(INSTANT), c.KNOWN_AT: pa.array(played + watched * 1000 + late).cast(INSTANT),
            c.WATCHED_MS: watched, c.ENGAGED: pa.array((watched > 600_000).astype(np.int8)),
            c.COUNTRY: pa.DictionaryArray.from_arrays(home[profile].astype(np.int32), COUNTRIES).cast(pa.string()),
        }
    )  # fmt: skip


def title_rows() -> pa.Table:
    rng = np.random.default_rng(22)
    genres = [[f"genre {g}" for g in sorted(set(rng.integers(0, GENRES_N, 2)))] for _ in range(TITLES_N)]
    return pa.table(
        {
            c.TITLE: np.arange(TITLES_N) + FIRST_TITLE, c.KNOWN_AT: pa.array(np.full(TITLES_N, START - DAY)).cast(INSTANT),
            c.SOURCE_ID: [str(n) for n in range(TITLES_N)], c.NAME: pa.nulls(TITLES_N, pa.string()), c.GENRES: genres,
            c.TAGS: pa.array([[]] * TITLES_N, pa.list_(pa.string())), c.RUNTIME_MS: pa.nulls(TITLES_N, pa.int64()),
            c.RELEASED_AT: pa.nulls(TITLES_N, INSTANT),
        }
    ).cast(TITLES.schema)  # fmt: skip


def drawn_contexts(plays: pa.Table, n: int, day: int) -> pa.Table:
    """Some plays of a day as contexts, in order of time."""
    rng = np.random.default_rng([21, day])
    rows = np.sort(rng.choice(plays.num_rows, min(n, plays.num_rows), replace=False))
    return plays.select([c.PROFILE, c.COUNTRY, c.PLAYED_AT]).rename_columns([c.PROFILE, c.COUNTRY, c.AT]).take(rows)


def at_midnight(contexts: pa.Table) -> pa.Table:
    at = contexts.column(c.AT).cast(pa.int64()).to_numpy() // DAY * DAY
    return contexts.set_column(2, c.AT, pa.array(at).cast(INSTANT))


def write_asked(folder: Path, contexts: pa.Table, items: int) -> None:
    """The contexts of a world, as they are and at midnight, and their items."""
    world = World(folder)
    folder.mkdir(parents=True, exist_ok=True)
    title = power_law(np.random.default_rng(23), TITLES_N, contexts.num_rows * items, 0.6) + FIRST_TITLE
    context = np.repeat(np.arange(contexts.num_rows), items)
    pq.write_table(contexts, world.contexts(midnight=False))
    pq.write_table(at_midnight(contexts), world.contexts(midnight=True))
    pq.write_table(pa.table({"context": context, c.TITLE: title}), world.items)


def make(meter: Meter, *, folder: str, plays: int, contexts: int, items: int) -> None:
    """A contestant that competes with nobody: it keeps the making out of the measured processes."""
    world, last = World(Path(folder)), []
    (world.folder / "plays").mkdir(parents=True, exist_ok=True)
    with meter.phase("making"):
        for day in range(DAYS):
            rows = day_of_plays(day, plays // DAYS)
            write_parquet(rows, world.folder / "plays" / f"{day:03d}.parquet")
            if day >= DAYS - CONTEXT_DAYS:
                last.append(drawn_contexts(rows, contexts // CONTEXT_DAYS, day))
        write_asked(world.folder, pa.concat_tables(last).combine_chunks(), items)
        pq.write_table(title_rows(), world.titles)
    (world.folder / "complete").touch()


def spread(meter: Meter, *, folder: str, contexts: int, items: int) -> None:
    """As many contexts over all 90 days, of the same plays, in the folder `spread` of a world."""
    with meter.phase("making"):
        days = enumerate(World(Path(folder)).plays)
        drawn = [drawn_contexts(pq.read_table(path), contexts // DAYS, day) for day, path in days]
        write_asked(Path(folder) / "spread", pa.concat_tables(drawn).combine_chunks(), items)
