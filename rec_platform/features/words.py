"""What the standard facts and features say of themselves. Words stand apart from what is computed: no digest covers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rec_platform.wording import counted

#: What is counted or summed of plays.
MEASURED: Final[Mapping[str, str]] = {
    "plays": "plays", "watched_ms": "milliseconds watched in plays", "engaged_plays": "engaged plays",
}  # fmt: skip
_WHOSE: Final[Mapping[str, str]] = {
    "profile": "of the profile, in all countries",
    "country_title": "of the title in the context's country",
    "title": "of the title in all countries",
}


def over_days(what: str, scope: str, days: int) -> str:
    """What is measured of a scope's plays over a window.

    >>> over_days("plays", "title", 1)
    'plays of the title in all countries, over 1 day'
    """
    return f"{what} {_WHOSE[scope]}, over {counted(days, 'day')}"


def any_of(names: Sequence[str]) -> str:
    """
    >>> any_of(("tv", "console"))
    'tv or console'
    """
    return " or ".join(names)
