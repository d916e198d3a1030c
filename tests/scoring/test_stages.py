"""The four stages on a small made world, from plays to recommendations, through a reader in memory."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, day_of, days_between
from rec_platform.config import MemoryConfig, Settings
from rec_platform.contexts.stage import TrainingSets
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ArtefactError, ModelFault
from rec_platform.lake import content_hash
from rec_platform.models.artefact import from_rows
from rec_platform.models.boosted_trees import BoostedTreesScorer, BoostedTreesTrainer
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.stage import CandidateModels, RankerModels
from rec_platform.partition import Partition
from rec_platform.scoring.stage import Recommendations, Scores, recommend_one
from rec_platform.stage import Stage
from rec_platform.tables import PLAY_FACTS, PROFILE_SNAPSHOT, RECOMMENDATIONS, SCORES_TABLE
from rec_platform.tables import table as table_of
from rec_platform.testing.model_contract import AS_OF, made_plays
from rec_platform.testing.readers import MemoryReader

LAST = AS_OF - timedelta(days=1)
FIRST = LAST - timedelta(days=5)
COUNTRIES = ("FR", "GB")
SETTINGS = Settings.model_validate(
    {
        "seed": 5,
        "candidates": {"embedding_size": 4, "epochs": 3},
        "rankers": {"n_trees": 10, "max_depth": 3, "training_days": 4, "min_training_days": 3},
        "negatives": {"items": 15},
        "evaluation": {"keep_top": 5},
        "recommend": {"n": 4},
    }
)
NEVER_PLAYED = 5_000


def facts() -> MemoryReader:
    """Plays of 40 days by date and country, and nothing else but empty reference tables."""
    plays = made_plays(plays=4000, late_days=0)
    day = np.asarray(pc.cast(plays.column(c.PLAYED_AT), pa.int64())) // DAY
    country = np.asarray(plays.column(c.COUNTRY), dtype=object)
    reader = MemoryReader({})
    for number in np.unique(day):
        for place in COUNTRIES:
            mine = plays.filter(pa.array((day == number) & (country == place)))
            reader.add("play_facts", Partition(day_of(int(number) * DAY), place), mine.select(PLAY_FACTS.schema.names))
    for name in ("titles", "profiles", "availability"):
        reader.add(name, Partition(), table_of(name).schema.empty_table())
    return reader


def snapshot(active: Sequence[int] = (3, 6)) -> pa.Table:
    """Some profiles are active; one profile is there by its record alone."""
    n = len(active) + 1
    values = {field.name: np.zeros(n, dtype=np.int64) for field in PROFILE_SNAPSHOT.schema if field.type == pa.int64()}
    values[c.PROFILE] = np.array([*active, NEVER_PLAYED])
    values |= {f"plays_{days}d": np.array([5] * len(active) + [0]) for days in (7, 28, 90)}
    columns = [pa.array(values.get(f.name, [None] * n), f.type) for f in PROFILE_SNAPSHOT.schema]
    return pa.table(columns, schema=PROFILE_SNAPSHOT.schema)


def built(stage: Stage, partitions: list[Partition], reader: MemoryReader, settings: Settings = SETTINGS):
    """The stage's results, published in the reader, by partition."""
    results = {made.partition: made for made in stage.build(partitions, reader, settings)}
    for partition, made in results.items():
        for spec in stage.tables:
            spec.check(made.tables[spec.name].schema)
            reader.add(spec.name, partition, made.tables[spec.name])
    return results


@pytest.fixture(scope="module")
def world() -> MemoryReader:
    reader = facts()
    days = list(days_between(FIRST, AS_OF))
    cells = [Partition(day, place) for day in days[:-1] for place in COUNTRIES]
    built(CandidateModels(), [Partition(day) for day in days], reader)
    built(TrainingSets(CandidateFeatures()), cells, reader)
    built(RankerModels(), [Partition(day) for day in days], reader)
    built(Scores(), [cell for cell in cells if cell.day == LAST], reader)
    reader.add("profile_snapshot", Partition(AS_OF, "FR"), snapshot())
    return reader


def test_training_sets_hold_candidate_features_of_their_own_date(world):
    frame = flat(world.read("training_sets", [Partition(LAST, "FR")], (c.CONTEXT_ID, c.ITEMS)))
    assert np.asarray(frame.features.column("candidate_age_days")).tolist() == [0.0] * frame.n_items
    assert np.isfinite(np.asarray(frame.features.column("candidate_collaborative"))).all()


def test_rankers_exist_from_the_first_date_with_enough_usable_days(world):
    fitted = {
        day: sorted(from_rows(world.read("ranker_models", [Partition(day)]), place="test"))
        for day in days_between(FIRST, AS_OF)
    }
    enough = FIRST + timedelta(days=3)
    assert {day: models for day, models in fitted.items() if day < enough} == {
        day: [] for day in days_between(FIRST, enough - timedelta(days=1))
    }
    assert all(models == ["logistic", "xgboost"] for day, models in fitted.items() if day >= enough)


def test_too_few_days_are_said(world):
    (made,) = RankerModels().build([Partition(FIRST)], world, SETTINGS)
    assert "fewer than min_training_days = 3" in made.extra["baselines_only"]


def test_a_date_alone_and_among_others_gives_the_same_bytes(world):
    for stage in (CandidateModels(), RankerModels()):
        (alone,) = stage.build([Partition(LAST)], world, SETTINGS)
        assert alone.tables[stage.name].equals(world.read(stage.name, [Partition(LAST)]).drop_columns([c.DATE]))


def test_models_do_not_change_when_the_future_does(world):
    future = {p: rows for p, rows in world.tables["play_facts"].items() if p.day < LAST}
    cut = MemoryReader({**world.tables, "play_facts": future})
    (made,) = CandidateModels().build([Partition(LAST)], cut, SETTINGS)
    assert made.tables["candidate_models"].equals(
        world.read("candidate_models", [Partition(LAST)]).drop_columns([c.DATE])
    )


def test_scores_hold_every_model_and_every_positive(world):
    for place in COUNTRIES:
        rows = world.tables["scores"][Partition(LAST, place)]
        frame = flat(rows)
        assert frame.n_contexts == world.tables["contexts"][Partition(LAST, place)].num_rows > 0
        names = ["random", "popularity", "last_played", "collaborative", "logistic", "xgboost"]
        assert frame.scores.column_names == names
        assert rows.column_names == SCORES_TABLE.schema.names
        training = flat(world.tables["training_sets"][Partition(LAST, place)])
        positives = set(zip(training.context(c.CONTEXT_ID)[training.context_of_item][training.item(c.LABEL) > 0],
                            training.item(c.TITLE)[training.item(c.LABEL) > 0], strict=True))  # fmt: skip
        kept = set(zip(frame.context(c.CONTEXT_ID)[frame.context_of_item][frame.item(c.LABEL) > 0],
                       frame.item(c.TITLE)[frame.item(c.LABEL) > 0], strict=True))  # fmt: skip
        assert kept == positives


def test_scores_agree_with_the_features_of_the_training_set(world):
    """A positive has the same features in training and in scoring, so the same score from the same model."""
    from rec_platform.scoring.rankers import read_rankers

    frame = flat(world.tables["scores"][Partition(LAST, "FR")])
    training = flat(world.tables["training_sets"][Partition(LAST, "FR")])
    ranker = read_rankers(world, LAST)["xgboost"]

    def by_key(part, scores):
        keys = zip(part.context(c.CONTEXT_ID)[part.context_of_item], part.item(c.TITLE), strict=True)
        return dict(zip(keys, scores, strict=True))

    offline = by_key(training, ranker.score(training))
    online = by_key(frame, np.asarray(frame.scores.column("xgboost")))
    shared = offline.keys() & online.keys()
    assert len(shared) > 20
    assert {key: offline[key] for key in shared} == {key: online[key] for key in shared}


@pytest.mark.parametrize("stage", [TrainingSets(CandidateFeatures()), Scores()], ids=lambda stage: stage.name)
def test_swept_by_bucket_of_profiles_a_stage_gives_the_same_bytes(world, stage):
    """Over days of several models, before and after the first rankers, and a country without contexts."""
    cells = [Partition(day, place) for day in days_between(FIRST, LAST) for place in COUNTRIES]
    nobody = {cells[2]: world.tables["contexts"][cells[2]].slice(0, 0)}
    reader = MemoryReader({**world.tables, "contexts": {**world.tables["contexts"], **nobody}})
    swept = SETTINGS.model_copy(update={"memory": MemoryConfig(plays_at_once=1_000)})
    for one, other in zip(stage.build(cells, reader, SETTINGS), stage.build(cells, reader, swept), strict=True):
        assert one.partition == other.partition
        assert {**other.extra, "buckets": 1} == one.extra and other.extra["buckets"] == 4
        for name, rows in one.tables.items():
            assert content_hash(rows) == content_hash(other.tables[name])


@pytest.mark.parametrize("days", [1, 2])
def test_swept_lists_are_the_same_bytes(world, days):
    """Warm and cold profiles in one bucket, in several, and nobody; two dates with models of their own."""
    profiles = {Partition(AS_OF, "FR"): range(1, 60), Partition(AS_OF, "GB"): (), Partition(LAST, "FR"): (2, 5)}
    reader = MemoryReader(
        {**world.tables, PROFILE_SNAPSHOT.name: {one: snapshot(held) for one, held in profiles.items()}}
    )
    cells = [Partition(LAST, "FR"), Partition(AS_OF, "FR"), Partition(AS_OF, "GB")][-days - 1 :]
    swept = SETTINGS.model_copy(update={"memory": MemoryConfig(plays_at_once=1_000)})
    pairs = zip(*(Recommendations().build(cells, reader, chosen) for chosen in (SETTINGS, swept)), strict=True)
    for whole, other in pairs:
        assert content_hash(whole.tables["recommendations"]) == content_hash(other.tables["recommendations"])
        assert {**other.extra, "buckets": 1} == whole.extra and other.extra["buckets"] == 4


def raising_in(monkeypatch: pytest.MonkeyPatch, context: int) -> None:
    """Let `xgboost` raise while it scores this context."""
    sound = BoostedTreesScorer.score

    def score(scorer: BoostedTreesScorer, frame: Frame) -> np.ndarray:
        if context in frame.context(c.CONTEXT_ID):
            raise MemoryError("no room for trees")
        return sound(scorer, frame)

    monkeypatch.setattr(BoostedTreesScorer, "score", score)


def without_xgboost(world: MemoryReader, day: date) -> MemoryReader:
    """The world with one ranker less on a day."""
    models = dict(world.tables["ranker_models"])
    rows = models[Partition(day)]
    models[Partition(day)] = rows.filter(pc.not_equal(rows[c.MODEL], "xgboost"))
    return MemoryReader({**world.tables, "ranker_models": models})


@pytest.mark.parametrize("plays_at_once", [MemoryConfig().plays_at_once, 1_000])
def test_a_ranker_that_raises_is_missing_in_its_partition_and_in_no_other(world, monkeypatch, plays_at_once):
    """Of one timeline, and of four, where a day's contexts of both countries are scored together."""
    settings = SETTINGS.model_copy(update={"memory": MemoryConfig(plays_at_once=plays_at_once)})
    cells = [Partition(day, place) for day in (LAST - timedelta(days=1), LAST) for place in COUNTRIES]
    sound = list(Scores().build(cells, world, settings))
    (missing,) = Scores().build(cells[1:2], without_xgboost(world, cells[1].day), settings)
    raising_in(monkeypatch, world.tables["contexts"][cells[1]][c.CONTEXT_ID].to_pylist()[-1])
    made = list(Scores().build(cells, world, settings))
    assert [list(one.lacks) for one in made] == [[], ["xgboost"], [], []]
    said = made[1].lacks["xgboost"]
    assert said.startswith("MemoryError: no room for trees (test_stages.py, line ")
    for one, other in zip(made, [sound[0], missing, *sound[2:]], strict=True):
        assert content_hash(one.tables["scores"]) == content_hash(other.tables["scores"])
        assert {**one.extra, "buckets": 0} == {**other.extra, "buckets": 0}


def test_a_ranker_that_cannot_be_loaded_is_missing_on_its_date(world, monkeypatch):
    """Its artefact is of another code version; of a payload that is not what its hash says nothing is loaded at all."""
    cell = Partition(LAST, "FR")
    (missing,) = Scores().build([cell], without_xgboost(world, LAST), SETTINGS)
    monkeypatch.setattr(BoostedTreesTrainer, "code_version", 99)
    (made,) = Scores().build([cell], world, SETTINGS)
    assert content_hash(made.tables["scores"]) == content_hash(missing.tables["scores"])
    assert list(made.lacks) == ["xgboost"]
    assert made.lacks["xgboost"].startswith("made by code version 1, this is 99 (artefact of model xgboost)")
    models = dict(world.tables["ranker_models"])
    models[Partition(LAST)] = models[Partition(LAST)].set_column(
        3, "payload", pa.array([b"{}"] * models[Partition(LAST)].num_rows, pa.binary())
    )
    with pytest.raises(ArtefactError, match="does not match its SHA-256"):
        list(Scores().build([cell], MemoryReader({**world.tables, "ranker_models": models}), SETTINGS))


def test_lists_name_the_model_that_raises_and_what_to_do(world, monkeypatch):
    """One that makes no lists is not even loaded."""
    cell = [Partition(AS_OF, "FR")]
    other = SETTINGS.model_copy(update={"recommend": SETTINGS.recommend.model_copy(update={"models": ("logistic",)})})
    (sound,) = Recommendations().build(cell, world, other)
    repair = r"Lists are made by the first of \[recommend\] models that exists: .*rec-platform run --force"
    with monkeypatch.context() as patch:
        patch.setattr(BoostedTreesTrainer, "code_version", 99)
        (made,) = Recommendations().build(cell, world, other)
        assert content_hash(made.tables["recommendations"]) == content_hash(sound.tables["recommendations"])
        with pytest.raises(ArtefactError, match=f"^model xgboost: made by code version 1.*{repair}"):
            list(Recommendations().build(cell, world, SETTINGS))
    for method in ("score", "contributions"):
        with monkeypatch.context() as patch:
            patch.setattr(BoostedTreesScorer, method, lambda *_: {}["of no use"])
            place = r"\(test_stages.py, line \d+\)"
            with pytest.raises(ModelFault, match=f"^model xgboost raised KeyError: 'of no use' {place}.*{repair}"):
                list(Recommendations().build(cell, world, SETTINGS))


def test_without_rankers_the_baselines_stand_alone(world):
    lacking = MemoryReader({name: rows for name, rows in world.tables.items() if name != "ranker_models"})
    (made,) = Scores().build([Partition(LAST, "FR")], lacking, SETTINGS)
    assert made.extra["models"] == ["random", "popularity", "last_played", "collaborative"]


def test_a_baseline_whose_feature_is_left_out_is_left_out(world):
    settings = SETTINGS.model_copy(
        update={"features": SETTINGS.features.model_copy(update={"leave_out": ("days_since_title_last_played",)})}
    )
    lacking = MemoryReader({name: rows for name, rows in world.tables.items() if name != "ranker_models"})
    (made,) = Scores().build([Partition(LAST, "FR")], lacking, settings)
    assert made.extra["models"] == ["random", "popularity", "collaborative"]


def test_recommendations_need_no_play_of_their_date(world):
    made = built(Recommendations(), [Partition(AS_OF, "FR")], world)[Partition(AS_OF, "FR")]
    rows = made.tables["recommendations"]
    assert rows.column_names == RECOMMENDATIONS.schema.names
    assert rows[c.PROFILE].to_pylist() == [3] * 4 + [6] * 4 + [NEVER_PLAYED] * 4
    assert rows[c.MODEL].to_pylist() == ["xgboost"] * 8 + ["popularity"] * 4
    assert all(rows[c.REASONS].to_pylist()[:8])
    assert made.extra == {"model": "xgboost", "active_profiles": 2, "cold_profiles": 1, "buckets": 1}


def test_one_profile_asked_for_gets_its_published_list(world):
    published = built(Recommendations(), [Partition(AS_OF, "FR")], world)[Partition(AS_OF, "FR")]
    rows = published.tables["recommendations"]
    mine = rows.filter(pa.array(np.asarray(rows[c.PROFILE]) == 6))
    assert recommend_one(world, SETTINGS, profile_id=6, country="FR", as_of=AS_OF).equals(mine)
    swept = SETTINGS.model_copy(update={"memory": MemoryConfig(plays_at_once=1_000)})
    assert recommend_one(world, swept, profile_id=6, country="FR", as_of=AS_OF).equals(mine)
    unknown = recommend_one(world, SETTINGS, profile_id=123_456, country="FR", as_of=AS_OF)
    assert recommend_one(world, swept, profile_id=123_456, country="FR", as_of=AS_OF).equals(unknown)
    assert set(unknown[c.MODEL].to_pylist()) == {"popularity"}


def test_stages_name_what_they_read_and_nothing_after_their_cut():
    for stage, partition in (
        (CandidateModels(), Partition(AS_OF)), (RankerModels(), Partition(AS_OF)),
        (Scores(), Partition(AS_OF, "FR")), (Recommendations(), Partition(AS_OF, "FR")),
    ):  # fmt: skip
        for wanted in stage.inputs(partition, SETTINGS):
            assert wanted.last is None or wanted.last <= AS_OF
            if wanted.table == "play_facts" and stage.name != "scores":
                assert wanted.last < AS_OF
                assert wanted.cut == AS_OF
        assert stage.config(SETTINGS) == stage.config(SETTINGS)
