"""When a play counts as engaged: the one place where the configured rule becomes a 0 or a 1."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import EngagementRule

_MILLION: Final = 1_000_000


def engaged(raw_plays: pa.Table, rule: EngagementRule) -> npt.NDArray[np.int8]:
    """1 where a row of `raw_plays` is engaged by the rule, else 0 (int8, one value per row).

    An unknown duration counts as nothing watched, and a verdict the source left out as not engaged.

    >>> plays = pa.table({c.WATCHED_MS: [7_000, 6_999, None], c.RUNTIME_MS: [10_000, 10_000, None]})
    >>> engaged(plays, EngagementRule(kind="min_share", share=0.7, seconds=600)).tolist()
    [1, 0, 0]
    """
    if rule.kind == "always":
        return np.ones(raw_plays.num_rows, np.int8)
    if rule.kind == "column":
        return np.asarray(pc.fill_null(raw_plays.column(c.ENGAGED), False)).astype(np.int8)
    needed = np.full(raw_plays.num_rows, round(rule.seconds * 1_000), np.int64)
    if rule.kind == "min_share":
        needed = np.minimum(needed, _share_of(_known_or_zero(raw_plays, c.RUNTIME_MS), rule.share))
    return (_known_or_zero(raw_plays, c.WATCHED_MS) >= needed).astype(np.int8)


def _known_or_zero(plays: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(plays.column(name), 0)).astype(np.int64, copy=False)


def _share_of(runtime: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
    """The least whole milliseconds that are at least `share` of each runtime; unreachable where it is unknown (<= 0).

    In integers, with the share in millionths: 70 % of 10 s is 7,000 ms, never 7,000.000000000001.
    """
    millionths = max(1, round(share * _MILLION))
    whole, rest = np.divmod(runtime, _MILLION)
    threshold = whole * millionths - (-(rest * millionths) // _MILLION)
    return np.where(runtime > 0, threshold, np.iinfo(np.int64).max)
