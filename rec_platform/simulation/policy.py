"""The logging policy: which titles a page showed, and with which probability.

Every slot of a page is filled by an independent draw from a mixture over lists: one list per genre (chosen by a blurred
picture of the profile's taste), all titles by exposure weight, and all titles alike. So the probability that the policy
showed title t in a given slot is known exactly:

    propensity(t | p, c, day) = sum over lists l of share(l | p, c, day) * weight(t, l) / total(l)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rec_platform.simulation.localtime import Ints
from rec_platform.simulation.truth import NEVER, Bools, Floats, Singles, Truth, freshness

#: Shares of the mixture: by genre, by exposure weight, uniform.
BY_TASTE, BY_POPULARITY, UNIFORM = 0.40, 0.45, 0.15
#: The policy sees taste blurred: genre g gets a share in proportion to exp(BLUR * taste[g]).
BLUR: Final = 0.7


@dataclass(frozen=True)
class Lists:
    """Which titles stand in which list: list l holds `titles[starts[l]:starts[l + 1]]`; the last two hold all."""

    titles: Ints
    starts: Ints

    @classmethod
    def of(cls, genres: Singles) -> Lists:
        of_genre = [np.flatnonzero(column) for column in genres.T]
        everything = np.arange(len(genres))
        members = [*of_genre, everything, everything]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in members])])
        return cls(np.concatenate(members).astype(np.int64), starts.astype(np.int64))


@dataclass(frozen=True)
class Days:
    """The policy's tables for a UTC day and the next (sessions run past midnight).

    A *scene* is a country on one of the two days, numbered day * countries + country; C countries, S = 2 C scenes.

    Attributes:
        first: the first of the two days.
        fresh: (S, titles) what freshness adds to utility.
        offered: (S, titles).
        weight: (S, titles) exposure weight, 0 where not offered.
        cumulative: (S * entries) running sums of list weights.
        before, total: (S, lists) where a list's running sum starts, and its total weight.
    """

    lists: Lists
    first: int
    fresh: Singles
    offered: Bools
    weight: Floats
    cumulative: Floats
    before: Floats
    total: Floats

    @classmethod
    def of(cls, truth: Truth, lists: Lists, day: int) -> Days:
        since = [truth.since(day), truth.since(day + 1)]
        fresh = np.vstack([freshness(since[0], day), freshness(since[1], day + 1)])
        offered = np.vstack(since) != NEVER
        weight = np.where(offered, np.exp(truth.titles.appeal.astype(np.float64) + fresh), 0.0)
        entries = weight[:, lists.titles]
        entries[:, lists.starts[-2] :] = offered
        cumulative = np.concatenate([[0.0], np.cumsum(entries)])
        edges = np.arange(len(weight))[:, None] * len(lists.titles) + lists.starts[None, :]
        bounds = cumulative[edges]
        return cls(lists, day, fresh, offered, weight, cumulative[1:], bounds[:, :-1], np.diff(bounds, axis=1))

    def shares(self, taste: Singles, scene: Ints) -> Floats:
        """(n, lists): the mixture of each of n contexts; genres without an offered title get nothing."""
        liked = np.exp(BLUR * taste.astype(np.float64)) * (self.total[scene, :-2] > 0)
        by_genre = BY_TASTE * liked / liked.sum(axis=1, keepdims=True)
        rest = np.broadcast_to([BY_POPULARITY, UNIFORM], (len(scene), 2))
        return np.hstack([by_genre, rest])

    def draw(self, shares: Floats, scene: Ints, slots: int, rng: np.random.Generator) -> Ints:
        """(n, slots) titles, each slot an independent draw."""
        which = _choose(np.cumsum(shares, axis=1), rng.random((len(scene), slots)))
        row = scene[:, None]
        total, before = self.total[row, which], self.before[row, which]
        target = np.minimum(before + rng.random((len(scene), slots)) * total, np.nextafter(before + total, 0))
        found = np.searchsorted(self.cumulative, target, side="right")
        return np.asarray(self.lists.titles[found - row * len(self.lists.titles)])

    def propensity(self, shares: Floats, scene: Ints, titles: Ints, genres: Singles) -> Floats:
        """(n, m): the probability of each of m titles in a slot of each of n contexts."""
        total = self.total[scene]
        per_weight = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        by_list = np.einsum("nmg,ng->nm", genres[titles] > 0, per_weight[:, :-2]) + per_weight[:, None, -2]
        return np.asarray(by_list * self.weight[scene[:, None], titles] + per_weight[:, None, -1])


def _choose(cumulative: Floats, draws: Floats) -> Ints:
    """(n, m): for each draw in [0, 1) the list whose share of the row's cumulative shares (n, lists) holds it."""
    which = np.zeros(draws.shape, dtype=np.int64)
    for column in cumulative[:, :-1].T:
        which += draws >= column[:, None]
    return which
