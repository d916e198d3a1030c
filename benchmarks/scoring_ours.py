"""A model of 200 trees on twenty features of a world in memory, asked in batches and one request at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import xgboost
from measuring import Meter
from timeline_world import (
    COUNTRIES,
    COUNTRIES_N,
    DAYS,
    FEATURES,
    FIRST_TITLE,
    PROFILES_N,
    START,
    TITLES_N,
    day_of_plays,
    power_law,
    title_rows,
)

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.config import RankerConfig, SourceRules
from rec_platform.dmc12.frame import Frame, sliced
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.live import LiveFeatures
from rec_platform.models.boosted_trees import BoostedTreesScorer, BoostedTreesTrainer
from rec_platform.models.contract import FeatureNote
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES
from rec_platform.timetravel.timeline import Timeline
from rec_platform.timetravel.warm_up import run_everything as warm_up

TREES = 200
NOW = START + DAYS * DAY
SET = FeatureSet.standard().select(FEATURES)


def timeline_of(plays: int) -> Timeline:
    nobody, nothing = PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table()
    days = (day_of_plays(day, plays // DAYS) for day in range(DAYS))
    return Timeline.build(days, title_rows(), nobody, nothing, rules=SourceRules())


def asked(contexts: int, items: int, seed: int) -> Frame:
    """Contexts of the hour after the last play, each with titles drawn by popularity."""
    rng = np.random.default_rng(seed)
    home = np.random.default_rng(20).integers(0, COUNTRIES_N, PROFILES_N)
    profile = power_law(rng, PROFILES_N, contexts, 0.6)
    table = pa.table({
        c.PROFILE: profile, c.COUNTRY: pa.array([COUNTRIES[place] for place in home[profile]]),
        c.CONTEXT_ID: np.arange(contexts), c.AT: pa.array(NOW + rng.integers(0, HOUR, contexts)).cast(INSTANT),
        c.DEVICE: ["tv"] * contexts, c.TENURE_DAYS: np.ones(contexts),
    })  # fmt: skip
    titles = power_law(rng, TITLES_N, contexts * items, 0.6) + FIRST_TITLE
    return Frame.of(table, np.arange(contexts + 1) * items, items={c.TITLE: titles})


def fitted(timeline: Timeline) -> BoostedTreesScorer:
    """The platform's own ranker; what it learns is made up of three features and noise."""
    frame = FeatureGenerator(SET).apply(asked(2_000, 50, seed=1), Sources(timeline))
    read = [
        np.asarray(frame.features.column(name)) for name in ("profile_title_plays", "title_plays_7d", "title_trend")
    ]
    wish = sum(np.log1p(np.nan_to_num(values)) for values in read) + np.random.default_rng(2).normal(
        0, 2, frame.n_items
    )
    ones = np.ones(frame.n_items)
    label = (wish > np.quantile(wish, 0.9)).astype(np.float64)
    frame = frame.with_items({c.LABEL: label, c.WEIGHT: ones, c.ITEM_INCLUSION_PROBABILITY: ones})
    notes = [FeatureNote(name, name) for name in FEATURES]
    made = BoostedTreesTrainer().fit([frame], features=notes, config=RankerConfig(n_trees=TREES), seed=1)
    if made is None:
        raise SystemExit("the made-up world teaches nothing")
    return BoostedTreesTrainer().load(made)


def batch(meter: Meter, *, plays: int, items: int, rounds: int) -> None:
    """Phases `scorer` (frame to scores) and `inplace_predict` (row-major chunks that are there already), in turn.

    XGBoost has the threads it takes by itself.
    """
    warm_up()
    timeline = timeline_of(plays)
    scorer = fitted(timeline)
    frame = FeatureGenerator(SET).apply(asked(items // 50, 50, seed=3), Sources(timeline))
    rows = frame.feature_matrix(FEATURES)
    chunks = [rows[start : start + (1 << 16)] for start in range(0, len(rows), 1 << 16)]
    predict = xgboost.Booster(model_file=bytearray(scorer.payload)).inplace_predict
    bare = np.concatenate([predict(chunk, predict_type="margin") for chunk in chunks])
    if not np.array_equal(scorer.score(frame), bare):
        raise SystemExit("the scorer's values are not inplace_predict's")
    for turn in range(rounds):
        with meter.phase(f"scorer {turn}"):
            scorer.score(frame)
        with meter.phase(f"inplace_predict {turn}"):
            for chunk in chunks:
                predict(chunk, predict_type="margin")


@dataclass(frozen=True)
class Live:
    """What a process that answers requests holds: features bound to a timeline, and a model."""

    features: LiveFeatures
    scorer: BoostedTreesScorer

    @classmethod
    def of(cls, timeline: Timeline, scorer: BoostedTreesScorer) -> Live:
        return cls(LiveFeatures(SET, timeline, COUNTRIES), scorer)

    def answer(self, request: Frame) -> tuple[Frame, np.ndarray]:
        """One context's features and scores, from the same facts, encoders and model as a batch's."""
        done = self.features.apply(request)
        return done, self.scorer.score(done)


def live(meter: Meter, *, plays: int, requests: int, items: int) -> None:
    """Requests one by one; facts: their p50 and p99 in ms on the clock, and in CPU time of the process."""
    warm_up()
    timeline = timeline_of(plays)
    scorer = fitted(timeline)
    whole = asked(requests, items, seed=4)
    with meter.phase("batch of all requests"):
        expected = Pipeline([FeatureGenerator(SET), scorer]).apply(whole, Sources(timeline))
    ways: dict[str, Callable[[Frame], tuple[Frame, np.ndarray]]] = {
        "live": Live.of(timeline, scorer).answer,
        "pipeline": lambda one: _piped(one, timeline, scorer),
    }
    scores = np.asarray(expected.scores.column(scorer.name))
    for way, answer in ways.items():
        answer(whole.take(np.array([0])))
        tell(meter, way, list(_timed(answer, whole, expected, scores)))
    rows, predict = expected.feature_matrix(FEATURES), scorer.booster.inplace_predict
    tell(meter, "trees alone", list(_each(scorer.score, (sliced(expected, n, n + 1) for n in range(requests)))))
    mine = (rows[start:stop] for start, stop in pairwise(expected.offsets.tolist()))
    tell(meter, "inplace_predict", list(_each(lambda one: predict(one, predict_type="margin"), mine)))


def tell(meter: Meter, way: str, spent: list[tuple[float, float]]) -> None:
    """p50 and p99 of seconds on the clock and of the processor, in ms."""
    for clock, mine in zip(("clock", "cpu"), zip(*spent, strict=True), strict=True):
        for percent in (50, 99):
            meter.facts[f"{way} {clock} p{percent}"] = float(np.percentile(mine, percent) * 1e3)


def _each(ask: Callable[[Any], Any], given: Iterable[Any]) -> Iterator[tuple[float, float]]:
    """Seconds of each call on the clock and of the processor."""
    for one in given:
        clock, cpu = time.perf_counter(), time.process_time()
        ask(one)
        yield time.perf_counter() - clock, time.process_time() - cpu


def _piped(one: Frame, timeline: Timeline, scorer: BoostedTreesScorer) -> tuple[Frame, np.ndarray]:
    done = Pipeline([FeatureGenerator(SET), scorer]).apply(one, Sources(timeline))
    return done, np.asarray(done.scores.column(scorer.name))


def _timed(
    answer: Callable[[Frame], tuple[Frame, np.ndarray]], whole: Frame, expected: Frame, scores: np.ndarray
) -> Iterator[tuple[float, float]]:
    """Seconds of each request on the clock and of the processor; stops where a bit differs from the batch's."""
    for row in range(whole.n_contexts):
        one, mine = whole.take(np.array([row])), slice(whole.offsets[row], whole.offsets[row + 1])
        clock, cpu = time.perf_counter(), time.process_time()
        done, got = answer(one)
        yield time.perf_counter() - clock, time.process_time() - cpu
        features = expected.features.slice(mine.start, mine.stop - mine.start)
        same = all(
            done.features.column(name).to_numpy().tobytes() == features.column(name).to_numpy().tobytes()
            for name in FEATURES
        )
        if not same or not np.array_equal(got, scores[mine]):
            raise SystemExit(f"request {row} is not answered as the batch answers it")
