"""A Python file of the user's own with the modules beside it: what is run is what its identity covers.

A file may import modules of its own folder by their names (`import parts`, `from parts import part_of`), and they each other.
They are read together with the file and run for it alone: a `parts.py` of another folder, or one that was changed meanwhile,
is another module, and none of them is in the way of what is installed. Everything else that a file imports must be
installed. Packages beside the file are not looked into, so that what a file hangs on can be seen in its folder.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Final, NoReturn, TypeVar

from rec_platform.errors import ConfigError, PlatformError
from rec_platform.features.encoders import code_identity

Result = TypeVar("Result")
_CORRECT: Final = "Correct the file; docs/models.md has the contract."


@dataclass(frozen=True)
class OwnFile:
    """A file's text, and that of the modules beside it which it, or one of them, imports.

    Attributes:
        beside: (name, text), by name.
    """

    path: Path
    text: str
    beside: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> OwnFile:
        """Raises `ConfigError` for what cannot be read or is not Python, by line."""
        text, found = _text(path), dict[str, str]()
        waiting = [*_imported(path, text, path)]
        while waiting:
            name = waiting.pop()
            module = path.parent / f"{name}.py"
            if name != path.stem and name not in found and module.is_file():
                found[name] = _text(module)
                waiting += _imported(path, found[name], module)
        return cls(path, text, tuple(sorted(found.items())))

    @property
    def code(self) -> str:
        """The identity of all of the code, which comments and layout do not change."""
        mine = code_identity(self.text)
        if not self.beside:
            return mine
        parts = [mine, *(f"{name} {code_identity(text)}" for name, text in self.beside)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def run(self) -> ModuleType:
        """The file as a module of its own; what it raises as a `ConfigError` by line."""
        whole = "\n".join([str(self.path), self.text, *(f"{name}\n{text}" for name, text in self.beside)])
        prefix = f"ranker_file_{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
        modules = _Modules(self.path, prefix, dict(self.beside))
        return ran(self.path, lambda: modules.executed(prefix, self.path, self.text))


@dataclass
class _Modules:
    """The modules beside a file, each run when it is first imported."""

    path: Path
    prefix: str
    texts: Mapping[str, str]
    made: dict[str, ModuleType] = field(default_factory=dict)
    one_at_a_time: RLock = field(default_factory=RLock)

    def executed(self, name: str, path: Path, text: str, known_as: str | None = None) -> ModuleType:
        """A module, run. It is registered, since dataclasses look their module up, and before it is run, as imports are."""
        module = sys.modules[name] = ModuleType(name)
        module.__file__ = str(path)
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": self.imported}
        if known_as is not None:
            self.made[known_as] = module
        try:
            exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
        except BaseException:  # an interrupt or `sys.exit` of the user's own, too: no half of a module stays
            del sys.modules[name]
            self.made.pop(known_as or "", None)
            raise
        return module

    def imported(
        self, name: str, globals: Mapping[str, object] | None = None, locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (), level: int = 0,
    ) -> ModuleType:  # fmt: skip
        """What `import` does in these modules: `builtins.__import__`, but for the modules beside the file."""
        head, _, rest = name.partition(".")
        if level or head not in self.texts:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if rest:
            raise ModuleNotFoundError(f"No module named {name!r}; {head}.py is not a package")
        with self.one_at_a_time:
            if name not in self.made:
                self.executed(f"{self.prefix}_{name}", self.path.parent / f"{name}.py", self.texts[name], name)
            return self.made[name]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        repair = "Give the path of a .py file in [rankers] files, or take it out."
        refuse(path, f"it cannot be read: {said}", repair, cause=error)


@lru_cache(maxsize=256)
def _imported(file: Path, text: str, path: Path) -> tuple[str, ...]:
    """The first names of what a module imports, wherever in it; `ConfigError` for what is not Python."""
    found = list[str]()
    for node in ast.walk(ran(file, lambda: ast.parse(text, str(path)))):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module.partition(".")[0])
    return tuple(dict.fromkeys(found))


def ran(file: Path, call: Callable[[], Result]) -> Result:
    """What a call into a file returns; what it raises with the innermost line of the file, or of a module beside it.

    Errors of the platform stay what they are, and their place says that line besides.
    """
    try:
        return call()
    except PlatformError as error:
        where = _where(file, error)
        if not where or f"ranker file {file}" in error.place:
            raise
        place = f"{error.place}; ranker file {file}, {where}"
        raise type(error)(error.fault, place=place, repair=error.repair) from error
    except SyntaxError as error:
        beside = error.filename != str(file) and error.filename is not None
        name = f"{Path(str(error.filename)).name}, " if beside else ""
        refuse(file, f"not Python: {error.msg}", "Correct that line.", f"{name}line {error.lineno}", error)
    except (Exception, SystemExit) as error:
        refuse(file, f"{type(error).__name__}: {error}", _CORRECT, _where(file, error), error)


def _where(file: Path, error: BaseException) -> str:
    """The innermost line of the file, or of a module beside it, that an error came from; empty if from none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == str(file):
            return f"line {frame.lineno}"
        if Path(frame.filename).parent == file.parent:
            return f"{Path(frame.filename).name}, line {frame.lineno}"
    return ""


def refuse(
    file: Path, fault: str, repair: str = _CORRECT, where: str = "", cause: BaseException | None = None
) -> NoReturn:  # fmt: skip
    """Raises the `ConfigError` of a file."""
    raise ConfigError(f"{where}: {fault}" if where else fault, place=f"ranker file {file}", repair=repair) from cause
