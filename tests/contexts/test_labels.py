"""Labels against the oracle; the boundaries of the label window by hand."""

from __future__ import annotations

import math

from context_worlds import DAY_ONE, contexts_frame, histories, play_table
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, label_close, midnight
from rec_platform.contexts.labels import with_labels, without_unknown
from rec_platform.dmc12.frame import Frame
from rec_platform.testing import context_oracle as oracle
from rec_platform.testing.context_oracle import Play

START = midnight(DAY_ONE)
CLOSE = label_close(DAY_ONE, 1)


def labelled(contexts: list[tuple[int, int]], plays: list[Play], close: int = CLOSE) -> Frame:
    return with_labels(contexts_frame(contexts).contexts, play_table(plays), close=close)


def items(frame: Frame, row: int) -> dict[int, float | None]:
    mine = slice(frame.offsets[row], frame.offsets[row + 1])
    pairs = zip(frame.item(c.TITLE)[mine].tolist(), frame.item(c.LABEL)[mine].tolist(), strict=True)
    return {title: None if math.isnan(label) else label for title, label in pairs}


def play(at: int, title: int, *, known: int | None = None, engaged: int = 1, number: int = 1) -> Play:
    return Play(1, at, title, number, at if known is None else known, engaged)


@given(histories(), st.integers(1, 2), st.lists(st.tuples(st.integers(1, 4), st.integers(0, 95)), max_size=6))
def test_labels_are_those_of_the_oracle(plays: list[Play], horizon: int, asked: list[tuple[int, int]]) -> None:
    contexts = [(profile, START + quarter * HOUR // 4) for profile, quarter in asked]
    close = label_close(DAY_ONE, horizon)
    frame = labelled(contexts, [p for p in plays if p.country == "FR"], close)
    for row, (profile, at) in enumerate(contexts):
        wanted = oracle.labels(plays, profile_id=profile, country="FR", at=at, close=close)
        assert items(frame, row) == wanted
        assert list(items(frame, row)) == sorted(wanted)


@given(histories())
def test_without_unknown_leaves_what_was_known(plays: list[Play]) -> None:
    contexts = sorted({(p.profile_id, p.played_at) for p in plays if p.played_at < CLOSE})
    frame = labelled(contexts, plays)
    known = without_unknown(frame)
    for row in range(len(contexts)):
        assert items(known, row) == {t: label for t, label in items(frame, row).items() if label is not None}


def test_the_contexts_own_play_is_inside_and_one_at_the_close_is_not() -> None:
    plays = [play(START + HOUR, 1), play(CLOSE - 1, 2, number=2), play(CLOSE, 3, number=3)]
    assert items(labelled([(1, START + HOUR)], plays), 0) == {1: 1.0, 2: 1.0}


def test_a_play_before_the_context_is_outside() -> None:
    plays = [play(START + HOUR - 1, 1), play(START + HOUR, 2, number=2)]
    assert items(labelled([(1, START + HOUR)], plays), 0) == {2: 1.0}


def test_a_play_known_exactly_at_the_cut_is_neither_positive_nor_negative() -> None:
    plays = [play(START, 1), play(START + HOUR, 2, known=CLOSE, number=2), play(START, 3, known=CLOSE - 1, number=3)]
    frame = labelled([(1, START)], plays)
    assert items(frame, 0) == {1: 1.0, 2: None, 3: 1.0}
    assert items(without_unknown(frame), 0) == {1: 1.0, 3: 1.0}


def test_a_title_counts_by_its_known_plays() -> None:
    plays = [play(START, 1, engaged=0), play(START + HOUR, 1, known=CLOSE + DAY, number=2)]
    assert items(labelled([(1, START)], plays), 0) == {1: 0.0}


def test_one_engaged_play_is_enough() -> None:
    plays = [play(START, 1, engaged=0), play(START + HOUR, 1, engaged=1, number=2)]
    assert items(labelled([(1, START)], plays), 0) == {1: 1.0}


def test_a_horizon_of_two_days_reaches_the_second_midnight() -> None:
    plays = [play(START, 1), play(START + DAY + HOUR, 2, number=2), play(START + 2 * DAY, 3, number=3)]
    assert items(labelled([(1, START)], plays, label_close(DAY_ONE, 2)), 0) == {1: 1.0, 2: 1.0}


def test_no_contexts_no_items() -> None:
    assert labelled([], [play(START, 1)]).n_items == 0
