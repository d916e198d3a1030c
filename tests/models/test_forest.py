"""Trees walked by the kernel give XGBoost's own sums, to the bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.config import RankerConfig
from rec_platform.errors import ArtefactError
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.forest import Forest
from rec_platform.testing.model_contract import NOTES, made_frame

#: What features may hold: missing, equal values, zeros of both signs, values at the ends of float32.
ODD = np.array([np.nan, np.nan, -0.0, 0.0, 1.0, 1.0, 2.5, -3e38, 3e38, 1e-40], dtype=np.float32)


def boosted(
    *, seed: int, n_features: int = 4, n_trees: int = 9, depth: int = 4, rows: int = 400, **more: object
) -> xgboost.Booster:
    """A ranker of values of every kind, some of its trees deep, some a single leaf."""
    rng = np.random.default_rng(seed)
    values, label = some_values(rng, rows, n_features), rng.integers(0, 2, rows)
    matrix = xgboost.QuantileDMatrix(values, label=label, group=[rows // 4] * 4)
    parameters = {"objective": "rank:ndcg", "max_depth": depth, "nthread": 1, "seed": seed, **more}
    return xgboost.train(parameters, matrix, num_boost_round=n_trees)


def some_values(rng: np.random.Generator, rows: int, n_features: int) -> np.ndarray:
    plain = rng.normal(size=(rows, n_features)).astype(np.float32)
    return np.where(rng.random(plain.shape) < 0.3, rng.choice(ODD, plain.shape), plain)


def sums(forest: Forest, values: np.ndarray) -> np.ndarray:
    out = np.full(len(values), np.nan)
    forest.sums(np.ascontiguousarray(values.T), out)
    return out


@given(
    seed=st.integers(0, 10**6), depth=st.integers(1, 9), n_trees=st.integers(1, 12), n_features=st.integers(1, 7),
    rows=st.integers(0, 200), gamma=st.sampled_from([0.0, 0.05, 100.0]), base_score=st.sampled_from([0.0, 0.5, -7.3]),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_sums_are_those_of_inplace_predict(seed, depth, n_trees, n_features, rows, gamma, base_score):
    booster = boosted(
        seed=seed, depth=depth, n_trees=n_trees, n_features=n_features, gamma=gamma, base_score=base_score
    )
    values = some_values(np.random.default_rng(seed + 1), rows, n_features)
    expected = booster.inplace_predict(values, predict_type="margin") if rows else np.zeros(0)
    assert sums(Forest.of(booster.save_raw("json")), values).tobytes() == expected.astype(np.float64).tobytes()


def test_a_walk_is_by_definition_down_from_the_root():
    """The JSON read node by node, as the format is documented."""
    booster = boosted(seed=3, depth=6)
    values = some_values(np.random.default_rng(4), 50, 4)
    learner = json.loads(booster.save_raw("json"))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    assert max(len(tree["left_children"]) for tree in trees) > 20
    for row, found in zip(values, sums(Forest.of(booster.save_raw("json")), values), strict=True):
        total = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
        for tree in trees:
            node = 0
            while tree["left_children"][node] >= 0:
                value, threshold = row[tree["split_indices"][node]], np.float32(tree["split_conditions"][node])
                left = tree["default_left"][node] if np.isnan(value) else value < threshold
                node = tree["left_children" if left else "right_children"][node]
            total += np.float32(tree["split_conditions"][node])
        assert found == total


def test_infinite_values_go_where_xgboost_sends_them():
    booster = boosted(seed=5)
    values = np.where(np.random.default_rng(6).random((90, 4)) < 0.5, np.inf, -np.inf).astype(np.float32)
    expected = booster.inplace_predict(values, predict_type="margin", missing=np.nan)
    assert sums(Forest.of(booster.save_raw("json")), values).tolist() == expected.tolist()


@pytest.mark.parametrize("other", [{"objective": "binary:logistic"}, {"booster": "dart"}])
def test_other_models_are_refused(other):
    with pytest.raises(ArtefactError, match="make the model again"):
        Forest.of(boosted(seed=1, **other).save_raw("json"))


def test_trees_over_other_features_than_the_manifest_names_are_refused():
    trainer, frame = BoostedTreesTrainer(), made_frame(seed=1)
    scorer = trainer.load(trainer.fit([frame], features=NOTES, config=RankerConfig(n_trees=2, max_depth=2), seed=1))
    with pytest.raises(ArtefactError, match=f"over {len(NOTES)} features where the manifest names {len(NOTES) - 1}"):
        replace(scorer, notes=scorer.notes[:-1]).score(frame)
