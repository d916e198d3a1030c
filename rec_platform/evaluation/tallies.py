"""Amounts by cell, as integers that merge: what is stored of numbers that are no mean over contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform.contexts.hashing import mix, seeded
from rec_platform.evaluation.ties import Bools, Floats, Ints

#: Profiles fall into so many hash groups; a number without each one in turn gives its interval.
GROUPS: Final = 20
#: Units of an amount: 2^-30, as of every sum.
ONE: Final = 2**30


@dataclass(frozen=True)
class Tally:
    """How much fell into each cell (a title, a rank, a bin of probability), per hash group of profiles.

    Attributes:
        ids: int64, P values, ascending: the cells hit.
        groups: int64, P values: bit g is set if a profile of hash group g hit the cell.
        weights: int64: for each cell, by ascending group, the amount of every group that hit it, in units of 2^-30.
        size: how many cells there could be; 0 if not known.
    """

    ids: Ints
    groups: Ints
    weights: Ints
    size: int = 0

    @cached_property
    def parts(self) -> tuple[Ints, Ints]:
        """The cell (row of `ids`) and the group of each of `weights`."""
        row, group = np.nonzero((self.groups[:, None] >> np.arange(GROUPS)) & 1)
        return row.astype(np.int64), group.astype(np.int64)

    @cached_property
    def totals(self) -> Floats:
        """The amount per cell: float64, P values."""
        return np.bincount(self.parts[0], weights=self.weights / ONE, minlength=len(self.ids)).astype(np.float64)

    @property
    def used(self) -> Bools:
        """Which hash groups of profiles hit anything: bool, GROUPS values."""
        return np.bincount(self.parts[1], minlength=GROUPS) > 0

    def without(self, group: int) -> Tally:
        """The tally of all other groups; itself where the group hit nothing."""
        row, groups = self.parts
        keep = groups != group
        if keep.all():
            return self
        left = self.groups & ~np.int64(1 << group)
        there = left != 0
        rest = Tally(self.ids[there], left[there], self.weights[keep], self.size)
        # Known without unpacking the bits again, which 20 readings of every row would do.
        rest.__dict__["parts"] = (np.cumsum(there) - 1)[row[keep]], groups[keep]
        return rest


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values, ascending, and each value's position among them.

    Values close to each other are marked in a row of flags; others are hashed, since most are repeated.
    """
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if most - least < len(values):
        there = np.zeros(most - least + 1, dtype=bool)
        there[values - least] = True
        return np.flatnonzero(there) + least, (np.cumsum(there) - 1)[values - least]
    encoded = pa.array(values).dictionary_encode()
    found = encoded.dictionary.to_numpy()
    order = np.argsort(found)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return found[order], place[encoded.indices.to_numpy()]


def group_of(profile_id: Ints, seed: int) -> Ints:
    """The hash group of each profile: the same in every date, country and model."""
    return np.asarray(mix(seeded(seed, purpose="group"), profile_id) % np.uint64(GROUPS), dtype=np.int64)


def tallied(ids: Ints, group: Ints, amount: Ints, size: int = 0) -> Tally:
    """The tally of amounts in units of 2^-30, each with its cell and group."""
    cells, row = distinct(ids)
    return _added_up(cells, row * GROUPS + group, amount, size)


def merged(tallies: Sequence[Tally]) -> Tally:
    """The tally of the contexts of all parts together."""
    ids, row = np.unique(np.concatenate([one.ids for one in tallies]), return_inverse=True)
    starts = np.cumsum([0, *(len(one.ids) for one in tallies)])
    code = [row[start + one.parts[0]] * GROUPS + one.parts[1] for one, start in zip(tallies, starts[:-1], strict=True)]
    amount = np.concatenate([one.weights for one in tallies])
    return _added_up(ids, np.concatenate(code), amount, max(one.size for one in tallies))


def _added_up(ids: Ints, code: Ints, amount: Ints, size: int) -> Tally:
    """Amounts by code = cell x GROUPS + group, exactly: in float64 while every partial sum is below 2^53."""
    width = len(ids) * GROUPS
    if float(np.abs(amount).astype(np.float64).sum()) < 2.0**53:
        sums = np.bincount(code, weights=amount, minlength=width).astype(np.int64)
    else:
        sums = np.zeros(width, dtype=np.int64)
        np.add.at(sums, code, amount)
    hit = np.zeros(width, dtype=bool)
    hit[code] = True
    bits = hit.reshape(len(ids), GROUPS) @ (1 << np.arange(GROUPS, dtype=np.int64))
    return Tally(ids, bits.astype(np.int64), sums[hit], size)
