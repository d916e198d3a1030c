"""The slices of a partition: popularity, age of titles and activity of profiles as of 00:00 UTC of its date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.evaluation.expressions import Expression
from rec_platform.evaluation.slices import Division, Slices, popularity, profile_bands, title_ages
from rec_platform.evaluation.ties import Ints
from rec_platform.partition import Partition
from rec_platform.plays.reference import as_known
from rec_platform.stage import Input, Reader
from rec_platform.tables import PROFILE_SNAPSHOT, TITLE_SNAPSHOT, TITLES

#: Titles by plays in the country, profiles by plays anywhere, over 28 days.
_OF_TITLES: Final = c.windowed(c.PLAYS, 28, "country")
_OF_PROFILES: Final = c.windowed(c.PLAYS, 28)


def slice_inputs(partition: Partition) -> tuple[Input, ...]:
    """What `slices_of` reads."""
    day, here = partition.day, (partition.place,)
    return (
        *(Input(table.name, day, day, here, optional=True) for table in (TITLE_SNAPSHOT, PROFILE_SNAPSHOT)),
        Input(TITLES.name, cut=day),
    )


def slices_of(
    partition: Partition,
    reader: Reader,
    *,
    contexts: Sequence[str] = Slices().contexts,
    crossed: Sequence[tuple[str, str]] = (),
    own: Sequence[Expression] = (),
) -> Slices:
    """Slices by these context columns, by popularity and age of titles, by activity of profiles, and those of the user's own.

    Where a snapshot was not published, the slices it makes are not there.
    """
    titles = _by_plays(partition, reader, TITLE_SNAPSHOT.name, c.TITLE, _OF_TITLES)
    profiles = _by_plays(partition, reader, PROFILE_SNAPSHOT.name, c.PROFILE, _OF_PROFILES)
    known = _titles(partition, reader)
    ages = _ages(partition, known)
    by_title = tuple(one.division(known) for one in own if one.of == "title") if known is not None else ()
    return Slices(
        contexts=(*contexts, *(one.name for one in own if one.of == "context")),
        items=((popularity(*titles),) if titles else ()) + ((ages,) if ages else ()) + by_title,
        profiles=(profile_bands(*profiles),) if profiles else (),
        crossed=tuple(crossed),
    )


def _by_plays(partition: Partition, reader: Reader, table: str, key: str, plays: str) -> tuple[Ints, Ints] | None:
    if partition not in reader.published(table, partition.day):
        return None
    rows = reader.read(table, [partition], [key, plays])
    ids, counts = (np.asarray(rows.column(name).to_numpy(), dtype=np.int64) for name in (key, plays))
    return ids, counts


def _titles(partition: Partition, reader: Reader) -> pa.Table | None:
    """Titles as known at 00:00 of the date."""
    if not reader.published(TITLES.name):
        return None
    return as_known(reader.read(TITLES.name, [Partition()]), c.TITLE, midnight(partition.day))


def _ages(partition: Partition, titles: pa.Table | None) -> Division | None:
    """Ages by release; none where no title has a release."""
    known = None if titles is None else titles.filter(pc.is_valid(titles.column(c.RELEASED_AT)))
    if known is None or not known.num_rows:
        return None
    released = np.asarray(pc.cast(known.column(c.RELEASED_AT), pa.int64()), dtype=np.int64)
    return title_ages(known.column(c.TITLE).to_numpy(), (midnight(partition.day) - released) // DAY)
