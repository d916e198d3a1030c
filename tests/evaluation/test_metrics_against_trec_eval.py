"""Rank metrics against trec_eval's own code (pytrec_eval), list by list, with ties and without."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError, SchemaError
from rec_platform.evaluation import Slices, evaluate, metric_rows
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.protocol import Protocol

THEIRS = {
    ("map", 0): "map", ("mrr", 0): "recip_rank", ("r_precision", 0): "Rprec",
    ("precision", 10): "P_10", ("precision", 100): "P_100", ("ndcg", 10): "ndcg_cut_10", ("ndcg", 100): "ndcg_cut_100",
    ("recall", 10): "recall_10", ("recall", 100): "recall_100", ("hit_rate", 10): "success_10",
}  # fmt: skip
ASKED = {"map", "recip_rank", "Rprec", "P", "ndcg_cut", "recall", "success"}


def judged(rng, *, queries, documents, levels):
    """Runs, judgements, and the same as a frame: relevant documents that no run has are unreachable positives."""
    qrels, run, items = {}, {}, []
    for query in range(queries):
        names = [f"D{number}" for number in rng.permutation(documents)]
        listed = int(rng.integers(1, documents))
        gain = rng.choice([0, 0, 0, 1, 2], documents)
        gain[int(rng.integers(0, documents))] = 1
        score = rng.integers(0, levels, documents) / 8 if levels else rng.permutation(documents) / 8
        qrels[f"q{query}"] = {name: int(one) for name, one in zip(names, gain, strict=True)}
        run[f"q{query}"] = {name: float(one) for name, one in zip(names[:listed], score[:listed], strict=True)}
        items += [(query, name, float(one), float(value), place < listed)
                  for place, (name, one, value) in enumerate(zip(names, gain, score, strict=True))]  # fmt: skip
    context, names, gains, scores, there = (list(column) for column in zip(*items, strict=True))
    keep = [place for place, (listed, one) in enumerate(zip(there, gains, strict=True)) if listed or one > 0]
    lengths = np.bincount(np.array(context)[keep], minlength=queries)
    columns = {
        "title_id": np.array([int(name[1:]) for name in names])[keep], "source_id": np.array(names)[keep],
        "label": np.array(gains)[keep], "reachable": np.array(there)[keep],
    }  # fmt: skip
    table = pa.table({"profile_id": np.arange(queries)})
    frame = Frame.of(table, np.append(0, np.cumsum(lengths)), items=columns, scores={"run": np.array(scores)[keep]})
    return qrels, run, frame


def ours(frame, protocol):
    sums = evaluate(
        frame, seed=1, metrics=STANDARD, accumulators=(), cutoffs=(10, 100), slices=Slices(()), replicates=0,
        protocol=protocol,
    )  # fmt: skip
    rows = [row for row in metric_rows(sums).to_pylist() if row["model"] == "run"]
    return {(row["metric"], row["k"]): row["value"] for row in rows}


def theirs(qrels, run):
    values = pytrec_eval.RelevanceEvaluator(qrels, ASKED).evaluate(run).values()
    return {key: np.mean([one[name] for one in values]) for key, name in THEIRS.items()}


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0, 2, 6]))
def test_with_ties_broken_as_trec_eval_does_the_numbers_are_its_own(seed, levels):
    qrels, run, frame = judged(np.random.default_rng(seed), queries=4, documents=30, levels=levels)
    values, expected = ours(frame, Protocol(ties="trec")), theirs(qrels, run)
    assert {key: values[key] for key in THEIRS} == pytest.approx(expected, abs=1e-8)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_without_ties_the_default_gives_the_same(seed):
    qrels, run, frame = judged(np.random.default_rng(seed), queries=4, documents=30, levels=0)
    values = ours(frame, Protocol())
    assert {key: values[key] for key in THEIRS} == pytest.approx(theirs(qrels, run), abs=1e-8)


def test_with_ties_the_default_is_the_mean_over_their_orders_as_trec_eval_scores_each():
    """Three documents tie: trec_eval on each of the 6 ways to name them, averaged."""
    frame = Frame.of(
        pa.table({"profile_id": [0]}), np.array([0, 4]),
        items={"title_id": np.arange(4), "label": np.array([0.0, 1.0, 0.0, 2.0])},
        scores={"run": np.array([1.0, 1.0, 1.0, 0.5])},
    )  # fmt: skip
    parts = []
    for names in ("abc", "acb", "bac", "bca", "cab", "cba"):
        qrels = {"q": {names[1]: 1, "z": 2, names[0]: 0}}
        parts.append(theirs(qrels, {"q": dict.fromkeys(names, 1.0) | {"z": 0.5}}))
    mean = {key: np.mean([one[key] for one in parts]) for key in THEIRS}
    values = ours(frame, Protocol())
    assert {key: values[key] for key in THEIRS} == pytest.approx(mean, abs=1e-8)


def test_ids_are_compared_as_text_the_last_first_and_scores_as_float32():
    def first(ids, scores):
        frame = Frame.of(
            pa.table({"profile_id": [0]}), np.array([0, 2]),
            items={"title_id": np.array(ids), "label": np.array([1.0, 0.0])}, scores={"run": np.array(scores)},
        )  # fmt: skip
        return ours(frame, Protocol(ties="trec"))["mrr", 0]

    assert (first([9, 10], [1.0, 1.0]), first([10, 9], [1.0, 1.0])) == (1.0, 0.5)
    assert first([9, 10], [1.0, 1.0 + 1e-12]) == 1.0


def test_what_has_no_such_order_is_refused(full, stored):
    with pytest.raises(SchemaError, match="cannot be broken by title id"):
        ours(stored(full(1)), Protocol(ties="trec"))
    broken = full(1).with_scores({"a": np.full(1800, np.nan)})
    with pytest.raises(NumericError, match="NaN scores"):
        ours(broken, Protocol(ties="trec"))
