"""What encoders return is checked: what is no number, and what is none once it is float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from rec_platform.errors import NumericError
from rec_platform.features import Encoder
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
