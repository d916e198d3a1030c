"""Shapes, drift and what is expected: worked by hand and held to their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rec_platform.reports.distributions import LARGE, NOTABLE, distribution, expected, stability

NAN = float("nan")
columns = arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6) | st.just(NAN))


def test_a_column_in_numbers() -> None:
    found = distribution(np.array([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 1000.0, NAN]))
    assert found.n == 8
    assert found.missing == 1 / 8
    assert found.zero == 2 / 7
    assert found.quantiles[1:4] == (0.5, 2.0, 3.5)
    assert found.outliers == 1 / 7  # 1000 > 3.5 + 3 * 3
    assert found.skew > 0


def test_a_constant_column_has_no_outliers_and_no_skew() -> None:
    found = distribution(np.full(5, 7.0))
    assert (found.constant, found.outliers, found.skew) == (True, 0.0, 0.0)


def test_an_empty_and_an_all_missing_column() -> None:
    assert distribution(np.empty(0)).missing == 0.0
    gone = distribution(np.full(3, NAN))
    assert gone.missing == 1.0
    assert gone.constant
    assert np.isnan(gone.quantiles).all()


@given(columns)
def test_a_column_is_stable_against_itself(values: np.ndarray) -> None:
    assert stability(values, values) == 0.0


@given(columns, columns)
def test_the_index_is_never_negative(left: np.ndarray, right: np.ndarray) -> None:
    assert stability(left, right) >= 0.0


@given(columns)
def test_order_does_not_matter(values: np.ndarray) -> None:
    reference = np.linspace(-1e6, 1e6, 50)
    assert stability(reference, values) == pytest.approx(stability(reference[::-1], values[::-1]), rel=1e-12)


def test_a_shift_is_large_and_noise_is_not() -> None:
    draws = np.random.default_rng(5)
    one, other = draws.normal(size=20_000), draws.normal(size=20_000)
    assert stability(one, other) < NOTABLE / 5
    assert stability(one, other + 1) > LARGE


def test_what_goes_missing_is_drift() -> None:
    values = np.arange(100.0)
    gone = np.where(values < 30, NAN, values)
    assert stability(values, gone) > LARGE


def test_nothing_to_compare() -> None:
    assert np.isnan(stability(np.empty(0), np.ones(3)))
    assert np.isnan(stability(np.ones(3), np.empty(0)))


def test_weekends_are_compared_with_weekends() -> None:
    week = [100.0] * 5 + [200.0] * 2
    bands = expected(week * 5)
    assert all(np.isnan(low) for low, _ in bands[:5])
    for value, (low, high) in zip(week * 2, bands[-14:], strict=True):
        assert low <= value <= high
        assert not low <= value * 1.5 <= high


@pytest.mark.parametrize("spread", [0.05, 0.15, 0.4])
def test_days_drawn_alike_seldom_leave_their_band(spread: float) -> None:
    """A band from the spread of three or four days of a weekday called up to a fifth of such days unexpected."""
    draws = np.random.default_rng(3)
    outside = days = 0
    for _ in range(40):
        values = 100.0 * np.array([1, 1, 1, 1, 1, 1.6, 1.6] * 10) * np.exp(draws.normal(0, spread, 70))
        for value, (low, high) in list(zip(values, expected(values.tolist()), strict=True))[28:]:
            days += 1
            outside += not low <= value <= high
    assert 0 < outside / days < 0.05


def test_a_day_that_is_not_as_the_others_is_outside() -> None:
    values = [100.0, 104.0, 97.0, 101.0, 99.0, 102.0, 20.0]
    low, high = expected(values)[-1]
    assert not low <= values[-1] <= high


def test_days_without_a_number_are_passed_over() -> None:
    values = [1.0, NAN, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert expected(values)[6] == (0.9, 1.1)
    assert np.isnan(expected([NAN] * 8)).all()


def test_a_weekday_without_values_is_not_held_against_the_others() -> None:
    """A shop that is shut on Saturdays, and once writes down that it sold nothing."""
    week = [100.0] * 5 + [NAN] + [50.0]
    bands = expected([*(week * 4), *[100.0] * 5, 0.0])
    assert np.isnan(bands[-1]).all()
    assert bands[-2] == (90.0, 110.0)


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_a_band_never_sees_its_own_day_or_later(values: list[float]) -> None:
    changed = [*values[:-1], 12345.0] if values else []
    assert str(expected(values)) == str(expected(changed))
