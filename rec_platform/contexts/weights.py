"""Training weights: what keeps heavy profiles and hit titles from drowning the rest. Metrics never use them.

    weight of an item = profile factor of its context x (title factor of its title if its label is above 0, else 1)

Profile factor: n ^ -profile_power, where n is the number of contexts of that profile and UTC day in the frame (one
partition, after sampling), divided by its mean over the frame's contexts. So its mean over contexts is 1.

Title factor: (1 + p) ^ -title_power, where p is the title's plays in the country over 28 days as known at the last
tick, divided by its mean over those plays. So a positive drawn like the plays of the last 28 days weighs 1 on
average; the scale is made from what was known at the tick, not from the labels, so that no future play changes any
weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import WeightConfig
from rec_platform.contexts.popularity import TitlePlays, by_tick
from rec_platform.contexts.segments import Ints, ranges
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel.timeline import Timeline

Floats = npt.NDArray[np.float64]


def profile_factor(profile_id: Ints, at: Ints, power: float) -> Floats:
    """One factor per context, with mean 1.

    >>> profile_factor(np.array([1, 1, 1, 1, 2]), np.zeros(5, np.int64), 0.5).round(6).tolist()
    [0.833333, 0.833333, 0.833333, 0.833333, 1.666667]
    """
    _, group, counts = np.unique(np.stack([profile_id, at // DAY]), axis=1, return_inverse=True, return_counts=True)
    raw = counts[group.ravel()].astype(np.float64) ** -power
    return raw / raw.mean() if len(raw) else raw


def title_factor(plays: Ints, popularity: TitlePlays, power: float) -> Floats:
    """One factor per title with these recent plays; its mean over the plays behind `popularity` is 1."""
    counts = popularity.counts.astype(np.float64)
    total = counts.sum()
    mean = float((counts * (1.0 + counts) ** -power).sum() / total) if total else 1.0
    return np.asarray((1.0 + plays) ** -power / mean, dtype=np.float64)


@dataclass(frozen=True)
class TrainingWeights(Transformer):
    """Adds `weight` to the items. The frame must be a whole partition: the profile factor counts its contexts."""

    name: ClassVar[str] = "training_weights"
    by_context: ClassVar[bool] = False
    config: WeightConfig

    @property
    def reads(self) -> tuple[Column, ...]:
        return (
            Column(Level.CONTEXT, c.PROFILE, pa.int64()),
            Column(Level.CONTEXT, c.COUNTRY, pa.string()),
            Column(Level.CONTEXT, c.AT, INSTANT),
            Column(Level.ITEM, c.TITLE, pa.int64()),
            Column(Level.ITEM, c.LABEL, pa.float64()),
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.ITEM, c.WEIGHT, pa.float64()),)

    def to_json(self) -> dict[str, Any]:
        return self.config.model_dump(mode="json")

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        timeline = sources.need(Timeline, step=self.name)
        profile, at = frame.context(c.PROFILE), frame.context(c.AT)
        lengths = np.diff(frame.offsets)
        weight = np.repeat(profile_factor(profile, at, self.config.profile_power), lengths)
        title, positive = frame.item(c.TITLE), frame.item(c.LABEL) > 0
        for contexts, popularity in by_tick(timeline, frame.context(c.COUNTRY), at):
            rows = ranges(frame.offsets[:-1][contexts], lengths[contexts])
            rows = rows[positive[rows]]
            weight[rows] *= title_factor(popularity.of(title[rows]), popularity, self.config.title_power)
        return frame.with_items({c.WEIGHT: weight})
