"""Features of one request at a time, read through what a process keeps between requests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.features.encoders import COLUMNS
from rec_platform.features.feature_set import FeatureSet
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import Timeline


class LiveFeatures:
    """Adds to small frames, to the bit, the float32 columns that `FeatureGenerator` adds to large ones.

    The same reader and encoders, bound to a timeline once; without the generator's bands, threads and tables, which pay
    where there are many contexts. Safe to use from several threads.

        features = LiveFeatures(FeatureSet.standard(), timeline, ["DE", "FR"])
        scores = scorer.score(features.apply(request))

    Args:
        feature_set: the features.
        timeline: what they are read from.
        countries: the countries that requests come from; `ConfigError` for another one.
    """

    def __init__(self, feature_set: FeatureSet, timeline: Timeline, countries: Sequence[str]) -> None:
        self._set, self._reader = feature_set, DeclaredReader(timeline, feature_set.needed, countries)
        self._columns = {name: COLUMNS[name] for name in (c.PROFILE, c.AT, c.TITLE, *feature_set.columns)}
        self._of_items = [feature_set.feature_level(name) == "item" for name in feature_set.names]

    def prepare(self, at: npt.ArrayLike) -> None:
        """Make what titles have as of the ticks of these instants, ahead of the first request that reads it."""
        self._reader.prepare(at)

    def apply(self, frame: Frame) -> Frame:
        """The frame with features; `SchemaError` for a column it lacks."""
        columns = {
            name: frame.context(name) if level == "context" else frame.item(name)
            for name, level in self._columns.items()
        }
        facts = self._reader.read(
            profile_id=columns[c.PROFILE], country=frame.contexts.column(c.COUNTRY), at=columns[c.AT],
            offsets=frame.offsets, title_id=columns[c.TITLE],
        )  # fmt: skip
        lengths = np.diff(frame.offsets)
        out = np.empty((len(self._of_items), frame.n_items), dtype=np.float32)
        made = self._set.encode({**columns, **facts}, lengths)
        with np.errstate(over="ignore"):
            for row, of_items, (_, feature) in zip(out, self._of_items, made, strict=True):
                numbers = feature.astype(np.float64, copy=False)
                row[:] = numbers if of_items else np.repeat(numbers, lengths)
        return frame.with_features(dict(zip(self._set.names, out, strict=True)))
