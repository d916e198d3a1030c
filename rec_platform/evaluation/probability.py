"""Log loss and calibration, for models whose scores are probabilities."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.metrics import Population, metric
from rec_platform.evaluation.tallies import Tally
from rec_platform.evaluation.ties import Floats
from rec_platform.evaluation.view import CHANCES, View

#: Bins of the reliability curve: odds double from one to the next, 2^-30 to 2^30 (beyond: the outermost).
DOUBLINGS: Final = 30
BINS: Final = 2 * DOUBLINGS
#: Per bin: candidates, expected positives, positives.
COLUMNS: Final = 3


@metric(
    "log_loss", about="mean over the candidates of -ln of the probability given to what happened",
    population=Population.LISTED, needs=(CHANCES,),
)  # fmt: skip
def log_loss(view: View, k: int) -> Floats:
    given = view.chances
    lost = np.logaddexp(0.0, np.where(given.happened, -given.log_odds, given.log_odds))
    sums = np.bincount(
        given.context, weights=np.where(given.weight > 0, lost, 0.0) * given.weight, minlength=len(given.size)
    )
    return np.divide(sums, given.size, out=np.zeros(len(sums)), where=given.size > 0)


def probability(log_odds: Floats) -> Floats:
    """1 / (1 + exp(-z)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def reliable(view: View, k: int) -> Added:
    """Candidates, expected positives and positives of each context in each bin of probability."""
    given, n = view.chances, len(view.chances.size)
    with np.errstate(invalid="ignore"):
        place = np.clip(np.floor(given.log_odds / math.log(2)), -DOUBLINGS, DOUBLINGS - 1).astype(np.int64) + DOUBLINGS
    cell = given.context * BINS + place
    chance = probability(given.log_odds)
    columns = (given.weight, given.weight * chance, given.weight * given.happened)
    parts = [np.bincount(cell, weights=one, minlength=n * BINS) for one in columns]
    amounts = np.stack(parts, axis=1).astype(np.float64)
    context_bin, column = np.nonzero(amounts)
    context, which = np.divmod(context_bin, BINS)
    return Added(context, which * COLUMNS + column, amounts[context_bin, column])


def _bins(tally: Tally) -> Floats:
    """float64 of shape (BINS, COLUMNS)."""
    out = np.zeros(BINS * COLUMNS)
    out[tally.ids] = tally.totals
    return out.reshape(BINS, COLUMNS)


def calibration_error(tally: Tally) -> float:
    """Expected calibration error: sum over bins of |expected - observed positives|, over all candidates."""
    bins = _bins(tally)
    total = bins[:, 0].sum()
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / total) if total else float("nan")


def calibration_ratio(tally: Tally) -> float:
    """Observed over expected positives; 1 is right, below 1 the model promises too much."""
    _, expected, observed = _bins(tally).sum(axis=0)
    return float(observed / expected) if expected else float("nan")


def reliability(tally: Tally) -> pa.Table:
    """The reliability curve, a row per bin with a candidate: candidates, mean probability, share of positives."""
    bins = _bins(tally)
    there = bins[bins[:, 0] > 0]
    columns = {"candidates": there[:, 0], "probability": there[:, 1] / there[:, 0], "rate": there[:, 2] / there[:, 0]}
    return pa.table(columns)


CALIBRATION: Final = Accumulator(
    "calibration", reliable, {"calibration_error": calibration_error, "calibration_ratio": calibration_ratio},
    needs=(CHANCES,),
)  # fmt: skip
