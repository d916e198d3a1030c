"""What was delivered of a partition, told from its landed rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.tables import LANDING


@dataclass(frozen=True)
class Delivered:
    """What was delivered of a partition.

    Attributes:
        rows: landed rows, valid or not.
        files: names of the files they stood in, sorted.
        newest: `delivered_at` of the newest row, UTC.
    """

    rows: int
    files: tuple[str, ...]
    newest: datetime


def delivered(lake: Lake, partition: Partition, version: int) -> Delivered:
    """What had landed of a partition at a version of `landing`; the partition has rows there."""
    landed = lake.read(LANDING.name, [partition], [c.FILE_NAME, c.DELIVERED_AT], version)
    files = pc.unique(landed.column(c.FILE_NAME)).to_pylist()
    return Delivered(landed.num_rows, tuple(sorted(files)), pc.max(landed.column(c.DELIVERED_AT)).as_py())
