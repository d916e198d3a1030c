"""Transformers and the pipeline that composes them.

A transformer says which columns it reads and which it adds, types included; it is lazy (constructing it computes nothing),
it writes itself as plain JSON, and it can be used alone in a notebook. A `Pipeline` checks the whole chain of schemas
before any data is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, cast

import pyarrow as pa

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, SchemaError

Source = TypeVar("Source")


class Level(StrEnum):
    """Where in a frame a column stands."""

    CONTEXT = "contexts"
    ITEM = "items"
    FEATURE = "features"
    SCORE = "scores"


@dataclass(frozen=True, order=True)
class Column:
    """A column of a frame: its level, name and Arrow type."""

    level: Level
    name: str
    type: pa.DataType

    def __str__(self) -> str:
        return f"{self.level}.{self.name}: {self.type}"


class Sources:
    """What transformers read besides the frame (a timeline, the titles, models), one object per type."""

    def __init__(self, *objects: object) -> None:
        self._objects: dict[type, object] = {type(thing): thing for thing in objects}

    def need(self, kind: type[Source], *, step: str) -> Source:
        """The source of that type; `ConfigError` naming the step that misses it otherwise."""
        if kind not in self._objects:
            have = ", ".join(sorted(known.__name__ for known in self._objects)) or "none"
            raise ConfigError(
                f"no {kind.__name__} was given", place=f"step {step}", repair=f"Pass one to Sources; it holds {have}."
            )
        return cast(Source, self._objects[kind])

    def find(self, kind: type[Source]) -> Source | None:
        """The source of that type, if one was given."""
        return cast(Source | None, self._objects.get(kind))


class Transformer(ABC):
    """One step between frames.

    Subclasses are frozen dataclasses whose fields are JSON values, so `to_json` and equality come for free.
    """

    #: The name in JSON, in errors and in the docs; unique among transformers.
    name: ClassVar[str]
    #: Whether a context and its items get the same whatever other contexts stand in the frame. It then keeps all contexts in
    #: their order, and a frame may be given in parts. If not, the frame must be whole: a partition.
    by_context: ClassVar[bool] = True

    @property
    @abstractmethod
    def reads(self) -> tuple[Column, ...]:
        """The columns that must be there."""

    @property
    @abstractmethod
    def adds(self) -> tuple[Column, ...]:
        """The columns that are there afterwards (and were not, or change)."""

    @abstractmethod
    def apply(self, frame: Frame, sources: Sources) -> Frame:
        """The frame with this step done. Pure: the same frame and sources give the same bytes."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The step's configuration, without its name."""


def schema_of(frame: Frame) -> dict[tuple[Level, str], Column]:
    """The columns a frame has, by level and name."""
    parts = {
        Level.CONTEXT: frame.contexts,
        Level.ITEM: frame.items,
        Level.FEATURE: frame.features,
        Level.SCORE: frame.scores,
    }
    return {
        (level, column.name): Column(level, column.name, column.type)
        for level, table in parts.items()
        for column in table.schema
    }


@dataclass(frozen=True)
class Pipeline:
    """Steps in order; itself lazy.

    >>> Pipeline(()).verify([])
    {}
    """

    steps: tuple[Transformer, ...]

    def __init__(self, steps: Sequence[Transformer]) -> None:
        object.__setattr__(self, "steps", tuple(steps))

    def verify(self, start: Iterable[Column]) -> dict[tuple[Level, str], Column]:
        """The schema after the last step, starting from the columns `start`; nothing is read or computed.

        Raises `SchemaError` naming the step, the column, what it found and what it expected.
        """
        known = {(column.level, column.name): column for column in start}
        for number, step in enumerate(self.steps, 1):
            for wanted in step.reads:
                _require(known, wanted, place=f"step {number} of {len(self.steps)}, {step.name}")
            known |= {(column.level, column.name): column for column in step.adds}
        return known

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        """Verify the whole chain against the frame, then run the steps in order."""
        self.verify(schema_of(frame).values())
        for step in self.steps:
            frame = step.apply(frame, sources)
        return frame

    @property
    def segments(self) -> tuple[tuple[Pipeline, Pipeline], ...]:
        """The pipeline cut into pairs: steps by context, which take a frame in parts too, then steps of whole frames."""
        pairs: list[tuple[list[Transformer], list[Transformer]]] = []
        for step in self.steps:
            if not pairs or (step.by_context and pairs[-1][1]):
                pairs.append(([], []))
            pairs[-1][not step.by_context].append(step)
        return tuple((Pipeline(parts), Pipeline(whole)) for parts, whole in pairs)

    def to_json(self) -> list[dict[str, Any]]:
        """The steps as plain JSON, for manifests."""
        return [{"step": step.name, **step.to_json()} for step in self.steps]


def _require(known: dict[tuple[Level, str], Column], wanted: Column, *, place: str) -> None:
    found = known.get((wanted.level, wanted.name))
    if found is None:
        there = sorted(column.name for column in known.values() if column.level == wanted.level)
        raise SchemaError(
            f"column {wanted} is missing", place=place,
            repair=f"{wanted.level} has {there or 'no columns'}; put a step that adds {wanted.name!r} before this one.",
        )  # fmt: skip
    if found.type != wanted.type:
        raise SchemaError(
            f"column {wanted.level}.{wanted.name} is {found.type}, expected {wanted.type}", place=place,
            repair="Cast it in the step that adds it.",
        )  # fmt: skip
