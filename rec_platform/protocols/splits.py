"""Named splits: which interactions judge, which train, and what that lets models know that they should not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from rec_platform.clock import iso
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.errors import ConfigError
from rec_platform.protocols.interactions import Interactions, Ints

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Parts:
    """A split, done. Both masks are over the interactions; what is in neither is left out."""

    train: Bools
    test: Bools


class Split(ABC):
    """A way to part a log.

    Class attributes:
        name: what its numbers are labelled with.
        leaks: what models get to know that was not known when the judged interactions happened; empty where nothing is.
    """

    name: ClassVar[str]
    leaks: ClassVar[str]

    @abstractmethod
    def __call__(self, log: Interactions) -> Parts:
        """The parts; the same log gives the same parts."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The name with its parameters, as stored with every number."""


@dataclass(frozen=True)
class LeaveOneOut(Split):
    """Each profile's last interaction judges, all before it train; a profile with one interaction only trains.

    Attributes:
        validation: judge the one before the last instead, and leave the last out (to choose parameters on), also of a
            profile with two, of which none is judged then.
    """

    validation: bool = False

    name: ClassVar[str] = "leave-one-out"
    leaks: ClassVar[str] = "models train on what other profiles did after the judged interaction"

    def __call__(self, log: Interactions) -> Parts:
        starts = log.starts
        from_end = starts[log.profile + 1] - np.arange(len(log))
        judged, many = 2 if self.validation else 1, np.diff(starts)[log.profile]
        return Parts(from_end > np.minimum(judged, many - 1), (from_end == judged) & (many > judged))

    @property
    def label(self) -> str:
        return self.name + (" (validation)" if self.validation else "")


@dataclass(frozen=True)
class _Random(Split):
    """A share of each group's interactions judges, drawn by hash; `round(share x n)` of n, never all of them."""

    leaks: ClassVar[str] = "models train on what the same profile, and all others, did after the judged interactions"
    share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigError(
                f"a share of {self.share}", place=f"split {self.name}", repair="Choose one between 0 and 1."
            )

    @abstractmethod
    def groups(self, log: Interactions) -> Ints:
        """The group of each interaction."""

    def __call__(self, log: Interactions) -> Parts:
        group = self.groups(log)
        words = mix(mix(seeded(self.seed, purpose=self.name), log.profile), np.arange(len(log)))
        order = np.lexsort((words, group))
        sizes = np.bincount(group)
        starts = np.cumsum(sizes) - sizes
        place = np.empty(len(log), dtype=np.int64)
        place[order] = np.arange(len(log)) - starts[group[order]]
        drawn = np.minimum(np.rint(self.share * sizes), np.maximum(sizes - 1, 0)).astype(np.int64)
        test = place < drawn[group]
        return Parts(~test, test)

    @property
    def label(self) -> str:
        return f"{self.name} (share {self.share:g}, seed {self.seed})"


@dataclass(frozen=True)
class RandomPerProfile(_Random):
    """A random share of each profile's interactions judges."""

    name: ClassVar[str] = "random-per-profile"

    def groups(self, log: Interactions) -> Ints:
        return log.profile


@dataclass(frozen=True)
class RandomPerTitle(_Random):
    """A random share of each title's interactions judges."""

    name: ClassVar[str] = "random-per-title"

    def groups(self, log: Interactions) -> Ints:
        return log.title


@dataclass(frozen=True)
class GlobalTime(Split):
    """What happened at or after one instant judges, all before it trains: what the platform itself does.

    Attributes:
        cut: microseconds since 1970; None is the instant before which 80 % of the interactions happened.
    """

    cut: int | None = None

    name: ClassVar[str] = "global-time"
    leaks: ClassVar[str] = ""

    def __call__(self, log: Interactions) -> Parts:
        if not log.timed:
            raise ConfigError(
                "the interactions have no times", place="split global-time",
                repair="Name the column of when (`at`), or choose leave-one-out.",
            )  # fmt: skip
        cut = int(np.quantile(log.at, 0.8, method="higher")) if self.cut is None and len(log) else self.cut or 0
        test = log.at >= cut
        return Parts(~test, test)

    @property
    def label(self) -> str:
        return self.name + (" (last 20 %)" if self.cut is None else f" (from {iso(self.cut)})")


SPLITS: Final[dict[str, type[Split]]] = {
    one.name: one for one in (LeaveOneOut, RandomPerProfile, RandomPerTitle, GlobalTime)
}


def foreknowledge(log: Interactions, parts: Parts) -> float:
    """How much of the future the split trains on: for the mean judged interaction, the share of training interactions
    that happened at or after it. 0 for a cut in time; NaN without times, or with nothing on one side."""
    train = np.sort(log.at[parts.train])
    judged = log.at[parts.test]
    if not log.timed or not len(train) or not len(judged):
        return float("nan")
    return float(1 - np.searchsorted(train, judged, side="left").mean() / len(train))
