"""Candidate sets against the oracle, under every seen rule, with and without an availability source."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from context_worlds import DAY_ONE, contexts_frame, histories, offers, timeline
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight
from rec_platform.config import SeenRule
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.dmc12.frame import Frame
from rec_platform.tables import INSTANT
from rec_platform.testing import context_oracle as oracle
from rec_platform.testing.context_oracle import Offer, Play

START = midnight(DAY_ONE)
RULES = st.sampled_from([SeenRule(), SeenRule(kind="drop"), SeenRule(kind="drop_within_days", days=1)])


def sets(candidates: CandidateSets, rows: list[tuple[int, str, int]]) -> list[list[int]]:
    kinds = {c.PROFILE: pa.int64(), c.COUNTRY: pa.string(), c.AT: INSTANT}
    columns = {name: pa.array([row[k] for row in rows], kind) for k, (name, kind) in enumerate(kinds.items())}
    return [
        titles[first:last].tolist()
        for _, offsets, titles in candidates.chunks(Frame.of(pa.table(columns)))
        for first, last in pairwise(offsets)
    ]


ASKED = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["FR", "DE", "GB"]), st.integers(-4, 80).map(lambda h: START + h * HOUR)),
    max_size=8,
)  # fmt: skip


@given(histories(), st.one_of(st.just([]), offers()), RULES, ASKED)
def test_candidate_sets_are_those_of_the_oracle(
    plays: list[Play], offered: list[Offer], rule: SeenRule, asked: list[tuple[int, str, int]]
) -> None:
    found = sets(CandidateSets(timeline(plays, offered), rule), asked)
    wanted = [
        oracle.candidates(plays, offered, profile_id=profile, country=country, at=at, rule=rule)
        for profile, country, at in asked
    ]
    assert found == wanted


@given(histories(), RULES, st.integers(1, 12))
def test_chunks_hold_the_same_sets(plays: list[Play], rule: SeenRule, most: int) -> None:
    rows = sorted({(p.profile_id, p.played_at) for p in plays})
    frame, known = contexts_frame(rows), timeline(plays)
    candidates = CandidateSets(known, rule)
    available = [len(known.available("FR", at)) for _, at in rows]
    ((_, offsets, titles),) = candidates.chunks(frame) if rows else ((None, np.zeros(1, int), np.zeros(0, int)),)
    covered = 0
    for run, run_offsets, run_titles in candidates.chunks(frame, most):
        assert run.start == covered and run.stop > run.start
        covered = run.stop
        np.testing.assert_array_equal(run_titles, titles[offsets[run.start] : offsets[run.stop]])
        np.testing.assert_array_equal(run_offsets, offsets[run.start : run.stop + 1] - offsets[run.start])
        assert sum(available[run]) <= most or run.stop == run.start + 1
    assert covered == len(rows)


@pytest.mark.parametrize(("back", "left"), [(DAY, [8]), (DAY + 1, [7, 8])])
def test_a_title_returns_once_its_last_play_left_the_window(back: int, left: list[int]) -> None:
    now = START + 9 * DAY
    plays = [Play(1, now - back, 7, 1, now - back), Play(2, START, 8, 2, START)]
    assert sets(CandidateSets(timeline(plays), SeenRule(kind="drop_within_days", days=1)), [(1, "FR", now)]) == [left]


def test_the_play_of_the_context_itself_is_not_seen() -> None:
    plays = [Play(2, START, 7, 1, START), Play(1, START + HOUR, 7, 2, START + HOUR)]
    candidates = CandidateSets(timeline(plays), SeenRule(kind="drop"))
    assert sets(candidates, [(1, "FR", START + HOUR), (1, "FR", START + HOUR + 1)]) == [[7], []]
