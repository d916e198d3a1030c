"""What compiled code has been compiled for: a process that answers should compile nothing, and load nothing more."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from numba.core.dispatcher import Dispatcher


def signatures(package: ModuleType) -> set[tuple[str, str]]:
    """The name of every kernel in a package's modules, with each signature that it has been compiled or loaded for."""
    names = [f"{package.__name__}.{one.name}" for one in pkgutil.iter_modules(package.__path__)]
    found = [thing for name in names for thing in vars(importlib.import_module(name)).values()]
    kernels = [thing for thing in found if isinstance(thing, Dispatcher)]
    return {(kernel.py_func.__qualname__, str(one)) for kernel in kernels for one in kernel.signatures}
