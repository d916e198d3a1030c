"""All metrics of the platform. Those in files of the user's own: `own`."""

from __future__ import annotations

from typing import Final

from rec_platform.errors import ConfigError
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.beyond import BEYOND
from rec_platform.evaluation.exposure import EXPOSURE
from rec_platform.evaluation.metrics import STANDARD, Metric
from rec_platform.evaluation.pages import PAGE, PAGE_RANK
from rec_platform.evaluation.positions import FIRST_RANK, RANK
from rec_platform.evaluation.probability import CALIBRATION, log_loss

#: Evaluated unless told otherwise, each where what it needs is there.
ALL_METRICS: Final[tuple[Metric, ...]] = (*STANDARD, *BEYOND, log_loss)
ACCUMULATORS: Final[tuple[Accumulator, ...]] = (EXPOSURE, RANK, FIRST_RANK, CALIBRATION, PAGE, PAGE_RANK)


def check_names(metrics: tuple[Metric, ...], accumulators: tuple[Accumulator, ...]) -> None:
    """`ConfigError` if two metrics, or two accumulators, share a name."""
    read = [name for one in accumulators for name in one.readings]
    for names in ([*(one.name for one in metrics), *read], [one.name for one in accumulators]):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f"two metrics are called {twice[0]!r}", place="metrics", repair="Give each a name of its own."
            )
