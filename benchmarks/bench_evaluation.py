"""Evaluation against SQL: 4 models x 8 metrics over full score lists, values equal.

    python benchmarks/bench_evaluation.py [contexts] [items]

Prints CPU-seconds of both on the same lists, without intervals, then ours with 200 replicates and six slices, and what
reading the scores once costs. SQL is the plain form: unpivot, one window per model and context, one aggregate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from rec_platform.dmc12.frame import Frame
from rec_platform.engine.duckdb import connect
from rec_platform.evaluation import STANDARD, Slices, evaluate, metric_rows, popularity
from rec_platform.evaluation.evaluate import CHUNK

Result = TypeVar("Result")
MODELS = ("m1", "m2", "m3", "m4")
K = 10
METRICS = tuple(one for one in STANDARD if one.name != "r_precision")

SQL = f"""
WITH lists AS (UNPIVOT scored ON {", ".join(MODELS)} INTO NAME model VALUE score),
ranked AS (
    SELECT model, context, label, row_number() OVER w AS rank, sum(label) OVER w AS found, count(*) OVER c AS items,
           sum(label) OVER c AS positives
    FROM lists WINDOW w AS (PARTITION BY model, context ORDER BY score DESC ROWS UNBOUNDED PRECEDING),
                      c AS (PARTITION BY model, context)
),
ideal AS (
    SELECT p.positives, sum(1 / r.rank) AS best, sum(1 / log2(r.rank + 1)) FILTER (r.rank <= {K}) AS best_dcg
    FROM (SELECT DISTINCT positives FROM ranked) p, (SELECT unnest(range(1, 10000)) AS rank) r
    WHERE r.rank <= p.positives GROUP BY p.positives
),
per_context AS (
    SELECT model, context,
           sum(1 / rank) / any_value(best) AS nmrr,
           1 / min(rank) AS mrr,
           coalesce(sum(1 / log2(rank + 1)) FILTER (rank <= {K}), 0) / any_value(best_dcg) AS ndcg,
           count(*) FILTER (rank <= {K}) / any_value(positives) AS recall,
           count(*) FILTER (rank <= {K}) / {K} AS precision,
           sum(found / rank) / any_value(positives) AS map,
           (min(rank) <= {K})::DOUBLE AS hit_rate,
           CASE WHEN any_value(items) > any_value(positives)
                THEN sum(items - positives - (rank - found)) / any_value(positives) / any_value(items - positives)
                END AS auc
    FROM ranked JOIN ideal USING (positives) WHERE label > 0 GROUP BY model, context
)
SELECT model, avg(nmrr) AS nmrr, avg(mrr) AS mrr, avg(ndcg) AS ndcg, avg(recall) AS recall, avg(precision) AS precision,
       avg(map) AS map, avg(hit_rate) AS hit_rate, avg(auc) AS auc
FROM per_context GROUP BY model ORDER BY model
"""


def scored_lists(contexts: int, items: int, seed: int = 1) -> Frame:
    """Full lists with distinct scores, about 2 positives each."""
    rng = np.random.default_rng(seed)
    rows = contexts * items
    label = (rng.random(rows) < 2 / items).astype(np.float64)
    table = pa.table(
        {
            "profile_id": rng.integers(0, contexts // 3, contexts),
            "country": rng.choice(["FR", "GB", "DE", "US"], contexts),
            "tenure_band": rng.choice(["new", "1-4w", "1-3m", "3-12m", "1y+"], contexts),
            "activity_band": rng.choice(["none", "light", "medium", "heavy"], contexts),
            "device": rng.choice(["tv", "phone", "web"], contexts),
        }
    )
    scores = {name: rng.random(rows) + label * 0.1 * place for place, name in enumerate(MODELS)}
    titles = rng.integers(0, 2_000, rows)
    return Frame.of(table, np.arange(contexts + 1) * items, items={"title_id": titles, "label": label}, scores=scores)


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """The result, CPU-seconds of all threads, and seconds on the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def by_sql(frame: Frame) -> dict[tuple[str, str], float]:
    """Metric per (model, name), from one query."""
    columns: dict[str, Any] = {"context": frame.context_of_item, "label": frame.item("label")}
    scored = pa.table(columns | {name: frame.scores.column(name) for name in MODELS})
    with connect() as engine:
        engine.register("scored", scored)
        rows = engine.sql(SQL).to_arrow_table().to_pylist()
    return {(row["model"], name): value for row in rows for name, value in row.items() if name != "model"}


def by_us(frame: Frame) -> dict[tuple[str, str], float]:
    sums = evaluate(
        frame, seed=1, models=MODELS, metrics=METRICS, cutoffs=(K,), slices=Slices(()), replicates=0, list_length=0
    )
    return {(row["model"], row["metric"]): row["value"] for row in metric_rows(sums).to_pylist()}


def with_intervals(frame: Frame) -> pa.Table:
    """200 replicates, four context slices, popularity bands and the whole."""
    bands = popularity(np.arange(2_000), np.arange(2_000)[::-1])
    sums = evaluate(
        frame, seed=1, models=MODELS, metrics=METRICS, cutoffs=(K,), slices=Slices(items=(bands,)), replicates=200,
        list_length=0,
    )  # fmt: skip
    return metric_rows(sums)


def read_once(frame: Frame) -> float:
    return float(sum(frame.scores.column(name).to_numpy().sum() for name in MODELS))


def main(contexts: int, items: int) -> None:
    frame = scored_lists(contexts, items)
    by_us(scored_lists(CHUNK // 8, items))
    theirs, sql_cpu, sql_wall = timed(lambda: by_sql(frame))
    ours, our_cpu, our_wall = timed(lambda: by_us(frame))
    worst = max(abs(ours[key] - value) for key, value in theirs.items())
    if set(theirs) - set(ours) or worst > 1e-8:
        raise SystemExit(f"values differ by up to {worst}")
    _, full_cpu, full_wall = timed(lambda: with_intervals(frame))
    _, read_cpu, read_wall = timed(lambda: read_once(frame))
    print(
        f"{len(MODELS)} models x {len(METRICS)} metrics, {contexts} contexts x {items} items; values equal to {worst:.0e}"
    )
    for name, cpu, wall in (
        ("DuckDB SQL", sql_cpu, sql_wall),
        ("evaluate", our_cpu, our_wall),
        ("evaluate, 200 replicates, 6 slices", full_cpu, full_wall),
        ("summing the scores once", read_cpu, read_wall),
    ):
        print(f"  {name:36} {cpu:8.3f} CPU-s {wall:8.3f} s")
    print(f"  SQL / evaluate: {sql_cpu / our_cpu:.1f}x CPU, {sql_wall / our_wall:.1f}x on the clock")


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["50000", "50"][len(sys.argv) - 1 :])))
