"""The types that compiled code knows, its constants, and how it is compiled and cached."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]
#: Signed integers of any width.
Integers = npt.NDArray[np.signedinteger[Any]]
Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., Any])

#: "No such instant"; also what `first_visible_play` and `signup_at` give where there is none.
NONE: Final = -(2**63)
#: After every instant.
FOREVER: Final = 2**63 - 1
#: The window of facts over all time.
ALL_TIME: Final = -1
DAY: Final = 86_400_000_000
HOUR: Final = 3_600_000_000

if "NUMBA_CACHE_DIR" not in os.environ:
    # numba compiles a function again when its own file changes, not when a file it calls does: what files share has a say.
    _texts = [Path(__file__).with_name(name).read_bytes() for name in ("search.py", "lanes.py", "heaps.py")]
    _shared = hashlib.sha256(b"".join(_texts)).hexdigest()[:12]
    numba.config.CACHE_DIR = str(Path(sys.prefix) / "var" / "rec-platform" / "numba" / _shared)


def compiled(function: Function) -> Function:
    """`function` compiled on first use, cached in the environment, run without the interpreter lock."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def plain(values: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """`values` as a contiguous, writable array: kernels are compiled for that one kind (Arrow gives read-only ones)."""
    if type(values) is np.ndarray and values.dtype == dtype and values.flags.carray:
        return values
    return np.array(values, dtype=dtype, order="C")


def readable(values: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """`values` as a contiguous array for reading only, for kernels that are compiled for that: Arrow's are not copied."""
    view = np.ascontiguousarray(values, dtype=dtype).view()
    view.flags.writeable = False
    return view
