"""Encoders: pure functions from facts to one feature, named for what they return, their parameters for what they need.

    @encoder(unit="ratio", about="plays of the last week against a week of the last four")
    def profile_trend(profile_plays_7d, profile_plays_28d):
        return ratio(4 * profile_plays_7d, profile_plays_28d)

An encoder gets NumPy arrays of equal length (of contexts, or of items as soon as one of its parameters is per item), works
element by element, touches no storage and no clock, and returns floats; NaN is "missing". A parameter is a fact, a column
of the context or item (`COLUMNS`), or another encoder.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rec_platform import columns as c
from rec_platform.errors import ConfigError
from rec_platform.features.arithmetic import Array, Divided, days_since, ratio, same, smoothed_rate
from rec_platform.features.identity import code_identity
from rec_platform.timetravel.facts import Fact

__all__ = [
    "COLUMNS", "Array", "Encoder", "as_is", "days_since", "encoder", "ratio", "scaled", "smoothed_rate",
]  # fmt: skip

#: Columns that an encoder may name besides facts, by level. Instants are int64 microseconds, texts object arrays.
COLUMNS: Final = {
    c.PROFILE: "context", c.COUNTRY: "context", c.AT: "context", c.DEVICE: "context", c.TENURE_DAYS: "context",
    c.TITLE: "item",
}  # fmt: skip
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Encoder:
    """One feature.

    Attributes:
        name: the feature's name; lower-case letters, digits and underscores.
        reads: what it needs, in the order of the function's parameters.
        function: arrays in, one array of floats out.
        unit, about: for docs and reports.
    """

    name: str
    reads: tuple[str, ...]
    function: Callable[..., Array]
    unit: str
    about: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} cannot name a feature", place="encoder",
                repair="Use lower-case letters, digits and underscores, a letter first, at most 63.",
            )  # fmt: skip
        if not self.reads:
            raise ConfigError(
                "it has no parameters", place=f"encoder {self.name!r}", repair="Name the facts it needs as parameters."
            )
        if not (isinstance(self.function, Divided) or hasattr(self.function, "__code__")):
            raise ConfigError(
                f"its function is a {type(self.function).__name__}, whose code cannot be told from another's",
                place=f"encoder {self.name!r}", repair="Call it from a function of your own: def, with the facts as parameters.",
            )  # fmt: skip

    def __call__(self, *values: Array) -> Array:
        return self.function(*values)

    @property
    def identity(self) -> str:
        """A hash of the code it was written as: the syntax of its whole file, so that helpers beside it count, too.

        Comments, docstrings, layout and the words of declarations do not (identity.py). `ConfigError` for a function whose
        source cannot be read.
        """
        if isinstance(self.function, Divided):
            return repr(self.function)
        file = Path(self.function.__code__.co_filename)
        if file.is_file():
            return code_identity(file.read_text(encoding="utf-8"))
        try:
            return code_identity(textwrap.dedent(inspect.getsource(self.function)))
        except OSError:
            raise ConfigError(
                "its source cannot be read", place=f"encoder {self.name!r}", repair="Define it in a file."
            ) from None


def encoder(
    bare: object = None, /, *, unit: str | None = None, about: str | None = None
) -> Callable[[Callable[..., Array]], Encoder]:  # fmt: skip
    """Declare a function as the encoder of the feature it is named for; see the module for an example.

    `ConfigError` where `unit` or `about` is not given, as by `@encoder` without parentheses (`bare` is then the function).
    """
    if bare is not None or unit is None or about is None:
        named = getattr(bare, "__name__", None)
        lacks = [name for name, text in (("unit", unit), ("about", about)) if text is None] or ["parentheses"]
        raise ConfigError(
            f"it is declared without {' and '.join(lacks)}", place="encoder" if named is None else f"encoder {named!r}",
            repair='Write @encoder(unit="...", about="...") above it: both stand in docs, reports and explanations.',
        )  # fmt: skip

    def declare(function: Callable[..., Array]) -> Encoder:
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind is not p.POSITIONAL_OR_KEYWORD or p.default is not p.empty for p in parameters):
            raise ConfigError(
                "it has a parameter with a default, a star or a slash", place=f"encoder {function.__name__!r}",
                repair="Each parameter names one fact; write constants into the body.",
            )  # fmt: skip
        return Encoder(function.__name__, tuple(p.name for p in parameters), function, unit, about)

    return declare


def as_is(fact: Fact) -> Encoder:
    """The encoder that passes a fact on under the fact's own name."""
    return Encoder(fact.name, (fact.name,), same, fact.unit, fact.about)


def scaled(name: str, fact: Fact, divisor: float, unit: str, about: str) -> Encoder:
    """The encoder that passes a fact on in another unit."""
    return Encoder(name, (fact.name,), Divided(divisor), unit, about)
