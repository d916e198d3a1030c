"""Splits: worked by hand, and the laws that every one keeps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.errors import ConfigError
from rec_platform.protocols import SPLITS, GlobalTime, Interactions, LeaveOneOut, RandomPerProfile, RandomPerTitle
from rec_platform.protocols.splits import foreknowledge

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=80)
splits = st.sampled_from(
    [LeaveOneOut(), LeaveOneOut(validation=True), RandomPerProfile(0.3, 1), RandomPerTitle(0.5, 2), GlobalTime()]
)


def log_of(events: list[tuple[int, int, int]]) -> Interactions:
    who, what, when = zip(*events, strict=True)
    return Interactions.of(pa.array(who), pa.array(what), np.array(when, dtype=np.int64))


#: profile 1 plays a, b, c; profile 2 plays b, a; profile 3 plays c once.
SMALL = log_of([(1, 10, 1), (1, 11, 2), (1, 12, 6), (2, 11, 3), (2, 10, 5), (3, 12, 4)])


def test_leave_one_out() -> None:
    parts = LeaveOneOut()(SMALL)
    assert parts.test.tolist() == [False, False, True, False, True, False]
    assert parts.train.tolist() == [True, True, False, True, False, True]


def test_leave_one_out_for_validation_leaves_the_last_out() -> None:
    parts = LeaveOneOut(validation=True)(SMALL)
    assert parts.test.tolist() == [False, True, False, False, False, False]
    assert parts.train.tolist() == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]  # nobody's last trains, unless it is the only one


@given(rows)
def test_what_judges_at_last_chooses_no_parameters(events: list[tuple[int, int, int]]) -> None:
    log = log_of(events)
    choosing, last = LeaveOneOut(validation=True)(log), LeaveOneOut()(log)
    assert not ((choosing.train | choosing.test) & last.test).any()
    assert (choosing.train | choosing.test | last.test).all()


def test_a_cut_in_time() -> None:
    parts = GlobalTime(5)(SMALL)
    assert parts.test.tolist() == [False, False, True, False, True, False]
    assert foreknowledge(SMALL, parts) == 0.0


def test_how_much_of_the_future_is_trained_on() -> None:
    # Training happened at 1, 2, 3, 4; judged are 6 (nothing after it) and 5 (nothing): shift one judged play back to 2.
    log = log_of([(1, 10, 1), (1, 11, 2), (2, 11, 3), (2, 10, 5), (3, 12, 4)])
    parts = LeaveOneOut()(log)
    assert parts.test.tolist() == [False, True, False, True, False]
    assert foreknowledge(log, parts) == pytest.approx((2 / 3 + 0) / 2)


@given(rows, splits)
def test_parts_never_overlap_and_lose_nothing_unsaid(events: list[tuple[int, int, int]], split: LeaveOneOut) -> None:
    log = log_of(events)
    parts = split(log)
    assert not (parts.train & parts.test).any()
    if not (isinstance(split, LeaveOneOut) and split.validation):
        assert (parts.train | parts.test).all()
    again = split(log)
    assert (again.train == parts.train).all()


@given(rows)
def test_leave_one_out_judges_the_newest_of_each_profile(events: list[tuple[int, int, int]]) -> None:
    log = log_of(events)
    parts = LeaveOneOut()(log)
    for profile in range(len(log.profiles)):
        mine = np.flatnonzero(log.profile == profile)
        assert parts.test[mine].sum() == (1 if len(mine) > 1 else 0)
        if len(mine) > 1:
            assert parts.test[mine[-1]]
            assert log.at[mine[-1]] == log.at[mine].max()


@given(rows, st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_random_share_of_every_group(events: list[tuple[int, int, int]], share: float, seed: int) -> None:
    log = log_of(events)
    for split, group in ((RandomPerProfile(share, seed), log.profile), (RandomPerTitle(share, seed), log.title)):
        test = split(log).test
        for one in np.unique(group):
            n = int((group == one).sum())
            assert test[group == one].sum() == min(round(share * n), n - 1)


def test_another_seed_draws_others() -> None:
    log = log_of([(n % 20, n % 33, n) for n in range(400)])
    assert (RandomPerProfile(0.2, 1)(log).test != RandomPerProfile(0.2, 2)(log).test).any()


def test_a_cut_needs_times() -> None:
    log = Interactions.of(pa.array([1, 1, 2]), pa.array([1, 2, 1]), None)
    with pytest.raises(ConfigError, match="have no times"):
        GlobalTime()(log)


def test_a_share_must_leave_something() -> None:
    with pytest.raises(ConfigError, match="share of 1"):
        RandomPerProfile(1.0)


def test_every_split_says_whether_it_leaks() -> None:
    assert {name for name, split in SPLITS.items() if not split.leaks} == {"global-time"}
    assert all(split().label.startswith(name) for name, split in SPLITS.items())
