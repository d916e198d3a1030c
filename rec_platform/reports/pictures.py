"""The picture of each stage: what it is drawn from, and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import gather, plots

Draw = Callable[[Lake, Sequence[Partition]], str]


def main_metrics(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """The metrics worth a picture, over all partitions together."""
    return plots.shown_metrics(gather.whole_metrics(lake, partitions))


#: Stage -> SVG text for some of its partitions.
PICTURES: Final[dict[str, Draw]] = {
    "reference": lambda lake, chosen: plots.reference_plot(gather.reference_growth(lake, chosen)),
    "raw_plays": lambda lake, chosen: plots.raw_plays_plot(gather.raw_play_counts(lake, chosen)),
    "facts": lambda lake, chosen: plots.facts_plot(gather.fact_counts(lake, chosen)),
    "feature_snapshots": lambda lake, chosen: plots.feature_snapshots_plot(gather.snapshot_rows(lake, chosen)),
    "training_sets": lambda lake, chosen: plots.training_sets_plot(
        gather.strata(lake, chosen), gather.training_items(lake, chosen)
    ),
    "candidate_models": lambda lake, chosen: plots.candidate_models_plot(gather.candidate_fits(lake, chosen)),
    "ranker_models": lambda lake, chosen: plots.ranker_models_plot(
        gather.ranker_fits(lake, chosen), gather.importances(lake, chosen)
    ),
    "scores": lambda lake, chosen: plots.scores_plot(gather.positive_ranks(lake, chosen)),
    "metrics": lambda lake, chosen: plots.metrics_plot(main_metrics(lake, chosen)),
    "recommendations": lambda lake, chosen: plots.recommendations_plot(
        gather.shown_titles(lake, chosen), gather.catalogue(lake)
    ),
}
