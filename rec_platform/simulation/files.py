"""Rows as text: the files of plays, in three formats that hold the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from rec_platform.simulation.delivery import DAMAGES, MISSING_USER
from rec_platform.simulation.localtime import DAY_MS, Ints
from rec_platform.simulation.plays import EVENTS, SHOWN, SURFACES, Rows
from rec_platform.simulation.truth import DEVICES, FIRST_VIDEO, Truth

PlaysFormat = Literal["csv", "jsonl", "parquet"]
COLUMNS: Final = (
    "play_id", "user_id", "video_id", "event", "start_time", "received_time", "country", "watch_seconds",
    "runtime_seconds", "device", "session", "request", "surface", "row", "position", "propensity",
)  # fmt: skip
NUMBERS: Final = frozenset({"video_id", "watch_seconds", "runtime_seconds", "row", "position", "propensity"})


def texts(rows: Rows, truth: Truth) -> dict[str, pa.Array]:
    """The delivered columns of rows as text, null where nothing is delivered, damage done."""
    codes = [country.code for country in truth.config.countries]
    shown = rows["event"] == SHOWN
    cells = {
        "play_id": numbered("p", rows["number"], 10),
        "user_id": _null_where(rows["damage"] == MISSING_USER, user_ids(rows["profile"])),
        "video_id": _text(np.asarray(rows["title"], dtype=np.int64) + FIRST_VIDEO),
        "event": _named(EVENTS, rows["event"]),
        "start_time": instants(rows["start"]),
        "received_time": instants(rows["received"]),
        "country": _named(codes, rows["country"]),
        "watch_seconds": _null_where(shown, _text(np.asarray(rows["watched"], dtype=np.float64) / 10)),
        "runtime_seconds": _text(truth.titles.runtime_s[rows["title"]].astype(np.float64)),
        "device": _named([*DEVICES, None], rows["device"]),
        "session": numbered("s", rows["session"], 10),
        "request": numbered("r", rows["request"], 10),
        "surface": _named(SURFACES, rows["surface"]),
        "row": _text(rows["row"]),
        "position": _text(rows["position"]),
        "propensity": _propensity(rows["propensity"]),
    }
    return _damaged(cells, rows["damage"])


def write_plays(folder: Path, day: str, blocks: Iterator[dict[str, pa.Array]], kind: PlaysFormat) -> str:
    """Write the file of a delivery day from blocks of its lines, returning its name.

    Every column is text, in Parquet too: a damaged number must stand as text among numbers.
    """
    name = f"plays-{day}.{kind}"
    tables = (pa.table({column: cells[column] for column in COLUMNS}) for cells in blocks)
    if kind == "parquet":
        schema = pa.schema([(column, pa.string()) for column in COLUMNS])
        with pq.ParquetWriter(folder / name, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table)
        return name
    with (folder / name).open("wb") as file:
        for number, table in enumerate(tables):
            write_csv(table, file, header=number == 0) if kind == "csv" else file.write(_json_lines(table))
    return name


def write_csv(table: pa.Table, file: BinaryIO, *, header: bool) -> None:
    """Lines without quotes: no text of a delivery holds a comma, a quote or a line break."""
    if header:
        file.write((",".join(table.column_names) + "\n").encode())
    csv.write_csv(table, file, csv.WriteOptions(include_header=False, quoting_style="none"))


def _json_lines(table: pa.Table) -> memoryview:
    parts: list[object] = []
    for number, column in enumerate(COLUMNS):
        parts += [("{" if number == 0 else ",") + f'"{column}":', _json_cell(column, table.column(column).chunk(0))]
    lines = pc.binary_join_element_wise(*parts, "}\n", "", null_handling="replace", null_replacement="null")
    return _bytes(lines)


def _json_cell(column: str, cell: pa.Array) -> pa.Array:
    quoted = pc.binary_join_element_wise('"', cell, '"', "")
    if column not in NUMBERS:
        return quoted
    return pc.if_else(pc.match_substring_regex(cell, "^[a-z]"), quoted, cell)


def _bytes(lines: pa.Array) -> memoryview:
    """The texts of an array one after the other, which is how Arrow holds them anyway."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32, count=len(lines) + 1 + lines.offset)
    return memoryview(lines.buffers()[2])[offsets[lines.offset] : offsets[-1]]


def user_ids(profiles: npt.NDArray[np.generic]) -> pa.Array:
    return numbered("u", profiles, 7)


def numbered(prefix: str, values: npt.NDArray[np.generic], width: int) -> pa.Array:
    """
    >>> numbered("u", np.array([7, 1234567]), 7).to_pylist()
    ['u0000007', 'u1234567']
    """
    text = np.empty((len(values), 1 + width), dtype=np.uint8)
    text[:, 0] = ord(prefix)
    text[:, 1:] = _digits(np.asarray(values, dtype=np.int64), width)
    return _fixed(text)


def instants(at: npt.NDArray[np.generic]) -> pa.Array:
    """Milliseconds since 1970 as ISO-8601 text.

    >>> instants(np.array([1736108130123])).to_pylist()
    ['2025-01-05T20:15:30.123Z']
    """
    day, rest = np.divmod(np.asarray(at, dtype=np.int64), DAY_MS)
    days, row = np.unique(day, return_inverse=True)
    dates = np.datetime_as_string(days.astype("datetime64[D]")).astype("S10")
    text = np.empty((len(day), 24), dtype=np.uint8)
    text[:, :10] = dates.view(np.uint8).reshape(-1, 10)[row]
    text[:, [10, 13, 16, 19, 23]] = np.frombuffer(b"T::.Z", dtype=np.uint8)
    text[:, 11:13] = _digits(rest // 3_600_000, 2)
    text[:, 14:16] = _digits(rest // 60_000 % 60, 2)
    text[:, 17:19] = _digits(rest // 1_000 % 60, 2)
    text[:, 20:23] = _digits(rest % 1_000, 3)
    return _fixed(text)


def _digits(values: Ints, width: int) -> npt.NDArray[np.uint8]:
    out = np.empty((len(values), width), dtype=np.uint8)
    for column in range(width - 1, -1, -1):
        values, digit = np.divmod(values, 10)
        out[:, column] = digit + ord("0")
    return out


def _fixed(text: npt.NDArray[np.uint8]) -> pa.Array:
    """Rows of bytes as an Arrow text array, without making a Python string of any."""
    n, width = text.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32) if width else np.zeros(n + 1, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))


def _text(values: npt.NDArray[np.generic]) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _named(names: tuple[str, ...] | list[str] | list[str | None], codes: npt.NDArray[np.generic]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes))


def _null_where(mask: npt.NDArray[np.generic], cell: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), cell) if mask.any() else cell


def _propensity(values: npt.NDArray[np.generic]) -> pa.Array:
    """Rounded to eight decimals, at least 1e-8; null where it is not known."""
    known = np.asarray(values, dtype=np.float64)
    rounded = np.maximum(np.round(known, 8), 1e-8)
    return pc.cast(pa.array(rounded, mask=np.isnan(known)), pa.string())


def _damaged(cells: dict[str, pa.Array], damage: npt.NDArray[np.generic]) -> dict[str, pa.Array]:
    for code, (_, column, text) in enumerate(DAMAGES, start=1):
        hit = damage == code
        if hit.any():
            cells[column] = pc.if_else(pa.array(hit), text, cells[column])
    return cells
