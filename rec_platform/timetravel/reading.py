"""Reading declared facts: filters and shares lowered onto what a timeline answers.

A filter picks the plays of a timeline of its own, which shares everything but its plays with the whole one; a share is
two facts and a division. What is left are the facts of facts.py, each computed once however often it is needed. Facts
without filters and shares pass straight through.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform.config import SourceRules
from rec_platform.timetravel.codes import Coded
from rec_platform.timetravel.declared import SHARE, Fact, filters_of, measures_of
from rec_platform.timetravel.facts import Countries, FactReader, Values
from rec_platform.timetravel.kernels import Int64
from rec_platform.timetravel.log import SUMMED, Plays
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.timeline import Timeline, countries_of


def timeline_of(
    plays: Plays,
    titles: pa.Table,
    profiles: pa.Table,
    availability: pa.Table,
    *,
    rules: SourceRules,
    facts: Sequence[Fact],
) -> Timeline:
    """The timeline that some facts can be read from: `Timeline.build` with the measures and subsets they need.

    Args:
        plays: a table or batches, with `PLAY_COLUMNS` of the timeline and `play_columns_of(facts)`.
        facts: those that will be asked for.
    """
    measures = (*SUMMED, *measures_of(facts))
    subsets = {one.text: one.bound(titles, rules) for one in filters_of(facts)}
    return Timeline.build(plays, titles, profiles, availability, rules=rules, measures=measures, subsets=subsets)


@dataclass(frozen=True)
class _Lowered:
    """A declared fact as what it is made of: its value, or its part and its whole. Facts without names and notes."""

    part: Fact
    whole: Fact | None = None

    @property
    def all(self) -> tuple[Fact, ...]:
        return (self.part,) if self.whole is None else (self.part, self.whole)


@lru_cache(maxsize=4096)
def _lowered(fact: Fact) -> _Lowered:
    if fact.measure != SHARE:
        return _Lowered(replace(fact, name="_", about=""))
    part = replace(fact, name="_", about="", measure="plays", of=None)
    return _Lowered(part, replace(part, entity=fact.of or fact.entity, where=None))


@lru_cache(maxsize=4096)
def _plain(fact: Fact, name: str) -> Fact:
    """A fact by a working name and without its filter."""
    return replace(fact, name=name, where=None)


@dataclass(frozen=True)
class _Chosen:
    """Facts that are wanted together: the working names of what each is made of, and all of these."""

    facts: dict[str, tuple[str, ...]]
    parts: frozenset[str]


class DeclaredReader:
    """Reads any declared facts of many batches of contexts; with the manners of `FactReader`, which does the work.

    Args:
        timeline: what is read; it must hold the facts' measures and subsets (`timeline_of`).
        facts: the facts wanted.
        countries: the countries that contexts will come from.
        beside: further facts, read after those: `meter` counts what only they cost.
    """

    def __init__(
        self, timeline: Timeline, facts: Sequence[Fact], countries: Sequence[str], *, beside: Sequence[Fact] = (),
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.facts = tuple(dict.fromkeys((*facts, *beside)))
        self._lowered = {fact.name: _lowered(fact) for fact in self.facts}
        own = {one for fact in facts for one in _lowered(fact).all}
        distinct = dict.fromkeys(one for lowered in self._lowered.values() for one in lowered.all)
        self._names = {one: f"fact_{position}" for position, one in enumerate(distinct)}
        metered = {name for one, name in self._names.items() if one not in own}
        self._parts = {name: tuple(self._names[one] for one in lowered.all) for name, lowered in self._lowered.items()}
        self._chosen: dict[frozenset[str] | None, _Chosen] = {}
        self._readers = [
            FactReader(
                timeline.subset(where) if where else timeline, self._of(where), countries, metered=metered, meter=meter
            )
            for where in dict.fromkeys(one.where for one in distinct)
        ]

    def _of(self, where: str | None) -> list[Fact]:
        """The facts of one filter, by their working names and without it."""
        return [_plain(one, name) for one, name in self._names.items() if one.where == where]

    @property
    def days_kept(self) -> int:
        """For how many days the ticks are kept at once."""
        return min((reader.days_kept for reader in self._readers), default=1)

    def prepare(self, at: npt.ArrayLike) -> None:
        """As `FactReader.prepare`."""
        for reader in self._readers:
            reader.prepare(at)

    def read(
        self,
        *,
        profile_id: npt.ArrayLike | Coded,
        country: Countries,
        at: npt.ArrayLike,
        offsets: npt.ArrayLike,
        title_id: npt.ArrayLike | Coded,
        only: Collection[str] | None = None,
    ) -> dict[str, Values]:
        """As `FactReader.read`: each fact's values, by name."""
        chosen = self._choose(None if only is None else frozenset(only))
        found: dict[str, Values] = {}
        for reader in self._readers:
            found |= reader.read(
                profile_id=profile_id, country=country, at=at, offsets=offsets, title_id=title_id, only=chosen.parts
            )
        bounds = np.asarray(offsets, dtype=np.int64)
        return {
            name: found[parts[0]] if len(parts) == 1 else self._share(self._lowered[name], parts, found, bounds)
            for name, parts in chosen.facts.items()
        }

    def _choose(self, only: frozenset[str] | None) -> _Chosen:
        """The facts of some names, worked out once for each choice."""
        if only not in self._chosen:
            facts = {name: parts for name, parts in self._parts.items() if only is None or name in only}
            self._chosen[only] = _Chosen(facts, frozenset(name for parts in facts.values() for name in parts))
        return self._chosen[only]

    @staticmethod
    def _share(lowered: _Lowered, parts: tuple[str, ...], found: dict[str, Values], bounds: Int64) -> Values:
        part = found[parts[0]]
        whole: Values = found[parts[1]]
        if lowered.whole is not None and lowered.part.level != lowered.whole.level:
            whole = cast(Values, np.repeat(whole, bounds[1:] - bounds[:-1]))
        return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def compute(
    timeline: Timeline,
    facts: Sequence[Fact],
    *,
    profile_id: npt.ArrayLike,
    country: Sequence[str] | npt.NDArray[np.generic],
    at: npt.ArrayLike,
    offsets: npt.ArrayLike,
    title_id: npt.ArrayLike,
) -> dict[str, Values]:
    """Each declared fact's values, by name: n for facts of contexts, m for facts of items.

    Args:
        timeline: one that holds the facts' measures and subsets (`timeline_of`).
        profile_id, country, at: n contexts: who, where, and the instant (int64 microseconds).
        offsets: n + 1; the items of context i are title_id[offsets[i]:offsets[i + 1]].
        title_id: m items.

    Returns:
        float64 for sums, counts, shares and runtimes, int64 for instants (`NONE` where there is none). Ids nobody
        knows have no past.
    """
    reader = DeclaredReader(timeline, facts, countries_of(country))
    return reader.read(profile_id=profile_id, country=country, at=at, offsets=offsets, title_id=title_id)
