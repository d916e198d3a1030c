"""Where on the page stood what was watched, as the log has it, beside the rank that a model gives it.

The place of a positive is the row and the position (both from 0) of the first play of the title in the context's label window
whose place the log tells; a play counts that was known when the window closed, as for the label. Most plays have none (a search,
a source that does not say), so `logged_places` says for how many it is known. Rows of different surfaces stand in one number.

A page is no list of candidates: people watch what they are shown, so what stands on top is watched the more. The mean rank
of what was watched from the first row and from the rows below says how much of a model's success is that of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation.accumulators import Accumulator, Added
from rec_platform.evaluation.metrics import Population
from rec_platform.evaluation.positions import HALVES
from rec_platform.evaluation.tallies import Tally
from rec_platform.evaluation.ties import Floats, Ints
from rec_platform.evaluation.view import PAGES, View

#: No place is logged.
NOWHERE: Final = -1
#: Cells: positions stand this far above rows; ranks of each band of rows this far apart.
_APART: Final = 2**40
#: Bands of rows.
_UNKNOWN, _FIRST, _BELOW = 0, 1, 2


@dataclass(frozen=True)
class Places:
    """Plays with a place on the page, by profile, title and time.

    Attributes:
        profile, title, played_at, row, position: int64, a value per play; `NOWHERE` where only the other is logged.
    """

    profile: Ints
    title: Ints
    played_at: Ints
    row: Ints
    position: Ints

    @classmethod
    def of(cls, plays: pa.Table, *, close: int) -> Places:
        """Of `play_facts` rows: those that began, and were known, before the label windows close."""
        played, known = (_ints(plays, name) for name in (c.PLAYED_AT, c.KNOWN_AT))
        row, position = (_ints(plays, name) for name in (c.ROW, c.POSITION))
        there = (played < close) & (known < close) & ((row >= 0) | (position >= 0))
        columns = (_ints(plays, c.PROFILE), _ints(plays, c.TITLE), played, row, position)
        profile, title, played, row, position = (one[there] for one in columns)
        order = np.lexsort((played, title, profile))
        return cls(*(one[order] for one in (profile, title, played, row, position)))

    def at(self, profile: Ints, title: Ints, since: Ints) -> tuple[Ints, Ints]:
        """Row and position of each profile's first play of the title at or after an instant; `NOWHERE` without one."""
        n, m = len(self.profile), len(profile)
        if not n:
            return np.full(m, NOWHERE), np.full(m, NOWHERE)
        asked = np.arange(n + m) < m
        mine, theirs = (profile, title, since), (self.profile, self.title, self.played_at)
        whole = [np.concatenate(pair) for pair in zip(mine, theirs, strict=True)]
        order = np.lexsort([~asked, *reversed(whole)])  # what is asked comes before what was played at that instant
        next_ = np.empty(m, dtype=np.int64)
        next_[order[asked[order]]] = np.cumsum(~asked[order])[asked[order]]
        near = np.minimum(next_, n - 1)
        same = (next_ < n) & (self.profile[near] == profile) & (self.title[near] == title)
        return np.where(same, self.row[near], NOWHERE), np.where(same, self.position[near], NOWHERE)


#: Plays of which none says where it began.
NO_PLACES: Final = Places(*(np.empty(0, dtype=np.int64) for _ in range(5)))


def _ints(plays: pa.Table, name: str) -> Ints:
    return np.asarray(plays.column(name).cast(pa.int64()).fill_null(NOWHERE).to_numpy(), dtype=np.int64)


def placed(frames: Iterable[Frame], places: Places) -> Iterator[Frame]:
    """The frames with the logged `row` and `position` of each item that is a positive."""
    for frame in frames:
        rows = np.flatnonzero(np.asarray(frame.item(c.LABEL)) > 0)
        context = frame.context_of_item[rows]
        profile, at = (np.asarray(frame.context(name), dtype=np.int64)[context] for name in (c.PROFILE, c.AT))
        found = places.at(profile, np.asarray(frame.item(c.TITLE), dtype=np.int64)[rows], at)
        columns = {name: np.full(frame.n_items, NOWHERE) for name in (c.ROW, c.POSITION)}
        for values, given in zip(columns.values(), found, strict=True):
            values[rows] = given
        yield frame.with_items(columns)


# --- what is read of them --------------------------------------------------------------------------------------------


def _logged(view: View, name: str) -> Ints:
    """Of each positive."""
    frame = view.block.frame
    return np.asarray(frame.item(name), dtype=np.int64)[np.asarray(frame.item(c.LABEL)) > 0]


def on_page(view: View, k: int) -> Added:
    """The row and the position of each reachable positive whose place is logged."""
    inside = view.truth.reachable
    context, row, position = (
        one[inside] for one in (view.truth.context, _logged(view, c.ROW), _logged(view, c.POSITION))
    )
    ids = np.concatenate([row[row >= 0], _APART + position[position >= 0]])
    return Added(np.concatenate([context[row >= 0], context[position >= 0]]), ids)


def ranked(view: View, k: int) -> Added:
    """The expected rank of each reachable positive, by where its row stood on the page."""
    truth, row = view.truth, _logged(view, c.ROW)
    above, equal = view.block.scored.ranks[view.model]
    band = np.where(row < 0, _UNKNOWN, np.where(row == 0, _FIRST, _BELOW))
    ids = band * _APART + HALVES * above + equal + HALVES
    return Added(truth.context[truth.reachable], ids[truth.reachable])


def _mean(ids: Ints, weight: Floats) -> float:
    return float((ids * weight).sum() / weight.sum()) if weight.sum() else float("nan")


def _mean_of(band: int, scale: int = 1) -> Callable[[Tally], float]:
    def mean(tally: Tally) -> float:
        inside = tally.ids // _APART == band
        return _mean(tally.ids[inside] % _APART, tally.totals[inside]) / scale

    return mean


def logged_places(tally: Tally) -> float:
    """The share of the reachable positives whose row is logged."""
    total = tally.totals.sum()
    return float(tally.totals[tally.ids >= _APART].sum() / total) if total else float("nan")


PAGE: Final = Accumulator(
    "page", on_page, {"mean_logged_row": _mean_of(0), "mean_logged_position": _mean_of(1)},
    population=Population.REACHABLE, needs=(PAGES,),
)  # fmt: skip
PAGE_RANK: Final = Accumulator(
    "page_rank", ranked,
    {
        "logged_places": logged_places, "mean_rank_first_row": _mean_of(_FIRST, HALVES),
        "mean_rank_lower_rows": _mean_of(_BELOW, HALVES),
    }, population=Population.REACHABLE, needs=(PAGES,),
)  # fmt: skip
