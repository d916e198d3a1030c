"""The tagger: what kind of context this is, as it could be known at its own instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.contexts.segments import Ints
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import INSTANT
from rec_platform.timetravel.facts import Fact
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import NONE, Timeline

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]

#: Tenure bands and the first whole day of each: new is under 7 days, 1-4w from 7 to under 28, 1-3m from 28 to under 90,
#: 3-12m from 90 to under 365, 1y+ from 365.
TENURE_BANDS: Final = {"new": 0, "1-4w": 7, "1-3m": 28, "3-12m": 90, "1y+": 365}
#: Activity bands and the fewest plays of each, over the 28 days before the context, in all countries.
ACTIVITY_BANDS: Final = {"none": 0, "light": 1, "medium": 5, "heavy": 20}
ACTIVITY_DAYS: Final = 28
UNKNOWN_DEVICE: Final = "unknown"
_RECENT_PLAYS: Final = Fact("recent_plays", "profile", "plays", window=ACTIVITY_DAYS)


def band(values: npt.NDArray[np.generic], bands: dict[str, int]) -> Texts:
    """The band of each value: the last whose lower bound does not exceed it.

    >>> band(np.array([0.0, 6.99, 7.0, 364.9, 365.0]), TENURE_BANDS).tolist()
    ['new', 'new', '1-4w', '3-12m', '1y+']
    """
    position = np.searchsorted(list(bands.values()), values, side="right") - 1
    return np.asarray(list(bands))[np.maximum(position, 0)]


def tenure_days(at: Ints, signup_at: Ints, first_play: Ints) -> Floats:
    """Days from signup to `at`, else from the first visible play, else 0; never negative."""
    since = np.where(signup_at != NONE, signup_at, np.where(first_play != NONE, first_play, at))
    return np.maximum(at - since, 0) / DAY


def normalised_device(device: pa.ChunkedArray) -> pa.ChunkedArray:
    """Devices in lower case without surrounding blanks; `unknown` for null and for nothing.

    >>> normalised_device(pa.chunked_array([["  TV ", "", None]])).to_pylist()
    ['tv', 'unknown', 'unknown']
    """
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(device, "")))
    return pc.if_else(pc.equal(plain, ""), UNKNOWN_DEVICE, plain)


def recent_plays(timeline: Timeline, frame: Frame) -> Floats:
    """Each context's visible plays of its profile over the `ACTIVITY_DAYS` days before it, in all countries."""
    facts = compute(
        timeline,
        [_RECENT_PLAYS],
        profile_id=frame.context(c.PROFILE),
        country=frame.context(c.COUNTRY),
        at=frame.context(c.AT),
        offsets=np.zeros(frame.n_contexts + 1, dtype=np.int64),
        title_id=np.empty(0, dtype=np.int64),
    )
    return np.asarray(facts[_RECENT_PLAYS.name], dtype=np.float64)


@dataclass(frozen=True)
class Tagger(Transformer):
    """Adds tenure_days, tenure_band, activity_band and stratum ("country/tenure_band"), and normalises device."""

    name: ClassVar[str] = "tagger"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (
            Column(Level.CONTEXT, c.PROFILE, pa.int64()),
            Column(Level.CONTEXT, c.COUNTRY, pa.string()),
            Column(Level.CONTEXT, c.AT, INSTANT),
            Column(Level.CONTEXT, c.DEVICE, pa.string()),
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        texts = (c.DEVICE, c.TENURE_BAND, c.ACTIVITY_BAND, c.STRATUM)
        return (
            Column(Level.CONTEXT, c.TENURE_DAYS, pa.float64()),
            *(Column(Level.CONTEXT, name, pa.string()) for name in texts),
        )

    def to_json(self) -> dict[str, Any]:
        return {}

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        timeline = sources.need(Timeline, step=self.name)
        profile, at = frame.context(c.PROFILE), frame.context(c.AT)
        tenure = tenure_days(at, timeline.signup_at(profile, at), timeline.first_visible_play(profile, at))
        tenure_band = pa.array(band(tenure, TENURE_BANDS), pa.string())
        return frame.with_contexts(
            {
                c.DEVICE: normalised_device(frame.contexts.column(c.DEVICE)),
                c.TENURE_DAYS: tenure,
                c.TENURE_BAND: tenure_band,
                c.ACTIVITY_BAND: pa.array(band(recent_plays(timeline, frame), ACTIVITY_BANDS), pa.string()),
                c.STRATUM: pc.binary_join_element_wise(frame.contexts.column(c.COUNTRY), tenure_band, "/"),
            }
        )
