"""The stage `training_sets`: sampled contexts of a date and country, and the same contexts in DMC-12."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY, SECOND, days_between, label_close
from rec_platform.config import MemoryConfig, Settings
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.contexts.extension import FeatureExtension, NoExtension
from rec_platform.contexts.known_by import as_known_by, input_cut
from rec_platform.contexts.labels import with_labels
from rec_platform.contexts.negatives import NegativeGenerator
from rec_platform.contexts.sampler import CountryTenureStratifiedSampler
from rec_platform.contexts.sessions import sessions
from rec_platform.contexts.tagger import Tagger
from rec_platform.contexts.weights import TrainingWeights
from rec_platform.dmc12.frame import Frame, nested
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.by_bucket import Dated, OneTimeline, Swept, Timelines, segments_of
from rec_platform.features.sweep import Past
from rec_platform.machine import memory
from rec_platform.partition import Partition
from rec_platform.pipeline import Column, Level, Pipeline, Sources, Transformer
from rec_platform.stage import Built, Input, Reader, Stage
from rec_platform.tables import AVAILABILITY, CONTEXTS, INSTANT, PLAY_FACTS, PROFILES, TITLES, TRAINING_SETS, TableSpec
from rec_platform.timetravel.certificate import certificate_columns
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.reading import timeline_of
from rec_platform.timetravel.revisions import instants
from rec_platform.timetravel.timeline import PLAY_COLUMNS, Timeline

#: What a play takes while a timeline is read and used: 48 bytes where it stays, the rest for a while.
BYTES_PER_PLAY: Final = 100
#: Plays read at a time.
_ROWS: Final = 1 << 20
#: The name of what certificates cost, beside what is made.
CERTIFICATES: Final = "certificates"
#: What sessions and labels make, and the pipeline starts from.
START: Final = (
    Column(Level.CONTEXT, c.PROFILE, pa.int64()),
    Column(Level.CONTEXT, c.COUNTRY, pa.string()),
    Column(Level.CONTEXT, c.CONTEXT_ID, pa.int64()),
    Column(Level.CONTEXT, c.AT, INSTANT),
    Column(Level.CONTEXT, c.DEVICE, pa.string()),
    Column(Level.ITEM, c.TITLE, pa.int64()),
    Column(Level.ITEM, c.LABEL, pa.float64()),
)


def steps(settings: Settings, added: Sequence[Transformer] = ()) -> Pipeline:
    """From labelled sessions of a partition to its training set, as one pipeline; `added` follow the declared features.

    Each step bounds its own memory: draws and features are made for a run of contexts at a time.
    """
    return Pipeline(
        [
            Tagger(),
            CountryTenureStratifiedSampler(settings.sampler, settings.seed),
            NegativeGenerator(settings.negatives, settings.seed),
            FeatureGenerator(FeatureSet.from_config(settings.features), certified=True),
            *added,
            TrainingWeights(settings.weights),
        ]
    )


class TrainingSets(Stage):
    """Contexts and training sets of a date and country.

    Args:
        extension: steps that add features which a later stage owns (scores of candidate models); none by default.
    """

    name: ClassVar[str] = "training_sets"
    about: ClassVar[str] = (
        "Sampled contexts, each with the titles played in its label window and titles drawn from its candidate set, "
        "with labels, training weights and features as of the context's own instant, in DMC-12, and the newest instants "
        "those features were made from."
    )
    tables: ClassVar[tuple[TableSpec, ...]] = (CONTEXTS, TRAINING_SETS)
    code_version: ClassVar[int] = 2

    def __init__(self, extension: FeatureExtension | None = None) -> None:
        self.extension: FeatureExtension = extension or NoExtension()

    def config(self, settings: Settings) -> dict[str, Any]:
        rules = settings.rules.model_dump(mode="json", include={"seen", "sessions", "time_zones"})
        return {
            "rules": rules,
            "labels": settings.labels.model_dump(mode="json"),
            "known_by": settings.training.known_by,
            "steps": steps(settings).to_json(),
            "added": self.extension.config(settings),
        }

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        day, horizon = partition.day, settings.labels.horizon_days
        last, cut = day + timedelta(days=horizon - 1), input_cut(settings.training.known_by, day, horizon)
        return (
            Input(PLAY_FACTS.name, first=day, last=last, countries=(partition.place,), cut=cut),
            Input(PLAY_FACTS.name, first=FIRST_DAY, last=last, every_country=True, cut=cut, optional=True),
            *(Input(table.name, cut=cut) for table in (TITLES, PROFILES, AVAILABILITY)),
            *self.extension.inputs(partition, settings),
        )

    def build(self, partitions: Sequence[Partition], reader: Reader, settings: Settings) -> Iterator[Built]:
        steps(settings).verify(START)
        days = sorted({partition.day for partition in partitions})
        added, added_sources = self.extension.steps(reader, days, settings)
        pipeline = steps(settings, added)
        pipeline.verify(START)
        told, meter = as_known_by(reader, settings.training.known_by), Meter()

        def sources(timeline: Timeline) -> Sources:
            return Sources(timeline, CandidateSets(timeline, settings.rules.seen), *added_sources, meter)

        before: list[Mapping[str, int]] = []

        def sessions() -> Iterator[Dated]:
            for partition in partitions:
                start = labelled_sessions(partition, told, settings)
                before.append(_counts_before(start))
                yield partition.day, start

        timelines = timelines_for(
            told, settings, sources, until=days[-1] + timedelta(days=settings.labels.horizon_days - 1)
        )
        made = zip(partitions, timelines.applied(segments_of(pipeline), sessions()), strict=True)
        for number, (partition, frame) in enumerate(made):
            with meter.counting():
                done = certified(frame, self.extension, settings.training.known_by)
            built = _built(
                partition, done, settings.training.known_by, {**before[number], "buckets": timelines.buckets}
            )
            yield replace(built, cpu_seconds={CERTIFICATES: meter.taken()})


def read_timeline(reader: Reader, settings: Settings, *, until: date, features: FeatureSet | None = None) -> Timeline:
    """The timeline over every published play from the first day to `until`, of all countries.

    It holds what the facts of `features` (by default those of the settings) need, and reads no more columns than that.
    """
    wanted = features or FeatureSet.from_config(settings.features)
    past = past_of(reader, settings, until=until, features=wanted)
    return timeline_of(
        past.plays(), past.titles, past.profiles, past.availability, rules=past.rules, facts=wanted.needed
    )


def past_of(reader: Reader, settings: Settings, *, until: date, features: FeatureSet) -> Past:
    """What `read_timeline` reads, the plays about a million at a time."""
    columns = tuple(dict.fromkeys((*PLAY_COLUMNS, *features.play_columns)))

    def plays() -> Iterator[pa.Table]:
        for few in _runs(reader, _plays_until(reader, until)):
            yield reader.read(PLAY_FACTS.name, few, columns)

    titles, profiles, availability = (reader.read(one.name, [Partition()]) for one in (TITLES, PROFILES, AVAILABILITY))
    return Past(plays, titles, profiles, availability, settings.rules)


def _plays_until(reader: Reader, until: date) -> list[Partition]:
    return [partition for partition in reader.published(PLAY_FACTS.name) if partition.day <= until]


def _runs(reader: Reader, partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
    """The partitions in order, so many at a time that they hold about `_ROWS` plays; one run at least."""
    ends = np.cumsum([reader.rows(PLAY_FACTS.name, [partition]) for partition in partitions])
    for few in np.split(np.arange(len(partitions)), np.flatnonzero(np.diff(ends // _ROWS)) + 1):
        yield [partitions[position] for position in few.tolist()]


def timelines_for(
    reader: Reader, settings: Settings, sources: Callable[[Timeline], Sources], *, until: date
) -> Timelines:
    """What serves contexts with the past until a day: `read_timeline`, or buckets where that would hold too many plays.

    Args:
        sources: what steps read, given a timeline.
    """
    plays, most = reader.rows(PLAY_FACTS.name, _plays_until(reader, until)), plays_at_once(settings.memory)
    if plays <= most:
        return OneTimeline(sources(read_timeline(reader, settings, until=until)))
    features = FeatureSet.from_config(settings.features)
    past = past_of(reader, settings, until=until, features=features)
    scratch = Path(settings.memory.scratch or gettempdir())
    return Swept(past, features, sources, -(-plays // most), scratch, reader.tell)


def plays_at_once(settings: MemoryConfig) -> int:
    """Most plays that a timeline is made of."""
    return settings.plays_at_once or max(memory() // 4 // BYTES_PER_PLAY, 1)


def labelled_sessions(partition: Partition, reader: Reader, settings: Settings) -> Frame:
    """All contexts of a partition before sampling, with their played titles (label NaN: not known at the cut).

    Reads the country's plays of the date, of the day before (a session may run over midnight) and of the label window.
    """
    day, country, horizon = partition.day, partition.place, settings.labels.horizon_days
    window = [Partition(d, country) for d in days_between(day, day + timedelta(days=horizon - 1))]
    before = [p for p in reader.published(PLAY_FACTS.name, day - timedelta(days=1)) if p.country == country]
    plays = reader.read(PLAY_FACTS.name, [*before, *window])
    cut = label_close(day, horizon)
    contexts = sessions(plays, country=country, day=day, cut=cut, rule=settings.rules.sessions)
    return with_labels(contexts, plays, close=cut)


def certified(frame: Frame, extension: FeatureExtension, known_by: str) -> Frame:
    """The frame with its certificates completed by what the added steps read, and with `known_by` in every row.

    A model as of D saw plays before 00:00 of D: it stands in the certificate as the last microsecond before.
    """
    made = extension.as_of(frame)
    models = np.where(made == NONE, NONE, made - 1)
    newest = [
        np.maximum(instants(frame.contexts.column(name)), models) for name in (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT)
    ]
    return frame.with_contexts(
        {c.KNOWN_BY: pa.array([known_by] * frame.n_contexts, pa.string()), **certificate_columns(*newest)}
    )


def _built(partition: Partition, frame: Frame, known_by: str, counts: Mapping[str, int]) -> Built:
    tables = {CONTEXTS.name: context_rows(frame), TRAINING_SETS.name: training_rows(frame)}
    return Built(partition, tables, {"known_by": known_by, **counts, **_counts(frame), **_certificate(frame)})


def context_rows(frame: Frame) -> pa.Table:
    """The frame's contexts as rows of the table `contexts`."""
    return frame.contexts.select(CONTEXTS.schema.names)


def training_rows(frame: Frame) -> pa.Table:
    """The frame as rows of the table `training_sets`, in DMC-12."""
    names = [c.PROFILE, c.COUNTRY, *(name for name in CONTEXTS.schema.names if name != c.PROFILE)]
    items = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)
    written = replace(frame, contexts=frame.contexts.select(names))
    return nested(written, item_columns=items, structs={c.FEATURES: frame.features})


def _counts_before(start: Frame) -> Mapping[str, int]:
    """Counts of a partition's sessions before sampling."""
    return {"sessions": start.n_contexts, "titles_unknown_at_cut": int(np.isnan(start.item(c.LABEL)).sum())}


def _counts(frame: Frame) -> Mapping[str, Any]:
    label = frame.item(c.LABEL)
    positives = np.bincount(frame.context_of_item[label > 0], minlength=frame.n_contexts)
    return {
        "contexts": frame.n_contexts,
        "items": frame.n_items,
        "positives": int(positives.sum()),
        "contexts_without_positive": int((positives == 0).sum()),
        "contexts_of_one_label": int(((positives == 0) | (positives == np.diff(frame.offsets))).sum()),
        "strata": _strata(frame),
    }


def _strata(frame: Frame) -> dict[str, dict[str, float]]:
    """Per stratum that kept a context: how many, and with what probability."""
    strata, first, kept = np.unique(frame.context(c.STRATUM).astype(str), return_index=True, return_counts=True)
    probability = frame.context(c.INCLUSION_PROBABILITY)[first]
    return {
        str(name): {"kept": int(kept[row]), "inclusion_probability": float(probability[row])}
        for row, name in enumerate(strata)
    }


def _certificate(frame: Frame) -> dict[str, Any]:
    """How near to their instants the contexts read: the least seconds between a context and the newest it was made from."""
    at = frame.context(c.AT).astype(np.int64)
    found = {}
    for name in (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT):
        newest = instants(frame.contexts.column(name))
        gaps = (at - newest)[newest != NONE]
        found[name] = float(gaps.min()) / SECOND if len(gaps) else None
    return {"least_seconds_before_at": found}
