"""Numbers and names in sentences."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """So many of something.

    >>> counted(1, "context"), counted(1024, "context")
    ('1 context', '1,024 contexts')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def measured(number: float, unit: str) -> str:
    """A number with its unit, which is written in the plural; a unit that begins with no plural stays as it is.

    >>> measured(1.0, "contexts with both labels"), measured(0.5, "rows"), measured(1.0, "times the median")
    ('1 context with both labels', '0.5 rows', '1 times the median')
    """
    head, space, rest = unit.partition(" ")
    if number == 1 and head.isalpha() and head.endswith("s") and head != "times":
        head = head.removesuffix("s")
    return f"{number:g} {head}{space}{rest}"
