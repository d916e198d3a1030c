"""Future-scramble: corrupt everything that is not visible at T; whatever is derived at T or before must keep its bytes.

Not visible at T is a play that begins at T or later, or that is known at T or later; a record (title, profile, offer) known
at T or later; a tile known on T's day or later; a model as of a midnight after T. Such rows are removed, replaced by others,
and joined by new ones (late plays of strangers, changed copies of visible plays, newer records of known titles). Whoever
looks at one of them, by any of the two clocks, in any table, derives something else.

Two things stay by design: the labels of a context (they ARE its future), so both sides start from the same labelled
sessions; and what the sampler counts, for which the sessions are cut at T.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, iso, midnight
from rec_platform.config import Settings
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.contexts.extension import FeatureExtension
from rec_platform.contexts.stage import labelled_sessions, read_timeline, steps
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import KeyRefused
from rec_platform.lake.content import content_hash
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources, Transformer
from rec_platform.proofs.verdict import Finding
from rec_platform.stage import Reader, Retold, Stage
from rec_platform.tables import (
    AVAILABILITY,
    CANDIDATE_MODELS,
    INSTANT,
    PLAY_FACTS,
    PROFILE_TILES,
    PROFILES,
    RANKER_MODELS,
    TITLE_TILES,
    TITLES,
)
from rec_platform.tables import table as table_spec
from rec_platform.wording import counted

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_RECORDS: Final = (TITLES.name, PROFILES.name, AVAILABILITY.name)
_TILES: Final = (PROFILE_TILES.name, TITLE_TILES.name)
_MODELS: Final = (CANDIDATE_MODELS.name, RANKER_MODELS.name)
#: Profiles that nobody has.
_STRANGERS: Final = np.int64(1) << 61
#: Of the hidden plays, this share is removed; of the visible ones, this share gets a changed copy that is known later.
_REMOVED: Final = 0.25
_COPIED: Final = 0.10


@dataclass(frozen=True)
class Scrambled(Retold):
    """A reader that tells everything visible at `at` as it is, and everything else wrongly.

    Attributes:
        reader: the honest one.
        at: T, microseconds since the epoch; tiles need a midnight.
        seed: of the corruption; the same seed corrupts alike.
    """

    at: int
    seed: int

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        raise KeyRefused(
            f"files of {table} hold the truth", place="future-scramble", repair="Let the stage use `read` for it."
        )

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = list(partitions)
        if table in _MODELS:
            return self.reader.read(table, [self._model(table, partition) for partition in wanted], columns)
        if table not in (PLAY_FACTS.name, *_RECORDS, *_TILES):
            return self.reader.read(table, wanted, columns)
        clocks = [name for name in _clocks(table) if columns is not None and name not in columns]
        rows = self.reader.read(table, wanted, None if columns is None else [*columns, *clocks])
        other = self._corrupted(table, rows)
        return other if columns is None else other.select(list(columns))

    def _model(self, table: str, partition: Partition) -> Partition:
        """A model as of a midnight after T is another day's; one that nobody published yet stays so."""
        published = self.reader.published(table)
        return published[0] if midnight(partition.day) > self.at and partition in published else partition

    def _corrupted(self, table: str, rows: pa.Table) -> pa.Table:
        rng = np.random.default_rng([self.seed, self.at % (1 << 62), sum(table.encode()), rows.num_rows])
        if table == PLAY_FACTS.name:
            return self._plays(rows, rng)
        return self._tiles(rows, rng) if table in _TILES else self._records(table, rows, rng)

    def _plays(self, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        hidden = (_instants(rows, c.PLAYED_AT) >= self.at) | (_instants(rows, c.KNOWN_AT) >= self.at)
        seen, rest = np.flatnonzero(~hidden), np.flatnonzero(hidden)
        kept = rest[rng.random(len(rest)) >= _REMOVED]
        copied = seen[rng.random(len(seen)) < _COPIED]
        other = self._other_plays(rows.take(pa.array(np.concatenate([kept, copied]))), rows, rng)
        return pa.concat_tables([rows.take(pa.array(seen)), other, *self._at_the_edge(rows, rng)]).combine_chunks()

    def _at_the_edge(self, rows: pa.Table, rng: np.random.Generator) -> Iterator[pa.Table]:
        """For everybody a play just before T that is known at T exactly, and one that begins at T exactly.

        They fall to a `<=` where `<` belongs, of either clock.
        """
        if c.PROFILE not in rows.column_names:
            return
        _, first = np.unique(_ints(rows, c.PROFILE), return_index=True)
        for before in (int(rng.integers(1, DAY)), 0):
            edge = rows.take(pa.array(first))
            if c.TITLE in rows.column_names:
                drawn = pa.array(rng.integers(0, max(rows.num_rows, 1), len(first)))
                edge = _set(edge, c.TITLE, rows.column(c.TITLE).take(drawn))
            edge = _set(edge, c.PLAYED_AT, pa.array(np.full(len(first), self.at - before)).cast(INSTANT))
            yield _set(edge, c.KNOWN_AT, pa.array(np.full(len(first), self.at)).cast(INSTANT))

    def _other_plays(self, other: pa.Table, pool: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Other plays in place of these: anybody's, of anything, anywhere, and not one of them visible."""
        n = other.num_rows
        until = midnight(self.reader.last_day) + DAY
        played = rng.integers(self.at - 60 * DAY, until, n) if n else np.empty(0, np.int64)
        early = played < self.at
        known = np.where(early, self.at, played) + np.where(rng.random(n) < 0.2, 0, rng.integers(0, 9 * DAY, n))
        stranger = rng.random(n) < 0.2
        for name in (c.TITLE, c.PROFILE, c.COUNTRY, c.DEVICE):
            if name in other.column_names and n:
                drawn = pool.column(name).take(pa.array(rng.integers(0, pool.num_rows, n)))
                other = _set(other, name, drawn)
        if c.PROFILE in other.column_names:
            whose = np.where(stranger, _STRANGERS + np.arange(n), _ints(other, c.PROFILE))
            other = _set(other, c.PROFILE, pa.array(whose))
        other = _set(other, c.PLAYED_AT, pa.array(played).cast(INSTANT))
        other = _set(other, c.KNOWN_AT, pa.array(known).cast(INSTANT))
        if c.WATCHED_MS in other.column_names:
            other = _set(other, c.WATCHED_MS, pa.array(rng.integers(1, 36_000_000, n)))
        if c.ENGAGED in other.column_names:
            other = _set(other, c.ENGAGED, pa.array((1 - _ints(other, c.ENGAGED)).astype(np.int8)))
        return other

    def _tiles(self, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Tiles known on T's day or later count other things; T is a midnight."""
        hidden = np.asarray(rows.column(c.KNOWN_DATE).cast(pa.int32())) >= self.at // DAY
        for name in (c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS):
            if name in rows.column_names:
                other = _ints(rows, name) + rng.integers(1, 1_000, rows.num_rows)
                rows = _set(rows, name, pa.array(np.where(hidden, other, _ints(rows, name))))
        if c.LAST_PLAYED_AT in rows.column_names:
            last = np.where(hidden, self.at, _instants(rows, c.LAST_PLAYED_AT))
            rows = _set(rows, c.LAST_PLAYED_AT, pa.array(last).cast(INSTANT))
        return rows

    def _records(self, table: str, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Records known later say something else; known ones are told anew and differently, every tenth later, all at T exactly.

        What is known at T exactly falls to a `<=` where `<` belongs, whoever's context begins at T.
        """
        order = table_spec(table).order
        hidden = _instants(rows, c.KNOWN_AT) >= self.at
        seen, rest = np.flatnonzero(~hidden), np.flatnonzero(hidden)
        again = seen[rng.random(len(seen)) < _COPIED]
        later = rows.take(pa.array(np.concatenate([rest, again, seen])))
        known = self.at + rng.integers(0, 9 * DAY, later.num_rows)
        known[len(rest) + len(again) :] = self.at
        later = _set(later, c.KNOWN_AT, pa.array(known).cast(INSTANT))
        told = [name for name in rows.column_names if name not in (order[0], c.KNOWN_AT, c.COUNTRY)]
        shuffled = rows.take(pa.array(rng.integers(0, max(rows.num_rows, 1), later.num_rows)))
        for name in told if rows.num_rows else ():
            later = _set(later, name, shuffled.column(name))
        whole = pa.concat_tables([rows.take(pa.array(seen)), later])
        return whole.sort_by([(name, "ascending") for name in order]).combine_chunks()


def _clocks(table: str) -> tuple[str, ...]:
    if table == PLAY_FACTS.name:
        return (c.PLAYED_AT, c.KNOWN_AT)
    return (c.KNOWN_DATE,) if table in _TILES else (c.KNOWN_AT,)


def _set(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    where = rows.schema.get_field_index(name)
    return rows.set_column(where, rows.schema.field(where), values.cast(rows.schema.field(where).type))


def _ints(rows: pa.Table, name: str) -> Ints:
    return np.asarray(pc.cast(rows.column(name), pa.int64())).astype(np.int64)


def _instants(rows: pa.Table, name: str) -> Ints:
    return _ints(rows, name)


# --- contexts at or before T -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """The first value that the future changed."""

    context_id: int
    profile_id: int
    at: int
    column: str
    honest: Any
    scrambled: Any

    def __str__(self) -> str:
        return (
            f"context {self.context_id} (profile {self.profile_id}, {iso(self.at)}): {self.column} "
            f"is {self.honest}, and {self.scrambled} with another future"
        )


def derived(
    start: Frame, told: Reader, settings: Settings, extension: FeatureExtension, *, until: date, day: date
) -> Frame:
    """What a training set derives of labelled sessions from what a reader tells: all but their labels."""
    added: Sequence[Transformer]
    added, sources = extension.steps(told, [day], settings)
    timeline = read_timeline(told, settings, until=until)
    return steps(settings, added).apply(
        start, Sources(timeline, CandidateSets(timeline, settings.rules.seen), *sources)
    )


def first_difference(honest: Frame, other: Frame) -> Difference | None:
    """The first context whose bytes differ, with the column; None if none does. Contexts of both are in order of `at`."""
    contexts = _difference_of_contexts(honest, other)
    if contexts is not None or not honest.n_contexts:
        return contexts
    found = []
    for part in ("items", "features"):
        a, b = getattr(honest, part), getattr(other, part)
        for name in a.column_names:
            changed = _changed(a.column(name), b.column(name))
            if len(changed):
                found.append((int(changed[0]), name, a.column(name), b.column(name)))
    if not found:
        return None
    row, name, mine, theirs = min(found, key=lambda one: one[0])
    item = honest.item(c.TITLE)[row]
    return _difference(
        honest, int(honest.context_of_item[row]), f"{name} of title {item}", mine[row].as_py(), theirs[row].as_py()
    )


def _difference_of_contexts(honest: Frame, other: Frame) -> Difference | None:
    n = min(honest.n_contexts, other.n_contexts)
    found: list[tuple[int, str, Any, Any]] = []
    for name in honest.contexts.column_names:
        a, b = honest.contexts.column(name)[:n], other.contexts.column(name)[:n]
        changed = _changed(a, b)
        if len(changed):
            found.append((int(changed[0]), name, a[int(changed[0])].as_py(), b[int(changed[0])].as_py()))
    lengths = np.flatnonzero(np.diff(honest.offsets)[:n] != np.diff(other.offsets)[:n])
    for row in lengths[:1]:
        mine, theirs = (int(np.diff(frame.offsets)[row]) for frame in (honest, other))
        found.append((int(row), "number of items", mine, theirs))
    if found:
        row, *rest = min(found, key=lambda one: one[0])
        return _difference(honest, row, *rest)
    if honest.n_contexts != other.n_contexts:
        longer = honest if honest.n_contexts > n else other
        return _difference(longer, n, "kept by the sampler", longer is honest, longer is other)
    return None


def _difference(frame: Frame, row: int, column: str, honest: Any, scrambled: Any) -> Difference:
    context, profile, at = (int(frame.context(name)[row]) for name in (c.CONTEXT_ID, c.PROFILE, c.AT))
    return Difference(context, profile, at, column, honest, scrambled)


def _changed(a: pa.ChunkedArray, b: pa.ChunkedArray) -> Ints:
    """Rows whose values differ; NaN equals NaN, null equals null."""
    if len(a) != len(b):
        return np.array([min(len(a), len(b)) - 1]).clip(0)
    same = pc.fill_null(pc.equal(a, b), False)
    nothing = pc.and_(pc.is_null(a, nan_is_null=True), pc.is_null(b, nan_is_null=True))
    return np.flatnonzero(~np.asarray(pc.or_(same, nothing)))


def leak_before(
    partition: Partition, at: int, reader: Reader, settings: Settings, extension: FeatureExtension, *,
    at_most: int = 1 << 40,
) -> Finding:  # fmt: skip
    """Whether the contexts of a partition at or before `at` derive the same whatever comes after.

    Args:
        reader: knows what the partition's stage reads.
        at: T; the context that begins at this very instant is among those compared, and its own play is hidden.
        at_most: contexts looked at, the last ones before T: those nearest to what they must not see.
    """
    start = labelled_sessions(partition, reader, settings)
    before = np.flatnonzero(start.context(c.AT) <= at)[-at_most:]
    start = start.take(before)
    until = max(partition.day, *(p.day for p in reader.published(PLAY_FACTS.name)))
    honest, other = (
        derived(start, told, settings, extension, until=until, day=partition.day)
        for told in (reader, Scrambled(reader, at, settings.seed))
    )
    found = first_difference(honest, other)
    counts = {"context": honest.n_contexts, "item": honest.n_items, "feature": honest.features.num_columns}
    of = ", ".join(counted(number, what) for what, number in counts.items())
    return Finding(found is None, f"{found}" if found else f"{of}: the same bytes")


# --- what is made as of a midnight -----------------------------------------------------------------------------------


def leak_at_midnight(stage: Stage, partition: Partition, reader: Reader, settings: Settings) -> Finding:
    """Whether a partition that is as of 00:00 of its date comes out the same whatever comes from then on.

    A stage that rolls is held to it both ways: made from nothing, and rolled from the day before (`walks`), all of it in
    the scrambled world.

    Args:
        reader: knows what the stage reads for each of `walks`.
    """
    (honest,) = stage.build([partition], reader, settings)
    told = Scrambled(reader, midnight(partition.day), settings.seed)
    for way, walked in walks(stage, partition).items():
        *_, other = stage.build(walked, told, settings)
        for name, rows in honest.tables.items():
            if content_hash(rows) != content_hash(other.tables[name]):
                return Finding(False, f"{name} {partition.key}{way}: {_first_row(name, rows, other.tables[name])}")
    rows_of = ", ".join(f"{rows.num_rows:,} rows of {name}" for name, rows in honest.tables.items())
    both = ", from nothing and rolled" if stage.starts_from(partition) else ""
    return Finding(True, f"{rows_of}: the same bytes{both}")


def walks(stage: Stage, partition: Partition) -> dict[str, list[Partition]]:
    """The ways in which a stage comes to a partition: by itself, and, if it rolls, from the day before."""
    before = stage.starts_from(partition)
    rolled = {} if before is None else {", rolled": [Partition(before, partition.country), partition]}
    return {"": [partition], **rolled}


def _first_row(name: str, honest: pa.Table, other: pa.Table) -> str:
    n = min(honest.num_rows, other.num_rows)
    keys = table_spec(name).order
    for column in honest.column_names:
        if pa.types.is_nested(honest.schema.field(column).type):
            continue
        changed = _changed(honest.column(column)[:n], other.column(column)[:n])
        if len(changed):
            row = int(changed[0])
            where = ", ".join(f"{key} {honest.column(key)[row].as_py()}" for key in keys)
            return (
                f"{where}: {column} is {_short(honest.column(column)[row].as_py())}, and "
                f"{_short(other.column(column)[row].as_py())} with another future"
            )
    return f"{honest.num_rows} rows, and {other.num_rows} with another future"


def _short(value: Any) -> str:
    return f"{value!r}"[:60]


def subject_of(partition: Partition, at: int) -> str:
    return f"{partition.key} at {iso(at)}"


def chosen_instant(starts: Ints, rng: np.random.Generator) -> int:
    """T for a partition: the instant of one of its contexts, of the later half, so that there is a past and a future."""
    ordered = np.sort(starts)
    return int(ordered[rng.integers(len(ordered) // 2, len(ordered))])


__all__ = [
    "Difference", "Scrambled", "chosen_instant", "derived", "first_difference", "leak_at_midnight", "leak_before",
    "subject_of", "walks",
]  # fmt: skip
