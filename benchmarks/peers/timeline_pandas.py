"""The twenty features in pandas: daily facts as of 00:00 of the context's day; one clock.

Tuned: narrow integer columns, integer codes for countries and genres, sums under conditions as masked columns of one
grouped sum, titles once per asked day, items in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Meter
from timeline_world import COUNTRIES, DAY, GENRES_N, World

WINDOWS = (1, 7, 28, 90)
HOUR = DAY // 24
#: Contexts whose items are joined at a time.
PIECE = 50_000


def micros(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int64()).to_numpy()


def coded(column: pa.ChunkedArray) -> np.ndarray:
    return pd.Categorical(column.to_pandas(), categories=COUNTRIES).codes


def read_titles(world: World) -> pd.DataFrame:
    """t, g1, g2 (-1 for a title of one genre), ng."""
    rows = pq.read_table(world.titles, columns=["title_id", "genres"]).to_pandas()
    genres = [[int(name[6:]) for name in names] for names in rows["genres"]]
    return pd.DataFrame(
        {
            "t": rows["title_id"].astype(np.int32), "g1": [one[0] for one in genres],
            "g2": [one[1] if len(one) > 1 else -1 for one in genres], "ng": [len(one) for one in genres],
        }
    )  # fmt: skip


def read_plays(world: World) -> pd.DataFrame:
    columns = ["profile_id", "title_id", "country", "played_at", "watched_ms"]
    rows = pq.read_table(world.folder / "plays", columns=columns)
    played = micros(rows.column("played_at"))
    return pd.DataFrame(
        {
            "p": rows.column("profile_id").to_numpy().astype(np.int32),
            "t": rows.column("title_id").to_numpy().astype(np.int32), "k": coded(rows.column("country")),
            "played": played, "day": (played // DAY).astype(np.int32), "h": (played // HOUR % 24).astype(np.int8),
            "w": rows.column("watched_ms").to_numpy(), "n": 1,
        }
    )  # fmt: skip


def read_asked(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, items = pq.read_table(world.contexts(midnight=True)), pq.read_table(world.items)
    now = micros(rows.column("at"))
    asked = pd.DataFrame(
        {
            "i": np.arange(len(now)), "p": rows.column("profile_id").to_numpy().astype(np.int32),
            "k": coded(rows.column("country")), "now": now, "d": (now // DAY).astype(np.int32),
            "h": (now // HOUR % 24).astype(np.int8),
        }
    )  # fmt: skip
    wanted = pd.DataFrame(
        {"i": items.column("context").to_numpy(), "t": items.column("title_id").to_numpy().astype(np.int32)}
    )
    return asked, wanted.assign(row=np.arange(len(wanted)))


def windowed(rows: pd.DataFrame, columns: str, windows: tuple[int, ...]) -> pd.DataFrame:
    """Columns n7, w28, ...: the amount where the day is one of [d - w, d), else 0."""
    ago = rows["d"] - rows["day"]
    return pd.DataFrame({f"{one}{w}": rows[one] * (ago <= w) for one in columns for w in windows})


def profiles_of(plays: pd.DataFrame, titles: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """One row per asked profile and day."""
    plays = plays.merge(titles, on="t")
    marks = pd.DataFrame({f"c{g}": (plays["g1"] == g) | (plays["g2"] == g) for g in range(GENRES_N)}).astype(np.int32)
    by_day = pd.concat([plays[["p", "day", "n", "w"]], marks], axis=1).groupby(["p", "day"], sort=False)
    days = by_day.sum().assign(last=plays.groupby(["p", "day"], sort=False)["played"].max()).reset_index()
    rows = asked[["p", "d"]].drop_duplicates().merge(days, on="p")
    rows = rows[rows["day"] < rows["d"]].reset_index(drop=True)
    recent = rows[marks.columns].mul(rows["d"] - rows["day"] <= 90, axis=0)
    wide = pd.concat([rows[["p", "d"]], windowed(rows, "nw", WINDOWS), recent], axis=1)
    key = ["p", "d"]
    return wide.groupby(key, sort=False).sum().assign(last=rows.groupby(key, sort=False)["last"].max()).reset_index()


def hours_of(plays: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """One row per asked profile, day and hour."""
    rows = asked[["p", "d", "h"]].drop_duplicates().merge(plays[["p", "h", "day"]], on=["p", "h"])
    rows = rows[(rows["day"] < rows["d"]) & (rows["day"] >= rows["d"] - 90)]
    return rows.groupby(["p", "d", "h"], sort=False).size().rename("in_hour").reset_index()


def titles_of(plays: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """One row per asked day, title and country."""
    facts = plays.groupby(["t", "k", "day"], sort=False)[["n", "w"]].sum().reset_index()
    parts = []
    for d in asked["d"].unique():
        rows = facts[(facts["day"] < d) & (facts["day"] >= d - 28)].assign(d=d)
        wide = pd.concat([rows[["d", "t", "k"]], windowed(rows, "n", WINDOWS[:3])], axis=1).assign(w28=rows["w"])
        parts.append(wide.groupby(["d", "t", "k"], sort=False).sum().reset_index())
    return pd.concat(parts)


def pairs_of(plays: pd.DataFrame, asked: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """One row per item whose title the profile had played; most have none, and are left out before anything is joined."""
    profile, day = (asked[name].to_numpy()[wanted["i"]] for name in "pd")
    rows = pd.DataFrame({"row": wanted["row"], "d": day, "pair": pair_of(profile, wanted["t"])})
    played = pd.DataFrame({"day": plays["day"], "pair": pair_of(plays["p"], plays["t"])})
    rows = rows[rows["pair"].isin(played["pair"].unique())].merge(played, on="pair")
    return rows[rows["day"] < rows["d"]].groupby("row", sort=False).size().rename("times").reset_index()


def pair_of(profile: np.ndarray | pd.Series, title: pd.Series) -> np.ndarray:
    """Two keys as one: joining by one is cheaper."""
    return np.asarray(profile, dtype=np.int64) << 32 | np.asarray(title, dtype=np.int64)


def filled(
    asked: pd.DataFrame, wanted: pd.DataFrame, titles: pd.DataFrame, profile: pd.DataFrame, hours: pd.DataFrame,
    title_country: pd.DataFrame, pair: pd.DataFrame,
) -> pa.Table:  # fmt: skip
    """The features of every item."""
    context = asked.merge(profile, on=["p", "d"], how="left").merge(hours, on=["p", "d", "h"], how="left")
    counts = np.column_stack([context[[f"c{g}" for g in range(GENRES_N)]].to_numpy(), np.zeros(len(context))])
    title = title_country.drop(columns="k").groupby(["d", "t"], sort=False).sum().reset_index()
    rows = (
        wanted.merge(titles, on="t", how="left").merge(context.drop(columns=[f"c{g}" for g in range(GENRES_N)]), on="i")
        .merge(title_country, on=["d", "t", "k"], how="left", suffixes=("", "_country"))
        .merge(title, on=["d", "t"], how="left", suffixes=("", "_all")).merge(pair, on="row", how="left")
    )  # fmt: skip
    plays, trend = rows["n90"].where(rows["n90"] > 0), rows["n28_all"].where(rows["n28_all"] > 0)
    place = rows["i"] - asked["i"].iloc[0]
    in_genres = counts[place, rows["g1"]] + counts[place, rows["g2"]]
    out = {
        **{f"profile_plays_{w}d": rows[f"n{w}"].fillna(0) for w in WINDOWS},
        **{f"profile_seconds_{w}d": rows[f"w{w}"].fillna(0) / 1000 for w in WINDOWS},
        "days_since_last_played": (rows["now"] - rows["last"]) / DAY,
        "profile_hour_share": rows["in_hour"].fillna(0) / plays,
        **{f"country_title_plays_{w}d": rows[f"n{w}_country"].fillna(0) for w in WINDOWS[:3]},
        **{f"title_plays_{w}d": rows[f"n{w}_all"].fillna(0) for w in WINDOWS[:3]},
        "title_trend": 4 * rows["n7_all"] / trend, "genre_share_mean": in_genres / rows["ng"] / plays,
        "profile_title_plays": rows["times"].fillna(0), "title_mean_seconds": rows["w28_all"] / 1000 / trend,
    }  # fmt: skip
    table = {name: pa.array(values.to_numpy(np.float32)) for name, values in out.items()}
    return pa.table({"row": rows["row"].to_numpy(), **table})


def daily(meter: Meter, *, folder: str, asked: str = "") -> pa.Table:
    world = World(Path(folder))
    titles, (contexts, wanted) = read_titles(world), read_asked(World(Path(asked or folder)))
    with meter.phase("read"):
        plays = read_plays(world)
    with meter.phase("profiles"):
        profile, hours = profiles_of(plays, titles, contexts), hours_of(plays, contexts)
    with meter.phase("titles"):
        title_country = titles_of(plays, contexts)
    with meter.phase("pairs"):
        pair = pairs_of(plays, contexts, wanted)
    del plays
    with meter.phase("fill"):
        return pa.concat_tables(
            filled(few, items, titles, profile, hours, title_country, own)
            for few, items, own in pieces(contexts, wanted, pair)
        ).combine_chunks()


def pieces(
    asked: pd.DataFrame, wanted: pd.DataFrame, pair: pd.DataFrame
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """So many contexts at a time, with their items and their pairs: joined rows of all items would not fit into memory."""
    pair = pair.sort_values("row")
    for first in range(0, len(asked), PIECE):
        few = asked.iloc[first : first + PIECE]
        items = wanted.iloc[slice(*np.searchsorted(wanted["i"], [first, first + len(few)]))]
        rows = items["row"].iloc[[0, -1]].to_numpy() if len(items) else np.array([0, -1])
        yield few, items, pair.iloc[slice(*np.searchsorted(pair["row"], [rows[0], rows[1] + 1]))]
