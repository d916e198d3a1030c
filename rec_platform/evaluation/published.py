"""The protocol `daily_list`: the published recommendations of a date, judged by the plays of that date.

A list is judged exactly as it was published, one per profile and country: its order is its ranks, and a title played that
day that does not stand in it cannot be found. So numbers say what a list was worth, and are not comparable with those of
session starts, which rank whole candidate sets at later instants.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import label_close, midnight
from rec_platform.config import Settings
from rec_platform.contexts.labels import with_labels
from rec_platform.contexts.segments import offsets_of
from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.protocol import DAILY_LIST, Protocol
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.sums import MetricSums, merge, nothing
from rec_platform.partition import Partition
from rec_platform.stage import Input, Reader
from rec_platform.tables import INSTANT, PLAY_FACTS, RECOMMENDATIONS

#: The model that published lists are shown as; which model made each one is the slice `model`.
PUBLISHED: Final = "published"
#: Rank metrics of a list as it stands; AUC needs the whole candidate set.
METRICS: Final = tuple(one for one in STANDARD if one.name != "auc")


def inputs(first: date, last: date) -> tuple[Input, ...]:
    """What `published_sums` reads."""
    tables = (RECOMMENDATIONS.name, PLAY_FACTS.name)
    return tuple(Input(table, first, last, every_country=True, optional=True) for table in tables)


def published_sums(
    reader: Reader, partitions: list[Partition], settings: Settings, *, own: tuple[Metric, ...] = ()
) -> MetricSums:
    """The sums of these partitions that have both lists and plays published; `own`: metrics besides, of tie groups."""
    chosen = settings.evaluation
    sums = [nothing(settings.seed, chosen.replicates)]
    for partition in partitions:
        day = partition.day
        if all(partition in reader.published(table, day) for table in (RECOMMENDATIONS.name, PLAY_FACTS.name)):
            lists = reader.read(RECOMMENDATIONS.name, [partition], RECOMMENDATIONS.schema.names)
            frame = judged_lists(lists, reader.read(PLAY_FACTS.name, [partition]), partition)
            sums.append(
                evaluate(
                    frame, seed=settings.seed, models=(PUBLISHED,), metrics=METRICS + own, accumulators=(),
                    cutoffs=tuple(k for k in chosen.cutoffs if k <= settings.recommend.n),
                    slices=Slices(contexts=(c.COUNTRY, c.MODEL)), replicates=chosen.replicates, list_length=0,
                    protocol=protocol_of(settings), cut=day,
                )
            )  # fmt: skip
    return merge(*sums)


def protocol_of(settings: Settings) -> Protocol:
    return Protocol(
        kind=DAILY_LIST, candidates="the published list", seen=settings.rules.seen.kind, horizon_days=1,
        ties="none: ranks", weighting="1 per list",
    )  # fmt: skip


def judged_lists(lists: pa.Table, plays: pa.Table, partition: Partition) -> Frame:
    """One context per profile with a list; its items are the titles listed, and those played that are not.

    Args:
        lists: rows of `recommendations` of the partition.
        plays: rows of `play_facts` of the partition.

    A play not known at the end of the date takes its title out of the list, as in training: nobody knew if it was right.
    """
    profile, first = np.unique(lists.column(c.PROFILE).to_numpy(), return_index=True)
    at = pa.array(np.full(len(profile), midnight(partition.day)), pa.int64()).cast(INSTANT)
    contexts = pa.table(
        {
            c.PROFILE: profile, c.AT: at, c.COUNTRY: pa.repeat(pa.scalar(partition.place), len(profile)),
            c.MODEL: lists.column(c.MODEL).take(pa.array(first)),
        }
    )  # fmt: skip
    played = with_labels(contexts, plays, close=label_close(partition.day, 1))
    listed = np.searchsorted(profile, lists.column(c.PROFILE).to_numpy())
    context = np.concatenate([played.context_of_item, listed])
    title = np.concatenate([played.item(c.TITLE), lists.column(c.TITLE).to_numpy()])
    label = np.concatenate([played.item(c.LABEL), np.zeros(len(listed))])
    rank = np.concatenate([np.full(played.n_items, np.inf), lists.column(c.RANK).to_numpy()])
    return _joined(contexts, context, title, label, rank)


def _joined(
    contexts: pa.Table,
    context: np.ndarray[tuple[int], np.dtype[np.int64]],
    title: np.ndarray[tuple[int], np.dtype[np.int64]],
    label: np.ndarray[tuple[int], np.dtype[np.float64]],
    rank: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Frame:
    """A title both played and listed becomes one item: the label of the play, the rank of the list."""
    order = np.lexsort((rank, title, context))
    context, title, label, rank = context[order], title[order], label[order], rank[order]
    same = np.append(False, (np.diff(context) == 0) & (np.diff(title) == 0))
    # the listed row of such a pair stands first (its rank is finite), the played one behind it
    pair = np.flatnonzero(same)
    label[pair - 1] = label[pair]
    keep = ~same & ~np.isnan(label)
    lengths = np.bincount(context[keep], minlength=contexts.num_rows)
    items = {c.TITLE: title[keep], c.LABEL: label[keep], c.REACHABLE: np.isfinite(rank[keep])}
    return Frame.of(contexts, offsets_of(lengths), items=items, scores={PUBLISHED: -rank[keep]})
