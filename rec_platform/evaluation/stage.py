"""The `metrics` stage: every model of a date and country, judged; and the roll-up of what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform.clock import days_between, label_close
from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import MissingInput
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.divisions import slice_inputs, slices_of
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.expressions import told
from rec_platform.evaluation.gather import History, knowledge, knowledge_inputs
from rec_platform.evaluation.intervals import metric_rows
from rec_platform.evaluation.metrics import Population
from rec_platform.evaluation.own import Own, fingerprints, load
from rec_platform.evaluation.pages import Places, placed
from rec_platform.evaluation.plan import CONTEXT
from rec_platform.evaluation.protocol import SESSION, Protocol
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS
from rec_platform.evaluation.scored import RANDOM
from rec_platform.evaluation.slices import ALL
from rec_platform.evaluation.sums import WEIGHT, Key, MetricSums, merge, of_table, to_table
from rec_platform.models.registry import own_rankers
from rec_platform.partition import Partition
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import METRIC_SUMS, METRICS, PLAY_FACTS, SCORES_TABLE

#: Contexts read at a time from a scores file.
BATCH = 2**13
#: Partitions whose sums are merged at a time: what is merged is walked through once for so many.
TOGETHER: Final = 16


class Metrics(Stage):
    """Metrics of the scored contexts of a date and country."""

    name = "metrics"
    about = (
        "Every model of the date, by every metric and slice, in one pass: value, bootstrap interval by profile, n. "
        "Beside it the sums from which months and the whole world are added up."
    )
    tables = (METRICS, METRIC_SUMS)
    code_version = 3

    def config(self, settings: Settings) -> dict[str, Any]:
        chosen = settings.evaluation.model_dump(mode="json")
        chosen["files"] = fingerprints(settings.evaluation.files)
        scales = {one.name: one.scale for one in own_rankers(settings.rankers.files) if one.scale}
        return {
            "seed": settings.seed, "evaluation": chosen, "protocol": asdict(protocol_of(settings)),
            **({"scales": scales} if scales else {}),
        }  # fmt: skip

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day, here = partition.day, (partition.place,)
        return (
            Input(SCORES_TABLE.name, day, day, here),
            self._plays(partition, settings),
            *dict.fromkeys((*knowledge_inputs(partition), *slice_inputs(partition))),
        )

    def _plays(self, partition: Partition, settings: Settings) -> Input:
        """The plays of the label windows, which say where on the page they began."""
        window = _window(partition, settings)
        close = partition.day + timedelta(days=len(window))
        return Input(PLAY_FACTS.name, window[0].day, window[-1].day, (partition.place,), cut=close, optional=True)

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        history, own = History(reader, reader.files(SCORES_TABLE.name, partitions)), load(settings.evaluation.files)
        known = ACCUMULATORS + own.accumulators
        for partition in partitions:
            sums = _sums(partition, reader, settings, history, own)
            rows = metric_rows(sums, min_contexts=settings.evaluation.min_contexts, accumulators=known)
            yield Built(partition, {METRICS.name: rows, METRIC_SUMS.name: to_table(sums)}, _extra(sums))


def protocol_of(settings: Settings) -> Protocol:
    """How the scores of a home with these settings are judged."""
    rule = settings.rules.seen
    seen = f"{rule.kind}({rule.days})" if rule.kind == "drop_within_days" else rule.kind
    return Protocol(seen=seen, horizon_days=settings.labels.horizon_days, known_by=settings.training.known_by)


def _sums(partition: Partition, reader: Reader, settings: Settings, history: History, own: Own) -> MetricSums:
    chosen = settings.evaluation
    frames = told(scored_frames(reader.files(SCORES_TABLE.name, [partition])), own.slices)
    places = logged_places(partition, reader, settings)
    return evaluate(
        frames if places is None else placed(frames, places),
        knowledge=knowledge(partition, reader, history, settings.rankers.files),
        seed=settings.seed, metrics=ALL_METRICS + own.metrics,
        accumulators=ACCUMULATORS + own.accumulators, cutoffs=chosen.cutoffs,
        slices=slices_of(partition, reader, own=own.slices), replicates=chosen.replicates, list_length=chosen.keep_top,
        protocol=protocol_of(settings), cut=partition.day,
    )  # fmt: skip


def _window(partition: Partition, settings: Settings) -> list[Partition]:
    """The days of the partition's label windows."""
    last = partition.day + timedelta(days=settings.labels.horizon_days - 1)
    return [Partition(day, partition.place) for day in days_between(partition.day, last)]


def logged_places(partition: Partition, reader: Reader, settings: Settings) -> Places | None:
    """Where on the page the plays of the label windows began; None where no play says."""
    there = [one for one in _window(partition, settings) if one in reader.published(PLAY_FACTS.name, one.day)]
    columns = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.ROW, c.POSITION)
    close = label_close(partition.day, settings.labels.horizon_days)
    places = Places.of(reader.read(PLAY_FACTS.name, there, columns), close=close) if there else None
    return None if places is None or not len(places.profile) else places


def scored_frames(files: Sequence[str]) -> Iterator[Frame]:
    """The contexts of these files of `scores`, some at a time."""
    for file in files:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=BATCH):
                yield flat(pa.Table.from_batches([batch]))


def _extra(sums: MetricSums) -> dict[str, Any]:
    whole = Key(SESSION, CONTEXT, RANDOM, "", 0, ALL, ALL, WEIGHT, str(Population.POSITIVE))
    counts = sums.counts[sums.keys.index(whole)].tolist() if sums.keys else [0, 0, 0]
    return {"contexts": counts[0], "contexts_without_positive": counts[1], "unreachable_positives": counts[2]}


def stored_sums(reader: Reader, first: date, last: date, countries: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The published METRIC_SUMS of these days (both included), partition by partition; None is every country."""
    for day in days_between(first, last):
        for partition in reader.published(METRIC_SUMS.name, day):
            if countries is None or partition.place in countries:
                yield reader.read(METRIC_SUMS.name, [partition], METRIC_SUMS.schema.names)


def rolled_up(tables: Iterable[pa.Table]) -> MetricSums:
    """The sums of METRIC_SUMS tables together, few held at a time. `MissingInput` if there is none."""
    whole: MetricSums | None = None
    parts = map(of_table, tables)
    while some := list(islice(parts, TOGETHER)):
        whole = merge(*some) if whole is None else merge(whole, *some)
    if whole is None:
        raise MissingInput(
            "no metrics are published for these days and countries", place="metric_sums",
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    return whole


def roll_up(
    tables: Iterable[pa.Table], *, min_contexts: int, accumulators: tuple[Accumulator, ...] = ACCUMULATORS
) -> pa.Table:
    """METRICS rows of all these METRIC_SUMS tables together: months from days, the whole from countries."""
    return metric_rows(rolled_up(tables), min_contexts=min_contexts, accumulators=accumulators)
