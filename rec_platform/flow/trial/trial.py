"""A feature file beside a home, and the training sets it is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY, days_between
from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ConfigError, MissingInput
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.check import check_file
from rec_platform.flow.platform import Platform
from rec_platform.flow.window import Window
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources
from rec_platform.stage import Input, Reader
from rec_platform.tables import CANDIDATE_MODELS, CONTEXTS, PLAY_FACTS, TABLES, TRAINING_SETS

#: What is read of training sets: what encoders and weights need, and the items.
_READ: Final = (
    c.PROFILE, c.DMC12_NAMES[c.COUNTRY], c.CONTEXT_ID, c.AT, c.DEVICE, c.TENURE_DAYS, c.INCLUSION_PROBABILITY, c.ITEMS
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A feature file beside a home: what it adds, and the days it is tried on.

    Attributes:
        platform: the home; nothing of it is changed.
        settings: its settings as they would be with the file.
        added: the names of the new features, in the order of the file.
        first, last, countries: what is looked at.
    """

    platform: Platform
    settings: Settings
    added: tuple[str, ...]
    first: date
    last: date
    countries: tuple[str, ...]

    @classmethod
    def of(cls, home: Path, file: Path, first: date, last: date, countries: Sequence[str] = ()) -> Trial:
        """The trial of a file; it is checked first. Where the home's settings name it already, it counts as new.

        Raises:
            ConfigError: the file has faults, or declares no feature.
            KeyRefused: days or countries that were not delivered.
        """
        platform = Platform(home)
        window = Window.checked(platform.index, platform.settings, first, last, tuple(countries))
        others = tuple(one for one in platform.settings.features.files if Path(one).resolve() != file.resolve())
        config = platform.settings.features.model_copy(update={"files": others})
        checked = check_file(file, beside=FeatureSet.from_config(config))
        checked.raise_if_faulty()
        added = tuple(one.name for one in checked.encoders)
        if not added:
            raise ConfigError(
                "it declares no encoder, so no feature", place=f"feature file {file}", repair="See docs/features.md."
            )
        leave_out = tuple(name for name in config.leave_out if name not in added)
        config = config.model_copy(update={"files": (*others, str(file)), "leave_out": leave_out})
        settings = platform.settings.model_copy(update={"features": config})
        return cls(platform, settings, added, first, last, window.countries)

    @property
    def features(self) -> FeatureSet:
        """Every feature, the new ones among them."""
        return FeatureSet.from_config(self.settings.features)

    @property
    def days(self) -> list[date]:
        return list(days_between(self.first, self.last))

    def reader(self, first: date) -> Reader:
        """A reader over all that a trial reads, training sets from `first` on."""
        closed = self.last + timedelta(days=self.settings.labels.horizon_days - 1)
        return self.platform.reader(
            Input(TRAINING_SETS.name, first, self.last, every_country=True, optional=True),
            Input(CONTEXTS.name, self.first, self.last, self.countries, optional=True),
            Input(PLAY_FACTS.name, FIRST_DAY, closed, every_country=True, optional=True),
            Input(CANDIDATE_MODELS.name, FIRST_DAY, self.last, optional=True),
            *(Input(spec.name) for spec in TABLES if spec.stage == "reference"),
        )


def published(reader: Reader, days: Sequence[date]) -> list[Partition]:
    """The training sets of these days; `MissingInput` if there are none."""
    there = reader.published(TRAINING_SETS.name)
    found = [part for part in there if part.day in set(days)]
    if not found:
        have = f"{there[0].day} to {there[-1].day}" if there else "none"
        raise MissingInput(
            f"no training sets are published for {days[0]} to {days[-1]}", place="training_sets",
            repair=f"Run `rec-platform run` for later days, which makes those before them, or choose others; read: {have}.",
        )  # fmt: skip
    return found


def read_frame(reader: Reader, part: Partition) -> Frame:
    return flat(reader.read(TRAINING_SETS.name, [part], _READ))


def without_features(frame: Frame) -> Frame:
    return Frame(frame.contexts, frame.offsets, frame.items, pa.table({}), pa.table({}))


def with_added(trial: Trial, frame: Frame, sources: Sources) -> Frame:
    """The frame with the new columns, each context's as of its own instant."""
    return FeatureGenerator(trial.features.select(trial.added)).apply(frame, sources)
