"""Features on Spark, without Spark: what its tasks do gives the bytes of a timeline of all plays.

What Spark does between tasks is done by hand here; tests/flow/test_spark.py is Spark itself, where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from test_declared_facts import several
from test_swept_features import features_of, frame_of
from timeline_worlds import RULES, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.config import FeatureConfig
from rec_platform.dmc12.frame import Frame, flat, packed
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.features import FeatureGenerator, FeatureSet, on_spark, records
from rec_platform.features.on_spark import Job, SparkPast, with_features
from rec_platform.features.records import Seen
from rec_platform.features.sample import Sample
from rec_platform.pipeline import Sources
from rec_platform.timetravel.kernels import Int64
from rec_platform.timetravel.reading import timeline_of
from rec_platform.timetravel.timeline import ids

MOODS = str(Path(__file__).parents[2] / "examples" / "features" / "moods.py")
ROW = "row_of_context"


def numbered(frame: Frame) -> Frame:
    return frame.with_contexts({ROW: np.arange(frame.n_contexts)})


def from_all(frame: Frame, world: World | Sample, step: FeatureGenerator) -> Frame:
    timeline = timeline_of(
        world.plays, world.titles, world.profiles, world.availability, rules=RULES, facts=step.feature_set.needed
    )
    return step.apply(frame, Sources(timeline))


def in_order(rows: pa.Table) -> Frame:
    return flat(rows.sort_by(ROW).combine_chunks())


def require_same(found: Frame, wanted: Frame) -> None:
    """All that a frame holds, to the bit."""
    assert found.contexts.column_names == wanted.contexts.column_names
    assert found.features.column_names == wanted.features.column_names
    assert found.offsets.tolist() == wanted.offsets.tolist()
    for name in wanted.contexts.column_names:
        assert found.contexts.column(name).to_pylist() == wanted.contexts.column(name).to_pylist(), name
    for name in wanted.items.column_names:
        assert found.items.column(name).to_pylist() == wanted.items.column(name).to_pylist(), name
    for name in wanted.features.column_names:
        values = [one.features.column(name).to_numpy().tobytes() for one in (found, wanted)]
        assert values[0] == values[1], name


def seen_in(plays: pa.Table) -> Seen:
    visible = np.maximum(ids(plays, c.PLAYED_AT), ids(plays, c.KNOWN_AT))
    title = ids(plays, c.TITLE)
    found = np.unique(title)
    first = np.array([visible[title == one].min() for one in found], dtype=np.int64)
    return Seen(found, first, sorted(set(plays.column(c.COUNTRY).to_pylist())))


def tasks(frame: Frame, world: World | Sample, step: FeatureGenerator, cuts: Sequence[int], buckets: int) -> pa.Table:
    """What Spark would bring together, brought together by hand: plays in tasks by `cuts`, profiles in buckets."""
    rows, at = packed(frame), frame.context(c.AT)
    countries = tuple(sorted(set(frame.contexts.column(c.COUNTRY).to_pylist())))
    job = Job(step, seen_in(world.plays), world.titles, world.availability, RULES, rows.slice(0, 0), countries)
    hours: Int64 = np.unique(at // HOUR) * HOUR
    made = []
    for days in job.bands(hours):
        mine = hours[np.isin(hours // DAY, days)]
        sides = job.asked(job.records(), mine)
        pieces = [world.plays.take(pa.array(part)) for part in np.array_split(np.arange(world.plays.num_rows), cuts)]
        of_tasks = pa.Table.from_batches(
            [batch for piece in pieces for batch in job.sums(mine, piece.to_batches(max_chunksize=3))],
            schema=on_spark._SUMS,
        )
        joins = [part.join for part in on_spark._parts(sides)]
        keys = of_tasks.select(["part", "row"]).group_by(["part", "row"]).aggregate([]).to_pylist()
        for key in keys:
            same = pc.and_(pc.equal(of_tasks["part"], key["part"]), pc.equal(of_tasks["row"], key["row"]))
            on_spark.take_in(sides, on_spark.joined(joins, of_tasks.filter(same)))
        for side in sides.values():
            side.close()
        for bucket in range(buckets):
            wanted = rows.filter(pa.array((frame.context(c.PROFILE) % buckets == bucket) & np.isin(at // DAY, days)))
            asked_for = wanted.column(c.PROFILE).combine_chunks()
            past = [
                table.filter(pc.is_in(table.column(c.PROFILE), asked_for))
                for table in (world.plays, world.profiles.select(on_spark._RECORD))
            ]
            of_bucket = pa.concat_tables(past, promote_options="default").append_column(
                on_spark._BUCKET, pa.nulls(sum(one.num_rows for one in past), pa.int64())
            )
            asked_here = wanted.append_column(on_spark._BUCKET, pa.nulls(wanted.num_rows, pa.int64()))
            made.append(job.served(sides, of_bucket, asked_here))
    return pa.concat_tables(made)


def asked_of(sample: Sample) -> pa.Array:
    """The profiles that have contexts."""
    return sample.frame.contexts.column(c.PROFILE).combine_chunks()


def one_record_each(world: World) -> World:
    """The world with no two records of a profile known at the same instant: where there are, the newest stays."""
    newest = {(row[c.PROFILE], row[c.KNOWN_AT]): number for number, row in enumerate(world.profiles.to_pylist())}
    profiles = world.profiles.take(pa.array(sorted(newest.values()), pa.int64()))
    return World(world.plays, world.titles, profiles, world.availability)


@pytest.mark.slow
@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    worlds(), asked(), several, st.randoms(use_true_random=False), st.lists(st.integers(0, 30), max_size=3),
    st.sampled_from([1, 2, 5]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_declaration_of_any_world(
    drawn: World, ask: Asked, facts: list[Any], random: Random, cuts: list[int], buckets: int, certified: bool,
    narrow: bool,
) -> None:  # fmt: skip
    """Plays in any order in any task, also with so little room for ticks that each day's are gathered apart."""
    world = one_record_each(drawn)
    order = random.sample(range(world.plays.num_rows), world.plays.num_rows)
    shuffled = World(world.plays.take(pa.array(order, pa.int64())), world.titles, world.profiles, world.availability)
    step, frame = FeatureGenerator(features_of(facts), certified=certified), numbered(frame_of(ask))
    with patch.object(records, "TICK_BYTES", 1 if narrow else 1 << 29):
        found = in_order(tasks(frame, shuffled, step, sorted(cuts), buckets))
    require_same(found, from_all(frame, world, step))


@pytest.mark.parametrize("cuts", [(), (500, 900)])
def test_the_standard_features_and_a_file_of_them(cuts: Sequence[int]) -> None:
    sample = Sample.drawn()
    step = FeatureGenerator(FeatureSet.from_config(FeatureConfig(files=(MOODS,))), certified=True)
    frame = numbered(sample.frame)
    require_same(in_order(tasks(frame, sample, step, cuts, 3)), from_all(frame, sample, step))


def test_every_fact_in_two_tasks() -> None:
    sample = Sample.drawn(plays=300)
    step, frame = FeatureGenerator(features_of(every_fact())), numbered(sample.frame)
    require_same(in_order(tasks(frame, sample, step, (150,), 2)), from_all(frame, sample, step))


def test_certificates_that_were_there_are_made_again() -> None:
    sample = Sample.drawn(plays=300)
    step = FeatureGenerator(FeatureSet.standard().select(["profile_plays_7d"]), certified=True)
    at = sample.frame.contexts.column(c.AT)
    frame = numbered(sample.frame).with_contexts({c.NEWEST_PLAYED_AT: at, c.NEWEST_KNOWN_AT: at})
    require_same(in_order(tasks(frame, sample, step, (), 2)), from_all(frame, sample, step))


def test_features_that_were_there_stay_and_those_of_the_same_name_are_made_again() -> None:
    sample = Sample.drawn()
    step = FeatureGenerator(FeatureSet.standard().select(["profile_plays_7d", "title_plays_7d"]))
    there = {"score_of_mine": np.arange(sample.frame.n_items, dtype=np.float32),
             "title_plays_7d": np.full(sample.frame.n_items, -1, np.float32)}  # fmt: skip
    frame = numbered(sample.frame).with_features(there)
    found = in_order(tasks(frame, sample, step, (), 2))
    require_same(found, from_all(frame, sample, step))
    assert found.features.column("score_of_mine").to_pylist() == list(range(frame.n_items))


def test_records_that_differ_at_the_same_instant_are_refused() -> None:
    sample = Sample.drawn(plays=100)
    first = sample.profiles.filter(pc.is_in(sample.profiles.column(c.PROFILE), asked_of(sample))).slice(0, 1)
    other = first.set_column(
        first.schema.get_field_index(c.SIGNUP_AT), c.SIGNUP_AT,
        pc.subtract(first.column(c.SIGNUP_AT), pa.scalar(1, pa.duration("us"))),
    )  # fmt: skip
    step = FeatureGenerator(FeatureSet.standard().select(["profile_plays_7d"]))
    twice = pa.concat_tables([sample.profiles, first])
    same = World(sample.plays, sample.titles, twice, sample.availability)
    frame = numbered(sample.frame)
    require_same(in_order(tasks(frame, same, step, (), 1)), from_all(frame, sample, step))
    differs = World(sample.plays, sample.titles, pa.concat_tables([twice, other]), sample.availability)
    with pytest.raises(ConfigError, match=rf"profile {first.column(c.PROFILE)[0].as_py()} has records that differ"):
        tasks(frame, differs, step, (), 1)


@pytest.mark.parametrize(("name", "what"), [(c.PROFILE, "profiles"), (c.TITLE, "titles")])
def test_plays_of_whom_nobody_was_told_are_refused(name: str, what: str) -> None:
    """The kernels would write beyond their arrays."""
    sample = Sample.drawn(plays=100)
    step = FeatureGenerator(FeatureSet.standard())
    job = Job(
        step, seen_in(sample.plays), sample.titles, sample.availability, RULES, packed(sample.frame).slice(0, 0), ()
    )
    made = job.records(np.unique(ids(sample.plays, c.PROFILE)))
    sides = job.asked(made, np.empty(0, dtype=np.int64))
    other = sample.plays.set_column(
        sample.plays.schema.get_field_index(name), name, pa.array([10**12] * sample.plays.num_rows, pa.int64())
    )
    with pytest.raises(ConfigError, match=f"gave {what} that the first did not.*same plays each time"):
        made.of_plays(other, sides)


class _Columns:
    """As much of a DataFrame as is looked at before anything is asked of Spark."""

    def __init__(self, **kinds: str) -> None:
        self.dtypes = list(kinds.items())


PLAYS = {c.PROFILE: "bigint", c.TITLE: "bigint", c.COUNTRY: "string", c.PLAYED_AT: "timestamp", c.KNOWN_AT: "timestamp",
         c.WATCHED_MS: "bigint", c.ENGAGED: "tinyint"}  # fmt: skip
RECORDS = {c.PROFILE: "bigint", c.KNOWN_AT: "timestamp", c.SIGNUP_AT: "timestamp"}
CONTEXTS = {c.PROFILE: "bigint", "country_iso_code": "string", c.AT: "timestamp", c.DEVICE: "string",
            c.TENURE_DAYS: "double", c.ITEMS: "array<struct<show_title_id:bigint>>"}  # fmt: skip


@pytest.mark.parametrize(
    ("plays", "of_profiles", "contexts", "buckets", "fault"),
    [
        (PLAYS, RECORDS, CONTEXTS, 0, r"0 buckets.*at least 1"),
        ({**PLAYS, c.PLAYED_AT: "timestamp_ntz"}, RECORDS, CONTEXTS, 1, r"played_at is timestamp_ntz.*plays on Spark.*UTC"),
        ({c.PROFILE: "bigint"}, RECORDS, CONTEXTS, 1, r"columns missing: \['title_id', .*plays on Spark"),
        (PLAYS, {**RECORDS, c.SIGNUP_AT: "date"}, CONTEXTS, 1, r"signup_at is date.*profiles on Spark"),
        (PLAYS, RECORDS, {**CONTEXTS, c.AT: "bigint"}, 1, r"at is bigint.*contexts on Spark"),
        (PLAYS, RECORDS, {c.PROFILE: "bigint", c.AT: "timestamp"}, 1, r"columns missing: .*'items'.*contexts on Spark"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_said_before_anything_runs(
    plays: dict[str, str], of_profiles: dict[str, str], contexts: dict[str, str], buckets: int, fault: str
) -> None:
    sample = Sample.drawn(plays=100)
    past = SparkPast(_Columns(**plays), _Columns(**of_profiles), sample.titles, sample.availability, RULES)  # type: ignore[arg-type]
    with pytest.raises((ConfigError, SchemaError), match=fault):
        with_features(_Columns(**contexts), past, FeatureGenerator(FeatureSet.standard()), buckets=buckets)  # type: ignore[arg-type]
