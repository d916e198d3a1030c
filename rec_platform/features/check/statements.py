"""A feature file, run statement by statement as far as it goes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
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
    """A file, run as far as it goes.

    Attributes:
        lines: where each fact and encoder is declared, by its `id`: two may have one name.
        lost: the names that statements which failed would have made.
    """

    facts: list[Fact]
    encoders: list[Encoder]
    lines: dict[int, int]
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
                new = [one for value in vars(module).values() for one in declarations(value) if id(one) not in declared]
                run._take(list({id(one): one for one in new}.values()), node, _calls(node, vars(module)))
        return run

    def line_of(self, name: str) -> int | None:
        """Where the last fact or encoder of a name is declared; None if there is none."""
        declared: list[Fact | Encoder] = [*self.facts, *self.encoders]
        return max((self.lines[id(one)] for one in declared if one.name == name), default=None)

    def _note_lost(self, before: Mapping[str, Any], after: Mapping[str, Any], node: ast.stmt) -> None:
        """Names of a declaration that now stand for another one."""
        for name, first in before.items():
            second = after.get(name)
            if second is not first and isinstance(first, Fact | Encoder) and isinstance(second, Fact | Encoder):
                line = self.lines.get(id(first))
                where = "imported" if line is None else f"line {line}"
                lost = f"{name!r} is given a second time, so the first ({where}) is lost"
                self.faults.append(
                    Fault(lost, node.lineno, "Rename one of them: a fact and a function may not share one name.")
                )

    def _take(self, new: Sequence[Fact | Encoder], node: ast.stmt, calls: Mapping[str, Sequence[int]]) -> None:
        """What a statement declared, or took from a module beside the file; what other imports bring is not its own."""
        places = dict.fromkeys(map(id, new), node.lineno)
        for name, lines in calls.items():
            called = [one for one in new if isinstance(one, Fact) and one.name == name]
            if len(called) == len(lines):
                places |= {id(one): line for one, line in zip(called, lines, strict=True)}
        self.lines |= places
        for thing in new:
            if isinstance(thing, Fact):
                self.facts += [thing] if thing not in standard.FACTS else []
            else:
                self.encoders += [thing] if thing not in standard.ENCODERS else []


def _calls(node: ast.stmt, names: Mapping[str, Any]) -> dict[str, list[int]]:
    """The lines of a statement's calls of `Fact` with a literal name, by that name, as they stand in the file."""
    found: dict[str, list[int]] = {}
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and _is_fact(one.func, names)]
    for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
        if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
            found.setdefault(given[0].value, []).append(call.lineno)
    return found


def _is_fact(called: ast.expr, names: Mapping[str, Any]) -> bool:
    if isinstance(called, ast.Name):
        return names.get(called.id) is Fact
    return isinstance(called, ast.Attribute) and called.attr == Fact.__name__


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
