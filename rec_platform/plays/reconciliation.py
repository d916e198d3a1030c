"""What an ingest did, for people (a table) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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

    def rows(self) -> list[dict[str, Any]]:
        """Delivered = accepted + duplicates + quarantined; the last column counts each rule by itself."""
        return [
            {
                "rows": _LABELS.get(name, f"quarantined: {name}"), "this call": of(self.call), "all so far": of(self.whole),
                "rule broken by (all so far)": self.whole.hits.get(name),
            }
            for name, of in _lines(self.whole)
        ]  # fmt: skip

    def said(self) -> Iterator[str]:
        """What else there is to say, line by line; faults apart."""
        landed = [file for file in self.files if file.status == "landed"]
        skipped = sum(file.status == "skipped" for file in self.files)
        yield f"{len(landed)} files landed, {skipped} skipped (already in), {len(self.faults)} refused"
        if self.whole.known_at_raised:
            yield f"known_at raised to the end of the play in {self.whole.known_at_raised:,} rows"
        for name, counts in self.reference.items():
            yield f"{name}: {counts.delivered:,} rows delivered, {counts.unreadable:,} unreadable"
            yield from (f"  {example}" for example in counts.examples)
        yield from (f"note: {note}" for note in self.notes)


_LABELS = {"delivered": "delivered", "accepted": "accepted", "duplicate": "duplicates"}


def _lines(whole: Counts) -> Iterator[tuple[str, Any]]:
    yield "delivered", lambda counts: counts.delivered
    yield "accepted", lambda counts: counts.accepted
    yield "duplicate", lambda counts: counts.duplicates
    for rule in whole.quarantined:
        yield rule, lambda counts, rule=rule: counts.quarantined.get(rule, 0)
