"""`play_facts`: one row per play, with its engagement."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.config import EngagementRule
from rec_platform.facts.engagement import engaged
from rec_platform.tables import PLAY_FACTS

#: The value of `event` that facts, tiles and contexts count; a `shown` row is a fact source of its own.
PLAY: Final = "play"
UNKNOWN_DEVICE: Final = "unknown"

#: The columns of `raw_plays` that facts are made of.
RAW_COLUMNS: Final = (c.EVENT, *PLAY_FACTS.schema.names, c.RUNTIME_MS)


def only_plays(raw_plays: pa.Table) -> pa.Table:
    """The rows of `raw_plays` that are plays, in the same order."""
    is_play = pc.equal(raw_plays.column(c.EVENT), PLAY)
    return raw_plays if pc.all(is_play, min_count=0).as_py() else raw_plays.filter(is_play)


def play_facts(raw_plays: pa.Table, rule: EngagementRule) -> pa.Table:
    """One row per play of `raw_plays`, in the same order: the table `play_facts`.

    An unknown duration becomes 0 ms, an unknown device the text 'unknown'.
    """
    plays = only_plays(raw_plays)
    facts = {name: plays.column(name) for name in PLAY_FACTS.schema.names}
    facts[c.WATCHED_MS] = pc.fill_null(plays.column(c.WATCHED_MS), 0)
    facts[c.DEVICE] = pc.fill_null(plays.column(c.DEVICE), UNKNOWN_DEVICE)
    facts[c.ENGAGED] = pa.chunked_array([engaged(plays, rule)])
    return pa.table(facts, schema=PLAY_FACTS.schema)
