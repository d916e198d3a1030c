"""What a proof says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import process_time
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What was found of one subject: whether it holds, in words, and the rows behind the words."""

    passed: bool
    observed: str
    rows: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Proof:
    """One proof of one subject.

    Attributes:
        proof: its name: leak, replay, incremental, split, placebo.
        subject: what it was made of: a partition, an instant, a window of days.
        passed: whether it holds.
        observed: in words, with numbers; where it fails, the first thing that differs.
        cpu_seconds: processor time it took, all threads.
        rows: the numbers behind it, one mapping per row; all rows have the same keys.
    """

    proof: str
    subject: str
    passed: bool
    observed: str
    cpu_seconds: float
    rows: tuple[Mapping[str, Any], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def proven(proof: str, subject: str, find: Callable[[], Finding]) -> Proof:
    """The finding as a proof, with what it cost.

    >>> proven("leak", "2025-01-01", lambda: Finding(True, "nothing differs")).passed
    True
    """
    started = process_time()
    found = find()
    return Proof(proof, subject, found.passed, found.observed, round(process_time() - started, 3), found.rows)
