"""The country-tenure stratified sampler: which contexts are kept, and with what probability.

A stratum is a country and a tenure band. With n contexts in a stratum before sampling, share s of its band and S the
sum of all declared shares, each context is kept with probability

    p = clip(s / S * max_contexts / n, min_probability, 1)

A band without a declared share has share 0, hence `min_probability`. What a small stratum does not use of its share
is not given to others: the expected number kept is at most `max_contexts` (and `min_probability` x n where that is
more), and p of one stratum depends on no other stratum. Counts are per frame, and a frame is one partition (date x
country).

Whether a context is kept is hash(seed, context_id) < p: a Bernoulli draw of its own. One context more changes p a
little, never another's draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.config import SamplerConfig
from rec_platform.contexts.hashing import Ints, mix, seeded, uniform
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Column, Level, Sources, Transformer

Floats = npt.NDArray[np.float64]


def inclusion_probability(share: float, n: int, config: SamplerConfig) -> float:
    """The probability with which each of a stratum's n contexts is kept, in [min_probability, 1].

    >>> inclusion_probability(1.0, 100, SamplerConfig(max_contexts=50, shares={"new": 1.0, "1y+": 1.0}))
    0.25
    """
    wanted = share / sum(config.shares.values()) * config.max_contexts / n
    return min(1.0, max(config.min_probability, wanted))


def draws(context_id: Ints, seed: int) -> Floats:
    """The number in [0, 1) that decides over each context."""
    return uniform(mix(seeded(seed, purpose="sampler"), context_id))


@dataclass(frozen=True)
class CountryTenureStratifiedSampler(Transformer):
    """Keeps a Bernoulli sample of the frame's contexts and stores `inclusion_probability`."""

    name: ClassVar[str] = "country_tenure_stratified_sampler"
    by_context: ClassVar[bool] = False
    config: SamplerConfig
    seed: int

    @property
    def reads(self) -> tuple[Column, ...]:
        return (
            Column(Level.CONTEXT, c.CONTEXT_ID, pa.int64()),
            Column(Level.CONTEXT, c.TENURE_BAND, pa.string()),
            Column(Level.CONTEXT, c.STRATUM, pa.string()),
        )

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.CONTEXT, c.INCLUSION_PROBABILITY, pa.float64()),)

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.config.model_dump(mode="json")}

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        probability = self.probabilities(frame)
        kept = np.flatnonzero(draws(frame.context(c.CONTEXT_ID), self.seed) < probability)
        return frame.with_contexts({c.INCLUSION_PROBABILITY: probability}).take(kept)

    def probabilities(self, frame: Frame) -> Floats:
        """Each context's inclusion probability, from the frame's own counts."""
        strata, first, stratum, counts = np.unique(
            frame.context(c.STRATUM).astype(str), return_index=True, return_inverse=True, return_counts=True
        )
        bands = frame.context(c.TENURE_BAND).astype(str)[first]
        by_stratum = np.array(
            [
                inclusion_probability(self.config.shares.get(str(bands[row]), 0.0), int(counts[row]), self.config)
                for row in range(len(strata))
            ],
            dtype=np.float64,
        )
        return by_stratum[stratum]
