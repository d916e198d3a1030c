"""The negative generator: titles drawn from each context's candidate set beside those that were played.

For a context with candidate set C of n titles, k = min(`items`, n) titles are drawn from C without replacement, by a
mixture of uniform and popularity (plays in the country over 28 days as of the last tick, plus one for every title):

    q_i = (1 - popularity_share) / n + popularity_share * (plays_i + 1) / sum_j (plays_j + 1)
    pi_i = min(1, lambda * q_i), with lambda such that the pi_i add up to k

The draw is systematic sampling with probability proportional to size over a random order (Madow 1949; Hartley and Rao
1962): the titles stand in an order given by a hash of (seed, context, title), each as a segment of length pi_i; one
uniform start in [0, 1), then every whole step, k points in all, and the titles hit are drawn. So exactly k titles are
drawn and pi_i is the exact inclusion probability. Lengths are whole multiples of 2^-40, summed as integers, so
"exact" and "the same bytes" hold on every machine.

What is drawn does not depend on what is played in the label window: a drawn title that was played stands once, as the
played item it is, and one that was played but not known of at the cut is taken out. So a future play changes no
unplayed negative and no probability, and pi_i stays exact for those left.

Items are sorted by title id: their order says nothing of the label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.config import NegativeConfig
from rec_platform.contexts.candidates import MAX_ITEMS, CandidateSets
from rec_platform.contexts.hashing import Words, mix, seeded
from rec_platform.contexts.labels import without_unknown
from rec_platform.contexts.popularity import POPULARITY_DAYS, by_tick
from rec_platform.contexts.segments import Ints, offsets_of, run_starts
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT

Floats = npt.NDArray[np.float64]

#: One whole step of the systematic draw; inclusion probabilities are multiples of 1 / STEP.
STEP: Final = 1 << 40


def segment_lengths(plays: Ints, k: int, popularity_share: float) -> Ints:
    """pi_i x 2^40 for each candidate (int64, each in [1, 2^40], summing to exactly k x 2^40), given its recent plays.

    >>> (segment_lengths(np.array([0, 0, 0, 0]), 2, 0.5) / STEP).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    if k == len(plays):
        return np.full(k, STEP, dtype=np.int64)
    smoothed = plays + 1.0
    sizes = (1.0 - popularity_share) / len(plays) + popularity_share * smoothed / smoothed.sum()
    lengths = np.maximum(np.rint(_capped(sizes, k) * STEP).astype(np.int64), 1)
    # Rounding leaves a remainder of a few units; the title nearest to one half can take it and stay inside (0, 1).
    lengths[np.argmin(np.abs(lengths - STEP // 2))] += k * STEP - int(lengths.sum())
    return lengths


def _capped(sizes: Floats, k: int) -> Floats:
    """min(1, lambda x size) with lambda such that the sum is k: what would exceed 1 is certain, again and again."""
    certain = np.zeros(len(sizes), dtype=np.bool_)
    while True:
        free = k - int(certain.sum())
        scaled = np.where(certain, 1.0, sizes * (free / float(sizes[~certain].sum())))
        over = (scaled >= 1.0) & ~certain
        if not over.any():
            return scaled
        certain |= over


def systematic(lengths: Ints, order_keys: Words, start: int) -> Ints:
    """Which candidates are drawn, ascending.

    Args:
        lengths: int64 segment lengths, summing to k x STEP.
        order_keys: the random order: segments are laid out by ascending key. Keys are distinct.
        start: the first point, in [0, STEP).
    """
    order = np.argsort(order_keys)
    ends = np.cumsum(lengths[order])
    points = np.arange(start, int(ends[-1]), STEP, dtype=np.int64)
    return np.sort(order[np.searchsorted(ends, points, side="right")])


@dataclass(frozen=True)
class NegativeGenerator(Transformer):
    """Draws titles for each context and stores `item_inclusion_probability` (1 for played titles).

    Contexts come with their played titles (`labels.with_labels`) and leave with played and drawn ones; items whose
    label is NaN are gone. Earlier features and scores of the items are dropped, since the items are others.
    """

    name: ClassVar[str] = "negative_generator"
    config: NegativeConfig
    seed: int

    @property
    def reads(self) -> tuple[Column, ...]:
        return (
            Column(Level.CONTEXT, c.PROFILE, pa.int64()),
            Column(Level.CONTEXT, c.COUNTRY, pa.string()),
            Column(Level.CONTEXT, c.CONTEXT_ID, pa.int64()),
            Column(Level.CONTEXT, c.AT, INSTANT),
            Column(Level.ITEM, c.TITLE, pa.int64()),
            Column(Level.ITEM, c.LABEL, pa.float64()),
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        return (
            Column(Level.ITEM, c.TITLE, pa.int64()),
            Column(Level.ITEM, c.LABEL, pa.float64()),
            Column(Level.ITEM, c.ITEM_INCLUSION_PROBABILITY, pa.float64()),
        )

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.config.model_dump(mode="json")}

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        drawn = list(self._drawn(frame, sources.need(CandidateSets, step=self.name)))
        context = np.concatenate([np.empty(0, np.int64), *(rows for rows, _, _ in drawn)])
        title = np.concatenate([np.empty(0, np.int64), *(titles for _, titles, _ in drawn)])
        probability = np.concatenate([np.empty(0, np.float64), *(values for _, _, values in drawn)])
        return without_unknown(_merged(frame, context, title, probability))

    def _drawn(self, frame: Frame, candidates: CandidateSets) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Runs of (context row, title, inclusion probability) of what is drawn."""
        words = mix(seeded(self.seed, purpose="negatives"), frame.context(c.CONTEXT_ID))
        country, at = frame.context(c.COUNTRY), frame.context(c.AT)
        candidates.timeline.ask_country_title_plays(POPULARITY_DAYS)
        for run, offsets, titles in candidates.chunks(frame, MAX_ITEMS):
            for rows, popularity in by_tick(candidates.timeline, country[run], at[run]):
                for row in rows:
                    mine = titles[offsets[row] : offsets[row + 1]]
                    if len(mine):
                        chosen, values = self.draw(mine, popularity.of(mine), words[run][row])
                        yield np.full(len(chosen), run.start + row), mine[chosen], values

    def draw(self, titles: Ints, plays: Ints, word: np.uint64) -> tuple[Ints, Floats]:
        """The positions drawn among a context's candidates (ascending) and their inclusion probabilities.

        Args:
            titles: the candidate set, at least one title.
            plays: the recent plays of each.
            word: the context's own hash.
        """
        lengths = segment_lengths(plays, min(self.config.items, len(titles)), self.config.popularity_share)
        state = np.asarray([word], dtype=np.uint64)
        start = int(mix(state, -1)[0] >> np.uint64(24))
        chosen = systematic(lengths, mix(state, titles), start)
        return chosen, lengths[chosen] / STEP


def _merged(frame: Frame, context: Ints, title: Ints, probability: Floats) -> Frame:
    """Played and drawn items in one frame, by title; a title that is both stands once, as played."""
    contexts = np.concatenate([frame.context_of_item, context])
    titles = np.concatenate([frame.item(c.TITLE), title]).astype(np.int64)
    labels = np.concatenate([frame.item(c.LABEL), np.zeros(len(title))])
    probabilities = np.concatenate([np.ones(frame.n_items), probability])
    order = np.lexsort((np.arange(len(titles)), titles, contexts))
    order = order[run_starts(contexts[order], titles[order])]
    offsets = offsets_of(np.bincount(contexts[order], minlength=frame.n_contexts))
    items = {c.TITLE: titles[order], c.LABEL: labels[order], c.ITEM_INCLUSION_PROBABILITY: probabilities[order]}
    return Frame.of(frame.contexts, offsets, items=items)
