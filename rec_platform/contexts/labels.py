"""Labels: what a profile played in a context's label window.

The window is [at, close): the context's own play is inside, a play that begins exactly at the close is not. The close
is also the cut: a play whose `known_at` is not before it is unknown to the label. A title that was played in the
window, but of which no play was known at the cut, is neither a positive nor a negative: nobody could know then, and 0
would be false. It stands in the frame with label NaN until `without_unknown` (or the negative generator) takes it
out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.contexts.segments import Ints, offsets_of, ranges, run_starts
from rec_platform.dmc12.frame import Frame, to_numpy

Floats = npt.NDArray[np.float64]


def with_labels(contexts: pa.Table, plays: pa.Table, *, close: int) -> Frame:
    """A frame of the contexts whose items are the titles played in each label window, sorted by title_id.

    Args:
        contexts: rows with profile_id and at, all of one country, each `at` before `close`.
        plays: plays of that country, at least those of [first at, close); others are not looked at.
        close: where the label windows end, and the cut (`clock.label_close`).

    Items have title_id and label: 1.0 if any known play of the title in the window engaged, 0.0 if known plays did not,
    NaN if no play of it was known at the cut.
    """
    profile, at = _ints(contexts, c.PROFILE), _ints(contexts, c.AT)
    inside = _ints(plays, c.PLAYED_AT) < close
    plays = plays.filter(pa.array(inside & np.isin(_ints(plays, c.PROFILE), profile)))
    starts, ends, order = _windows(profile, at, _ints(plays, c.PROFILE), _ints(plays, c.PLAYED_AT))
    rows = order[ranges(starts, ends - starts)]
    context = np.repeat(np.arange(len(at), dtype=np.int64), ends - starts)
    known = _ints(plays, c.KNOWN_AT)[rows] < close
    outcome = np.where(known, _ints(plays, c.ENGAGED)[rows], -1).astype(np.float64)
    return _items(contexts, context, _ints(plays, c.TITLE)[rows], outcome)


def without_unknown(frame: Frame) -> Frame:
    """The frame without the items whose label is NaN: titles played in the window but unknown at the cut."""
    keep = ~np.isnan(frame.item(c.LABEL).astype(np.float64))
    offsets = offsets_of(np.bincount(frame.context_of_item[keep], minlength=frame.n_contexts))
    rows = pa.array(keep)
    flat = {
        name: part.filter(rows) if part.num_columns else part
        for name, part in (("items", frame.items), ("features", frame.features), ("scores", frame.scores))
    }
    return replace(frame, offsets=offsets, **flat)


def _windows(profile: Ints, at: Ints, play_profile: Ints, played_at: Ints) -> tuple[Ints, Ints, Ints]:
    """Per context, the run [start, end) of `order` that holds its profile's plays at or after `at`.

    Contexts and plays are sorted together, a context before the plays of its own instant; then a context's start is the
    number of plays before it.
    """
    order = np.lexsort((played_at, play_profile))
    is_play = np.concatenate([np.zeros(len(at), np.int8), np.ones(len(played_at), np.int8)])
    merged = np.lexsort((is_play, np.concatenate([at, played_at]), np.concatenate([profile, play_profile])))
    plays_before = np.empty(len(merged), dtype=np.int64)
    plays_before[merged] = np.cumsum(is_play[merged])
    ends = np.searchsorted(play_profile[order], profile, side="right").astype(np.int64)
    return plays_before[: len(at)], ends, order


def _items(contexts: pa.Table, context: Ints, title: Ints, outcome: Floats) -> Frame:
    order = np.lexsort((title, context))
    first = np.flatnonzero(run_starts(context[order], title[order]))
    best = np.maximum.reduceat(outcome[order], first) if len(first) else outcome
    label = np.where(best < 0, np.nan, best)
    offsets = offsets_of(np.bincount(context[order][first], minlength=contexts.num_rows))
    return Frame.of(contexts, offsets, items={c.TITLE: title[order][first], c.LABEL: label})


def _ints(table: pa.Table, name: str) -> Ints:
    return to_numpy(table, name, part="plays").astype(np.int64, copy=False)
