"""Features are written run by run, and a tick's titles once for all their items: the bytes of encoding each item alone."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from test_declared_facts import several
from test_swept_features import content, frame_of
from timeline_worlds import RULES, Asked, World, asked, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator, FeatureSet, generator, title_tables
from rec_platform.features.encoders import COLUMNS, Array, Encoder
from rec_platform.features.feature_set import Grain
from rec_platform.features.sample import Sample
from rec_platform.pipeline import Sources
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.reading import DeclaredReader, compute, timeline_of
from rec_platform.timetravel.timeline import Timeline

FACTS = (
    Fact("title_week", "title", "plays", 7),
    Fact("title_hours", "title", "plays", "6h", tick="hour"),
    Fact("country_week", "country", "plays", 7),
    Fact("of_country", "title_country", "share", 28),
    Fact("title_last", "title", "last_played_at"),
    Fact("profile_week", "profile", "plays", 7),
    Fact("released", "title", "released_at"),
)
ENCODERS = {
    "week": ("title_week",), "hours": ("title_hours",), "both": ("title_week", "title_hours"),
    "of_place": ("title_week", "country_week"), "share": ("of_country",), "twice": ("share", "week"),
    "named": ("title_week", c.COUNTRY), "last": ("title_last",),
    "place": ("country_week",), "mine": ("title_week", "profile_week"), "age": ("released", c.AT),
    "since": ("title_last", c.AT), "numbered": ("title_week", c.TITLE),
}  # fmt: skip


def mixed(*values: Array) -> Array:
    """A number that tells every argument."""
    numbers = [np.strings.str_len(one.astype(str)) if one.dtype == object else one.astype(np.float64) for one in values]
    return np.asarray(sum(one * factor for one, factor in zip(numbers, (1.0, 1e-3, 1e-6), strict=False)))


FEATURES = FeatureSet(FACTS, tuple(Encoder(name, reads, mixed, "", "") for name, reads in ENCODERS.items()))


def one_by_one(frame: Frame, timeline: Timeline, features: FeatureSet) -> dict[str, bytes]:
    """Every fact read and every encoder run for all items of the frame at once, in no order of its own."""
    columns = {name: frame.context(name) if level == "context" else frame.item(name) for name, level in COLUMNS.items()}
    facts = compute(
        timeline, features.needed, profile_id=columns[c.PROFILE], country=columns[c.COUNTRY], at=columns[c.AT],
        offsets=frame.offsets, title_id=columns[c.TITLE],
    )  # fmt: skip
    lengths, found = np.diff(frame.offsets), {}
    for name, values in features.encode({**columns, **facts}, lengths):
        wide = np.repeat(values, lengths) if features.feature_level(name) == "context" else values
        found[name] = wide.astype(np.float64).astype(np.float32).tobytes()
    return found


def of(world: World | Sample, features: FeatureSet) -> Timeline:
    return timeline_of(
        world.plays, world.titles, world.profiles, world.availability, rules=RULES, facts=features.needed
    )


def test_what_a_feature_reads_says_for_which_contexts_it_is_the_same() -> None:
    """All between two ticks, or those in a country. None where facts of one's own, records (known at an instant), `at` or
    the id of the title have a say."""
    day, hour, day_and_country = Grain(DAY, apart=False), Grain(HOUR, apart=False), Grain(DAY, apart=True)
    assert {name: FEATURES.grain_of(name) for name in FEATURES.names} == {
        "week": day, "hours": hour, "both": hour, "of_place": day_and_country, "share": day_and_country,
        "twice": day_and_country, "named": day_and_country, "last": day,
        "place": None, "mine": None, "age": None, "since": None, "numbered": None,
    }  # fmt: skip
    parts = FEATURES.by_grain
    assert {grain: part.names for grain, part in parts.items() if grain} == {
        day: ("week", "last"), day_and_country: ("of_place", "share", "twice", "named"), hour: ("hours", "both"),
    }  # fmt: skip
    assert sorted(name for part in parts.values() for name in part.names) == sorted(FEATURES.names)


@settings(max_examples=25, derandomize=True)
@given(worlds(), asked(max_contexts=12), st.integers(1, 9))
def test_by_tick_or_one_by_one_the_bytes_are_the_same(world: World, ask: Asked, items: int) -> None:
    """Whatever the chunks; among the items are titles that nobody knows."""
    timeline, frame = of(world, FEATURES), frame_of(ask)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(generator, "CHUNK", items)
        patched.setattr(title_tables, "CHUNK", items)
        made = FeatureGenerator(FEATURES).apply(frame, Sources(timeline))
    assert content(made) == one_by_one(frame, timeline, FEATURES)


@settings(max_examples=20, derandomize=True)
@given(worlds(), asked(max_contexts=6), several)
def test_any_declaration_too(world: World, ask: Asked, facts: list[Fact]) -> None:
    features = FeatureSet(
        tuple(facts), tuple(Encoder(f"f{i}", (one.name,), mixed, "", "") for i, one in enumerate(facts))
    )
    timeline, frame = of(world, features), frame_of(ask)
    made = FeatureGenerator(features).apply(frame, Sources(timeline))
    assert content(made) == one_by_one(frame, timeline, features)


def test_the_certificate_changes_no_byte_and_needs_no_feature_of_its_own() -> None:
    """Of a set whose features all stay between ticks, and of one of every kind."""
    sample = Sample.drawn(plays=300, contexts=40)
    for features in (FEATURES, FEATURES.select(["week", "named"])):
        timeline = of(sample, features)
        made = [
            FeatureGenerator(features, certified=flag).apply(sample.frame, Sources(timeline)) for flag in (False, True)
        ]
        assert content(made[0]) == content(made[1]) == one_by_one(sample.frame, timeline, features)
        assert c.NEWEST_PLAYED_AT in made[1].contexts.column_names


def test_features_that_read_no_fact_are_written_alone_or_beside_those_of_ticks() -> None:
    """Of contexts, of items, and of titles; certified or not."""
    sample = Sample.drawn(plays=300, contexts=40)
    plain = {"tenure": (c.TENURE_DAYS,), "id": (c.TITLE,), "both": (c.PROFILE, c.TITLE)}
    for reads in (plain, plain | {"week": ("title_week",), "share": ("of_country",)}):
        features = FeatureSet(FACTS, tuple(Encoder(name, read, mixed, "", "") for name, read in reads.items()))
        timeline = of(sample, features)
        for flag in (False, True):
            made = FeatureGenerator(features, certified=flag).apply(sample.frame, Sources(timeline))
            assert content(made) == one_by_one(sample.frame, timeline, features)


@pytest.mark.parametrize("fact, apart", [("title_week", False), ("of_country", True)])
def test_an_encoder_sees_each_title_of_a_grain_once_and_none_that_nobody_asked_for(fact: str, apart: bool) -> None:
    seen: list[int] = []

    def counted(values: Array) -> Array:
        seen.append(len(values))
        return values

    sample = Sample.drawn(plays=300, contexts=40)
    features = FeatureSet(FACTS, (Encoder("counted", (fact,), counted, "", ""),))
    FeatureGenerator(features).apply(sample.frame, Sources(of(sample, features)))
    day = np.repeat(sample.frame.context(c.AT) // DAY, np.diff(sample.frame.offsets))
    country = np.repeat(sample.frame.context(c.COUNTRY), np.diff(sample.frame.offsets))
    assert seen == [
        len(
            set(
                zip(
                    day.tolist(),
                    country.tolist() if apart else day.tolist(),
                    sample.frame.item(c.TITLE).tolist(),
                    strict=True,
                )
            )
        )
    ]
    assert seen[0] < sample.frame.n_items


def test_countries_may_come_in_any_form() -> None:
    sample = Sample.drawn(plays=300, contexts=40)
    timeline, frame = of(sample, FEATURES), sample.frame
    names = frame.context(c.COUNTRY)
    reader = DeclaredReader(timeline, FEATURES.needed, sorted(set(names)))
    text = pa.array(names.tolist(), pa.string())
    found = [
        reader.read(
            profile_id=frame.context(c.PROFILE), country=given, at=frame.context(c.AT), offsets=frame.offsets,
            title_id=frame.item(c.TITLE),
        )
        for given in (names, names.tolist(), text, pa.chunked_array([text]), text.dictionary_encode())
    ]  # fmt: skip
    for other in found[1:]:
        assert all(np.array_equal(other[name], values, equal_nan=True) for name, values in found[0].items())
