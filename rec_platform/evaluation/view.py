"""What a metric can see of one model in a block of contexts; each part is made when first asked for.

    groups     tie groups of the positives: all that a rank metric needs; always there
    lists      what the model shows: the first places, by score
    chances    probabilities of the candidates, for models that give them
    titles     plays and genres of titles as of the day             (of `Knowledge`)
    tastes     what the profiles of the contexts played before      (of `Knowledge`)
    pages      where on the page stood what was watched, in the frame's items (`pages`)

A metric or accumulator names in `needs` what it reads besides `groups`; where that is missing it has no rows.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation.chances import Chances, chances
from rec_platform.evaluation.knowledge import Knowledge, Tastes, TitleFacts
from rec_platform.evaluation.lists import Lists, Order, drawn
from rec_platform.evaluation.scored import Scored
from rec_platform.evaluation.ties import Bools, Floats, Ints, TieGroups, Truth, tie_groups

LISTS: Final = "lists"
CHANCES: Final = "chances"
PLAYS: Final = "plays"
GENRES: Final = "genres"
TASTES: Final = "tastes"
PAGES: Final = "pages"
#: The model whose lists count as expected is among those evaluated.
EXPECTED: Final = "expected"


def offered(frame: Frame, model: str, models: tuple[str, ...], knowledge: Knowledge) -> frozenset[str]:
    """What a model's views of frames like this one can show."""
    titles = knowledge.titles
    there = {
        LISTS: model in models or drawn(frame),
        CHANCES: model in knowledge.scales,
        PLAYS: titles is not None and titles.plays is not None,
        GENRES: titles is not None and len(titles.names) > 1,
        TASTES: knowledge.tastes is not None,
        PAGES: c.POSITION in frame.items.column_names,
        EXPECTED: knowledge.expected in models,
    }
    return frozenset(name for name, given in there.items() if given)


class Block:
    """Some contexts, and what all models' views of them share.

    Args:
        longest: places kept of each list, and of each model's best in the stored form.
        seed: of the order among equal scores.
    """

    def __init__(self, frame: Frame, scored: Scored, knowledge: Knowledge, *, longest: int, seed: int) -> None:
        self.frame, self.scored, self.knowledge = frame, scored, knowledge
        self.longest, self._seed = longest, seed
        self._chances: dict[tuple[str, int], Floats] = {}

    @cached_property
    def order(self) -> Order:
        return Order(self.frame, self.longest, self._seed)

    @cached_property
    def taste(self) -> Ints:
        """The row of `tastes` of each context's profile, -1 for one without a play: int64, n values."""
        profile = np.asarray(self.frame.context(c.PROFILE), dtype=np.int64)
        known = self.knowledge.tastes
        return np.full(len(profile), -1, dtype=np.int64) if known is None else known.rows(profile)

    @cached_property
    def popularity(self) -> Floats:
        """Of each of the titles that lists can show (`Lists.titles`)."""
        return self.facts.popularity(self.order.titles)

    @cached_property
    def genres(self) -> tuple[Ints, Ints]:
        """Pairs (position in `Lists.titles`, genre)."""
        return self.facts.genres(self.order.titles)

    @property
    def facts(self) -> TitleFacts:
        if self.knowledge.titles is None:
            raise _missing("titles")
        return self.knowledge.titles

    @property
    def has_taste(self) -> Bools:
        return np.asarray(self.taste >= 0)

    def chance(self, model: str, k: int) -> Floats:
        """`View.chance`; kept where it is the model that all others are compared with."""
        if (model, k) in self._chances:
            return self._chances[model, k]
        above, equal = self.scored.ranks[model]
        inside = np.clip(k - above, 0, equal + 1) / np.maximum(equal + 1, 1)
        found = np.where(self.scored.truth.reachable, inside, 0.0)
        if model == self.knowledge.expected:
            self._chances[model, k] = found
        return found

    def only(self, keep: Bools) -> Block:
        """With positives not kept leaving the lists; only ranks may be read of it."""
        return Block(self.frame, self.scored.only(keep), self.knowledge, longest=self.longest, seed=self._seed)


class View:
    """One model in one block."""

    def __init__(self, block: Block, model: str) -> None:
        self.block, self.model = block, model

    @property
    def truth(self) -> Truth:
        return self.block.scored.truth

    @cached_property
    def groups(self) -> TieGroups:
        return tie_groups(self.truth, *self.block.scored.ranks[self.model])

    @cached_property
    def lists(self) -> Lists:
        return self.block.order.lists(self.model)

    @cached_property
    def chances(self) -> Chances:
        block = self.block
        scale = block.knowledge.scales[self.model]
        return chances(block.frame, block.order, self.model, scale, block.longest)

    @property
    def titles(self) -> TitleFacts:
        return self.block.facts

    @property
    def tastes(self) -> Tastes:
        if self.block.knowledge.tastes is None:
            raise _missing("tastes")
        return self.block.knowledge.tastes

    def chance(self, k: int, model: str | None = None) -> Floats:
        """The probability that each positive is in the first k of this (or another) model's list: P values."""
        return self.block.chance(model or self.model, k)


def _missing(what: str) -> SchemaError:
    return SchemaError(
        f"{what} are not known", place="a metric's view", repair=f"Name what it reads in `needs`, and give {what}."
    )
