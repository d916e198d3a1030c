"""How much numbers would differ: what was published beside what it would be, per column, per partition, and summed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform.partition import Partition

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: What is shown besides what was published: the late plays alone, each as if it had come in time and all else as it was; or
#: all that is known now, which also has what was there but not known yet.
LATE: Final = "late plays"
NOW: Final = "all known now"
KINDS: Final = (LATE, NOW)
#: A model of the same plays, fitted by another seed.
SEED: Final = "another seed"


@dataclass(frozen=True)
class Change:
    """One feature, or one fact of a snapshot.

    Attributes:
        name: the column.
        values, changed: how many were compared, and how many differ; missing beside missing does not.
        groups: contexts (rows of a snapshot) that hold one that differs.
        numbers: of those changed, how many are numbers both times (the others came from missing or became it).
        largest, total: the largest and the sum of the absolute differences of these.
    """

    name: str
    values: int
    changed: int
    groups: int
    numbers: int
    largest: float
    total: float

    @property
    def share(self) -> float:
        """The share of values that differ."""
        return self.changed / max(self.values, 1)

    @property
    def mean(self) -> float | None:
        """The mean absolute difference of those that differ; None where no number became another."""
        return self.total / self.numbers if self.numbers else None

    def plus(self, other: Change) -> Change:
        """Both together."""
        return Change(
            self.name, self.values + other.values, self.changed + other.changed, self.groups + other.groups,
            self.numbers + other.numbers, max(self.largest, other.largest), self.total + other.total,
        )  # fmt: skip


def change(name: str, then: Floats, would_be: Floats, group: Ints) -> tuple[Change, Bools]:
    """The change of a column, and which of its values differ.

    Args:
        then, would_be: a value per item; NaN is missing.
        group: per item the row of its context.
    """
    differs = (then != would_be) & ~(np.isnan(then) & np.isnan(would_be))
    amounts = np.abs(would_be - then)[differs]
    amounts = amounts[~np.isnan(amounts)]
    found = Change(
        name, len(then), int(differs.sum()), len(np.unique(group[differs])), len(amounts),
        float(amounts.max(initial=0.0)), float(amounts.sum()),
    )  # fmt: skip
    return found, differs


def changes(columns: Iterable[tuple[str, Floats, Floats]], group: Ints) -> tuple[tuple[Change, ...], int]:
    """The changes of columns, each a name with its values then and what they would be; and how many groups hold one."""
    found, touched = list[Change](), np.zeros(len(group), dtype=np.bool_)
    for name, then, would_be in columns:
        one, differs = change(name, then, would_be, group)
        found.append(one)
        touched |= differs
    return tuple(found), len(np.unique(group[touched]))


@dataclass(frozen=True)
class Difference:
    """A partition beside what it would be.

    Attributes:
        table: whose numbers these are.
        kind: `LATE` or `NOW`; of models also `SEED`.
        compared, of: contexts (rows of a snapshot) looked at, and how many there are.
        changed: those looked at that hold a value that differs.
        changes: every column.
        added: rows of a snapshot that would be there besides.
        stale: whether the partition is not up to date, so that it differs for other reasons, too.
    """

    table: str
    partition: Partition
    kind: str
    compared: int
    of: int
    changed: int
    changes: tuple[Change, ...]
    added: int = 0
    stale: bool = False

    @property
    def share(self) -> float:
        """The share of values that differ."""
        return sum(one.changed for one in self.changes) / max(sum(one.values for one in self.changes), 1)


def summed(found: Iterable[Difference]) -> dict[str, Change]:
    """Every column over some partitions, by name."""
    merged: dict[str, Change] = {}
    for difference in found:
        for one in difference.changes:
            merged[one.name] = merged[one.name].plus(one) if one.name in merged else one
    return merged


def share_of_contexts(read: Mapping[Partition, int], found: Sequence[Difference]) -> float:
    """The share of the contexts of some partitions that hold a changed value; those not in `found` hold none.

    Args:
        read: each partition's contexts.
        found: differences of one kind; where not all contexts were looked at, their share stands for the partition's.
    """
    parts = [one.of * one.changed / one.compared for one in found if one.partition in read and one.compared]
    return sum(parts) / max(sum(read.values()), 1)
