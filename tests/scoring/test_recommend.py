"""Lists for profiles: who gets one, from which model, in which order, and why."""

import numpy as np
import pyarrow as pa
import pytest
from scoring_world import DAY, MIDNIGHT, ByRemainder, Remainder, timeline

from rec_platform import columns as c
from rec_platform.config import CandidateConfig, RecommendConfig, SeenRule
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.errors import ConfigError
from rec_platform.models.candidate_features import AddCandidateFeatures, CandidateModelsByDay
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.models.popularity import PopularityTrainer
from rec_platform.pipeline import Sources
from rec_platform.scoring.recommend import Recommender, who_gets_a_list
from rec_platform.tables import PROFILE_SNAPSHOT, RECOMMENDATIONS, TITLES, WINDOWS
from rec_platform.testing.model_contract import made_plays

UNKNOWN = 987_654_321


def recommender(*, seen: str = "keep", rankers: bool = True, models: tuple[str, ...] = ("by_remainder",), n: int = 6):
    trainers = (CollaborativeTrainer(), PopularityTrainer())
    config = CandidateConfig(embedding_size=4, epochs=3)
    made = [t.fit(made_plays(), as_of=DAY, titles=TITLES.schema.empty_table(), config=config, seed=1) for t in trainers]
    return Recommender(
        DAY, CandidateSets(timeline(), SeenRule(kind=seen)), [Remainder()], [AddCandidateFeatures()],
        Sources(CandidateModelsByDay.of({DAY: made})), {"by_remainder": ByRemainder()} if rankers else {}, True,
        RecommendConfig(n=n, models=models, reasons=2), seed=3,
    )  # fmt: skip


def test_lists_are_the_best_titles_in_order_with_reasons():
    rows = recommender().warm(np.array([7, 4]), "FR")
    RECOMMENDATIONS.check(rows.schema)
    assert rows[c.PROFILE].to_pylist() == [4] * 6 + [7] * 6
    assert rows[c.RANK].to_pylist() == [1, 2, 3, 4, 5, 6] * 2
    assert rows[c.SCORE].to_pylist()[:6] == [((t + 4) % 7) for t in rows[c.TITLE].to_pylist()[:6]]
    assert rows[c.SCORE].to_pylist()[:6] == sorted(rows[c.SCORE].to_pylist()[:6], reverse=True)
    assert rows[c.REASONS].to_pylist()[0] == ["remainder of 7: 6"]
    assert set(rows[c.MODEL].to_pylist()) == {"by_remainder"}


def test_the_same_lists_in_any_chunk_and_company():
    together = recommender().warm(np.arange(10), "FR")
    assert recommender().warm(np.arange(10), "FR", max_items=45).equals(together)
    alone = recommender().warm(np.array([6]), "FR")
    assert together.filter(pa.array(np.asarray(together[c.PROFILE]) == 6)).equals(alone)


def test_titles_already_played_leave_under_the_rule_drop():
    offsets, seen, _ = timeline().seen([5], [MIDNIGHT])
    assert offsets[-1] > 0
    listed = recommender(seen="drop", n=40).warm(np.array([5]), "FR")[c.TITLE].to_pylist()
    assert not set(listed) & set(seen.tolist())
    assert len(listed) == len(timeline().available("FR", MIDNIGHT)) - len(seen)


def test_cold_profiles_get_the_popular_titles():
    rows = recommender().cold(np.array([UNKNOWN]), "FR")
    assert set(rows[c.MODEL].to_pylist()) == {"popularity"}
    known = recommender(models=("popularity",)).warm(np.array([4]), "FR")
    assert rows[c.SCORE].to_pylist() == known[c.SCORE].to_pylist()
    assert rows[c.REASONS].to_pylist()[0][0].startswith("recent plays in the country: ")


def test_one_profile_gets_its_published_list_and_an_unknown_one_the_popular_titles():
    made = recommender()
    assert made.one(5, "FR").equals(made.warm(np.array([5]), "FR"))
    assert set(made.one(UNKNOWN, "FR")[c.MODEL].to_pylist()) == {"popularity"}


def test_the_first_model_that_exists_is_taken():
    order = ("by_remainder", "collaborative", "popularity")
    assert recommender(models=order).scorer.name == "by_remainder"
    assert recommender(models=order, rankers=False).scorer.name == "collaborative"
    assert recommender(models=("nowhere",)).scorer.name == "popularity"


def test_no_profiles_are_no_rows():
    assert recommender().warm(np.zeros(0, np.int64), "FR").num_rows == 0
    assert recommender().cold(np.zeros(0, np.int64), "FR").schema.equals(RECOMMENDATIONS.schema)


def test_active_cold_and_lapsed_profiles():
    """Profile 1 played this week, 2 two months ago, 3 never."""
    values = {field.name: [0, 0, 0] for field in PROFILE_SNAPSHOT.schema}
    values |= {c.PROFILE: [1, 2, 3], "plays_7d": [2, 0, 0], "plays_28d": [2, 0, 0], "plays_90d": [2, 5, 0]}
    values["last_played_at"] = [None, None, None]
    snapshot = pa.table(values).cast(pa.schema([f.with_nullable(True) for f in PROFILE_SNAPSHOT.schema]))
    active, cold = who_gets_a_list(snapshot, active_days=28, windows=WINDOWS)
    assert (active.tolist(), cold.tolist()) == ([1], [3])
    with pytest.raises(ConfigError, match="active_days = 30"):
        who_gets_a_list(snapshot, active_days=30, windows=WINDOWS)
