"""Exports: another tool reads the files and gets our numbers."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval  # type: ignore[import-untyped]

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation import evaluate, metric_rows
from rec_platform.evaluation.export import context_values, document, trec_qrels, trec_run

N, ITEMS = 40, 30


def frame(seed: int = 0) -> Frame:
    """Full lists of 30 distinct scores per context; context 0 has no positive."""
    draws = np.random.default_rng(seed)
    label = (draws.random((N, ITEMS)) < 0.1).astype(np.float64)
    label[0] = 0
    score = np.stack([draws.permutation(ITEMS) for _ in range(N)]) / 7
    contexts = pa.table({
        c.PROFILE: np.arange(N) // 2, c.CONTEXT_ID: np.arange(N) + 100, c.COUNTRY: ["FR"] * N,
        c.INCLUSION_PROBABILITY: draws.uniform(0.2, 1, N),
    })  # fmt: skip
    titles = np.tile(np.arange(ITEMS) + 500, N)
    return Frame.of(
        contexts, np.arange(N + 1) * ITEMS, items={c.TITLE: titles, c.LABEL: label.ravel()}, scores={"m": score.ravel()}
    )


NAMES = {500 + n: f"title {n}" for n in range(ITEMS)}


def parsed(lines: list[str], value: type) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for line in lines:
        fields = line.split()
        out.setdefault(fields[0], {})[fields[2]] = value(fields[4] if len(fields) == 6 else fields[3])
    return out


def test_trec_eval_gets_our_numbers_from_the_files() -> None:
    one = frame()
    run = parsed(list(trec_run([one], "m", NAMES)), float)
    qrels = parsed(list(trec_qrels([one], NAMES)), int)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank", "map", "ndcg_cut.10", "recall.5", "P.5"}).evaluate(
        run
    )
    (table, *_) = context_values([one], cutoffs=(5, 10))
    rows = {str(row[c.CONTEXT_ID]): row for row in table.to_pylist() if row[c.MODEL] == "m"}
    pairs = {"mrr": "recip_rank", "map": "map", "ndcg@10": "ndcg_cut_10", "recall@5": "recall_5", "precision@5": "P_5"}
    assert set(theirs) == {query for query, row in rows.items() if row["mrr"] is not None}
    for query, values in theirs.items():
        for ours, name in pairs.items():
            assert rows[query][ours] == pytest.approx(values[name], abs=1e-9)


def test_a_run_is_ranked_and_cut() -> None:
    lines = list(trec_run([frame()], "m", NAMES, top=7))
    assert len(lines) == 7 * N
    assert all(re.fullmatch(r"\d+ Q0 title_\d+ \d+ \S+ rec-platform-m\n", line) for line in lines)
    ranks = [int(line.split()[3]) for line in lines]
    assert ranks == list(range(1, 8)) * N
    scores = [float(line.split()[4]) for line in lines]
    assert all(left > right for left, right, rank in zip(scores, scores[1:], ranks[1:], strict=False) if rank > 1)


def test_equal_scores_stand_as_trec_eval_orders_them() -> None:
    one = frame()
    tied = one.with_scores({"m": np.zeros(one.n_items)})
    documents = [line.split()[2] for line in trec_run([tied], "m", NAMES) if line.startswith("100 ")]
    assert documents == sorted(documents, reverse=True)


def test_weighted_values_are_the_metric() -> None:
    one = frame(3)
    table = pa.concat_tables(context_values([one], cutoffs=(5,)), promote_options="default")
    rows = {
        (row[c.MODEL], row[c.METRIC], row[c.CUTOFF]): row[c.VALUE]
        for row in metric_rows(evaluate([one], seed=0, cutoffs=(5,), replicates=0)).to_pylist()
        if row[c.SLICE] == "all"
    }  # fmt: skip
    for model in ("m", "random", "ceiling"):
        mine = table.filter(pa.compute.equal(table.column(c.MODEL), model))
        weight = mine.column(c.WEIGHT).to_numpy()
        for name in ("nmrr", "mrr", "ndcg@5", "hit_rate@5", "auc"):
            value = np.array(mine.column(name).to_pylist(), dtype=np.float64)
            there = ~np.isnan(value)
            metric, _, k = name.partition("@")
            mean = (weight * value)[there].sum() / weight[there].sum()
            assert rows[model, metric, int(k or 0)] == pytest.approx(mean, abs=1e-8)


def test_a_context_without_a_positive_has_no_value() -> None:
    (table, *_) = context_values([frame()])
    row = table.to_pylist()[0]
    assert row[c.CONTEXT_ID] == 100
    assert row["mrr"] is None
    assert row[c.WEIGHT] > 0


def test_documents_have_no_blanks() -> None:
    assert document({1: " a\tb  c "}, 1) == "a_b_c"
    assert document({1: "  "}, 1) == "1"


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match="no scores of a model 'x'"):
        list(trec_run([frame()], "x", NAMES))
