"""Which proofs are made of what is published: whole, by command; as a sample, of the partitions that a run has just made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Final

import numpy as np
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, LAST_DAY, days_between, midnight
from rec_platform.contexts.extension import FeatureExtension
from rec_platform.contexts.stage import TrainingSets
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.flow import Platform, Report
from rec_platform.flow.reader import LakeReader
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.partition import Grain, Partition
from rec_platform.proofs.incremental import inputs_of, recounted
from rec_platform.proofs.placebo import examined
from rec_platform.proofs.replay import replayed
from rec_platform.proofs.scramble import chosen_instant, leak_at_midnight, leak_before, subject_of, walks
from rec_platform.proofs.split import Side, SplitAudit, audit, verdict
from rec_platform.proofs.verdict import Proof, proven
from rec_platform.scoring.stage import timeline_inputs
from rec_platform.stage import Input
from rec_platform.tables import CONTEXTS, PLAY_FACTS, PROFILE_SNAPSHOT, RANKER_MODELS, table

#: Contexts a run's own leak proof looks at, and profiles and titles its recount does: a bound on what it costs.
SAMPLED_CONTEXTS: Final = 256
SAMPLED_IDS: Final = 100
#: What is made as of 00:00 of a date and so can be made again beside a scrambled future.
AT_MIDNIGHT: Final = ("feature_snapshots", "candidate_models", "recommendations")
#: What a replay can be asked of: stages whose manifest names all they read.
REPLAYED: Final = (
    "facts", "feature_snapshots", "candidate_models", "training_sets", "ranker_models", "scores", "metrics",
    "recommendations",
)  # fmt: skip


# --- one proof each --------------------------------------------------------------------------------------------------


def leak_of_contexts(platform: Platform, partition: Partition, *, seed: int, at_most: int) -> Proof:
    """Future-scramble of a partition of training sets, at the instant of one of its contexts."""
    rng = np.random.default_rng([seed, partition.day.toordinal(), sum(partition.place.encode())])
    contexts = platform.reader(_exactly(CONTEXTS.name, partition)).read(CONTEXTS.name, [partition], [c.AT])
    at = chosen_instant(np.asarray(pc.cast(contexts.column(c.AT), "int64")), rng)
    stage = platform.stages["training_sets"]
    extension: FeatureExtension = stage.extension if isinstance(stage, TrainingSets) else CandidateFeatures()
    reader = _reader(platform, "training_sets", partition)
    settings = platform.settings.model_copy(update={"seed": seed})
    find = partial(leak_before, partition, at, reader, settings, extension, at_most=at_most)
    return proven("leak", subject_of(partition, at), find)


def leak_of_midnight(platform: Platform, stage: str, partition: Partition) -> Proof:
    """Future-scramble of what a stage makes as of 00:00 of a date."""
    maker = platform.stages[stage]
    partitions = dict.fromkeys(one for walked in walks(maker, partition).values() for one in walked)
    find = partial(leak_at_midnight, maker, partition, _reader(platform, stage, *partitions), platform.settings)
    return proven("leak", f"{stage} {partition.key}", find)


def replay(platform: Platform, stage: str, partition: Partition) -> Proof:
    """A partition made again from the versions its manifest names."""
    find = partial(replayed, platform.lake, platform.stages[stage], partition, platform.settings)
    return proven("replay", f"{stage} {partition.key}", find)


def incremental(platform: Platform, partition: Partition, *, about: int) -> Proof:
    """Both snapshots of a partition against a count from the plays."""
    reader = platform.reader(*inputs_of(partition.day))
    find = partial(recounted, partition, reader, about=about, seed=platform.settings.seed)
    return proven("incremental", f"feature_snapshots {partition.key}", find)


def split(
    platform: Platform, training: Sequence[date], evaluation: Sequence[date], name: str, countries: Sequence[str] = ()
) -> dict[str, SplitAudit]:
    """The audit of one pair of days; nothing where one side has no context. `countries`: of the contexts judged."""
    sides = [_side(platform, training), _side(platform, evaluation, countries)]
    if not all(len(side.at) for side in sides):
        return {}
    settings = platform.settings
    gap = settings.rules.sessions.gap_minutes * 60_000_000
    horizon = settings.labels.horizon_days
    return {name: audit(*sides, last_day=max(training), horizon_days=horizon, session_gap=gap)}


def split_of_models(platform: Platform, days: Sequence[date], countries: Sequence[str] = ()) -> Proof:
    """Of every scored day, the days its rankers were trained on, as their manifests say; judged by these countries."""
    subject = f"{min(days)} to {max(days)}{_of(countries)}"
    return proven("split", subject, lambda: verdict(_audits_of_models(platform, days, countries)))


def _audits_of_models(platform: Platform, days: Sequence[date], countries: Sequence[str]) -> dict[str, SplitAudit]:
    audits: dict[str, SplitAudit] = {}
    states = platform.index.state(RANKER_MODELS.name)
    for day in days:
        state = states.get(Partition(day))
        trained = [date.fromisoformat(text) for text in (state.extra.get("days") or ())] if state else []
        if trained:
            name = f"{trained[0]} to {trained[-1]}, judged {day}"
            audits |= split(platform, trained, [day], name, countries)
    return audits


def placebo(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> Proof:
    """What every feature knows of the plays of some days (in these countries, or all) beyond what the past tells."""
    day = timedelta(days=1)
    reader = platform.reader(
        *timeline_inputs(last=platform.index.last_day, cut=LAST_DAY),
        *(
            one
            for when in (first - day, first, first + day)
            for one in CandidateFeatures().inputs(Partition(when), platform.settings)
        ),
    )
    until = min(midnight(last), midnight(platform.index.last_day)) + DAY
    stage = platform.stages["training_sets"]
    extension: FeatureExtension = stage.extension if isinstance(stage, TrainingSets) else CandidateFeatures()
    find = partial(examined, reader, platform.settings, extension, midnight(first), until=until, countries=countries)
    return proven("placebo", f"{first} to {last}{_of(countries)}", find)


def _exactly(table: str, partition: Partition) -> Input:
    return Input(table, partition.day, partition.day, (partition.place,))


def _reader(platform: Platform, stage: str, *partitions: Partition) -> LakeReader:
    inputs = [one for key in partitions for one in platform.stages[stage].inputs(key, platform.settings)]
    return LakeReader(platform.index, f"proof of {stage}", inputs)


def _side(platform: Platform, days: Sequence[date], countries: Sequence[str] = ()) -> Side:
    reader = platform.reader(Input(CONTEXTS.name, min(days), max(days), every_country=True, optional=True))
    wanted = [
        partition
        for partition in reader.published(CONTEXTS.name)
        if partition.day in set(days) and (not countries or partition.place in countries)
    ]
    return Side.of(reader.read(CONTEXTS.name, wanted))


# --- by command ------------------------------------------------------------------------------------------------------


def prove_leak(
    platform: Platform, first: date, last: date, countries: Sequence[str] = (), *, instants: int, seed: int
) -> Iterator[Proof]:
    """`instants` contexts of the window drawn by seed, and for the day of each what is made as of its 00:00."""
    training = _held(platform, CONTEXTS.name, first, last, countries)
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.choice(len(training), size=min(instants, len(training)), replace=False).tolist())
    days = set()
    for number in drawn:
        partition = training[number]
        made = leak_of_contexts(platform, partition, seed=seed, at_most=1 << 40)
        yield replace(made, drawn=1, drawn_of=len(training))
        if partition.day not in days:
            days.add(partition.day)
            yield from _midnight_leaks(platform, partition)


def _midnight_leaks(platform: Platform, partition: Partition) -> Iterator[Proof]:
    for stage in AT_MIDNIGHT:
        table = platform.stages[stage].tables[0]
        states = platform.index.state(table.name)
        wanted = next((key for key in (partition, Partition(partition.day)) if key in states), None)
        if wanted is not None:
            yield leak_of_midnight(platform, stage, wanted)


def prove_replay(
    platform: Platform, stage: str, first: date, last: date, countries: Sequence[str] = (), *, at_most: int, seed: int
) -> Iterator[Proof]:
    """At most `at_most` published partitions of a stage in the window, drawn by seed, each made again."""
    if stage not in REPLAYED:
        raise KeyRefused(f"no replay of {stage!r}", place="--stage", repair=f"Choose among {', '.join(REPLAYED)}.")
    found = _held(platform, platform.stages[stage].tables[-1].name, first, last, countries)
    drawn = np.random.default_rng(seed).permutation(len(found))[:at_most]
    for number in sorted(drawn.tolist()):
        yield replace(replay(platform, stage, found[number]), drawn=1, drawn_of=len(found))


def prove_incremental(
    platform: Platform, first: date, last: date, countries: Sequence[str] = (), *, about: int
) -> Iterator[Proof]:
    """Every published snapshot of the window."""
    for partition in _held(platform, PROFILE_SNAPSHOT.name, first, last, countries):
        yield incremental(platform, partition, about=about)


def prove_split(
    platform: Platform,
    first: date,
    last: date,
    countries: Sequence[str] = (),
    trained: tuple[date, date] | None = None,
) -> Iterator[Proof]:
    """The models of the window's days against the days they are judged by; or a pair of windows of days.

    Training is of all countries together, and audited so; `countries` are those judged.
    """
    _held(platform, CONTEXTS.name, first, last, countries)
    days = list(days_between(first, last))
    if trained is None:
        yield split_of_models(platform, days, countries)
        return
    _held(platform, CONTEXTS.name, *trained, ())
    name = f"{trained[0]} to {trained[1]}, judged {first} to {last}{_of(countries)}"
    yield proven("split", name, lambda: verdict(split(platform, list(days_between(*trained)), days, name, countries)))


def prove_placebo(platform: Platform, first: date, last: date, countries: Sequence[str] = ()) -> Iterator[Proof]:
    """What features as of the first day know of the plays of the window, in these countries or all."""
    _held(platform, PLAY_FACTS.name, first, last, countries)
    yield placebo(platform, first, last, countries)


def _held(platform: Platform, name: str, first: date, last: date, countries: Sequence[str]) -> list[Partition]:
    """The published partitions of a window, of these countries or all, that hold rows.

    Raises:
        KeyRefused: countries of a table that has none.
        MissingInput: there is none, or none of one of the countries; what there is stands in the repair.
    """
    if countries and table(name).grain is not Grain.DATE_COUNTRY:
        raise KeyRefused(f"{name} is not made by country", place="--countries", repair="Leave --countries out.")
    there = sorted(key for key, state in platform.index.state(name).items() if state.rows > 0 and key.date)
    found = [key for key in there if first <= key.day <= last and (not countries or key.place in countries)]
    absent = sorted(set(countries) - {key.place for key in found}) if countries else []
    if absent or not found:
        days, places = sorted({key.day for key in there}), sorted({key.place for key in there} if countries else ())
        have = f"published are {days[0]} to {days[-1]}{_of(places)}" if days else "nothing of it was published"
        raise MissingInput(
            f"{name} has no rows from {first} to {last}{_of(absent)}", place=str(platform.home),
            repair=f"{have}; choose among those, or run these with `rec-platform run`.",
        )  # fmt: skip
    return found


def _of(places: Sequence[str]) -> str:
    return f" for {', '.join(places)}" if places else ""


# --- beside a run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowProof:
    """A proof that a run makes of what it has just published.

    Attributes:
        name: the check's name, in the words of the other checks.
        means, repair: as of a rule (docs/checks.md).
        sample: makes it; None where the run gives nothing to look at.
        fails: whether the run fails with it; else it is a warning.
    """

    name: str
    means: str
    repair: str
    sample: Callable[[Platform, Report], Proof | None]
    fails: bool = True


def _leak_sample(platform: Platform, report: Report) -> Proof | None:
    partition = _one(platform, report, CONTEXTS.name)
    if partition is None:
        return None
    return leak_of_contexts(platform, partition, seed=platform.settings.seed, at_most=SAMPLED_CONTEXTS)


def _replay_sample(platform: Platform, report: Report) -> Proof | None:
    partition = _one(platform, report, CONTEXTS.name)
    return None if partition is None else replay(platform, report.stage, partition)


def _incremental_sample(platform: Platform, report: Report) -> Proof | None:
    partition = _one(platform, report, PROFILE_SNAPSHOT.name)
    return None if partition is None else incremental(platform, partition, about=SAMPLED_IDS)


def _placebo_sample(platform: Platform, report: Report) -> Proof | None:
    days = sorted({partition.day for partition in report.published})
    index = platform.index
    first = min(days[0], index.last_day) if days else index.last_day
    if not days or first - timedelta(days=1) <= index.first_day:
        return None
    return placebo(platform, first, index.last_day)


def _split_sample(platform: Platform, report: Report) -> Proof | None:
    days = sorted({partition.day for partition in report.published})
    return split_of_models(platform, days) if days else None


def _one(platform: Platform, report: Report, table: str) -> Partition | None:
    """The fullest partition the run published: one, whatever the run's size."""
    rows = {partition: tables.get(table, 0) for partition, tables in report.published.items()}
    return max((key for key in rows if rows[key]), key=lambda key: (rows[key], key), default=None)


FLOW_PROOFS: Final[Mapping[str, tuple[FlowProof, ...]]] = {
    "feature_snapshots": (
        FlowProof(
            "incremental_equals_full",
            "A fact of a rolled snapshot is not what a count straight from the plays gives.",
            "`rec-platform prove incremental` lists every fact; run feature_snapshots again with --force.",
            _incremental_sample,
        ),
    ),
    "training_sets": (
        FlowProof(
            "future_scramble",
            "Something derived at an instant changed with what came after it: a feature, a stratum, a draw, a weight.",
            "`rec-platform prove leak` names the context and column; let what makes it read nothing at or after the instant.",
            _leak_sample,
        ),
        FlowProof(
            "replay",
            "A partition made again from the versions on record comes out differently.",
            "`rec-platform prove replay` names what differs; raise the stage's code_version if its code has changed.",
            _replay_sample,
        ),
        FlowProof(
            "knows_the_future",
            "A feature knows more of the coming plays than the past can tell: a count over the whole period, with an old date.",
            "`rec-platform prove placebo` shows every feature; leave the named one out (`features.leave_out`), or date it "
            "by when its numbers became known.",
            _placebo_sample,
            fails=False,
        ),
    ),
    "scores": (
        FlowProof(
            "split_audit",
            "A model was trained on contexts whose label windows close after the first context it is judged by, or on the "
            "very same ones.",
            "`rec-platform prove split` shows the days and the embargo needed.",
            _split_sample,
        ),
    ),
}  # fmt: skip


def sample_proofs(platform: Platform, report: Report) -> Iterator[tuple[FlowProof, Proof]]:
    """The proofs of what a run published; none where it published nothing."""
    for flow_proof in FLOW_PROOFS.get(report.stage, ()) if report.published else ():
        made = flow_proof.sample(platform, report)
        if made is not None:
            yield flow_proof, made
