"""Models standing still: held to the stage `scores` where newer models were never published."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, day_of, days_between
from rec_platform.config import Settings
from rec_platform.contexts.stage import TrainingSets
from rec_platform.dmc12.frame import flat
from rec_platform.errors import MissingInput
from rec_platform.evaluation import Slices, evaluate
from rec_platform.evaluation.ageing import aged_sums, by_age
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.stage import protocol_of
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.stage import CandidateModels, RankerModels
from rec_platform.partition import Partition
from rec_platform.scoring.stage import Scores
from rec_platform.tables import PLAY_FACTS
from rec_platform.tables import table as table_of
from rec_platform.testing.model_contract import AS_OF, made_plays
from rec_platform.testing.readers import MemoryReader

MADE = AS_OF - timedelta(days=3)
LATER = [AS_OF - timedelta(days=2), AS_OF - timedelta(days=1)]
COUNTRIES = ("FR", "GB")
SETTINGS = Settings.model_validate(
    {
        "seed": 5,
        "candidates": {"embedding_size": 4, "epochs": 2},
        "rankers": {"n_trees": 6, "max_depth": 3, "training_days": 3, "min_training_days": 2, "models": ["xgboost"]},
        "negatives": {"items": 10},
        "evaluation": {"keep_top": 5, "cutoffs": [5], "replicates": 20, "min_contexts": 5},
    }
)


def publish(reader, stage, partitions):
    for made in stage.build(partitions, reader, SETTINGS):
        for spec in stage.tables:
            reader.add(spec.name, made.partition, made.tables[spec.name])


@pytest.fixture(name="world", scope="module")
def world_fixture():
    plays = made_plays(plays=2500, late_days=0)
    day = np.asarray(pc.cast(plays.column(c.PLAYED_AT), pa.int64())) // DAY
    country = np.asarray(plays.column(c.COUNTRY), dtype=object)
    reader = MemoryReader({name: {Partition(): table_of(name).schema.empty_table()} for name in
                           ("titles", "profiles", "availability")})  # fmt: skip
    for number in np.unique(day):
        for place in COUNTRIES:
            mine = plays.filter(pa.array((day == number) & (country == place)))
            reader.add("play_facts", Partition(day_of(int(number) * DAY), place), mine.select(PLAY_FACTS.schema.names))
    first = MADE - timedelta(days=3)
    days = list(days_between(first, LATER[-1]))
    publish(reader, CandidateModels(), [Partition(day) for day in days if day <= MADE])
    publish(reader, TrainingSets(CandidateFeatures()), [Partition(day, place) for day in days for place in COUNTRIES])
    publish(reader, RankerModels(), [Partition(MADE)])
    return reader


def newer_models_published(reader):
    """The same world where each later day has models of its own: they must not be read."""
    other = MemoryReader(reader.tables)
    for day in LATER:
        publish(other, CandidateModels(), [Partition(day)])
        publish(other, RankerModels(), [Partition(day)])
    return other


def test_it_equals_the_stage_where_no_newer_model_was_ever_published(world):
    held = MemoryReader(world.tables)
    rankers = world.read("ranker_models", [Partition(MADE)])
    expected = {}
    for day in LATER:
        held.add("ranker_models", Partition(day), rankers.drop_columns(["date"]))
        for made in Scores().build([Partition(day, place) for place in COUNTRIES], held, SETTINGS):
            expected[made.partition] = evaluate(
                flat(made.tables["scores"]), seed=5, metrics=STANDARD, accumulators=(), cutoffs=(5,), replicates=20,
                slices=Slices((c.COUNTRY,)), list_length=0, cut=MADE,
                protocol=replace(protocol_of(SETTINGS), split="time, models stand still"),
            )  # fmt: skip
    for reader in (world, newer_models_published(world)):
        found = dict(aged_sums(reader, SETTINGS, as_of=MADE, days=2))
        assert found.keys() == expected.keys()
        for partition, sums in found.items():
            assert sums.keys == expected[partition].keys
            assert (sums.totals == expected[partition].totals).all()
            assert sums.evidence == expected[partition].evidence


def test_rows_by_age_add_up_over_countries(world):
    parts = list(aged_sums(world, SETTINGS, as_of=MADE, days=2))
    rows = by_age(parts, MADE, min_contexts=5)
    n = {
        (row["age"], row["slice_value"]): row["n"]
        for row in rows
        if (row["model"], row["metric"]) == ("xgboost", "nmrr")
    }
    assert {age for age, _ in n} == {1, 2}
    assert all(n[age, "all"] == n[age, "FR"] + n[age, "GB"] > 0 for age in (1, 2))
    (french, *_) = aged_sums(world, SETTINGS, as_of=MADE, days=1, countries=["FR"])
    assert french[0] == Partition(LATER[0], "FR")


def test_a_date_without_models_or_later_contexts_is_named(world):
    with pytest.raises(MissingInput, match="no candidate models as of"):
        list(aged_sums(world, SETTINGS, as_of=LATER[0], days=1))
    with pytest.raises(MissingInput, match="no contexts are published in the 5 days after"):
        list(aged_sums(world, SETTINGS, as_of=AS_OF, days=5))
