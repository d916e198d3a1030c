"""The eight metrics in DuckDB, in two forms over the same lists; scores are distinct, so no form needs a rule for ties.

`windows` is how it is usually written: unpivot, rank every list, aggregate. `counts` is the best form found: only
positives are kept, and each is joined to its list to count what scores above it, under all models at once.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from evaluation_world import MODELS, K, read
from measuring import Meter

RANKED_BY_WINDOWS = f"""
SELECT model, context, rank, found, items, positives FROM (
    SELECT model, context, label, row_number() OVER w AS rank, sum(label) OVER w AS found, count(*) OVER c AS items,
           sum(label) OVER c AS positives
    FROM (UNPIVOT scored ON {", ".join(MODELS)} INTO NAME model VALUE score)
    WINDOW w AS (PARTITION BY model, context ORDER BY score DESC ROWS UNBOUNDED PRECEDING),
           c AS (PARTITION BY model, context)
) WHERE label > 0
"""

_ABOVE = ", ".join(
    f"{{'model': '{m}', 'rank': 1 + count(*) FILTER (l.{m} > p.{m}), "
    f"'found': count(*) FILTER (l.label > 0 AND l.{m} >= p.{m})}}"
    for m in MODELS
)
RANKED_BY_COUNTS = f"""
SELECT context, items, positives, unnest(places, recursive := true) FROM (
    SELECT p.context, p.row, count(*) AS items, sum(l.label) AS positives, [{_ABOVE}] AS places
    FROM (SELECT * FROM scored WHERE label > 0) p JOIN scored l USING (context) GROUP BY p.context, p.row
)
"""

METRICS = f"""
WITH ranked AS ({{ranked}}),
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
    FROM ranked JOIN ideal USING (positives) GROUP BY model, context
)
UNPIVOT (SELECT model, avg(nmrr) AS nmrr, avg(mrr) AS mrr, avg(ndcg) AS ndcg, avg(recall) AS recall,
                avg(precision) AS precision, avg(map) AS map, avg(hit_rate) AS hit_rate, avg(auc) AS auc
         FROM per_context GROUP BY model) ON COLUMNS(* EXCLUDE model) INTO NAME metric VALUE value
"""


def evaluated(meter: Meter, folder: str, ranked: str) -> pa.Table:
    lists = read(folder)
    meter.look = lists.look
    scored = lists.items.append_column("context", pa.array(lists.context.astype(np.int32)))
    scored = scored.append_column("row", pa.array(np.arange(scored.num_rows, dtype=np.int32)))
    engine = duckdb.connect(config={"memory_limit": "14GB", "preserve_insertion_order": False})
    engine.register("scored", scored)
    with meter.phase("query"):
        return engine.sql(METRICS.format(ranked=ranked)).to_arrow_table()


def windows(meter: Meter, *, folder: str) -> pa.Table:
    return evaluated(meter, folder, RANKED_BY_WINDOWS)


def counts(meter: Meter, *, folder: str) -> pa.Table:
    return evaluated(meter, folder, RANKED_BY_COUNTS)
