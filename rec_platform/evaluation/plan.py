"""What `evaluate` was asked for: which numbers of which model, and what each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np

from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.kinds import depends_on_kind
from rec_platform.evaluation.knowledge import Knowledge
from rec_platform.evaluation.metrics import Metric, Population
from rec_platform.evaluation.protocol import Evidence, Protocol
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.sums import MEAN, WEIGHT, Key
from rec_platform.evaluation.ties import Ints
from rec_platform.evaluation.view import EXPECTED, LISTS

#: The estimands: a mean over contexts, or over profiles of each profile's mean.
CONTEXT, PROFILE = "context", "profile"
#: The models that are always there.
EXACT: Final = (RANDOM, CEILING)


#: A key of a tuple of its fields: `Key._make` in half of the time, which thousands of rows of every partition feel.
_key = partial(tuple.__new__, Key)


@dataclass(frozen=True)
class Column:
    """A number per context."""

    model: str
    metric: Metric
    k: int


@dataclass(frozen=True)
class Plan:
    """What `evaluate` was asked for; `suffix` ends every metric's name.

    The first `by_item` of the columns are worked out in item slices too. The very first ones, model by model the same
    `wanted`, depend on kinds of tie groups alone.
    """

    models: tuple[str, ...]
    columns: tuple[Column, ...]
    by_item: int
    counted: tuple[tuple[str, Accumulator, int], ...]
    knowledge: Knowledge
    list_length: int
    slices: Slices
    replicates: int
    seed: int
    protocol: Protocol
    evidence: Evidence
    estimand: str
    suffix: str

    @property
    def everyone(self) -> tuple[str, ...]:
        """All models, those that are always there first."""
        return (*EXACT, *self.models)

    @cached_property
    def wanted(self) -> tuple[tuple[Metric, int], ...]:
        """What depends on kinds of tie groups: the same of every model."""
        mine = (one for one in self.columns if one.model == RANDOM)
        return tuple((one.metric, one.k) for one in mine if depends_on_kind(one.metric))

    @cached_property
    def populations(self) -> tuple[str, ...]:
        """What there are denominators of."""
        names = {one.metric.counted_in for one in self.columns} | {one.counted_in for _, one, _ in self.counted}
        return tuple(sorted({*names, Population.ANY.value}))

    @cached_property
    def population(self) -> Ints:
        """The position in `populations` of each column's: int64."""
        return np.array([self.populations.index(one.metric.counted_in) for one in self.columns], dtype=np.int64)

    def keys(self, where: tuple[str, str], columns: int) -> tuple[list[Key], list[int], list[int]]:
        """Keys of one slice value's rows, denominators then numerators; the population of each, and its column.

        Args:
            where: slice and value.
            columns: how many of the columns it has; those of the populations follow them.
        """
        of, used = (self.protocol.kind, self.estimand), self.population[:columns].tolist()
        below = [
            (*of, model, "", 0, *where, WEIGHT, population)
            for model, population in (self._weighed_all if columns == len(self.columns) else self._weighed_in_items)
        ]
        above = [
            (*of, *name, *where, MEAN, self.populations[one]) for name, one in zip(self._names, used, strict=False)
        ]
        places = [self.populations.index(key[-1]) for key in below]
        return (
            list(map(_key, below + above)),
            places + used,
            [columns + place for place in places] + list(range(columns)),
        )

    @cached_property
    def _names(self) -> list[tuple[str, str, int]]:
        """Model, metric and cut-off of each column."""
        return [(one.model, one.metric.name + self.suffix, one.k) for one in self.columns]

    @cached_property
    def _weighed_in_items(self) -> set[tuple[str, str]]:
        """Model and population of every denominator in a value of an item slice."""
        mine = zip(self.columns[: self.by_item], self.population.tolist(), strict=False)
        every = {(model, Population.ANY.value) for model in self.everyone}
        return every | {(one.model, self.populations[place]) for one, place in mine}

    @cached_property
    def _weighed_all(self) -> set[tuple[str, str]]:
        """The same in a value of a context slice."""
        mine = zip(self.columns, self.population.tolist(), strict=True)
        counted = {(model, one.counted_in) for model, one, _ in self.counted}
        return self._weighed_in_items | counted | {(one.model, self.populations[place]) for one, place in mine}


def columns_of(
    there: Mapping[str, frozenset[str]], metrics: tuple[Metric, ...], cutoffs: tuple[int, ...], list_length: int
) -> tuple[tuple[Column, ...], int]:
    """A column per model, metric and cut-off whose needs are there, those that item slices have first; and how many.

    The very first are those that depend on kinds of tie groups.

    Args:
        there: per model what its views show.
    """
    columns = [
        Column(model, one, k)
        for model, given in there.items()
        for one in metrics
        if given.issuperset(one.needs)
        for k in one.cutoffs(cutoffs)
        if LISTS not in one.needs or k <= list_length
    ]
    by_item = [one for one in columns if {EXPECTED}.issuperset(one.metric.needs)]
    by_item.sort(key=lambda one: not depends_on_kind(one.metric))
    rest = [one for one in columns if not {EXPECTED}.issuperset(one.metric.needs)]
    return (*by_item, *rest), len(by_item)


def counted_of(
    there: Mapping[str, frozenset[str]],
    accumulators: tuple[Accumulator, ...],
    cutoffs: tuple[int, ...],
    list_length: int,
) -> tuple[tuple[str, Accumulator, int], ...]:
    """Model, accumulator and cut-off of every tally."""
    return tuple(
        (model, one, k)
        for model, given in there.items()
        for one in accumulators
        if given.issuperset(one.needs)
        for k in one.cutoffs(cutoffs)
        if LISTS not in one.needs or k <= list_length
    )
