"""Snapshots: rolled == recomputed == oracle, on random histories with late, simultaneous and far-past plays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.clock import DAY, HOUR, MINUTE, midnight
from rec_platform.config import EngagementRule, Settings, SourceRules
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.facts.stage import Facts
from rec_platform.partition import Partition
from rec_platform.stage import Built, Earlier, Input
from rec_platform.tables import PROFILE_SNAPSHOT, PROFILE_TILES, PROFILES, TITLE_SNAPSHOT, TITLE_TILES, WINDOWS
from rec_platform.testing import snapshot_oracle as oracle
from rec_platform.testing.readers import MemoryReader
from rec_platform.testing.snapshot_oracle import Play, ProfileRecord
from rec_platform.timetravel.rolling import LONGEST, Codes
from rec_platform.timetravel.snapshots import FeatureSnapshots, SnapshotState, state_from_snapshots

COUNTRIES = ("DE", "FR", "ZZ")
FIRST = date(2025, 1, 1)
SETTINGS = Settings(rules=SourceRules(engagement=EngagementRule(kind="column")))

#: Hours that make boundaries likely: midnights, the same instants again and again, the window edges.
hours = st.sampled_from([0, 23, 24, 47, 48]) | st.integers(0, 130 * 24)
lags = st.sampled_from([0, 1, 24, 7 * 24, 28 * 24, 90 * 24, 91 * 24]) | st.integers(0, 100 * 24)
plays_made = st.builds(
    lambda profile, title, country, hour, lag, ms, verdict: Play(
        profile, title, country, midnight(FIRST) + hour * HOUR, midnight(FIRST) + (hour + lag) * HOUR, ms, verdict
    ),
    st.sampled_from([-3, 1, 2**62]), st.integers(5, 7), st.sampled_from(COUNTRIES), hours, lags,
    st.none() | st.integers(0, 10**7), st.booleans(),
)  # fmt: skip
histories = st.lists(plays_made, max_size=20)
records = st.lists(
    st.builds(
        lambda profile, hour, home: ProfileRecord(profile, midnight(FIRST) + hour * HOUR, home),
        st.sampled_from([1, 2, 2**62]), hours, st.none() | st.sampled_from(COUNTRIES),
    ),
    max_size=5,
    unique_by=lambda record: (record.profile, record.known_at),
)  # fmt: skip
days = st.lists(st.integers(0, 230), min_size=1, max_size=6, unique=True).map(
    lambda numbers: [FIRST + timedelta(days=n) for n in sorted(numbers)]
)


def delivered(plays: list[Play], known: list[ProfileRecord] | None = None) -> MemoryReader:
    """The published inputs of snapshots: tiles made by the stage `facts`, and the profile records."""
    raw = oracle.raw_plays(plays)
    tables = {
        PROFILES.name: {Partition(): oracle.profiles_table(known or [])},
        PROFILE_TILES.name: {},
        TITLE_TILES.name: {},
    }
    for built in Facts().build(sorted(raw), MemoryReader({"raw_plays": raw}), SETTINGS):
        for name in (PROFILE_TILES.name, TITLE_TILES.name):
            tables[name][built.partition] = built.tables[name]
    return MemoryReader(tables, countries=COUNTRIES)


def keys(*on: date) -> list[Partition]:
    return [Partition(day, country) for day in on for country in COUNTRIES]


def build(reader: MemoryReader, *on: date) -> dict[Partition, Built]:
    return {built.partition: built for built in FeatureSnapshots().build(keys(*on), reader, SETTINGS)}


def publish(reader: MemoryReader, made: dict[Partition, Built]) -> None:
    for key, built in made.items():
        for name, rows in built.tables.items():
            reader.add(name, key, rows)


def same(one: dict[Partition, Built], other: dict[Partition, Built]) -> bool:
    return list(one) == list(other) and all(
        one[key].extra == other[key].extra
        and all(one[key].tables[name].equals(other[key].tables[name]) for name in one[key].tables)
        for key in one
    )


@given(histories, records, days)
def test_rolled_equals_the_oracle(plays: list[Play], known: list[ProfileRecord], on: list[date]) -> None:
    for key, built in build(delivered(plays, known), *on).items():
        PROFILE_SNAPSHOT.check(built.tables[PROFILE_SNAPSHOT.name].schema)
        TITLE_SNAPSHOT.check(built.tables[TITLE_SNAPSHOT.name].schema)
        expected = oracle.profile_snapshot(plays, known, key.day, key.place)
        assert built.tables[PROFILE_SNAPSHOT.name].to_pylist() == expected.to_pylist()
        assert (
            built.tables[TITLE_SNAPSHOT.name].to_pylist()
            == oracle.title_snapshot(plays, key.day, key.place).to_pylist()
        )


@given(histories, records, days)
def test_rolled_equals_recomputed(plays: list[Play], known: list[ProfileRecord], on: list[date]) -> None:
    reader = delivered(plays, known)
    alone = {key: built for day in on for key, built in build(reader, day).items()}
    assert same(build(reader, *on), alone)


@given(histories, records, st.integers(1, 220))
def test_every_day_rolled_equals_the_leap(plays: list[Play], known: list[ProfileRecord], length: int) -> None:
    reader, last = delivered(plays, known), FIRST + timedelta(days=length)
    stepped, leapt = SnapshotState(reader), SnapshotState(reader)
    for n in range(length + 1):
        stepped.advance(FIRST + timedelta(days=n))
    leapt.advance(FIRST)
    leapt.advance(last)
    one = {built.partition: built for built in stepped.snapshots(keys(last))}
    assert same(one, {built.partition: built for built in leapt.snapshots(keys(last))})


@given(histories, records, st.integers(0, 200), st.integers(0, 100))
def test_a_state_taken_from_snapshots_rolls_on_the_same(
    plays: list[Play], known: list[ProfileRecord], start: int, leap: int
) -> None:
    reader, day = delivered(plays, known), FIRST + timedelta(days=start)
    publish(reader, build(reader, day))
    earlier, later = reader.earlier(FeatureSnapshots(), day), day + timedelta(days=leap)
    state = state_from_snapshots(reader, earlier)
    assert same({built.partition: built for built in state.snapshots(keys(day))}, build(reader, day))
    state.advance(later)
    assert same({built.partition: built for built in state.snapshots(keys(later))}, build(reader, later))


@given(st.lists(st.lists(st.integers(-6, 6), max_size=8), max_size=5))
def test_codes_are_dense_and_name_their_keys(batches: list[list[int]]) -> None:
    codes = Codes()
    for batch in batches:
        found = codes.of(np.array(batch, np.int64))
        assert codes.keys[found].tolist() == batch
    seen = sorted({key for batch in batches for key in batch})
    assert codes.keys[codes.in_order].tolist() == seen
    assert codes.keys.size == len(seen)


@given(histories, st.integers(0, 200), st.randoms(use_true_random=False))
def test_a_state_taken_from_rows_in_any_order_is_the_same(plays: list[Play], start: int, random: Random) -> None:
    reader, day = delivered(plays), FIRST + timedelta(days=start)
    publish(reader, build(reader, day))
    earlier = reader.earlier(FeatureSnapshots(), day)
    mixed = {
        name: rows.take(pa.array(random.sample(range(len(rows)), len(rows)), pa.int64()))
        for name, rows in earlier.rows.items()
    }
    one, other = (state_from_snapshots(reader, Earlier(day, rows, earlier.news)) for rows in (earlier.rows, mixed))
    for on in (day, day + timedelta(days=1)):
        for state in (one, other):
            state.advance(on)
        made = ({built.partition: built for built in state.snapshots(keys(on))} for state in (one, other))
        assert same(*made)


@given(histories, records, st.integers(0, 200), st.integers(1, 3), st.booleans())
def test_days_built_on_what_was_published_of_the_day_before_are_those_counted(
    plays: list[Play], known: list[ProfileRecord], start: int, length: int, two: bool
) -> None:
    """A chain: each run makes one date, or two, from what the run before published, and never sees the state itself."""
    reader, stage, day = delivered(plays, known), FeatureSnapshots(), FIRST + timedelta(days=start)
    publish(reader, build(reader, day))
    for _ in range(length):
        before = stage.starts_from(Partition(day + timedelta(days=1), "FR"))
        assert before == day
        on = [day + timedelta(days=1 + n) for n in range(1 + two)]
        built = stage.build_on(reader.earlier(stage, before), keys(*on), reader, SETTINGS)
        rolled = {one.partition: one for one in built}
        assert same(rolled, {key: one for each in on for key, one in build(reader, each).items()})
        publish(reader, rolled)
        day = on[-1]


@given(histories, plays_made, st.integers(0, 200))
def test_a_play_known_later_changes_nothing_earlier(plays: list[Play], late: Play, number: int) -> None:
    day = FIRST + timedelta(days=number)
    known_at = max(late.known_at, midnight(day))
    late = Play(late.profile, late.title, late.country, late.played_at, known_at, late.watched_ms, late.verdict)
    before, after = build(delivered(plays), day), build(delivered([*plays, late]), day)
    assert all(
        before[key].tables[name].equals(after[key].tables[name]) for key in before for name in before[key].tables
    )


@given(histories, st.integers(0, 200))
def test_merged_tiles_are_the_window(plays: list[Play], number: int) -> None:
    reader, day = delivered(plays), FIRST + timedelta(days=number)
    found = reader.read(TITLE_TILES.name, reader.published(TITLE_TILES.name))
    known = found.filter(pc.less(found.column("known_date"), pa.scalar(day)))
    snapshot = build(reader, day)
    for window in WINDOWS:
        inside = known.filter(pc.greater_equal(known.column("date"), pa.scalar(day - timedelta(days=window))))
        for measure in ("plays", "watched_ms", "engaged_plays"):
            column = f"country_{measure}_{window}d"
            rolled = sum(
                pc.sum(built.tables["title_snapshot"].column(column)).as_py() or 0 for built in snapshot.values()
            )
            assert rolled == (pc.sum(inside.column(measure)).as_py() or 0)


@given(histories, records, days, st.randoms(use_true_random=False))
def test_the_order_of_delivery_and_chunks_change_nothing(
    plays: list[Play], known: list[ProfileRecord], on: list[date], random: Random
) -> None:
    shuffled = list(plays)
    random.shuffle(shuffled)
    whole = delivered(plays, known)
    pieces = delivered(shuffled, known[::-1])
    for name in (PROFILE_TILES.name, TITLE_TILES.name):
        for key in pieces.published(name):
            rows = pieces.read(name, [key]).drop_columns(["date", "country"])
            pieces.add(name, key, pa.Table.from_batches(rows.to_batches(max_chunksize=1), rows.schema))
    assert same(build(whole, *on), build(pieces, *on))


def test_anas_evening() -> None:
    """Played on the 10th at 20:00, known on the 12th at 06:00: in no snapshot before the 13th, then 3 days ago."""
    tenth, twelfth = date(2025, 3, 10), date(2025, 3, 12)
    play = Play(1, 7, "FR", midnight(tenth) + 20 * HOUR, midnight(twelfth) + 6 * HOUR, 30 * MINUTE // 1000)
    on = [tenth + timedelta(days=n) for n in (1, 2, 3, 7, 8, 28, 29, 90, 91)]
    found = build(delivered([play]), *on)
    rows = {day: found[Partition(day, "FR")].tables["profile_snapshot"].to_pylist() for day in on}
    assert [len(rows[day]) for day in on] == [0, 0, 1, 1, 1, 1, 1, 1, 0]
    windows = [[rows[day][0][f"plays_{window}d"] for window in WINDOWS] for day in on[2:8]]
    assert windows == [[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1]]
    (row,) = rows[on[2]]
    assert (row["watched_ms_7d"], row["engaged_plays_7d"], row["country_plays_90d"]) == (1_800_000, 1, 1)
    assert midnight(row["last_played_at"].date()) == midnight(tenth)


def test_a_profile_stands_where_it_played_and_where_its_record_says() -> None:
    day = FIRST + timedelta(days=10)
    played = midnight(FIRST) + 5 * DAY
    plays = [Play(1, 7, "FR", played, played), Play(1, 7, "FR", played + 1, played + 1)]
    known = [
        ProfileRecord(1, midnight(FIRST), "DE"),
        ProfileRecord(2, midnight(FIRST), "DE"),
        ProfileRecord(2, midnight(day) - 1, "FR"),
        ProfileRecord(2, midnight(day), "ZZ"),
    ]
    found = build(delivered(plays, known), day, day + timedelta(days=1))
    who = {
        key.key: [
            (row["profile_id"], row["plays_90d"], row["country_plays_90d"], row["last_played_at"] is None)
            for row in rows
        ]
        for key, built in found.items()
        for rows in [built.tables["profile_snapshot"].to_pylist()]
    }
    ones, here = (1, 2, 0, False), (1, 2, 2, False)
    assert who == {
        "DE|2025-01-11": [ones], "FR|2025-01-11": [here, (2, 0, 0, True)], "ZZ|2025-01-11": [],
        "DE|2025-01-12": [ones], "FR|2025-01-12": [here], "ZZ|2025-01-12": [(2, 0, 0, True)],
    }  # fmt: skip
    assert found[Partition(day, "FR")].extra == {
        "profiles": 2, "profiles_by_record_only": 1, "titles": 1, "history_days": 1,
    }  # fmt: skip


def test_a_snapshot_reads_ninety_days_of_tiles_and_what_was_known() -> None:
    day = date(2025, 4, 1)
    inputs = FeatureSnapshots().inputs(Partition(day, "FR"), SETTINGS)
    first, last = date(2025, 1, 1), date(2025, 3, 31)
    tiles = [
        Input(name, first=first, last=last, every_country=True, cut=day, optional=True)
        for name in ("profile_tiles", "title_tiles")
    ]
    assert inputs == (*tiles, Input("profiles", cut=day))
    assert FeatureSnapshots().config(SETTINGS) == {}


def test_history_days_count_the_days_of_the_longest_window_that_exist() -> None:
    day = FIRST + timedelta(days=100)
    there = [day - timedelta(days=back) for back in (LONGEST + 1, LONGEST, 1, 0)]
    found = build(delivered([Play(1, 7, "FR", midnight(one), midnight(one)) for one in there]), day)
    assert {built.extra["history_days"] for built in found.values()} == {2}


class Watched(MemoryReader):
    """Remembers which partitions were read."""

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = list(partitions)
        self.asked = [*getattr(self, "asked", []), *((table, key) for key in wanted)]
        return super().read(table, wanted, columns)


@pytest.mark.parametrize("on", [[95], [95, 96, 97], [0, 95, 229], [1, 10, 100]])
def test_nothing_is_read_that_inputs_did_not_name_and_nothing_twice(on: list[int]) -> None:
    delivered_days = [FIRST + timedelta(days=n) for n in range(230)]
    reader = delivered([Play(1, 7, "FR", midnight(day), midnight(day)) for day in delivered_days])
    watched = Watched(reader.tables)
    wanted = [FIRST + timedelta(days=n) for n in on]
    build(watched, *wanted)
    asked = [key for table, key in watched.asked if table == "title_tiles"]
    named = [day for day in delivered_days if any(0 < (until - day).days <= LONGEST for until in wanted)]
    assert set(asked) == {Partition(day, "FR") for day in named}
    assert len(asked) == len(set(asked))


def test_a_restored_state_reads_only_what_begins_and_what_leaves() -> None:
    """Ten days late is the play of day 85, which comes with the news. Day 88 has news too and leaves the window of a week.

    Day 94 leaves the window of a day, of which nothing stays: it is not read.
    """
    lag = {85: 10, 88: 7}
    delivered_days = [FIRST + timedelta(days=n) for n in range(100)]
    reader = delivered(
        [Play(1, 7, "FR", midnight(day), midnight(day) + lag.get(n, 0) * DAY) for n, day in enumerate(delivered_days)]
    )
    day = FIRST + timedelta(days=95)
    publish(reader, build(reader, day))
    watched = Watched(reader.tables)
    state_from_snapshots(watched, reader.earlier(FeatureSnapshots(), day)).advance(day + timedelta(days=1))
    asked = sorted((key.day - FIRST).days for table, key in watched.asked if table == "title_tiles")
    assert asked == [95 - 90, 95 - 28, 95 - 7, 95]


def test_faults_say_what_to_do() -> None:
    state = SnapshotState(delivered([]))
    state.advance(FIRST)
    with pytest.raises(KeyRefused, match="cannot move back"):
        state.advance(FIRST - timedelta(days=1))
    with pytest.raises(MissingInput, match="profiles has no partition all"):
        SnapshotState(MemoryReader({}))


def test_many_profiles_keep_the_order_of_their_ids() -> None:
    draw = np.random.default_rng(7)
    plays = [
        Play(int(who), int(who) % 5, "FR", midnight(FIRST) + n, midnight(FIRST) + n)
        for n, who in enumerate(draw.integers(-(2**62), 2**62, 300))
    ]
    (built,) = [built for key, built in build(delivered(plays), FIRST + timedelta(days=1)).items() if key.place == "FR"]
    found = built.tables["profile_snapshot"].column("profile_id").to_pylist()
    assert found == sorted({play.profile for play in plays})
