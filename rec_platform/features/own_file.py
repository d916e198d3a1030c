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
from rec_platform.features.identity import identity_of, reads_words

Result = TypeVar("Result")


@dataclass(frozen=True)
class Kind:
    """What files of the user's own are for.

    Attributes:
        name: what such a file is called in places of errors.
        section: the section of platform.toml whose `files` names them.
        repair: what to do about one that is not as it should be, where nothing better is known.
    """

    name: str
    section: str
    repair: str

    def place(self, file: Path) -> str:
        """The file, as errors name it."""
        return f"{self.name} {file}"

    def refuse(
        self, file: Path, fault: str, repair: str = "", where: str = "", cause: BaseException | None = None
    ) -> NoReturn:  # fmt: skip
        """Raises the `ConfigError` of a file."""
        said = f"{where}: {fault}" if where else fault
        raise ConfigError(said, place=self.place(file), repair=repair or self.repair) from cause

    def ran(self, file: Path, call: Callable[[], Result]) -> Result:
        """What a call into a file returns; what it raises with the innermost line of the file, or of a module beside it.

        Errors of the platform stay what they are, and their place says that line besides.
        """
        try:
            return call()
        except PlatformError as error:
            where = line_of(file, error)
            if not where or self.place(file) in error.place:
                raise
            place = f"{error.place}; {self.place(file)}, {where}"
            raise type(error)(error.fault, place=place, repair=error.repair) from error
        except SyntaxError as error:
            beside = error.filename != str(file) and error.filename is not None
            name = f"{Path(str(error.filename)).name}, " if beside else ""
            self.refuse(file, f"not Python: {error.msg}", "Correct that line.", f"{name}line {error.lineno}", error)
        except (Exception, SystemExit) as error:
            self.refuse(file, f"{type(error).__name__}: {error}", "", line_of(file, error), error)


FEATURES: Final = Kind("feature file", "features", "Correct the file; docs/features.md says what may stand in it.")
METRICS: Final = Kind("metric file", "evaluation", "Correct the file; docs/metrics.md says what may stand in it.")
RANKERS: Final = Kind("ranker file", "rankers", "Correct the file; docs/models.md has the contract.")


@dataclass(frozen=True)
class OwnFile:
    """A file's text, and that of the modules beside it which it, or one of them, imports.

    Attributes:
        beside: (name, text), by name.
    """

    kind: Kind
    path: Path
    text: str
    beside: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, kind: Kind, path: Path) -> OwnFile:
        """Raises `ConfigError` for what cannot be read or is not Python, by line."""
        text, found = _text(kind, path), dict[str, str]()
        waiting = [*_imported(kind, path, text, path)]
        while waiting:
            name = waiting.pop()
            module = path.parent / f"{name}.py"
            if name != path.stem and name not in found and module.is_file():
                found[name] = _text(kind, module)
                waiting += _imported(kind, path, found[name], module)
        return cls(kind, path, text, tuple(sorted(found.items())))

    @property
    def code(self) -> str:
        """The identity of all of the code, which comments, layout and the words of declarations do not change."""
        return identity_of(self.text, self.beside)

    @property
    def reads_words(self) -> bool:
        """Whether any of it may read what features say of themselves."""
        return any(map(reads_words, (self.text, *(text for _, text in self.beside))))

    def run(self) -> ModuleType:
        """The file as a module of its own; what it raises as a `ConfigError` by line."""
        name, modules = self._modules
        return self.kind.ran(self.path, lambda: modules.executed(name, self.path, self.text))

    def opened(self) -> ModuleType:
        """The module in which the file may be run, statement by statement."""
        name, modules = self._modules
        return modules.opened(name, self.path)

    @property
    def _modules(self) -> tuple[str, _Modules]:
        """The name of the file's module, and what it imports from."""
        whole = "\n".join([str(self.path), self.text, *(f"{name}\n{text}" for name, text in self.beside)])
        name = f"{self.kind.name.replace(' ', '_')}_{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
        return name, _Modules(self.path, name, dict(self.beside))


@dataclass
class _Modules:
    """The modules beside a file, each run when it is first imported."""

    path: Path
    prefix: str
    texts: Mapping[str, str]
    made: dict[str, ModuleType] = field(default_factory=dict)
    one_at_a_time: RLock = field(default_factory=RLock)

    def executed(self, name: str, path: Path, text: str, known_as: str | None = None) -> ModuleType:
        """A module, run."""
        module = self.opened(name, path)
        if known_as is not None:
            self.made[known_as] = module
        try:
            exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
        except BaseException:  # an interrupt or `sys.exit` of the user's own, too: no half of a module stays
            del sys.modules[name]
            self.made.pop(known_as or "", None)
            raise
        return module

    def opened(self, name: str, path: Path) -> ModuleType:
        """A module to be run. It is registered, since dataclasses look their module up, and before it is, as imports are."""
        module = sys.modules[name] = ModuleType(name)
        module.__file__ = str(path)
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": self.imported}
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


def _text(kind: Kind, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        repair = f"Give the path of a .py file in [{kind.section}] files, or take it out."
        kind.refuse(path, f"it cannot be read: {said}", repair, cause=error)


@lru_cache(maxsize=256)
def _imported(kind: Kind, file: Path, text: str, path: Path) -> tuple[str, ...]:
    """The first names of what a module imports, wherever in it; `ConfigError` for what is not Python."""
    found = list[str]()
    for node in ast.walk(kind.ran(file, lambda: ast.parse(text, str(path)))):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module.partition(".")[0])
    return tuple(dict.fromkeys(found))


def line_in(file: str, error: BaseException) -> int | None:
    """The innermost line of a file that an error came from; None if from none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def line_of(file: Path, error: BaseException) -> str:
    """The innermost line of the file, or of a module beside it, that an error came from; empty if from none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == str(file):
            return f"line {frame.lineno}"
        beside = Path(frame.filename)
        if beside.parent == file.parent and beside.suffix == ".py":  # code made from text is in "<string>"
            return f"{beside.name}, line {frame.lineno}"
    return ""
