"""Split audit: does anything that a model was trained on lie in the future of what it is judged by?

Of any pair of training and evaluation days: how far training looked (its last label window closes), when the
first context judged begins, and contexts that stand on both sides. The embargo is how many days training would have to
end earlier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, iso, label_close, parse_instant
from rec_platform.proofs.verdict import Finding, not_judged
from rec_platform.wording import counted

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """The contexts of one side of a split, by row: whose, when, which; and the newest instant that
    their features were made from, of either clock, as their certificates say (None: nothing was read)."""

    context_id: Ints
    profile_id: Ints
    at: Ints
    newest: int | None = None

    @classmethod
    def of(cls, contexts: pa.Table) -> Side:
        """From rows of the table `contexts` (any days, any countries)."""
        ids, who, at = (
            np.asarray(pc.cast(contexts.column(name), pa.int64())).astype(np.int64)
            for name in (c.CONTEXT_ID, c.PROFILE, c.AT)
        )
        newest = [
            value
            for name in (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT)
            if (value := pc.max(pc.cast(contexts.column(name), pa.int64())).as_py()) is not None
        ]
        return cls(ids, who, at, max(newest, default=None))


@dataclass(frozen=True)
class SplitAudit:
    """What a split lets through.

    Attributes:
        closes: when the last label window of training closes: the instant training had seen all plays until.
        begins: the first context judged.
        newest: the newest instant that training features were made from.
        future_contexts, future_profiles: training contexts whose label window closes after `begins`, and their profiles.
        same_context: contexts on both sides.
        same_instant: judged contexts whose profile has a training context at the same instant.
        near: judged contexts with a training context of the same profile less than a session gap away, besides those;
            shown, not judged: somebody who travels has one.
        embargo_days: days by which training would have to end earlier.
    """

    closes: int
    begins: int
    newest: int | None
    future_contexts: int
    future_profiles: int
    same_context: int
    same_instant: int
    near: int
    embargo_days: int

    @property
    def holds(self) -> bool:
        return not (self.embargo_days or self.same_context or self.same_instant)

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {
            "label windows close": iso(self.closes),
            "features read until": "" if self.newest is None else iso(self.newest),
            "first judged": iso(self.begins),
            "gap hours": round((self.begins - self.closes) / (DAY / 24), 2),
            "contexts in its future": self.future_contexts,
            "profiles in its future": self.future_profiles,
            "same context": self.same_context,
            "same instant": self.same_instant,
            "near": self.near,
            "embargo days": self.embargo_days,
            "holds": self.holds,
        }


def audit(
    training: Side, evaluation: Side, *, last_day: date, horizon_days: int, session_gap: int
) -> SplitAudit:  # fmt: skip
    """Audit one pair; both sides hold at least one context.

    Args:
        last_day: the last training day: its label windows close `horizon_days` after its start.
        session_gap: microseconds; two contexts of a profile nearer than this are one sitting.
    """
    closes, begins = label_close(last_day, horizon_days), int(evaluation.at.min())
    window_close = (training.at // DAY + horizon_days) * DAY
    future = window_close > begins
    reach = max(closes, training.newest or closes)
    same_context = np.isin(evaluation.context_id, training.context_id)
    gap = _nearest(training, evaluation)
    same_instant = (gap == 0) & ~same_context
    near = (gap < session_gap) & ~same_context & ~same_instant
    return SplitAudit(
        closes, begins, training.newest, int(future.sum()), len(np.unique(training.profile_id[future])),
        int(same_context.sum()), int(same_instant.sum()), int(near.sum()),
        max(0, math.ceil((reach - begins) / DAY)),
    )  # fmt: skip


def _nearest(training: Side, evaluation: Side) -> Ints:
    """For each judged context, how far the nearest training context of its profile is; the largest int64 if none."""
    gap = np.full(len(evaluation.at), np.iinfo(np.int64).max)
    order = np.lexsort((training.at, training.profile_id))
    who, when = training.profile_id[order], training.at[order]
    keys = np.rec.fromarrays([who, when], names="who,when")  # type: ignore[call-overload]
    asked = np.rec.fromarrays([evaluation.profile_id, evaluation.at], names="who,when")  # type: ignore[call-overload]
    place = np.searchsorted(keys, asked)
    for beside in (place - 1, place):
        there = (beside >= 0) & (beside < len(who))
        there[there] = who[beside[there]] == evaluation.profile_id[there]
        gap[there] = np.minimum(gap[there], np.abs(when[beside[there]] - evaluation.at[there]))
    return gap


def verdict(audits: Mapping[str, SplitAudit]) -> Finding:
    """Of several pairs, by what names them."""
    rows = tuple({"trained on": name, **one.row()} for name, one in audits.items())
    broken = {name: one for name, one in audits.items() if not one.holds}
    if not audits:
        return not_judged("no model of these days was trained on contexts")
    if not broken:
        least = said_gap(min(one.begins - one.closes for one in audits.values()))
        return Finding(
            True, f"{counted(len(audits), 'pair')}: label windows close at least {least} before judging begins", rows
        )
    name, one = next(iter(broken.items()))
    said = (
        f"{name}: training ends {iso(one.closes)}, judging begins {iso(one.begins)}; in its future "
        f"{counted(one.future_contexts, 'context')} of {counted(one.future_profiles, 'profile')}, on both sides "
        f"{counted(one.same_context, 'context')}, {one.same_instant:,} more at the same instant; embargo needed: "
        f"{counted(one.embargo_days, 'day')}"
    )
    return Finding(False, said, rows)


#: What the columns of `shown` say.
LEGEND: Final = {
    "read until": "the newest instant that training features were made from",
    "gap": "from the last label window's close to the first judged context",
    "future": "training contexts whose label window closes after that context",
    "both": "contexts on both sides, or of one profile at one instant",
    "near": "judged contexts less than a session gap from training; no fault",
    "embargo": "days by which training would have to end earlier",
}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of an audit for people: in 80 columns, so days and instants stand in two lines, to the second."""
    closes, begins = (parse_instant(row[name], place="split") for name in ("label windows close", "first judged"))
    days = str(row["trained on"]).partition(", judged ")[0]
    return {
        "trained on": days.replace(" to ", "\nto "), "read until": _two_lines(row["features read until"]),
        "judged from": _two_lines(row["first judged"]), "gap": said_gap(begins - closes),
        "future": row["contexts in its future"], "both": row["same context"] + row["same instant"], "near": row["near"],
        "embargo": row["embargo days"],
    }  # fmt: skip


def said_gap(micros: int) -> str:
    """A time between instants in the largest unit of which there is one.

    >>> said_gap(32_005_000), said_gap(3 * DAY // 2), said_gap(-DAY // 16)
    ('32.0 s', '1.5 d', '-1.5 h')
    """
    units = (("d", DAY), ("h", DAY // 24), ("min", DAY // 1440), ("s", DAY // 86_400))
    name, size = next((unit for unit in units if abs(micros) >= unit[1]), units[-1])
    return f"{micros / size:.1f} {name}"


def _two_lines(instant: str) -> str:
    day, _, clock = instant.partition("T")
    return f"{day}\n{clock[:8]}Z" if day else ""
