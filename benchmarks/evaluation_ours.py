"""Our side of the evaluation benchmark."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from evaluation_world import MODELS, TITLES_N, K, context_columns, read
from measuring import Meter, resident_memory

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import STANDARD, MetricSums, Slices, evaluate, metric_rows, popularity
from rec_platform.scoring.ranking import standings

METRICS = tuple(
    one for one in STANDARD if one.name in ("nmrr", "mrr", "ndcg", "recall", "precision", "map", "hit_rate", "auc")
)
assert len(METRICS) == 8


def sums_of(frame: Frame | Iterator[Frame], slices: Slices, replicates: int) -> MetricSums:
    return evaluate(
        frame, seed=1, models=MODELS, metrics=METRICS, accumulators=(), cutoffs=(K,), slices=slices,
        replicates=replicates, list_length=0,
    )  # fmt: skip


def values(sums: MetricSums) -> pa.Table:
    """model, metric, value: over all contexts."""
    rows = metric_rows(sums)
    whole = rows.filter(np.array([one == "all" for one in rows.column("slice").to_pylist()]))
    return whole.select(["model", "metric", "value"])


def plain(meter: Meter, *, folder: str, first: int = 0) -> pa.Table:
    """Four models by eight metrics, without intervals."""
    lists = read(folder, first)
    frame, meter.look = lists.frame(), lists.look
    sums_of(frame.take(np.arange(100)), Slices(()), 0)
    meter.facts["before"] = resident_memory()
    with meter.phase("evaluate"):
        sums = sums_of(frame, Slices(()), 0)
    return values(sums)


def intervals(meter: Meter, *, folder: str) -> pa.Table:
    """The same with 200 replicates and six slices: the whole, four context columns and popularity bands."""
    lists = read(folder)
    frame, meter.look = lists.frame(), lists.look
    bands = popularity(np.arange(TITLES_N), np.arange(TITLES_N)[::-1])
    sums_of(frame.take(np.arange(100)), Slices(items=(bands,)), 200)
    meter.facts["before"] = resident_memory()
    with meter.phase("evaluate"):
        sums = sums_of(frame, Slices(items=(bands,)), 200)
    return values(sums)


def reading(meter: Meter, *, folder: str) -> None:
    """Summing every score once: what any evaluation must at least do."""
    lists = read(folder)
    meter.look = lists.look
    scores = [lists.items.column(name).to_numpy() for name in MODELS]
    with meter.phase("sum"):
        sum(float(one.sum()) for one in scores)


def catalogues(contexts: int, titles: int, chunk: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Scores of whole catalogues chunk by chunk: contexts, scores (models, contexts x titles), labels.

    Every chunk has the same numbers, so that making them costs nothing.
    """
    rng = np.random.default_rng(2)
    scores = rng.random((len(MODELS), chunk * titles))
    label = (rng.random(chunk * titles) < 2 / titles).astype(np.float64)
    for _ in range(contexts // chunk):
        yield chunk, scores, label


def frames(contexts: int, titles: int, chunk: int) -> Iterator[Frame]:
    head = context_columns(np.random.default_rng(3), chunk)
    title = np.tile(np.arange(titles), chunk)
    for n, scores, label in catalogues(contexts, titles, chunk):
        yield Frame.of(
            head, np.arange(n + 1) * titles, items={"title_id": title, "label": label},
            scores=dict(zip(MODELS, scores, strict=True)),
        )  # fmt: skip


def whole_catalogues(meter: Meter, *, contexts: int, titles: int, chunk: int) -> pa.Table:
    """Ranking given scores of whole catalogues: every positive's place under four models, and the metrics of it."""
    values(sums_of(frames(1, titles, 1), Slices(()), 0))
    with meter.phase("evaluate"):
        sums = sums_of(frames(contexts, titles, chunk), Slices(()), 0)
    return values(sums)


def best_of_catalogues(meter: Meter, *, contexts: int, titles: int, chunk: int, top: int) -> None:
    """As the stage `scores` does it: the union of each model's best and every positive, with their places."""
    words = np.random.default_rng(4).integers(0, 2**63, chunk * titles).astype(np.uint64)
    sizes = np.full(chunk, titles)
    for _, scores, label in catalogues(chunk, titles, chunk):
        standings(scores, np.arange(chunk + 1) * titles, sizes, label > 0, words, top)
    with meter.phase("rank"):
        for n, scores, label in catalogues(contexts, titles, chunk):
            standings(scores, np.arange(n + 1) * titles, sizes, label > 0, words, top)
