"""One world for all tests of this folder: 70,000 plays with two shown rows each, read as anybody would read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from rec_platform.simulation import Truth, WorldConfig, WorldSummary, load_truth, simulate


@dataclass(frozen=True)
class World:
    """`lines`: every delivered line as text, with `file` and `line`. `plays`: undamaged plays once, typed."""

    out: Path
    summary: WorldSummary
    truth: Truth
    lines: pd.DataFrame
    planted: pd.DataFrame
    plays: pd.DataFrame
    titles: pd.DataFrame
    profiles: pd.DataFrame
    availability: pd.DataFrame


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    out = tmp_path_factory.mktemp("simulation") / "world"
    summary = simulate(WorldConfig.small(shown_per_play=2), out)
    lines = read_lines(out)
    planted = pd.read_parquet(out / "truth" / "corruptions.parquet")
    return World(
        out, summary, load_truth(out), lines, planted, typed(lines, planted),
        pd.read_json(out / "delivery" / "titles.jsonl", lines=True),
        pd.read_csv(out / "delivery" / "profiles.csv", parse_dates=["signup_time", "known_time"]),
        pd.read_csv(out / "delivery" / "availability.csv", parse_dates=["from_time", "to_time", "known_time"]),
    )  # fmt: skip


def read_lines(out: Path) -> pd.DataFrame:
    parts = []
    for path in sorted((out / "delivery").glob("plays-*.csv")):
        part = pd.read_csv(path, dtype=str, keep_default_na=False)
        parts.append(part.assign(file=path.name, line=range(1, len(part) + 1)))
    return pd.concat(parts, ignore_index=True)


def typed(lines: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    bad = lines.merge(planted[["file", "line"]], how="left", on=["file", "line"], indicator=True)["_merge"] == "both"
    plays = lines[~bad.to_numpy() & (lines["event"] == "play")].copy()
    for name in ("start_time", "received_time"):
        plays[name] = pd.to_datetime(plays[name], utc=True)
    for name in ("video_id", "row", "position"):
        plays[name] = plays[name].astype("int64")
    for name in ("watch_seconds", "runtime_seconds", "propensity"):
        plays[name] = pd.to_numeric(plays[name])
    return plays.reset_index(drop=True)
