"""Numbers that nobody stored, from scores that somebody did: new slices, crossed slices, new metrics, other estimands.

Nothing is scored again and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.evaluation.divisions import slice_inputs, slices_of
from rec_platform.evaluation.evaluate import CONTEXT, PROFILE, evaluate
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.protocol import DAILY_LIST, SESSION
from rec_platform.evaluation.published import inputs as list_inputs
from rec_platform.evaluation.published import published_sums
from rec_platform.evaluation.slices import ALL, COMMA, POPULARITY, PROFILE_BAND, TITLE_AGE, Slices
from rec_platform.evaluation.stage import protocol_of, scored_frames
from rec_platform.evaluation.sums import MetricSums, merge, nothing
from rec_platform.partition import Partition
from rec_platform.stage import Input, Reader
from rec_platform.tables import SCORES_TABLE

_DIVISIONS = (POPULARITY, PROFILE_BAND, TITLE_AGE)


def inputs(first: date, last: date, protocol: str, countries: Sequence[str]) -> tuple[Input, ...]:
    """What `judged` reads for these days, among the countries delivered."""
    if protocol == DAILY_LIST:
        return list_inputs(first, last)
    parts = [Partition(day, country) for day in (first, last) for country in countries]
    tables = dict.fromkeys((one.table, one.first is None) for part in parts for one in slice_inputs(part))
    return (
        Input(SCORES_TABLE.name, first, last, every_country=True, optional=True),
        *(
            Input(table) if whole else Input(table, first, last, every_country=True, optional=True)
            for table, whole in tables
        ),
    )


def judged(
    reader: Reader,
    partitions: Iterable[Partition],
    settings: Settings,
    *,
    by: str = ALL,
    metrics: tuple[Metric, ...] = STANDARD,
    protocol: str = SESSION,
    estimand: str = CONTEXT,
) -> MetricSums:
    """The sums of rank metrics over stored scores of these partitions, in the whole and in one slice.

    Args:
        by: `all`, a context column, `popularity`, `profile_band`, `title_age`, or two of these with a comma between.
        protocol: `session`, or `daily_list`: published recommendations by the plays of their date.
        estimand: `context`, or `profile`: the mean over profiles, exact, which has no slice that differs by date.

    Raises:
        KeyRefused: more than two slices, or a protocol that is none.
        MissingInput: nothing is published for these partitions.
    """
    parts = sorted(partitions, key=lambda one: (one.day, one.place))
    if protocol not in (SESSION, DAILY_LIST):
        raise KeyRefused(f"no protocol {protocol!r}", place="--protocol", repair=f"Use {SESSION} or {DAILY_LIST}.")
    if protocol == DAILY_LIST:
        sums = published_sums(reader, parts, settings)
    elif estimand == PROFILE:
        sums = _of_profiles(reader, parts, settings, by, metrics)
    else:
        sums = merge(
            nothing(settings.seed, settings.evaluation.replicates),
            *(_of_partition(reader, one, settings, by, metrics) for one in parts),
        )
    if not sums.keys:
        raise MissingInput(
            "nothing to judge is published for these days and countries", place=SCORES_TABLE.name,
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    return sums


def _of_partition(
    reader: Reader, partition: Partition, settings: Settings, by: str, metrics: tuple[Metric, ...]
) -> MetricSums:
    names = _names(by)
    columns = [name for name in names if name not in (ALL, *_DIVISIONS)]
    crossed = [(names[0], names[1])] if len(names) == 2 else []
    slices = slices_of(partition, reader, contexts=columns, crossed=crossed)
    used = Slices(
        slices.contexts, tuple(one for one in slices.items if one.name in names),
        tuple(one for one in slices.profiles if one.name in names), slices.crossed,
    )  # fmt: skip
    return _evaluated(reader, [partition], settings, used, metrics, CONTEXT)


def _of_profiles(
    reader: Reader, partitions: Sequence[Partition], settings: Settings, by: str, metrics: tuple[Metric, ...]
) -> MetricSums:
    names = [name for name in _names(by) if name != ALL]
    if set(names) & set(_DIVISIONS):
        raise KeyRefused(
            f"means over profiles cannot be sliced by {by}", place="--by",
            repair="A profile's band may change from date to date: slice by columns of contexts.",
        )  # fmt: skip
    crossed = [(names[0], names[1])] if len(names) == 2 else []
    return _evaluated(reader, partitions, settings, Slices(tuple(names), crossed=tuple(crossed)), metrics, PROFILE)


def _evaluated(
    reader: Reader,
    partitions: Sequence[Partition],
    settings: Settings,
    slices: Slices,
    metrics: tuple[Metric, ...],
    estimand: str,
) -> MetricSums:
    chosen = settings.evaluation
    files = reader.files(SCORES_TABLE.name, partitions)
    return evaluate(
        scored_frames(files), seed=settings.seed, metrics=metrics, accumulators=(), cutoffs=chosen.cutoffs, slices=slices,
        replicates=chosen.replicates, estimand=estimand, list_length=0, protocol=protocol_of(settings),
        cut=partitions[0].day if len(partitions) == 1 else None,
    )  # fmt: skip


def _names(by: str) -> list[str]:
    names = [name.strip() for name in by.split(COMMA) if name.strip()]
    if len(names) > 2 or len(set(names)) < len(names) or (len(names) == 2 and ALL in names):
        raise KeyRefused(
            f"cannot slice by {by!r}", place="--by",
            repair=f"Give one slice, or two different ones with a comma: {c.DEVICE},{c.TENURE_BAND}.",
        )  # fmt: skip
    return names
