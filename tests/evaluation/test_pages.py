"""Where on the page stood what was watched: against plays looked through one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Slices, evaluate, metric_rows
from rec_platform.evaluation.pages import NOWHERE, PAGE, PAGE_RANK, Places, placed
from rec_platform.tables import PLAY_FACTS

CLOSE = 100


def facts(rows):
    """(profile, title, played_at, known_at, row, position) as `play_facts`."""
    names = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.ROW, c.POSITION)
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pa.table(
        {
            name: pa.array(list(values), PLAY_FACTS.schema.field(name).type)
            for name, values in zip(names, columns, strict=True)
        }
    )


def first_place(rows, profile, title, since):
    """By looking: the first known play with a place, in the order of the plays."""
    told = [one for one in rows if one[:2] == (profile, title) and since <= one[2] < CLOSE and one[3] < CLOSE]
    told = [one for one in told if one[4] is not None or one[5] is not None]
    if not told:
        return NOWHERE, NOWHERE
    best = min(told, key=lambda one: one[2])
    return tuple(NOWHERE if value is None else value for value in best[4:])


small, maybe = st.integers(0, 2), st.none() | st.integers(0, 4)


@given(
    rows=st.lists(st.tuples(small, small, st.integers(0, 110), st.integers(0, 110), maybe, maybe), max_size=30),
    asked=st.lists(st.tuples(small, small, st.integers(0, 99)), min_size=1, max_size=20),
)
def test_a_place_is_that_of_the_first_known_play_in_the_window(rows, asked):
    distinct = list({one[:3]: one for one in rows}.values())
    places = Places.of(facts(distinct), close=CLOSE)
    found = places.at(*(np.array(values, dtype=np.int64) for values in zip(*asked, strict=True)))
    expected = [first_place(distinct, *one) for one in asked]
    assert list(zip(*(values.tolist() for values in found), strict=True)) == expected


#: Two contexts of profile 1 and one of profile 2, titles 0 to 3; title 3 of the last is out of reach.
LABELS = [1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1]
SCORES = [4, 3, 2, 1, 4, 3, 2, 1, 1, 1, 1, 9]
PLAYS = [
    (1, 0, 5, 6, 0, 2),  # before the second context, in the first
    (1, 2, 7, 8, 3, 1), (1, 2, 6, 8, None, None),  # the first has no place
    (1, 1, 50, 60, 2, 0), (1, 1, 40, 100, 0, 0),  # the first is not known in time
    (2, 0, 30, 31, 0, 4),
    (2, 3, 30, 31, 0, 0),  # out of reach
]  # fmt: skip


def judged(frames, column="value"):
    sums = evaluate(frames, seed=1, metrics=(), cutoffs=(), slices=Slices(()), replicates=0, list_length=0)
    return {(row["model"], row["metric"]): row[column] for row in metric_rows(sums).to_pylist()}


def frame():
    contexts = pa.table({"profile_id": [1, 1, 2], "at": pa.array([1, 10, 20])})
    items = {"title_id": np.tile(np.arange(4), 3), "label": np.array(LABELS, float), "reachable": np.arange(12) != 11}
    return Frame.of(contexts, np.arange(4) * 4, items=items, scores={"m": np.array(SCORES, float)})


def test_places_stand_beside_ranks():
    """Found: title 0 (row 0, rank 1), title 2 (row 3, rank 3), title 1 (row 2, rank 2), title 0 of profile 2 (row 0, tied with
    two others: rank 2); its title 2 has no play with a place."""
    rows = judged(placed([frame()], Places.of(facts(PLAYS), close=CLOSE)))
    assert rows["m", "logged_places"] == pytest.approx(4 / 5)
    assert rows["m", "mean_logged_row"] == pytest.approx((0 + 3 + 2 + 0) / 4)
    assert rows["m", "mean_logged_position"] == pytest.approx((2 + 1 + 0 + 4) / 4)
    assert rows["m", "mean_rank_first_row"] == pytest.approx((1 + 2) / 2)
    assert rows["m", "mean_rank_lower_rows"] == pytest.approx((3 + 2) / 2)
    assert rows["random", "mean_logged_row"] == rows["m", "mean_logged_row"]
    assert rows["random", "mean_rank_first_row"] == pytest.approx((2.5 + 2) / 2)


def test_without_places_there_are_no_rows():
    assert not {name for _, name in judged([frame()])} & {*PAGE.readings, *PAGE_RANK.readings}
    empty = placed([frame()], Places.of(facts([]), close=CLOSE))
    assert all(np.isnan(value) for (_, name), value in judged(empty).items() if name in PAGE.readings)


def test_what_was_nowhere_to_be_read_counts_no_context():
    first_rows = Places.of(facts(PLAYS), close=CLOSE)
    first_rows = replace(first_rows, row=np.where(first_rows.row > 0, 0, first_rows.row))
    values = judged(placed([frame()], first_rows))
    counted = judged(placed([frame()], first_rows), "n")
    assert np.isnan(values["m", "mean_rank_lower_rows"])
    assert counted["m", "mean_rank_lower_rows"] == 0
    assert counted["m", "mean_rank_first_row"] > 0
    assert all((n == 0) == bool(np.isnan(values[key])) for key, n in counted.items())
