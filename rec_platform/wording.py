"""Numbers and names in sentences."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """So many of something.

    >>> counted(1, "context"), counted(1024, "context")
    ('1 context', '1,024 contexts')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
