"""Which models were measured on fewer partitions than others: a mean over several dates is then one over other contexts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from rec_platform.lake import PartitionState
from rec_platform.partition import Partition


def scored_models(
    scores: Mapping[Partition, PartitionState], partitions: Iterable[Partition]
) -> dict[Partition, Collection[str]]:
    """The models that `scores` of some partitions hold; without partitions that have no context to measure anything on.

    `scores`: the states of the table.
    """
    found = {one: scores[one].extra for one in partitions if one in scores}
    return {one: extra.get("models", ()) for one, extra in found.items() if extra.get("contexts")}


def on_fewer(models: Mapping[Partition, Collection[str]], only: Collection[str] = ()) -> str:
    """Of which models some of the partitions have no scores, and how many have; empty if all models are on all.

    `only`: the models asked about; none is all.

    >>> first, second = (Partition.parse(f"FR|2025-01-0{day}") for day in (1, 2))
    >>> on_fewer({first: ["popularity", "sign"], second: ["popularity"]})
    'not on all of these contexts, so their means are over others: sign on 1 of 2 partitions (1 of 2 dates)'
    """
    names = dict.fromkeys(name for there in models.values() for name in there)
    days, alike = {one.day for one in models}, dict[str, list[str]]()
    for name in names:
        on = [one for one, there in models.items() if name in there]
        if len(on) < len(models) and (not only or name in only):
            counted = f"{len(on):,} of {len(models):,} partitions ({len({one.day for one in on})} of {len(days)} dates)"
            alike.setdefault(counted, []).append(name)
    told = "; ".join(f"{', '.join(some)} on {counted}" for counted, some in alike.items())
    return told and f"not on all of these contexts, so their means are over others: {told}"
