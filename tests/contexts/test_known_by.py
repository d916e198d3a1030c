"""Training sets as known then and with all that is known now: what a late delivery changes in each, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from context_worlds import DAY_ONE, histories, offers, reader, signup_table
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, iso, midnight
from rec_platform.config import NegativeConfig, Settings, TrainingConfig
from rec_platform.contexts.known_by import as_known_by
from rec_platform.contexts.stage import TrainingSets
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ConfigError
from rec_platform.evaluation.protocol import check_same
from rec_platform.evaluation.stage import protocol_of
from rec_platform.features import FeatureSet
from rec_platform.lake.content import content_hash
from rec_platform.partition import Partition
from rec_platform.stage import Reader
from rec_platform.tables import AVAILABILITY, CONTEXTS, PLAY_FACTS, PROFILES, TITLES, TRAINING_SETS
from rec_platform.testing.context_oracle import Offer, Play
from rec_platform.testing.timeline_oracle import TimelineOracle

TODAY = DAY_ONE + timedelta(days=2)
FR = Partition(TODAY, "FR")
START, CLOSE = midnight(DAY_ONE), midnight(TODAY + timedelta(days=1))
#: Uniform draws: which titles are drawn does not follow the plays, so that contexts can be compared item by item.
THEN = Settings(negatives=NegativeConfig(items=4, popularity_share=0.0))
EARLY = START - 30 * DAY
OFFERS = [Offer(title, country, EARLY, None, EARLY) for title in range(1, 31) for country in ("DE", "FR")]


def by(known_by: str, base: Settings = THEN) -> Settings:
    return base.model_copy(update={"training": TrainingConfig(known_by=known_by)})


def build(source: Reader, chosen: Settings) -> dict[str, pa.Table]:
    (built,) = TrainingSets().build([FR], source, chosen)
    return dict(built.tables)


def without_kind(table: pa.Table) -> str:
    return content_hash(table.drop_columns([c.KNOWN_BY]))


# --- the definition --------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(histories(), offers(), st.sampled_from([None, CLOSE, CLOSE + 5 * HOUR]))
def test_it_is_the_set_of_a_world_that_knew_at_once(plays: list[Play], offered: list[Offer], cut: int | None) -> None:
    """The definition: what is known by then was always known, the rest never was."""
    kept = [p for p in plays if cut is None or p.known_at < cut]
    at_once = [replace(p, known_at=p.played_at) for p in kept]
    signups = {1: (START - 9 * DAY, CLOSE + HOUR), 2: (START - DAY, START - DAY)}
    # an offer known again counts once: of one title, country and start the newest known by then stands for all
    newest = {
        (o.title_id, o.country, o.since): o
        for o in sorted(offered, key=lambda o: o.known_at)
        if cut is None or o.known_at < cut
    }
    found = build(reader(plays, offered, signups=signups), by("now" if cut is None else iso(cut)))
    always = {who: (at, EARLY) for who, (at, known) in signups.items() if cut is None or known < cut}
    wanted = build(reader(at_once, [replace(o, known_at=EARLY) for o in newest.values()], signups=always), THEN)
    if not offered or newest:  # "has a table of offers" is a property of the source
        assert _told(found[CONTEXTS.name]) == _told(wanted[CONTEXTS.name])
        assert content_hash(found[TRAINING_SETS.name].select([c.ITEMS])) == content_hash(
            wanted[TRAINING_SETS.name].select([c.ITEMS])
        )


def _told(contexts: pa.Table) -> str:
    """Contexts without what says how they were built."""
    return content_hash(contexts.drop_columns([c.KNOWN_BY, c.NEWEST_KNOWN_AT]))


@given(histories())
def test_under_then_the_reader_is_the_reader(plays: list[Play]) -> None:
    source = reader(plays)
    assert as_known_by(source, "then") is source


def test_rows_and_columns_are_as_asked_for() -> None:
    source = as_known_by(reader([Play(1, START, 5, 1, START + DAY)], OFFERS), "now")
    cell = Partition(DAY_ONE, "FR")
    assert source.read(PLAY_FACTS.name, [cell], [c.KNOWN_AT, c.TITLE]).to_pydict() == {
        c.KNOWN_AT: source.read(PLAY_FACTS.name, [cell]).column(c.PLAYED_AT).to_pylist(), c.TITLE: [5]
    }  # fmt: skip
    assert source.read(PLAY_FACTS.name, [cell], [c.PROFILE]).column_names == [c.PROFILE]
    for spec in (TITLES, PROFILES, AVAILABILITY):
        assert source.read(spec.name, [Partition()]).schema.equals(spec.schema)
    assert source.published(PLAY_FACTS.name, DAY_ONE) == reader([]).published(PLAY_FACTS.name, DAY_ONE)
    assert (source.countries, source.first_day) == (("DE", "FR"), DAY_ONE)
    with pytest.raises(ConfigError, match="Read the rows"):
        source.files(PLAY_FACTS.name, [cell])


# --- a late delivery -------------------------------------------------------------------------------------------------


def delivered() -> list[Play]:
    """Three days of six profiles in two countries, known at once."""
    rng = np.random.default_rng(11)
    drawn = zip(
        rng.integers(1, 7, 60).tolist(),
        rng.integers(0, 3 * 24, 60).tolist(),
        rng.integers(1, 9, 60).tolist(),
        strict=True,
    )
    return [
        Play(who, START + hour * HOUR, title, number, START + hour * HOUR, number % 2, country="DE" if who > 4 else "FR")
        for number, (who, hour, title) in enumerate(drawn)
    ]  # fmt: skip


#: Two plays of yesterday, delivered days later: in Germany profile 5 plays title 21, and profile 2 title 22.
LATE = [
    Play(who, START + DAY + HOUR, title, 900 + who, CLOSE + 5 * DAY, 1, country="DE")
    for who, title in ((5, 21), (2, 22))
]


def frame(tables: dict[str, pa.Table]) -> Frame:
    return flat(tables[TRAINING_SETS.name])


def features_by_context(made: Frame) -> dict[int, list[Any]]:
    rows = [np.nan_to_num(made.features.column(name).to_numpy(), nan=-1.0) for name in made.features.column_names]
    table = np.stack([*rows, made.item(c.TITLE).astype(np.float64)])
    bounds = zip(made.context(c.CONTEXT_ID).tolist(), made.offsets[:-1], made.offsets[1:], strict=True)
    return {context: table[:, a:b].tolist() for context, a, b in bounds}


def reached(made: Frame, plays: list[Play], more: list[Play]) -> set[int]:
    """By the oracle: the contexts for which any fact of any item differs once the late plays had been known at once."""
    worlds = []
    for rows in (plays, plays + [replace(p, known_at=p.played_at) for p in more]):
        source, whole = reader(rows, OFFERS), Partition()
        cells = source.read(PLAY_FACTS.name, source.published(PLAY_FACTS.name))
        others = (source.read(spec.name, [whole]) for spec in (TITLES, PROFILES, AVAILABILITY))
        worlds.append(TimelineOracle.of(cells, *others, rules=THEN.rules))
    found = set()
    for row, context in enumerate(made.context(c.CONTEXT_ID).tolist()):
        at, who = int(made.context(c.AT)[row]), int(made.context(c.PROFILE)[row])
        for title in made.item(c.TITLE)[made.offsets[row] : made.offsets[row + 1]].tolist():
            for fact in FeatureSet.standard().needed:
                then, now = (world.fact(fact, who, "FR", at, title) for world in worlds)
                if not np.array_equal(then, now, equal_nan=True):
                    found.add(context)
    return found


def test_a_rebuild_after_a_late_delivery_is_the_same_bytes_as_known_then() -> None:
    first, again = (build(reader(plays, OFFERS), THEN) for plays in (delivered(), delivered() + LATE))
    for spec in (CONTEXTS, TRAINING_SETS):
        assert content_hash(first[spec.name]) == content_hash(again[spec.name])
        assert set(first[spec.name].column(c.KNOWN_BY).to_pylist()) == {"then"}


def test_with_all_that_is_known_now_exactly_the_contexts_differ_that_the_late_plays_reach() -> None:
    then, now = (build(reader(delivered() + LATE, OFFERS), chosen) for chosen in (THEN, by("now")))
    assert set(now[TRAINING_SETS.name].column(c.KNOWN_BY).to_pylist()) == {"now"}
    before, after = features_by_context(frame(then)), features_by_context(frame(now))
    assert list(before) == list(after)
    differing = {context for context in before if before[context] != after[context]}
    assert differing == reached(frame(then), delivered(), LATE)
    assert 0 < len(differing) < len(before)
    mine = frame(then).context(c.PROFILE) == 2
    assert set(frame(then).context(c.CONTEXT_ID)[mine].tolist()) <= differing


def test_a_cut_before_the_late_delivery_is_the_world_without_it() -> None:
    without = build(reader(delivered(), OFFERS), by(iso(CLOSE + 5 * DAY)))
    with_late = build(reader(delivered() + LATE, OFFERS), by(iso(CLOSE + 5 * DAY)))
    one_later = build(reader(delivered() + LATE, OFFERS), by(iso(CLOSE + 5 * DAY + 1)))
    now = build(reader(delivered() + LATE, OFFERS), by("now"))
    for spec in (CONTEXTS, TRAINING_SETS):
        assert content_hash(without[spec.name]) == content_hash(with_late[spec.name])
        assert without_kind(one_later[spec.name]) == without_kind(now[spec.name]) != without_kind(without[spec.name])


def test_a_label_that_came_late_is_known_now() -> None:
    at = midnight(TODAY) + 20 * HOUR
    plays = [*delivered(), Play(7, at, 1, 800, at, 0), Play(7, at + 60, 2, 801, CLOSE, 1)]
    labels = []
    for chosen in (THEN, by("now")):
        made = frame(build(reader(plays, OFFERS), chosen))
        (row,) = np.flatnonzero(made.context(c.PROFILE) == 7)
        items = slice(made.offsets[row], made.offsets[row + 1])
        labels.append(dict(zip(made.item(c.TITLE)[items].tolist(), made.item(c.LABEL)[items].tolist(), strict=True)))
    assert 2 not in labels[0] and labels[0][1] == 0.0
    assert labels[1][2] == 1.0 and labels[1][1] == 0.0


def test_the_future_stays_invisible_under_now() -> None:
    """The leak law with respect to `played_at`: what is played later changes no feature, however early it is known."""
    noon = midnight(TODAY) + 12 * HOUR
    scrambled = [
        replace(p, title_id=9 - p.title_id, engaged=1 - p.engaged) if p.played_at >= noon else p for p in delivered()
    ]
    made = [frame(build(reader(plays, OFFERS), by("now"))) for plays in (delivered(), scrambled)]
    early = [{int(k) for k in m.context(c.CONTEXT_ID)[m.context(c.AT) < noon]} for m in made]
    assert early[0] == early[1] != set()
    # items of the label window are the future by definition: compare what both drew
    rows = [
        {(k, col[-1]): col[:-1] for k, cols in features_by_context(m).items() for col in np.array(cols).T.tolist()}
        for m in made
    ]
    both = [key for key in rows[0] if key in rows[1] and key[0] in early[0]]
    assert len(both) > len(early[0])
    assert all(rows[0][key] == rows[1][key] for key in both)


# --- the choice ------------------------------------------------------------------------------------------------------


def test_an_instant_before_the_labels_close_is_refused() -> None:
    with pytest.raises(ConfigError, match="when the label windows of 2025-03-12 close"):
        TrainingSets().inputs(FR, by(iso(CLOSE - 1)))
    assert {one.cut for one in TrainingSets().inputs(FR, by(iso(CLOSE)))} == {TODAY + timedelta(days=1)}
    assert {one.cut for one in TrainingSets().inputs(FR, by("now"))} == {None}


def test_it_is_part_of_the_fingerprint_and_nothing_else_is_accepted() -> None:
    kinds = [TrainingSets().config(by(kind))["known_by"] for kind in ("then", "now", "2025-04-01")]
    assert kinds == ["then", "now", "2025-04-01T00:00:00Z"]
    with pytest.raises(ValueError, match="write then, now, or an instant"):
        TrainingConfig(known_by="later")


def test_numbers_of_models_of_different_kinds_are_not_compared() -> None:
    then, now = protocol_of(THEN), protocol_of(by("now"))
    check_same(then, protocol_of(by("then")), place="test")
    with pytest.raises(ConfigError, match="known_by is 'then' in one and 'now' in the other"):
        check_same(then, now, place="test")


def test_a_signup_known_late_counts_now() -> None:
    source = reader(delivered(), OFFERS)
    source.add(PROFILES.name, Partition(), signup_table({2: (EARLY, CLOSE + DAY)}))
    tenure = []
    for chosen in (THEN, by("now")):
        made = frame(build(source, chosen))
        tenure.append(made.context(c.TENURE_DAYS)[made.context(c.PROFILE) == 2].min())
    assert tenure[0] < 3 and tenure[1] > 30
