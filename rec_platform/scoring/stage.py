"""The stages `scores` and `recommendations`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY, days_between, label_close, midnight
from rec_platform.config import Settings
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.contexts.extension import FeatureExtension
from rec_platform.contexts.labels import with_labels
from rec_platform.contexts.stage import read_timeline, timelines_for
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.by_bucket import as_it_is
from rec_platform.models.baselines import baselines
from rec_platform.models.candidate_features import CandidateFeatures, CandidateModelsByDay
from rec_platform.models.contract import Scorer
from rec_platform.models.registry import check_listing
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources, Transformer
from rec_platform.scoring.rankers import Rankers, read_rankers
from rec_platform.scoring.recommend import Recommender, chosen_model, contexts_at, rows_of, who_gets_a_list
from rec_platform.scoring.score import ContextScorer, Scored
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import (
    AVAILABILITY,
    CONTEXTS,
    PLAY_FACTS,
    PROFILE_SNAPSHOT,
    PROFILES,
    RANKER_MODELS,
    RECOMMENDATIONS,
    SCORES_TABLE,
    TITLES,
    WINDOWS,
    TableSpec,
)
from rec_platform.timetravel.timeline import Timeline


class Scores(Stage):
    """Scores of every model for the contexts of a date and country, over their whole candidate sets."""

    name: ClassVar[str] = "scores"
    about: ClassVar[str] = (
        "The date's contexts scored by every model over the whole candidate set: every title played and the union of each "
        "model's top 100, with how many candidates score above and equal, so rank metrics are exact."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (SCORES_TABLE,)
    code_version: ClassVar[int] = 1
    has_parts: ClassVar[bool] = True

    def __init__(self, extension: FeatureExtension | None = None) -> None:
        self.extension: FeatureExtension = extension or CandidateFeatures()

    def config(self, settings: Settings) -> dict[str, Any]:
        return {
            **feature_config(settings, self.extension),
            "labels": settings.labels.model_dump(mode="json"),
            "keep_top": settings.evaluation.keep_top,
        }

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day, horizon = partition.day, settings.labels.horizon_days
        last, cut = day + timedelta(days=horizon - 1), day + timedelta(days=horizon)
        return (
            Input(CONTEXTS.name, first=day, last=day, countries=(partition.place,)),
            Input(PLAY_FACTS.name, first=day, last=last, countries=(partition.place,), cut=cut),
            *timeline_inputs(last=last, cut=cut),
            *self.extension.inputs(partition, settings),
            Input(RANKER_MODELS.name, first=day, last=day, optional=True),
        )

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        days = sorted({partition.day for partition in partitions})
        added, added_sources = self.extension.steps(reader, days, settings)
        steps = (FeatureGenerator(FeatureSet.from_config(settings.features)), *added)
        files, kept = settings.rankers.files, {"keep_top": settings.evaluation.keep_top, "seed": settings.seed}
        rankers = cache(lambda day: Rankers.of(day, read_rankers(reader, day, files=files)))

        def sources(timeline: Timeline) -> Sources:
            return Sources(timeline, CandidateSets(timeline, settings.rules.seen), *added_sources)

        def scored(played: Frame, known: Sources, day: date) -> Frame:
            scorer = ContextScorer(
                day, known.need(CandidateSets, step=self.name), steps,
                [*_baselines(steps), *rankers(day).scorers.values()], known, rankers=rankers(day), **kept,
            )  # fmt: skip
            return scorer.score(played).frame

        until = days[-1] + timedelta(days=settings.labels.horizon_days - 1)
        timelines = timelines_for(reader, settings, sources, until=until)
        played = ((partition.day, played_titles(partition, reader, settings)) for partition in partitions)
        made = zip(partitions, timelines.applied([(scored, as_it_is)], played), strict=True)
        for partition, frame in made:
            lacks = rankers(partition.day).lacks(partition.place)
            there = Scored(frame).without(lacks.keys() & set(frame.scores.column_names), **kept)
            extra = _counts(there.frame) | {"buckets": timelines.buckets}
            yield Built(partition, {SCORES_TABLE.name: there.rows()}, extra, lacks=lacks)


def _counts(frame: Frame) -> dict[str, Any]:
    label, reachable = frame.item(c.LABEL), frame.item(c.REACHABLE).astype(np.bool_)
    kinds = pc.unique(frame.contexts.column(c.KNOWN_BY)).to_pylist()
    return {
        "models": frame.scores.column_names,
        "contexts": frame.n_contexts,
        "candidates": int(frame.context(c.N_CANDIDATES).sum()),
        "kept_items": frame.n_items,
        "positives": int((label > 0).sum()),
        "unreachable_positives": int(((label > 0) & ~reachable).sum()),
        "contexts_known_by": kinds[0] if kinds else None,
    }


def played_titles(partition: Partition, reader: Reader, settings: Settings) -> Frame:
    """The partition's sampled contexts with the titles of their label windows (label NaN: not known at the cut)."""
    horizon = settings.labels.horizon_days
    window = [
        Partition(day, partition.place)
        for day in days_between(partition.day, partition.day + timedelta(days=horizon - 1))
    ]
    contexts = reader.read(CONTEXTS.name, [partition], CONTEXTS.schema.names)
    contexts = contexts.append_column(c.COUNTRY, pa.array([partition.place] * contexts.num_rows, pa.string()))
    plays = reader.read(PLAY_FACTS.name, window)
    return with_labels(contexts, plays, close=label_close(partition.day, horizon))


class Recommendations(Stage):
    """Ranked titles per active profile of a country, as of 00:00 UTC of the date."""

    name: ClassVar[str] = "recommendations"
    about: ClassVar[str] = (
        "The best titles for every active profile of the country, from what was known at 00:00 UTC of the date, with the "
        "model that made each row and the strongest features behind it. Profiles without a play get the popular ones."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (RECOMMENDATIONS,)
    code_version: ClassVar[int] = 1

    def __init__(self, extension: FeatureExtension | None = None) -> None:
        self.extension: FeatureExtension = extension or CandidateFeatures()

    def config(self, settings: Settings) -> dict[str, Any]:
        # A name of no model is refused when a run is planned; it would be passed over for the next.
        check_listing(settings.recommend.models, settings.rankers.files)
        return {**feature_config(settings, self.extension), "recommend": settings.recommend.model_dump(mode="json")}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day = partition.day
        return (
            Input(PROFILE_SNAPSHOT.name, first=day, last=day, countries=(partition.place,)),
            *timeline_inputs(last=day - timedelta(days=1), cut=day),
            *self.extension.inputs(partition, settings),
            Input(RANKER_MODELS.name, first=day, last=day, optional=True),
        )

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        days = sorted({partition.day for partition in partitions})
        added, added_sources = self.extension.steps(reader, days, settings)
        models = next((thing for thing in added_sources if isinstance(thing, CandidateModelsByDay)), None)
        rankers = cache(partial(read_rankers, reader, files=settings.rankers.files))

        def work(timeline: Timeline) -> Work:
            return Work.from_timeline(timeline, settings, added, added_sources)

        def listed(asked: Frame, known: Sources, day: date) -> Frame:
            return _listed(asked, known.need(Work, step=self.name).recommender(rankers(day), settings, day))

        timelines = timelines_for(
            reader, settings, lambda timeline: Sources(work(timeline)), until=days[-1] - timedelta(days=1)
        )
        asked = ((partition.day, who_asks(partition, reader, settings)) for partition in partitions)
        made = zip(partitions, timelines.applied([(listed, as_it_is)], asked), strict=True)
        for partition, frame in made:
            has_models = models is not None and models.for_day(partition.day) is not None
            model = chosen_model(settings.recommend, rankers(partition.day), has_candidate_models=has_models)
            extra = {"model": model.name, **_kinds(frame), "buckets": timelines.buckets}
            yield Built(partition, {RECOMMENDATIONS.name: rows_of(frame)}, extra)


#: Context column: the profile has no visible play, so its list is by popularity.
_COLD: Final = "cold"


def who_asks(partition: Partition, reader: Reader, settings: Settings) -> Frame:
    """The profiles that get a list, in order, as contexts at 00:00 UTC of the date; without items."""
    snapshot = reader.read(PROFILE_SNAPSHOT.name, [partition])
    active, cold = who_gets_a_list(snapshot, active_days=settings.recommend.active_days, windows=WINDOWS)
    profile = np.sort(np.concatenate([active, cold]))
    contexts = contexts_at(profile, partition.place, midnight(partition.day))
    return Frame.of(contexts.append_column(_COLD, pa.array(np.isin(profile, cold))))


def _listed(asked: Frame, recommender: Recommender) -> Frame:
    """The contexts with their lists, in the order given."""
    cold = asked.context(_COLD).astype(np.bool_)
    warm_first = np.argsort(cold, kind="stable")
    warm, rest = np.split(warm_first, [int((~cold).sum())])
    made = [
        recommender.listed(asked.contexts.take(pa.array(warm))),
        recommender.listed(asked.contexts.take(pa.array(rest)), warm=False),
    ]
    return concat(made).take(np.argsort(warm_first))


def _kinds(lists: Frame) -> dict[str, int]:
    cold = int(lists.context(_COLD).sum())
    return {"active_profiles": lists.n_contexts - cold, "cold_profiles": cold}


def recommend_one(
    reader: Reader,
    settings: Settings,
    *,
    profile_id: int,
    country: str,
    as_of: date,
    extension: FeatureExtension | None = None,
) -> pa.Table:
    """The list of one profile as of 00:00 UTC of a date: rows of the table `recommendations`.

    The same model, features and candidate set as the published lists have, so for an active profile the same rows. A
    profile without a visible play, or that nobody has ever heard of, gets the popular titles.
    """
    added, added_sources = (extension or CandidateFeatures()).steps(reader, [as_of], settings)
    rankers = read_rankers(reader, as_of, files=settings.rankers.files)

    def listed(asked: Frame, known: Sources, day: date) -> Frame:
        recommender = known.need(Work, step="recommend").recommender(rankers, settings, day)
        return _listed(asked.with_contexts({_COLD: ~recommender.has_played(asked.contexts)}), recommender)

    timelines = timelines_for(
        reader, settings, lambda timeline: Sources(Work.from_timeline(timeline, settings, added, added_sources)),
        until=as_of - timedelta(days=1),
    )  # fmt: skip
    asked = Frame.of(contexts_at(np.array([profile_id], dtype=np.int64), country, midnight(as_of)))
    (lists,) = timelines.applied([(listed, as_it_is)], [(as_of, asked)])
    return rows_of(lists)


@dataclass(frozen=True)
class Work:
    """What scoring and recommending share, made once per call."""

    candidates: CandidateSets
    steps: tuple[Transformer, ...]
    added: tuple[Transformer, ...]
    sources: Sources
    models: CandidateModelsByDay | None

    @classmethod
    def of(
        cls, reader: Reader, settings: Settings, extension: FeatureExtension, days: Sequence[date], *, until: date
    ) -> Work:
        return cls.from_timeline(
            read_timeline(reader, settings, until=until), settings, *extension.steps(reader, days, settings)
        )

    @classmethod
    def from_timeline(
        cls, timeline: Timeline, settings: Settings, added: Sequence[Transformer], added_sources: Sequence[object]
    ) -> Work:
        candidates = CandidateSets(timeline, settings.rules.seen)
        models = next((thing for thing in added_sources if isinstance(thing, CandidateModelsByDay)), None)
        return cls(
            candidates, (FeatureGenerator(FeatureSet.from_config(settings.features)),), tuple(added),
            Sources(timeline, candidates, *added_sources), models,
        )  # fmt: skip

    @property
    def baselines(self) -> tuple[Scorer, ...]:
        """The baselines whose features the steps add."""
        return _baselines((*self.steps, *self.added))

    def recommender(self, rankers: Mapping[str, Scorer], settings: Settings, day: date) -> Recommender:
        """What makes the lists of a day."""
        has_candidate_models = self.models is not None and self.models.for_day(day) is not None
        return Recommender(
            day, self.candidates, [Tagger(), *self.steps], self.added, self.sources, rankers,
            has_candidate_models, settings.recommend, settings.seed,
        )  # fmt: skip


def _baselines(steps: Sequence[Transformer]) -> tuple[Scorer, ...]:
    """The baselines whose features the steps add."""
    return baselines({column.name for step in steps for column in step.adds})


def feature_config(settings: Settings, extension: FeatureExtension) -> dict[str, Any]:
    """What of the settings features and candidate sets depend on."""
    return {
        "rules": settings.rules.model_dump(mode="json", include={"seen", "time_zones"}),
        "features": FeatureGenerator(FeatureSet.from_config(settings.features)).to_json(),
        "added": extension.config(settings),
    }


def timeline_inputs(*, last: date, cut: date) -> tuple[Input, ...]:
    """What a timeline over all plays until `last` reads."""
    return (
        Input(PLAY_FACTS.name, first=FIRST_DAY, last=last, every_country=True, cut=cut, optional=True),
        *(Input(table.name, cut=cut) for table in (TITLES, PROFILES, AVAILABILITY)),
    )
