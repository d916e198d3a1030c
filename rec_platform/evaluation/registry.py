"""All metrics there are: those of the platform, and those in files of the user's own."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from rec_platform.errors import ConfigError
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.beyond import BEYOND
from rec_platform.evaluation.exposure import EXPOSURE
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.positions import FIRST_RANK, RANK
from rec_platform.evaluation.probability import CALIBRATION, log_loss

#: Evaluated unless told otherwise, each where what it needs is there.
ALL_METRICS: Final[tuple[Metric, ...]] = (*STANDARD, *BEYOND, log_loss)
ACCUMULATORS: Final[tuple[Accumulator, ...]] = (EXPOSURE, RANK, FIRST_RANK, CALIBRATION)


@dataclass(frozen=True)
class Own:
    """What files of the user's own define."""

    metrics: tuple[Metric, ...] = ()
    accumulators: tuple[Accumulator, ...] = ()


def load(files: tuple[str, ...]) -> Own:
    """The metrics and accumulators of Python files, file by file, by name within a file.

    Raises `ConfigError` for a file that is none, or that defines nothing.
    """
    found = [_of_file(_python_file(file)) for file in files]
    return Own(
        tuple(one for own in found for one in own.metrics), tuple(one for own in found for one in own.accumulators)
    )


def fingerprints(files: tuple[str, ...]) -> list[str]:
    """SHA-256 of each file of metrics: a changed metric makes stored numbers stale."""
    return [hashlib.sha256(_python_file(file).read_bytes()).hexdigest() for file in files]


def _python_file(file: str) -> Path:
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError("not a Python file", place=file, repair="Name a .py file that defines metrics.")
    return path


def _of_file(path: Path) -> Own:
    known = {id(one) for one in (*ALL_METRICS, *ACCUMULATORS)}
    things = [thing for thing in vars(_module(path)).values() if id(thing) not in known]
    metrics = [thing for thing in things if isinstance(thing, Metric)]
    accumulators = [thing for thing in things if isinstance(thing, Accumulator)]
    if not metrics and not accumulators:
        raise ConfigError(
            "no metric in it", place=str(path),
            repair="Decorate a function with @metric(name, about=...), or make an Accumulator.",
        )  # fmt: skip
    return Own(tuple(sorted(metrics, key=_name)), tuple(sorted(accumulators, key=_name)))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rec_platform_metrics_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _name(thing: Metric | Accumulator) -> str:
    return thing.name


def check_names(metrics: tuple[Metric, ...], accumulators: tuple[Accumulator, ...]) -> None:
    """`ConfigError` if two metrics, or two accumulators, share a name."""
    read = [name for one in accumulators for name in one.readings]
    for names in ([*(one.name for one in metrics), *read], [one.name for one in accumulators]):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f"two metrics are called {twice[0]!r}", place="metrics", repair="Give each a name of its own."
            )
