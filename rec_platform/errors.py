"""Errors that name the fault, the place and the repair.

Every error a user can meet derives from `PlatformError` and is built from three parts, so that no message can
forget one of them: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import re


class PlatformError(Exception):
    """A fault a user can repair. `str()` reads "fault (place). Repair."."""

    def __init__(self, fault: str, *, place: str, repair: str) -> None:
        self.fault = fault
        self.place = place
        self.repair = repair
        super().__init__(f"{fault} ({place}). {repair}")


class ConfigError(PlatformError):
    """A configuration or mapping file says something that cannot be meant."""


class KeyRefused(PlatformError):
    """A key (country, date, table or feature name) that is not on its allow-list."""


class SourceError(PlatformError):
    """A delivered file cannot be taken in as it is: a column missing, a file unreadable or empty."""


class SchemaError(PlatformError):
    """A table or frame lacks a column, or has it with another type, than the step that reads it declares."""


class MissingInput(PlatformError):
    """A partition that a stage needs has never been published (an empty one has; it is not missing)."""


class AuditFailed(PlatformError):
    """Staged partitions that broke a blocking check. Nothing of them was published."""


class Incomplete(PlatformError):
    """Partitions that were published without a part of them, which raised when it was made."""


class StorageFault(PlatformError):
    """The lake could not be read or written: the only kind of error that a retry can cure."""


class ArtefactError(PlatformError):
    """A stored model does not match its manifest, or was made by code that no longer reads it."""


class ModelFault(PlatformError):
    """A model raised when it was loaded or asked for scores."""


class NumericError(PlatformError):
    """A number that must not be: a NaN score, an infinite weight."""


def of_files(error: OSError) -> StorageFault:
    """What the operating system or Arrow says of a path, as an error with a repair.

    >>> print(of_files(FileNotFoundError(2, "No such file or directory", "/nowhere/out.csv")))
    No such file or directory (/nowhere/out.csv). See that the path is right, can be written to, and the disk has room.
    """
    text = str(error)
    named = re.search(r"'([^']+)'", text)
    path = str(error.filename) if error.filename else named.group(1) if named else text
    lake = "; a published file that is gone is written again by `rec-platform run --force` for its date"
    return StorageFault(
        error.strerror or (text if text != path else type(error).__name__), place=path,
        repair="See that the path is right, can be written to, and the disk has room"
        + (lake if "/lake/" in path and path.endswith(".parquet") else "") + ".",
    )  # fmt: skip
