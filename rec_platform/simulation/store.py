"""The truth on disk: Parquet and JSON, apart from the delivery, read back exactly as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform.errors import SourceError
from rec_platform.simulation import truth as t
from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.files import instants, user_ids, write_csv
from rec_platform.simulation.localtime import DAY_MS, DAYPARTS
from rec_platform.simulation.plays import POSITION_ATTENTION, ROW_ATTENTION
from rec_platform.simulation.policy import BLUR, BY_POPULARITY, BY_TASTE, UNIFORM
from rec_platform.simulation.truth import People, Singles, Titles, Trips, Truth, Windows

PARAMETERS: Final = "parameters.json"
_TASTE = [f"taste_{genre}" for genre in t.GENRES]
_GENRE = [f"genre_{genre}" for genre in t.GENRES]
_HIDDEN = [f"hidden_{number}" for number in range(t.N_HIDDEN)]
_DEVICE = [f"device_{name}" for name in t.DEVICES]


def save_truth(truth: Truth, folder: Path) -> None:
    """Write `truth` into an existing folder: parameters.json, profiles, titles, availability and trips as Parquet."""
    people, titles = truth.people, truth.titles
    _write(folder / "profiles.parquet", {
        "user_id": user_ids(np.arange(len(people.home))), "home": people.home, "signup_ms": people.signup,
        "rate": people.rate, "rewatch": people.rewatch, **_split(_DEVICE, people.devices),
        **_split(_TASTE, people.taste), **_split(_HIDDEN, people.hidden),
    })  # fmt: skip
    _write(folder / "titles.parquet", {
        "video_id": np.arange(len(titles.quality)) + t.FIRST_VIDEO, "runtime_s": titles.runtime_s,
        "series": titles.series, "released": titles.released, "known_ms": titles.known, "quality": titles.quality,
        "appeal": titles.appeal, **_split(_GENRE, titles.genres), **_split(_HIDDEN, titles.hidden),
        "tags": pa.array([list(tags) for tags in titles.tags], pa.list_(pa.string())),
    })  # fmt: skip
    _write(folder / "availability.parquet", vars(truth.windows))
    _write(folder / "trips.parquet", vars(truth.trips))
    (folder / PARAMETERS).write_text(json.dumps(_parameters(truth), indent=1) + "\n", encoding="utf-8")


def load_truth(out: Path) -> Truth:
    """The truth of the world that `simulate` wrote into `out`; `SourceError` if there is none."""
    folder = out / "truth"
    if not (folder / PARAMETERS).is_file():
        raise SourceError("no truth here", place=str(folder), repair="Give the folder that `simulate` wrote into.")
    parameters = json.loads((folder / PARAMETERS).read_text(encoding="utf-8"))
    people, titles = _read(folder / "profiles.parquet"), _read(folder / "titles.parquet")
    return Truth(
        config=WorldConfig.model_validate(parameters["config"]),
        people=People(
            home=people["home"], signup=people["signup_ms"], rate=people["rate"], rewatch=people["rewatch"],
            devices=_stack(_DEVICE, people), taste=_stack(_TASTE, people), hidden=_stack(_HIDDEN, people),
        ),
        titles=Titles(
            runtime_s=titles["runtime_s"], series=titles["series"], released=titles["released"],
            known=titles["known_ms"], quality=titles["quality"], appeal=titles["appeal"],
            genres=_stack(_GENRE, titles), hidden=_stack(_HIDDEN, titles),
            tags=tuple(tuple(tags) for tags in titles["tags"]),
        ),
        windows=Windows(**_read(folder / "availability.parquet")),
        trips=Trips(**_read(folder / "trips.parquet")),
        country_taste=np.array(parameters["country_taste"], dtype=np.float32),
        slot_taste=np.array(parameters["slot_taste"], dtype=np.float32),
    )  # fmt: skip


def write_reference(truth: Truth, folder: Path) -> None:
    """Write titles.jsonl, profiles.csv and availability.csv of the delivery."""
    _write_titles(truth.titles, folder / "titles.jsonl")
    codes = np.array([country.code for country in truth.config.countries])
    signup = truth.people.signup
    _write_csv(folder / "profiles.csv", {
        "user_id": user_ids(np.arange(len(signup))), "signup_time": instants(signup),
        "country": pa.array(codes[truth.people.home]), "known_time": instants(signup + 2_000),
    })  # fmt: skip
    w = truth.windows
    order = np.lexsort((w.from_day, w.country, w.title))
    closed = w.to_day[order] < t.OPEN
    until = instants(np.where(closed, w.to_day[order], 0) * DAY_MS)
    _write_csv(folder / "availability.csv", {
        "video_id": pc.cast(pa.array(w.title[order] + t.FIRST_VIDEO), pa.string()),
        "country": pa.array(codes[w.country[order]]), "from_time": instants(w.from_day[order] * DAY_MS),
        "to_time": pc.if_else(pa.array(closed), until, ""), "known_time": instants(w.known[order]),
    })  # fmt: skip


def _write_titles(titles: Titles, path: Path) -> None:
    released = np.datetime_as_string(titles.released.astype("datetime64[D]")).tolist()
    known = instants(titles.known).to_pylist()
    with path.open("w", encoding="utf-8") as file:
        for row, weights in enumerate(titles.genres):
            genres = [t.GENRES[genre] for genre in np.flatnonzero(weights)]
            record = {
                "video_id": t.FIRST_VIDEO + row, "name": f"{genres[0].capitalize()} {row + 1}", "genres": genres,
                "tags": list(titles.tags[row]), "runtime_seconds": int(titles.runtime_s[row]),
                "release_date": released[row], "known_time": known[row],
            }  # fmt: skip
            file.write(json.dumps(record) + "\n")


def _parameters(truth: Truth) -> dict[str, object]:
    """Everything of the formula that is not a column of a table."""
    return {
        "config": truth.config.model_dump(mode="json"),
        "genres": t.GENRES,
        "devices": t.DEVICES,
        "slots": [f"{part}, {week}" for week in ("weekday", "weekend") for part in DAYPARTS],
        "country_taste": truth.country_taste.tolist(),
        "slot_taste": truth.slot_taste.tolist(),
        "fresh": t.FRESH, "fresh_days": t.FRESH_DAYS,
        "engagement": {"base": t.ENGAGE_BASE, "slope": t.ENGAGE_SLOPE, "mobile": -t.ENGAGE_MOBILE},
        "attention": {"row": ROW_ATTENTION, "position": POSITION_ATTENTION},
        "policy": {"taste": BY_TASTE, "popularity": BY_POPULARITY, "uniform": UNIFORM, "blur": BLUR},
    }  # fmt: skip


def _split(names: list[str], matrix: Singles) -> dict[str, Singles]:
    return {name: np.ascontiguousarray(matrix[:, column]) for column, name in enumerate(names)}


def _stack(names: list[str], columns: dict[str, npt.NDArray[Any]]) -> Singles:
    return np.column_stack([columns[name] for name in names]).astype(np.float32)


def _write(path: Path, columns: dict[str, object]) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd")


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _write_csv(path: Path, columns: dict[str, pa.Array]) -> None:
    with path.open("wb") as file:
        write_csv(pa.table(columns), file, header=True)
