"""Ties as trec_eval breaks them, for numbers that must be equal to its own.

trec_eval orders a list by falling score, read as float32, and equal scores by falling document id, compared as text: the
last in the alphabet stands first. That is one order of many and favours some titles, so it is a protocol of its own
(`Protocol(ties="trec")`), never mixed with the default.
"""

from __future__ import annotations

import numpy as np

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation.scored import candidates, check_scores, ranked_before, score_of

#: Values of `Protocol.ties`.
EXPECTED, TREC = "expected", "trec"


def in_trec_order(frame: Frame, models: tuple[str, ...]) -> Frame:
    """The frame with every model's scores replaced by distinct ones in trec_eval's order.

    Ids are `source_id` where items have it, else `title_id` as text. Raises `SchemaError` for the stored form, which keeps
    how many candidates score equal and not which.
    """
    if ranked_before(frame):
        raise SchemaError(
            "ties cannot be broken by title id in the form of the scores table", place="frame given to evaluate",
            repair="Give full lists, or leave ties to their expectation.",
        )  # fmt: skip
    check_scores(frame, models, candidates(frame))
    name = c.SOURCE_ID if c.SOURCE_ID in frame.items.column_names else c.TITLE
    _, code = np.unique(np.asarray(frame.item(name)).astype(str), return_inverse=True)
    context = frame.context_of_item
    place = np.arange(frame.n_items, dtype=np.float64)
    broken = {}
    for model in models:
        order = np.lexsort((-code, -score_of(frame, model).astype(np.float32), context))
        broken[model] = np.empty(frame.n_items)
        broken[model][order] = -place
    return frame.with_scores(broken)
