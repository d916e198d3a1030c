"""The disk under a table: its faults as the one error that a retry can cure, and writers that take turns."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deltalake.exceptions import DeltaError, TableNotFoundError

from rec_platform.errors import MissingInput, StorageFault

#: What to do about a published file that is not where its commit put it.
LOST: Final = "if that is no help the file is gone, and `rec-platform run --force` for its date writes it again."


@contextmanager
def storage(table: str) -> Iterator[None]:
    """Turn what disks and logs raise into the one error that a retry can cure."""
    try:
        yield
    except TableNotFoundError as error:
        raise MissingInput(
            f"table {table} has no such version: {error}", place="lake", repair="Run the stage that publishes it."
        ) from error
    except (OSError, DeltaError) as error:
        gone = isinstance(error, FileNotFoundError)
        raise StorageFault(
            f"{type(error).__name__}: {error}", place=f"table {table}",
            repair="Run the same command again" + (f"; {LOST}" if gone else "."),
        ) from error  # fmt: skip


@contextmanager
def one_writer(home: Path, table: str) -> Iterator[None]:
    """Writers of one table take turns: two first commits of a partition would otherwise both stand in it.

    Delta's own conflict check would miss that case, since neither commit removes a file.
    """
    lock = home / "locks" / table
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
