"""What is said of a feature file: what it declares, each fault with its line and repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rec_platform.clock import window_text
from rec_platform.errors import ConfigError
from rec_platform.features.encoders import Encoder
from rec_platform.timetravel.declared import OF_RECORDS, Fact


@dataclass(frozen=True)
class Fault:
    """Something wrong in a file: what, in which line (None: the file as a whole), and what to do about it."""

    fault: str
    line: int | None
    repair: str

    def place(self, file: Path) -> str:
        return str(file) if self.line is None else f"{file}, line {self.line}"


@dataclass(frozen=True)
class CheckedFile:
    """What a file declares and what is wrong with it.

    Attributes:
        facts, encoders: its own, in the order of the file.
        lines: where each is declared, by its `id`: two may have one name.
        faults: what keeps it from being used.
        notes: what is odd and does no harm.
    """

    file: Path
    facts: tuple[Fact, ...]
    encoders: tuple[Encoder, ...]
    lines: Mapping[int, int]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    def raise_if_faulty(self) -> None:
        """`FaultyFile` naming every fault, if there is any."""
        if self.faults:
            said = "; ".join(f"line {one.line}: {one.fault}" if one.line else one.fault for one in self.faults)
            several = f" `rec-platform features check {self.file}` says what to do about each."
            repair = self.faults[0].repair + (several if len(self.faults) > 1 else "")
            raise FaultyFile(said, place=f"feature file {self.file}", repair=repair, checked=self)

    def line(self, one: Fact | Encoder) -> int:
        """Where one of its facts or encoders is declared."""
        return self.lines[id(one)]

    def row(self, one: Fact | Encoder) -> dict[str, Any]:
        """A declaration in one row for people."""
        what, reads = ("feature", ", ".join(one.reads)) if isinstance(one, Encoder) else ("fact", said(one))
        return {"line": self.line(one), "what": what, "name": one.name, "unit": one.unit, "reads": reads,
                "about": one.about}  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "facts": [fact.to_json() for fact in self.facts],
            "features": [
                {"name": one.name, "unit": one.unit, "reads": list(one.reads), "about": one.about}
                for one in self.encoders
            ],
            "faults": [
                {"fault": one.fault, "place": one.place(self.file), "line": one.line, "repair": one.repair}
                for one in self.faults
            ],
            "notes": list(self.notes),
        }


class FaultyFile(ConfigError):
    """A feature file that has faults; `checked` has each of them apart."""

    def __init__(self, fault: str, *, place: str, repair: str, checked: CheckedFile) -> None:
        self.checked = checked
        super().__init__(fault, place=place, repair=repair)


def said(fact: Fact) -> str:
    """What a fact reads, in short.

    >>> said(Fact("tv", "profile_title", "plays", 3, where="device == 'tv'"))
    "plays of profile_title, 3d, where device == 'tv'"
    """
    parts = [f"{fact.measure} of {fact.entity}"]
    if fact.entity == "profile_attribute":
        parts.append(
            f"sharing any of the {fact.attribute}" if fact.kind == "instant" else f"{fact.over} over {fact.attribute}"
        )
    if fact.measure not in OF_RECORDS:
        parts.append("all time" if fact.window is None else window_text(fact.micros))
    return ", ".join([*parts, *([f"where {fact.where}"] if fact.where is not None else [])])
