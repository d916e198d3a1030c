"""Whose local hours are those of UTC only because nobody declared a time zone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rec_platform.config import SourceRules
from rec_platform.timetravel.declared import Fact

#: Names in the sentence; those beyond are counted.
_NAMED: Final = 5


def undeclared_zones(facts: Iterable[Fact], countries: Iterable[str], rules: SourceRules) -> str:
    """A sentence on the countries without a declared time zone, and the facts that read a local clock; else an empty text."""
    without = sorted(country for country in countries if not rules.has_zone(country))
    reading = [fact.name for fact in facts if fact.by_local_clock]
    if not without or not reading:
        return ""
    return (
        f"local hours and weekdays of {_named(without)} are those of UTC: [rules.time_zones] of the "
        f"mapping has no zone for them; read by {_named(reading)}"
    )


def _named(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
