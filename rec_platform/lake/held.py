"""Folders of a running process, and how the next one finds what a killed one left.

Each holds a file `HELD` that its process keeps locked. The system lets go of the lock with the process (flock), whatever its
number was and in whichever container it ran; so a folder that has the file, and nobody its lock, is left over. Nothing else
is looked at, least of all a folder's age.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from rec_platform.errors import StorageFault

HELD: Final = ".held-by-rec-platform"


class HeldFolder:
    """A folder of this process, removed on leaving the `with` block; what killed processes left beside it is removed first.

    Args:
        root: where it is made; made too, if it is not there.
        name: what its name begins with.

    Raises:
        StorageFault: files cannot be locked there.
    """

    def __init__(self, root: Path, name: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        remove_left(root)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root))
        self._lock = _locked(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _locked(folder: Path) -> IO[bytes]:
    fresh = folder / f"{HELD}.new"
    lock = fresh.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageFault(
            f"files cannot be locked: {error}", place=str(folder), repair="Choose a folder on a local file system."
        ) from error
    fresh.rename(folder / HELD)  # whoever sees the file finds it locked
    return lock


def remove_left(root: Path) -> None:
    """Remove the folders in `root` that killed processes left; those of living ones, and all else, stay."""
    for mark in root.glob(f"*/{HELD}"):
        try:
            with mark.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(mark.parent, ignore_errors=True)
        except OSError:  # held, another user's, or gone meanwhile
            continue
