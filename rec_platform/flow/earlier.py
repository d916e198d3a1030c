"""The rows of a stage's own earlier partitions, for a stage that can build on them (`Stage.build_on`).

A short cut and no input: fingerprints are over the inputs alone, which define a partition, so they say the same whichever
way it was made. Hence an earlier date serves only if its partitions in all delivered countries are

    current   the planner would leave them alone: the fingerprint, made again from the inputs as they stand, is the one on
              record, and none is marked stale (`flow/run.py` asks)
    intact    the rows read have the content hash on record

and otherwise the stage builds from its inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import MissingInput, StorageFault
from rec_platform.flow.index import Index
from rec_platform.lake import content_hash_like
from rec_platform.partition import Partition
from rec_platform.stage import Earlier, Input
from rec_platform.tables import TableSpec, table


def earlier_of(
    index: Index, tables: Iterable[TableSpec], partitions: Sequence[Partition], inputs: Iterable[Input]
) -> Earlier | None:
    """The rows of these partitions, all of one date and known to be current; None where some are not intact.

    Args:
        inputs: what the stage will read besides; the news are of the partitions they name.
    """
    rows = {}
    for spec in tables:
        found = intact(index, spec, partitions)
        if found is None:
            return None
        rows[spec.name] = found
    return Earlier(partitions[0].day, rows, _news(index, inputs, partitions[0].day))


def intact(index: Index, spec: TableSpec, partitions: Sequence[Partition]) -> pa.Table | None:
    """The rows of partitions that have a state; None where they cannot be read, or are not those on record."""
    states = index.state(spec.name)
    try:
        rows = index.lake.read(spec.name, partitions, None, index.versions[spec.name])
    except (StorageFault, MissingInput, pa.ArrowException):
        return None
    names, start = spec.schema.names, 0
    for partition in partitions:
        state = states[partition]
        found = content_hash_like(state.content_hash, rows.slice(start, state.rows).select(names))
        if found != state.content_hash:
            return None
        start += state.rows
    return rows if start == rows.num_rows else None


def _news(index: Index, inputs: Iterable[Input], day: date) -> dict[str, pa.Table]:
    """Which partitions have news is read off their states, so that only these are opened."""
    named: dict[str, set[Partition]] = {}
    for one in dict.fromkeys(inputs):
        if c.KNOWN_DATE in table(one.table).schema.names:
            named.setdefault(one.table, set()).update(index.partitions(one))
    return {
        name: index.lake.read(
            name, _with_news(index, name, partitions, day), None, index.versions[name], known_from=day
        )
        for name, partitions in named.items()
    }


def _with_news(index: Index, name: str, partitions: Iterable[Partition], day: date) -> list[Partition]:
    states = index.state(name)
    before = (partition for partition in partitions if partition.day < day)
    return sorted(one for one in before if states[one].newest_known >= day.isoformat())
