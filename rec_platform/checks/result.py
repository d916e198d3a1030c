"""What one check says of one partition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckResult:
    """One check on one partition of one table.

    Attributes:
        check: the check's stable name (docs/checks.md has a paragraph for each).
        table, partition: what was judged; `partition` is a key such as `FR|2025-01-01`.
        passed: whether the partition holds to it.
        blocking: whether a partition that fails it stays unpublished; otherwise it is a warning.
        observed, expected: in words, with numbers.
    """

    check: str
    table: str
    partition: str
    passed: bool
    blocking: bool
    observed: str
    expected: str
