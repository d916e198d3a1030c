"""Dagster's own home beside the lake: no telemetry, no dialogs, monitored runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from assets.home import HOME_VARIABLE

_SETTINGS: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
run_retries:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
"""


def prepare(home: Path) -> Path:
    """Make `home` the platform of this process and of its children; returns Dagster's folder in it."""
    folder = home.absolute() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_SETTINGS, encoding="utf-8")
    os.environ[HOME_VARIABLE] = str(home.absolute())
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder
