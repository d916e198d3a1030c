"""How models age: what was trained as of one date, judged on the contexts of each later date.

Only the models stand still. Contexts, candidate sets and features are those of each later date, exactly as the stage
`scores` has them; rankers and candidate models are those of the date asked for, so their age is what it would be in a
deployment that stopped training. `last_played` and `random` are never trained: where they move, the days differ.
Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import days_between
from rec_platform.config import Settings
from rec_platform.dmc12.frame import flat
from rec_platform.errors import MissingInput
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.intervals import metric_rows
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.stage import protocol_of
from rec_platform.evaluation.sums import MetricSums, merge
from rec_platform.models.candidate_features import CandidateFeatures, CandidateModelsByDay
from rec_platform.partition import Partition
from rec_platform.pipeline import Transformer
from rec_platform.scoring.rankers import read_rankers
from rec_platform.scoring.score import ContextScorer
from rec_platform.scoring.stage import Work, played_titles, timeline_inputs
from rec_platform.stage import Input, Reader
from rec_platform.tables import CANDIDATE_MODELS, CONTEXTS, PLAY_FACTS, RANKER_MODELS

#: The longest age, unless told otherwise.
DAYS = 30


@dataclass(frozen=True)
class _StandingStill(CandidateFeatures):
    """Candidate features of every context from the models of one date."""

    made: date

    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[tuple[Transformer, ...], tuple[object, ...]]:
        steps, (models,) = super().steps(reader, [self.made], settings)
        assert isinstance(models, CandidateModelsByDay)
        if self.made not in models.days:
            raise MissingInput(
                f"no candidate models as of {self.made}", place=CANDIDATE_MODELS.name,
                repair="Choose a date whose models are published: `rec-platform status` shows the days.",
            )  # fmt: skip
        return steps, (replace(models, only=self.made),)


def inputs(settings: Settings, as_of: date, last: date) -> tuple[Input, ...]:
    """What `aged_sums` reads."""
    horizon = settings.labels.horizon_days
    end, cut = last + timedelta(days=horizon - 1), last + timedelta(days=horizon)
    return (
        Input(CONTEXTS.name, as_of, last, every_country=True, optional=True),
        Input(PLAY_FACTS.name, as_of, end, every_country=True, cut=cut, optional=True),
        *timeline_inputs(last=end, cut=cut),
        Input(CANDIDATE_MODELS.name, as_of, as_of, optional=True),
        Input(RANKER_MODELS.name, as_of, as_of, optional=True),
    )


def aged_sums(
    reader: Reader,
    settings: Settings,
    *,
    as_of: date,
    days: int = DAYS,
    countries: Sequence[str] | None = None,
    own: tuple[Metric, ...] = (),
) -> Iterator[tuple[Partition, MetricSums]]:
    """The sums of each later date and country, scored by the models as of `as_of`: from the day after it on.

    `own`: metrics besides, of tie groups alone. Days without published contexts, or whose label window is not over by the
    last day delivered, are passed over. Raises `MissingInput` if there are no models of the date, or no later contexts.
    """
    horizon = settings.labels.horizon_days
    last = min(as_of + timedelta(days=days), reader.last_day - timedelta(days=horizon - 1))
    found = [
        partition
        for day in days_between(as_of + timedelta(days=1), last)
        for partition in reader.published(CONTEXTS.name, day)
        if countries is None or partition.place in countries
    ]
    if not found:
        raise MissingInput(
            f"no contexts are published in the {days} days after {as_of}", place=CONTEXTS.name,
            repair="Run `rec-platform run` for some of these days, or choose an earlier date.",
        )  # fmt: skip
    scorer = _scorer(reader, settings, as_of, last + timedelta(days=horizon - 1))
    for partition in found:
        yield partition, _sums(scorer, partition, reader, settings, as_of, own)


def _scorer(reader: Reader, settings: Settings, as_of: date, until: date) -> ContextScorer:
    work = Work.of(reader, settings, _StandingStill(as_of), [as_of], until=until)
    rankers = read_rankers(reader, as_of, files=settings.rankers.files)
    return ContextScorer(
        as_of, work.candidates, [*work.steps, *work.added], [*work.baselines, *rankers.values()], work.sources,
        keep_top=1, seed=settings.seed,
    )  # fmt: skip


def _sums(
    scorer: ContextScorer,
    partition: Partition,
    reader: Reader,
    settings: Settings,
    as_of: date,
    own: tuple[Metric, ...],
) -> MetricSums:
    rows = scorer.score(played_titles(partition, reader, settings)).rows()
    chosen = settings.evaluation
    return evaluate(
        flat(rows), seed=settings.seed, metrics=STANDARD + own, accumulators=(), cutoffs=chosen.cutoffs,
        slices=Slices(contexts=(c.COUNTRY,)), replicates=chosen.replicates, list_length=0,
        protocol=replace(protocol_of(settings), split="time, models stand still"), cut=as_of,
    )  # fmt: skip


def by_age(parts: Iterable[tuple[Partition, MetricSums]], as_of: date, *, min_contexts: int) -> list[dict[str, Any]]:
    """METRICS rows by age in days, of all countries together (slice `all`) and of each one (slice `country`)."""
    ages: dict[int, MetricSums] = {}
    for partition, sums in parts:
        age = (partition.day - as_of).days
        ages[age] = merge(ages[age], sums) if age in ages else sums
    rows: list[dict[str, Any]] = []
    for age, sums in sorted(ages.items()):
        table: pa.Table = metric_rows(sums, min_contexts=min_contexts)
        rows += [{"age": age} | row for row in table.to_pylist()]
    return rows
