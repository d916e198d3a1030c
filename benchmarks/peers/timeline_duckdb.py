"""The twenty features in DuckDB, in the two forms that proved fastest: a direct join, exact by both clocks, and daily facts.

Tuned: plays are read from Parquet once into narrow integer columns; rows need no order; titles are answered once per day
and title, not per item; a profile's genres are counted in one pass per asked instant and looked up per item. The result
is fetched as Arrow, rows in any order, named by `row`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
from measuring import Meter
from timeline_world import GENRES_N, World

DAY = 86_400_000_000
WINDOWS = (1, 7, 28, 90)

READ = """
CREATE TABLE genres AS SELECT title_id::INTEGER AS t, list_transform(genres, lambda g: substr(g, 7)::TINYINT) AS gs FROM '{titles}';
CREATE TABLE titles AS SELECT t, gs[1] AS g1, gs[2] AS g2, len(gs) AS ng, list_sum(list_transform(gs, lambda g: 1::INTEGER << g::INTEGER))::INTEGER AS mask
FROM genres;
CREATE TYPE country AS ENUM (SELECT DISTINCT country FROM contexts ORDER BY ALL);
CREATE TABLE asked AS SELECT (row_number() OVER () - 1)::INTEGER AS i, profile_id::INTEGER AS p, country::country AS k,
    epoch_us("at") AS now, (epoch_us("at") // {day})::SMALLINT AS d, (epoch_us("at") // 3600000000 % 24)::TINYINT AS h FROM contexts;
CREATE TABLE wanted AS SELECT (row_number() OVER () - 1)::INTEGER AS row, context::INTEGER AS i, title_id::INTEGER AS t FROM items;
"""  # noqa: E501

PLAYS = """
CREATE TABLE plays AS SELECT profile_id::INTEGER AS p, title_id::INTEGER AS t, country::country AS k, epoch_us(played_at) AS played,
    {known} (epoch_us(played_at) // {day})::SMALLINT AS d, (epoch_us(played_at) // 3600000000 % 24)::TINYINT AS h,
    watched_ms::INTEGER AS w, mask
FROM read_parquet({files}) JOIN titles ON t = title_id
"""  # noqa: E501

#: One row per item; `profile` holds one row per context or per profile and day, joined by `key`.
FILLED = """
SELECT row, {profile}, ((now - z.last) / {day})::FLOAT AS days_since_last_played,
    (in_hour / nullif(z.n90, 0))::FLOAT AS profile_hour_share,
    {country_title}, {title}, (4 * x.n7 / nullif(x.n28, 0))::FLOAT AS title_trend,
    ((counts[g1 + 1] + coalesce(counts[g2 + 1], 0)) / ng / nullif(z.n90, 0))::FLOAT AS genre_share_mean,
    coalesce(times, 0)::FLOAT AS profile_title_plays, (x.w28 / 1000 / nullif(x.n28, 0))::FLOAT AS title_mean_seconds
FROM wanted JOIN asked USING (i) JOIN titles USING (t) LEFT JOIN profile z USING (i)
LEFT JOIN title_country y ON y.d = asked.d AND y.t = wanted.t AND y.k = asked.k
LEFT JOIN title x ON x.d = asked.d AND x.t = wanted.t LEFT JOIN pair USING (row)
"""


def connected(world: World, *, midnight: bool) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(config={"preserve_insertion_order": False, "memory_limit": "14GB"})
    engine.execute("SET TimeZone = 'UTC'")
    engine.sql(f"CREATE VIEW contexts AS FROM '{world.contexts(midnight=midnight)}'")
    engine.sql(f"CREATE VIEW items AS FROM '{world.items}'")
    engine.execute("SET preserve_insertion_order = true")
    engine.execute(READ.format(titles=world.titles, day=DAY))
    engine.execute("SET preserve_insertion_order = false")
    return engine


def read_plays(engine: duckdb.DuckDBPyConnection, world: World, *, both_clocks: bool) -> None:
    known = "greatest(epoch_us(played_at), epoch_us(known_at)) AS known," if both_clocks else ""
    engine.execute(PLAYS.format(files=[str(path) for path in world.plays], day=DAY, known=known))


def counts(column: str, of: str, windows: tuple[int, ...], at: str, unit: int) -> str:
    return ", ".join(f"coalesce({of} FILTER ({at} - {w * unit} <= {column}), 0)::BIGINT AS {{}}{w}" for w in windows)


def genre_counts(amount: str) -> str:
    """A list with one number per genre."""
    return f"[{', '.join(f'{amount} FILTER (mask & {1 << genre} != 0)' for genre in range(GENRES_N))}] AS counts"


def filled() -> str:
    profile = [f"coalesce(z.n{w}, 0)::FLOAT AS profile_plays_{w}d" for w in WINDOWS]
    profile += [f"(coalesce(z.w{w}, 0) / 1000)::FLOAT AS profile_seconds_{w}d" for w in WINDOWS]
    country = [f"coalesce(y.n{w}, 0)::FLOAT AS country_title_plays_{w}d" for w in WINDOWS[:3]]
    title = [f"coalesce(x.n{w}, 0)::FLOAT AS title_plays_{w}d" for w in WINDOWS[:3]]
    return FILLED.format(profile=", ".join(profile), country_title=", ".join(country), title=", ".join(title), day=DAY)


def direct(meter: Meter, *, folder: str, midnight: bool = False) -> pa.Table:
    """Each context joined to its profile's plays, exact at its instant by both clocks; titles as of the last midnight."""
    world = World(Path(folder))
    engine = connected(world, midnight=midnight)
    n = counts("played", "count(*)", WINDOWS, "now", DAY).format(*"nnnn")
    w = counts("played", "sum(w)", WINDOWS, "now", DAY).format(*"wwww")
    with meter.phase("read"):
        read_plays(engine, world, both_clocks=True)
    with meter.phase("profiles"):
        engine.execute(f"""
            CREATE TABLE profile AS SELECT i, {n}, {w}, max(played) AS last,
                count(*) FILTER (plays.h = asked.h AND played >= now - {90 * DAY}) AS in_hour, {genre_counts("count(*)")}
            FROM asked JOIN plays USING (p) WHERE played < now AND known < now GROUP BY i
        """)
    with meter.phase("titles"):
        n = counts("plays.d", "count(*)", WINDOWS[:3], "days.d", 1).format(*"nnn")
        engine.execute(f"""
            CREATE TABLE title_country AS SELECT days.d, t, k, {n}, sum(w) AS w28 FROM (SELECT DISTINCT d FROM asked) days
            JOIN plays ON plays.d < days.d AND plays.d >= days.d - 28 AND known < days.d::BIGINT * {DAY} GROUP BY ALL;
            CREATE TABLE title AS SELECT d, t, sum(n1) AS n1, sum(n7) AS n7, sum(n28) AS n28, sum(w28) AS w28
            FROM title_country GROUP BY ALL
        """)
    with meter.phase("pairs"):
        engine.execute("""
            CREATE TABLE pair AS SELECT row, count(*) AS times FROM wanted JOIN asked USING (i) JOIN plays USING (p, t)
            WHERE played < now AND known < now GROUP BY row
        """)
    with meter.phase("fill"):
        return engine.sql(filled()).to_arrow_table()


def daily(meter: Meter, *, folder: str) -> pa.Table:
    """Daily facts per profile and per title and country, joined as of 00:00 of the context's day; one clock."""
    world = World(Path(folder))
    engine = connected(world, midnight=True)
    with meter.phase("read"):
        read_plays(engine, world, both_clocks=False)
    with meter.phase("daily facts"):
        genres = ", ".join(f"count(*) FILTER (mask & {1 << g} != 0)::USMALLINT AS c{g}" for g in range(GENRES_N))
        engine.execute(f"""
            CREATE TABLE profile_days AS SELECT p, d, count(*)::INTEGER AS n, sum(w)::BIGINT AS w, max(played) AS last, {genres}
            FROM plays GROUP BY p, d;
            CREATE TABLE title_days AS SELECT t, k, d, count(*)::INTEGER AS n, sum(w)::BIGINT AS w FROM plays GROUP BY ALL;
            CREATE TABLE hours AS SELECT p, a.d, h, count(*) AS in_hour FROM (SELECT DISTINCT p, d, h FROM asked) a
            JOIN plays USING (p, h) WHERE plays.d < a.d AND plays.d >= a.d - 90 GROUP BY ALL
        """)
    with meter.phase("profiles"):
        n = counts("f.d", "sum(n)", WINDOWS, "a.d", 1).format(*"nnnn")
        w = counts("f.d", "sum(w)", WINDOWS, "a.d", 1).format(*"wwww")
        genres = ", ".join(f"sum(c{g}) FILTER (f.d >= a.d - 90)" for g in range(GENRES_N))
        engine.execute(f"""
            CREATE TABLE of_day AS SELECT p, a.d, {n}, {w}, max(last) AS last, [{genres}] AS counts
            FROM (SELECT DISTINCT p, d FROM asked) a JOIN profile_days f USING (p) WHERE f.d < a.d GROUP BY p, a.d;
            CREATE TABLE profile AS SELECT i, of_day.* EXCLUDE (p, d), coalesce(in_hour, 0) AS in_hour FROM asked
            JOIN of_day USING (p, d) LEFT JOIN hours USING (p, d, h)
        """)
    with meter.phase("titles"):
        n = counts("f.d", "sum(n)", WINDOWS[:3], "days.d", 1).format(*"nnn")
        engine.execute(f"""
            CREATE TABLE title_country AS SELECT days.d, t, k, {n}, sum(w) AS w28 FROM (SELECT DISTINCT d FROM asked) days
            JOIN title_days f ON f.d < days.d AND f.d >= days.d - 28 GROUP BY ALL;
            CREATE TABLE title AS SELECT d, t, sum(n1) AS n1, sum(n7) AS n7, sum(n28) AS n28, sum(w28) AS w28
            FROM title_country GROUP BY ALL
        """)
    with meter.phase("pairs"):
        engine.execute("""
            CREATE TABLE pair AS SELECT row, count(*) AS times FROM wanted JOIN asked USING (i) JOIN plays USING (p, t)
            WHERE plays.d < asked.d GROUP BY row
        """)
    with meter.phase("fill"):
        return engine.sql(filled()).to_arrow_table()
