"""What late plays would change in snapshots: exactly, in every row, without making a snapshot again.

A snapshot of D is sums over the plays of a window that were known before D. Plays that were not are hidden rows of tiles
(those with `known_date` of D or later), and counting them too adds what they hold: integers, so published + hidden is what
a fresh count would give, to the bit. `LATE` takes the late plays of the partition's line for hidden, `NOW` every play that
is there by now. Of the last play it is the later one.

A profile or title without a row, with hidden plays in the country, would have one: `added`. The country of a profile's
record is left as it was known then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, days_between, midnight
from rec_platform.facts.tiles import profile_tiles, title_tiles
from rec_platform.flow.late import Late, Ledger
from rec_platform.flow.late_changes import KINDS, NOW, Bools, Difference, Floats, Ints, changes
from rec_platform.flow.platform import Platform
from rec_platform.flow.run import Progress, quiet
from rec_platform.partition import Partition
from rec_platform.stage import Input
from rec_platform.tables import (
    PLAY_FACTS,
    PROFILE_SNAPSHOT,
    PROFILE_TILES,
    TITLE_SNAPSHOT,
    TITLE_TILES,
    WINDOWS,
    TableSpec,
)
from rec_platform.timetravel.rolling import MEASURES

#: The stage, its tables, and the tiles each is summed from.
STAGE: Final = PROFILE_SNAPSHOT.stage
_TILES: Final = {PROFILE_SNAPSHOT: PROFILE_TILES, TITLE_SNAPSHOT: TITLE_TILES}
_MADE_BY: Final = {PROFILE_TILES: profile_tiles, TITLE_TILES: title_tiles}
_LONGEST: Final = WINDOWS[-1]


@dataclass(frozen=True)
class Hidden:
    """Rows of tiles, as of all countries and many days.

    Attributes:
        entity, country, day, known: whose plays, where (a number), of which day, from which day on known.
        measures: by name, and `last_played_at`.
    """

    entity: Ints
    country: Ints
    day: Ints
    known: Ints
    measures: dict[str, Ints]

    def where(self, mask: Bools) -> Hidden:
        """The rows where the mask is true."""
        measures = {name: part[mask] for name, part in self.measures.items()}
        return Hidden(self.entity[mask], self.country[mask], self.day[mask], self.known[mask], measures)

    def as_of(self, day: int) -> Hidden:
        """Those that a snapshot of the day would count if it knew of them."""
        return self.where((self.day < day) & (self.day >= day - _LONGEST) & (self.known >= day))


def snapshot_differences(
    platform: Platform, ledger: Ledger, *, kinds: Sequence[str] = KINDS, progress: Progress = quiet
) -> Iterator[Difference]:
    """Both snapshots of every partition of a ledger beside what they would be, by kind."""
    lines = [one for one in ledger.lines if one.stage == STAGE]
    stale = platform.plan(STAGE, [one.partition for one in lines]).stale
    places = {country: number for number, country in enumerate(platform.index.countries)}
    for spec, tiles in _TILES.items():
        for kind in kinds:
            late: dict[bytes, Hidden] = {}
            now = _now(platform, tiles, lines, places) if kind == NOW and lines else None
            for done, line in enumerate(lines):
                progress(f"{spec.name} with {kind}: {line.partition.key}", done / len(lines))
                key = line.numbers.tobytes()
                if now is None and key not in late:
                    late = {key: _late(platform, ledger, tiles, line, places)}
                hidden = (late[key] if now is None else now).as_of(_number(line.partition.day))
                found = _difference(platform, spec, line.partition, kind, hidden, places)
                yield replace(found, stale=line.partition in stale)


def _late(platform: Platform, ledger: Ledger, tiles: TableSpec, line: Late, places: dict[str, int]) -> Hidden:
    """The tiles of a line's late plays."""
    parts = []
    for cell, rows in ledger.plays(line.numbers).items():
        reader = platform.reader(Input(PLAY_FACTS.name, cell.day, cell.day, (cell.place,)))
        plays = reader.read(PLAY_FACTS.name, [cell], PLAY_FACTS.schema.names).take(pa.array(rows))
        made = _MADE_BY[tiles](plays)
        country = pa.chunked_array([pa.repeat(cell.place, made.num_rows)])
        parts.append(_hidden(made.append_column(c.COUNTRY, country), tiles, cell.day, places))
    return _joined(parts)


def _now(platform: Platform, tiles: TableSpec, lines: Sequence[Late], places: dict[str, int]) -> Hidden:
    """The tiles of plays known on a later date than they were played, for snapshots of the lines' days."""
    days = [line.partition.day for line in lines]
    first, last = min(days) - timedelta(days=_LONGEST), max(days) - timedelta(days=1)
    reader = platform.reader(Input(tiles.name, first, last, every_country=True, optional=True))
    parts = []
    for day in days_between(first, last):
        rows = reader.read(tiles.name, reader.published(tiles.name, day), [*tiles.schema.names, c.COUNTRY])
        found = _hidden(rows, tiles, day, places)
        parts.append(found.where(found.known > found.day))
    return _joined(parts)


def _hidden(rows: pa.Table, tiles: TableSpec, day: date, places: dict[str, int]) -> Hidden:
    country = pc.index_in(rows.column(c.COUNTRY), value_set=pa.array(list(places), pa.string()))
    return Hidden(
        _ints(rows, tiles.order[-1]), np.asarray(pc.cast(country, pa.int64())), np.full(rows.num_rows, _number(day)),
        np.asarray(pc.cast(rows.column(c.KNOWN_DATE), pa.int32())).astype(np.int64),
        {name: _ints(rows, name) for name in (*MEASURES, c.LAST_PLAYED_AT)},
    )  # fmt: skip


def _joined(parts: Sequence[Hidden]) -> Hidden:
    nothing = np.empty(0, dtype=np.int64)
    none = Hidden(nothing, nothing, nothing, nothing, dict.fromkeys((*MEASURES, c.LAST_PLAYED_AT), nothing))
    every = [none, *parts]
    return Hidden(
        np.concatenate([one.entity for one in every]), np.concatenate([one.country for one in every]),
        np.concatenate([one.day for one in every]), np.concatenate([one.known for one in every]),
        {name: np.concatenate([one.measures[name] for one in every]) for name in none.measures},
    )  # fmt: skip


def _difference(
    platform: Platform, spec: TableSpec, partition: Partition, kind: str, hidden: Hidden, places: dict[str, int]
) -> Difference:
    reader = platform.reader(Input(spec.name, partition.day, partition.day, (partition.place,)))
    published = reader.read(spec.name, [partition], spec.schema.names)
    ids = _ints(published, spec.order[-1])
    here = hidden.country == places[partition.place]
    added = np.setdiff1d(hidden.entity[here], ids)
    kept = np.isin(hidden.entity, ids)
    more, here = hidden.where(kept), here[kept]
    row = np.searchsorted(ids, more.entity)
    then = ((name, _floats(published, name)) for name in spec.schema.names[1:])
    columns = ((name, values, _would_be(name, values, more, row, here, partition.day)) for name, values in then)
    n = len(ids)
    found, changed = changes(columns, np.arange(n))
    return Difference(spec.name, partition, kind, n, n, changed, found, len(added))


def _would_be(name: str, then: Floats, more: Hidden, row: Ints, here: Bools, day: date) -> Floats:
    """A column with what hidden rows add to it."""
    if name == c.LAST_PLAYED_AT:
        found = then.copy()
        np.fmax.at(found, row, more.measures[name] / _SECOND)
        return found
    measure, days, scope = _COLUMNS[name]
    inside = (more.day >= _number(day) - days) & (here | (scope == ""))
    return then + np.bincount(row[inside], weights=more.measures[measure][inside], minlength=len(then))


_SECOND: Final = 1_000_000
#: Snapshot column -> measure, window, and whether it is of the country alone.
_COLUMNS: Final = {
    c.windowed(measure, days, scope): (measure, days, scope)
    for measure in MEASURES
    for days in WINDOWS
    for scope in ("", "country")
}

#: The units in which columns are compared.
UNITS: Final = {
    **{name: "ms" if measure == c.WATCHED_MS else "plays" for name, (measure, _, _) in _COLUMNS.items()},
    c.LAST_PLAYED_AT: "seconds",
}


def _floats(rows: pa.Table, name: str) -> Floats:
    """Counts and milliseconds as they are, an instant in seconds; null is NaN. All are below 2^53."""
    values = np.asarray(pc.cast(pc.cast(rows.column(name), pa.int64()), pa.float64()).to_numpy(), dtype=np.float64)
    return values / _SECOND if name == c.LAST_PLAYED_AT else values


def _ints(rows: pa.Table, name: str) -> Ints:
    return np.asarray(pc.cast(rows.column(name), pa.int64())).astype(np.int64, copy=False)


def _number(day: date) -> int:
    return midnight(day) // DAY
