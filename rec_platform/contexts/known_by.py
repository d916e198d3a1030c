"""Training sets as known then, or with all that is known now: a reader that tells the rest of the stage another history.

Under `then` (default) nothing is changed: each context sees what was known before its own instant. Under `now`, or an
instant K, what came late counts as if it had come in time:

- a play known before K counts as known the moment it was played; one known at K or later is left out. So it is visible at
  `at` iff played_at < at and known_at < K; what was played at `at` or later stays invisible, as ever;
- of records (titles, profiles, offers) the newest row known before K counts at every instant; later rows are left out.
  An offer still holds only over [available_from, available_to);
- `now` is K = never: everything in the versions that the run reads.

Only what is read changes, so contexts, labels, draws and features follow, and no kernel knows of it. *Ana's evening*
(clock.py) is in the features of the 11th under `now`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import day_of, iso, label_close, midnight, parse_instant
from rec_platform.errors import ConfigError
from rec_platform.partition import Partition
from rec_platform.stage import Reader, Retold
from rec_platform.tables import AVAILABILITY, INSTANT, PLAY_FACTS, PROFILES, TITLES

THEN: Final = "then"
NOW: Final = "now"
_RECORDS: Final = (TITLES.name, PROFILES.name, AVAILABILITY.name)
#: A record's `known_at` where it counts at every instant.
_EVER: Final = 0


def input_cut(known_by: str, day: date, horizon_days: int) -> date | None:
    """The cut of a training partition's inputs: nothing known from 00:00 UTC of it on can change the partition.

    >>> input_cut("then", date(2025, 3, 11), 1), input_cut("now", date(2025, 3, 11), 1)
    (datetime.date(2025, 3, 12), None)
    >>> input_cut("2025-04-01T06:00:00Z", date(2025, 3, 11), 1)
    datetime.date(2025, 4, 2)

    Raises:
        ConfigError: an instant before the close of the day's label windows: its labels would be unknown.
    """
    if known_by == THEN:
        return day + timedelta(days=horizon_days)
    if known_by == NOW:
        return None
    cut = parse_instant(known_by, place="training.known_by")
    close = label_close(day, horizon_days)
    if cut < close:
        raise ConfigError(
            f"known_by {known_by} is before {iso(close)}, when the label windows of {day} close",
            place="platform.toml, [training]", repair="Choose a later instant, `now`, or `then`.",
        )  # fmt: skip
    whole = day_of(cut)
    return whole if midnight(whole) == cut else whole + timedelta(days=1)


def as_known_by(reader: Reader, known_by: str) -> Reader:
    """The reader itself under `then`; else one that tells what is known by then as if it had always been."""
    if known_by == THEN:
        return reader
    return _AsKnownBy(reader, None if known_by == NOW else parse_instant(known_by, place="training.known_by"))


@dataclass(frozen=True)
class _AsKnownBy(Retold):
    """See the module. `cut` in microseconds; None cuts nothing."""

    cut: int | None

    def files(self, table: str, partitions: Iterable[Partition]) -> list[str]:
        if table in (PLAY_FACTS.name, *_RECORDS):
            raise ConfigError(
                f"files of {table} tell what was known then", place="training.known_by", repair="Read the rows instead."
            )
        return self.reader.files(table, partitions)

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        if table not in (PLAY_FACTS.name, *_RECORDS):
            return self.reader.read(table, partitions, columns)
        clocks = (c.KNOWN_AT, c.PLAYED_AT) if table == PLAY_FACTS.name else (c.KNOWN_AT,)
        asked = None if columns is None else list(dict.fromkeys([*columns, *clocks]))
        rows = self._known(self.reader.read(table, partitions, asked))
        ever = pa.repeat(pa.scalar(_EVER, INSTANT), rows.num_rows)
        since = rows.column(c.PLAYED_AT) if table == PLAY_FACTS.name else ever
        place = rows.schema.get_field_index(c.KNOWN_AT)
        rows = rows.set_column(place, rows.schema.field(place), since)
        return rows if columns is None else rows.select(list(columns))

    def _known(self, rows: pa.Table) -> pa.Table:
        if self.cut is None:
            return rows
        return rows.filter(pc.less(rows.column(c.KNOWN_AT), pa.scalar(self.cut, pa.int64()).cast(INSTANT)))
