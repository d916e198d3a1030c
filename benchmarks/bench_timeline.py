"""Features as of their own instants: CPU-seconds per phase, and the ratio to daily facts in DuckDB.

    python benchmarks/bench_timeline.py                      # 2 M plays, 50k contexts x 50 items
    python benchmarks/bench_timeline.py --plays 20000000 --contexts 500000 --no-peer

The workload is that of docs/performance: 200k profiles, 10k titles, 20 countries, 90 days; contexts of the last 14 days.
Plays carry both clocks: most become known when they end, one in twenty up to ten days later.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight, parse_day
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.engine.duckdb import connect
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.pipeline import Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.timetravel.kernels import warm_up
from rec_platform.timetravel.timeline import Timeline

START = midnight(parse_day("2025-01-01", place="benchmark"))
DAYS, PROFILES_N, TITLES_N, COUNTRIES_N, GENRES_N = 90, 200_000, 10_000, 20, 18
COUNTRIES = np.array([f"{chr(65 + n)}{chr(70 + n % 10)}" for n in range(COUNTRIES_N)])

FEATURES = (
    "profile_plays_1d", "profile_plays_7d", "profile_plays_28d", "profile_plays_90d",
    "profile_seconds_1d", "profile_seconds_7d", "profile_seconds_28d", "profile_seconds_90d",
    "days_since_last_played", "profile_hour_share",
    "country_title_plays_1d", "country_title_plays_7d", "country_title_plays_28d",
    "title_plays_1d", "title_plays_7d", "title_plays_28d",
    "title_trend", "genre_share_mean", "profile_title_plays", "title_mean_seconds",
)  # fmt: skip


def power_law(rng: np.random.Generator, n: int, size: int, exponent: float) -> np.ndarray:
    """Draws from 0..n-1 with probability falling as rank^-exponent, ranks shuffled over the codes."""
    weights = (np.arange(1, n + 1) + 5.0) ** -exponent
    edges = np.cumsum(weights / weights.sum())
    return rng.permutation(n)[np.searchsorted(edges, rng.random(size)).clip(0, n - 1)]


def world(n_plays: int) -> tuple[pa.Table, pa.Table]:
    """Plays day by day, and titles with genres."""
    rng = np.random.default_rng(20)
    home = rng.integers(0, COUNTRIES_N, PROFILES_N)
    played = np.sort(rng.integers(0, DAYS * DAY, n_plays)) + START
    profile = power_law(rng, PROFILES_N, n_plays, 0.6)
    watched = rng.integers(10_000, 7_200_000, n_plays)
    late = np.where(rng.random(n_plays) < 0.05, rng.integers(0, 10 * DAY, n_plays), 0)
    plays = pa.table(
        {
            c.PROFILE: profile, c.TITLE: power_law(rng, TITLES_N, n_plays, 0.9) + 1_000_000,
            c.PLAYED_AT: pa.array(played).cast(INSTANT), c.KNOWN_AT: pa.array(played + watched * 1000 + late).cast(INSTANT),
            c.WATCHED_MS: watched, c.ENGAGED: pa.array((watched > 600_000).astype(np.int8)),
            c.COUNTRY: pa.DictionaryArray.from_arrays(home[profile].astype(np.int32), COUNTRIES).cast(
                pa.dictionary(pa.int32(), pa.string())),
        }
    )  # fmt: skip
    genres = [[f"genre {g}" for g in sorted(set(rng.integers(0, GENRES_N, 2)))] for _ in range(TITLES_N)]
    titles = pa.table(
        {
            c.TITLE: np.arange(TITLES_N) + 1_000_000, c.KNOWN_AT: pa.array(np.full(TITLES_N, START - DAY)).cast(INSTANT),
            c.SOURCE_ID: [str(n) for n in range(TITLES_N)], c.NAME: pa.nulls(TITLES_N, pa.string()), c.GENRES: genres,
            c.TAGS: pa.array([[]] * TITLES_N, pa.list_(pa.string())), c.RUNTIME_MS: pa.nulls(TITLES_N, pa.int64()),
            c.RELEASED_AT: pa.nulls(TITLES_N, INSTANT),
        }
    ).cast(TITLES.schema)  # fmt: skip
    return plays, titles


def frame_of(plays: pa.Table, n_contexts: int, n_items: int, *, midnight_only: bool) -> Frame:
    """Contexts drawn from the plays of the last 14 days, in order of time, with random items."""
    rng = np.random.default_rng(21)
    at = plays.column(c.PLAYED_AT).cast(pa.int64()).to_numpy()
    first = int(np.searchsorted(at, START + (DAYS - 14) * DAY))
    rows = np.sort(rng.choice(np.arange(first, len(at)), min(n_contexts, len(at) - first), replace=False))
    at = at[rows] // DAY * DAY if midnight_only else at[rows]
    contexts = plays.select([c.PROFILE, c.COUNTRY]).take(pa.array(rows))
    contexts = contexts.set_column(1, c.COUNTRY, contexts.column(c.COUNTRY).cast(pa.string()))
    contexts = contexts.append_column(c.AT, pa.array(at).cast(INSTANT))
    contexts = contexts.append_column(c.DEVICE, pa.array(["tv"] * len(rows)))
    contexts = contexts.append_column(c.TENURE_DAYS, pa.array(np.ones(len(rows))))
    items = power_law(rng, TITLES_N, len(rows) * n_items, 0.6) + 1_000_000
    return Frame.of(contexts, np.arange(len(rows) + 1) * n_items, items={c.TITLE: items})


#: Three families of the workload as daily facts joined as of the last day: less than what the kernels do (no second
#: clock, no exact instants, no genre, hour or previous plays), so the ratio flatters DuckDB.
DAILY_FACTS = """
WITH c AS (SELECT row_number() OVER () AS i, profile_id, country, date_trunc('day', contexts."at") AS d FROM contexts),
     p AS (SELECT profile_id, date_trunc('day', played_at) AS d, count(*) AS n, sum(watched_ms) AS w FROM plays GROUP BY ALL),
     pf AS (SELECT c.i, {profile} FROM c LEFT JOIN p ON p.profile_id = c.profile_id AND p.d < c.d GROUP BY c.i),
     t AS (SELECT title_id, country, date_trunc('day', played_at) AS d, count(*) AS n, sum(watched_ms) AS w FROM plays GROUP BY ALL),
     days AS (SELECT DISTINCT d FROM c),
     tc AS (SELECT days.d, title_id, country, {title} FROM days JOIN t ON t.d < days.d AND t.d >= days.d - INTERVAL 28 DAY GROUP BY ALL),
     ta AS (SELECT d, title_id, sum(plays_1d) AS all_1d, sum(plays_7d) AS all_7d, sum(plays_28d) AS all_28d,
                   sum(watched_28d) AS watched_all_28d FROM tc GROUP BY ALL)
SELECT pf.* EXCLUDE i, tc.plays_1d, tc.plays_7d, tc.plays_28d, all_1d, all_7d, all_28d, watched_all_28d
FROM items JOIN c ON c.i = items.context JOIN pf ON pf.i = items.context
LEFT JOIN tc ON tc.d = c.d AND tc.title_id = items.title_id AND tc.country = c.country
LEFT JOIN ta ON ta.d = c.d AND ta.title_id = items.title_id
"""  # noqa: E501


def duckdb_daily_facts(plays: pa.Table, frame: Frame) -> int:
    """The query above, its result fetched as Arrow; returns the rows."""
    profile = ", ".join(
        f"coalesce(sum({v}) FILTER (p.d >= c.d - INTERVAL {w} DAY), 0) AS profile_{v}_{w}d"
        for v in "nw" for w in (1, 7, 28, 90)
    )  # fmt: skip
    profile = profile.replace("c.d", "any_c.d")
    title = ", ".join(
        f"coalesce(sum(n) FILTER (t.d >= days.d - INTERVAL {w} DAY), 0) AS plays_{w}d" for w in (1, 7, 28)
    ) + ", sum(w) AS watched_28d"  # fmt: skip
    connection = connect(memory="4GB")
    connection.register("plays", plays)
    connection.register("contexts", frame.contexts)
    connection.register("items", pa.table({"context": frame.context_of_item + 1, c.TITLE: frame.item(c.TITLE)}))
    query = DAILY_FACTS.format(profile=profile.replace("any_c.d", "c.d"), title=title)
    return int(connection.sql(query).to_arrow_table().num_rows)


@contextmanager
def phase(name: str, into: dict[str, float]) -> Iterator[None]:
    """Print the CPU-seconds, seconds and peak memory of a phase."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    yield
    after = resource.getrusage(resource.RUSAGE_SELF)
    into[name] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{name:<28} {into[name]:8.2f} CPU-s {time.perf_counter() - began:8.2f} s   peak {after.ru_maxrss / 1e6:5.2f} GB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=int, default=2_000_000)
    parser.add_argument("--contexts", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--standard", action="store_true", help="all standard features instead of the twenty")
    parser.add_argument("--midnight", action="store_true", help="contexts at 00:00 of their day")
    parser.add_argument("--no-peer", action="store_true", help="leave DuckDB out")
    options = parser.parse_args()
    spent: dict[str, float] = {}
    with phase("warm start of the kernels", spent):
        warm_up()
    with phase("(making the world)", spent):
        plays, titles = world(options.plays)
        frame = frame_of(plays, options.contexts, options.items, midnight_only=options.midnight)
    features = FeatureSet.standard() if options.standard else FeatureSet.standard().select(FEATURES)
    empty = PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table()
    with phase("building the timeline", spent):
        timeline = Timeline.build(plays, titles, *empty, rules=SourceRules())
    with phase(f"{len(features.names)} features", spent):
        done = FeatureGenerator(features).apply(frame, Sources(timeline))
    ours = spent["building the timeline"] + spent[f"{len(features.names)} features"]
    print(f"{done.n_items:,} rows x {len(features.names)} float32 from {options.plays:,} plays: {ours:.2f} CPU-s")
    if not options.no_peer:
        with phase("DuckDB, daily facts", spent):
            duckdb_daily_facts(plays, frame)
        print(f"DuckDB / timeline: {spent['DuckDB, daily facts'] / ours:.1f}")


if __name__ == "__main__":
    main()
