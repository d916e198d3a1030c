"""pytrec_eval and ranx as their users call them: dictionaries of queries and documents in, means out.

Both lack NMRR and AUC; they compute the other six. Two costs are told apart: making their inputs from the lists (which
whoever holds scores in columns has to do), and their own call. ranx compiles on first use, which is not counted. A model's
dictionaries are gone before the next one's are made, and giving them back is not counted either.

With `first` the memory is not touched before: dictionaries of few contexts would find themselves out of the cache.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytrec_eval
from evaluation_world import MODELS, K, Lists, read
from measuring import Meter
from ranx import Qrels, Run, evaluate

TREC = {
    "recip_rank": "mrr", f"ndcg_cut_{K}": "ndcg", f"recall_{K}": "recall", f"P_{K}": "precision", "map": "map",
    f"success_{K}": "hit_rate",
}  # fmt: skip
RANX = {
    "mrr": "mrr", f"ndcg@{K}": "ndcg", f"recall@{K}": "recall", f"precision@{K}": "precision", "map": "map",
    f"hit_rate@{K}": "hit_rate",
}  # fmt: skip


def positives(lists: Lists) -> dict[str, dict[str, int]]:
    """Per context with any, its positives; a document is named by its place, since titles repeat in random lists."""
    found: dict[str, dict[str, int]] = {}
    for row in np.flatnonzero(lists.items.column("label").to_numpy() > 0).tolist():
        found.setdefault(str(row // lists.length), {})[str(row % lists.length)] = 1
    return found


def scored(lists: Lists, model: str, queries: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    names = [str(place) for place in range(lists.length)]
    scores = lists.items.column(model).to_numpy().reshape(-1, lists.length)
    return {query: dict(zip(names, scores[int(query)].tolist(), strict=True)) for query in queries}


def told(model: str, names: dict[str, str], means: dict[str, float]) -> list[dict[str, object]]:
    return [{"model": model, "metric": ours, "value": float(means[theirs])} for theirs, ours in names.items()]


def by_pytrec_eval(meter: Meter, *, folder: str, first: int = 0) -> pa.Table:
    meter.touches = not first
    lists = read(folder, first)
    meter.look = lists.look
    means = {model: pytrec_eval_of(meter, lists, model) for model in MODELS}
    return pa.Table.from_pylist([row for model in MODELS for row in told(model, TREC, means[model])])


def pytrec_eval_of(meter: Meter, lists: Lists, model: str) -> dict[str, float]:
    with meter.phase(f"inputs {model}"):
        truth = positives(lists)
        run = scored(lists, model, truth)
    with meter.phase(f"call {model}"):
        per_query = pytrec_eval.RelevanceEvaluator(truth, set(TREC)).evaluate(run)
        return {name: float(np.mean([query[name] for query in per_query.values()])) for name in TREC}


def by_ranx(meter: Meter, *, folder: str, first: int = 0) -> pa.Table:
    meter.touches = not first
    evaluate(Qrels({"q": {"d": 1}}), Run({"q": {"d": 1.0, "e": 0.5}}), list(RANX))
    lists = read(folder, first)
    meter.look = lists.look
    means = {model: ranx_of(meter, lists, model) for model in MODELS}
    return pa.Table.from_pylist([row for model in MODELS for row in told(model, RANX, means[model])])


def ranx_of(meter: Meter, lists: Lists, model: str) -> dict[str, float]:
    with meter.phase(f"inputs {model}"):
        plain = positives(lists)
        truth, run = Qrels(plain), Run(scored(lists, model, plain))
    with meter.phase(f"call {model}"):
        means: dict[str, float] = evaluate(truth, run, list(RANX))
        return means
