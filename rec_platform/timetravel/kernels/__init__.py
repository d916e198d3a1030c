"""Compiled code: loops over histories and ticks, plain arrays in and out, integers throughout; over scores and trees.

Each kernel works on its own contexts, touches nothing shared and releases the interpreter lock; the feature generator
runs chunks of contexts in threads, a live request calls the same kernel on one context. So there is one body, one
signature and one result, whatever the number of threads (decision 0021).

Words used below: `known` is max(played_at, known_at), so that a play is visible at T iff known < T. A history is the
slice starts[p]:starts[p + 1] of arrays sorted by (profile, played_at). `NONE` stands where there is no instant.
**Moves** are the plays that come into a window, and go out of it, from one context of a profile to its next: every fact
of a profile is a running count over them (decision 0052).
"""

from __future__ import annotations

from rec_platform.timetravel.kernels import lanes
from rec_platform.timetravel.kernels.availability import offered_since
from rec_platform.timetravel.kernels.codes import hash_codes, hash_table, place_codes, recode, take_in, take_in_close
from rec_platform.timetravel.kernels.columns import (
    contexts,
    enter,
    gathered,
    infinite,
    keep,
    look_up,
    mark,
    marked,
    scatter,
    spread,
)
from rec_platform.timetravel.kernels.compiling import (
    ALL_TIME,
    DAY,
    FOREVER,
    HOUR,
    NONE,
    Bools,
    Float32,
    Float64,
    Int16,
    Int32,
    Int64,
    Integers,
    compiled,
    plain,
    readable,
)
from rec_platform.timetravel.kernels.histories import (
    group_order,
    group_places,
    group_starts,
    next_of_title,
    place,
    rearrange,
    sort_within,
    take_least,
    unsorted_groups,
)
from rec_platform.timetravel.kernels.instants import first_played, local_firsts, local_keys, local_lasts
from rec_platform.timetravel.kernels.rankings import count_above, keep_best
from rec_platform.timetravel.kernels.records import (
    moved_attribute_ends,
    moved_attribute_firsts,
    moved_attributes,
    revision,
    revisions_at,
    seen_titles,
)
from rec_platform.timetravel.kernels.search import lower_bound
from rec_platform.timetravel.kernels.ticks import (
    add_ends,
    add_ends_to_ticks,
    add_plays,
    add_to_ticks,
    drop_plays,
    item_columns,
    ticks_of,
)
from rec_platform.timetravel.kernels.trees import sum_trees
from rec_platform.timetravel.kernels.windows import (
    first_moves,
    moved_keys,
    moved_lasts,
    moved_lookups,
    moved_sums,
    moved_title_ends,
    signed,
    signs_of,
    window_moves,
)

__all__ = [
    "ALL_TIME",
    "DAY",
    "FOREVER",
    "HOUR",
    "NONE",
    "Bools",
    "Float32",
    "Float64",
    "Int16",
    "Int32",
    "Int64",
    "Integers",
    "add_ends",
    "add_ends_to_ticks",
    "add_plays",
    "add_to_ticks",
    "compiled",
    "contexts",
    "count_above",
    "drop_plays",
    "enter",
    "first_moves",
    "first_played",
    "gathered",
    "group_order",
    "group_places",
    "group_starts",
    "hash_codes",
    "hash_table",
    "infinite",
    "item_columns",
    "keep",
    "keep_best",
    "lanes",
    "local_firsts",
    "local_keys",
    "local_lasts",
    "look_up",
    "lower_bound",
    "mark",
    "marked",
    "moved_attribute_ends",
    "moved_attribute_firsts",
    "moved_attributes",
    "moved_keys",
    "moved_lasts",
    "moved_lookups",
    "moved_sums",
    "moved_title_ends",
    "next_of_title",
    "offered_since",
    "place",
    "place_codes",
    "plain",
    "readable",
    "rearrange",
    "recode",
    "revision",
    "revisions_at",
    "scatter",
    "seen_titles",
    "signed",
    "signs_of",
    "sort_within",
    "spread",
    "sum_trees",
    "take_in",
    "take_in_close",
    "take_least",
    "ticks_of",
    "unsorted_groups",
    "window_moves",
]
