"""Models that raise: what one raises is kept beside what the others make, and said with the line it came from."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rec_platform.errors import ModelFault, PlatformError, StorageFault

Result = TypeVar("Result")


def tried(call: Callable[[], Result]) -> Result | Exception:
    """What a call into a model gives, or what it raises; a `StorageFault` is no model's, and passes."""
    try:
        return call()
    except StorageFault:
        raise
    except Exception as error:
        return error


def said(error: Exception) -> str:
    """What a model raised: a user's file is named with its line, of anything else the innermost line is told."""
    if isinstance(error, PlatformError):
        return str(error)
    return f"{type(error).__name__}: {error} ({_innermost(error)})"


def naming(model: str, call: Callable[[], Result], *, otherwise: str) -> Result:
    """What a call into a model gives; what it raises names the model.

    Args:
        otherwise: what else than the repair of the error would help.

    Errors of the platform stay of their kind; others become a `ModelFault`. A `StorageFault` passes.
    """
    found = tried(call)
    if isinstance(found, PlatformError):
        fault, repair = f"model {model}: {found.fault}", f"{found.repair} {otherwise}"
        raise type(found)(fault, place=found.place, repair=repair) from found
    if isinstance(found, Exception):
        fault = f"model {model} raised {type(found).__name__}: {found}"
        raise ModelFault(fault, place=_innermost(found), repair=otherwise) from found
    return found


def _innermost(error: Exception) -> str:
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(innermost.filename).name}, line {innermost.lineno}"
