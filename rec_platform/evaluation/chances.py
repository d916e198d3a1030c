"""Probabilities of candidates, for log loss and calibration.

They need every candidate, not the best ones. Full lists have them. The `scores` table holds, besides each model's best, the
hundred candidates that the constant model `random` keeps: a simple random sample of the candidate set. So each context
stands for its whole candidate set by weights (Horvitz and Thompson, "A generalization of sampling without replacement
from a finite universe", 1952): titles kept whatever the draw (positives, groups of equal scores that lie wholly in some
model's top) weigh 1, of the others the sampled ones weigh N / 100, and the rest 0. Sums so weighted are unbiased. In
full lists that hold a sample of the candidates an item weighs 1 / `item_inclusion_probability`; a sample without these
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError, SchemaError
from rec_platform.evaluation.knowledge import LOG_ODDS, PROBABILITY
from rec_platform.evaluation.lists import Order
from rec_platform.evaluation.scored import RANDOM, candidates, ranked_before, score_of
from rec_platform.evaluation.ties import Bools, Floats, Ints


@dataclass(frozen=True)
class Chances:
    """One model's probabilities in n contexts; a row per candidate that is there.

    Attributes:
        context: int64: the row of its context.
        log_odds: float64.
        happened: bool: whether the candidate is a positive.
        weight: float64 >= 0: how many candidates it stands for.
        size: float64, n values: candidates of each context, as counted or (where that is not known) the sum of weights.
    """

    context: Ints
    log_odds: Floats
    happened: Bools
    weight: Floats
    size: Floats


def chances(frame: Frame, order: Order, model: str, scale: str, kept: int) -> Chances:
    """A model's probabilities, with what each candidate of the frame stands for.

    Args:
        order: of the frame, by the seed that scoring used.
        scale: `probability` or `log_odds`.
        kept: how many of each model's best the stored form keeps.
    """
    rows = np.sort(order.rows)
    context = frame.context_of_item[rows]
    weight = _stored(frame, order, kept)[rows] if ranked_before(frame) else _sampled(frame, rows)
    happened = np.asarray(frame.item(c.LABEL), dtype=np.float64)[rows] > 0
    if c.N_CANDIDATES in frame.contexts.column_names:
        size = np.asarray(frame.context(c.N_CANDIDATES), dtype=np.float64)
    else:
        size = np.bincount(context, weights=weight, minlength=frame.n_contexts).astype(np.float64)
    return Chances(context, log_odds(score_of(frame, model)[rows], scale, model), happened, weight, size)


def log_odds(scores: Floats, scale: str, model: str) -> Floats:
    """ln(p / (1 - p)); `NumericError` for a probability outside [0, 1], `SchemaError` for an unknown scale."""
    if scale == LOG_ODDS:
        return scores
    if scale != PROBABILITY:
        raise SchemaError(f"no scale {scale!r}", place="Knowledge", repair=f"Use {PROBABILITY} or {LOG_ODDS}.")
    if not np.all((scores >= 0) & (scores <= 1)):
        raise NumericError(
            f"model {model!r} gave a score that is no probability", place="frame given to evaluate",
            repair="Leave the model out of `scales`, or say that it scores log-odds.",
        )  # fmt: skip
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(scores) - np.log1p(-scores))


def _sampled(frame: Frame, rows: Ints) -> Floats:
    name = c.ITEM_INCLUSION_PROBABILITY
    if name in frame.items.column_names:
        chance = np.asarray(frame.item(name), dtype=np.float64)[rows]
        if not np.all((chance > 0) & (chance <= 1)):
            raise _unknown("an item inclusion probability is not in (0, 1]")
        return np.asarray(1.0 / chance)
    there = np.bincount(frame.context_of_item[rows], minlength=frame.n_contexts)
    if c.N_CANDIDATES in frame.contexts.column_names and np.any(there < frame.context(c.N_CANDIDATES)):
        raise _unknown(f"items are a sample of the candidates and have no {name}")
    return np.ones(len(rows))


def _unknown(fault: str) -> SchemaError:
    return SchemaError(
        fault, place="log loss and calibration",
        repair="Give each item the probability with which it was drawn, or no `scales`.",
    )  # fmt: skip


def _stored(frame: Frame, order: Order, kept: int) -> Floats:
    """What each item of the stored form stands for."""
    if RANDOM not in frame.scores.column_names:
        raise _unknown(f"the frame keeps no random sample of the candidates (the best of the model {RANDOM!r})")
    size = np.asarray(frame.context(c.N_CANDIDATES), dtype=np.float64)[frame.context_of_item]
    drawn = np.zeros(frame.n_items, dtype=bool)
    starts = np.cumsum(order.lengths) - order.lengths
    place = np.arange(len(order.rows)) - np.repeat(starts, order.lengths)
    drawn[order.rows[place < kept]] = True
    certain = np.asarray(frame.item(c.LABEL), dtype=np.float64) > 0
    for model in frame.scores.column_names:
        if model != RANDOM:
            certain |= frame.item(f"{c.N_ABOVE}.{model}") + frame.item(f"{c.N_EQUAL}.{model}") < kept
    weight = np.where(certain, 1.0, np.where(drawn, np.maximum(size / kept, 1.0), 0.0))
    return np.where(candidates(frame), weight, 0.0)
