"""A small past to try declarations on where no home is at hand: everybody in it is drawn from one seed.

It holds what real logs hold: profiles without a play, titles nobody has heard of, titles without genres or runtime, late
and simultaneous plays, and a context at the very instant of a play. So every fact is somewhere 0, missing or `NONE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, midnight, parse_day
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.tables import AVAILABILITY, INSTANT, PLAY_FACTS, PROFILES, TITLES
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.reading import timeline_of
from rec_platform.timetravel.timeline import Timeline

Ints = npt.NDArray[np.int64]

COUNTRIES: Final = ("FR", "IN", "US")
RULES: Final = SourceRules(time_zones={"default": "UTC", "FR": "Europe/Paris", "IN": "Asia/Kolkata"})
DEVICES: Final = ("tv", "mobile", "web", "unknown")
WORDS: Final = ("drama", "crime", "comedy", "history", "noir")
DAYS: Final = 100
LAST: Final = midnight(parse_day("2025-03-31", place="sample"))


@dataclass(frozen=True)
class Sample:
    """A past, and contexts with items to ask it about.

    Attributes:
        plays, titles, profiles, availability: the past, as tables; no source of availability if that has no rows.
        frame: contexts (device, tenure_days, ...) with their items; no features yet.
        rules: the rules of its source.
    """

    plays: pa.Table
    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table
    frame: Frame
    rules: SourceRules

    @classmethod
    def drawn(cls, *, plays: int = 2_000, contexts: int = 24, items: int = 12, seed: int = 7) -> Sample:
        """About `plays` plays of `DAYS` days, and `contexts` x `items` rows; the same arguments, the same bytes."""
        draw = np.random.default_rng(seed)
        n_titles, n_profiles = max(20, plays // 100), max(20, plays // 50)
        made = _plays(draw, plays, n_profiles, n_titles)
        titles, profiles = _titles(draw, n_titles), _profiles(draw, n_profiles)
        frame = _frame(draw, made, contexts, items, n_titles)
        return cls(made, titles, profiles, AVAILABILITY.schema.empty_table(), frame, RULES)

    def timeline(self, facts: Sequence[Fact]) -> Timeline:
        """A timeline of its own that these facts can be read from."""
        return timeline_of(
            self.plays, self.titles, self.profiles, self.availability, rules=self.rules, facts=facts
        )  # fmt: skip


def _plays(draw: np.random.Generator, n: int, n_profiles: int, n_titles: int) -> pa.Table:
    """Plays on whole half hours, so that some are simultaneous; a tenth of them known late."""
    played = LAST + DAY - draw.integers(0, 48 * DAYS, n) * 30 * MINUTE
    late = np.where(draw.random(n) < 0.1, draw.integers(1, 12, n) * 12 * HOUR, HOUR)
    columns: dict[str, Any] = {
        c.PLAY_ID: np.arange(n), c.PROFILE: 1 + draw.zipf(1.4, n) % (n_profiles - 2), c.TITLE: 1 + draw.zipf(1.3, n) % n_titles,
        c.PLAYED_AT: played, c.KNOWN_AT: played + late, c.WATCHED_MS: draw.integers(0, 7_200_000, n),
        c.ENGAGED: draw.integers(0, 2, n), c.SESSION_ID: np.arange(n) // 2, c.DEVICE: draw.choice(DEVICES, n),
        c.SURFACE: draw.choice(["home", "search"], n), c.ROW: draw.integers(0, 5, n), c.POSITION: draw.integers(0, 20, n),
        c.PROPENSITY: draw.uniform(0.01, 1.0, n),
    }  # fmt: skip
    arrays = [_array(columns.get(field.name, [None] * n), field.type) for field in PLAY_FACTS.schema]
    table = pa.Table.from_arrays(arrays, names=PLAY_FACTS.schema.names)
    return table.append_column(c.COUNTRY, pa.array(draw.choice(COUNTRIES, n).tolist(), pa.string()))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return pa.array(listed, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(listed, kind)


def _titles(draw: np.random.Generator, n: int) -> pa.Table:
    """One row per title; every fifth has no genres, every seventh no runtime and no release."""
    rows = [
        {
            c.TITLE: 1 + title, c.KNOWN_AT: LAST - 400 * DAY, c.SOURCE_ID: str(title), c.NAME: None,
            c.GENRES: [] if title % 5 == 0 else draw.choice(WORDS, 2, replace=False).tolist(),
            c.TAGS: draw.choice(WORDS, title % 3, replace=False).tolist(),
            c.RUNTIME_MS: None if title % 7 == 0 else int(draw.integers(1_200_000, 7_200_000)),
            c.RELEASED_AT: None if title % 7 == 0 else LAST - int(draw.integers(-5, 2_000)) * DAY,
        }
        for title in range(n)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TITLES.schema)


def _profiles(draw: np.random.Generator, n: int) -> pa.Table:
    rows = [
        {
            c.PROFILE: 1 + profile, c.KNOWN_AT: LAST - 400 * DAY, c.SOURCE_ID: str(profile), c.HOME_COUNTRY: "FR",
            c.SIGNUP_AT: None if profile % 4 == 0 else LAST - int(draw.integers(0, 900)) * DAY,
        }
        for profile in range(n)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PROFILES.schema)


def _frame(draw: np.random.Generator, plays: pa.Table, n: int, items: int, n_titles: int) -> Frame:
    """Contexts of the last day at the instants of plays, each with an item that nobody knows.

    The first is of a stranger in a country without plays.
    """
    last_day = np.flatnonzero(_ints(plays, c.PLAYED_AT) >= LAST)
    rows = draw.choice(last_day, n) if len(last_day) else np.zeros(n, dtype=np.int64)
    profile = _ints(plays, c.PROFILE)[rows].copy()
    profile[0] = 2**40
    country = ["BR", *plays.column(c.COUNTRY).take(pa.array(rows[1:])).to_pylist()]
    titles = np.concatenate(
        [[2**40, *(1 + draw.choice(n_titles, min(items - 1, n_titles), replace=False))] for _ in rows]
    )
    contexts = pa.table({
        c.PROFILE: profile, c.COUNTRY: country, c.CONTEXT_ID: np.arange(n),
        c.AT: pa.array(_ints(plays, c.PLAYED_AT)[rows]).cast(INSTANT), c.DEVICE: plays.column(c.DEVICE).take(pa.array(rows)),
        c.TENURE_DAYS: np.where(np.arange(n) % 3 == 0, 0.0, draw.uniform(0, 900, n)),
    })  # fmt: skip
    each = len(titles) // n
    return Frame.of(contexts, np.arange(n + 1, dtype=np.int64) * each, items={c.TITLE: titles.astype(np.int64)})


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table.column(name).cast(pa.int64()).to_numpy(), dtype=np.int64)
