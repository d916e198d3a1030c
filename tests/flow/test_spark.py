"""Spark itself: what comes back is what a timeline of all plays gives, to the bit. Where Spark is not installed, skipped.

What tasks do, without Spark, on many worlds: tests/timetravel/test_features_on_spark.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from simulated_homes import TO_SCORES, fill, run, world

from rec_platform import columns as c
from rec_platform.config import FeatureConfig
from rec_platform.dmc12.frame import Frame, flat, nested
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.on_spark import SparkPast, with_features
from rec_platform.features.sample import Sample
from rec_platform.pipeline import Sources
from rec_platform.simulation import simulate
from rec_platform.timetravel.reading import timeline_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="Spark is not installed: `make test-spark` does that"
    ),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = world(plays=3_000, days=8, n_titles=60)
LAST = CONFIG.start + timedelta(days=CONFIG.days - 1)


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("features_of_a_home", EXAMPLES / "spark" / "features_of_a_home.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def spark(example: Any) -> Iterator[Any]:
    assert shutil.which("java") or "JAVA_HOME" in os.environ, "Spark needs Java; install a JRE, 17 or newer"
    before = dict(os.environ)
    session = example.local()
    session.conf.set("spark.sql.session.timeZone", "Asia/Kolkata")
    yield session
    session.stop()
    os.environ.clear()
    os.environ.update(before)


def rows_of(frame: Frame) -> pa.Table:
    return nested(frame, item_columns=tuple(frame.items.column_names), structs={})


def past_of(spark: Any, sample: Sample) -> SparkPast:
    plays, profiles = (spark.createDataFrame(table) for table in (sample.plays, sample.profiles))
    return SparkPast(plays, profiles, sample.titles, sample.availability, sample.rules)


def test_the_same_bytes_and_certificates(spark: Any) -> None:
    """The standard features and a user's file, which no executor has; half an hour off UTC; a profile nobody knows."""
    sample = Sample.drawn()
    step = FeatureGenerator(
        FeatureSet.from_config(FeatureConfig(files=(str(EXAMPLES / "features" / "moods.py"),))), certified=True
    )
    row = pa.array(np.arange(sample.frame.n_contexts))
    profile = sample.frame.context(c.PROFILE).copy()
    profile[0] = 10**15
    frame = sample.frame.with_contexts({c.CONTEXT_ID: row, c.PROFILE: pa.array(profile)})
    timeline = timeline_of(
        sample.plays, sample.titles, sample.profiles, sample.availability, rules=sample.rules,
        facts=step.feature_set.needed,
    )  # fmt: skip
    wanted = step.apply(frame, Sources(timeline))
    rows = with_features(spark.createDataFrame(rows_of(frame)), past_of(spark, sample), step, buckets=3).toArrow()
    found = flat(rows.sort_by(c.CONTEXT_ID).combine_chunks())
    assert found.contexts.column_names == wanted.contexts.column_names
    assert found.features.column_names == list(step.feature_set.names)
    for name in wanted.features.column_names:
        values = [one.features.column(name).to_numpy().tobytes() for one in (found, wanted)]
        assert values[0] == values[1], name
    for name in (c.CONTEXT_ID, c.PROFILE, c.AT, c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT):
        assert found.context(name).tolist() == wanted.context(name).tolist(), name


def test_no_contexts_give_no_rows_with_all_columns(spark: Any) -> None:
    sample = Sample.drawn(plays=100)
    step = FeatureGenerator(FeatureSet.standard().select(["profile_plays_7d", "title_plays_7d"]))
    none = spark.createDataFrame(rows_of(sample.frame)).limit(0)
    rows = with_features(none, past_of(spark, sample), step, buckets=2).toArrow()
    assert rows.num_rows == 0
    assert [one.name for one in rows.schema.field(c.ITEMS).type.value_type] == ["show_title_id", c.FEATURES]


def test_an_error_of_a_task_names_its_fault(spark: Any) -> None:
    sample = Sample.drawn(plays=100)
    asked_for = sample.frame.contexts.column(c.PROFILE).combine_chunks()
    one = sample.profiles.filter(pc.is_in(sample.profiles.column(c.PROFILE), asked_for)).slice(0, 1)
    place = one.schema.get_field_index(c.SIGNUP_AT)
    other = one.set_column(place, c.SIGNUP_AT, pa.nulls(one.num_rows, one.schema.field(place).type))
    twice = spark.createDataFrame(pa.concat_tables([sample.profiles, other]))
    past = SparkPast(past_of(spark, sample).plays, twice, sample.titles, sample.availability, sample.rules)
    step = FeatureGenerator(FeatureSet.standard().select(["profile_plays_7d"]))
    made = with_features(spark.createDataFrame(rows_of(sample.frame)), past, step, buckets=1)
    with pytest.raises(Exception, match="records that differ, known at the same instant") as caught:
        made.toArrow()
    assert ConfigError.__name__ in str(caught.value)


def test_what_spark_makes_of_a_home_is_what_the_flow_stored(
    spark: Any, example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(CONFIG, tmp_path / "world")
    home = fill(tmp_path / "home", (tmp_path / "world" / "delivery").iterdir(), "")
    run(home, LAST, LAST, TO_SCORES)
    example.main([str(LAST), "--home", str(home), "--buckets", "2"])
    assert "equal to what is stored, to the bit" in capsys.readouterr().out
