"""What an encoder returns for its arguments, checked before it is used."""

from __future__ import annotations

import numpy as np

from rec_platform.errors import ConfigError, NumericError, PlatformError
from rec_platform.features.encoders import Array, Encoder
from rec_platform.features.own_file import line_in
from rec_platform.timetravel import kernels


def encoded(one: Encoder, arguments: list[Array]) -> Array:
    """What an encoder returned for its arguments, checked: a number per row, none of them infinite as float32.

    That holds for encoders that only others read, too: what a feature set refuses does not hang on what is left out of it.
    """
    place = f"encoder {one.name!r}"
    try:
        result = np.asarray(one.function(*arguments))
    except PlatformError:
        raise
    except Exception as error:
        fault = f"it raised {type(error).__name__}: {error}{_line_of(one, error)}"
        raise ConfigError(fault, place=place, repair="Correct that line; `features check FILE` tries it.") from error
    if result.shape != arguments[0].shape or result.dtype.kind not in "fiub":
        raise ConfigError(
            f"it returned {result.dtype} of shape {result.shape} for rows of shape {arguments[0].shape}", place=place,
            repair="Return one number per row (NaN where it is missing).",
        )  # fmt: skip
    if result.dtype.kind == "f" and kernels.infinite(kernels.readable(result, np.float64)):
        raise _infinite(one, arguments, result, place)
    return result


def _infinite(one: Encoder, arguments: list[Array], result: Array, place: str) -> NumericError:
    """The error of the first row that is infinite as float32."""
    row = int(np.flatnonzero(np.isinf(narrowed(result)))[0])
    if np.isinf(result[row]):
        said, repair = "an infinity", "Return NaN where the number is missing."
    else:
        said = f"{result[row]:.3g}, an infinity once it is float32, as features are stored"
        repair = "Return numbers below 3.4e38: another unit, a logarithm, or NaN where the number is missing."
    return NumericError(f"it returned {said}{_example(one, arguments, row)}", place=place, repair=repair)


def _example(one: Encoder, arguments: list[Array], row: int) -> str:
    """The arguments of a row, as text."""
    values = [values[row : row + 1].tolist()[0] for values in arguments]
    return f", for example for {', '.join(f'{n}={v!r}' for n, v in zip(one.reads, values, strict=True))}"


def narrowed(feature: Array) -> kernels.Float32:
    """Numbers as float32, by way of float64 whatever they are."""
    with np.errstate(over="ignore"):
        return feature.astype(np.float64, copy=False).astype(np.float32)


def _line_of(one: Encoder, error: BaseException) -> str:
    """The innermost line of the encoder's own file that an error came from, as text; empty if from none."""
    file = getattr(getattr(one.function, "__code__", None), "co_filename", None)
    line = None if file is None else line_in(file, error)
    return "" if line is None else f" (line {line} of {file})"
