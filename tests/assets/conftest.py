"""One small deployment, run once by the command line, for all tests of the wiring and the commands."""

from __future__ import annotations

import pytest
from daemon import DAY, small_home
from deployment import Deployment


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Six days of two countries, run for the last day."""
    made = Deployment(small_home(tmp_path_factory.mktemp("deployment")))
    made.command("run", "--from", DAY.isoformat(), "--to", DAY.isoformat())
    return made
