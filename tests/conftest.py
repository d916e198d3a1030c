"""What every test may use, and which tests run on one worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

#: Folders whose files share one home that is expensive to make.
SHARED_HOMES = ("tests/assets", "tests/proofs")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets: `REC_PLATFORM_SHARED_DATA`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("REC_PLATFORM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the public data sets are not at {folder}")
    return folder


def unit(node: str) -> str:
    """Tests of one unit run on one worker, so that what they share is made once: a file, or a folder with one home."""
    file = node.split("::", 1)[0]
    folder = file.rpartition("/")[0]
    return folder if folder in SHARED_HOMES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Units, in the order of collection. (The marks of `loadgroup` have no effect with pytest 9.2: pytest-xdist #1386.)"""
    if config.getvalue("dist") not in ("loadfile", "loadgroup"):
        return None
    from xdist.scheduler import LoadFileScheduling

    class Units(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Units with slow tests come first, so that no worker is left with a long one at the end."""
    slow = {unit(item.nodeid) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: unit(item.nodeid) not in slow)
