"""Tells Dagster what landed: `landing` is written without it, so it hears of a partition from who reads it next.

Each event carries the content hash of the partition's rows as its data version, so that the same rows are told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import dagster as dg

from rec_platform.lake import Lake
from rec_platform.partition import UNREADABLE_COUNTRY, Partition
from rec_platform.plays.deliveries import delivered
from rec_platform.tables import LANDING

_KEY: Final = dg.AssetKey("landing")
#: The one tag besides those of dimensions that Dagster finds the newest of, of all partitions, in one query.
_DATA_VERSION: Final = "dagster/data_version"
#: Names of files shown; there can be thousands.
_NAMES: Final = 20


def report_landed(instance: dg.DagsterInstance, lake: Lake, partitions: Iterable[Partition]) -> None:
    """Report those of the partitions that Dagster has not heard of, or not as they now are."""
    for event in news(instance, lake, partitions):
        instance.report_runless_asset_event(event)


def news(instance: dg.DagsterInstance, lake: Lake, partitions: Iterable[Partition]) -> list[dg.AssetMaterialization]:
    """What Dagster has not heard of these partitions; nothing of those without rows, or of unreadable ones.

    At the newest version, not at the one a run has fixed: a run beside a delivery would take back what was told of it.
    """
    version = lake.version(LANDING.name)
    if version is None:
        return []
    states = lake.state(LANDING.name, version)
    heard = instance.event_log_storage.get_latest_tags_by_partition(
        _KEY, dg.DagsterEventType.ASSET_MATERIALIZATION, [_DATA_VERSION]
    )
    return [
        _event(lake, one, version, states[one].content_hash)
        for one in partitions
        if one in states
        and states[one].rows
        and one.country != UNREADABLE_COUNTRY
        and heard.get(one.key, {}).get(_DATA_VERSION) != states[one].content_hash
    ]


def _event(lake: Lake, partition: Partition, version: int, content_hash: str) -> dg.AssetMaterialization:
    found = delivered(lake, partition, version)
    more = f" and {len(found.files) - _NAMES:,} more" if len(found.files) > _NAMES else ""
    metadata: dict[str, Any] = {
        "rows_landing": found.rows,
        "n_files": len(found.files),
        "files": ", ".join(found.files[:_NAMES]) + more,
        "delivered_at": dg.MetadataValue.timestamp(found.newest),
    }
    return dg.AssetMaterialization(_KEY, partition=partition.key, metadata=metadata, tags={_DATA_VERSION: content_hash})
