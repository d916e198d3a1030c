"""Contexts: the first play of each session.

Under the rule `gap` a play begins a session iff the profile began no play in the country during the `gap_minutes`
before it: none in (at - gap, at). A play exactly `gap_minutes` after the last one begins a new session. Gaps are
measured between the beginnings of plays, because not every source says how long a play took.

Under the rule `session_id` the first play of each of a profile's session ids begins a session; a play without an id
falls back to the gap rule, measured over all the profile's plays in the country.

A session belongs to the day it began, so the day before is read too: a session that runs over midnight gives the new
day no context, and a session id is known again if it was seen the day before. An id that returns after more than a
day begins anew.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import MINUTE, midnight
from rec_platform.config import SessionRule
from rec_platform.contexts.hashing import context_ids
from rec_platform.contexts.segments import Ints, Mask, run_starts
from rec_platform.dmc12.frame import to_numpy
from rec_platform.tables import INSTANT


def sessions(plays: pa.Table, *, country: str, day: date, cut: int, rule: SessionRule) -> pa.Table:
    """One row per context of `day` in `country`: profile_id, country, context_id, at, device; sorted by at, context_id.

    Args:
        plays: plays of that country, at least those of `day` and the day before; others are not looked at.
        cut: plays whose `known_at` is not before this instant define no context (`clock.label_close`).
        rule: what begins a session.

    Simultaneous plays of a profile make one context, with the device of the first of them that begins a session, in the
    order of title and play id.
    """
    rows = _in_order(_known(plays, day, cut))
    profile, at = _ints(rows, c.PROFILE), _ints(rows, c.PLAYED_AT)
    begins = _begins_session(rows, profile, at, rule) & (at >= midnight(day))
    found = np.flatnonzero(begins)
    found = found[run_starts(profile[found], at[found])]
    return _contexts(country, profile[found], at[found], rows.column(c.DEVICE).take(pa.array(found)))


def _known(plays: pa.Table, day: date, cut: int) -> pa.Table:
    first, end = midnight(day - timedelta(days=1)), midnight(day + timedelta(days=1))
    played, known = _ints(plays, c.PLAYED_AT), _ints(plays, c.KNOWN_AT)
    return plays.filter(pa.array((played >= first) & (played < end) & (known < cut)))


def _in_order(plays: pa.Table) -> pa.Table:
    keys = [_ints(plays, name) for name in (c.PLAY_ID, c.TITLE, c.PLAYED_AT, c.PROFILE)]
    return plays.take(pa.array(np.lexsort(keys)))


def _begins_session(rows: pa.Table, profile: Ints, at: Ints, rule: SessionRule) -> Mask:
    after_gap = _after_gap(profile, at, rule.gap_minutes * MINUTE)
    if rule.kind == "gap":
        return after_gap
    has_id = pc.is_valid(rows.column(c.SESSION_ID)).to_numpy()
    session = pc.fill_null(rows.column(c.SESSION_ID), 0).to_numpy()
    first_of_id = np.zeros(len(at), dtype=np.bool_)
    with_id = np.flatnonzero(has_id)
    with_id = with_id[np.lexsort((session[with_id], profile[with_id]))]
    first_of_id[with_id] = run_starts(profile[with_id], session[with_id])
    return np.where(has_id, first_of_id, after_gap)


def _after_gap(profile: Ints, at: Ints, gap: int) -> Mask:
    """For plays sorted by profile and time: whether the last play before its instant is at least `gap` back."""
    moments = np.flatnonzero(run_starts(profile, at))
    begins = run_starts(profile[moments])
    begins[1:] |= np.diff(at[moments]) >= gap
    return np.asarray(np.repeat(begins, np.diff(np.append(moments, len(at)))), dtype=np.bool_)


def _contexts(country: str, profile: Ints, at: Ints, device: pa.ChunkedArray) -> pa.Table:
    ids = context_ids(profile, country, at)
    table = pa.table(
        {
            c.PROFILE: pa.array(profile),
            c.COUNTRY: pa.repeat(pa.scalar(country, pa.string()), len(at)),
            c.CONTEXT_ID: pa.array(ids),
            c.AT: pa.array(at).cast(INSTANT),
            c.DEVICE: device,
        }
    )
    return table.take(pa.array(np.lexsort((ids, at))))


def _ints(table: pa.Table, name: str) -> Ints:
    values: npt.NDArray[np.int64] = to_numpy(table, name, part="plays").astype(np.int64, copy=False)
    return values
