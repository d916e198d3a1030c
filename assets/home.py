"""Where the platform lives, as a Dagster resource."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import dagster as dg
from pydantic import PrivateAttr

from rec_platform.flow import Platform

#: Environment variable, and the default folder (which git ignores) under the project.
HOME_VARIABLE: Final = "REC_PLATFORM_HOME"
DEFAULT_HOME: Final = Path(__file__).parents[1] / ".rec-platform"

#: Platforms that several Dagster runs of one process share, by folder: `rec-platform run` fixes versions once for all stages.
_SHARED: dict[str, Platform] = {}


def home_folder() -> Path:
    """The home the environment names, else the default under the project."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).absolute()


def share(platform: Platform) -> None:
    """Let the following runs of this process use this platform, with the versions it has fixed."""
    _SHARED[str(platform.home)] = platform


class Home(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A deployment's home. One Dagster run opens it once: all its stages read the versions fixed at its start."""

    folder: str
    _platform: Platform | None = PrivateAttr(default=None)

    def platform(self) -> Platform:
        if self._platform is None:
            self._platform = _SHARED.get(self.folder) or Platform(Path(self.folder))
        return self._platform
