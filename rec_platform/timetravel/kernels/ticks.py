"""Title-side facts, by tick."""

from __future__ import annotations

from rec_platform.timetravel.kernels.compiling import (
    HOUR,
    NONE,
    Float64,
    Int16,
    Int32,
    Int64,
    compiled,
)
from rec_platform.timetravel.kernels.search import lower_bound


@compiled
def ticks_of(instants: Int64, per_tick: int, out: Int32) -> None:
    """The tick, of so many hours each, that each instant lies in."""
    for i in range(len(instants)):
        hour = instants[i] // HOUR
        out[i] = hour if per_tick == 1 else hour // per_tick


@compiled
def add_plays(
    sums: Int64,
    since: Int64,
    measures: Int64,
    rows: Int32,
    amounts: Int64,
    first_hour: int,
    last_hour: int,
    place: Int32,
    country: Int16,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """Add those of `rows` that became visible from `first_hour` on and before `last_hour` to sums (places, titles, columns).

    Column k takes plays from the instant since[k] on. `amounts` has a row per measure; `measures` tells which one each
    column sums. `place` maps country codes to rows of the state.
    """
    for r in range(len(rows)):
        row = rows[r]
        if first_hour <= visible_hour[row] < last_hour:
            at, t, when = place[country[row]], title[row], played[row]
            for k in range(len(since)):
                if when >= since[k]:
                    sums[at, t, k] += amounts[measures[k], r]


@compiled
def add_ends(
    first: Int64,
    last: Int64,
    rows: Int32,
    first_hour: int,
    last_hour: int,
    place: Int32,
    country: Int16,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """As `add_plays`, for the first and last visible play ever (places, titles)."""
    for row in rows:
        if first_hour <= visible_hour[row] < last_hour:
            at, t = place[country[row]], title[row]
            if first[at, t] == NONE or played[row] < first[at, t]:
                first[at, t] = played[row]
            last[at, t] = max(last[at, t], played[row])


@compiled
def drop_plays(
    sums: Int64,
    columns: Int64,
    measures: Int64,
    rows: Int32,
    amounts: Int64,
    last_hour: int,
    place: Int32,
    country: Int16,
    title: Int32,
    visible_hour: Int32,
) -> None:
    """Take those of `rows` that were counted, being visible before `last_hour`, out of some columns; see `add_plays`."""
    for k in columns:
        mine = amounts[measures[k]]
        for r in range(len(rows)):
            row = rows[r]
            if visible_hour[row] < last_hour:
                sums[place[country[row]], title[row], k] -= mine[r]


@compiled
def add_to_ticks(
    changes: Int64,
    ticks: Int64,
    windows: Int64,
    measures: Int64,
    amounts: Int64,
    per_tick: int,
    place: Int32,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """Write what plays change in the sums of chosen ticks (ticks, places, titles, columns), from each tick to the next.

    `ticks` ascend. A play comes into a column at the first tick that it is visible at, and goes out at the first whose
    window has left it; running sums along the ticks make the state of `add_plays` at each. `place` is one per play.
    """
    for row in range(len(title)):
        begin = lower_bound(ticks, 0, len(ticks), visible_hour[row] // per_tick + 1)
        when = played[row] // (per_tick * HOUR)
        for k in range(len(windows)):
            amount, end = amounts[measures[k], row], len(ticks)
            if windows[k] >= 0:
                end = lower_bound(ticks, begin, end, when + windows[k] + 1)
            if begin < end:
                changes[begin, place[row], title[row], k] += amount
                if end < len(ticks):
                    changes[end, place[row], title[row], k] -= amount


@compiled
def add_ends_to_ticks(
    first: Int64,
    last: Int64,
    ticks: Int64,
    per_tick: int,
    place: Int32,
    title: Int32,
    played: Int64,
    visible_hour: Int32,
) -> None:
    """As `add_to_ticks`, for the first and last play (ticks, places, titles) that became visible since the tick before.

    `FOREVER` stands in `first`, and `NONE` in `last`, where there is none.
    """
    for row in range(len(title)):
        begin = lower_bound(ticks, 0, len(ticks), visible_hour[row] // per_tick + 1)
        if begin < len(ticks):
            at, t = place[row], title[row]
            first[begin, at, t] = min(first[begin, at, t], played[row])
            last[begin, at, t] = max(last[begin, at, t], played[row])


@compiled
def item_columns(
    slab: Int64,
    columns: Int64,
    place: Int32,
    members: Int32,
    offsets: Int64,
    item: Int32,
    out: Float64 | Int64,
) -> None:
    """out[k, item] = slab[place of the context, title of the item, columns[k]] for the items of `members`.

    Sums come out as float64, instants as int64. Unknown countries and titles keep what is there.
    """
    for i in members:
        if place[i] < 0:
            continue
        mine, first, last = slab[place[i]], offsets[i], offsets[i + 1]
        titles = item[first:last]
        for k in range(len(columns)):
            column, values = mine[:, columns[k]], out[k, first:last]
            for j in range(len(titles)):
                if titles[j] >= 0:
                    values[j] = column[titles[j]]
