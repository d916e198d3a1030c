"""Swept bucket by bucket, features are the same bytes as from a timeline of all plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from test_declared_facts import BY_BOTH_TICKS, several
from timeline_worlds import RULES, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.config import FeatureConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.features import FeatureGenerator, FeatureSet, records, sweep
from rec_platform.features.encoders import Array, Encoder
from rec_platform.features.sample import Sample
from rec_platform.features.sweep import BucketedLog, Past, parts, swept
from rec_platform.pipeline import Sources
from rec_platform.tables import INSTANT
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.gathered import KnownOrder
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.log import Log
from rec_platform.timetravel.reading import timeline_of

MOODS = str(Path(__file__).parents[2] / "examples" / "features" / "moods.py")


def as_is(values: Array) -> Array:
    return values.astype(np.float64)


def features_of(facts: Sequence[Fact]) -> FeatureSet:
    """A feature per fact: its value."""
    return FeatureSet(tuple(facts), tuple(Encoder(f"f{i}", (one.name,), as_is, "", "") for i, one in enumerate(facts)))


def frame_of(ask: Asked) -> Frame:
    contexts = pa.table(
        {
            c.PROFILE: ask.profile_id, c.COUNTRY: pa.array(ask.country.tolist(), pa.string()),
            c.AT: pa.array(ask.at, pa.int64()).cast(INSTANT), c.DEVICE: pa.array(["tv"] * len(ask.at), pa.string()),
            c.TENURE_DAYS: np.ones(len(ask.at)),
        }
    )  # fmt: skip
    return Frame.of(contexts, ask.offsets, items={c.TITLE: ask.title_id})


def from_all(frame: Frame, world: World | Sample, features: FeatureSet) -> Frame:
    timeline = timeline_of(
        world.plays, world.titles, world.profiles, world.availability, rules=RULES, facts=features.needed
    )
    return FeatureGenerator(features).apply(frame, Sources(timeline))


def past_of(world: World | Sample, rows: int = 100) -> Past:
    return Past(
        lambda: world.plays.to_batches(max_chunksize=rows), world.titles, world.profiles, world.availability, RULES
    )


def content(frame: Frame) -> dict[str, bytes]:
    return {name: frame.features.column(name).to_numpy().tobytes() for name in frame.features.column_names}


def check(world: World, ask: Asked, facts: Sequence[Fact], plays: pa.Table, rows: int, buckets: int) -> None:
    features, frame = features_of(facts), frame_of(ask)
    shuffled = World(plays, world.titles, world.profiles, world.availability)
    with TemporaryDirectory() as scratch:
        found = swept(frame, past_of(shuffled, rows), features, buckets=buckets, scratch=Path(scratch))
    assert content(found) == content(from_all(frame, world, features))


_rows, _buckets = st.sampled_from([1, 2, 5, 100]), st.sampled_from([1, 3, 7])


@pytest.mark.slow
@settings(max_examples=50, derandomize=True, deadline=None)
@given(worlds(), asked(), several, st.randoms(use_true_random=False), _rows, _buckets)
def test_any_declaration_of_any_world(
    world: World, ask: Asked, facts: list[Fact], random: Random, rows: int, buckets: int
) -> None:
    """Late, duplicate and simultaneous plays, filters, shares, hours; in any order, cut anywhere."""
    order = random.sample(range(world.plays.num_rows), world.plays.num_rows)
    check(world, ask, facts, world.plays.take(pa.array(order, pa.int64())), rows, buckets)


@pytest.mark.slow
@settings(max_examples=5, derandomize=True, deadline=None)
@given(worlds(), asked(max_contexts=6), _rows, _buckets)
def test_every_fact_with_all_ticks_and_with_a_day_of_them_at_a_time(
    world: World, ask: Asked, rows: int, buckets: int
) -> None:
    """Also with so little room for ticks that each day's need a pass of their own."""
    for room in (1 << 29, 1):
        with patch.object(records, "TICK_BYTES", room):
            check(world, ask, every_fact(), world.plays, rows, buckets)


@settings(max_examples=5, derandomize=True, deadline=None)
@given(worlds(), asked(max_contexts=6), _buckets)
def test_the_same_sums_by_day_and_by_hour(world: World, ask: Asked, buckets: int) -> None:
    check(world, ask, BY_BOTH_TICKS, world.plays, 100, buckets)


@pytest.mark.parametrize("buckets", [1, 3, 7])
def test_the_standard_features_and_a_file_of_them(buckets: int, tmp_path: Path) -> None:
    features = FeatureSet.from_config(FeatureConfig(files=(MOODS,)))
    sample = Sample.drawn()
    found = swept(sample.frame, past_of(sample), features, buckets=buckets, scratch=tmp_path)
    assert content(found) == content(from_all(sample.frame, sample, features))
    assert not list(tmp_path.iterdir())


def test_every_fact_over_many_days(tmp_path: Path) -> None:
    """Ticks between which most titles are not played, and windows that plays leave."""
    features, sample = features_of(every_fact()), Sample.drawn(plays=300, contexts=60)
    earlier = sample.frame.context(c.AT) - np.arange(60) % 40 * DAY
    frame = sample.frame.with_contexts({c.AT: pa.array(earlier).cast(INSTANT)})
    found = swept(frame, past_of(sample), features, buckets=2, scratch=tmp_path)
    assert content(found) == content(from_all(frame, sample, features))


def test_parts_hold_each_context_once_and_few_profiles_at_a_time(tmp_path: Path) -> None:
    sample, held = Sample.drawn(), []
    features = FeatureSet.standard()
    for members, part in parts(sample.frame, past_of(sample), features, buckets=3, scratch=tmp_path):
        assert part.contexts.equals(sample.frame.contexts.take(pa.array(members)))
        held.append((members, set(part.contexts.column(c.PROFILE).to_pylist())))
    assert sorted(row for members, _ in held for row in members.tolist()) == list(range(sample.frame.n_contexts))
    assert len(held) == 3 and not held[0][1] & held[1][1] and not held[1][1] & held[2][1]


def test_only_plays_of_profiles_with_contexts_are_written(tmp_path: Path) -> None:
    sample = Sample.drawn(contexts=3)
    profiles = sample.frame.contexts.column(c.PROFILE)
    one = BucketedLog.written(past_of(sample), FeatureSet.standard(), profiles.to_numpy(), tmp_path, 2)
    written = pa.concat_tables(
        pa.Table.from_batches(sweep._read(file)).select([c.PROFILE]) for file in tmp_path.iterdir()
    )
    mine = [profile for profile in sample.plays.column(c.PROFILE).to_pylist() if profile in profiles.to_pylist()]
    assert sorted(written.column(c.PROFILE).to_pylist()) == sorted(mine)
    titles = {title for table in (sample.plays, sample.titles) for title in table.column(c.TITLE).to_pylist()}
    assert one.records.timeline.titles.ids.tolist() == sorted(titles)


def test_countries_may_come_as_dictionaries_that_differ(tmp_path: Path) -> None:
    sample, features = Sample.drawn(), FeatureSet.standard()
    position = sample.plays.schema.get_field_index(c.COUNTRY)
    batches = [
        part.set_column(position, c.COUNTRY, part.column(c.COUNTRY).dictionary_encode())
        for part in (pa.Table.from_batches([one]) for one in sample.plays.to_batches(max_chunksize=7))
    ]
    assert len({one.column(c.COUNTRY).chunk(0).dictionary.to_pylist()[0] for one in batches}) > 1
    past = Past(lambda: batches, sample.titles, sample.profiles, sample.availability, RULES)
    found = swept(sample.frame, past, features, buckets=2, scratch=tmp_path)
    assert content(found) == content(from_all(sample.frame, sample, features))


def test_no_contexts_give_empty_columns(tmp_path: Path) -> None:
    sample = Sample.drawn()
    none = sample.frame.take(np.empty(0, dtype=np.int64))
    done = swept(none, past_of(sample), FeatureSet.standard(), buckets=2, scratch=tmp_path)
    assert done.features.num_rows == 0 and done.features.column_names == list(FeatureSet.standard().names)


def test_sums_that_were_not_asked_for_are_refused_and_not_taken_for_none(tmp_path: Path) -> None:
    sample, features = Sample.drawn(), FeatureSet.standard()
    at, profile = sample.frame.context(c.AT), sample.frame.context(c.PROFILE)
    log = BucketedLog.written(past_of(sample), features, profile, tmp_path, 1)
    silent = log.gathered(log.records.asked(at, ["FR"], lambda _: None))
    with pytest.raises(ConfigError, match=r"'plays'.*by 24 h were not gathered"):
        log.timeline(0, silent).country_title_plays("FR", int(at[0]), 28)
    asked = log.gathered(log.records.asked(at, ["FR"], lambda timeline: timeline.ask_country_title_plays(28)))
    whole = timeline_of(
        sample.plays, sample.titles, sample.profiles, sample.availability, rules=RULES, facts=features.needed
    )
    expected = [part.tolist() for part in whole.country_title_plays("FR", int(at[0]), 28)]
    assert [part.tolist() for part in log.timeline(0, asked).country_title_plays("FR", int(at[0]), 28)] == expected
    assert expected[0]


def test_what_cannot_be_swept_is_said(tmp_path: Path) -> None:
    sample, features = Sample.drawn(), FeatureSet.standard()
    with pytest.raises(ConfigError, match=r"0 buckets.*at least 1"):
        swept(sample.frame, past_of(sample), features, buckets=0, scratch=tmp_path)
    bare = Past(lambda: sample.plays.select([c.PROFILE, c.TITLE]), sample.titles, sample.profiles, sample.availability,
                RULES)  # fmt: skip
    with pytest.raises(SchemaError, match=r"columns missing.*played_at"):
        swept(sample.frame, bare, features, buckets=2, scratch=tmp_path)
    position = sample.plays.schema.get_field_index(c.TITLE)
    other = sample.plays.set_column(position, c.TITLE, pa.array([10**9] * sample.plays.num_rows, pa.int64()))
    passes = iter([sample.plays, other])
    changed = Past(lambda: next(passes), sample.titles, sample.profiles, sample.availability, RULES)
    with pytest.raises(ConfigError, match="same plays each time"):
        swept(sample.frame, changed, features, buckets=2, scratch=tmp_path)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=30), st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.sampled_from([1, 24]), st.integers(-1, 2),
)  # fmt: skip
def test_the_order_of_knowing_is_kept_where_ticks_end(
    known: list[int], at: list[int], per_tick: int, beyond: int
) -> None:
    """Half hours; counts of one play fewer than visible, of all, and of more: those name a play that was not visible."""
    instants = np.array(known, dtype=np.int64) * HOUR // 2
    one = np.array(at, dtype=np.int64) * HOUR // 2
    order = KnownOrder(np.unique(one // (per_tick * HOUR)), per_tick)
    for part in np.array_split(instants, 3):
        nobody = np.zeros(len(part), dtype=np.int32)
        order.take_in(Log(nobody, nobody, nobody.astype(np.int16), part, part, {}))
    tick = one // (per_tick * HOUR) * per_tick * HOUR
    visible = (instants[None, :] < tick[:, None]).sum(axis=1)
    counts = np.clip(visible + beyond, 0, len(instants))
    told = order.last_of(counts, one)
    nth = np.sort(instants)[np.maximum(counts - 1, 0)] if len(instants) else np.zeros_like(counts)
    exact = np.where(counts == 0, NONE, nth)
    honest = counts == visible
    assert told[honest].tolist() == exact[honest].tolist()
    assert (told[counts > visible] >= tick[counts > visible]).all()
