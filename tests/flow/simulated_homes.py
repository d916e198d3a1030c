"""Homes filled from a simulated world, and the flow run over them as `rec-platform run` does, without Dagster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
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


def world(*, plays: int, days: int, n_titles: int, **changes: object) -> WorldConfig:
    """A world of two countries in which a profile plays about twice a day."""
    profiles = round(plays / days / 2)
    return WorldConfig.small(
        plays=plays, days=days, n_titles=n_titles, n_profiles=profiles, countries=COUNTRIES, **changes
    )


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
