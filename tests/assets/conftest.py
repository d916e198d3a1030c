"""One small deployment, run once by the command line, for all tests of the wiring and the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import DAY, small_home
from deployment import Deployment


@pytest.fixture(scope="session")
def deployment(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Deployment:
    """Six days of two countries, run for the last day. Several workers read it: what writes takes a copy."""

    def fill(folder: Path) -> None:
        Deployment(small_home(folder)).typed("run", "--from", DAY.isoformat(), "--to", DAY.isoformat())

    return Deployment(made_once("deployment", fill) / "home")
