"""What commands are asked and give: options as lists, rows, progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rec_platform.partition import checked_country

Row = dict[str, Any]
Progress = Callable[[str, float], None]


def names(text: str) -> list[str]:
    """A comma-separated option as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def countries(text: str) -> list[str]:
    """The countries of a comma-separated option; `KeyRefused` names one that is none."""
    return [checked_country(country, place="--countries") for country in names(text)]
