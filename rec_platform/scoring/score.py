"""Scoring contexts over their whole candidate sets with many models at once, a chunk at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import iso, midnight
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.dmc12.frame import Frame, concat, keep_items, nested
from rec_platform.errors import ArtefactError
from rec_platform.models.contract import Scorer
from rec_platform.pipeline import Pipeline, Sources, Transformer, schema_of
from rec_platform.scoring.candidates import MAX_ITEMS, PLAYED, whole_sets
from rec_platform.scoring.rankers import Rankers
from rec_platform.scoring.ranking import Standing, Words, kept, standings, tie_words
from rec_platform.tables import SCORES_TABLE

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """Contexts with their kept items.

    Attributes:
        frame: items title_id, label, weight, item_inclusion_probability, reachable, played, and int64 counts per model,
            named n_above.MODEL and n_equal.MODEL; scores per model.
    """

    frame: Frame

    def without(self, models: Collection[str], *, keep_top: int, seed: int) -> Scored:
        """As if the other models alone had scored: what only these models' tops held leaves, too.

        Args:
            keep_top, seed: those of the `ContextScorer`.

        Exact: all candidates of a top are among the kept items, so they are the top of these as well.
        """
        if not models:
            return self
        frame, gone = self.frame, [f"{name}.{model}" for name in (c.N_ABOVE, c.N_EQUAL) for model in models]
        left = frame.scores.drop_columns(list(models))
        scores = np.stack([np.asarray(left.column(name)) for name in left.column_names])
        reachable = frame.item(c.REACHABLE).astype(np.bool_)
        n_candidates = np.bincount(frame.context_of_item[reachable], minlength=frame.n_contexts)
        mask = kept(
            scores, frame.offsets, n_candidates, frame.item(PLAYED).astype(np.bool_), _words(frame, seed), keep_top
        )
        return Scored(
            keep_items(replace(frame, items=frame.items.drop_columns(gone), scores=left), np.flatnonzero(mask))
        )

    @property
    def above(self) -> pa.Table:
        """How many candidates each model scores above the item."""
        return self._counts(c.N_ABOVE)

    @property
    def equal(self) -> pa.Table:
        """How many other candidates each model scores as high."""
        return self._counts(c.N_EQUAL)

    def rows(self) -> pa.Table:
        """As rows of the table `scores`."""
        names = [c.COUNTRY if name == c.DMC12_NAMES[c.COUNTRY] else name for name in SCORES_TABLE.schema.names]
        written = replace(self.frame, contexts=self.frame.contexts.select([n for n in names if n != c.ITEMS]))
        items = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY, c.REACHABLE)
        structs = {c.SCORES: self.frame.scores, c.N_ABOVE: self.above, c.N_EQUAL: self.equal}
        return nested(written, item_columns=items, structs=structs).select(SCORES_TABLE.schema.names)

    def _counts(self, name: str) -> pa.Table:
        models = self.frame.scores.column_names
        return self.frame.items.select([f"{name}.{model}" for model in models]).rename_columns(models)


@dataclass(frozen=True)
class ContextScorer:
    """Scores contexts with every model in one pass.

    Attributes:
        as_of: the date of the models; a context before it is refused.
        candidates: the candidate sets.
        steps: what adds the features the scorers read.
        scorers: the models, in the order of the columns.
        rankers: what asks those of the scorers that may raise, and keeps what they raised; without it what one raises is
            raised. The frame then has columns of these models in all parts: `Scored.without` takes out what is lacking.
        sources: what the steps read.
        keep_top: how many of each model's best are kept beside everything played.
        seed: breaks ties at the border of a top.
    """

    as_of: date
    candidates: CandidateSets
    steps: Sequence[Transformer]
    scorers: Sequence[Scorer]
    sources: Sources
    keep_top: int
    seed: int
    rankers: Rankers | None = None

    def score(self, played: Frame, *, max_items: int = MAX_ITEMS) -> Scored:
        """The contexts of `played` (their items: titles of the label window, label NaN where unknown at the cut).

        Kept are every title played, whether engaged or not, and the union of each model's `keep_top` best candidates. How
        the contexts are cut into chunks of `max_items` changes nothing.
        """
        refuse_earlier(played, self.as_of)
        parts = [
            self._chunk(whole_sets(played.take(np.arange(run.start, run.stop)), offsets, titles))
            for run, offsets, titles in self.candidates.chunks(played, max_items)
        ]
        if not parts:
            parts = [self._chunk(whole_sets(played, np.zeros(1, np.int64), np.zeros(0, np.int64)))]
        return Scored(concat(parts))

    def _chunk(self, frame: Frame) -> Frame:
        Pipeline([*self.steps, *self.scorers]).verify(schema_of(frame).values())
        scored = Pipeline(self.steps).apply(frame, self.sources)
        for scorer in self.scorers:
            scored = self._asked(scorer, scored)
        names = [scorer.name for scorer in self.scorers]
        return _kept(scored, self._standing(scored, names), names)

    def _asked(self, scorer: Scorer, frame: Frame) -> Frame:
        if self.rankers is not None and scorer.name in self.rankers.scorers:
            return self.rankers.apply(scorer, frame, self.sources)
        return scorer.apply(frame, self.sources)

    def _standing(self, frame: Frame, names: list[str]) -> Standing:
        scores = np.stack([np.asarray(frame.scores.column(name)) for name in names])
        played, n_candidates = frame.item(PLAYED).astype(np.bool_), frame.context(c.N_CANDIDATES)
        return standings(scores, frame.offsets, n_candidates, played, _words(frame, self.seed), self.keep_top)


def _words(frame: Frame, seed: int) -> Words:
    return tie_words(seed, frame.context(c.CONTEXT_ID)[frame.context_of_item], frame.item(c.TITLE))


def refuse_earlier(frame: Frame, as_of: date) -> None:
    """`ArtefactError` if a context stands before 00:00 UTC of the models' date: they were fitted on its future."""
    at = frame.context(c.AT).astype(np.int64)
    if len(at) and at.min() < midnight(as_of):
        raise ArtefactError(
            f"a context of {iso(int(at.min()))} would be scored by models as of {as_of}, which saw plays after it",
            place="scoring", repair="Score a context with models of its own date or an earlier one.",
        )  # fmt: skip


def _kept(frame: Frame, standing: Standing, names: list[str]) -> Frame:
    """The frame of the kept items alone, with their counts."""
    take, ones = pa.array(standing.rows), np.ones(len(standing.rows))
    items = frame.items.select([c.TITLE, c.LABEL, c.REACHABLE, PLAYED]).take(take)
    found = Frame(frame.contexts, standing.bounds, items, pa.table({}), frame.scores.select(names).take(take))
    counts = {f"{c.N_ABOVE}.{name}": counted for name, counted in zip(names, standing.above, strict=True)}
    counts |= {f"{c.N_EQUAL}.{name}": counted for name, counted in zip(names, standing.equal, strict=True)}
    return found.with_items({c.WEIGHT: ones, c.ITEM_INCLUSION_PROBABILITY: ones, **counts})
