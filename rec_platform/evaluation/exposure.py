"""What a model shows: the titles in its first k, counted so that partitions merge.

The lists are those of the scored contexts. Equal scores are ordered by a seeded hash of (context, title), the one that
scoring keeps each model's best by, since a list that is shown has one order. Coverage@k is the share of the catalogue that
stood in some list; the catalogue is the largest candidate set of any context (or the titles shown, where they are more),
so it is exact where one context could see everything, and otherwise at most too small.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation.scored import candidates, ranked_before, score_of, weights
from rec_platform.evaluation.sums import Exposure
from rec_platform.evaluation.ties import Bools, Ints
from rec_platform.scoring.ranking import tie_words

COVERAGE: Final = "coverage"
#: Profiles fall into so many hash groups; coverage without each one in turn gives its interval.
GROUPS: Final = 20
#: Units of an exposure weight.
ONE: Final = 2**20


class Lists:
    """The order in which one frame's models would show titles.

    Args:
        longest: the longest list asked for.
        seed: of the order among equal scores.
    """

    def __init__(self, frame: Frame, longest: int, seed: int) -> None:
        self._frame, self._longest = frame, longest
        titles = np.asarray(frame.item(c.TITLE), dtype=np.int64)
        self.titles, self._code = _coded(titles)
        rows = np.flatnonzero(candidates(frame))
        context = frame.context_of_item[rows]
        self._lengths = np.bincount(context, minlength=frame.n_contexts)
        self._rows = self._by_word(rows, tie_words(seed, _context_ids(frame)[context], titles[rows]))
        profile = np.asarray(frame.context(c.PROFILE), dtype=np.int64)
        self._group = (mix(seeded(seed, purpose="group"), profile) % np.uint64(GROUPS)).astype(np.int64)
        self._weight = np.rint(weights(frame) * ONE)
        self._sizes = np.asarray(frame.context(c.N_CANDIDATES)) if ranked_before(frame) else self._lengths
        self._check()

    def _check(self) -> None:
        short = np.flatnonzero(self._lengths < np.minimum(self._sizes, self._longest))
        if len(short):
            raise SchemaError(
                f"context {short[0]} holds {self._lengths[short[0]]} candidates, too few for a list of {self._longest}",
                place="frame given to evaluate", repair="Say with list_length how many of each model's best it keeps.",
            )  # fmt: skip

    def _inside(self) -> Bools:
        """Which places of a matrix with a row per context hold one of its candidates."""
        width = max(int(self._lengths.max(initial=0)), self._longest)
        return np.asarray(np.arange(width) < self._lengths[:, None])

    def _by_word(self, rows: Ints, words: npt.NDArray[np.uint64]) -> Ints:
        """Each context's rows by ascending word."""
        inside = self._inside()
        word, row = np.full(inside.shape, np.iinfo(np.uint64).max), np.zeros(inside.shape, dtype=np.int64)
        word[inside], row[inside] = words, rows
        return np.asarray(np.take_along_axis(row, np.argsort(word, axis=1), axis=1)[inside])

    def of(self, model: str) -> Ints:
        """The position in `titles` of what a model lists: int64 of shape (n, longest), -1 past a list's end."""
        inside = self._inside()
        score = np.full(inside.shape, np.inf)
        score[inside] = -score_of(self._frame, model)[self._rows]
        code = np.full(inside.shape, -1, dtype=np.int64)
        code[inside] = self._code[self._rows]
        best = np.argsort(score, axis=1, kind="stable")[:, : self._longest]
        return np.take_along_axis(code, best, axis=1)

    def exposure(self, listed: Ints, k: int, chosen: Ints) -> Exposure:
        """What the first k of the chosen contexts' lists show."""
        shown = listed[chosen, :k]
        row, _ = np.nonzero(shown >= 0)
        code = shown[shown >= 0]
        weight = np.bincount(code, weights=self._weight[chosen][row], minlength=len(self.titles)).astype(np.int64)
        seen = np.zeros((len(self.titles), GROUPS), dtype=np.int64)
        seen[code, self._group[chosen][row]] = 1
        there = np.flatnonzero(seen.any(axis=1))
        bits = seen[there] @ (1 << np.arange(GROUPS, dtype=np.int64))
        return Exposure(self.titles[there], weight[there], bits, int(self._sizes[chosen].max(initial=0)))


def _coded(titles: Ints) -> tuple[Ints, Ints]:
    """The distinct titles, ascending, and each title's position among them."""
    encoded = pa.array(titles).dictionary_encode()
    distinct = encoded.dictionary.to_numpy()
    order = np.argsort(distinct)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return distinct[order], place[encoded.indices.to_numpy()]


def _context_ids(frame: Frame) -> Ints:
    """What tells contexts apart in a draw, wherever they stand: their id, else their profile."""
    name = c.CONTEXT_ID if c.CONTEXT_ID in frame.contexts.column_names else c.PROFILE
    return np.asarray(frame.context(name), dtype=np.int64)


def coverage(exposure: Exposure) -> tuple[float, float]:
    """The share of the catalogue shown, and its standard error by leaving out each hash group of profiles in turn.

    The delete-a-group jackknife: (G - 1)/G times the sum of squared deviations of the G shares from their mean.
    """
    catalogue = max(exposure.catalogue, len(exposure.titles))
    if not catalogue:
        return float("nan"), float("nan")
    others = np.array([np.count_nonzero(exposure.groups & ~np.int64(1 << group)) for group in range(GROUPS)])
    variance = (GROUPS - 1) / GROUPS * ((others - others.mean()) ** 2).sum()
    return len(exposure.titles) / catalogue, math.sqrt(variance) / catalogue
