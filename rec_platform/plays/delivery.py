"""The files of one ingest: found, hashed, told apart, and refused one by one without losing the others."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from rec_platform.errors import SourceError
from rec_platform.lake import Lake
from rec_platform.plays.files import probe
from rec_platform.plays.mapping import SourceMapping
from rec_platform.plays.reconciliation import FileReport
from rec_platform.plays.reference import LANDED
from rec_platform.plays.typed import EARLIEST
from rec_platform.tables import LANDING

#: What is told while an ingest runs: what is being done, how much of it is done, of how much.
Progress = Callable[[str, int, int], None]

#: A mapped column of which no text can be read, over at least so many rows of a file, was renamed or retyped.
RETYPED_ROWS: Final = 20


@dataclass
class DeliveredFile:
    """A file of this call and what is known of it so far.

    Attributes:
        number: its place among the files of the call.
        newest: the newest instant in it, the earliest moment at which it can have been delivered.
        names: the columns it has.
        readable: per mapped column, how many texts there are, how many cannot be read, and one of those.
        fault: why it was refused.
        skipped: its content has landed before.
    """

    number: int
    path: Path
    section: str
    sha256: str = ""
    utf8: bool = True
    rows: int = 0
    newest: int = EARLIEST
    names: tuple[str, ...] = ()
    readable: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    fault: SourceError | None = None
    skipped: bool = False

    @property
    def taken(self) -> bool:
        return self.fault is None and not self.skipped

    def refuse(self, fault: str, repair: str) -> None:
        """Refuse the file, for the first fault found in it."""
        self.fault = self.fault or SourceError(fault, place=self.path.name, repair=repair)

    def refuse_missing(self, needed: Iterable[str]) -> None:
        missing = [name for name in needed if name not in self.names]
        if missing:
            self.refuse(
                f"column {', '.join(missing)} is missing: the file has {', '.join(self.names) or 'none'}",
                "Deliver it with that column, or name the right one in the mapping.",
            )

    def refuse_retyped(self) -> None:
        for column, (texts, bad, example) in self.readable.items():
            if texts == bad >= RETYPED_ROWS:
                self.refuse(
                    f"column {column} cannot be read in any of its {texts} rows, for example {example!r}",
                    "It was renamed or holds another type now: correct the file, or the mapping.",
                )

    def note_read(self, column: str, texts: int, bad: int, example: str | None) -> None:
        old = self.readable.get(column, (0, 0, ""))
        self.readable[column] = (old[0] + texts, old[1] + bad, old[2] or example or "")

    def report(self) -> FileReport:
        status: Literal["landed", "skipped", "refused"] = (
            "refused" if self.fault else "skipped" if self.skipped else "landed"
        )
        return FileReport(self.path.name, self.section, status, self.rows if self.taken else 0)


def find_files(paths: Sequence[Path], mapping: SourceMapping) -> tuple[list[DeliveredFile], list[SourceError]]:
    """Every file to read with its section, and what could not be found or placed.

    Folders are searched to any depth; what no section reads is passed over there, and is an error where it was named.
    """
    faults: list[SourceError] = []
    found: dict[Path, str] = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
        matching = {file: section_of(file, mapping) for file in inside if not file.is_dir()}
        found |= {file: section for file, section in matching.items() if section}
        if not any(matching.values()):
            faults.append(_nothing_there(path, mapping))
    return [DeliveredFile(number, path, section) for number, (path, section) in enumerate(found.items())], faults


def section_of(path: Path, mapping: SourceMapping) -> str:
    """The first section that reads a file of this name; empty if none does."""
    for name, layout in mapping.sections().items():
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in layout.files):
            return name
    return ""


def _nothing_there(path: Path, mapping: SourceMapping) -> SourceError:
    patterns = "; ".join(f"{name}: {', '.join(layout.files)}" for name, layout in mapping.sections().items())
    if not path.exists():
        fault = "there is no such file or folder"
    elif not path.is_dir():
        fault = "no section of the mapping reads this file"
    elif any(path.iterdir()):
        fault = "the folder holds no file that a section of the mapping reads"
    else:
        fault = "the folder is empty"
    return SourceError(fault, place=str(path), repair=f"The mapping {mapping.name} reads {patterns}.")


def landing_table(section: str) -> str:
    """The table that the files of a section land in."""
    return LANDING.name if section == "plays" else LANDED[section].name


def skip_known(files: Sequence[DeliveredFile], lake: Lake, section: str, progress: Progress) -> None:
    """Hash the files of a section; those whose content landed before, or comes twice in this call, are skipped."""
    known = {
        entry["sha256"]
        for manifest in lake.manifests(landing_table(section))
        for entry in manifest["extra"].get("files", ())
        if entry["section"] == section
    }
    own = [file for file in files if file.section == section]
    for done, file in enumerate(own):
        progress(f"looking at {section} files", done, len(own))
        try:
            probed = probe(file.path)
        except SourceError as fault:
            file.fault = fault
            continue
        file.sha256, file.utf8 = probed.sha256, probed.utf8
        file.skipped = file.sha256 in known
        known.add(file.sha256)
