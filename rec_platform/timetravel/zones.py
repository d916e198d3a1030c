"""Local clocks: one declared time zone per country, as steps of the offset from UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from rec_platform.clock import DAY, FIRST_DAY, LAST_DAY, SECOND, days_between, midnight
from rec_platform.timetravel import kernels
from rec_platform.timetravel.kernels import Int64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offset_at(zone: str, instant: int) -> int:
    """Local time minus UTC, in microseconds.

    >>> offset_at("Europe/Paris", 0) == 3600 * SECOND
    True
    """
    return (local(instant, zone).utcoffset() or timedelta()) // timedelta(microseconds=1)


def local(instant: int, zone: str) -> datetime:
    """An instant, in microseconds, on the clock of a zone.

    >>> f"{local(0, 'Asia/Tokyo'):%a %H:%M}"
    'Thu 09:00'
    """
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))


@lru_cache(maxsize=512)
def steps(zone: str) -> tuple[tuple[int, int], ...]:
    """(from, offset) over all days a partition may bear; found by asking each midnight, then halving a step's day."""
    if zone == "UTC":
        return ((kernels.NONE, 0),)
    found = [(kernels.NONE, offset_at(zone, midnight(FIRST_DAY)))]
    for day in days_between(FIRST_DAY, LAST_DAY):
        after = offset_at(zone, midnight(day) + DAY)
        if after != found[-1][1]:
            found.append((_step_within(zone, midnight(day), after), after))
    return tuple(found)


def _step_within(zone: str, lo: int, after: int) -> int:
    hi = lo + DAY
    while hi - lo > SECOND:
        middle = (lo + hi) // (2 * SECOND) * SECOND
        lo, hi = (lo, middle) if offset_at(zone, middle) == after else (middle, hi)
    return hi


@dataclass(frozen=True)
class Zones:
    """The zones of some countries in turn: zone z has steps starts[z]:starts[z + 1]."""

    starts: Int64
    begins: Int64
    offsets: Int64

    @classmethod
    def of(cls, countries: Sequence[str], declared: Mapping[str, str]) -> Zones:
        """One zone per country, then the default's for countries not among them."""
        default = declared.get("default", "UTC")
        parts = [steps(declared.get(country, default)) for country in countries] + [steps(default)]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        flat = np.array([step for part in parts for step in part], dtype=np.int64)
        return cls(starts, flat[:, 0].copy(), flat[:, 1].copy())
