"""What every test may use, and which tests run on one worker."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets: `REC_PLATFORM_SHARED_DATA`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("REC_PLATFORM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the public data sets are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Gives a folder that some function fills: once for all workers, who wait for it. Not to be written to."""
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        place = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / "whole").exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                fill(place)
                (place / "whole").touch()
        return place

    return folder


def unit(node: str) -> str:
    """Tests of one unit run on one worker, so that what they share is made once: those of a file."""
    return node.split("::", 1)[0]


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
    """Units with slow tests come first, so that no worker is left with a long one at the end.

    Those of a folder are not neighbours: they may share a home, and the second would wait while the first makes it.
    """
    slow = {unit(item.nodeid) for item in items if item.get_closest_marker("slow")}
    places: dict[str, dict[str, int]] = {}
    for item in items:
        name = unit(item.nodeid)
        units = places.setdefault(name.rpartition("/")[0] if name in slow else "", {})
        units.setdefault(name, len(units) if name in slow else 0)
    flat = {name: place for units in places.values() for name, place in units.items()}
    items.sort(key=lambda item: (unit(item.nodeid) not in slow, flat[unit(item.nodeid)]))
