from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from rec_platform.flow import Platform, Window
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.simulation import CountryConfig, WorldConfig, simulate

MAPPING = Path(__file__).parents[2] / "examples" / "mappings" / "simulated.toml"
COUNTRIES = (
    CountryConfig(code="US", time_zone="America/New_York", share=0.6),
    CountryConfig(code="DE", time_zone="Europe/Berlin", share=0.4),
)
WORLD = WorldConfig.small(
    plays=3_000, days=9, n_titles=90, n_profiles=170, countries=COUNTRIES, late_share=0.1, empty_day=None
)
LAST = WORLD.start + timedelta(days=7)
SETTINGS = "[rankers]\ntraining_days = 2\nmin_training_days = 1\nn_trees = 3\n"
STAGES = (
    "reference", "raw_plays", "facts", "feature_snapshots", "candidate_models", "training_sets", "ranker_models",
    "scores",
)  # fmt: skip


@pytest.fixture(scope="session")
def last() -> date:
    return LAST


@pytest.fixture(scope="session")
def made(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A home of a simulated world with late plays, run to the scores of one day. Several workers read it."""
    return made_once("proofs", _make) / "home"


def _make(folder: Path) -> None:
    simulate(WORLD, folder / "world")
    home = folder / "home"
    home.mkdir()
    (home / "platform.toml").write_text(SETTINGS, encoding="utf-8")
    ingest(home, load_mapping(MAPPING), sorted((folder / "world" / "delivery").iterdir()))
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, LAST, LAST)
    for stage in STAGES:
        platform.run(stage, platform.needed(stage, window), run_id="proofs").raise_if_failed()
