"""The plays a candidate model may be fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.models.artefact import data_sha256


@dataclass(frozen=True)
class VisiblePlays:
    """Plays visible at an instant and not older than some days, as arrays of one row per play, in a canonical order."""

    profiles: npt.NDArray[np.int64]
    titles: npt.NDArray[np.int64]
    engaged: npt.NDArray[np.int64]
    countries: npt.NDArray[np.int64]
    country_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.profiles)

    def data(self, as_of: date, days: int) -> dict[str, object]:
        """What the manifest says of the data."""
        arrays = (self.profiles, self.titles, self.engaged, self.countries)
        return {"as_of": as_of.isoformat(), "days": days, "plays": len(self), "sha256": data_sha256(*arrays)}


def visible_plays(plays: pa.Table, *, as_of: date, days: int) -> VisiblePlays:
    """Plays with `played_at` and `known_at` before 00:00 UTC of `as_of`, begun in the last `days` days."""
    end = clock.midnight(as_of)
    played, known = (np.asarray(pc.cast(plays.column(name), pa.int64())) for name in (c.PLAYED_AT, c.KNOWN_AT))
    rows = np.flatnonzero((played < end) & (known < end) & (played >= end - days * clock.DAY))
    names, codes = np.unique(np.asarray(plays.column(c.COUNTRY), dtype=object)[rows].astype(str), return_inverse=True)
    profiles, titles = (np.asarray(plays.column(name), dtype=np.int64)[rows] for name in (c.PROFILE, c.TITLE))
    engaged = np.asarray(plays.column(c.ENGAGED), dtype=np.int64)[rows]
    order = np.lexsort((engaged, codes, titles, profiles))
    return VisiblePlays(
        profiles=profiles[order], titles=titles[order], engaged=engaged[order], countries=codes[order].astype(np.int64),
        country_names=tuple(names.tolist()),
    )  # fmt: skip
