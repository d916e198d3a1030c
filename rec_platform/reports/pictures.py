"""The pictures of each stage: what they are drawn from, and the functions that draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import MissingInput
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import comparison, data, data_plots, gather, model_plots, plots
from rec_platform.reports.judged import Judged, against_baseline, judged
from rec_platform.tables import METRICS

Draw = Callable[[Lake, Sequence[Partition]], dict[str, str]]


def _picture(draw: Callable[[Lake, Sequence[Partition]], str]) -> Draw:
    """A stage's one picture."""
    return lambda lake, chosen: {"picture": draw(lake, chosen)}


def _training_sets(lake: Lake, chosen: Sequence[Partition]) -> dict[str, str]:
    features = data.sampled_features(lake, chosen)
    return {
        "picture": plots.training_sets_plot(gather.strata(lake, chosen), gather.training_items(lake, chosen)),
        "features": data_plots.shapes_plot(data.all_days(features)),
        "drift": data_plots.drift_plot(*data.drift(features)),
    }


def metrics(lake: Lake, chosen: Sequence[Partition], *, min_contexts: int) -> tuple[pa.Table, dict[str, str]]:
    """The metrics worth a picture over all partitions together, and the pictures: models, and slices against a baseline."""
    try:
        found = judged(lake, chosen, min_contexts=min_contexts)
    except MissingInput:  # nothing published, or nothing to judge: a card that says so
        nothing = METRICS.schema.empty_table()
        slices = comparison.slices_plot([], metric="metrics", versus="popularity")
        return nothing, {"picture": model_plots.metrics_plot(nothing), "slices": slices}
    main = model_plots.shown_metrics(gather.unsliced(found.rows))
    slices = comparison.slices_plot(
        against_baseline(found), metric=found.metric, versus=found.baseline, order=found.models, explained=True
    )  # fmt: skip
    main = main.take(sorted(range(main.num_rows), key=_place(found, main)))
    return main, {
        "picture": model_plots.metrics_plot(main, order=found.models, baseline=found.baseline),
        "slices": slices,
    }


def ranker_models(lake: Lake, chosen: Sequence[Partition], *, files: Sequence[str]) -> dict[str, str]:
    """What rankers learned from and what moves their scores; `files`: those of `[rankers] files`."""
    importances = gather.importances(lake, chosen, files=files)
    return {"picture": plots.ranker_models_plot(gather.ranker_fits(lake, chosen), importances)}


def _place(found: Judged, rows: pa.Table) -> Callable[[int], int]:
    """Of a row its model's place: the best first, the ceiling last."""
    models = rows.column(c.MODEL).to_pylist()
    return lambda row: found.models.index(models[row]) if models[row] in found.models else len(found.models)


#: Stage -> its pictures as SVG text by name, for some of its partitions; those of `metrics` come with its table, those of
#: `ranker_models` take the files that rankers are declared in.
PICTURES: Final[dict[str, Draw]] = {
    "reference": _picture(lambda lake, chosen: plots.reference_plot(gather.reference_growth(lake, chosen))),
    "raw_plays": _picture(lambda lake, chosen: plots.raw_plays_plot(gather.raw_play_counts(lake, chosen))),
    "facts": _picture(lambda lake, chosen: plots.facts_plot(gather.fact_counts(lake, chosen))),
    "feature_snapshots": _picture(
        lambda lake, chosen: plots.feature_snapshots_plot(gather.snapshot_rows(lake, chosen))
    ),
    "training_sets": _training_sets,
    "candidate_models": _picture(lambda lake, chosen: plots.candidate_models_plot(gather.candidate_fits(lake, chosen))),
    "scores": _picture(lambda lake, chosen: model_plots.scores_plot(gather.positive_ranks(lake, chosen))),
    "recommendations": _picture(
        lambda lake, chosen: model_plots.recommendations_plot(gather.shown_titles(lake, chosen), gather.catalogue(lake))
    ),
}
