"""A container's limit counts where it is less than what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rec_platform import machine

WHOLE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("said", "bytes_there"),
    [("1048576\n", 1 << 20), ("max\n", WHOLE), (f"{WHOLE * 4}\n", WHOLE), (None, WHOLE)],
)
def test_memory_is_the_machines_or_the_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, bytes_there: int
) -> None:
    limit = tmp_path / "memory.max"
    if said is not None:
        limit.write_text(said)
    monkeypatch.setattr(machine, "_LIMITS", (limit, tmp_path / "not there"))
    assert machine.memory() == bytes_there
