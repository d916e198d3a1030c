"""The types that the loops of evaluation know."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform.timetravel.kernels import Float64, Int64

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Halves = npt.NDArray[np.uint16]
#: Unsigned, as what an index is: a signed one has to be asked at every look whether it counts from the end, which no vector
#: instruction does.
Index = np.uint64
#: Scores as they are given.
Floating = npt.NDArray[np.float32] | npt.NDArray[np.float64]
#: Whole numbers: int64 where sums of them may be large, float64 where they are to be multiplied.
Numbers = Int64 | Float64

#: Units of a sum, and the bound of one number in it, as in `sums.fixed`.
ONE: Final = 2.0**30
BOUND: Final = 2.0**29
