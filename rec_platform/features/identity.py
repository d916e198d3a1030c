"""The identity of Python source: a hash of all that can change a number, and of nothing else.

Comments, docstrings and layout do not count. Neither do the words of a declaration (`unit` and `about` of a fact or an
encoder), which people read and no feature is made from:

    drama = Fact("drama", "profile", "plays", 7, where="'drama' in genres", about="plays of dramas")
                                                                            ^^^^^^^^^^^^^^^^^^^^^^^

What stands there is left out only where it is sure to be no more than words. The name that is called must be the
platform's, imported by `from rec_platform... import` and bound to nothing else in the file; the words are texts, names and
calls of such names. Code that reads words (`.about`, `"unit"`) keeps all of them in.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

#: What declares something in words: the places of its words among the positional arguments.
_DECLARING: Final[Mapping[str, tuple[int, ...]]] = {
    "Fact": (4,), "Encoder": (3, 4), "scaled": (3, 4), "encoder": (),
}  # fmt: skip
_WORDS: Final = ("unit", "about")
_PLATFORM: Final = "rec_platform"
#: What words may be made of, besides calls.
_MERE: Final = (
    ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.operator,
    ast.expr_context,
)  # fmt: skip


@lru_cache(maxsize=256)
def code_identity(source: str, *, with_words: bool = False) -> str:
    """A hash of Python source that comments, docstrings and layout do not change, nor the words of declarations.

    Args:
        with_words: the words count, too: something outside may read them.

    >>> code_identity("x = 1  # one") == code_identity("x=1")
    True
    """
    tree = ast.parse(source)
    if not (with_words or reads_words(source)):
        _leave_words_out(tree)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and _is_text(node.value)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@lru_cache(maxsize=256)
def reads_words(source: str) -> bool:
    """Whether code may read the words of a declaration."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _WORDS)
        or (isinstance(node, ast.Constant) and node.value in _WORDS)
        for node in ast.walk(ast.parse(source))
    )


def _leave_words_out(tree: ast.Module) -> None:
    names = _platforms(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node, names) in _DECLARING:
            node.keywords = [one for one in node.keywords if one.arg not in _WORDS or not _mere(one.value, names)]
            for place in _DECLARING[_called(node, names)]:
                head = node.args[: place + 1]
                unpacked = any(isinstance(one, ast.Starred) for one in head)
                if len(head) > place and not unpacked and _mere(head[place], names):
                    node.args[place] = ast.Constant("")


def _called(call: ast.Call, names: Mapping[str, str]) -> str:
    """What of the platform is called; empty if nothing of it is."""
    return names.get(call.func.id, "") if isinstance(call.func, ast.Name) else ""


def _mere(value: ast.AST, names: Mapping[str, str]) -> bool:
    """Whether an expression is no more than words: nothing happens where it is evaluated."""
    if isinstance(value, ast.Call):
        return bool(_called(value, names)) and not value.keywords and all(_mere(one, names) for one in value.args)
    return isinstance(value, _MERE) and all(_mere(one, names) for one in ast.iter_child_nodes(value))


def _platforms(tree: ast.Module) -> dict[str, str]:
    """The names of the platform in a module, by what the module calls them; without those that it binds twice."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and _is_platforms(node)]
    ours = {(alias.asname or alias.name, alias.name) for node in imports for alias in node.names}
    bound = [name for name, _ in ours]
    bound += _bound(tree, {id(alias) for node in imports for alias in node.names})
    return {} if "*" in bound else {name: of for name, of in ours if bound.count(name) == 1}


def _is_platforms(node: ast.ImportFrom) -> bool:
    return not node.level and (node.module or "").partition(".")[0] == _PLATFORM


def _bound(tree: ast.AST, but: set[int]) -> Iterator[str]:
    """The names that a module binds anywhere; `but`: imports that do not count, by id."""
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            if id(node) not in but:
                yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif not isinstance(node, ast.Constant | ast.Attribute | ast.keyword | ast.ImportFrom):
            yield from (text for _, text in ast.iter_fields(node) if isinstance(text, str))


def identity_of(text: str, beside: Sequence[tuple[str, str]]) -> str:
    """The identity of a file and of the modules beside it, (name, source) each; without any, of its code alone."""
    texts = [text, *(one for _, one in beside)]
    told = any(name == _PLATFORM for name, _ in beside) or any(map(reads_words, texts))
    mine, *others = [code_identity(one, with_words=told) for one in texts]
    if not others:
        return mine
    parts = [mine, *(f"{name} {one}" for (name, _), one in zip(beside, others, strict=True))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
