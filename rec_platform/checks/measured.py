"""What a measure of a partition is, and the frame of them that the expectations judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rec_platform.config import AuditConfig
from rec_platform.lake import Lake, Staged
from rec_platform.partition import Partition


@dataclass(frozen=True)
class Measured:
    """One number, with words where the number alone says too little. None: there is nothing to judge."""

    value: float | None
    note: str = ""


#: A table's measures: check -> one per partition, in the order of the partitions.
Measures = dict[str, list[Measured]]


@dataclass
class Scene:
    """What a measure may look at besides its own rows.

    Attributes:
        staged: every partition of every table of the call.
        sums: table -> partition -> its sums by name, filled in as tables are profiled, in flow order.
        cpu_seconds: table -> check -> processor time, filled in as tables are measured.
    """

    staged: Sequence[Staged]
    lake: Lake
    settings: AuditConfig
    sums: dict[str, dict[Partition, Mapping[str, Any]]] = field(default_factory=dict)
    cpu_seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def of(self, table: str) -> dict[Partition, Staged]:
        """The staged partitions of a table."""
        return {one.partition: one for one in self.staged if one.spec.name == table}
