"""Local time of countries, vectorised: what the clock on the wall says at many instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from rec_platform.errors import KeyRefused

Ints = npt.NDArray[np.int64]

#: Instants inside the simulation are milliseconds since 1970-01-01T00:00:00Z.
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_STEP: Final = HOUR_MS // 2
#: Days around the world that can still be asked about.
_BEFORE, _AFTER = 2, 40

DAYPARTS: Final = ("night", "morning", "afternoon", "evening")
N_SLOTS: Final = 2 * len(DAYPARTS)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


@dataclass(frozen=True)
class LocalTime:
    """Offsets from UTC per country and half hour (time zones change on half hours, measured in UTC).

    Attributes:
        first: the first instant covered, milliseconds.
        offsets: int64 of shape (countries, half hours), milliseconds to add to UTC.
    """

    first: int
    offsets: Ints

    @classmethod
    def of(cls, zones: tuple[str, ...], start: date, days: int) -> LocalTime:
        begin = datetime(start.year, start.month, start.day, tzinfo=UTC) - timedelta(days=_BEFORE)
        moments = [begin + timedelta(minutes=30 * step) for step in range(48 * (days + _BEFORE + _AFTER))]
        offsets = [[_offset(moment, ZoneInfo(zone)) for moment in moments] for zone in zones]
        return cls((day_number(start) - _BEFORE) * DAY_MS, np.array(offsets, dtype=np.int64))

    def local(self, country: Ints, at: Ints) -> Ints:
        """Local wall-clock milliseconds at the instants `at` in the countries (both int64, n values)."""
        step = (at - self.first) // _STEP
        if len(step) and not (step.min() >= 0 and step.max() < self.offsets.shape[1]):
            raise KeyRefused(
                "an instant lies outside the simulated world", place="local time",
                repair=f"Ask about instants from {_BEFORE} days before the world to {_AFTER} days after it.",
            )  # fmt: skip
        return at + self.offsets[country, step]

    def slot(self, country: Ints, at: Ints) -> Ints:
        """The slot of taste: daypart (0 night from 00:00, 1 morning from 06:00, ...), plus 4 on Saturday and Sunday."""
        local = self.local(country, at)
        return (local % DAY_MS) // (6 * HOUR_MS) + len(DAYPARTS) * weekend(local)


def weekend(local: Ints) -> Ints:
    """1 on Saturday and Sunday, else 0. Day 0 of the epoch was a Thursday."""
    return ((local // DAY_MS + 3) % 7 >= 5).astype(np.int64)


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)
