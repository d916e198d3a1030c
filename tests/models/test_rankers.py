"""What the rankers do with weights, groups and inclusion probabilities."""

import os
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.config import RankerConfig
from rec_platform.contexts.hashing import mix, seeded, uniform
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, NumericError
from rec_platform.models.artefact import Artefact
from rec_platform.models.boosted_trees import BLOCK, BoostedTreesTrainer, sampling_margin
from rec_platform.models.contract import FeatureNote
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.parallel import at_once, in_order
from rec_platform.models.stage import known_by
from rec_platform.models.training import (
    READ_OF_ITEMS,
    TrainingFrames,
    compact,
    group_weights,
    inverse_inclusion,
    with_both_labels,
)
from rec_platform.pipeline import Sources
from rec_platform.testing.model_contract import NOTES, made_frame, pairs_right

CONFIG = RankerConfig(n_trees=5, max_depth=3)


def frame_of(groups: list[list[float]], weights: list[float] | None = None) -> Frame:
    labels = np.concatenate([np.array(group, dtype=float) for group in groups])
    offsets = np.concatenate([[0], np.cumsum([len(group) for group in groups])])
    contexts = pa.table({c.CONTEXT_ID: np.arange(len(groups))})
    flat = {
        c.LABEL: labels,
        c.WEIGHT: np.ones(len(labels)) if weights is None else np.array(weights),
        c.ITEM_INCLUSION_PROBABILITY: np.ones(len(labels)),
    }
    return Frame.of(contexts, offsets, items=flat, features={"x": labels.astype(np.float32)})


def test_groups_without_both_labels_are_left_out():
    kept = with_both_labels(frame_of([[1, 0], [0, 0], [1, 1], [], [0, 1, 0]]))
    assert kept.context(c.CONTEXT_ID).tolist() == [0, 4]
    assert kept.offsets.tolist() == [0, 2, 5]


def copied_out(frames: list[Frame], names: list[str], max_items: int, seed: int) -> list[Frame]:
    """What a ranker reads, by definition: contexts with both labels, thinned by hash, each frame copied."""
    kept = [frame for frame in map(with_both_labels, frames) if frame.n_contexts]
    share = max_items / max(sum(frame.n_items for frame in kept), 1)
    if share < 1:
        words = seeded(seed, purpose="ranker contexts")
        kept = [frame.take(np.flatnonzero(uniform(mix(words, frame.context(c.CONTEXT_ID))) < share)) for frame in kept]
    return [frame for frame in kept if frame.n_contexts]


@pytest.mark.parametrize("max_items", [10, 700, 10_000])
def test_what_is_read_of_frames_is_what_would_be_copied_out_of_them(max_items):
    silent = made_frame(seed=3)
    frames = [made_frame(seed=1), silent.with_items({c.LABEL: np.zeros(silent.n_items)}), made_frame(seed=2)]
    frames = [frame.take(np.arange(0)) for frame in frames[:1]] + frames
    training = TrainingFrames.of(frames, NOTES, max_items=max_items, seed=7)
    expected = copied_out(frames, list(training.names), max_items, 7)
    assert len(training) == len(expected)
    assert training.n_items == sum(frame.n_items for frame in expected)
    for position, frame in enumerate(expected):
        part = training.part(position)
        assert part.offsets.tolist() == frame.offsets.tolist()
        assert part.contexts.equals(frame.contexts)
        matrices = [one.feature_matrix(training.names) for one in (part, frame)]
        assert np.array_equal(*matrices, equal_nan=True)
        assert part.items.equals(frame.items.select(READ_OF_ITEMS))
    for name in training.names:
        values = [frame.features.column(name).to_numpy() for frame in expected]
        assert np.array_equal(training.feature(name), np.concatenate([np.zeros(0, "f4"), *values]), equal_nan=True)
    assert np.array_equal(training.item(c.LABEL), np.concatenate([[], *(frame.item(c.LABEL) for frame in expected)]))
    assert training.data()["contexts"] == sum(frame.n_contexts for frame in expected)


def test_a_compact_frame_holds_what_rankers_read_and_makes_the_same_model():
    frame, names = made_frame(seed=1), [note.name for note in NOTES]
    small = compact(frame, names)
    assert small.items.column_names == list(READ_OF_ITEMS)
    assert small.features.column_names == names
    for trainer in (LogisticTrainer(), BoostedTreesTrainer()):
        whole, read = (trainer.fit([one], features=NOTES, config=CONFIG, seed=1) for one in (frame, small))
        assert whole.files == read.files


def test_as_many_fits_run_at_a_time_as_there_are_cores_and_memory_for():
    cores = len(os.sched_getaffinity(0))
    assert at_once(0) == at_once(1) == cores
    assert at_once(2**60) == 1
    assert list(in_order([partial(int, n) for n in range(5)], job_bytes=2**60)) == [0, 1, 2, 3, 4]


def test_a_group_weighs_the_mean_of_its_positives():
    frame = frame_of([[1, 0, 1], [0, 1]], weights=[2.0, 9.0, 1.0, 7.0, 0.5])
    assert group_weights(frame).tolist() == [3 / 2, 0.5]


def test_an_inclusion_probability_of_0_is_refused():
    with pytest.raises(NumericError, match="not in"):
        inverse_inclusion(np.ones(2), np.array([1.0, 0.0]))


def test_trees_do_not_see_groups_that_teach_nothing():
    frame = made_frame(seed=1)
    label = np.asarray(frame.item(c.LABEL)).copy()
    label[: frame.offsets[10]] = 0.0
    with_silent = frame.with_items({c.LABEL: label})
    without = with_silent.take(np.arange(10, frame.n_contexts))
    made = [BoostedTreesTrainer().fit([part], features=NOTES, config=CONFIG, seed=1) for part in (with_silent, without)]
    assert made[0].files == made[1].files


def test_trees_of_days_apart_and_together_agree():
    """Days come as separate batches of the data iterator; only the quantile sketch may tell them apart."""
    days = [made_frame(seed=seed) for seed in (1, 2)]
    parts = [pa.concat_tables([day.items for day in days]), pa.concat_tables([day.features for day in days])]
    offsets = np.concatenate([days[0].offsets, days[1].offsets[1:] + days[0].n_items])
    whole = Frame(pa.concat_tables([day.contexts for day in days]), offsets, *parts, pa.table({}))
    apart, together = (
        BoostedTreesTrainer().load(BoostedTreesTrainer().fit(frames, features=NOTES, config=CONFIG, seed=1))
        for frames in (days, [whole])
    )
    probe = made_frame(seed=9)
    assert abs(pairs_right(probe, apart.score(probe)) - pairs_right(probe, together.score(probe))) < 0.01


def test_logistic_probabilities_are_those_of_the_whole_set_not_of_the_sample():
    """1 positive in 11 in the whole; in the sample negatives stand with probability 1/10, so 1 in 2."""
    rng = np.random.default_rng(0)
    n = 4000
    label = (np.arange(n) % 2).astype(float)
    frame = frame_of([label.tolist()]).with_features({"x": rng.normal(size=n).astype(np.float32)})
    frame = frame.with_items({c.ITEM_INCLUSION_PROBABILITY: np.where(label > 0, 1.0, 0.1)})
    trainer = LogisticTrainer()
    scorer = trainer.load(trainer.fit([frame], features=[FeatureNote("x", "noise")], config=CONFIG, seed=1))
    assert (1 / (1 + np.exp(-scorer.score(frame)))).mean() == pytest.approx(1 / 11, rel=0.02)


def test_a_feature_that_was_constant_in_training_says_nothing_later():
    """The deviation of equal values is not 0 but rounding (here 1.4e-17), which no other value may be divided by."""
    n, probe = 10, made_frame(seed=2)
    assert np.full(n, np.log1p(np.float64(np.float32(0.1)))).std() > 0
    frame = frame_of([[1, 0, 0, 0, 0]] * 2).with_features({"x": np.full(n, 0.1, np.float32)})
    trainer = LogisticTrainer()
    scorer = trainer.load(trainer.fit([frame], features=[FeatureNote("x", "constant")], config=CONFIG, seed=1))
    scores = scorer.score(probe.with_features({"x": np.linspace(-9, 9, probe.n_items).astype(np.float32)}))
    assert np.unique(scores).tolist() == [scorer.intercept]


def test_reasons_name_the_planted_signal_and_leave_out_what_does_not_vary():
    frame = made_frame(seed=4).with_features({"candidate_popularity": np.full(made_frame(seed=4).n_items, 5.0, "f4")})
    for trainer in (LogisticTrainer(), BoostedTreesTrainer()):
        scorer = trainer.load(trainer.fit([made_frame(seed=1)], features=NOTES, config=CONFIG, seed=1))
        best = np.array([int(np.argmax(scorer.score(frame)))])
        (reasons,) = scorer.explain(frame, best)
        assert reasons[0].startswith("what the label follows: ")
        assert not any(text.startswith("recent plays in the country") for text in reasons)


def test_a_score_that_is_not_finite_names_model_context_and_feature():
    trainer = LogisticTrainer()
    scorer = trainer.load(trainer.fit([made_frame(seed=1)], features=NOTES, config=CONFIG, seed=1))
    frame = made_frame(seed=2)
    values = np.asarray(frame.features.column("signal")).copy()
    values[frame.offsets[3]] = np.inf
    with pytest.raises(NumericError, match=r"model logistic gave .* in context 2003; .*'signal'"):
        scorer.apply(frame.with_features({"signal": values}), Sources())


def test_trees_score_many_blocks_of_rows_as_one_call_does():
    scorer = BoostedTreesTrainer().load(
        BoostedTreesTrainer().fit([made_frame(seed=1)], features=NOTES, config=CONFIG, seed=1)
    )
    frame = made_frame(contexts=3_000, seed=2)
    assert frame.n_items > 2 * BLOCK
    names = tuple(note.name for note in NOTES)
    whole = scorer.booster.inplace_predict(frame.feature_matrix(names), predict_type="margin")
    assert np.array_equal(scorer.score(frame), whole)
    assert scorer.score(frame.take(np.arange(0))).tolist() == []


def test_the_manifest_holds_no_time_of_making():
    made = BoostedTreesTrainer().fit([made_frame(seed=1)], features=NOTES, config=CONFIG, seed=1)
    assert isinstance(made, Artefact)
    assert not {"created", "created_at", "time", "date"} & set(made.manifest)


def test_the_sampling_margin_is_the_surprise_of_a_draw_from_the_contexts_mean() -> None:
    probability = np.array([1.0, 0.5, 0.125, 1.0, 0.1])
    frame = Frame.of(
        pa.table({"profile_id": [1, 2]}), np.array([0, 3, 5]), items={"item_inclusion_probability": probability}
    )
    ln2 = float(np.log(2))
    assert sampling_margin(frame).tolist() == pytest.approx([0.0, -ln2, ln2, 0.0, 0.0])


def built_by(*kinds: str) -> dict[date, set[str]]:
    """A day for each kind of `known_by`."""
    return {date(2025, 3, 1 + day): {kind} for day, kind in enumerate(kinds)}


def test_a_ranker_says_by_what_its_training_sets_were_known_and_refuses_to_mix():
    assert known_by({}) is None
    assert known_by(built_by("now", "now")) == "now"
    with pytest.raises(ConfigError, match="now on 2025-03-02, then on 2025-03-01"):
        known_by(built_by("then", "now", "then"))
