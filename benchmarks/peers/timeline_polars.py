"""The twenty features in Polars, lazy: daily facts as of 00:00 of the context's day; one clock.

Tuned: narrow integer columns; profiles in two forms, by joining each asked (profile, day) to its daily facts and summing
under conditions (better on few plays) and by running sums read as of a day (better on many); titles once per asked day,
not per item; pairs by a join on (profile, title).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
from measuring import Meter
from timeline_world import GENRES_N, World

DAY = 86_400_000_000
WINDOWS = (1, 7, 28, 90)
COUNTS = [f"c{g}" for g in range(GENRES_N)]
Profiles = Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]


def read_plays(world: World, titles: pl.DataFrame) -> pl.DataFrame:
    at = pl.col("played_at").dt.timestamp("us")
    return (
        pl.scan_parquet([str(path) for path in world.plays])
        .select(
            pl.col("profile_id").cast(pl.Int32).alias("p"), pl.col("title_id").cast(pl.Int32).alias("t"),
            pl.col("country").cast(pl.Categorical).alias("k"), at.alias("played"), (at // DAY).cast(pl.Int16).alias("d"),
            (at // 3_600_000_000 % 24).cast(pl.Int8).alias("h"), pl.col("watched_ms").cast(pl.Int32).alias("w"),
        )
        .join(titles.lazy().select("t", "mask"), on="t")
        .collect()
    )  # fmt: skip


def read_titles(world: World) -> pl.DataFrame:
    """t, g1, g2 (null for a title of one genre), ng, mask."""
    genres = pl.col("genres").list.eval(pl.element().str.slice(6).cast(pl.Int32))
    return pl.read_parquet(world.titles, columns=["title_id", "genres"]).select(
        pl.col("title_id").cast(pl.Int32).alias("t"),
        genres.list.get(0).alias("g1"), genres.list.get(1, null_on_oob=True).alias("g2"), genres.list.len().alias("ng"),
        genres.list.eval(pl.lit(2).cast(pl.Int32).pow(pl.element())).list.sum().cast(pl.Int32).alias("mask"),
    )  # fmt: skip


def read_asked(world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Contexts (i, p, k, now, d, h) and items (row, i, t)."""
    now = pl.col("at").dt.timestamp("us")
    asked = pl.read_parquet(world.contexts(midnight=True)).select(
        pl.int_range(pl.len(), dtype=pl.Int32).alias("i"), pl.col("profile_id").cast(pl.Int32).alias("p"),
        pl.col("country").cast(pl.Categorical).alias("k"), now.alias("now"), (now // DAY).cast(pl.Int16).alias("d"),
        (now // 3_600_000_000 % 24).cast(pl.Int8).alias("h"),
    )  # fmt: skip
    wanted = pl.read_parquet(world.items).select(
        pl.int_range(pl.len(), dtype=pl.Int32).alias("row"), pl.col("context").cast(pl.Int32).alias("i"),
        pl.col("title_id").cast(pl.Int32).alias("t"),
    )  # fmt: skip
    return asked, wanted


def windowed(columns: str, windows: tuple[int, ...]) -> list[pl.Expr]:
    """Sums over the days [asked - w, asked), of rows joined before `asked`."""
    return [
        pl.col(one).filter(pl.col("day") >= pl.col("d") - w).sum().alias(f"{one}{w}")
        for one in columns
        for w in windows
    ]


def profile_days(plays: pl.LazyFrame) -> pl.LazyFrame:
    """One row per profile and day it played on."""
    genres = [(pl.col("mask") & (1 << g) != 0).sum().cast(pl.Int32).alias(one) for g, one in enumerate(COUNTS)]
    return plays.group_by("p", pl.col("d").alias("day")).agg(
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("w").cast(pl.Int64).sum(),
        pl.col("played").max().alias("last"),
        *genres,
    )


def summed(plays: pl.LazyFrame, asked: pl.LazyFrame) -> pl.LazyFrame:
    """One row per asked profile and day, by joining it to all of the profile's days."""
    recent = [pl.col(one).filter(pl.col("day") >= pl.col("d") - 90).sum() for one in COUNTS]
    return (
        asked.select("p", "d").unique().join(profile_days(plays), on="p").filter(pl.col("day") < pl.col("d"))
        .group_by("p", "d").agg(*windowed("nw", WINDOWS), pl.col("last").max(), *recent)
    )  # fmt: skip


def as_of(plays: pl.LazyFrame, asked: pl.LazyFrame) -> pl.LazyFrame:
    """The same by running sums, read as of the day and as of the first day of each window."""
    days = profile_days(plays).sort("p", "day").with_columns(pl.col("n", "w", *COUNTS).cum_sum().over("p")).collect()
    found = asked.select("p", "d").unique().sort("p", "d")
    for w in (0, *WINDOWS):
        kept = ["n", "w", *(COUNTS if w in (0, 90) else []), *(["last"] if w == 0 else [])]
        right = days.lazy().select("p", "day", *(pl.col(one).alias(f"{one}_{w}") for one in kept))
        found = found.with_columns((pl.col("d") - w - 1).cast(pl.Int16).alias("before")).join_asof(
            right, left_on="before", right_on="day", by="p", check_sortedness=False
        )
        found = found.drop("before", "day", strict=False)
    sums = [difference(one, w).alias(f"{one}{w}") for one in "nw" for w in WINDOWS]
    return found.select(
        "p", "d", *sums, pl.col("last_0").alias("last"), *(difference(one, 90).alias(one) for one in COUNTS)
    )


def difference(column: str, window: int) -> pl.Expr:
    """A running sum as of the day, less that before the window; null where nothing was before the day."""
    return pl.col(f"{column}_0") - pl.col(f"{column}_{window}").fill_null(0)


def hours_of(plays: pl.LazyFrame, asked: pl.LazyFrame) -> pl.LazyFrame:
    """One row per asked profile, day and hour."""
    played = plays.select("p", "h", pl.col("d").alias("day"))
    inside = (pl.col("day") < pl.col("d")) & (pl.col("day") >= pl.col("d") - 90)
    return (
        asked.select("p", "d", "h").unique().join(played, on=["p", "h"]).filter(inside)
        .group_by("p", "d", "h").agg(pl.len().alias("in_hour"))
    )  # fmt: skip


def titles_of(plays: pl.LazyFrame, days: list[int]) -> pl.LazyFrame:
    """One row per asked day, title and country."""
    facts = plays.group_by("t", "k", pl.col("d").alias("day")).agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("w").cast(pl.Int64).sum()
    )
    sums = [*windowed("n", WINDOWS[:3]), pl.col("w").sum().alias("w28")]
    return pl.concat(
        [
            facts.filter(pl.col("day") < d, pl.col("day") >= d - 28).with_columns(pl.lit(d, dtype=pl.Int16).alias("d"))
            .group_by("d", "t", "k").agg(sums)
            for d in days
        ]
    )  # fmt: skip


def pairs_of(plays: pl.LazyFrame, asked: pl.LazyFrame, wanted: pl.LazyFrame) -> pl.LazyFrame:
    """One row per item whose title the profile had played."""
    played = plays.select("p", "t", pl.col("d").alias("day"))
    return (
        wanted.join(asked.select("i", "p", "d"), on="i").join(played, on=["p", "t"])
        .filter(pl.col("day") < pl.col("d")).group_by("row").agg(pl.len().alias("times"))
    )  # fmt: skip


def share(part: pl.Expr, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(part / pl.col(whole))


def filled(
    asked: pl.DataFrame, wanted: pl.DataFrame, titles: pl.DataFrame, profile: pl.DataFrame, hours: pl.DataFrame,
    title_country: pl.DataFrame, pair: pl.DataFrame,
) -> pl.DataFrame:  # fmt: skip
    """The features of every item."""
    sums = [pl.col(name).sum().name.prefix("all_") for name in ("n1", "n7", "n28", "w28")]
    title = title_country.lazy().group_by("d", "t").agg(sums)
    context = (
        asked.lazy().join(profile.lazy(), on=["p", "d"], how="left").join(hours.lazy(), on=["p", "d", "h"], how="left")
    )
    genre = (
        context.select("i", *COUNTS).unpivot(COUNTS, index="i", variable_name="g", value_name="c")
        .with_columns(pl.col("g").str.slice(1).cast(pl.Int32))
    )  # fmt: skip
    country = title_country.lazy().select("d", "t", "k", *(pl.col(f"n{w}").alias(f"k{w}") for w in WINDOWS[:3]))
    rows = (
        wanted.lazy().join(titles.lazy().drop("mask"), on="t").join(context.drop(COUNTS), on="i")
        .join(genre.rename({"c": "first", "g": "g1"}), on=["i", "g1"], how="left")
        .join(genre.rename({"c": "second", "g": "g2"}), on=["i", "g2"], how="left")
        .join(country, on=["d", "t", "k"], how="left")
        .join(title, on=["d", "t"], how="left").join(pair.lazy(), on="row", how="left")
    )  # fmt: skip
    wide = pl.Float32
    return rows.select(
        "row",
        *(pl.col(f"n{w}").fill_null(0).cast(wide).alias(f"profile_plays_{w}d") for w in WINDOWS),
        *((pl.col(f"w{w}").fill_null(0) / 1000).cast(wide).alias(f"profile_seconds_{w}d") for w in WINDOWS),
        ((pl.col("now") - pl.col("last")) / DAY).cast(wide).alias("days_since_last_played"),
        share(pl.col("in_hour").fill_null(0), "n90").cast(wide).alias("profile_hour_share"),
        *(pl.col(f"k{w}").fill_null(0).cast(wide).alias(f"country_title_plays_{w}d") for w in WINDOWS[:3]),
        *(pl.col(f"all_n{w}").fill_null(0).cast(wide).alias(f"title_plays_{w}d") for w in WINDOWS[:3]),
        share(4 * pl.col("all_n7"), "all_n28").cast(wide).alias("title_trend"),
        share((pl.col("first") + pl.col("second").fill_null(0)) / pl.col("ng"), "n90")
        .cast(wide)
        .alias("genre_share_mean"),
        pl.col("times").fill_null(0).cast(wide).alias("profile_title_plays"),
        share(pl.col("all_w28") / 1000, "all_n28").cast(wide).alias("title_mean_seconds"),
    ).collect()


def daily(meter: Meter, folder: str, profiles_of: Profiles) -> pa.Table:
    world = World(Path(folder))
    titles = read_titles(world)
    asked, wanted = read_asked(world)
    with meter.phase("read"):
        plays = read_plays(world, titles)
    with meter.phase("profiles"):
        profile = profiles_of(plays.lazy(), asked.lazy()).collect()
        hours = hours_of(plays.lazy(), asked.lazy()).collect()
    with meter.phase("titles"):
        title_country = titles_of(plays.lazy(), asked["d"].unique().to_list()).collect()
    with meter.phase("pairs"):
        pair = pairs_of(plays.lazy(), asked.lazy(), wanted.lazy()).collect()
    with meter.phase("fill"):
        return filled(asked, wanted, titles, profile, hours, title_country, pair).to_arrow()


def daily_summed(meter: Meter, *, folder: str) -> pa.Table:
    return daily(meter, folder, summed)


def daily_as_of(meter: Meter, *, folder: str) -> pa.Table:
    return daily(meter, folder, as_of)
