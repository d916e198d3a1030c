"""What a window of days needs, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from rec_platform.clock import days_between, usable_days
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused
from rec_platform.flow.index import Index
from rec_platform.partition import Partition


@dataclass(frozen=True)
class Window:
    """The days a run is asked for, and the countries from contexts on (ingest and facts cover all countries)."""

    first: date
    last: date
    countries: tuple[str, ...]

    @classmethod
    def checked(
        cls, index: Index, settings: Settings, first: date, last: date, countries: tuple[str, ...] = ()
    ) -> Window:
        """A window inside what was delivered (the day after the last is today); `KeyRefused` names what is not."""
        delivered = f"delivered are {index.first_day} to {index.last_day} for {', '.join(index.countries)}"
        today = index.last_day + timedelta(days=1)
        if first > last:
            raise KeyRefused(f"--from {first} is after --to {last}", place="window of days", repair="Swap them.")
        if first < index.first_day or last > today:
            raise KeyRefused(
                f"{first} to {last} reaches outside what was delivered", place="window of days",
                repair=f"Choose days from {index.first_day} to {today}; {delivered}.",
            )  # fmt: skip
        chosen = countries or settings.countries or index.countries
        strange = [country for country in chosen if country not in index.countries]
        if strange:
            raise KeyRefused(
                f"no plays of {', '.join(strange)}", place="countries",
                repair=f"Choose among those that were delivered: {', '.join(index.countries)}.",
            )  # fmt: skip
        return cls(first, last, tuple(sorted(set(chosen))))


def needed(stage: str, window: Window, index: Index, settings: Settings) -> list[Partition]:
    """The partitions of a stage that a window needs, those of earlier days that training reads among them."""
    return _NEEDED[stage](window, index, settings)


def _reference(_window: Window, _index: Index, _settings: Settings) -> list[Partition]:
    return [Partition()]


def _delivered(window: Window, index: Index, _settings: Settings) -> list[Partition]:
    """Every delivered cell, and all cells of the window's own days.

    Features look back over all of history, and labels forward over the horizon. A cell without a delivery is empty whether
    or not it is made; those of the window are, so that what a user asked for is all there to see.
    """
    cells = {Partition(day, place) for day, places in index.delivered.items() for place in places}
    asked = days_between(window.first, min(window.last, index.last_day))
    return sorted(cells | {Partition(day, place) for day in asked for place in index.countries})


def _snapshots(window: Window, index: Index, _settings: Settings) -> list[Partition]:
    return [Partition(day, place) for day in days_between(window.first, window.last) for place in index.countries]


def _training_first(window: Window, index: Index, settings: Settings) -> date:
    oldest = usable_days(window.first, settings.rankers.training_days, settings.labels.horizon_days)[0]
    return max(oldest, index.first_day)


def _candidates(window: Window, index: Index, settings: Settings) -> list[Partition]:
    return [Partition(day) for day in days_between(_training_first(window, index, settings), window.last)]


def _closed(window: Window, index: Index, settings: Settings) -> date:
    """The last day of the window whose label window is closed by what was delivered."""
    return min(window.last, index.last_day - timedelta(days=settings.labels.horizon_days - 1))


def _training(window: Window, index: Index, settings: Settings) -> list[Partition]:
    days = days_between(_training_first(window, index, settings), _closed(window, index, settings))
    return [Partition(day, place) for day in days for place in window.countries]


def _rankers(window: Window, _index: Index, _settings: Settings) -> list[Partition]:
    return [Partition(day) for day in days_between(window.first, window.last)]


def _scored(window: Window, index: Index, settings: Settings) -> list[Partition]:
    days = days_between(window.first, _closed(window, index, settings))
    return [Partition(day, place) for day in days for place in window.countries]


def _recommended(window: Window, _index: Index, _settings: Settings) -> list[Partition]:
    return [Partition(day, place) for day in days_between(window.first, window.last) for place in window.countries]


_NEEDED: Final[Mapping[str, Callable[[Window, Index, Settings], list[Partition]]]] = {
    "reference": _reference,
    "raw_plays": _delivered,
    "facts": _delivered,
    "feature_snapshots": _snapshots,
    "candidate_models": _candidates,
    "training_sets": _training,
    "ranker_models": _rankers,
    "scores": _scored,
    "metrics": _scored,
    "recommendations": _recommended,
}
