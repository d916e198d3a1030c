"""Candidate sets: what could have been recommended in a context.

The candidate set of a context is the titles available in its country at its instant, as known then, without those that
the source's seen rule takes out: none (`keep`), every title the profile has a visible play of (`drop`), or those whose
last visible play began in [at - days, at) (`drop_within_days`). The same object serves negatives, scores, metrics and
recommendations, so they can never disagree about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SeenRule
from rec_platform.contexts.segments import Ints, Mask, offsets_of, ranges, run_starts
from rec_platform.dmc12.frame import Frame
from rec_platform.timetravel.timeline import Timeline

Countries = npt.NDArray[np.generic]

#: How many candidates a run may hold when the caller does not say: about 100 MB while it is made.
MAX_ITEMS = 2_000_000


@dataclass(frozen=True)
class CandidateSets:
    """Candidate sets by one timeline and one seen rule. Holds no state: every answer is made from the timeline anew."""

    timeline: Timeline
    seen: SeenRule

    def chunks(self, frame: Frame, max_items: int = MAX_ITEMS) -> Iterator[tuple[slice, Ints, Ints]]:
        """The candidate sets of a frame's contexts, a run of contexts at a time: (slice, offsets, title ids).

        A run holds at most `max_items` available titles, but at least one context. Offsets begin at 0 in every run.
        """
        profile, country, at = frame.context(c.PROFILE), frame.context(c.COUNTRY), frame.context(c.AT)
        base, which = self._bases(country, at)
        for run in _runs(np.array([len(titles) for titles in base], dtype=np.int64)[which], max_items):
            yield run, *self._cut(base, which[run], profile[run], at[run])

    def _bases(self, country: Countries, at: Ints) -> tuple[list[Ints], Ints]:
        """The distinct sets of available titles among the contexts, and which of them each context has."""
        place = np.unique(country.astype(str), return_inverse=True)[1]
        order = np.lexsort((at, place))
        bases: list[Ints] = []
        which = np.empty(len(at), dtype=np.int64)
        starts = np.flatnonzero(run_starts(place[order], at[order]))
        for rows in np.split(order, starts[1:]) if len(order) else []:
            titles = self.timeline.available(str(country[rows[0]]), int(at[rows[0]]))
            if not bases or not np.array_equal(bases[-1], titles):
                bases.append(titles)
            which[rows] = len(bases) - 1
        return bases, which

    def _cut(self, bases: list[Ints], which: Ints, profile_id: Ints, at: Ints) -> tuple[Ints, Ints]:
        lengths = np.array([len(titles) for titles in bases], dtype=np.int64)
        flat, base_offsets = np.concatenate([np.empty(0, np.int64), *bases]), offsets_of(lengths)
        rows = ranges(base_offsets[which], lengths[which])
        offsets = offsets_of(lengths[which])
        keep = self._unseen(flat, base_offsets, which, offsets, profile_id, at)
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        return kept_before[offsets].astype(np.int64), flat[rows[keep]]

    def _unseen(self, flat: Ints, base_offsets: Ints, which: Ints, offsets: Ints, profile_id: Ints, at: Ints) -> Mask:
        """For every available title of every context, whether the seen rule leaves it in."""
        keep = np.ones(offsets[-1], dtype=np.bool_)
        if self.seen.kind == "keep":
            return keep
        context, title = self._taken_out(profile_id, at)
        for base in np.unique(which):
            mine = which[context] == base
            titles = flat[base_offsets[base] : base_offsets[base + 1]]
            position = np.searchsorted(titles, title[mine])
            there = position < len(titles)
            there[there] = titles[position[there]] == title[mine][there]
            keep[offsets[context[mine][there]] + position[there]] = False
        return keep

    def _taken_out(self, profile_id: Ints, at: Ints) -> tuple[Ints, Ints]:
        """The pairs (context row, title) that the seen rule takes out."""
        offsets, titles, last_played_at = self.timeline.seen(profile_id, at)
        context = np.repeat(np.arange(len(at), dtype=np.int64), np.diff(offsets))
        if self.seen.kind == "drop":
            return context, titles
        recent = last_played_at >= at[context] - self.seen.days * DAY
        return context[recent], titles[recent]


def _runs(sizes: Ints, max_items: int) -> Iterator[slice]:
    """Consecutive runs whose sizes add up to at most `max_items`, each with at least one context.

    >>> [(run.start, run.stop) for run in _runs(np.array([3, 3, 9, 1]), 6)]
    [(0, 2), (2, 3), (3, 4)]
    """
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + max_items, side="right")))
        yield slice(start, stop)
        start = stop
