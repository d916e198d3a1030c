"""Transformers and pipelines: the chain of schemas is checked before any step runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.pipeline import Column, Level, Pipeline, Sources, Transformer, schema_of

AT = Column(Level.CONTEXT, "at", pa.int64())
PLAYS = Column(Level.ITEM, "plays", pa.int64())
RATE = Column(Level.FEATURE, "rate", pa.float32())


@dataclass(frozen=True)
class AddPlays(Transformer):
    name: ClassVar[str] = "add_plays"
    factor: int = 1

    @property
    def reads(self) -> tuple[Column, ...]:
        return (AT,)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (PLAYS,)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        base = sources.need(dict, step=self.name)["base"]
        return frame.with_items({"plays": np.full(frame.n_items, base * self.factor, dtype=np.int64)})

    def to_json(self) -> dict[str, Any]:
        return {"factor": self.factor}


@dataclass(frozen=True)
class AddRate(Transformer):
    name: ClassVar[str] = "add_rate"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (PLAYS,)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (RATE,)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        return frame.with_features({"rate": frame.item("plays").astype(np.float32) / 2})

    def to_json(self) -> dict[str, Any]:
        return {}


class Fails(AddPlays):
    """A step that must never run."""

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        raise AssertionError("a step ran before the whole chain was verified")


def frame() -> Frame:
    contexts = pa.table({"at": pa.array([5, 6], pa.int64())})
    return Frame.of(contexts, np.array([0, 1, 3]), items={"title_id": np.array([1, 2, 3])})


def test_steps_run_in_order() -> None:
    done = Pipeline([AddPlays(factor=3), AddRate()]).apply(frame(), Sources({"base": 2}))
    assert done.features.column("rate").to_pylist() == [3.0, 3.0, 3.0]


def test_verify_gives_the_schema_after_the_last_step() -> None:
    known = Pipeline([AddPlays(), AddRate()]).verify([AT])
    assert set(known.values()) == {AT, PLAYS, RATE}


def test_a_missing_column_names_step_column_and_what_is_there() -> None:
    with pytest.raises(SchemaError, match=r"items.plays: int64 is missing \(step 1 of 2, add_rate\)") as error:
        Pipeline([AddRate(), AddPlays()]).verify([AT])
    assert "put a step that adds 'plays' before this one" in str(error.value)


def test_a_column_of_another_type_names_what_it_found_and_expected() -> None:
    with pytest.raises(SchemaError, match=r"contexts.at is string, expected int64 \(step 1 of 1, add_plays\)"):
        Pipeline([AddPlays()]).verify([Column(Level.CONTEXT, "at", pa.string())])


def test_nothing_runs_unless_the_whole_chain_fits() -> None:
    class NeedsScore(AddRate):
        name = "needs_score"

        @property
        def reads(self) -> tuple[Column, ...]:
            return (Column(Level.SCORE, "model", pa.float64()),)

    with pytest.raises(SchemaError, match="step 2 of 2, needs_score"):
        Pipeline([Fails(), NeedsScore()]).apply(frame(), Sources({"base": 1}))


def test_a_source_that_was_not_given_is_named_with_the_step() -> None:
    with pytest.raises(ConfigError, match=r"no dict was given \(step add_plays\).*it holds list"):
        Pipeline([AddPlays()]).apply(frame(), Sources([]))


def test_json_names_each_step_with_its_configuration() -> None:
    assert Pipeline([AddPlays(factor=2), AddRate()]).to_json() == [
        {"step": "add_plays", "factor": 2},
        {"step": "add_rate"},
    ]


def test_steps_of_equal_configuration_are_equal() -> None:
    assert AddPlays(factor=2) == AddPlays(factor=2) != AddPlays(factor=3)


def test_schema_of_lists_all_four_levels() -> None:
    made = frame().with_features({"rate": np.zeros(3, np.float32)}).with_scores({"model": np.zeros(3)})
    assert set(schema_of(made)) == {
        (Level.CONTEXT, "at"),
        (Level.ITEM, "title_id"),
        (Level.FEATURE, "rate"),
        (Level.SCORE, "model"),
    }


class CountsAll(AddPlays):
    by_context: ClassVar[bool] = False


def test_a_pipeline_is_cut_before_each_stretch_of_steps_by_context() -> None:
    steps = [AddPlays(), CountsAll(1), CountsAll(2), AddRate(), AddPlays(3), CountsAll(4)]
    assert [(parts.steps, whole.steps) for parts, whole in Pipeline(steps).segments] == [
        ((AddPlays(),), (CountsAll(1), CountsAll(2))), ((AddRate(), AddPlays(3)), (CountsAll(4),))
    ]  # fmt: skip
    assert [parts.steps for parts, _ in Pipeline([CountsAll()]).segments] == [()]
    assert Pipeline([]).segments == ()
