"""A home that several files of this folder go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from simulated_homes import NINE_DAYS, NINE_DAYS_LAST, THREE_TRAINING_DAYS, TO_SCORES, fill, run

from rec_platform.simulation import simulate


@pytest.fixture(scope="session")
def nine_days(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The home of `NINE_DAYS`, run for the last day up to its training sets. Several workers read it: take a copy."""
    return made_once("nine_days", _make) / "home"


def _make(folder: Path) -> None:
    simulate(NINE_DAYS, folder / "world")
    home = fill(folder / "home", (folder / "world" / "delivery").iterdir(), THREE_TRAINING_DAYS)
    run(home, NINE_DAYS_LAST, NINE_DAYS_LAST, TO_SCORES[: TO_SCORES.index("ranker_models")])
