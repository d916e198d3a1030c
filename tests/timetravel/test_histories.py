"""Logs and histories beside what they are by definition: codes in order of id, plays in order of (profile, time)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.tables import INSTANT
from rec_platform.timetravel import log as logs
from rec_platform.timetravel.codes import GrowingIds, Ids
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.log import Log, LogReader

MEASURES = (c.WATCHED_MS, c.ENGAGED)
#: Watched: values that need each of the four widths, so that columns widen from batch to batch.
WIDTHS = (0, 7, 300, -40_000, 2**40)


def a_play(ids: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, ...]]:
    """Profile, title, played, known (before played, too), watched, engaged, country."""
    few = st.integers(0, 12)
    return st.tuples(ids, ids, few, few, st.sampled_from(WIDTHS), st.integers(0, 1), st.integers(0, 3))


DENSE, SPARSE = st.integers(0, 5), st.sampled_from([-(2**63), -1, 0, 3, 2**40, 2**63 - 1])
PLAYS = st.one_of(st.lists(a_play(DENSE), max_size=40), st.lists(a_play(SPARSE), max_size=40))


def table(rows: Sequence[tuple[int, ...]]) -> pa.Table:
    profile, title, played, known, watched, engaged, country = np.array(rows, dtype=np.int64).reshape(-1, 7).T
    return pa.table(
        {
            c.PROFILE: profile, c.TITLE: title, c.PLAYED_AT: pa.array(played, INSTANT), c.KNOWN_AT: pa.array(known, INSTANT),
            c.WATCHED_MS: watched, c.ENGAGED: pa.array(engaged.astype(np.int8)),
            c.COUNTRY: pa.array([("FR", "IN", "DE", "AT")[one] for one in country], pa.string()),
        }
    )  # fmt: skip


def read(plays: pa.Table, cuts: list[int]) -> tuple[Log, Ids, Ids]:
    """The log of plays that come in batches cut at some rows, empty ones among them."""
    reader = LogReader(MEASURES, {})
    bounds = [0, *sorted(cut % (plays.num_rows + 1) for cut in cuts), plays.num_rows]
    reader.take_in(plays.slice(lo, hi - lo) for lo, hi in itertools.pairwise(bounds))
    (profiles, profile), (titles, title), (_, country) = (
        reader.profiles.ordered(), reader.titles.ordered(), reader.countries.ordered(),
    )  # fmt: skip
    return reader.log(profile, title, country), profiles, titles


def same(values: npt.NDArray[np.generic], expected: object) -> None:
    assert values.tolist() == np.asarray(expected).tolist()


@settings(max_examples=150, derandomize=True)
@given(PLAYS, st.lists(st.integers(0, 40), max_size=4))
@example([], [])
@example([(1, 1, 12 - n, 0, WIDTHS[n % 5], 0, 0) for n in range(13)], [4])
def test_histories_are_plays_in_order_of_profile_and_time(rows: list[tuple[int, ...]], cuts: list[int]) -> None:
    log, profiles, titles = read(table(rows), cuts)
    found = Histories.of(log, len(profiles), len(titles))
    given_order = sorted(range(len(rows)), key=lambda row: (rows[row][0], rows[row][2]))
    expected = [rows[row] for row in given_order]
    same(profiles.ids, sorted({row[0] for row in rows}))
    same(titles.ids, sorted({row[1] for row in rows}))
    same(np.repeat(profiles.ids, np.diff(found.starts)), [row[0] for row in expected])
    same(titles.ids[found.title], [row[1] for row in expected])
    same(found.played, [row[2] for row in expected])
    same(found.known, [max(row[2], row[3]) for row in expected])
    same(found.measures[c.WATCHED_MS], [row[4] for row in expected])
    same(found.measures[c.ENGAGED], [row[5] for row in expected])
    visible = sorted((row[0], max(row[2], row[3])) for row in rows)
    same(found.known_sorted, [known for _, known in visible])


@settings(max_examples=50, derandomize=True)
@given(PLAYS, st.lists(st.integers(0, 40), max_size=4))
def test_a_log_is_the_plays_as_they_came(rows: list[tuple[int, ...]], cuts: list[int]) -> None:
    log, profiles, titles = read(table(rows), cuts)
    same(profiles.ids[log.profile], [row[0] for row in rows])
    same(titles.ids[log.title], [row[1] for row in rows])
    same(np.array(sorted({("FR", "IN", "DE", "AT")[row[6]] for row in rows}), dtype=object)[log.country],
         [("FR", "IN", "DE", "AT")[row[6]] for row in rows])  # fmt: skip
    same(log.measures[c.WATCHED_MS], [row[4] for row in rows])
    bits = max((8 if -128 <= row[4] < 128 else 16 if abs(row[4]) < 2**15 else 32 if abs(row[4]) < 2**31 else 64
                for row in rows), default=8)  # fmt: skip
    assert log.measures[c.WATCHED_MS].dtype.itemsize * 8 == bits


def test_columns_outgrow_the_room_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_RESERVED", 8)
    rows = [(n % 7, n % 3, n, n, WIDTHS[n * 5 // 100], n % 2, 0) for n in range(100)]
    log, _, _ = read(table(rows), list(range(1, 100)))
    same(log.played, range(100))
    same(log.measures[c.WATCHED_MS], [row[4] for row in rows])


def test_a_profile_of_many_plays_in_reverse_among_others_in_order() -> None:
    """Beyond what an insertion sort is let do; equal instants stay as they came, and other profiles as they are."""
    n = 5_000
    played = np.concatenate([np.arange(n)[::-1] // 3, np.arange(n)])
    plays = table([(1 + (row >= n), row, int(at), 0, 0, 0, 0) for row, at in enumerate(played.tolist())])
    log, profiles, titles = read(plays, [])
    found = Histories.of(log, len(profiles), len(titles))
    same(found.title[:n], np.argsort(played[:n], kind="stable"))
    same(found.title[n:], np.arange(n, 2 * n))


@given(
    st.lists(
        st.tuples(st.sampled_from([-(2**63), -100, 0, 5, 90, 2**62, 2**63 - 9]), st.lists(DENSE, max_size=30)),
        max_size=8,
    )
)
@settings(max_examples=200, derandomize=True)
@example([(0, [0] * 30), (-100, [1]), (5, [0] * 300), (-100, [2, 3]), (2**63 - 9, [4]), (0, [1, 5])])
def test_codes_of_ids_that_come_close_together_and_far_apart(batches: list[tuple[int, list[int]]]) -> None:
    """From hashed to by place, from there to more places, and back."""
    growing = GrowingIds()
    seen: dict[int, int] = {}
    for first, near in batches:
        ids = [first + one for one in near]
        same(growing.codes(np.array(ids, dtype=np.int64)), [seen.setdefault(one, len(seen)) for one in ids])
    ids_in_order, code = growing.ordered()
    same(ids_in_order.ids, sorted(seen))
    same(ids_in_order.ids[code], list(seen))


def test_many_ids_close_together_are_not_hashed() -> None:
    """They stay so while new ones come above and below, and are hashed again once one lies far away."""
    growing, kinds = GrowingIds(), []
    for first, n in ((0, 100), (0, 400), (40, 100), (-30, 200), (10**12, 1), (0, 100)):
        growing.codes(np.arange(first, first + n) % 60 + first)
        kinds.append(growing._first is None)
    assert kinds == [True, False, False, False, True, True]


@given(st.lists(st.one_of(DENSE, SPARSE), max_size=60))
@settings(max_examples=50, derandomize=True)
def test_ids_are_distinct_and_ascend(given_ids: list[int]) -> None:
    ids, growing = Ids.of(np.array(given_ids, dtype=np.int64)), GrowingIds()
    same(ids.ids, sorted(set(given_ids)))
    assert ids.ids.dtype == np.int64
    same(ids.ids[ids.codes(given_ids)] if given_ids else ids.ids, given_ids)
    codes = growing.codes(np.array(given_ids, dtype=np.int64))
    in_order, code = growing.ordered()
    same(in_order.ids[code[codes]], given_ids)


EXTREMES = st.sampled_from([-(2**63), -(2**63) + 1, -1, 0, 2**62, 2**63 - 40, 2**63 - 1])


@given(EXTREMES, st.sets(st.integers(0, 30), min_size=1), st.sets(EXTREMES), st.lists(EXTREMES | st.integers(-9, 9)))
@settings(max_examples=200, derandomize=True)
def test_codes_are_those_of_the_ids_wherever_they_lie(
    first: int, near: set[int], far: set[int], asked: list[int]
) -> None:
    """By place where all lie close together, hashed where one lies far away; never the code of another id."""
    held = sorted({one for one in (*(first + one for one in near), *far) if one < 2**63})
    ids = Ids.of(np.array(held, dtype=np.int64))
    wanted = [one for one in (*held, *asked, *(one + 1 for one in held)) if one < 2**63]
    same(ids.codes(wanted), [held.index(one) if one in held else -1 for one in wanted])


def test_ids_that_lie_close_together_have_places() -> None:
    assert len(Ids.of(np.arange(1_000_000, 1_000_400, 4))._places) == 397
    assert len(Ids.of(np.array([5, 10**9]))._places) == 0
