"""What a proof says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import process_time
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What was found of one subject: whether it holds, in words, and the rows behind the words; as of `Proof`."""

    passed: bool
    observed: str
    rows: tuple[Mapping[str, Any], ...] = ()
    judged: bool = True
    drawn: int = 0
    drawn_of: int = 0


def not_judged(why: str, rows: tuple[Mapping[str, Any], ...] = ()) -> Finding:
    """Nothing was there to judge by: no proof of anything, and no failure."""
    return Finding(True, f"not judged: {why}", rows, judged=False)


@dataclass(frozen=True)
class Proof:
    """One proof of one subject.

    Attributes:
        proof: its name: leak, replay, incremental, split, placebo.
        subject: what it was made of: a partition, an instant, a window of days.
        passed: whether nothing was found against it.
        observed: in words, with numbers; where it fails, the first thing that differs.
        cpu_seconds: processor time it took, all threads.
        rows: the numbers behind it, one mapping per row; all rows have the same keys.
        judged: whether there was enough to judge by; if not, it passes and proves nothing.
        drawn, drawn_of: where it is a sample, how many were looked at (partitions, profiles and titles, titles), of how many;
            else 0.
    """

    proof: str
    subject: str
    passed: bool
    observed: str
    cpu_seconds: float
    rows: tuple[Mapping[str, Any], ...] = field(default=())
    judged: bool = True
    drawn: int = 0
    drawn_of: int = 0

    @property
    def verdict(self) -> str:
        return "FAILS" if not self.passed else "holds" if self.judged else "not judged"

    def to_json(self) -> dict[str, Any]:
        """Its attributes; what was not measured is None, since JSON has no NaN."""
        rows = [{name: None if value != value else value for name, value in row.items()} for row in self.rows]
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"rows": rows}


def proven(proof: str, subject: str, find: Callable[[], Finding]) -> Proof:
    """The finding as a proof, with what it cost.

    >>> proven("leak", "2025-01-01", lambda: Finding(True, "nothing differs")).passed
    True
    """
    started = process_time()
    found = find()
    seconds = round(process_time() - started, 3)
    return Proof(proof, subject, found.passed, found.observed, seconds, *found[2:])
