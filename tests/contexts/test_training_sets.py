"""The stage: what it reads, what it writes, and that nothing of the future reaches it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from context_worlds import DAY_ONE, histories, reader
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, FIRST_DAY, HOUR, day_of, label_close, midnight, visible
from rec_platform.config import NegativeConfig, SamplerConfig, SeenRule, SessionRule, Settings
from rec_platform.contexts.stage import START, TrainingSets, steps
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import MissingInput, SchemaError
from rec_platform.partition import Partition
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.stage import Built, Input, Reader
from rec_platform.tables import CONTEXTS, PLAY_FACTS, TRAINING_SETS
from rec_platform.testing import context_oracle as oracle
from rec_platform.testing.context_oracle import Offer, Play
from rec_platform.testing.readers import MemoryReader
from rec_platform.timetravel.kernels import NONE, Int64

TODAY = DAY_ONE + timedelta(days=1)
FR = Partition(TODAY, "FR")
SETTINGS = Settings(negatives=NegativeConfig(items=3))


def build(
    plays: Reader, *partitions: Partition, settings: Settings = SETTINGS, stage: TrainingSets | None = None
) -> list[Built]:
    return list((stage or TrainingSets()).build(partitions or (FR,), plays, settings))


def frame_of(built: Built) -> Frame:
    return flat(built.tables[TRAINING_SETS.name])


def background() -> list[Play]:
    """Plays of profile 9 that make titles 1 to 6 available and differently popular before TODAY."""
    start = midnight(DAY_ONE)
    return [Play(9, start + k, 1 + k % 6 // (1 + k % 2), 5000 + k, start + k) for k in range(24)]


def busy() -> list[Play]:
    start = midnight(DAY_ONE)
    rng = np.random.default_rng(5)
    rows = [
        (int(profile), start + int(quarter) * DAY // 96, int(title))
        for profile, quarter, title in rng.integers([1, 0, 1], [9, 3 * 96, 20], (400, 3))
    ]
    return [
        Play(profile, at, title, k, at + int(rng.choice([0, HOUR, 2 * DAY], p=[0.7, 0.2, 0.1])), int(rng.integers(0, 2)),
             country=str(rng.choice(["FR", "DE"])))
        for k, (profile, at, title) in enumerate(rows)
    ]  # fmt: skip


@given(histories(), st.sampled_from([SessionRule(), SessionRule(kind="session_id")]), st.integers(1, 2))
def test_the_stage_is_the_oracle_end_to_end(plays: list[Play], rule: SessionRule, horizon: int) -> None:
    plays = plays + background()
    rules = SETTINGS.rules.model_copy(update={"sessions": rule, "seen": SeenRule(kind="drop")})
    labels = SETTINGS.labels.model_copy(update={"horizon_days": horizon})
    settings = SETTINGS.model_copy(update={"rules": rules, "labels": labels})
    built = build(reader(plays), settings=settings)[0]
    frame, close = frame_of(built), label_close(TODAY, horizon)
    found = list(
        zip(frame.context(c.AT).tolist(), frame.context(c.PROFILE).tolist(), frame.context(c.DEVICE), strict=True)
    )
    assert sorted(found) == oracle.sessions(plays, country="FR", day=TODAY, cut=close, rule=rule)
    unknown = 0
    for row, (at, profile, _) in enumerate(found):
        mine = slice(frame.offsets[row], frame.offsets[row + 1])
        items = dict(zip(frame.item(c.TITLE)[mine].tolist(), frame.item(c.LABEL)[mine].tolist(), strict=True))
        played = oracle.labels(plays, profile_id=profile, country="FR", at=at, close=close)
        unknown += sum(label is None for label in played.values())
        pool = oracle.candidates(plays, [], profile_id=profile, country="FR", at=at, rule=rules.seen)
        assert {title: items.get(title) for title in played} == played
        assert set(items) - set(played) <= set(pool)
    assert built.extra["titles_unknown_at_cut"] == unknown
    assert built.extra["sessions"] == built.extra["contexts"] == len(found)


def test_tables_are_as_declared_and_in_order() -> None:
    for built in build(reader(busy()), FR, Partition(TODAY, "DE"), Partition(DAY_ONE, "FR")):
        for spec in (CONTEXTS, TRAINING_SETS):
            table = built.tables[spec.name]
            spec.check(table.schema)
            keys = list(zip(table.column(c.AT).to_pylist(), table.column(c.CONTEXT_ID).to_pylist(), strict=True))
            assert keys == sorted(set(keys)) and len(keys) > 5
        assert (
            built.tables[CONTEXTS.name]
            .column(c.CONTEXT_ID)
            .equals(built.tables[TRAINING_SETS.name].column(c.CONTEXT_ID))
        )


def test_inner_fields_are_never_null_and_missing_features_are_nan() -> None:
    items = build(reader(busy()))[0].tables[TRAINING_SETS.name].column(c.ITEMS).combine_chunks().flatten()
    assert items.null_count == 0 and all(leaf.null_count == 0 for leaf in items.flatten())
    features = items.field(c.FEATURES)
    assert features.type.num_fields > 0
    assert all(field.type == pa.float64() and not field.nullable for field in features.type)
    assert all(features.field(k).null_count == 0 for k in range(features.type.num_fields))


def test_an_empty_partition_is_two_empty_tables() -> None:
    built = build(reader([p for p in busy() if p.country == "DE"]))[0]
    for spec in (CONTEXTS, TRAINING_SETS):
        assert built.tables[spec.name].num_rows == 0
        spec.check(built.tables[spec.name].schema)
    assert built.extra["contexts"] == 0
    full = build(reader(busy()))[0].tables[TRAINING_SETS.name]
    assert built.tables[TRAINING_SETS.name].schema.equals(full.schema)


def test_no_plays_at_all() -> None:
    assert build(reader([]))[0].tables[CONTEXTS.name].num_rows == 0


def test_a_partition_is_the_same_alone_and_among_others() -> None:
    plays = reader(busy())
    others = (Partition(DAY_ONE, "FR"), Partition(TODAY, "DE"), FR, Partition(TODAY + timedelta(days=1), "FR"))
    among = {built.partition: built for built in build(plays, *others)}[FR]
    alone = build(plays)[0]
    for name in among.tables:
        assert repr(among.tables[name].to_pylist()) == repr(alone.tables[name].to_pylist())
    assert among.extra == alone.extra


def test_the_sampler_bounds_a_partition() -> None:
    settings = SETTINGS.model_copy(update={"sampler": SamplerConfig(max_contexts=10)})
    whole, few = (build(reader(busy()), settings=s)[0] for s in (SETTINGS, settings))
    assert few.extra["sessions"] == whole.extra["sessions"] > few.extra["contexts"] > 0
    kept = few.tables[CONTEXTS.name]
    assert set(kept.column(c.CONTEXT_ID).to_pylist()) <= set(
        whole.tables[CONTEXTS.name].column(c.CONTEXT_ID).to_pylist()
    )
    for stratum, counts in few.extra["strata"].items():
        rows = kept.filter(pa.compute.equal(kept.column(c.STRATUM), stratum))
        assert rows.num_rows == counts["kept"]
        assert set(rows.column(c.INCLUSION_PROBABILITY).to_pylist()) == {counts["inclusion_probability"]}


# ---------------------------------------------------------------------------------------------------- what is read


class Recorder(MemoryReader):
    """A reader that remembers what was read."""

    def __init__(self, of: MemoryReader) -> None:
        self.__dict__.update(of.__dict__)
        self.done: list[tuple[str, Partition]] = []

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = list(partitions)
        self.done += [(table, partition) for partition in wanted]
        return super().read(table, wanted, columns)


def covered(inputs: Iterable[Input], table: str, partition: Partition) -> bool:
    for one in inputs:
        if one.table != table:
            continue
        if one.first is None or one.last is None:
            return True
        named = one.every_country or (one.countries is not None and partition.country in one.countries)
        if named and one.first <= partition.day <= one.last:
            return True
    return False


@pytest.mark.parametrize("horizon", [1, 2])
def test_it_reads_what_it_says_and_all_of_that(horizon: int) -> None:
    settings = SETTINGS.model_copy(update={"labels": SETTINGS.labels.model_copy(update={"horizon_days": horizon})})
    spy = Recorder(reader(busy()))
    build(spy, settings=settings)
    inputs = TrainingSets().inputs(FR, settings)
    assert all(covered(inputs, table, partition) for table, partition in spy.done)
    for table in {one.table for one in inputs}:
        for partition in spy.published(table):
            assert ((table, partition) in spy.done) == covered(inputs, table, partition)


def test_inputs_are_cut_at_the_close_of_the_label_window() -> None:
    settings = SETTINGS.model_copy(update={"labels": SETTINGS.labels.model_copy(update={"horizon_days": 3})})
    inputs = TrainingSets().inputs(FR, settings)
    last, cut = TODAY + timedelta(days=2), TODAY + timedelta(days=3)
    assert inputs[:2] == (
        Input(PLAY_FACTS.name, first=TODAY, last=last, countries=("FR",), cut=cut),
        Input(PLAY_FACTS.name, first=FIRST_DAY, last=last, every_country=True, cut=cut, optional=True),
    )
    assert {one.cut for one in inputs} == {cut}


def test_the_first_day_has_no_day_before() -> None:
    assert build(reader(busy()), Partition(DAY_ONE, "FR"))[0].extra["contexts"] > 0


def test_an_unpublished_day_of_the_label_window_stops_it() -> None:
    with pytest.raises(MissingInput, match=r"FR\|2025-03-14"):
        build(reader(busy()), Partition(DAY_ONE + timedelta(days=4), "FR"))


# --------------------------------------------------------------------------------------------------- the extension


@dataclass(frozen=True)
class AddAge(Transformer):
    """Adds a constant feature; asks for a column nobody has if told to."""

    name: ClassVar[str] = "add_age"
    wants: str = c.TITLE

    @property
    def reads(self) -> tuple[Column, ...]:
        return (Column(Level.ITEM, self.wants, pa.int64()),)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.FEATURE, "candidate_age", pa.float32()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        age = sources.need(Ages, step=self.name).age
        return frame.with_features({"candidate_age": np.full(frame.n_items, age, dtype=np.float32)})

    def to_json(self) -> dict[str, Any]:
        return {"wants": self.wants}


@dataclass(frozen=True)
class Ages:
    age: float


@dataclass(frozen=True)
class Ageing:
    wants: str = c.TITLE

    def config(self, settings: Settings) -> dict[str, Any]:
        return {"wants": self.wants}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        return (Input("candidate_models", first=partition.day, last=partition.day, optional=True),)

    def steps(self, reader: Reader, days: Sequence[date], settings: Settings) -> tuple[list[Transformer], list[object]]:
        return [AddAge(self.wants)], [Ages(float(len(days)))]

    def as_of(self, frame: Frame) -> Int64:
        return np.full(frame.n_contexts, NONE, dtype=np.int64)


def test_an_extension_adds_features_inputs_and_configuration() -> None:
    stage = TrainingSets(Ageing())
    built = build(reader(busy()), FR, Partition(TODAY + timedelta(days=1), "FR"), stage=stage)[0]
    assert set(frame_of(built).features.column("candidate_age").to_pylist()) == {2.0}
    TRAINING_SETS.check(built.tables[TRAINING_SETS.name].schema)
    assert stage.inputs(FR, SETTINGS)[-1].table == "candidate_models"
    assert stage.config(SETTINGS)["added"] == {"wants": c.TITLE}


def test_the_chain_is_verified_before_anything_is_read() -> None:
    spy = Recorder(reader(busy()))
    with pytest.raises(SchemaError, match=r"items.nobody_has_it: int64 is missing \(step 5 of 6, add_age\)"):
        build(spy, stage=TrainingSets(Ageing(wants="nobody_has_it")))
    assert spy.done == []


def test_the_pipeline_gives_what_the_tables_need() -> None:
    known = steps(SETTINGS).verify(START)
    assert {(Level.CONTEXT, name) for name in CONTEXTS.schema.names} - set(known) == {(Level.CONTEXT, c.KNOWN_BY)}
    assert {(Level.ITEM, name) for name in (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)} <= set(known)


def test_configuration_is_json_and_holds_every_choice() -> None:
    base = TrainingSets().config(SETTINGS)
    assert json.loads(json.dumps(base)) == base
    changes: list[dict[str, Any]] = [
        {"seed": 5},
        {"sampler": SamplerConfig(max_contexts=7)},
        {"negatives": NegativeConfig(items=9)},
        {"weights": SETTINGS.weights.model_copy(update={"title_power": 0.9})},
        {"labels": SETTINGS.labels.model_copy(update={"horizon_days": 2})},
        {"rules": SETTINGS.rules.model_copy(update={"seen": SeenRule(kind="drop")})},
        {"rules": SETTINGS.rules.model_copy(update={"sessions": SessionRule(gap_minutes=7)})},
        {"rules": SETTINGS.rules.model_copy(update={"time_zones": {"default": "Asia/Shanghai"}})},
    ]
    for change in changes:
        assert TrainingSets().config(SETTINGS.model_copy(update=change)) != base
    other = SETTINGS.model_copy(update={"rankers": SETTINGS.rankers.model_copy(update={"n_trees": 7})})
    assert TrainingSets().config(other) == base


# ------------------------------------------------------------------------------------------------------ the future


def scrambled(plays: list[Play], at: int) -> list[Play]:
    """The same world with every play not visible at `at` corrupted, whoever's it is.

    Who plays when, and when that became known, stays: that decides which contexts there are, the frame that is sampled.
    Titles, engagement and what comes on later days do not.
    """
    changed = [
        p
        if visible(p.played_at, p.known_at, at)
        else replace(p, title_id=(p.title_id * 7 + 3) % 23 + 1, engaged=1 - p.engaged)
        for p in plays
    ]
    tomorrow = midnight(TODAY + timedelta(days=1))
    return changed + [
        Play(p.profile_id, tomorrow + p.play_id, 30, 9000 + p.play_id, tomorrow + p.play_id) for p in plays
    ]


def signups(at: int, corrupt: bool) -> dict[int, tuple[int, int]]:
    start = midnight(DAY_ONE)
    known = {1: (start - 40 * DAY, start - DAY), 2: (start - 10 * DAY, start)}
    return known | {profile: (start - 400 * DAY, at) for profile in (3, 4) if corrupt}


def offered(at: int, corrupt: bool) -> list[Offer]:
    start = midnight(DAY_ONE)
    base = [Offer(title, "FR", start - DAY, None, start - DAY) for title in range(1, 25)]
    later = [Offer(title, "FR", start - DAY, start, at) for title in range(1, 12)] if corrupt else []
    return base + later + [Offer(30, "FR", start, None, at)] * corrupt


@pytest.mark.parametrize("hour", [0, 6, 12, 23])
@pytest.mark.parametrize("with_offers", [False, True])
def test_nothing_that_is_not_visible_changes_a_context(hour: int, with_offers: bool) -> None:
    at = midnight(TODAY) + hour * HOUR
    plays = [p for p in busy() if p.known_at <= p.played_at + HOUR]
    worlds = [
        reader(rows, offered(at, bad) if with_offers else [], signups=signups(at, bad))
        for rows, bad in ((plays, False), (scrambled(plays, at), True))
    ]
    one, other = (frame_of(build(world)[0]) for world in worlds)
    early = np.flatnonzero(one.context(c.AT) <= at)
    assert hour == 0 or len(early) > 3
    one, other = one.take(early), other.take(early)
    assert one.contexts.equals(other.contexts)
    unplayed = 0
    for row in range(len(early)):
        mine, theirs = rows_by_title(one, row), rows_by_title(other, row)
        gone = {p.title_id for world in (plays, scrambled(plays, at)) for p in world
                if p.profile_id == one.context(c.PROFILE)[row] and p.played_at >= one.context(c.AT)[row]}  # fmt: skip
        left = [{t: values for t, values in rows.items() if t not in gone} for rows in (mine, theirs)]
        assert left[0] == left[1]
        unplayed += len(left[0])
        for title in set(mine) & set(theirs):
            label, weight, features = (mine[title][k] == theirs[title][k] for k in (1, 2, 4))
            assert features and (weight or not label)
    assert hour == 0 or unplayed > 5


def rows_by_title(frame: Frame, row: int) -> dict[int, tuple[Any, ...]]:
    """Every column of a context's items, features as bytes, by title."""
    mine = slice(frame.offsets[row], frame.offsets[row + 1])
    names = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)
    features = frame.feature_matrix(tuple(frame.features.column_names))[mine]
    columns = zip(*(frame.item(name)[mine].tolist() for name in names), strict=True)
    return {values[0]: (*values, line.tobytes()) for values, line in zip(columns, features, strict=True)}


def test_a_late_play_beyond_the_cut_only_takes_its_title_out() -> None:
    now = midnight(TODAY) + HOUR
    plays = [*background(), Play(1, now, 1, 1, now)]
    late = Play(1, now + HOUR, 2, 2, midnight(TODAY) + DAY)
    before, after = (build(reader(rows))[0] for rows in (plays, [*plays, late]))
    assert before.tables[CONTEXTS.name].equals(after.tables[CONTEXTS.name])
    assert (before.extra["titles_unknown_at_cut"], after.extra["titles_unknown_at_cut"]) == (0, 1)
    items = [rows_by_title(frame_of(built), 0) for built in (before, after)]
    items[0].pop(2, None)
    assert items[0] == items[1] and day_of(late.played_at) == TODAY


def test_pipelines_are_plain_json() -> None:
    made = steps(SETTINGS).to_json()
    assert [step["step"] for step in made][:3] == ["tagger", "country_tenure_stratified_sampler", "negative_generator"]
    assert made[-1]["step"] == "training_weights"
