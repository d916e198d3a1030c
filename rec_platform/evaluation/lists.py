"""The lists that models show: the first places of each context, with the groups of equal scores in them.

Equal scores are ordered by a seeded hash of (context, title), the one that scoring keeps each model's best by, since a list
that is shown has one order. Numbers linear in the titles or in pairs of titles are expectations over the orders of equal
scores among the places kept: a title of a group of s that has d places inside the first k stands there with probability
d/s, and two of them together with d(d - 1)/(s(s - 1)). A group that reaches past the last place kept is represented by
the members the hash put first, a simple random sample of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation.scored import CEILING, RANDOM, candidates, ranked_before, score_of
from rec_platform.evaluation.tallies import distinct
from rec_platform.evaluation.ties import Bools, Floats, Ints
from rec_platform.scoring.ranking import tie_words

#: Amounts (context, cell) held at a time where lists are summed by genre.
CELLS: Final = 2**22


@dataclass(frozen=True)
class Lists:
    """What one model shows in n contexts, L places each.

    Attributes:
        titles: int64, ascending: every title in the block.
        code: int64 of shape (n, L): the position in `titles` of the title in each place; -1 past a list's end.
        first, last: int64 of shape (n, L): each place's group of equal scores has the places [first, last), from 0.
        length: int64, n values: places filled.
        size: int64, n values: the size of the candidate set.
    """

    titles: Ints
    code: Ints
    first: Ints
    last: Ints
    length: Ints
    size: Ints

    def shown(self, k: int) -> tuple[Ints, Ints]:
        """The context and the title of each of the first k places, in the seeded order."""
        context, place = np.nonzero(self.code[:, :k] >= 0)
        return context, self.titles[self.code[context, place]]

    def border(self, k: int) -> tuple[Ints, Ints, Ints]:
        """Per context: places certainly inside the first k, the end of the group that k cuts, its places inside."""
        inside = np.minimum(self.length, k)
        row = np.arange(len(inside))
        place = np.maximum(inside - 1, 0)
        last = np.where(inside > 0, self.last[row, place], 0) if self.code.shape[1] else inside
        cut = last > inside
        first = np.where(cut, self.first[row, place], inside) if self.code.shape[1] else inside
        return first, np.where(cut, last, inside), inside - first

    def chance(self, k: int) -> Floats:
        """The probability that each place's title is in the first k: float64 of shape (n, L)."""
        first, last, drawn = self.border(k)
        place = np.arange(self.code.shape[1])
        share = np.divide(drawn, last - first, out=np.zeros(len(first)), where=last > first)
        return np.where(place < first[:, None], 1.0, np.where(place < last[:, None], share[:, None], 0.0))

    def mean(self, values: Floats, k: int) -> Floats:
        """The mean over the first k places of a value per title of `titles`; 0 for an empty list."""
        if not len(self.titles):
            return np.zeros(len(self.length))
        sums = (self.chance(k) * np.where(self.code >= 0, values[self.code], 0.0)).sum(axis=1)
        inside = np.minimum(self.length, k)
        return np.asarray(np.divide(sums, inside, out=np.zeros(len(sums)), where=inside > 0))

    def sums(self, pairs: tuple[Ints, Ints], amount: Floats, width: int, first: Ints, last: Ints) -> Floats:
        """Per context the sum over its places [first, last) of each title's vector: float64 of shape (n, width).

        Args:
            pairs: (position in `titles`, coordinate) of each non-zero, by position.
            amount: its value.
        """
        titles, coordinate = pairs
        offsets = np.append(0, np.cumsum(np.bincount(titles, minlength=len(self.titles))))
        out = np.zeros((len(self.length), width))
        step = max(CELLS // max(width, 1), 1)
        places = np.arange(self.code.shape[1])
        for start in range(0, len(out), step):
            own = slice(start, start + step)
            inside = (places >= first[own, None]) & (places < last[own, None])
            context, _ = np.nonzero(inside)
            code = self.code[own][inside]
            lengths = offsets[code + 1] - offsets[code]
            rows = np.repeat(offsets[code] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
            cell = np.repeat(context, lengths) * width + coordinate[rows]
            block = out[own]
            block += np.bincount(cell, weights=amount[rows], minlength=block.size).reshape(block.shape)
        return out


class Order:
    """One frame's candidates in the seeded order, from which each model's lists are made.

    Args:
        longest: places kept, L.
        seed: of the order among equal scores.
    """

    def __init__(self, frame: Frame, longest: int, seed: int) -> None:
        self._frame, self._longest = frame, longest
        titles = np.asarray(frame.item(c.TITLE), dtype=np.int64)
        self.titles, self._code = distinct(titles)
        rows = np.flatnonzero(candidates(frame))
        context = frame.context_of_item[rows]
        self.lengths = np.bincount(context, minlength=frame.n_contexts)
        self.rows = self._by_word(rows, tie_words(seed, _context_ids(frame)[context], titles[rows]))
        self.sizes = np.asarray(frame.context(c.N_CANDIDATES) if ranked_before(frame) else self.lengths, dtype=np.int64)
        self._check()

    def _check(self) -> None:
        short = np.flatnonzero(self.lengths < np.minimum(self.sizes, self._longest))
        if len(short):
            raise SchemaError(
                f"context {short[0]} holds {self.lengths[short[0]]} candidates, too few for a list of {self._longest}",
                place="frame given to evaluate", repair="Say with list_length how many of each model's best it keeps.",
            )  # fmt: skip

    def _inside(self) -> Bools:
        """Which places of a matrix with a row per context hold one of its candidates."""
        width = max(int(self.lengths.max(initial=0)), self._longest)
        return np.asarray(np.arange(width) < self.lengths[:, None])

    def _by_word(self, rows: Ints, words: npt.NDArray[np.uint64]) -> Ints:
        """Each context's rows by ascending word."""
        inside = self._inside()
        word, row = np.full(inside.shape, np.iinfo(np.uint64).max), np.zeros(inside.shape, dtype=np.int64)
        word[inside], row[inside] = words, rows
        return np.asarray(np.take_along_axis(row, np.argsort(word, axis=1), axis=1)[inside])

    def lists(self, model: str) -> Lists:
        """A model's lists; `random` is the seeded order itself, `ceiling` puts positives first, by falling label."""
        inside = self._inside()
        score = np.full(inside.shape, np.inf)
        score[inside] = -self._score(model)[self.rows]
        code = np.full(inside.shape, -1, dtype=np.int64)
        code[inside] = self._code[self.rows]
        best = np.argsort(score, axis=1, kind="stable")[:, : self._longest]
        score = np.take_along_axis(score, best, axis=1)
        first, last = _groups(score)
        length = np.minimum(self.lengths, self._longest)
        last = np.minimum(last, length[:, None])
        return Lists(self.titles, np.take_along_axis(code, best, axis=1), first, last, length, self.sizes)

    def _score(self, model: str) -> Floats:
        if model == RANDOM:
            return np.zeros(self._frame.n_items)
        if model == CEILING:
            return np.asarray(self._frame.item(c.LABEL), dtype=np.float64)
        return score_of(self._frame, model)


def drawn(frame: Frame) -> bool:
    """Whether the frame holds the lists of `random` and `ceiling`: full lists do, the stored form if it scored `random`."""
    return not ranked_before(frame) or RANDOM in frame.scores.column_names


def _groups(score: Floats) -> tuple[Ints, Ints]:
    """First place and end of each place's run of equal values, row by row."""
    n, width = score.shape
    if not width:
        return np.zeros((n, 0), dtype=np.int64), np.zeros((n, 0), dtype=np.int64)
    starts = np.ones((n, width), dtype=bool)
    starts[:, 1:] = score[:, 1:] != score[:, :-1]
    place = np.arange(width, dtype=np.int64)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.append(starts[:, 1:], np.ones((n, 1), dtype=bool), axis=1)
    last = np.minimum.accumulate(np.where(ends, place + 1, width)[:, ::-1], axis=1)[:, ::-1]
    return first, last


def _context_ids(frame: Frame) -> Ints:
    """What tells contexts apart in a draw, wherever they stand: their id, else their profile."""
    name = c.CONTEXT_ID if c.CONTEXT_ID in frame.contexts.column_names else c.PROFILE
    return np.asarray(frame.context(name), dtype=np.int64)
