"""Frames that hold a context's whole candidate set."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rec_platform import columns as c
from rec_platform.contexts.segments import offsets_of
from rec_platform.dmc12.frame import Frame

Ints = npt.NDArray[np.int64]

#: Items in memory at once: 500,000 x 30 features x 4 bytes = 60 MB.
MAX_ITEMS: Final = 500_000
#: Item column: the title was played in the label window.
PLAYED: Final = "played"


def find_in_segments(values: Ints, starts: Ints, ends: Ints, wanted: Ints) -> Ints:
    """Where each wanted value stands in its own ascending segment values[start:end]; -1 where it does not.

    >>> find_in_segments(np.array([1, 5, 9, 2, 5]), np.array([0, 3]), np.array([3, 5]), np.array([9, 9])).tolist()
    [2, -1]
    """
    low, high = starts.copy(), ends.copy()
    while np.any(low < high):
        open_ = low < high
        middle = (low + high) // 2
        less = open_ & (values[np.minimum(middle, len(values) - 1)] < wanted)
        low = np.where(less, middle + 1, low)
        high = np.where(open_ & ~less, middle, high)
    found = low < ends
    found[found] = values[low[found]] == wanted[found]
    return np.where(found, low, -1)


def whole_sets(played: Frame, offsets: Ints, titles: Ints) -> Frame:
    """A frame of whole candidate sets with the labels of what was played.

    Args:
        played: contexts with the titles played in their label windows and `label` (NaN: not known at the cut).
        offsets, titles: each context's candidate set, titles ascending.

    Per context the candidates come first, in ascending order, then the titles played that are no candidates. Titles of
    label NaN are in neither part. Items have title_id, label (0 where not played), played, reachable (is a candidate);
    contexts get n_candidates.
    """
    context = played.context_of_item
    title = played.item(c.TITLE).astype(np.int64)
    label = played.item(c.LABEL).astype(np.float64)
    where = find_in_segments(titles, offsets[:-1][context], offsets[1:][context], title)
    late, outside = np.isnan(label), where < 0
    keep = np.ones(len(titles), dtype=np.bool_)
    keep[where[late & ~outside]] = False
    kept_before = offsets_of(keep.astype(np.int64))
    n_candidates = kept_before[offsets[1:]] - kept_before[offsets[:-1]]
    labels = np.zeros(len(titles))
    labels[where[~outside]] = label[~outside]
    was_played = np.zeros(len(titles), dtype=np.bool_)
    was_played[where[~outside]] = True
    extra = outside & ~late
    ends = offsets_of(n_candidates)[1:][context[extra]]
    items = {
        c.TITLE: np.insert(titles[keep], ends, title[extra]),
        c.LABEL: np.insert(labels[keep], ends, label[extra]),
        PLAYED: np.insert(was_played[keep], ends, True),
        c.REACHABLE: np.insert(np.ones(int(keep.sum()), dtype=np.bool_), ends, False),
    }
    lengths = n_candidates + np.bincount(context[extra], minlength=played.n_contexts)
    contexts = played.with_contexts({c.N_CANDIDATES: n_candidates}).contexts
    return Frame.of(contexts, offsets_of(lengths), items=items)
