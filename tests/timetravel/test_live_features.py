"""Features of requests, one at a time through one reader: the bytes of the generator's batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from test_declared_facts import several
from test_features_by_tick import FEATURES, mixed, of
from test_swept_features import content, frame_of
from timeline_worlds import Asked, World, asked, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.features import FeatureGenerator, FeatureSet, LiveFeatures
from rec_platform.features.encoders import Encoder
from rec_platform.features.sample import Sample
from rec_platform.pipeline import Sources
from rec_platform.tables import INSTANT, PROFILES
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.reading import timeline_of
from rec_platform.timetravel.ticks import TickRoller


def requests_of(frame: Frame) -> list[Frame]:
    """Its contexts one by one, the last first."""
    return [frame.take(np.array([row])) for row in range(frame.n_contexts)][::-1]


def answered(live: LiveFeatures, frame: Frame) -> dict[str, bytes]:
    """What the requests of a frame get, put together in its order."""
    return content(concat([live.apply(one) for one in requests_of(frame) or [frame]][::-1]))


def countries_of(frame: Frame) -> list[str]:
    return sorted(set(frame.context(c.COUNTRY)))


@settings(max_examples=20, derandomize=True, deadline=None)
@given(worlds(), asked(max_contexts=8))
def test_one_by_one_in_any_order_or_together_the_bytes_are_the_batchs(world: World, ask: Asked) -> None:
    timeline, frame = of(world, FEATURES), frame_of(ask)
    batch = content(FeatureGenerator(FEATURES).apply(frame, Sources(timeline)))
    live = LiveFeatures(FEATURES, timeline, countries_of(frame))
    assert answered(live, frame) == content(live.apply(frame)) == answered(live, frame) == batch


@settings(max_examples=10, derandomize=True, deadline=None)
@given(worlds(), asked(max_contexts=4), several)
def test_of_any_declaration_too(world: World, ask: Asked, facts: list[Fact]) -> None:
    encoders = tuple(Encoder(f"f{i}", (one.name,), mixed, "", "") for i, one in enumerate(facts))
    features = FeatureSet(tuple(facts), encoders)
    timeline, frame = of(world, features), frame_of(ask)
    batch = content(FeatureGenerator(features).apply(frame, Sources(timeline)))
    assert answered(LiveFeatures(features, timeline, countries_of(frame)), frame) == batch


def test_standard_features_from_several_threads() -> None:
    features, sample = FeatureSet.standard(), Sample.drawn(plays=400, contexts=60)
    timeline = timeline_of(
        sample.plays, sample.titles, PROFILES.schema.empty_table(), sample.availability, rules=SourceRules(),
        facts=features.needed,
    )  # fmt: skip
    live, requests = LiveFeatures(features, timeline, countries_of(sample.frame)), requests_of(sample.frame)
    with ThreadPoolExecutor(8) as pool:
        found = concat(list(pool.map(live.apply, requests))[::-1])
    assert content(found) == content(FeatureGenerator(features).apply(sample.frame, Sources(timeline)))


def test_a_request_of_another_country_or_without_a_column_is_refused_by_name() -> None:
    sample = Sample.drawn(plays=50, contexts=3)
    live, request = LiveFeatures(FEATURES, of(sample, FEATURES), ["XX"]), requests_of(sample.frame)[0]
    with pytest.raises(ConfigError, match=f"a context of country '{request.context(c.COUNTRY)[0]}'"):
        live.apply(request)
    with pytest.raises(ConfigError, match="a context of country None"):
        live.apply(request.with_contexts({c.COUNTRY: pa.array([None], pa.string())}))
    with pytest.raises(SchemaError, match=f"no column '{c.AT}'"):
        live.apply(Frame(request.contexts.drop_columns([c.AT]), request.offsets, *[request.items] * 3))


def test_what_was_prepared_is_not_made_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample.drawn(plays=50, contexts=3)
    live = LiveFeatures(FEATURES, of(sample, FEATURES), countries_of(sample.frame))
    live.prepare(sample.frame.context(c.AT))
    monkeypatch.setattr(TickRoller, "table", lambda *_: pytest.fail("a tick is made"))
    assert live.apply(sample.frame).features.column_names == list(FEATURES.names)
    other = {c.AT: pa.array(sample.frame.context(c.AT) + DAY).cast(INSTANT)}
    with pytest.raises(pytest.fail.Exception, match="a tick is made"):
        live.apply(sample.frame.with_contexts(other))
