"""What was measured on some days, read once for a report: the sums, the rows, the models from the best to the worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.errors import MissingInput
from rec_platform.evaluation import compare_pairs, metric_rows, rolled_up
from rec_platform.evaluation.comparison import COMPARISON, corrected, only
from rec_platform.evaluation.own import NONE, Own
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.scored import CEILING, RANDOM
from rec_platform.evaluation.sums import MetricSums
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import gather, model_colours
from rec_platform.reports.glossary import spoken

#: The metric that differences are drawn of, and what models are compared with.
MAIN: Final = (("nmrr", 0), ("ndcg", 10), ("mrr", 0), ("recall", 10))
BASELINES: Final = ("popularity", "last_played", RANDOM)
_COLUMNS: Final = t.METRIC_SUMS.schema.names


@dataclass(frozen=True)
class Judged:
    """What was measured on some days.

    Attributes:
        sums: of all partitions together.
        rows: METRICS of them, without rows that have no value.
        partitions: what they were measured on.
        main: the metric and cut-off that differences are drawn of.
        baseline: the model others are compared with.
        min_contexts: the fewest contexts that get a verdict.
    """

    sums: MetricSums
    rows: pa.Table
    partitions: tuple[Partition, ...]
    main: tuple[str, int]
    baseline: str
    min_contexts: int = 30

    @cached_property
    def models(self) -> list[str]:
        """All that were judged, the best by the main metric first."""
        names = model_colours.model_order(sorted(set(self.rows.column(c.MODEL).to_pylist()) - {CEILING}))
        found = {row[c.MODEL]: row[c.VALUE] for row in self.values()}
        return sorted(names, key=lambda name: -found.get(name, -math.inf))

    @cached_property
    def pairs(self) -> list[dict[str, Any]]:
        """Paired differences of all pairs of models in the main metric, the better one first, no slice."""
        return differences(self, by="all")

    @property
    def metric(self) -> str:
        return spoken(*self.main)

    @property
    def whole(self) -> pa.Table:
        """METRICS rows of all contexts together."""
        return self.rows.filter((pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context"))

    def values(self, *, by: str = "all", metric: tuple[str, int] | None = None) -> list[dict[str, Any]]:
        """Rows of one metric (the main one) in one slice, by context."""
        name, k = metric or self.main
        return [
            row
            for row in self.rows.to_pylist()
            if (row[c.METRIC], row[c.CUTOFF], row[c.SLICE], row["estimand"]) == (name, k, by, "context")
        ]


def judged(
    lake: Lake,
    partitions: Sequence[Partition],
    *,
    min_contexts: int = 30,
    own: Own = NONE,
    sums: MetricSums | None = None,
) -> Judged:
    """What is stored of the metrics of these partitions; `MissingInput` where nothing is.

    Args:
        own: metrics of the user's own, which are read, too.
        sums: those of the partitions with what is not stored; those stored if not given.
    """
    states = lake.state(t.METRIC_SUMS.name)
    known = tuple(partition for partition in partitions if partition in states)
    if not known:
        raise MissingInput(
            "no metrics are published for these days and countries", place="report",
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    sums = sums or rolled_up(lake.read(t.METRIC_SUMS.name, [one], _COLUMNS) for one in known)
    rows = metric_rows(sums, min_contexts=min_contexts, accumulators=ACCUMULATORS + own.accumulators)
    rows = rows.filter(pc.is_finite(rows.column(c.VALUE)))
    have = list(zip(rows.column(c.METRIC).to_pylist(), rows.column(c.CUTOFF).to_pylist(), strict=True))
    if not have:
        raise MissingInput(
            "on these days and in these countries there was nothing to judge", place="report",
            repair="Choose days with plays: `rec-platform status` lists what is published.",
        )  # fmt: skip
    main = next((pair for pair in MAIN if pair in have), min(have))
    models = {name for name, pair in zip(rows.column(c.MODEL).to_pylist(), have, strict=True) if pair == main}
    baseline = next((name for name in BASELINES if name in models), min(models))
    return Judged(sums, rows, known, main, baseline, min_contexts)


def by_day(lake: Lake, found: Judged) -> pa.Table:
    """METRICS rows of the main metric for the whole of each date, with `date`."""
    wanted = pc.field(c.METRIC).isin([found.main[0], ""]) & (pc.field(c.SLICE) == "all")
    parts = []
    for day in sorted({partition.day for partition in found.partitions}):
        here = [one for one in found.partitions if one.day == day]
        sums = rolled_up(lake.read(t.METRIC_SUMS.name, [one], _COLUMNS).filter(wanted) for one in here)
        rows = gather.unsliced(metric_rows(sums, min_contexts=found.min_contexts, accumulators=()))
        rows = rows.filter((pc.field(c.METRIC) == found.main[0]) & (pc.field(c.CUTOFF) == found.main[1]))
        parts.append(rows.append_column(c.DATE, pa.array([day] * rows.num_rows, pa.date32())))
    return pa.concat_tables(parts)


def differences(found: Judged, *, versus: str | None = None, by: str | None = None) -> list[dict[str, Any]]:
    """Paired differences in the main metric: of all pairs, or of every model to one; of one slice, or of all."""
    models = found.models
    pairs = combinations(models, 2) if versus is None else ((one, versus) for one in models if one != versus)
    sums = only(
        found.sums, lambda key: (key.metric, key.k) in (found.main, ("", 0)) and by in (None, key.slice)
    )  # fmt: skip
    rows = compare_pairs(sums, list(pairs), min_contexts=found.min_contexts, accumulators=()).to_pylist()
    return [row for row in rows if row["estimand"] == "context" and not np.isnan(row["difference"])]


def against_baseline(found: Judged) -> list[dict[str, Any]]:
    """Paired differences of the models to the baseline in every slice that tells contexts apart, corrected together."""
    kept = telling([row for row in differences(found, versus=found.baseline) if row["model_a"] != RANDOM])
    rows: list[dict[str, Any]] = corrected(pa.Table.from_pylist(kept, schema=COMPARISON)).to_pylist()
    return rows


def telling(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of slices that tell contexts apart: not those whose only value holds them all."""
    values: dict[str, set[str]] = {}
    for row in rows:
        values.setdefault(row[c.SLICE], set()).add(row[c.SLICE_VALUE])
    whole = max((row[c.N] for row in rows if row[c.SLICE] == "all"), default=-1)
    return [row for row in rows if row[c.SLICE] == "all" or len(values[row[c.SLICE]]) > 1 or row[c.N] != whole]
