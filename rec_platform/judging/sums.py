"""The sums that commands read: stored ones where they hold what is asked for, else made now from stored scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from rec_platform.clock import days_between
from rec_platform.config import Settings
from rec_platform.errors import ConfigError, MissingInput
from rec_platform.evaluation import on_demand
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.measured_on import on_fewer, scored_models
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.own import NONE, Own, load, platforms, tried
from rec_platform.evaluation.plan import CONTEXT
from rec_platform.evaluation.protocol import SESSION
from rec_platform.evaluation.registry import ACCUMULATORS
from rec_platform.evaluation.slices import ALL
from rec_platform.evaluation.stage import rolled_up, stored_sums
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.stage import Input
from rec_platform.tables import METRIC_SUMS, SCORES_TABLE


@dataclass(frozen=True)
class Files:
    """Metrics and slices of the user's own.

    Attributes:
        stored: of the files that the settings name: the stage stores their numbers.
        given: of the files that a command was given: worked out from stored scores.
    """

    stored: Own = NONE
    given: Own = NONE

    @classmethod
    def of(cls, settings: Settings, files: Sequence[Path] = ()) -> Files:
        """Those of the settings, and of these files, which are tried first; a file of both is only given.

        Raises `ConfigError` for what cannot be meant, or for names that both declare.
        """
        again = {file.resolve() for file in files}
        stored = load([file for file in settings.evaluation.files if Path(file).resolve() not in again])
        given = tried([str(file) for file in files])
        taken = {*stored.names, *(one.name for one in stored.slices)}
        for name in (*given.names, *(one.name for one in given.slices)):
            if name in taken:
                raise ConfigError(
                    f"{name!r} stands in a file that platform.toml names, too", place="--with",
                    repair="Rename one of them, or give that very file.",
                )  # fmt: skip
        return cls(stored, given)

    def asked(self, metrics: Sequence[str]) -> Files:
        """With what the platform has of these metrics (`coverage`, `ndcg@10`), for sums that nobody stored."""
        return replace(self, stored=self.stored + platforms([name.partition("@")[0] for name in metrics]))

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        """All that can be read: the platform's, and those of the files."""
        return ACCUMULATORS + self.stored.accumulators + self.given.accumulators


NO_FILES: Final = Files()


def published(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> list[Partition]:
    """The partitions of these days and countries whose metrics are stored; `MissingInput` with those there are, if none is."""
    there = sorted(platform.index.state(METRIC_SUMS.name), key=lambda one: (one.day, one.place))
    found = [one for one in there if first <= one.day <= last and (not countries or one.place in countries)]
    if not found:
        which = ", ".join(sorted({one.place for one in there}))
        choice = (
            f"Published are {there[0].day} to {there[-1].day} for {which}: choose among those, or run"
            if there
            else "Run"
        )
        raise MissingInput(
            "no metrics are published for these days and countries", place=METRIC_SUMS.name,
            repair=f"{choice} `rec-platform run --from {first} --to {last}` first.",
        )  # fmt: skip
    return found


def left_out(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> str:
    """What of the days and countries asked for is in no number, because nobody made it; empty if all is there."""
    found = published(platform, first, last, countries)
    days, asked = sorted({one.day for one in found}), (last - first).days + 1
    strange = ", ".join(sorted(set(countries) - {one.place for one in found}))
    few = f"{len(days)} of these {asked} days are published, from {days[0]} to {days[-1]}" if len(days) < asked else ""
    return "; ".join(text for text in (few, f"nothing is published of {strange}" if strange else "") if text)


def measured_on_fewer(
    platform: Platform, first: date, last: date, countries: Sequence[str] = (), models: Sequence[str] = ()
) -> str:
    """Which models (of these, if any are named) lack scores of some of these days and countries; empty if none does."""
    there = published(platform, first, last, countries)
    return on_fewer(scored_models(platform.index.state(SCORES_TABLE.name), there), models)


def sums_of(
    platform: Platform,
    first: date,
    last: date,
    countries: Sequence[str],
    *,
    by: str | None = ALL,
    protocol: str = SESSION,
    estimand: str = CONTEXT,
    files: Files = NO_FILES,
) -> MetricSums:
    """Stored sums where they hold the slice (None: any), else sums made now from stored scores.

    What files given besides declare is always made now.
    """
    stored, own = None, files.given
    if protocol == SESSION and estimand == CONTEXT:
        published(platform, first, last, countries)
        reader = platform.reader(Input(METRIC_SUMS.name, first, last, every_country=True, optional=True))
        stored = rolled_up(stored_sums(reader, first, last, list(countries) or None))
        if by is None or by in {key.slice for key in stored.keys}:
            if not own or (by is not None and not own.names):
                return stored
        else:
            stored = None
    own = own if stored is not None else files.stored + own
    inputs = on_demand.inputs(first, last, protocol, platform.index.countries, own.needs)
    judged_before = Input(METRIC_SUMS.name, first, last, every_country=True, optional=True)
    reader = platform.reader(*inputs, judged_before)
    table = METRIC_SUMS.name if stored is not None else SCORES_TABLE.name if protocol == SESSION else inputs[0].table
    partitions = [
        partition
        for day in days_between(first, last)
        for partition in reader.published(table, day)
        if not countries or partition.place in countries
    ]
    # of a slice that is not stored, the usual metrics, too
    usual = STANDARD if stored is None or (by is None and own.slices) else ()
    made = on_demand.judged(
        reader, partitions, platform.settings, by=by, metrics=usual, own=own, protocol=protocol, estimand=estimand
    )
    return made if stored is None else on_demand.beside(stored, made, own)
