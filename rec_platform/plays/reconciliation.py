"""What an ingest did, for people (a table) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from rec_platform.errors import SourceError
from rec_platform.partition import Partition
from rec_platform.plays.counts import Counts


@dataclass(frozen=True)
class FileReport:
    """What happened to one file: landed, skipped (its content had landed before), or refused."""

    name: str
    section: str
    status: Literal["landed", "skipped", "refused"]
    rows: int = 0


@dataclass(frozen=True)
class ReferenceCounts:
    """Rows of delivered titles, profiles or availability; examples say what is wrong with the unreadable ones."""

    delivered: int
    unreadable: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciliation:
    """The account of one ingest.

    Attributes:
        call: the rows of plays that this call delivered.
        whole: all rows of plays that ever landed, judged by the mapping as it is now.
        reference: likewise for delivered titles, profiles and availability, of this call.
        files: every file looked at.
        touched: the partitions of `landing` that rows were added to.
        notes: what a reader should know (columns ignored, files passed over).
        faults: files that were refused and why; all others are in. A command must end with an error if there are any.
    """

    call: Counts
    whole: Counts
    reference: Mapping[str, ReferenceCounts]
    files: tuple[FileReport, ...]
    touched: tuple[Partition, ...]
    notes: tuple[str, ...]
    faults: tuple[SourceError, ...]

    @property
    def ok(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        return {
            "call": self.call.to_json(),
            "whole": self.whole.to_json(),
            "reference": {name: vars(counts) for name, counts in self.reference.items()},
            "files": [vars(file) for file in self.files],
            "touched": [partition.key for partition in self.touched],
            "notes": list(self.notes),
            "faults": [str(fault) for fault in self.faults],
        }

    def __rich__(self) -> Group:
        return Group(self._plays(), *self._said())

    def _plays(self) -> Table:
        """Delivered = accepted + duplicates + quarantined; the last column counts each rule by itself."""
        table = Table(
            title="delivered = accepted + duplicates + quarantined", title_justify="left", box=box.SIMPLE_HEAD,
            show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim",
        )  # fmt: skip
        table.add_column("rows", no_wrap=True)
        for name in ("this call", "all so far", "rule broken by (all so far)"):
            table.add_column(name, justify="right")
        for name, of in _lines(self.whole):
            hits = self.whole.hits.get(name)
            cells = [f"{of(self.call):,}", f"{of(self.whole):,}", "" if hits is None else f"{hits:,}"]
            table.add_row(_LABELS.get(name, f"quarantined: {name}"), *cells)
        return table

    def _said(self) -> Iterator[Text]:
        landed = [file for file in self.files if file.status == "landed"]
        skipped = sum(file.status == "skipped" for file in self.files)
        yield Text(f"{len(landed)} files landed, {skipped} skipped (already in), {len(self.faults)} refused")
        if self.whole.known_at_raised:
            yield Text(f"known_at raised to the end of the play in {self.whole.known_at_raised:,} rows")
        for name, counts in self.reference.items():
            yield Text(f"{name}: {counts.delivered:,} rows delivered, {counts.unreadable:,} unreadable")
            yield from (Text(f"  {example}") for example in counts.examples)
        yield from (Text(f"note: {note}") for note in self.notes)
        yield from (Text(f"error: {fault}", style="red") for fault in self.faults)


_LABELS = {"delivered": "delivered", "accepted": "accepted", "duplicate": "duplicates"}


def _lines(whole: Counts) -> Iterator[tuple[str, Any]]:
    yield "delivered", lambda counts: counts.delivered
    yield "accepted", lambda counts: counts.accepted
    yield "duplicate", lambda counts: counts.duplicates
    for rule in whole.quarantined:
        yield rule, lambda counts, rule=rule: counts.quarantined.get(rule, 0)
