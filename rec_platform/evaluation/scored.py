"""Scored contexts as the evaluator reads them: what happened, and where each model put it.

Two forms of a frame are read. The form of the `scores` table holds every positive, `n_candidates` per context and
`n_above.<model>`, `n_equal.<model>` per item, counted over the whole candidate set. Full lists hold every candidate as an
item, and the same numbers are counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, to_numpy
from rec_platform.errors import NumericError, SchemaError
from rec_platform.evaluation.ties import (
    Bools,
    Floats,
    Ints,
    Scores,
    Truth,
    place,
    positives,
    restricted,
    restricted_positions,
)

#: Always there. A model of these names in the frame is not read: these are exact.
RANDOM, CEILING = "random", "ceiling"
#: Appended to metric names where the items are a sample of the candidates, which biases every rank metric.
SAMPLED = "_sampled"


Rank = tuple[Ints, Ints]


class Ranks(Mapping[str, Rank]):
    """Per model (above, equal) of each positive, made when first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Rank]]) -> None:
        self._makers = makers
        self._made: dict[str, Rank] = {}

    def __getitem__(self, model: str) -> Rank:
        if model not in self._made:
            self._made[model] = self._makers[model]()
        return self._made[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Scored:
    """What happened, the title of each positive, and where each model put it.

    Attributes:
        truth: P positives.
        titles: int64, P values.
        ranks: per model (above, equal) of each positive.
        places: the same of all models but `random` and `ceiling`, in order: each int64 of shape (models, P). None where
            positives have left the lists.
    """

    truth: Truth
    titles: Ints
    ranks: Mapping[str, Rank]
    places: Rank | None = None

    def only(self, keep: Bools) -> Scored:
        """With positives not kept leaving the lists."""
        makers = {
            model: partial(lambda name: restricted_positions(self.truth, *self.ranks[name], keep), model)
            for model in self.ranks
        }
        return Scored(restricted(self.truth, keep), self.titles[keep], Ranks(makers))


def scored(frame: Frame, models: tuple[str, ...]) -> Scored:
    """The positives of a frame and their ranks by each model, and by `random` and `ceiling`.

    Raises `NumericError` for a NaN score of a candidate, `SchemaError` for a model that is not there.
    """
    label = np.asarray(frame.item(c.LABEL), dtype=np.float64)
    rows, first, context, gain = positives(label, frame.offsets)
    titles = np.asarray(frame.item(c.TITLE), dtype=np.int64)[rows]
    counted, candidate = ranked_before(frame), _some(frame)
    sizes = frame.context(c.N_CANDIDATES) if counted else _totals(candidate, frame.offsets)
    truth = Truth(
        frame.n_contexts, context, gain,
        np.ones(len(rows), dtype=bool) if candidate is None else candidate[rows], np.asarray(sizes, dtype=np.int64),
        first,
    )  # fmt: skip
    above, equal = np.empty((2, len(models), len(rows)), dtype=np.int64)
    if counted:
        check_scores(frame, models, candidates(frame))
    for model, higher, same in zip(models, above, equal, strict=True):
        if counted:
            higher[:], same[:] = _stored(frame, model, rows)
        elif place(_column(frame, model), frame.offsets, rows, first, candidate, higher, same):
            check_scores(frame, (model,), candidates(frame))
    makers = {RANDOM: partial(at_random, truth), CEILING: partial(at_best, truth)}
    known = {model: partial(_known, rank) for model, rank in zip(models, zip(above, equal, strict=True), strict=True)}
    return Scored(truth, titles, Ranks(makers | known), (above, equal))


def _known(rank: Rank) -> Rank:
    return rank


def ranked_before(frame: Frame) -> bool:
    """Whether the frame has the form of the `scores` table (else full lists)."""
    return any(name.startswith(f"{c.N_ABOVE}.") for name in frame.items.column_names)


def candidates(frame: Frame) -> Bools:
    """Whether each item is in its context's candidate set: `reachable`, all where the frame does not say."""
    if c.REACHABLE not in frame.items.column_names:
        return np.ones(frame.n_items, dtype=bool)
    return np.asarray(frame.item(c.REACHABLE), dtype=bool)


def sampled(frame: Frame) -> bool:
    """Whether full lists hold only a sample of the candidates."""
    name = c.ITEM_INCLUSION_PROBABILITY
    if ranked_before(frame) or name not in frame.items.column_names:
        return False
    return bool(np.any(np.asarray(frame.item(name), dtype=np.float64) < 1))


def _some(frame: Frame) -> Bools | None:
    """The same; None where all are."""
    if c.REACHABLE not in frame.items.column_names:
        return None
    candidate = candidates(frame)
    return None if candidate.all() else candidate


def score_of(frame: Frame, model: str) -> Floats:
    """A model's scores, m values."""
    return np.asarray(_column(frame, model), dtype=np.float64)


def _column(frame: Frame, model: str) -> Scores:
    """The same as they are given, in 32 bits or 64."""
    if model not in frame.scores.column_names:
        raise SchemaError(
            f"no scores of a model {model!r}", place="frame given to evaluate",
            repair=f"It has scores of {', '.join(frame.scores.column_names)}.",
        )  # fmt: skip
    scores = to_numpy(frame.scores, model, part="scores")
    return scores if scores.dtype == np.float32 else scores.astype(np.float64, copy=False)


def check_scores(frame: Frame, models: tuple[str, ...], candidate: Bools) -> None:
    for model in models:
        scores = score_of(frame, model)
        if not np.isnan(scores.min(initial=0.0)):  # the minimum of anything with a NaN is NaN: one look, nothing made
            continue
        wrong = np.flatnonzero(np.isnan(scores) & candidate)
        if len(wrong):
            context = int(np.searchsorted(frame.offsets, wrong[0], side="right")) - 1
            raise NumericError(
                f"model {model!r} gave {len(wrong)} NaN scores", place=f"context {context} of the frame, item {wrong[0]}",
                repair="A model must score every candidate; give a low number where it knows nothing.",
            )  # fmt: skip


def weights(frame: Frame) -> Floats:
    """1 / inclusion_probability per context; 1 where the frame has no such column."""
    if c.INCLUSION_PROBABILITY not in frame.contexts.column_names:
        return np.ones(frame.n_contexts)
    chance = np.asarray(frame.context(c.INCLUSION_PROBABILITY), dtype=np.float64)
    if not np.all((chance > 0) & (chance <= 1)):
        raise NumericError(
            "an inclusion probability is not in (0, 1]", place="contexts given to evaluate",
            repair="It is the probability with which the sampler kept the context.",
        )  # fmt: skip
    return np.asarray(1.0 / chance)


def _totals(flags: Bools | None, offsets: Ints) -> Ints:
    return np.diff(offsets if flags is None else np.append(0, np.cumsum(flags))[offsets])


def _stored(frame: Frame, model: str, rows: Ints) -> tuple[Ints, Ints]:
    above, equal = (frame.item(f"{name}.{model}")[rows].astype(np.int64) for name in (c.N_ABOVE, c.N_EQUAL))
    return above, equal


def at_random(truth: Truth) -> tuple[Ints, Ints]:
    """The constant scorer: every candidate scores equal."""
    return np.zeros(len(truth.context), dtype=np.int64), truth.n_candidates[truth.context] - 1


def at_best(truth: Truth) -> tuple[Ints, Ints]:
    """The best order of the candidate set: reachable positives first, by falling gain."""
    key = np.where(truth.reachable, -truth.gain, np.inf)
    order = np.lexsort((key, truth.context))
    context, gain = truth.context[order], key[order]
    new = np.flatnonzero(np.append(True, (np.diff(context) != 0) | (gain[1:] != gain[:-1])))[: len(order)]
    size = np.diff(np.append(new, len(order)))
    starts = np.cumsum(truth.n_positives) - truth.n_positives
    above, equal = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    above[order] = np.repeat(new - starts[context[new]], size)
    equal[order] = np.repeat(size, size) - 1
    return above, equal
