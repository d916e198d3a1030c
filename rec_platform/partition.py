"""The key of a partition: a date, a country, both, or neither.

Written `FR|2025-01-01` (country first: Dagster orders the dimensions of a key by their names), `2025-01-01` for tables
partitioned by date alone, and `all` for tables that are not partitioned. Keys are checked before they reach a path or a
query: a country called `*` would otherwise read every country.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from rec_platform.clock import parse_day
from rec_platform.errors import KeyRefused

#: Landing rows whose country or date could not be read. Never a key outside the landing table.
UNREADABLE_COUNTRY: Final = "__"
#: Plays from a place that has no ISO code.
UNKNOWN_COUNTRY: Final = "ZZ"
WHOLE: Final = "all"

_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class Grain(StrEnum):
    """How a table is partitioned."""

    DATE_COUNTRY = "date x country"
    DATE = "date"
    NONE = "none"


def checked_country(text: str, *, place: str) -> str:
    """`text` if it is a two-letter upper-case code, else `KeyRefused`."""
    if _COUNTRY.fullmatch(text):
        return text
    raise KeyRefused(
        f"{text!r} is not a country",
        place=place,
        repair="Write an ISO 3166-1 alpha-2 code in upper case, such as FR; ZZ stands for places without one.",
    )


@dataclass(frozen=True, order=True, slots=True)
class Partition:
    """One partition of a table. Ordered by date, then country; None sorts as the empty text would."""

    date: date | None = None
    country: str | None = None

    def __post_init__(self) -> None:
        if self.country is not None and self.country != UNREADABLE_COUNTRY:
            checked_country(self.country, place="partition key")
        if self.country is not None and self.date is None:
            raise KeyRefused("a partition has a country but no date", place="partition key", repair="Give both.")

    @property
    def grain(self) -> Grain:
        if self.date is None:
            return Grain.NONE
        return Grain.DATE if self.country is None else Grain.DATE_COUNTRY

    @property
    def key(self) -> str:
        """
        >>> Partition(date(2025, 1, 1), "FR").key
        'FR|2025-01-01'
        """
        if self.date is None:
            return WHOLE
        return self.date.isoformat() if self.country is None else f"{self.country}|{self.date.isoformat()}"

    @property
    def day(self) -> dt.date:
        """The date, for code that knows the partition has one."""
        if self.date is None:
            raise KeyRefused("this partition has no date", place=self.key, repair="Use a partition by date.")
        return self.date

    @property
    def place(self) -> str:
        """The country, for code that knows the partition has one."""
        if self.country is None:
            raise KeyRefused("this partition has no country", place=self.key, repair="Use a date x country partition.")
        return self.country

    def shifted(self, days: int) -> Partition:
        """The same country, `days` later (earlier if negative)."""
        return Partition(self.day + timedelta(days=days), self.country)

    @classmethod
    def parse(cls, key: str) -> Partition:
        """The partition that a key names; `KeyRefused` for anything that is not exactly one.

        >>> Partition.parse("FR|2025-01-01").day
        datetime.date(2025, 1, 1)
        """
        place = f"partition key {key!r}"
        if key == WHOLE:
            return cls()
        head, bar, tail = key.partition("|")
        if not bar:
            return cls(parse_day(head, place=place))
        country = head if head == UNREADABLE_COUNTRY else checked_country(head, place=place)
        return cls(parse_day(tail, place=place), country)
