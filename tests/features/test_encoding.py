"""What encoders return is checked: what is no number, and what is none once it is float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from rec_platform.errors import ConfigError, NumericError
from rec_platform.features import Encoder, Fact
from rec_platform.features.encoders import Array, as_is
from rec_platform.features.encoding import encoded, narrowed
from rec_platform.timetravel import kernels

#: The greatest number that is not rounded to an infinity of float32, and the next.
LAST, FIRST = np.nextafter(2.0**128 - 2.0**103, 0), 2.0**128 - 2.0**103
NUMBERS = st.one_of(st.floats(), st.floats(3.4028234e38, 3.4028237e38), st.floats(-3.4028237e38, -3.4028234e38))


@given(of_numpy.arrays(np.float64, st.integers(0, 5), elements=NUMBERS))
@example(np.array([LAST, -LAST, np.nan]))
@example(np.array([FIRST]))
@example(np.array([-FIRST]))
def test_what_is_an_infinity_as_float32_is_found(values: npt.NDArray[np.float64]) -> None:
    with np.errstate(over="ignore"):
        stored = values.astype(np.float32)
    assert kernels.infinite(kernels.readable(values, np.float64)) == bool(np.isinf(stored).any())
    np.testing.assert_array_equal(narrowed(values), stored)


@pytest.mark.parametrize("text", ["DE", "FR"])
def test_the_row_of_an_infinity_is_told_whatever_it_reads(text: str) -> None:
    one = Encoder("odd", ("country", "week"), lambda country, week: week / (country != text), "x", "odd")
    rows = [np.array(["DE", "FR"], dtype=object), np.array([3.0, 5.0])]
    with np.errstate(divide="ignore"), pytest.raises(NumericError) as raised:
        encoded(one, rows)
    week = {"DE": 3.0, "FR": 5.0}[text]
    assert raised.value.fault == f"it returned an infinity, for example for country={text!r}, week={week}"


def odd(function: Callable[..., Array]) -> Encoder:
    return Encoder("odd", ("title_id", "week"), function, "x", "odd")


def test_where_an_encoder_stands_is_told() -> None:
    one = odd(lambda title, week: week / 0)
    with np.errstate(divide="ignore"), pytest.raises(NumericError) as raised:
        encoded(one, [np.array([1]), np.array([2.0])])
    assert raised.value.place == f"encoder 'odd', line {one.function.__code__.co_firstlineno} of {__file__}"
    with pytest.raises(NumericError) as raised:
        encoded(as_is(Fact("week", "profile", "plays", 7)), [np.array([np.inf])])
    assert raised.value.place == "encoder 'week'"


def _one_title(title: Array, week: Array) -> Array:
    if (title == 5).any():
        raise KeyError("five")
    return week


@given(st.lists(st.integers(4, 6), min_size=1, max_size=40))
def test_the_first_row_that_raises_is_told(titles: list[int]) -> None:
    """The row's number stands beside it as `week`."""
    rows = [np.array(titles), np.arange(len(titles), dtype=np.float64)]
    if 5 not in titles:
        assert encoded(odd(_one_title), rows) is rows[1]
        return
    with pytest.raises(ConfigError, match=r"raised KeyError: 'five' \(line \d+ of .*test_encoding.py\), for") as raised:
        encoded(odd(_one_title), rows)
    assert raised.value.fault.endswith(f", for example for title_id=5, week={float(titles.index(5))}")
    assert raised.value.repair == "Correct that line; give NaN where a row has no number."


def _always(title: Array, week: Array) -> Array:
    raise ValueError("never")


def _of_all(title: Array, week: Array) -> Array:
    if week.sum() > 2:
        raise ValueError("too many")
    return week


def _otherwise(title: Array, week: Array) -> Array:
    if len(week) == 1:
        raise IndexError("too few")
    return _of_all(title, week)


@pytest.mark.parametrize("function", [_always, _of_all, _otherwise])
def test_a_fault_that_hangs_on_no_row_blames_none(function: Callable[..., Array]) -> None:
    with pytest.raises(ConfigError, match=r"raised ValueError: \w+.* \(line \d+ of .*test_encoding.py\)") as raised:
        encoded(odd(function), [np.arange(3), np.ones(3)])
    assert "for example" not in raised.value.fault
