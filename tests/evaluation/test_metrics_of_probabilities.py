"""Log loss and calibration: by hand, against scikit-learn, and unbiased from what the scores table keeps."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError, SchemaError
from rec_platform.evaluation import Knowledge, Slices, evaluate, metric_rows
from rec_platform.evaluation.probability import reliability

PROBABILITY = Knowledge(scales={"p": "probability"})


def frame_of(chance, label, **columns):
    """One row per context."""
    n, m = np.shape(chance)
    items = {"title_id": np.tile(np.arange(m), n), "label": np.ravel(label).astype(float)} | {
        name: np.ravel(values) for name, values in columns.items()
    }
    return Frame.of(
        pa.table({"profile_id": np.arange(n), "context_id": np.arange(n)}), np.arange(n + 1) * m, items=items,
        scores={"p": np.ravel(chance).astype(float)},
    )  # fmt: skip


def read(frame, name, *, knowledge=PROBABILITY, **options):
    sums = evaluate(frame, seed=7, cutoffs=(1,), slices=Slices(()), knowledge=knowledge, **options)
    rows = metric_rows(sums, min_contexts=2).to_pylist()
    return next(row for row in rows if (row["model"], row["metric"]) == ("p", name))


def test_log_loss_is_the_mean_over_candidates_then_over_contexts():
    chance, label = np.array([[0.8, 0.1], [0.5, 0.25]]), np.array([[1, 0], [0, 0]])
    by_hand = -(math.log(0.8) + math.log(0.9)) / 2, -(math.log(0.5) + math.log(0.75)) / 2
    assert read(frame_of(chance, label), "log_loss")["value"] == pytest.approx(sum(by_hand) / 2, abs=1e-8)
    rng = np.random.default_rng(1)
    chance, label = rng.uniform(0.01, 0.99, (20, 30)), rng.random((20, 30)) < 0.3
    expected = sklearn_log_loss(label.ravel(), chance.ravel())
    assert read(frame_of(chance, label), "log_loss")["value"] == pytest.approx(expected, abs=1e-8)
    odds = frame_of(np.log(chance) - np.log1p(-chance), label)
    same = read(odds, "log_loss", knowledge=Knowledge(scales={"p": "log_odds"}))
    assert same["value"] == pytest.approx(expected, abs=1e-8)


def test_certain_and_right_costs_nothing_certain_and_wrong_is_an_error():
    assert read(frame_of([[1.0, 0.0]], [[1, 0]]), "log_loss")["value"] == 0.0
    with pytest.raises(NumericError, match="log_loss"):
        read(frame_of([[0.0, 1.0]], [[1, 0]]), "log_loss")


def test_calibration_by_hand():
    """10 candidates at .3 of which 3 happened (right); 10 at .6 of which 3 happened (off by .3): ECE = .3 / 2."""
    chance = np.repeat([[0.3], [0.6]], 10, axis=1)
    label = np.tile([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], (2, 1))
    frame = frame_of(chance, label)
    assert read(frame, "calibration_error")["value"] == pytest.approx(0.3 / 2, abs=1e-8)
    assert read(frame, "calibration_ratio")["value"] == pytest.approx(6 / 9, abs=1e-8)
    sums = evaluate(frame, seed=1, cutoffs=(1,), slices=Slices(()), knowledge=PROBABILITY)
    (tally,) = (one for key, one in sums.tallies.items() if key.metric == "calibration")
    curve = reliability(tally).to_pydict()
    assert curve == {
        "candidates": [10.0, 10.0],
        "probability": pytest.approx([0.3, 0.6]),
        "rate": pytest.approx([0.3, 0.3]),
    }


def test_a_model_that_draws_from_its_own_probabilities_is_calibrated():
    rng = np.random.default_rng(3)
    chance = rng.uniform(0, 1, (400, 20)) ** 4
    row = read(frame_of(chance, rng.random(chance.shape) < chance), "calibration_ratio", replicates=20)
    assert row["low"] < 1 < row["high"]
    assert row["high"] - row["low"] < 0.2


def test_drawn_negatives_weigh_one_over_their_chance_and_without_it_are_refused():
    rng = np.random.default_rng(4)
    n, m, kept = 3000, 40, 0.25
    chance = rng.uniform(0.01, 0.3, (n, m))
    label = rng.random((n, m)) < chance
    whole = frame_of(chance, label)
    stays = np.flatnonzero(label.ravel() | (rng.random(n * m) < kept))
    lengths = np.bincount(whole.context_of_item[stays], minlength=n)
    drawn = Frame(
        whole.contexts.append_column("n_candidates", pa.array(np.full(n, m))), np.append(0, np.cumsum(lengths)),
        whole.items.take(stays), whole.features, whole.scores.take(stays),
    )  # fmt: skip
    weighed = drawn.with_items({"item_inclusion_probability": np.where(label.ravel()[stays], 1.0, kept)})
    row = read(weighed, "log_loss_sampled", replicates=50)
    assert row["low"] < read(whole, "log_loss")["value"] < row["high"]
    with pytest.raises(SchemaError, match="have no item_inclusion_probability"):
        read(drawn, "log_loss")


def test_what_the_scores_table_keeps_stands_for_the_whole_candidate_set(full, stored):
    """From each model's best 4 of 30, over 700 contexts: inside the interval of the sample, and of all of it exact."""
    whole = full(5, contexts=700, profiles=700)
    logits = Knowledge(scales={"p": "log_odds"})
    label, rng = whole.item("label"), np.random.default_rng(0)
    whole = whole.with_scores({"p": rng.normal(-2.0, 1.0, whole.n_items) + (label > 0)})
    exact = {name: read(whole, name, knowledge=logits)["value"] for name in ("log_loss", "calibration_ratio")}
    few, every = stored(whole, 4), stored(whole, 30)
    for name, value in exact.items():
        sample = read(few, name, knowledge=logits, list_length=4)
        assert sample["low"] < value < sample["high"], name
        assert read(every, name, knowledge=logits, list_length=30)["value"] == pytest.approx(value, abs=1e-8)


def test_scores_that_are_no_probabilities_and_samples_that_are_not_there_are_refused(full, stored):
    with pytest.raises(NumericError, match="score that is no probability"):
        read(frame_of([[1.5, 0.1]], [[1, 0]]), "log_loss")
    with pytest.raises(SchemaError, match="no scale 'percent'"):
        read(frame_of([[0.5, 0.1]], [[1, 0]]), "log_loss", knowledge=Knowledge(scales={"p": "percent"}))
    kept = stored(full(1), 4)
    bare = Frame(kept.contexts, kept.offsets, kept.items, kept.features, kept.scores.select(["a", "b"]))
    with pytest.raises(SchemaError, match="keeps no random sample"):
        evaluate(bare, seed=7, cutoffs=(1,), list_length=4, knowledge=Knowledge(scales={"a": "log_odds"}))


def test_a_model_without_a_scale_has_no_log_loss():
    rows = metric_rows(evaluate(frame_of([[0.5, 0.1]], [[1, 0]]), seed=1, cutoffs=(1,))).to_pylist()
    assert {row["metric"] for row in rows}.isdisjoint({"log_loss", "calibration_error", "calibration_ratio"})
