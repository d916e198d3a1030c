"""What one check says of one partition."""

from __future__ import annotations

from collections.abc import Iterable
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
        cpu_seconds: processor time of judging by this check, all partitions of the call together. A pass that measures several
            checks (one query over a table) counts for each alike, so the checks of a call add up to what it took.
    """

    check: str
    table: str
    partition: str
    passed: bool
    blocking: bool
    observed: str
    expected: str
    cpu_seconds: float = 0.0


def cost(results: Iterable[CheckResult]) -> dict[str, dict[str, float]]:
    """What checks cost in CPU-seconds: table -> check."""
    found: dict[str, dict[str, float]] = {}
    for one in results:
        found.setdefault(one.table, {})[one.check] = one.cpu_seconds
    return found
