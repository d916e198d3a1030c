"""What the machine has, or as much of it as this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: Where Linux says what a control group may use (version 2, version 1); containers are control groups.
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory() -> int:
    """Bytes of memory: the machine's, or the limit of the container that this runs in, if that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limit for path in _LIMITS if (limit := _limit(path)) is not None)])


def _limit(path: Path) -> int | None:
    """The bytes that a file names; None where there is no file, or no limit."""
    try:
        said = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None
