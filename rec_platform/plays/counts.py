"""The reconciliation: delivered = accepted + duplicates + quarantined by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rec_platform.errors import SourceError


@dataclass(frozen=True)
class Counts:
    """How many rows went where. Counts add up over partitions, files and calls.

    Attributes:
        delivered: rows landed.
        accepted: rows that became plays (or shown titles).
        duplicates: rows left out because an equal one stays.
        quarantined: rows refused, by the first rule each broke.
        hits: rows that break a rule, whether or not an earlier one refused them (rules overlap).
        known_at_raised: accepted rows whose `known_at` lay before the end of the play and was raised to it.
    """

    delivered: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    hits: Mapping[str, int] = field(default_factory=dict)
    known_at_raised: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.delivered + other.delivered,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            _sum(self.quarantined, other.quarantined),
            _sum(self.hits, other.hits),
            self.known_at_raised + other.known_at_raised,
        )

    @property
    def refused(self) -> int:
        return sum(self.quarantined.values())

    def balanced(self, *, place: str) -> Counts:
        """Itself; `SourceError` if a row is unaccounted for (a fault of the program, never of the data)."""
        if self.delivered != self.accepted + self.duplicates + self.refused:
            raise SourceError(
                f"delivered {self.delivered} is not accepted {self.accepted} + duplicates {self.duplicates} "
                f"+ quarantined {self.refused}",
                place=place,
                repair="Please report this: no data should be able to cause it.",
            )
        return self

    def to_json(self) -> dict[str, Any]:
        return {
            "delivered": self.delivered,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "quarantined": dict(self.quarantined),
            "hits": dict(self.hits),
            "known_at_raised": self.known_at_raised,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Counts:
        return cls(**{name: body[name] for name in cls.__dataclass_fields__})


def total(counts: Iterable[Counts]) -> Counts:
    """
    >>> total([Counts(2, 1, 1), Counts(3, 2, 0, {"missing_id": 1})]).delivered
    5
    """
    whole = Counts()
    for one in counts:
        whole = whole + one
    return whole


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Sums per rule, in the order rules were first named; rules that nothing broke are left out."""
    names = dict.fromkeys([*one, *other])
    return {name: one.get(name, 0) + other.get(name, 0) for name in names}
