"""Sessions against the oracle, and the boundaries by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from context_worlds import DAY_ONE, histories, play_table
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, label_close, midnight
from rec_platform.config import SessionRule
from rec_platform.contexts.hashing import context_ids
from rec_platform.contexts.sessions import sessions
from rec_platform.dmc12.frame import to_numpy
from rec_platform.testing import context_oracle as oracle
from rec_platform.testing.context_oracle import Play

TODAY = DAY_ONE + timedelta(days=1)
START = midnight(TODAY)
GAP = SessionRule()
BY_ID = SessionRule(kind="session_id")


def found(plays: list[Play], rule: SessionRule = GAP, horizon: int = 1) -> list[tuple[int, int, str]]:
    mine = [p for p in plays if p.country == "FR"]
    table = sessions(play_table(mine), country="FR", day=TODAY, cut=label_close(TODAY, horizon), rule=rule)
    at, profile = to_numpy(table, c.AT, part="contexts"), to_numpy(table, c.PROFILE, part="contexts")
    assert (table.column(c.CONTEXT_ID).to_numpy() == context_ids(profile, "FR", at)).all()
    return sorted(zip(at.tolist(), profile.tolist(), table.column(c.DEVICE).to_pylist(), strict=True))


def play(at: int, *, profile: int = 1, title: int = 7, number: int = 1, known: int | None = None,
         session: int | None = None, device: str = "tv") -> Play:  # fmt: skip
    return Play(profile, at, title, number, at if known is None else known, session_id=session, device=device)


@given(histories(), st.sampled_from(["gap", "session_id"]), st.sampled_from([15, 30, 45, 1440]), st.integers(1, 2))
def test_sessions_are_those_of_the_oracle(plays: list[Play], kind: str, minutes: int, horizon: int) -> None:
    rule = SessionRule(kind=kind, gap_minutes=minutes)
    wanted = oracle.sessions(plays, country="FR", day=TODAY, cut=label_close(TODAY, horizon), rule=rule)
    assert found(plays, rule, horizon) == wanted


@pytest.mark.parametrize(("minutes", "contexts"), [(29, 1), (30, 2), (31, 2)])
def test_a_play_exactly_the_gap_later_begins_a_context(minutes: int, contexts: int) -> None:
    assert len(found([play(START + HOUR), play(START + HOUR + minutes * MINUTE, number=2)])) == contexts


def test_a_session_over_midnight_belongs_to_the_day_it_began() -> None:
    evening = [play(START - 10 * MINUTE), play(START + 10 * MINUTE, number=2)]
    assert found(evening) == []
    assert found(evening[1:]) == [(START + 10 * MINUTE, 1, "tv")]


def test_a_session_id_over_midnight_belongs_to_the_day_it_began() -> None:
    evening = [play(START - 10 * HOUR, session=5), play(START + 10 * HOUR, number=2, session=5)]
    assert found(evening, BY_ID) == []


def test_simultaneous_plays_make_one_context_with_the_first_ones_device() -> None:
    both = [play(START, title=9, number=1, device="phone"), play(START, title=7, number=2, device="tv")]
    assert found(both) == found(both[::-1]) == [(START, 1, "tv")]


def test_two_invoices_at_one_instant_are_one_context() -> None:
    assert len(found([play(START, session=1), play(START, number=2, session=2)], BY_ID)) == 1


def test_a_play_known_exactly_at_the_cut_defines_no_context() -> None:
    cut = START + DAY
    assert found([play(START, known=cut)]) == []
    assert found([play(START, known=cut - 1)]) == [(START, 1, "tv")]


def test_a_play_unknown_at_the_cut_hides_no_later_one() -> None:
    late = play(START, known=START + 3 * DAY)
    assert found([late, play(START + MINUTE, number=2)]) == [(START + MINUTE, 1, "tv")]


def test_a_play_without_session_id_falls_back_to_the_gap() -> None:
    plays = [play(START, session=1), play(START + 10 * MINUTE, number=2), play(START + HOUR, number=3)]
    assert [at for at, _, _ in found(plays, BY_ID)] == [START, START + HOUR]


def test_no_plays_no_contexts() -> None:
    assert found([]) == []


def test_ids_differ_between_countries_and_stay_what_they_are() -> None:
    one, at = np.array([1], dtype=np.int64), np.array([START], dtype=np.int64)
    ids = [int(context_ids(one, country, at)[0]) for country in ("FR", "DE")]
    assert ids[0] != ids[1] and min(ids) >= 0
    assert int(context_ids(np.array([17850]), "GB", np.array([1_291_191_960_000_000]))[0]) == 2_269_935_806_619_433_812
