"""A sample of a home's own data, to measure costs on."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform.clock import FIRST_DAY
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.features import FeatureSet
from rec_platform.features.sample import Sample
from rec_platform.flow.platform import Platform
from rec_platform.flow.trial.trial import read_frame, without_features
from rec_platform.partition import Partition
from rec_platform.stage import Input
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, TABLES, TITLES, TRAINING_SETS
from rec_platform.timetravel.timeline import PLAY_COLUMNS

#: Newest plays and item rows of a sample of a home.
SAMPLE_PLAYS: Final = 200_000
SAMPLE_ROWS: Final = 100_000


def home_sample(platform: Platform, features: FeatureSet) -> Sample | None:
    """The newest published training contexts and the newest plays of all history before them; None without any."""
    last = platform.index.last_day
    reader = platform.reader(
        Input(TRAINING_SETS.name, FIRST_DAY, last, every_country=True, optional=True),
        Input(PLAY_FACTS.name, FIRST_DAY, last, every_country=True, optional=True),
        *(Input(spec.name) for spec in TABLES if spec.stage == "reference"),
    )
    frames: list[Frame] = []
    for part in reversed(reader.published(TRAINING_SETS.name)):
        if sum(frame.n_items for frame in frames) < SAMPLE_ROWS:
            frames.append(without_features(read_frame(reader, part)))
    if not sum(frame.n_contexts for frame in frames):
        return None
    columns = tuple(dict.fromkeys((*PLAY_COLUMNS, *features.play_columns)))
    parts, held = [], 0
    for part in reversed(reader.published(PLAY_FACTS.name)):
        if held < SAMPLE_PLAYS:
            parts.append(reader.read(PLAY_FACTS.name, [part], columns))
            held += parts[-1].num_rows
    tables = (reader.read(spec.name, [Partition()]) for spec in (TITLES, PROFILES, AVAILABILITY))
    titles, profiles, offers = tables
    return Sample(
        pa.concat_tables(parts).slice(0, SAMPLE_PLAYS),
        titles,
        profiles,
        offers,
        concat(frames),
        platform.settings.rules,
    )
