"""Which partitions Dagster shows, and how those of one stage map to those of another.

Days run from the first to the last delivered (on to yesterday for a live source). Stages that can be made for today have one
day more. That the two definitions differ also keeps the layers of a backfill apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

import dagster as dg

from assets.home import home_folder
from rec_platform.errors import MissingInput
from rec_platform.flow import Platform
from rec_platform.partition import UNKNOWN_COUNTRY

#: What an empty home shows: one day that is never delivered, so that the graph can be looked at.
_NOTHING: Final = date(2025, 1, 1)


@dataclass(frozen=True)
class Universe:
    """The days and countries of a deployment."""

    first: date
    last: date
    live: bool
    countries: tuple[str, ...]

    @classmethod
    def of(cls, platform: Platform) -> Universe:
        try:
            index, live = platform.index, platform.mapping.source.live
            return cls(index.first_day, index.last_day, live, index.countries)
        except MissingInput:
            return cls(_NOTHING, _NOTHING, False, platform.settings.countries or (UNKNOWN_COUNTRY,))

    @cached_property
    def days(self) -> dg.DailyPartitionsDefinition:
        """Delivered days."""
        return self._daily(0)

    @cached_property
    def days_and_today(self) -> dg.DailyPartitionsDefinition:
        """Delivered days and the one after: features, models and lists that need no play of their own day."""
        return self._daily(1)

    def _daily(self, more: int) -> dg.DailyPartitionsDefinition:
        end = None if self.live else (self.last + timedelta(days=1 + more)).isoformat()
        return dg.DailyPartitionsDefinition(
            start_date=self.first.isoformat(), end_date=end, end_offset=more if self.live else 0, timezone="UTC"
        )

    @cached_property
    def places(self) -> dg.StaticPartitionsDefinition:
        return dg.StaticPartitionsDefinition(list(self.countries))

    @cached_property
    def cells(self) -> dg.MultiPartitionsDefinition:
        """date x country; a key reads FR|2025-01-01."""
        return dg.MultiPartitionsDefinition({"date": self.days, "country": self.places})

    @cached_property
    def cells_and_today(self) -> dg.MultiPartitionsDefinition:
        return dg.MultiPartitionsDefinition({"date": self.days_and_today, "country": self.places})


UNIVERSE: Final = Universe.of(Platform(home_folder()))

#: The same date and country.
SAME: Final = dg.IdentityPartitionMapping()
#: The same date, where one side has no country.
SAME_DATE: Final = dg.MultiToSingleDimensionPartitionMapping("date")
#: Everything of the stage before: what looks back over other days, or across countries, starts a new layer.
LAYER: Final = dg.AllPartitionMapping()


def same_date_and_country() -> dg.MultiPartitionMapping:
    """The same date and country, between definitions of which one has today."""
    return dg.MultiPartitionMapping(
        {
            name: dg.DimensionPartitionMapping(name, mapping)
            for name, mapping in (("date", dg.TimeWindowPartitionMapping()), ("country", dg.IdentityPartitionMapping()))
        }
    )
