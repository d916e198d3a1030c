"""Play facts and tiles: worked by hand, against the oracle, and whatever way the partitions are read."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.clock import DAY, HOUR, midnight
from rec_platform.config import EngagementRule, Settings, SourceRules
from rec_platform.facts.plays import play_facts
from rec_platform.facts.stage import Facts
from rec_platform.facts.tiles import profile_tiles, title_tiles
from rec_platform.partition import Partition
from rec_platform.stage import Built, Input
from rec_platform.tables import PLAY_FACTS, PROFILE_TILES, RAW_PLAYS, TITLE_TILES
from rec_platform.testing import snapshot_oracle as oracle
from rec_platform.testing.readers import MemoryReader
from rec_platform.testing.snapshot_oracle import Play

MONDAY = date(2025, 3, 10)
START = midnight(MONDAY)
VERDICT = Settings(rules=SourceRules(engagement=EngagementRule(kind="column")))

histories = st.lists(
    st.builds(
        lambda profile, title, country, hour, lag, ms, verdict: Play(
            profile, title, country, START + hour * HOUR, START + hour * HOUR + lag * HOUR, ms, verdict
        ),
        st.integers(1, 3), st.sampled_from([-5, 7, 2**62]), st.sampled_from(["DE", "FR"]), st.integers(0, 71),
        st.integers(0, 60), st.none() | st.integers(0, 10**7), st.booleans(),
    ),
    max_size=25,
)  # fmt: skip


def build(plays: list[Play], partitions: list[Partition], settings: Settings = VERDICT) -> list[Built]:
    tables = dict.fromkeys(partitions, RAW_PLAYS.schema.empty_table()) | oracle.raw_plays(plays)
    return list(Facts().build(partitions, MemoryReader({"raw_plays": tables}), settings))


def raw(**columns: list[object]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table(
        {f.name: pa.array(columns.get(f.name, [None] * rows), f.type) for f in RAW_PLAYS.schema},
        schema=RAW_PLAYS.schema,
    )


def test_facts_of_three_rows_by_hand() -> None:
    delivered = raw(
        play_id=[1, 2, 3],
        event=["play", "shown", "play"],
        profile_id=[8, 8, 9],
        title_id=[70, 71, 70],
        played_at=[START + HOUR, START + HOUR, START + 2 * HOUR],
        known_at=[START + HOUR, START + HOUR, START + DAY],
        watched_ms=[600_000, None, None],
        device=["tv", "tv", None],
    )
    facts = play_facts(delivered, EngagementRule(kind="min_seconds", seconds=600))
    PLAY_FACTS.check(facts.schema)
    found = facts.select(["play_id", "watched_ms", "engaged", "device"]).to_pylist()
    assert found == [
        {"play_id": 1, "watched_ms": 600_000, "engaged": 1, "device": "tv"},
        {"play_id": 3, "watched_ms": 0, "engaged": 0, "device": "unknown"},
    ]
    (first, second) = title_tiles(facts).to_pylist()
    assert (first["known_date"], first["plays"], first["watched_ms"], first["engaged_plays"]) == (MONDAY, 1, 600_000, 1)
    assert (second["known_date"], second["plays"], second["engaged_plays"]) == (MONDAY + timedelta(1), 1, 0)
    assert profile_tiles(facts).column("profile_id").to_pylist() == [8, 9]


def test_what_the_stage_says_of_itself() -> None:
    here = Partition(MONDAY, "FR")
    assert Facts().inputs(here, VERDICT) == (Input("raw_plays", MONDAY, MONDAY, ("FR",)),)
    assert Facts().config(VERDICT) == {"engagement": {"kind": "column", "seconds": 600.0, "share": 0.7}}
    plays = [
        Play(1, 7, "FR", START, START, None, True),
        Play(1, 7, "FR", START, START, 5, False),
        Play(2, 7, "FR", START, START + DAY, 5, True),
    ]
    (built,) = build(plays, [here])
    assert built.extra == {
        "plays": 3, "engaged": 2, "profiles": 2, "titles": 1, "unknown_durations": 1, "unknown_verdicts": 0, "shown": 0,
    }  # fmt: skip


def test_rows_shown_but_not_played_are_counted_apart() -> None:
    here = Partition(MONDAY, "FR")
    rows = oracle.raw_plays([Play(1, 7, "FR", START, START), Play(1, 8, "FR", START + 1, START + 1)])[here]
    rows = rows.set_column(1, RAW_PLAYS.schema.field("event"), pa.array(["shown", "play"]))
    (built,) = Facts().build([here], MemoryReader({"raw_plays": {here: rows}}), VERDICT)
    assert (built.extra["shown"], built.extra["plays"]) == (1, 1)
    assert built.tables["title_tiles"].column("title_id").to_pylist() == [8]


@given(histories)
def test_tiles_equal_the_oracle(plays: list[Play]) -> None:
    keys = [Partition(MONDAY + timedelta(days=n), country) for n in range(3) for country in ("DE", "FR")]
    for built in build(plays, keys):
        for spec in (TITLE_TILES, PROFILE_TILES):
            spec.check(built.tables[spec.name].schema)
            expected = oracle.tiles(plays, built.partition.day, built.partition.place, spec)
            assert built.tables[spec.name].equals(expected)


@given(histories)
def test_partitions_built_together_or_alone_are_the_same(plays: list[Play]) -> None:
    keys = [Partition(MONDAY + timedelta(days=n), country) for n in range(3) for country in ("AT", "DE", "FR")]
    together = build(plays, keys)
    alone = [built for key in keys for built in build(plays, [key])]
    assert [built.partition for built in together] == keys
    for one, other in zip(together, alone, strict=True):
        assert one.extra == other.extra
        assert all(one.tables[name].equals(other.tables[name]) for name in one.tables)
        assert one.tables["play_facts"].num_rows == one.extra["plays"]


def test_every_partition_is_built_once_however_many_reads_it_takes() -> None:
    keys = [Partition(MONDAY + timedelta(days=n), "FR") for n in range(50)]
    plays = [Play(1, 7, "FR", midnight(key.day), midnight(key.day)) for key in keys[::2]]
    found = {built.partition: built.extra["plays"] for built in build(plays, keys)}
    assert found == {key: 1 - n % 2 for n, key in enumerate(keys)}


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_chunks_of_the_input_change_nothing(chunk: int) -> None:
    plays = [Play(n % 3, n % 5, "FR", START + n * HOUR, START + n * HOUR) for n in range(20)]
    here = Partition(MONDAY, "FR")
    rows = oracle.raw_plays(plays)[here]
    pieces = pa.Table.from_batches(rows.to_batches(max_chunksize=chunk), rows.schema)
    (built,) = Facts().build([here], MemoryReader({"raw_plays": {here: pieces}}), VERDICT)
    (whole,) = build(plays, [here])
    assert all(built.tables[name].equals(whole.tables[name]) for name in whole.tables)
