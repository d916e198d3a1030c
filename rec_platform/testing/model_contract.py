"""The contract of a model as a suite: a new model inherits it and gives a few made data.

    class TestMyRanker(RankerContract):
        trainer = MyTrainer()

`made_frames` and `made_plays` are the data the suite runs on, small and seeded; a test may override them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.config import CandidateConfig, RankerConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.models.artefact import Artefact, from_rows, to_rows
from rec_platform.models.contract import CandidateTrainer, FeatureNote, Floats, Pairs, RankerTrainer, Scorer
from rec_platform.pipeline import Sources
from rec_platform.tables import INSTANT, PLAY_FACTS, TITLES

AS_OF: Final = date(2025, 3, 10)
NOTES: Final = (
    FeatureNote("signal", "what the label follows"),
    FeatureNote("candidate_popularity", "recent plays in the country", "per 1,000 plays"),
    FeatureNote("days_since_title_last_played", "days since the profile last played the title", "days"),
    FeatureNote("candidate_collaborative", "taste match"),
)
UNSEEN: Final = -1


def made_plays(
    *, plays: int = 3000, profiles: int = 60, titles: int = 40, late_days: int = 1, seed: int = 1
) -> pa.Table:
    """PLAY_FACTS columns and `country`, over the 40 days before `AS_OF`: two groups of profiles, each playing its own
    half of the titles. Plays of the last `late_days` days become known only after `AS_OF`.
    """
    rng = np.random.default_rng(seed)
    profile = rng.integers(0, profiles, plays)
    title = (rng.integers(0, titles // 2, plays) + (profile % 2) * (titles // 2)).astype(np.int64)
    start = clock.midnight(AS_OF) - 40 * clock.DAY
    played = np.sort(start + rng.integers(0, 40 * clock.DAY, plays))
    late = played >= clock.midnight(AS_OF) - late_days * clock.DAY
    known = played + np.where(late, 3 * clock.DAY, clock.HOUR)
    values: dict[str, Any] = {
        c.PLAY_ID: np.arange(plays), c.PROFILE: profile, c.TITLE: title,
        c.PLAYED_AT: pa.array(played, pa.int64()).cast(INSTANT), c.KNOWN_AT: pa.array(known, pa.int64()).cast(INSTANT),
        c.WATCHED_MS: np.full(plays, 60_000), c.ENGAGED: (rng.random(plays) < 0.7).astype(np.int8),
        c.DEVICE: ["unknown"] * plays,
    }  # fmt: skip
    columns = [pa.array(values.get(field.name, [None] * plays), field.type) for field in PLAY_FACTS.schema]
    table = pa.table(columns, schema=PLAY_FACTS.schema)
    return table.append_column(c.COUNTRY, pa.array(np.where(profile % 3 == 0, "FR", "GB").tolist()))


def made_frame(*, contexts: int = 60, items: int = 20, seed: int = 1) -> Frame:
    """A training frame in which the label follows `signal` alone; a fifth of one feature is missing."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(items // 2, items + 1, contexts)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    m = int(offsets[-1])
    features = {note.name: rng.gamma(1.0, 10.0, m).astype(np.float32) for note in NOTES}
    features["signal"] = rng.normal(size=m).astype(np.float32)
    chance = 1.0 / (1.0 + np.exp(-(3.0 * features["signal"] - 3.0)))
    features["days_since_title_last_played"][rng.random(m) < 0.2] = np.nan
    label = (rng.random(m) < chance).astype(np.float64)
    flat = {
        c.TITLE: rng.integers(0, 1000, m), c.LABEL: label, c.WEIGHT: rng.uniform(0.5, 1.5, m),
        c.ITEM_INCLUSION_PROBABILITY: np.where(label > 0, 1.0, 0.25),
    }  # fmt: skip
    return Frame.of(_contexts(contexts, seed), offsets, items=flat, features=features)


def _contexts(n: int, seed: int) -> pa.Table:
    at = clock.midnight(AS_OF) + np.arange(n) * clock.MINUTE
    return pa.table({
        c.PROFILE: np.arange(n) % 60, c.COUNTRY: pa.array(["FR"] * n), c.CONTEXT_ID: np.arange(n) + 1_000 * seed,
        c.AT: pa.array(at, pa.int64()).cast(INSTANT),
    })  # fmt: skip


def shuffled(frame: Frame, seed: int = 5) -> tuple[Frame, npt.NDArray[np.int64]]:
    """The frame with the items of each context in another order, and the row each new row was before."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(frame.n_items), frame.context_of_item))
    parts = [part.take(pa.array(order)) for part in (frame.items, frame.features)]
    return Frame(frame.contexts, frame.offsets, parts[0], parts[1], pa.table({})), order


def stored(artefact: Artefact) -> Artefact:
    """The artefact after a trip through the rows of a model table."""
    return from_rows(to_rows([artefact]), place="test")[artefact.model]


class ScorerContract:
    """What holds for every scorer. Give `scorer` (a property or attribute)."""

    scorer: Scorer

    def frame(self) -> Frame:
        return made_frame(seed=9)

    def scores(self, frame: Frame) -> Floats:
        done = self.scorer.apply(frame, Sources())
        return np.asarray(done.scores.column(self.scorer.name), dtype=np.float64)

    def test_scores_are_one_finite_float64_per_item(self) -> None:
        scores = self.scores(self.frame())
        assert scores.shape == (self.frame().n_items,)
        assert np.isfinite(scores).all()

    def test_the_order_of_items_changes_no_score(self) -> None:
        frame, order = shuffled(self.frame())
        assert np.array_equal(self.scores(frame), self.scores(self.frame())[order])

    def test_scoring_contexts_apart_changes_no_score(self) -> None:
        frame = self.frame()
        parts = [frame.take(np.array([row], dtype=np.int64)) for row in range(frame.n_contexts)]
        assert np.array_equal(np.concatenate([self.scores(part) for part in parts]), self.scores(frame))

    def test_every_feature_missing_gives_a_finite_score(self) -> None:
        frame = self.frame()
        nothing = {name: np.full(frame.n_items, np.nan, np.float32) for name in frame.features.column_names}
        assert np.isfinite(self.scores(frame.with_features(nothing))).all()

    def test_a_missing_feature_column_is_refused_by_name(self) -> None:
        frame = self.frame()
        for note in self.scorer.features:
            lacking = Frame(
                frame.contexts, frame.offsets, frame.items, frame.features.drop_columns([note.name]), pa.table({})
            )
            try:
                self.scorer.apply(lacking, Sources())
            except SchemaError as error:
                assert note.name in str(error)
            else:
                raise AssertionError(f"{self.scorer.name} scored without {note.name}")

    def test_reads_and_adds_are_what_it_says(self) -> None:
        assert [column.name for column in self.scorer.reads] == [note.name for note in self.scorer.features]
        assert [column.name for column in self.scorer.adds] == [self.scorer.name]

    def test_reasons_are_one_list_per_row_of_its_own_features(self) -> None:
        rows = np.array([0, 3, 3], dtype=np.int64)
        reasons = self.scorer.explain(self.frame(), rows)
        abouts = tuple(note.about for note in self.scorer.features)
        assert len(reasons) == 3
        assert reasons[1] == reasons[2]
        assert all(text.startswith(abouts) for row in reasons for text in row)


@dataclass(frozen=True)
class _Threads:
    """Runs a block with so many threads in every pool there is."""

    count: int

    def fit(self, make: Any) -> Any:
        with threadpool_limits(limits=self.count):
            return make()


class RankerContract(ScorerContract):
    """What holds for every ranker. Give `trainer`."""

    trainer: RankerTrainer
    config: RankerConfig = RankerConfig(n_trees=12, max_depth=4)

    def frames(self) -> list[Frame]:
        return [made_frame(seed=seed) for seed in (1, 2)]

    def fitted(self, frames: list[Frame] | None = None) -> Artefact:
        made = self.trainer.fit(frames or self.frames(), features=NOTES, config=self.config, seed=7)
        assert made is not None
        return made

    @cached_property
    def scorer(self) -> Scorer:  # type: ignore[override]
        return self.trainer.load(stored(self.fitted()))

    def test_the_same_inputs_give_the_same_bytes_on_any_number_of_threads(self) -> None:
        one, two = (_Threads(count).fit(self.fitted) for count in (1, 2))
        assert one.files == two.files

    def test_storing_changes_no_score(self) -> None:
        artefact = self.fitted()
        frame = self.frame()
        assert np.array_equal(
            self.trainer.load(artefact).score(frame), self.trainer.load(stored(artefact)).score(frame)
        )

    def test_the_manifest_names_features_data_parameters_seed_and_libraries(self) -> None:
        manifest = self.fitted().manifest
        named = [note["name"] for note in manifest["features"]]
        assert named == [note.name for note in NOTES if note.name in named] != []
        assert {"kind", "code_version", "data", "parameters", "seed", "libraries"} <= set(manifest)

    def test_other_data_another_artefact(self) -> None:
        assert self.fitted().sha256 != self.fitted([made_frame(seed=3)]).sha256

    def test_nothing_to_learn_from_makes_no_model(self) -> None:
        frame = made_frame(seed=1)
        no_positive = frame.with_items({c.LABEL: np.zeros(frame.n_items)})
        assert self.trainer.fit([no_positive], features=NOTES, config=self.config, seed=7) is None
        assert self.trainer.fit([], features=NOTES, config=self.config, seed=7) is None

    def test_a_planted_signal_is_learned_better_than_popularity(self) -> None:
        frame = self.frame()
        popularity = np.asarray(frame.features.column("candidate_popularity"), dtype=np.float64)
        assert pairs_right(frame, self.scores(frame)) > 0.8 > 0.6 > pairs_right(frame, popularity)


def pairs_right(frame: Frame, scores: Floats) -> float:
    """The share of (positive, negative) pairs of one context that the scores order rightly; a tie is half."""
    label = np.asarray(frame.item(c.LABEL), dtype=np.float64)
    right, pairs = 0.0, 0
    for start, end in zip(frame.offsets[:-1], frame.offsets[1:], strict=True):
        mine, is_positive = scores[start:end], label[start:end] > 0
        difference = mine[is_positive][:, None] - mine[~is_positive][None, :]
        right += float((difference > 0).sum() + 0.5 * (difference == 0).sum())
        pairs += difference.size
    return right / pairs


class CandidateContract:
    """What holds for every candidate model. Give `trainer`."""

    trainer: CandidateTrainer
    config: CandidateConfig = CandidateConfig(embedding_size=8, epochs=5)

    def fitted(self, plays: pa.Table | None = None) -> Artefact:
        plays = made_plays() if plays is None else plays
        return self.trainer.fit(plays, as_of=AS_OF, titles=TITLES.schema.empty_table(), config=self.config, seed=7)

    def pairs(self) -> Pairs:
        """Every made profile in two countries with every made title; and an unseen profile, country and title."""
        profiles = np.array([*range(60), UNSEEN], dtype=np.int64)
        countries = np.array([*["FR", "GB"] * 30, "QQ"], dtype=object)
        titles = np.array([*range(40), UNSEEN], dtype=np.int64)
        context = np.repeat(np.arange(len(profiles)), len(titles))
        return Pairs(profiles, countries, context, np.tile(titles, len(profiles)))

    def test_the_same_plays_in_any_order_and_on_any_number_of_threads_give_the_same_bytes(self) -> None:
        plays = made_plays()
        other = plays.take(pa.array(np.random.default_rng(3).permutation(plays.num_rows)))
        one, two = (_Threads(n).fit(lambda table=table: self.fitted(table)) for n, table in ((1, plays), (2, other)))
        assert one.files == two.files

    def test_storing_changes_no_feature(self) -> None:
        artefact = self.fitted()
        before, after = (self.trainer.load(kept).features(self.pairs()) for kept in (artefact, stored(artefact)))
        assert all(np.array_equal(before[name], after[name]) for name in before)

    def test_features_are_its_notes_finite_and_float32_for_the_unseen_too(self) -> None:
        features = self.trainer.load(self.fitted()).features(self.pairs())
        assert sorted(features) == sorted(note.name for note in self.trainer.notes)
        for values in features.values():
            assert values.dtype == np.float32
            assert np.isfinite(values).all()

    def test_a_pair_has_the_same_features_alone_and_among_others(self) -> None:
        pairs = self.pairs()
        model = self.trainer.load(self.fitted())
        whole = model.features(pairs)
        for row in (0, 77, len(pairs.titles) - 1):
            alone = Pairs(
                pairs.profiles, pairs.countries, pairs.context_of_item[row : row + 1], pairs.titles[row : row + 1]
            )
            assert all(model.features(alone)[name][0] == whole[name][row] for name in whole)

    def test_plays_not_visible_at_its_date_change_no_byte(self) -> None:
        plays = made_plays()
        end = clock.midnight(AS_OF)
        known = np.asarray(plays.column(c.KNOWN_AT).cast(pa.int64()))
        assert (known >= end).any()
        visible = plays.filter(pa.array(known < end))
        assert self.fitted(plays).files == self.fitted(visible).files

    def test_no_plays_make_a_model_that_knows_nothing(self) -> None:
        empty = made_plays().slice(0, 0)
        features = self.trainer.load(stored(self.fitted(empty))).features(self.pairs())
        assert all(np.all(values == 0) for values in features.values())

    def test_the_manifest_names_data_parameters_seed_and_libraries(self) -> None:
        manifest = self.fitted().manifest
        assert {"kind", "code_version", "data", "parameters", "seed", "libraries"} <= set(manifest)
        assert manifest["data"]["as_of"] == AS_OF.isoformat()
