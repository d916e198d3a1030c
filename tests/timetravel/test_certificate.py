"""The certificate says what was read: it is the oracle's on random histories, and a lookup that is off by one shows in it."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import START, Asked, World, asked, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.encoders import Encoder, encoder
from rec_platform.pipeline import Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.testing.timeline_oracle import Row, TimelineOracle, newest
from rec_platform.timetravel import kernels
from rec_platform.timetravel.certificate import Witness, most
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.meter import Meter
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.revisions import Offers, instants
from rec_platform.timetravel.ticks import TickRoller
from rec_platform.timetravel.timeline import Timeline

STANDARD = FeatureSet.standard()


def frame_of(ask: Asked) -> Frame:
    contexts = pa.table(
        {
            c.PROFILE: pa.array(ask.profile_id, pa.int64()),
            c.COUNTRY: pa.array(ask.country, pa.string()),
            c.AT: pa.array(ask.at, pa.int64()).cast(INSTANT),
            c.DEVICE: pa.array(["tv"] * len(ask.at), pa.string()),
            c.TENURE_DAYS: pa.array(np.zeros(len(ask.at))),
        }
    )
    return Frame.of(contexts, ask.offsets, items={c.TITLE: ask.title_id})


def certificate(timeline: Timeline, ask: Asked, features: FeatureSet = STANDARD) -> list[tuple[int, int]]:
    made = FeatureGenerator(features, certified=True).apply(frame_of(ask), Sources(timeline)).contexts
    columns = [instants(made.column(name)).tolist() for name in (c.NEWEST_PLAYED_AT, c.NEWEST_KNOWN_AT)]
    return list(zip(*columns, strict=True))


def expected(oracle: TimelineOracle, ask: Asked, row: int, tick: int = DAY) -> tuple[int, int]:
    """Straight from the definition, for one context."""
    at, profile, country = int(ask.at[row]), int(ask.profile_id[row]), str(ask.country[row])
    items = ask.title_id[ask.offsets[row] : ask.offsets[row + 1]].tolist()
    plays = oracle.visible_plays(at // tick * tick)
    plays += [play for play in oracle.visible_plays(at) if play[c.PROFILE] == profile]
    played, known = [play[c.PLAYED_AT] for play in plays], [known_of(play) for play in plays]
    records = [newest(oracle.titles, at, **{c.TITLE: title}) for title in items]
    records.append(newest(oracle.profiles, at, **{c.PROFILE: profile}))
    records += [offer for offer in oracle.availability if offer[c.COUNTRY] == country and offer[c.KNOWN_AT] < at]
    known += [record[c.KNOWN_AT] for record in records if record is not None]
    if not oracle.availability:
        first = [oracle.fact(Fact("f", "title_country", "available_from"), profile, country, at, t) for t in items]
        played += map(int, first)
        known += map(int, first)
    return max(played, default=NONE), max(known, default=NONE)


def known_of(play: Row) -> int:
    return int(max(play[c.PLAYED_AT], play[c.KNOWN_AT]))


@given(worlds(), asked())
def test_it_is_the_newest_of_what_the_definition_lets_a_context_read(world: World, ask: Asked) -> None:
    found = certificate(world.timeline(), ask)
    assert found == [expected(world.oracle(), ask, row) for row in range(len(ask.at))]
    assert all(newest < at for pair, at in zip(found, ask.at.tolist(), strict=True) for newest in pair)


@settings(max_examples=10)
@given(worlds(), asked())
def test_features_are_the_same_with_and_without_it(world: World, ask: Asked) -> None:
    timeline, frame = world.timeline(), frame_of(ask)
    made = [FeatureGenerator(STANDARD, certified=flag).apply(frame, Sources(timeline)) for flag in (False, True)]
    for one, other in zip(*(m.features.columns for m in made), strict=True):
        np.testing.assert_array_equal(one.to_numpy(), other.to_numpy())
    assert c.NEWEST_PLAYED_AT not in made[0].contexts.column_names


def hourly() -> FeatureSet:
    def recent(plays_here: np.ndarray) -> np.ndarray:
        return plays_here

    made: Encoder = encoder(unit="plays", about="test")(recent)
    return FeatureSet((Fact("plays_here", "title", "plays", tick="hour"),), (made,))


@settings(max_examples=15)
@given(worlds(), asked())
def test_features_of_hourly_ticks_are_witnessed_to_the_hour(world: World, ask: Asked) -> None:
    found = certificate(world.timeline(), ask, hourly())
    assert found == [expected(world.oracle(), ask, row, HOUR) for row in range(len(ask.at))]


def ends() -> FeatureSet:
    """A feature per instant that is read on local clocks, or of the item's genres."""
    facts = [
        Fact(f"{entity}_{measure}", entity, measure, window)  # type: ignore[arg-type]
        for entity in ("profile_hour", "profile_weekday", "profile_attribute")
        for measure, window in (("last_played_at", None), ("first_played_at", 28))
    ]
    encoders = (Encoder(f"of_{one.name}", (one.name,), lambda values: values.astype(float), "", "") for one in facts)
    return FeatureSet(tuple(facts), tuple(encoders))


@settings(max_examples=15)
@given(worlds(), asked())
def test_no_instant_that_a_context_reads_is_newer_than_its_certificate(world: World, ask: Asked) -> None:
    timeline, features = world.timeline(), ends()
    found = certificate(timeline, ask, features)
    values = compute(timeline, features.needed, **vars(ask))
    for fact in features.needed:
        newest = values[fact.name] if fact.level == "context" else most(values[fact.name], ask.offsets)
        assert all(one <= played for one, (played, _) in zip(newest.tolist(), found, strict=True)), fact


# --- what it costs ---------------------------------------------------------------------------------------------------


def burning(seconds: float, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, after so much processor time of the thread that does it."""

    def slow(*arguments: Any) -> Any:
        until = thread_time() + seconds
        while thread_time() < until:
            pass
        return work(*arguments)

    return slow


def cost(features: FeatureSet, *, certified: bool = True) -> float:
    meter = Meter()
    FeatureGenerator(features, certified=certified).apply(frame_of(ASK), Sources(world().timeline(), meter))
    return meter.cpu_seconds


BURNT = 0.05


def test_a_meter_counts_what_telling_the_newest_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cost(STANDARD, certified=False) == 0.0
    assert cost(STANDARD) > 0
    monkeypatch.setattr(Witness, "newest", burning(BURNT, Witness.newest))
    assert cost(STANDARD) >= BURNT


def test_a_lookup_is_its_cost_unless_a_feature_asks_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cost(STANDARD)  # kernels are loaded
    monkeypatch.setattr(kernels, "moved_sums", burning(BURNT, kernels.moved_sums))
    assert cost(of_plays()) < BURNT <= cost(of_tenure())


def of_plays() -> FeatureSet:
    def ever(plays: np.ndarray) -> np.ndarray:
        return plays

    return FeatureSet((Fact("plays", "profile", "plays"),), (encoder(unit="plays", about="test")(ever),))


def of_tenure() -> FeatureSet:
    def tenure(tenure_days: np.ndarray) -> np.ndarray:
        return tenure_days

    return FeatureSet((), (encoder(unit="days", about="test")(tenure),))


# --- planted faults --------------------------------------------------------------------------------------------------

NOON = START + 12 * HOUR
ANA, TITLE = 1, 7
ASK = Asked(np.array([ANA]), np.array(["FR"], dtype=object), np.array([NOON]), np.array([0, 1]), np.array([TITLE]))


def world(*plays: tuple[int, int, int], title_known: int = START, offer_known: int = START) -> World:
    """Plays as (profile, played_at, known_at) of the one title, which is offered from long ago."""
    rows = [
        {c.PROFILE: who, c.TITLE: TITLE, c.PLAYED_AT: played, c.KNOWN_AT: known, c.WATCHED_MS: 1, c.ENGAGED: 1, c.COUNTRY: "FR"}
        for who, played, known in ((ANA, START - DAY, START - HOUR), *plays)
    ]  # fmt: skip
    titles = {c.TITLE: TITLE, c.KNOWN_AT: title_known, c.SOURCE_ID: "7", c.GENRES: [], c.TAGS: []}
    offer = {c.TITLE: TITLE, c.COUNTRY: "FR", c.AVAILABLE_FROM: START - DAY, c.KNOWN_AT: offer_known}
    schema = pa.schema([(n, pa.int64()) for n in (c.PROFILE, c.TITLE)] + [(n, INSTANT) for n in (c.PLAYED_AT, c.KNOWN_AT)]
                       + [(c.WATCHED_MS, pa.int64()), (c.ENGAGED, pa.int8()), (c.COUNTRY, pa.string())])  # fmt: skip
    return World(
        pa.Table.from_pylist(rows, schema=schema), pa.Table.from_pylist([titles], schema=TITLES.schema),
        PROFILES.schema.empty_table(), pa.Table.from_pylist([offer], schema=AVAILABILITY.schema),
    )  # fmt: skip


def off_by_one(name: str, place: int) -> Callable[[pytest.MonkeyPatch], None]:
    """The kernel takes `<=` for `<`: in whole microseconds, as if it were asked for the next one."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = getattr(kernels, name)

        def faulty(*arguments: Any) -> Any:
            changed = list(arguments)
            changed[place] = changed[place] + 1
            return honest(*changed)

        patch.setattr(kernels, name, faulty)

    return plant


def tick_of_tomorrow(patch: pytest.MonkeyPatch) -> None:
    honest = TickRoller.table
    patch.setattr(TickRoller, "table", lambda self, tick: honest(self, tick + 1))


def offers_known_at_the_instant(patch: pytest.MonkeyPatch) -> None:
    honest = Offers._held
    patch.setattr(Offers, "_held", lambda self, country, at: honest(self, country, at + 1))


#: (what the lookup must not see and would see by one microsecond, the fault, which of the two columns tells)
PLANTS = {
    "play known at the instant": (world((ANA, START, NOON)), off_by_one("window_moves", 4), (False, True)),
    "play at the instant": (world((ANA, NOON, NOON)), off_by_one("window_moves", 4), (True, True)),
    "tick": (world((2, START + 13 * HOUR, START + 14 * HOUR)), tick_of_tomorrow, (True, True)),
    "record of the title": (world(title_known=NOON), off_by_one("revisions_at", 3), (False, True)),
    "offer": (world(offer_known=NOON), offers_known_at_the_instant, (False, True)),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_an_honest_lookup_reads_nothing_at_the_instant(plant: str) -> None:
    [(played, known)] = certificate(PLANTS[plant][0].timeline(), ASK)
    assert (played, known) == expected(PLANTS[plant][0].oracle(), ASK, 0)
    assert played < NOON and known < NOON


@pytest.mark.parametrize("plant", PLANTS)
def test_a_lookup_that_is_off_by_one_shows(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, fault, told = PLANTS[plant]
    timeline = made.timeline()
    fault(monkeypatch)
    [(played, known)] = certificate(timeline, ASK)
    assert (played >= NOON, known >= NOON) == told
