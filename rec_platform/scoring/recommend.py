"""Ranked lists for profiles: the whole candidate set scored by one model, the best kept, with the reasons in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import midnight
from rec_platform.config import RecommendConfig
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.contexts.hashing import context_ids
from rec_platform.contexts.segments import offsets_of
from rec_platform.dmc12.frame import Frame, concat, keep_items
from rec_platform.errors import ConfigError
from rec_platform.models.baselines import BASELINES, PopularityScorer
from rec_platform.models.contract import Scorer
from rec_platform.models.raising import naming
from rec_platform.pipeline import Pipeline, Sources, Transformer, schema_of
from rec_platform.scoring.candidates import MAX_ITEMS
from rec_platform.scoring.ranking import best_first, tie_words
from rec_platform.tables import INSTANT, RECOMMENDATIONS

Ints = npt.NDArray[np.int64]
#: The features whose best titles make the shortlist.
SHORTLISTED_BY: Final = ("candidate_collaborative", "candidate_popularity")
#: The baselines that read candidate models.
_OF_CANDIDATES: Final = ("popularity", "collaborative")
#: What to do about a model that makes the lists and raises, where it cannot be corrected at once.
ANOTHER: Final = (
    "Lists are made by the first of [recommend] models that exists: name another there first, or fit the model again "
    "(`rec-platform run --force`)."
)


@dataclass(frozen=True)
class Recommender:
    """Makes lists as of 00:00 UTC of a date.

    Attributes:
        as_of: the date.
        candidates: the candidate sets, by the same rule that negatives and scores follow.
        steps: what adds the declared features.
        added: what adds the features of candidate models, all that `popularity` needs.
        sources: what the steps read.
        rankers: the rankers of the date by name; none where there were too few days.
        has_candidate_models: whether candidate models exist for the date.
        config: which model, how many titles, how many reasons.
        seed: orders equal scores.
    """

    as_of: date
    candidates: CandidateSets
    steps: Sequence[Transformer]
    added: Sequence[Transformer]
    sources: Sources
    rankers: Mapping[str, Scorer]
    has_candidate_models: bool
    config: RecommendConfig
    seed: int

    @property
    def scorer(self) -> Scorer:
        """The first model of `config.models` that exists for the date; popularity if none does."""
        return chosen_model(self.config, self.rankers, has_candidate_models=self.has_candidate_models)

    def warm(self, profile_id: Ints, country: str, *, max_items: int = MAX_ITEMS) -> pa.Table:
        """Lists of profiles with visible plays: rows of the table `recommendations`, in its order."""
        return rows_of(
            self.listed(contexts_at(np.sort(profile_id), country, midnight(self.as_of)), max_items=max_items)
        )

    def cold(self, profile_id: Ints, country: str, *, max_items: int = MAX_ITEMS) -> pa.Table:
        """Lists of profiles without a visible play, by popularity; the profiles may be unknown altogether."""
        asked = contexts_at(np.sort(profile_id), country, midnight(self.as_of))
        return rows_of(self.listed(asked, warm=False, max_items=max_items))

    def one(self, profile_id: int, country: str) -> pa.Table:
        """The list of one profile, known or not."""
        asked = contexts_at(np.array([profile_id], dtype=np.int64), country, midnight(self.as_of))
        return rows_of(self.listed(asked, warm=bool(self.has_played(asked).all())))

    def has_played(self, contexts: pa.Table) -> npt.NDArray[np.bool_]:
        """Which contexts' profiles have a visible play."""
        asked = Frame.of(contexts)
        offsets, _, _ = self.candidates.timeline.seen(asked.context(c.PROFILE), asked.context(c.AT))
        return np.diff(offsets) > 0

    def listed(self, contexts: pa.Table, *, warm: bool = True, max_items: int = MAX_ITEMS) -> Frame:
        """The contexts of profiles with visible plays, or of some without, with their lists as items (`LIST_COLUMNS`)."""
        steps, scorer = (self.steps, self.scorer) if warm else ((), PopularityScorer())
        chunks: Iterator[Frame] = (
            Frame.of(contexts.slice(run.start, run.stop - run.start), offsets, items={c.TITLE: titles})
            for run, offsets, titles in self.candidates.chunks(Frame.of(contexts), max_items)
        )
        if not contexts.num_rows:
            chunks = iter([Frame.of(contexts, items={c.TITLE: np.empty(0, dtype=np.int64)})])
        return concat([self._best(chunk, self._scored(chunk, steps, scorer), scorer) for chunk in chunks])

    def _scored(self, chunk: Frame, steps: Sequence[Transformer], scorer: Scorer) -> Frame:
        """Candidate features first, for all; the declared features and the score for the shortlist only."""
        known = Pipeline(self.added).apply(chunk, self.sources)
        if steps and self.config.shortlist and self.has_candidate_models:
            known = keep_items(known, self._shortlist(known))
        Pipeline([*steps, scorer]).verify(schema_of(known).values())
        ready = Pipeline(steps).apply(known, self.sources)
        return naming(scorer.name, lambda: scorer.apply(ready, self.sources), otherwise=ANOTHER)

    def _shortlist(self, frame: Frame) -> Ints:
        """Rows of the items a ranker is asked about, ascending: each candidate model's best, and what was played."""
        chosen = self._played(frame)
        for name in SHORTLISTED_BY:
            values = np.nan_to_num(np.asarray(frame.features.column(name), dtype=np.float64), nan=-np.inf)
            for start, stop in zip(frame.offsets[:-1], frame.offsets[1:], strict=True):
                chosen[start + _largest(values[start:stop], self.config.shortlist)] = True
        return np.flatnonzero(chosen)

    def _played(self, frame: Frame) -> npt.NDArray[np.bool_]:
        """Whether the profile has visibly played the item's title."""
        offsets, titles, _ = self.candidates.timeline.seen(frame.context(c.PROFILE), frame.context(c.AT))
        known, codes = np.unique(np.concatenate([frame.item(c.TITLE), titles]), return_inverse=True)
        mine = frame.context_of_item * len(known) + codes[: frame.n_items]
        played = np.repeat(np.arange(frame.n_contexts), np.diff(offsets)) * len(known) + codes[frame.n_items :]
        return np.isin(mine, played)

    def _best(self, asked: Frame, frame: Frame, scorer: Scorer) -> Frame:
        scores = np.asarray(frame.scores.column(scorer.name))
        words = tie_words(self.seed, frame.context(c.CONTEXT_ID)[frame.context_of_item], frame.item(c.TITLE))
        runs = zip(frame.offsets[:-1], frame.offsets[1:], strict=True)
        best = [a + best_first(scores[a:b], words[a:b], self.config.n) for a, b in runs]
        rows = np.concatenate([np.zeros(0, np.int64), *best])
        reasons = naming(scorer.name, lambda: scorer.explain(frame, rows), otherwise=ANOTHER)
        values = {
            c.RANK: np.concatenate([np.zeros(0, np.int64), *(np.arange(len(part)) + 1 for part in best)]),
            c.TITLE: frame.item(c.TITLE)[rows],
            c.SCORE: scores[rows],
            c.MODEL: [scorer.name] * len(rows),
            c.REASONS: [texts[: self.config.reasons] for texts in reasons],
        }
        items = {name: pa.array(values[name]).cast(RECOMMENDATIONS.schema.field(name).type) for name in LIST_COLUMNS}
        return Frame.of(asked.contexts, offsets_of(np.array([len(part) for part in best], dtype=np.int64)), items=items)


#: What a list has of each title: the columns of the table `recommendations`, but for the profile's.
LIST_COLUMNS: Final = tuple(name for name in RECOMMENDATIONS.schema.names if name != c.PROFILE)


def rows_of(lists: Frame) -> pa.Table:
    """Contexts with their lists as rows of the table `recommendations`."""
    profile = lists.contexts.column(c.PROFILE).take(pa.array(lists.context_of_item))
    columns = {c.PROFILE: profile} | {name: lists.items.column(name) for name in LIST_COLUMNS}
    schema = RECOMMENDATIONS.schema
    return pa.table([columns[name] for name in schema.names], schema=schema).combine_chunks()


def _largest(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.intp]:
    """Positions of the `most` largest values, in no order; which of equal ones at the border is fixed by the values alone."""
    return np.argpartition(-values, most - 1)[:most] if len(values) > most else np.arange(len(values))


def chosen_model(config: RecommendConfig, rankers: Mapping[str, Scorer], *, has_candidate_models: bool) -> Scorer:
    """The first model of `config.models` that exists; popularity if none does. No other ranker is loaded."""
    baselines = {
        scorer.name: scorer for scorer in BASELINES if has_candidate_models or scorer.name not in _OF_CANDIDATES
    }
    for name in config.models:
        if name in rankers:
            return naming(name, partial(rankers.__getitem__, name), otherwise=ANOTHER)
        if name in baselines:
            return baselines[name]
    return PopularityScorer()


def contexts_at(profile_id: Ints, country: str, at: int) -> pa.Table:
    """One context per profile, all in one country at one instant, as a ranking request without a device has it."""
    n = len(profile_id)
    return pa.table({
        c.PROFILE: pa.array(profile_id, pa.int64()),
        c.COUNTRY: pa.array([country] * n, pa.string()),
        c.CONTEXT_ID: pa.array(context_ids(profile_id, country, np.full(n, at, dtype=np.int64)), pa.int64()),
        c.AT: pa.array(np.full(n, at, dtype=np.int64), pa.int64()).cast(INSTANT),
        c.DEVICE: pa.array(["unknown"] * n, pa.string()),
    })  # fmt: skip


def who_gets_a_list(snapshot: pa.Table, *, active_days: int, windows: Sequence[int]) -> tuple[Ints, Ints]:
    """The active profiles of a snapshot, and the cold ones.

    Active: a play in the last `active_days`. Cold: no play in the longest window, so in the snapshot by its record alone.
    A profile between the two (it played, but not lately) gets no list.
    """
    if active_days not in windows:
        raise ConfigError(
            f"active_days = {active_days} is not a window of the snapshots", place="recommend.active_days",
            repair=f"Choose one of {', '.join(str(days) for days in windows)}.",
        )  # fmt: skip
    profiles, recent, ever = (
        np.asarray(snapshot.column(name), dtype=np.int64)
        for name in (c.PROFILE, c.windowed(c.PLAYS, active_days), c.windowed(c.PLAYS, max(windows)))
    )
    return profiles[recent > 0], profiles[ever == 0]
