"""A feature file, run statement by statement as far as it goes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rec_platform.errors import PlatformError
from rec_platform.features import standard
from rec_platform.features.check.checked import Fault
from rec_platform.features.encoders import Encoder
from rec_platform.features.feature_set import declarations
from rec_platform.features.own_file import OwnFile, line_in, line_of
from rec_platform.timetravel.declared import Fact


@dataclass
class Run:
    """A file, run as far as it goes; `lost` are the names that statements which failed would have made."""

    facts: list[Fact]
    encoders: list[Encoder]
    lines: dict[str, int]
    faults: list[Fault]
    lost: set[str]

    @classmethod
    def of(cls, own: OwnFile) -> Run:
        """The file as it was read, each statement run by itself; faults of those that failed."""
        module, file, beside = own.opened(), own.path, {name for name, _ in own.beside}
        run, tree = cls([], [], {}, [], set()), ast.parse(own.text, str(file))
        future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        for node in tree.body:
            code = compile(ast.Module([*future, node], type_ignores=[]), str(file), "exec")
            before = dict(vars(module))
            declared = {id(one) for value in before.values() for one in declarations(value)}
            try:
                exec(code, module.__dict__)
            except Exception as error:
                run.lost |= _assigned(node)
                if not (isinstance(error, NameError) and error.name in run.lost):
                    run.faults.append(_raised(error, node, file))
            if not isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "module", None) in beside:
                run._note_lost(before, vars(module), node)
                run._take([one for value in vars(module).values() for one in declarations(value)], declared, node)
        return run

    def _note_lost(self, before: Mapping[str, Any], after: Mapping[str, Any], node: ast.stmt) -> None:
        """Names of a declaration that now stand for another one."""
        for name, first in before.items():
            second = after.get(name)
            if second is not first and isinstance(first, Fact | Encoder) and isinstance(second, Fact | Encoder):
                lost = f"{name!r} is given a second time, so the first (line {self.lines[first.name]}) is lost"
                self.faults.append(
                    Fault(lost, node.lineno, "Rename one of them: a fact and a function may not share one name.")
                )

    def _take(self, after: Iterable[Fact | Encoder], known: set[int], node: ast.stmt) -> None:
        """What a statement declared, or took from a module beside the file; what other imports bring is not its own."""
        for thing in {id(one): one for one in after if id(one) not in known}.values():
            self.lines[thing.name] = node.lineno
            if isinstance(thing, Fact):
                self.facts += [thing] if thing not in standard.FACTS else []
            else:
                self.encoders += [thing] if thing not in standard.ENCODERS else []


def _assigned(node: ast.stmt) -> set[str]:
    """The names that a statement would have given a value to, or that it gives to what it would have made."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    parts = list(ast.walk(node))
    texts = {one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return texts | {one.id for one in parts if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _raised(error: Exception, node: ast.stmt, file: Path) -> Fault:
    """What a statement raised, at the innermost line of the file that it came from, and of a module beside it."""
    line, where = line_in(str(file), error) or node.lineno, line_of(file, error)
    if where and not where.startswith("line "):
        return Fault(f"{where}: {type(error).__name__}: {error}", line, "Correct that line.")
    if isinstance(error, PlatformError):
        return Fault(f"{error.place}: {error.fault}", line, error.repair)
    return Fault(f"{type(error).__name__}: {error}", line, "Correct that line.")
