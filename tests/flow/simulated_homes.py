"""Homes filled from a simulated world, and the flow run over them as `rec-platform run` does, without Dagster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

from rec_platform.flow import LAYERS, Platform, Report, Window
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.simulation import CountryConfig, WorldConfig

MAPPING = Path(__file__).parents[2] / "examples" / "mappings" / "simulated.toml"
COUNTRIES = (
    CountryConfig(code="US", time_zone="America/New_York", share=0.6),
    CountryConfig(code="DE", time_zone="Europe/Berlin", share=0.4),
)
FLOW = tuple(stage for layer in LAYERS for stage in layer)
#: What scores are made of, and the scores.
TO_SCORES = ("reference", "raw_plays", "facts", "candidate_models", "training_sets", "ranker_models", "scores")


def world(*, plays: int, days: int, n_titles: int, **changes: object) -> WorldConfig:
    """A world of two countries in which a profile plays about twice a day."""
    profiles = round(plays / days / 2)
    return WorldConfig.small(
        plays=plays, days=days, n_titles=n_titles, n_profiles=profiles, countries=COUNTRIES, **changes
    )


#: A small world, its last day, and the settings that its rankers learn by: see `nine_days`.
NINE_DAYS = world(plays=3_000, days=9, n_titles=80)
NINE_DAYS_LAST = NINE_DAYS.start + timedelta(days=NINE_DAYS.days - 1)
THREE_TRAINING_DAYS = "[rankers]\ntraining_days = 3\nn_trees = 5\n"


def fill(home: Path, files: Iterable[Path], platform_toml: str) -> Path:
    """The home with its settings written and the files taken in."""
    home.mkdir()
    (home / "platform.toml").write_text(platform_toml, encoding="utf-8")
    ingest(home, load_mapping(MAPPING), sorted(files))
    return home


def run(home: Path, first: date, last: date, stages: Sequence[str] = FLOW) -> dict[str, Report]:
    """What these stages did for the days from `first` to `last`; an error if a partition was not published."""
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, first, last)
    reports = {stage: platform.run(stage, platform.needed(stage, window), run_id="test") for stage in stages}
    for report in reports.values():
        report.raise_if_failed()
    return reports
