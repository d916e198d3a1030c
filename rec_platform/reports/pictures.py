"""The pictures of each stage: what they are drawn from, and the functions that draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import comparison, data, data_plots, gather, plots
from rec_platform.reports.report import differences, judged
from rec_platform.tables import METRIC_SUMS

Draw = Callable[[Lake, Sequence[Partition]], str]


def main_metrics(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """The metrics worth a picture, over all partitions together."""
    return plots.shown_metrics(gather.whole_metrics(lake, partitions))


def _slices(lake: Lake, partitions: Sequence[Partition]) -> str:
    if not set(partitions) & lake.state(METRIC_SUMS.name).keys():
        return comparison.slices_plot([], metric="metrics", versus="popularity")
    found = judged(lake, partitions)
    rows = differences(found, versus=found.baseline)
    return comparison.slices_plot(rows, metric=found.metric, versus=found.baseline)


def _drift(lake: Lake, partitions: Sequence[Partition]) -> str:
    return data_plots.drift_plot(*data.feature_drift(lake, partitions))


#: Stage -> name -> SVG text for some of its partitions.
PICTURES: Final[dict[str, dict[str, Draw]]] = {
    "reference": {"picture": lambda lake, chosen: plots.reference_plot(gather.reference_growth(lake, chosen))},
    "raw_plays": {"picture": lambda lake, chosen: plots.raw_plays_plot(gather.raw_play_counts(lake, chosen))},
    "facts": {"picture": lambda lake, chosen: plots.facts_plot(gather.fact_counts(lake, chosen))},
    "feature_snapshots": {
        "picture": lambda lake, chosen: plots.feature_snapshots_plot(gather.snapshot_rows(lake, chosen))
    },
    "training_sets": {
        "picture": lambda lake, chosen: plots.training_sets_plot(
            gather.strata(lake, chosen), gather.training_items(lake, chosen)
        ),
        "features": lambda lake, chosen: data_plots.shapes_plot(data.feature_columns(lake, chosen)),
        "drift": _drift,
    },
    "candidate_models": {
        "picture": lambda lake, chosen: plots.candidate_models_plot(gather.candidate_fits(lake, chosen))
    },
    "ranker_models": {
        "picture": lambda lake, chosen: plots.ranker_models_plot(
            gather.ranker_fits(lake, chosen), gather.importances(lake, chosen)
        )
    },
    "scores": {"picture": lambda lake, chosen: plots.scores_plot(gather.positive_ranks(lake, chosen))},
    "metrics": {
        "picture": lambda lake, chosen: plots.metrics_plot(main_metrics(lake, chosen)),
        "slices": _slices,
    },
    "recommendations": {
        "picture": lambda lake, chosen: plots.recommendations_plot(
            gather.shown_titles(lake, chosen), gather.catalogue(lake)
        )
    },
}
