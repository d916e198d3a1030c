"""A small made world for scoring tests: plays, a timeline, and feature steps that need nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.config import SourceRules
from rec_platform.contexts.hashing import context_ids
from rec_platform.dmc12.frame import Frame
from rec_platform.models.contract import FeatureNote, Scorer, column
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.testing.model_contract import AS_OF, made_plays
from rec_platform.timetravel.timeline import Timeline

DAY = AS_OF
MIDNIGHT = clock.midnight(DAY)


def instants(values: Any) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.int64), pa.int64()).cast(INSTANT)


def texts(text: str, n: int) -> pa.Array:
    return pa.array([text] * n, pa.string())


def timeline(plays: pa.Table | None = None, rules: SourceRules | None = None) -> Timeline:
    nothing = [table.schema.empty_table() for table in (TITLES, PROFILES, AVAILABILITY)]
    return Timeline.build(made_plays() if plays is None else plays, *nothing, rules=rules or SourceRules())


def played_frame(
    profiles: list[int], titles: list[list[int]], labels: list[list[float]], day: date = DAY, country: str = "FR"
) -> Frame:
    """Contexts an hour apart from 01:00 of the day, with the titles of their label windows."""
    at = clock.midnight(day) + (np.arange(len(profiles)) + 1) * clock.HOUR
    n = len(profiles)
    contexts = pa.table({
        c.PROFILE: pa.array(profiles, pa.int64()), c.COUNTRY: texts(country, n),
        c.CONTEXT_ID: context_ids(np.array(profiles, dtype=np.int64), country, at), c.AT: instants(at),
        c.DEVICE: texts("tv", n), c.TENURE_DAYS: np.zeros(n), c.TENURE_BAND: texts("new", n),
        c.ACTIVITY_BAND: texts("none", n), c.STRATUM: texts("FR/new", n), c.INCLUSION_PROBABILITY: np.ones(n),
    })  # fmt: skip
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in titles])]).astype(np.int64)
    flat = {
        c.TITLE: np.array([t for part in titles for t in part], dtype=np.int64),
        c.LABEL: np.array([v for part in labels for v in part], dtype=np.float64),
    }
    return Frame.of(contexts, offsets, items=flat)


@dataclass(frozen=True)
class Remainder(Transformer):
    """Feature `remainder` = (title + profile) modulo 7: many ties, different per profile."""

    name = "remainder"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (Column(Level.CONTEXT, c.PROFILE, pa.int64()), Column(Level.ITEM, c.TITLE, pa.int64()))

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.FEATURE, "remainder", pa.float32()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        profile = frame.context(c.PROFILE)[frame.context_of_item]
        return frame.with_features({"remainder": ((frame.item(c.TITLE) + profile) % 7).astype(np.float32)})

    def to_json(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class ByRemainder(Scorer):
    """Scores by the feature, or against it."""

    sign: float = 1.0

    name = "by_remainder"
    note = FeatureNote("remainder", "remainder of 7")

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return (self.note,)

    def score(self, frame: Frame) -> np.ndarray:
        return self.sign * column(frame, "remainder").astype(np.float64)

    def contributions(self, frame: Frame, rows: np.ndarray) -> np.ndarray:
        return self.score(frame)[rows][:, None]


@dataclass(frozen=True)
class AgainstRemainder(ByRemainder):
    sign: float = -1.0

    name = "against_remainder"
