"""What an encoder returns for its arguments, checked before it is used."""

from __future__ import annotations

import numpy as np

from rec_platform.errors import ConfigError, NumericError, PlatformError
from rec_platform.features.arithmetic import same
from rec_platform.features.encoders import Array, Encoder
from rec_platform.features.own_file import line_in
from rec_platform.timetravel import kernels


def encoded(one: Encoder, arguments: list[Array]) -> Array:
    """What an encoder returned for its arguments, checked: a number per row, none of them infinite as float32.

    That holds for encoders that only others read, too: what a feature set refuses does not hang on what is left out of it.
    """
    place = _place(one)
    try:
        result = np.asarray(one.function(*arguments))
    except PlatformError:
        raise
    except Exception as error:
        row = _raising(one, arguments, type(error))
        example = "" if row is None else _example(one, arguments, row)
        fault = f"it raised {type(error).__name__}: {error}{_line_of(one, error)}{example}"
        repair = "Correct that line; give NaN where a row has no number."
        raise ConfigError(fault, place=place, repair=repair) from error
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


def _raising(one: Encoder, arguments: list[Array], kind: type[Exception]) -> int | None:
    """The first row that raises alone what all raised together; None if that hangs on no row, or on several.

    Halves are tried, so that few calls find it among millions.
    """

    def raises(first: int, end: int) -> bool:
        try:
            one.function(*[values[first:end].copy() for values in arguments])
        except Exception as error:  # the user's own code may raise anything
            return type(error) is kind
        return False

    first, end = 0, len(arguments[0])
    if end == 0 or raises(0, 0):
        return None
    while end - first > 1:
        middle = (first + end) // 2
        first, end = (first, middle) if raises(first, middle) else (middle, end)
    return first if raises(first, end) else None


def _example(one: Encoder, arguments: list[Array], row: int) -> str:
    """The arguments of a row, as text."""
    values = [values[row : row + 1].tolist()[0] for values in arguments]
    return f", for example for {', '.join(f'{n}={v!r}' for n, v in zip(one.reads, values, strict=True))}"


def narrowed(feature: Array) -> kernels.Float32:
    """Numbers as float32, by way of float64 whatever they are."""
    with np.errstate(over="ignore"):
        return feature.astype(np.float64, copy=False).astype(np.float32)


def _place(one: Encoder) -> str:
    """An encoder with the place of its code, unless that is the platform's own, as of those that pass a fact on."""
    code = getattr(one.function, "__code__", None)
    where = "" if code is None or one.function is same else f", line {code.co_firstlineno} of {code.co_filename}"
    return f"encoder {one.name!r}{where}"


def _line_of(one: Encoder, error: BaseException) -> str:
    """The innermost line of the encoder's own file that an error came from, as text; empty if from none."""
    file = getattr(getattr(one.function, "__code__", None), "co_filename", None)
    line = None if file is None else line_in(file, error)
    return "" if line is None else f" (line {line} of {file})"
