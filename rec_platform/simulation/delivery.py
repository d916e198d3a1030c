"""What goes wrong on the way: which rows are damaged, which come twice, and in which file each stands."""

from __future__ import annotations

from typing import Final

import numpy as np

from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.localtime import DAY_MS, Ints
from rec_platform.simulation.plays import PLAY, Rows
from rec_platform.simulation.truth import DEVICES, Floats

#: Kinds of damage by code - 1: the column that is damaged and the text that then stands in it.
DAMAGES: Final = (
    ("unparsable_time", "start_time", "31/02/2025 25:61"),
    ("text_watch", "watch_seconds", "twelve"),
    ("text_video", "video_id", "seven"),
    ("year_1970", "start_time", "1970-01-01T00:00:00.000Z"),
    ("year_2099", "start_time", "2099-12-31T23:59:59.000Z"),
    ("country_star", "country", "*"),
    ("country_path", "country", "../x"),
    ("negative_watch", "watch_seconds", "-37.5"),
)
MISSING_USER: Final = len(DAMAGES) + 1
#: Values of the column `copy`: the row itself, its copy in the same file, its copy in a later file.
ORIGINAL, SAME_FILE, LATER_FILE = 0, 1, 2
COPIES: Final = ("", "duplicate_same_file", "duplicate_later_file")
KINDS: Final = ("", *(kind for kind, _, _ in DAMAGES), "missing_user")


def delivered(rows: Rows, config: WorldConfig, first_id: int, rng: np.random.Generator) -> Rows:
    """The rows as they will be delivered, copies included, with four columns more.

    `number` (what the play id is made of), `damage` (code into KINDS), `copy` (code into COPIES) and `arrives`, the
    instant that decides on file and line: for copies it is moved on, their delivered columns are those of the original.
    """
    n = len(rows["start"])
    is_play = rows["event"] == PLAY
    fate = np.where(is_play, rng.random(n), 1.0)
    device = np.where(rng.random(n) < config.missing_device_share, np.int8(len(DEVICES)), rows["device"])
    whole = rows | {
        "number": first_id + np.arange(n), "device": device, "damage": _damage(config, fate).astype(np.int8),
        "copy": np.zeros(n, dtype=np.int8), "arrives": rows["received"],
    }  # fmt: skip
    hurt = config.corrupt_share + config.missing_user_share
    again = np.flatnonzero((fate >= hurt) & (fate < hurt + config.duplicate_share))
    copies: Rows = {name: values[again] for name, values in whole.items()}
    copies["copy"] = rng.integers(SAME_FILE, LATER_FILE + 1, len(again), dtype=np.int8)
    copies["arrives"] = _arrival_of_copies(copies, rng)
    return {name: np.concatenate([values, copies[name]]) for name, values in whole.items()}


def _damage(config: WorldConfig, fate: Floats) -> Ints:
    """Codes from fates, uniform in [0, 1): equal parts of the corrupt share per kind, then the missing users."""
    kind = 1 + np.floor(fate / max(config.corrupt_share, 1e-12) * len(DAMAGES)).astype(np.int64)
    missing = fate < config.corrupt_share + config.missing_user_share
    return np.where(fate < config.corrupt_share, np.minimum(kind, len(DAMAGES)), np.where(missing, MISSING_USER, 0))


def _arrival_of_copies(copies: Rows, rng: np.random.Generator) -> Ints:
    received = copies["received"]
    day_end = (received // DAY_MS + 1) * DAY_MS - 1
    soon = np.minimum(received + rng.integers(0, 600_000, len(received)), day_end)
    later = received + DAY_MS * rng.integers(1, 4, len(received))
    return np.where(copies["copy"] == SAME_FILE, soon, later)
