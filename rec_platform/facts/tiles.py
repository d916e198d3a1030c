"""`title_tiles` and `profile_tiles`: the additive facts of one date and country, by the date they became known.

Integers only, so a sum of tiles is the same in any order, to the bit. Counts of distinct things are not additive and
therefore not here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.tables import PROFILE_TILES, TITLE_TILES, TableSpec

_PART: Final = "part"


def title_tiles(play_facts: pa.Table) -> pa.Table:
    """One row per title and `known_date` of the plays given: the table `title_tiles` of a date and country."""
    (tiles,) = tiles_by_part(play_facts, TITLE_TILES, c.TITLE, np.array([0, play_facts.num_rows]))
    return tiles


def profile_tiles(play_facts: pa.Table) -> pa.Table:
    """One row per profile and `known_date` of the plays given: the table `profile_tiles` of a date and country."""
    (tiles,) = tiles_by_part(play_facts, PROFILE_TILES, c.PROFILE, np.array([0, play_facts.num_rows]))
    return tiles


def tiles_by_part(facts: pa.Table, spec: TableSpec, entity: str, bounds: npt.NDArray[np.int64]) -> list[pa.Table]:
    """The tiles of many partitions at once: rows `bounds[i]` to `bounds[i + 1]` of `facts` are partition i.

    One grouping over all of them costs far less than one each (see docs/decisions/0016).
    """
    parts = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
    keyed = pa.table({
        _PART: parts,
        c.KNOWN_DATE: _days(facts.column(c.KNOWN_AT)),
        entity: facts.column(entity),
        c.WATCHED_MS: facts.column(c.WATCHED_MS),
        c.ENGAGED: facts.column(c.ENGAGED),
        c.PLAYED_AT: pc.cast(facts.column(c.PLAYED_AT), pa.int64()),
    })  # fmt: skip
    keys = [_PART, c.KNOWN_DATE, entity]
    sums = keyed.group_by(keys).aggregate(
        [([], "count_all"), (c.WATCHED_MS, "sum"), (c.ENGAGED, "sum"), (c.PLAYED_AT, "max")]
    )
    sums = sums.take(pc.sort_indices(sums, [(key, "ascending") for key in keys]))
    return _split(sums.rename_columns([*keys, c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS, c.LAST_PLAYED_AT]), spec, bounds)


def _split(sums: pa.Table, spec: TableSpec, bounds: npt.NDArray[np.int64]) -> list[pa.Table]:
    rows = np.bincount(np.asarray(sums.column(_PART)), minlength=bounds.size - 1)
    starts = np.cumsum(rows) - rows
    tiles = sums.select(spec.schema.names).cast(spec.schema).combine_chunks()
    return [tiles.slice(start, length) for start, length in zip(starts.tolist(), rows.tolist(), strict=True)]


def _days(instants: pa.ChunkedArray) -> pa.Array:
    """The UTC day of each instant, as days since 1970-01-01 (int32)."""
    return pa.array((np.asarray(pc.cast(instants, pa.int64())) // DAY).astype(np.int32))
