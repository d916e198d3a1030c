"""A run over everything the kernels can do, on next to nothing, so that all of them are compiled.

`make` calls it once (`python -m rec_platform.timetravel.warm_up`); a warm start then loads them from the environment.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import GrowingIds, Ids
from rec_platform.timetravel.declared import DISTINCT, INSTANTS, MEASURES, OF_RECORDS, SUMS, Fact
from rec_platform.timetravel.gathered import Gathering
from rec_platform.timetravel.log import Log
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import Timeline


def run_everything() -> None:
    """Everything that the other modules ask of the kernels, on next to nothing."""
    run_facts()
    _rank()
    _walk()


def run_facts() -> None:
    """Compute every fact of one context over two plays, the later one first, with and without availability."""
    plays = pa.table(
        {
            c.PROFILE: [1, 1], c.TITLE: [2, 3], c.PLAYED_AT: pa.array([2 * DAY, DAY], INSTANT),
            c.KNOWN_AT: pa.array([2 * DAY, 4 * DAY], INSTANT), c.WATCHED_MS: [1, 1],
            c.ENGAGED: pa.array([1, 0], pa.int8()), c.COUNTRY: ["FR", "FR"],
        }
    )  # fmt: skip
    titles, profiles = TITLES.schema.empty_table(), PROFILES.schema.empty_table()
    offers = pa.Table.from_pylist(
        [{c.TITLE: 2, c.COUNTRY: "FR", c.AVAILABLE_FROM: 0, c.AVAILABLE_TO: None, c.KNOWN_AT: 0}], AVAILABILITY.schema
    )
    facts = [
        Fact(f"{entity}_{measure}", entity, measure)  # type: ignore[arg-type]
        for entity in MEASURES
        for measure in MEASURES[entity]
        if measure in (*SUMS, *INSTANTS, *OF_RECORDS, DISTINCT)
    ]
    facts.append(Fact("attribute_in_window", "profile_attribute", "first_played_at", 1))
    for availability in (offers, AVAILABILITY.schema.empty_table()):
        timeline = Timeline.build(plays, titles, profiles, availability, rules=SourceRules())
        compute(
            timeline, facts, profile_id=np.array([1]), country=["FR"], at=np.array([9 * DAY]),
            offsets=np.array([0, 1]), title_id=np.array([2]),
        )  # fmt: skip
        timeline.seen(np.array([1]), np.array([9 * DAY]))
        timeline.country_title_plays("FR", 2 * DAY, 1)
        timeline.country_title_plays("FR", 9 * DAY, 1)
        timeline.histories.next_of_title  # noqa: B018
    _gather(plays)
    _group_columns()
    _write_columns()


def _gather(plays: pa.Table) -> None:
    """Gather title-side sums of one tick."""
    profiles, titles = Ids.of(plays.column(c.PROFILE)), Ids.of(plays.column(c.TITLE))
    gathering = Gathering(np.array([9 * DAY]), ["FR"], len(titles))
    gathering.sweep(((c.PLAYS, 1),), per_tick=24, ends=True)
    gathering.take_in(Log.of(plays, (), profiles, titles, gathering.countries))


def _group_columns() -> None:
    """Codes of ids that lie close together, and far apart; columns of integers of every width, grouped and sorted."""
    GrowingIds().codes(np.zeros(2, dtype=np.int64))
    for greatest in (1, DAY):
        Ids.of(np.array([0, greatest])).codes(np.zeros(1, dtype=np.int64))
    starts, groups, rows = np.array([0, 1]), np.array([0]), np.zeros(1, dtype=np.int32)
    kernels.sort_within(starts, groups, rows, groups)
    for column in (np.zeros(1, np.int8), np.zeros(1, np.int16), np.zeros(1, np.int32), np.zeros(1, np.int64)):
        kernels.place(column, rows, column.copy())
        kernels.rearrange(starts, groups, rows, column)


def _write_columns() -> None:
    """Move an item's values in and out of a frame, whose columns may be Arrow's own memory or NumPy's."""
    rows, bounds, one, code = np.array([0]), np.array([0, 1]), np.ones(1), np.zeros(1, dtype=np.int32)
    for column in (rows, kernels.readable(rows, np.int64)):
        kernels.gathered(column, rows, bounds)
    kernels.contexts(rows, code, code, kernels.readable(rows, np.int64), kernels.readable(bounds, np.int64))
    kernels.infinite(kernels.readable(one, np.float64))
    kernels.gathered(code, rows, bounds)
    out = np.empty((1, 1), dtype=np.float32)
    kernels.keep(out, rows, out)
    kernels.scatter(one, rows, bounds, out[0])
    kernels.spread(out, rows, rows + 1, rows, out)
    kernels.mark(np.zeros((1, 1), dtype=np.bool_), rows, rows, rows + 1, code)
    kernels.marked(np.zeros((1, 1), dtype=np.bool_))
    kernels.enter(one, bounds, code, out)
    kernels.look_up(out[None], rows, rows, rows + 1, code, rows, out)
    for width in (np.int8, np.int16, np.int32, np.int64):
        kernels.signed(np.zeros(1, dtype=width), code)


def _rank() -> None:
    """Rank two equal candidates of a context."""
    bounds, sizes, kept = np.array([0, 2]), np.array([2]), np.zeros(2, dtype=np.bool_)
    scores, counts = np.zeros((1, 2)), np.zeros((1, 2), dtype=np.int64)
    kernels.keep_best(scores, bounds, sizes, np.zeros(2, dtype=np.uint64), 1, kept)
    kernels.count_above(scores, bounds, sizes, np.array([0, 1]), bounds, scores, counts, counts.copy())


def _walk() -> None:
    """Walk a tree that is one leaf."""
    number, code = np.zeros(1, dtype=np.float32), np.zeros(2, dtype=np.int32)
    kernels.sum_trees(number[None], number, np.array([0]), np.array([0]), code, number, code, number, np.zeros(1))


if __name__ == "__main__":
    run_everything()
