"""The recount of snapshots agrees with the slow reference, with what is published, and with no changed row."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.proofs import incremental as recounting
from rec_platform.proofs.flow import incremental
from rec_platform.proofs.incremental import as_counts, compared, count, inputs_of, recounted
from rec_platform.tables import INSTANT, PROFILE_SNAPSHOT, TITLE_SNAPSHOT
from rec_platform.testing.readers import MemoryReader
from rec_platform.testing.snapshot_oracle import Play, profile_snapshot, title_snapshot

EVERY = (1, 0)
DAY_OF = date(2025, 3, 1)


def random_plays(seed: int, n: int = 150) -> list[Play]:
    """Plays about a midnight, at the edges of windows, late and simultaneous."""
    rng = np.random.default_rng(seed)
    at = midnight(DAY_OF)
    edges = [0, 1, 2, 6, 7, 8, 27, 28, 29, 89, 90, 91]
    plays = []
    for _ in range(n):
        played = at - int(rng.choice(edges)) * DAY + int(rng.choice([-1, 0, 1, 3_600_000_000]))
        late = int(rng.choice([0, 0, 1_000, DAY, 5 * DAY]))
        who, what = (int(one) for one in rng.integers(0, 6, 2))
        plays.append(
            Play(who, what, str(rng.choice(["US", "DE"])), played, played + late, int(rng.integers(0, 9)), bool(rng.integers(2)))
        )  # fmt: skip
    return plays


def as_rows(plays: list[Play]) -> pa.Table:
    return pa.table(
        {
            c.PROFILE: [one.profile for one in plays], c.TITLE: [one.title for one in plays],
            c.PLAYED_AT: pa.array([one.played_at for one in plays]).cast(INSTANT),
            c.KNOWN_AT: pa.array([one.known_at for one in plays]).cast(INSTANT),
            c.WATCHED_MS: pa.array([one.watched_ms for one in plays], pa.int64()),
            c.ENGAGED: [int(one.verdict) for one in plays], c.COUNTRY: [one.country for one in plays],
        }
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_the_count_is_that_of_the_reference(seed: int) -> None:
    plays = random_plays(seed)
    partition = Partition(DAY_OF, "US")
    for spec, entity, reference in (
        (PROFILE_SNAPSHOT, c.PROFILE, profile_snapshot(plays, [], DAY_OF, "US")),
        (TITLE_SNAPSHOT, c.TITLE, title_snapshot(plays, DAY_OF, "US")),
    ):
        expected = as_counts(reference, entity, EVERY)
        counted = count(as_rows(plays), partition, entity, EVERY, set())
        assert expected
        assert all(
            not (row["mismatch"] or row["missing"] or row["extra"]) for row in compared(spec.name, expected, counted)
        )


def test_published_snapshots_hold(made: Path, last: date) -> None:
    proof = incremental(Platform(made), Partition(last, "US"), about=1_000)
    assert proof.passed, proof.observed
    assert len(proof.rows) == 14 + 25
    assert all(row["compared"] for row in proof.rows)


def changed(made: Path, last: date, table: str, rows: pa.Table) -> MemoryReader:
    """What the proof reads, with one snapshot replaced."""
    platform = Platform(made)
    reader = platform.reader(*inputs_of(last))
    tables: dict[str, dict[Partition, pa.Table]] = {}
    for name in ("play_facts", "profiles", PROFILE_SNAPSHOT.name, TITLE_SNAPSHOT.name):
        for partition in reader.published(name):
            read = reader.read(name, [partition])
            keep = [one for one in read.column_names if one not in (c.DATE, c.COUNTRY)]
            tables.setdefault(name, {})[partition] = read.select(keep)
    tables[table][Partition(last, "US")] = rows
    return MemoryReader(tables)


def snapshot(made: Path, last: date, table: str) -> pa.Table:
    rows = Platform(made).lake.read(table, [Partition(last, "US")])
    return rows.drop_columns([c.DATE, c.COUNTRY])


def test_a_changed_a_missing_and_an_extra_row_are_counted(made: Path, last: date) -> None:
    rows = snapshot(made, last, PROFILE_SNAPSHOT.name)
    name = c.windowed(c.PLAYS, 7)
    more = np.asarray(rows.column(name)).copy()
    more[3] += 1
    wrong = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(more))
    stranger = rows[:1].set_column(0, rows.schema.field(0), pa.array([-5], pa.int64()))
    for other, kind in ((wrong, "mismatch"), (rows[1:], "missing"), (pa.concat_tables([stranger, rows]), "extra")):
        reader = changed(made, last, PROFILE_SNAPSHOT.name, other)
        found = recounted(Partition(last, "US"), reader, about=1_000, seed=0)
        assert not found.passed
        (row,) = [row for row in found.rows if row["fact"] == name and row["table"] == PROFILE_SNAPSHOT.name]
        assert row[kind] == 1, (kind, row)
        assert sum(int(row[one]) for one in ("mismatch", "missing", "extra")) == 1


def test_the_sample_is_about_as_large_as_asked(made: Path, last: date) -> None:
    proof = incremental(Platform(made), Partition(last, "US"), about=20)
    assert proof.passed
    assert 3 <= proof.rows[0]["compared"] <= 60


def test_a_sample_of_nobody_proves_nothing(made: Path, last: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recounting, "_drawn", lambda *_: False)
    proof = incremental(Platform(made), Partition(last, "US"), about=1)
    assert (proof.passed, proof.judged, proof.verdict) == (True, False, "not judged")
    assert "none was drawn" in proof.observed
