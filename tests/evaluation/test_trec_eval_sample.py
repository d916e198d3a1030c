"""The sample that ships with trec_eval (test/qrels.test and test/results.test), judged here, by its code, and as published.

Of the two files only what the numbers depend on is kept: per query the length of the run, how many documents are relevant,
the ranks of those retrieved in trec_eval's order, and the scores that tie with a relevant document. All grades are 0 or 1.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Slices, evaluate, metric_rows
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.protocol import Protocol

RETRIEVED = 500
RELEVANT = {"301": 474, "302": 77, "303": 10}
FOUND = {
    "301": (6, 7, 16, 18, 20, 26, 30, 32, 37, 39, 43, 49, 54, 56, 57, 59, 63, 67, 70, 83, 92, 96, 100, 103, 112, 115, 116,
            122, 125, 130, 131, 133, 143, 144, 145, 158, 172, 178, 184, 197, 199, 200, 207, 210, 212, 219, 224, 229, 240,
            249, 253, 263, 267, 274, 280, 290, 307, 309, 315, 317, 318, 320, 327, 342, 348, 384, 394, 419, 435, 491, 495),
    "302": (1, 2, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 24, 27, 28, 30, 31, 34, 36, 37, 39, 42, 43,
            44, 47, 48, 49, 50, 51, 53, 56, 58, 72, 79, 82, 84, 116, 154, 289, 301, 331, 353, 394, 458),
    "303": (19, 37, 41, 43, 44, 65, 67, 89, 99, 107),
}  # fmt: skip
#: Documents that score the same, by rank, where any is relevant: of the first pair the one at 67 is, of the second both are.
TIED = {"301": {67: "FBIS3-58055", 68: "FBIS3-58025", 143: "FBIS3-58058", 144: "FBIS3-58028"}}
BESIDE = {68: 67, 144: 143}

THEIRS = {
    ("map", 0): "map", ("mrr", 0): "recip_rank", ("r_precision", 0): "Rprec", ("precision", 10): "P_10",
    ("ndcg", 10): "ndcg_cut_10", ("ndcg", 100): "ndcg_cut_100", ("recall", 100): "recall_100",
}  # fmt: skip
#: trec_eval's means over the three queries (its own expected output has their first four digits). The last digits of MAP and
#: NDCG@100 need its order of the tie at 67.
PUBLISHED = {
    ("map", 0): 0.178545, ("mrr", 0): 0.406433, ("r_precision", 0): 0.217354, ("precision", 10): 0.3,
    ("ndcg", 10): 0.301577, ("ndcg", 100): 0.391620, ("recall", 100): 0.497993,
}  # fmt: skip


def names(query):
    """The documents by rank, those never retrieved last."""
    tied = TIED.get(query, {})
    retrieved = [tied.get(rank, f"D{rank}") for rank in range(1, RETRIEVED + 1)]
    return retrieved + [f"missing{number}" for number in range(RELEVANT[query] - len(FOUND[query]))]


def scores(query):
    """Falling with the rank, except where documents tie."""
    same = BESIDE if query in TIED else {}
    return [float(RETRIEVED + 1 - same.get(rank, rank)) for rank in range(1, RETRIEVED + 1)]


def labels(query):
    found = np.isin(np.arange(1, RETRIEVED + 1), FOUND[query])
    return np.append(found, np.ones(RELEVANT[query] - len(FOUND[query]))).astype(float)


def as_files():
    """Judgements and run as trec_eval reads them."""
    qrels = {query: dict(zip(names(query), labels(query).astype(int).tolist(), strict=True)) for query in RELEVANT}
    return qrels, {query: dict(zip(names(query), scores(query), strict=False)) for query in RELEVANT}


def as_frame():
    """The same as contexts: relevant documents that the run has not are unreachable. Rows stand from the worst up."""
    name, label = ([one for query in RELEVANT for one in of(query)[::-1]] for of in (names, labels))
    lengths = [len(names(query)) for query in RELEVANT]
    missing = [length - RETRIEVED for length in lengths]
    score = np.concatenate(
        [np.append(np.zeros(gone), scores(query)[::-1]) for query, gone in zip(RELEVANT, missing, strict=True)]
    )
    items = {"title_id": np.arange(len(name)), "source_id": name, "label": label, "reachable": score > 0}
    items = {key: np.array(values) for key, values in items.items()}
    queries = pa.table({"profile_id": np.arange(len(RELEVANT))})
    return Frame.of(queries, np.append(0, np.cumsum(lengths)), items=items, scores={"run": score})


def judged(protocol):
    sums = evaluate(
        as_frame(), seed=1, metrics=STANDARD, accumulators=(), cutoffs=(10, 100), slices=Slices(()), replicates=0,
        protocol=protocol,
    )  # fmt: skip
    rows = [row for row in metric_rows(sums).to_pylist() if row["model"] == "run"]
    return {key: row["value"] for row in rows if (key := (row["metric"], row["k"])) in PUBLISHED}


def test_the_numbers_are_those_published_for_trec_eval():
    assert judged(Protocol(ties="trec")) == pytest.approx(PUBLISHED, abs=5e-7)


def test_its_own_code_gives_them_on_the_same_table():
    qrels, run = as_files()
    asked = {"map", "recip_rank", "Rprec", "P", "ndcg_cut", "recall"}
    each = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    # Per query, as in the expected output beside the two files.
    assert [round(each[query]["map"], 4) for query in RELEVANT] == [0.0324, 0.4175, 0.0858]
    means = {key: np.mean([one[name] for one in each.values()]) for key, name in THEIRS.items()}
    assert means == pytest.approx(PUBLISHED, abs=5e-7)
    assert judged(Protocol(ties="trec")) == pytest.approx(means, abs=1e-8)


def test_in_expectation_over_ties_the_pair_at_67_counts_half_at_each_place():
    """The pair of which both are relevant changes nothing, and no cut-off parts either pair."""
    trec, mean = judged(Protocol(ties="trec")), judged(Protocol())
    best = sum(1 / np.log2(1 + rank) for rank in range(1, 101))
    lost = {("map", 0): (18 / 67 - 18 / 68) / 474, ("ndcg", 100): (1 / np.log2(68) - 1 / np.log2(69)) / best}
    assert {key: trec[key] - mean[key] for key in trec} == pytest.approx(
        {key: lost.get(key, 0.0) / 2 / len(RELEVANT) for key in trec}, abs=1e-9
    )
