"""Evaluation: many models, many metrics, every slice, with intervals, in one pass over scores.

    from rec_platform.evaluation import Slices, compare, evaluate, merge, metric_rows

    sums = evaluate(frames, seed=1)          # mergeable: days add up to months, countries to the whole
    metric_rows(sums)                        # value, 95 % interval and n per model, metric, cut-off and slice
    compare(sums, "xgboost", "popularity")   # paired differences from the same replicates

`ties` turns scores into tie groups, `metrics` holds the formulas, `bootstrap` the weights of the replicates, `sums` what is
stored and merged, `intervals` the numbers people read, `stage` the asset.
"""

from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.comparison import compare, compare_all, compare_pairs, corrected
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.expressions import context_slice, title_slice
from rec_platform.evaluation.intervals import metric_rows
from rec_platform.evaluation.knowledge import Knowledge, Tastes, TitleFacts
from rec_platform.evaluation.metrics import STANDARD, Metric, metric
from rec_platform.evaluation.protocol import Protocol
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS
from rec_platform.evaluation.slices import Division, Slices, popularity
from rec_platform.evaluation.stage import Metrics, roll_up, rolled_up, stored_sums
from rec_platform.evaluation.sums import MetricSums, merge

__all__ = [
    "ACCUMULATORS", "ALL_METRICS", "STANDARD", "Accumulator", "Added", "Division", "Knowledge", "Metric", "MetricSums",
    "Metrics", "Protocol", "Slices", "Tastes", "TitleFacts", "compare",
    "compare_all", "compare_pairs", "context_slice", "corrected", "evaluate", "merge", "metric",
    "metric_rows", "popularity", "roll_up", "rolled_up", "stored_sums", "title_slice",
]  # fmt: skip
