"""Numbers that nobody stored, from scores that somebody did: new slices, crossed slices, new metrics, other estimands.

Nothing is scored again and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from rec_platform import columns as c
from rec_platform.config import LONGEST_HORIZON, Settings
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, KeyRefused, MissingInput
from rec_platform.evaluation.divisions import slice_inputs, slices_of
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.expressions import told
from rec_platform.evaluation.gather import TASTE_DAYS, History, knowledge
from rec_platform.evaluation.knowledge import NOTHING, Knowledge
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.own import KNOWN, NONE, Own
from rec_platform.evaluation.pages import NO_PLACES, placed
from rec_platform.evaluation.plan import CONTEXT, PROFILE
from rec_platform.evaluation.protocol import DAILY_LIST, SESSION, check_same
from rec_platform.evaluation.published import inputs as list_inputs
from rec_platform.evaluation.published import published_sums
from rec_platform.evaluation.slices import ALL, COMMA, POPULARITY, PROFILE_BAND, TITLE_AGE, Slices
from rec_platform.evaluation.stage import logged_places, protocol_of, scored_frames
from rec_platform.evaluation.sums import MetricSums, merge, nothing
from rec_platform.evaluation.view import CHANCES, LISTS, PAGES
from rec_platform.models.registry import score_scales
from rec_platform.partition import Partition
from rec_platform.stage import Input, Reader
from rec_platform.tables import METRIC_SUMS, PLAY_FACTS, SCORES_TABLE

_DIVISIONS = (POPULARITY, PROFILE_BAND, TITLE_AGE)


def inputs(
    first: date, last: date, protocol: str, countries: Sequence[str], needs: Collection[str] = ()
) -> tuple[Input, ...]:
    """What `judged` reads for these days, among the countries delivered, for metrics that need these."""
    if protocol == DAILY_LIST:
        return list_inputs(first, last)
    parts = [Partition(day, country) for day in (first, last) for country in countries]
    tables = dict.fromkeys((one.table, one.first is None) for part in parts for one in slice_inputs(part))
    before = first - timedelta(days=TASTE_DAYS), last - timedelta(days=1)
    windows = first, last + timedelta(days=LONGEST_HORIZON - 1)
    return (
        Input(SCORES_TABLE.name, first, last, every_country=True, optional=True),
        Input(PLAY_FACTS.name, *windows, every_country=True, optional=True),
        *(
            Input(table) if whole else Input(table, first, last, every_country=True, optional=True)
            for table, whole in tables
        ),
        *([Input(PLAY_FACTS.name, *before, every_country=True, optional=True)] if KNOWN & set(needs) else ()),
    )


def judged(
    reader: Reader,
    partitions: Iterable[Partition],
    settings: Settings,
    *,
    by: str | None = ALL,
    metrics: tuple[Metric, ...] = STANDARD,
    own: Own = NONE,
    protocol: str = SESSION,
    estimand: str = CONTEXT,
) -> MetricSums:
    """The sums of rank metrics over stored scores of these partitions, in the whole and in one slice.

    Args:
        by: `all`, a context column, `popularity`, `profile_band`, `title_age`, a slice of `own`, or two of these with a
            comma between; None is every slice that the stage stores, and those of `own`.
        metrics: of the platform's, those that need no more than scores.
        own: metrics, accumulators and slices besides.
        protocol: `session`, or `daily_list`: published recommendations by the plays of their date.
        estimand: `context`, or `profile`: the mean over profiles, exact, which has no slice that differs by date.

    Published lists, and means over profiles, have no metrics that need what is known of titles and profiles as of a date.

    Raises:
        KeyRefused: more than two slices, or a protocol that is none.
        MissingInput: nothing is published for these partitions.
    """
    parts = sorted(partitions, key=lambda one: (one.day, one.place))
    if protocol not in (SESSION, DAILY_LIST):
        raise KeyRefused(f"no protocol {protocol!r}", place="--protocol", repair=f"Use {SESSION} or {DAILY_LIST}.")
    if protocol == DAILY_LIST:
        sums = published_sums(reader, parts, settings, own=tuple(one for one in own.metrics if not one.needs))
    elif estimand == PROFILE:
        sums = _of_profiles(reader, parts, settings, by or ALL, metrics, own)
    else:
        files = reader.files(SCORES_TABLE.name, parts) if KNOWN & own.needs else []
        history = History(reader, files) if files else None
        sums = merge(
            nothing(settings.seed, settings.evaluation.replicates),
            *(_of_partition(reader, one, settings, by, metrics, own, history) for one in parts),
        )
    if not sums.keys:
        raise MissingInput(
            "nothing to judge is published for these days and countries", place=SCORES_TABLE.name,
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    return sums


def beside(stored: MetricSums, made: MetricSums, own: Own) -> MetricSums:
    """Stored sums with what was made besides from the scores of the same contexts; of `own`'s metrics, what was made.

    Raises `ConfigError` where the contexts are not the same: scores were made again since their metrics were stored.
    """
    check_same(stored.protocol, made.protocol, place="metrics of your own")
    if (stored.evidence.data, stored.seed, stored.replicates) != (made.evidence.data, made.seed, made.replicates):
        raise ConfigError(
            "the stored metrics are not of the stored scores", place=METRIC_SUMS.name,
            repair="Run `rec-platform run --from A --to B` for these days: it makes what is stale again.",
        )  # fmt: skip
    names = {one.name for one in own.metrics}
    counted = {one.name for one in own.accumulators}
    rows = {key: (stored, row) for row, key in enumerate(stored.keys) if key.metric not in names}
    rows = {key: (made, row) for row, key in enumerate(made.keys)} | rows
    keys = sorted(rows)
    tallies = {key: one for key, one in stored.tallies.items() if key.metric not in counted} | dict(made.tallies)
    return replace(
        stored, keys=tuple(keys), counts=np.stack([rows[key][0].counts[rows[key][1]] for key in keys]),
        totals=np.stack([rows[key][0].totals[rows[key][1]] for key in keys]), tallies=dict(sorted(tallies.items())),
    )  # fmt: skip


def _of_partition(
    reader: Reader,
    partition: Partition,
    settings: Settings,
    by: str | None,
    metrics: tuple[Metric, ...],
    own: Own,
    history: History | None,
) -> MetricSums:
    known = NOTHING if history is None else knowledge(partition, reader, history, settings.rankers.files)
    if by is None:
        slices = slices_of(partition, reader, own=own.slices)
        return _evaluated(reader, [partition], settings, slices, metrics, own, CONTEXT, known)
    names = _names(by)
    mine = [one for one in own.slices if one.name in names]
    columns = [name for name in names if name not in (ALL, *_DIVISIONS, *(one.name for one in mine))]
    crossed = [(names[0], names[1])] if len(names) == 2 else []
    slices = slices_of(partition, reader, contexts=columns, crossed=crossed, own=mine)
    used = Slices(
        slices.contexts, tuple(one for one in slices.items if one.name in names),
        tuple(one for one in slices.profiles if one.name in names), slices.crossed,
    )  # fmt: skip
    return _evaluated(reader, [partition], settings, used, metrics, own, CONTEXT, known)


def _of_profiles(
    reader: Reader,
    partitions: Sequence[Partition],
    settings: Settings,
    by: str,
    metrics: tuple[Metric, ...],
    own: Own,
) -> MetricSums:
    """All contexts of all partitions at once: what is known as of a date has no place in it, scales of scores have."""
    names = [name for name in _names(by) if name != ALL]
    if set(names) & {*_DIVISIONS, *(one.name for one in own.slices if one.of == "title")}:
        raise KeyRefused(
            f"means over profiles cannot be sliced by {by}", place="--by",
            repair="A profile's band may change from date to date: slice by columns of contexts.",
        )  # fmt: skip
    slices = Slices(tuple(names), crossed=((names[0], names[1]),) if len(names) == 2 else ())
    known = Knowledge(scales=score_scales(settings.rankers.files))
    return _evaluated(reader, partitions, settings, slices, metrics, own, PROFILE, known)


def _evaluated(
    reader: Reader,
    partitions: Sequence[Partition],
    settings: Settings,
    slices: Slices,
    metrics: tuple[Metric, ...],
    own: Own,
    estimand: str,
    known: Knowledge,
) -> MetricSums:
    chosen = settings.evaluation
    frames = _frames(reader, partitions, settings, on_pages=PAGES in own.needs)
    return evaluate(
        told(frames, own.slices), seed=settings.seed, metrics=metrics + own.metrics,
        accumulators=own.accumulators, cutoffs=chosen.cutoffs, slices=slices, replicates=chosen.replicates,
        estimand=estimand, list_length=chosen.keep_top if {LISTS, CHANCES} & own.needs else 0, knowledge=known,
        protocol=protocol_of(settings), cut=partitions[0].day if len(partitions) == 1 else None,
    )  # fmt: skip


def _frames(
    reader: Reader, partitions: Sequence[Partition], settings: Settings, *, on_pages: bool
) -> Iterator[Frame]:  # fmt: skip
    """The scored contexts; with where on the page positives began, if the plays of any of the partitions say so."""
    logged = [logged_places(one, reader, settings) if on_pages else None for one in partitions]
    for partition, places in zip(partitions, logged, strict=True):
        frames = scored_frames(reader.files(SCORES_TABLE.name, [partition]))
        yield from frames if not any(logged) else placed(frames, places or NO_PLACES)


def _names(by: str) -> list[str]:
    names = [name.strip() for name in by.split(COMMA) if name.strip()]
    if len(names) > 2 or len(set(names)) < len(names) or (len(names) == 2 and ALL in names):
        raise KeyRefused(
            f"cannot slice by {by!r}", place="--by",
            repair=f"Give one slice, or two different ones with a comma: {c.DEVICE},{c.TENURE_BAND}.",
        )  # fmt: skip
    return names
