"""The default ranker with the new features beside the same without them, over whole candidate sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import usable_days
from rec_platform.config import RankerConfig
from rec_platform.contexts.stage import read_timeline
from rec_platform.dmc12.frame import Frame, concat, flat
from rec_platform.errors import MissingInput
from rec_platform.evaluation import compare, corrected
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow.run import Progress, quiet
from rec_platform.flow.trial.trial import Trial, read_frame, with_added, without_features
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.contract import FeatureNote, Floats, Ids, Scorer
from rec_platform.models.features import feature_notes
from rec_platform.models.parallel import in_order
from rec_platform.models.registry import ranker_trainers
from rec_platform.models.training import with_both_labels
from rec_platform.pipeline import Sources
from rec_platform.scoring.score import ContextScorer
from rec_platform.scoring.stage import Work, played_titles
from rec_platform.stage import Reader
from rec_platform.tables import CONTEXTS, TRAINING_SETS

Row = dict[str, Any]

#: Most items that a trial's fits read: enough to tell whether an idea helps, few enough for a minute (decision 0061).
TRIAL_ITEMS: Final = 200_000
WITH, WITHOUT = "with", "without"
#: What `trained` compares: metric and cut-off (0: none).
COMPARED: Final = (("nmrr", 0), ("ndcg", 10), ("recall", 10), ("mrr", 0))


class _Named(Scorer):
    """A fitted ranker under another name, so that two of a kind can score side by side."""

    def __init__(self, inner: Scorer) -> None:
        self.inner = inner

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return self.inner.features

    def score(self, frame: Frame) -> Floats:
        return self.inner.score(frame)

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        return self.inner.contributions(frame, rows)


class _With(_Named):
    name = WITH


class _Without(_Named):
    name = WITHOUT


@dataclass(frozen=True)
class Trained:
    """The default ranker with the new features against the same without them.

    Attributes:
        ranker: its name.
        sums: metric sums of both models over every context of the days that could be trained for.
        days: those days.
        left_out: the others, each with why.
    """

    ranker: str
    sums: MetricSums
    days: tuple[date, ...]
    left_out: Mapping[date, str]

    def differences(self, min_contexts: int) -> list[Row]:
        """with - without, paired: value, interval and verdict (among these rows) per metric, of all contexts and per country."""
        table = compare(self.sums, WITH, WITHOUT, min_contexts=min_contexts)
        order = {pair: place for place, pair in enumerate(COMPARED)}
        kept = [
            row["estimand"] == "context"
            and row[c.SLICE] in ("all", c.COUNTRY)
            and (row[c.METRIC], row[c.CUTOFF]) in order
            for row in table.to_pylist()
        ]
        rows = corrected(table.filter(pa.array(kept, pa.bool_()))).to_pylist()
        return sorted(rows, key=lambda row: (row[c.SLICE], row[c.SLICE_VALUE], order[row[c.METRIC], row[c.CUTOFF]]))


def trained(trial: Trial, progress: Progress = quiet, *, max_items: int = TRIAL_ITEMS) -> Trained:
    """Train the default ranker with and without the new features on the usable days before each day, and judge both.

    Contexts of the day are scored over their whole candidate sets, as the stage `scores` does it. Both are fitted anew, by
    the same code on the same rows, so nothing but the features differs.

    Args:
        max_items: most items a fit reads, in place of `rankers.max_items` where that is more (decision 0061).

    Raises:
        MissingInput: no day of the trial has enough training days before it, or no contexts of its own.
    """
    settings = trial.settings
    config = settings.rankers.model_copy(update={"max_items": min(max_items, settings.rankers.max_items)})
    fitted = ranker_trainers(settings.rankers)
    ranker = next(name for name in (*settings.recommend.models, *fitted) if name in fitted)
    horizon, least = settings.labels.horizon_days, settings.rankers.min_training_days
    oldest = usable_days(trial.first, settings.rankers.training_days, horizon)[0]
    reader = trial.reader(max(oldest, trial.platform.index.first_day))
    frames = _training(trial, reader, progress)
    work = Work.of(reader, settings, CandidateFeatures(), trial.days, until=trial.last + timedelta(days=horizon - 1))
    days, left_out, scored = [], {}, list[Frame]()
    for done, day in enumerate(trial.days):
        share = 0.3 + 0.7 * done / len(trial.days)
        usable = {
            one: frames[one] for one in usable_days(day, settings.rankers.training_days, horizon) if one in frames
        }
        parts = [part for part in reader.published(CONTEXTS.name, day) if part.country in trial.countries]
        if len(usable) < least or not parts:
            left_out[day] = (
                "no contexts are published" if not parts else f"{len(usable)} usable training days before it"
            )
            continue
        progress(f"{day}: training {ranker} twice on {len(usable)} days", share)
        scorers = _fitted(ranker, list(usable.values()), trial, config)
        if not scorers:
            left_out[day] = "nothing to learn from: no context of its training days holds both labels"
            continue
        progress(f"{day}: scoring whole candidate sets", share + 0.5 / len(trial.days))
        scorer = ContextScorer(
            day, work.candidates, [*work.steps, *work.added], scorers, work.sources,
            keep_top=settings.evaluation.keep_top, seed=settings.seed,
        )  # fmt: skip
        scored += [flat(scorer.score(played_titles(part, reader, settings)).rows()) for part in parts]
        days.append(day)
    if not days:
        raise MissingInput(
            f"no day can be trained for: {'; '.join(f'{day}: {why}' for day, why in left_out.items())}", place="features try",
            repair="Choose later days, or run `rec-platform run` for them first.",
        )  # fmt: skip
    progress("comparing", 1.0)
    wanted = tuple(one for one in STANDARD if one.name in {name for name, _ in COMPARED})
    sums = evaluate(
        scored, seed=settings.seed, models=(WITH, WITHOUT), metrics=wanted, cutoffs=(10,),
        slices=Slices(contexts=(c.COUNTRY,)), replicates=settings.evaluation.replicates, list_length=settings.evaluation.keep_top,
    )  # fmt: skip
    return Trained(ranker, sums, tuple(days), left_out)


def _training(trial: Trial, reader: Reader, progress: Progress) -> dict[date, Frame]:
    """Training frames by day, of all countries rankers are fitted on, with the new columns; days without contexts left out."""
    chosen = trial.settings.countries
    parts = [
        p
        for p in reader.published(TRAINING_SETS.name)
        if p.day < trial.last and (chosen is None or p.country in chosen)
    ]
    if not parts:
        raise MissingInput(
            f"no training sets are published before {trial.last}", place="training_sets",
            repair="Run `rec-platform run` for that day: it makes the training sets of the days before it.",
        )  # fmt: skip
    by_day: dict[date, list[Frame]] = {}
    for done, part in enumerate(parts):
        progress(f"training sets: {part.key}", 0.2 * done / len(parts))
        frame = with_both_labels(read_frame(reader, part))
        if frame.n_contexts:
            by_day.setdefault(part.day, []).append(frame)
    if not by_day:
        return {}
    progress("computing the new features", 0.2)
    days = {day: concat(frames) for day, frames in by_day.items()}
    timeline = read_timeline(reader, trial.settings, until=trial.last, features=trial.features.select(trial.added))
    added = with_added(trial, concat([without_features(frame) for frame in days.values()]), Sources(timeline)).features
    out, start = {}, 0
    for day, frame in days.items():
        rows = added.slice(start, frame.n_items)
        out[day] = frame.with_features(dict(zip(rows.column_names, rows.columns, strict=True)))
        start += frame.n_items
    return out


def _fitted(ranker: str, frames: list[Frame], trial: Trial, config: RankerConfig) -> list[Scorer]:
    """The ranker with and without the new features; empty where there is nothing to learn from."""
    trainer, settings = ranker_trainers(config)[ranker], trial.settings
    every = feature_notes(settings)
    asked = [every, tuple(note for note in every if note.name not in trial.added)]
    fits = [partial(trainer.fit, frames, features=notes, config=config, seed=settings.seed) for notes in asked]
    made = list(in_order(fits))
    if any(artefact is None for artefact in made):
        return []
    return [kind(trainer.load(artefact)) for kind, artefact in zip((_With, _Without), made, strict=True) if artefact]
