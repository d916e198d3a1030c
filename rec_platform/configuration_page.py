"""The page docs/configuration.md, written from `rec_platform.config`.

`python -m rec_platform.configuration_page > docs/configuration.md` brings it up to date; a test says when that is due.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rec_platform.config import Settings, SourceRules

_HEAD: Final = """\
# Configuration

Written from `rec_platform/config.py` by `python -m rec_platform.configuration_page > docs/configuration.md`; change the
keys there, not here.

Two files in the home hold all choices. `platform.toml` is yours to write and may be absent: every key has a default.
`source.toml` is the mapping that `rec-platform ingest` stored ([mapping.md](mapping.md)); its `[rules]` are the choices
that belong to the source. A key that is not listed here, or a value out of its range, stops every command that opens the
home, with the key's name.

A stage is given only its own keys, and they are part of its fingerprints: after a change, `rec-platform run` makes again
what reads that table of the file, and what changes with it. `[audit]` and `[memory]` are in no fingerprint: new bounds
judge what is made from then on, and memory changes nothing of what is made.

A worked example: ten days of training, two countries, one feature less, and a metric of your own.

    # platform.toml
    seed = 7
    countries = ["FR", "GB"]

    [rankers]
    training_days = 10

    [features]
    leave_out = ["title_runtime_seconds"]

    [evaluation]
    cutoffs = [5, 20]
    files = ["/srv/shop/my_metrics.py"]

`files` are read where they stand; a relative path is looked up in the home.
"""
_SIGNS: Final = ((Ge, "ge", ">="), (Gt, "gt", ">"), (Le, "le", "<="), (Lt, "lt", "<"))
_NAMES: Final = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def page() -> str:
    """The whole page, as Markdown."""
    own = [_section("platform.toml, before any table", Settings, "", keys(Settings))]
    tables = [_of(name, model) for name, model in models(Settings) if name != "rules"]
    rules = [_of(f"rules.{name}", model) for name, model in models(SourceRules)]
    source = _section("`[rules]` of a mapping", SourceRules, _about(SourceRules), keys(SourceRules))
    return "\n".join([_HEAD, *own, *tables, source, *rules])


def models(parent: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables inside a model: name and model, in order."""
    for name, field in parent.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield name, kind


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a model that are no tables, in order."""
    tables = dict(models(model))
    return {name: field for name, field in model.model_fields.items() if name not in tables}


def _of(name: str, model: type[BaseModel]) -> str:
    return _section(f"`[{name}]`", model, _about(model), keys(model))


def _about(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "") + "\n\n"


def _section(title: str, model: type[BaseModel], about: str, found: dict[str, FieldInfo]) -> str:
    lines = "\n".join(
        f"| `{name}` | {_type(field.annotation)} | {_range(field)} | `{_default(model, name)}` | {_meaning(field)} |"
        for name, field in found.items()
    )
    return f"## {title}\n\n{about}| key | type | range | default | meaning |\n|---|---|---|---|---|\n{lines}\n"


def _meaning(field: FieldInfo) -> str:
    """What stands under the field, as one line: a row of a table ends where its line does."""
    return " ".join((field.description or "").split())


def _type(annotation: Any) -> str:
    """A type as people write it in TOML.

    >>> _type(tuple[str, ...]), _type(dict[str, float]), _type(str | None)
    ('list of text', 'table of number', 'text')
    """
    origin, inside = get_origin(annotation), [kind for kind in get_args(annotation) if kind is not NoneType]
    if origin is Annotated or origin in (Union, UnionType):
        return _type(inside[0])
    if origin is Literal:
        return "one of " + ", ".join(f'`"{choice}"`' for choice in inside)
    if origin is tuple:
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return f"table of {_type(inside[1])}"
    return _NAMES[annotation]


def _range(field: FieldInfo) -> str:
    """Bounds of the value, or of the values inside a list or a table; empty where there are none."""
    bounds = [*field.metadata, *_inner(field.annotation)]
    told = [
        f"{sign} {getattr(bound, name):g}" if getattr(bound, name) < 2**31 else f"{sign} 2^31"
        for bound in bounds
        for kind, name, sign in _SIGNS
        if isinstance(bound, kind)
    ]
    return ", ".join(told)


def _inner(annotation: Any) -> list[Any]:
    """The bounds of what a list or a table holds."""
    found: list[Any] = []
    for kind in get_args(annotation):
        for extra in getattr(kind, "__metadata__", ()):
            found += getattr(extra, "metadata", [extra])
    return found


def _default(model: type[BaseModel], name: str) -> str:
    """The default as TOML; a table in its inline form."""
    value = model().model_dump(mode="json")[name]
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(one)}" for key, one in value.items()) + " }"
    return "not set" if value is None else json.dumps(value)


if __name__ == "__main__":
    print(page(), end="")
