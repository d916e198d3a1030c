"""Eight numbers at once are what eight comparisons are."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.timetravel.kernels import lanes


@numba.njit
def _compared(values, index, bound):
    lanes.ask(values, np.uint64(index))
    lanes.ask_to_write(values, np.uint64(index))
    above, below = lanes.above(values, np.uint64(index), bound), lanes.below(values, np.uint64(index), bound)
    return above, below, lanes.ones(above), lanes.lowest(above)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@given(data=st.data())
def test_bits_say_which_of_eight_are_above_and_below(kind, data):
    numbers = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.1, 2.0, np.inf, np.nan])
    values = np.array(data.draw(st.lists(numbers, min_size=11, max_size=11)), dtype=kind)
    index, bound = data.draw(st.integers(0, 3)), kind(data.draw(numbers))
    mine = values[index : index + lanes.LANES]
    above, below, many, lowest = _compared(values, index, bound)
    assert above == sum(1 << place for place in range(8) if mine[place] > bound)
    assert below == sum(1 << place for place in range(8) if mine[place] < bound)
    assert many == (mine > bound).sum()
    assert lowest == (np.flatnonzero(mine > bound)[0] if many else 64)
