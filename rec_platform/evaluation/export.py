"""Numbers for other tools: TREC run and qrels files, values per context, metrics as a tidy table.

    query = context_id, document = the title's id as the source writes it (blanks become `_`), relevance = 1 for a positive

A run holds the first places of one model, as far as the `scores` table keeps them (`[evaluation] keep_top`); qrels hold
every positive, those outside the candidate set too. trec_eval re-sorts a run by score and breaks ties by document id
descending, so `evaluate(..., ties="trec")` gives its numbers; ours take the mean over all orders of equal scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation.knowledge import NOTHING, Knowledge
from rec_platform.evaluation.metrics import STANDARD, Metric, members
from rec_platform.evaluation.scored import CEILING, RANDOM, candidates, ranked_before, score_of, scored, weights
from rec_platform.evaluation.view import Block, View, offered

#: What a run calls itself besides the model's name.
TAG: Final = "rec-platform"
#: Columns of a context that go with its values, where there are any.
ABOUT: Final = (c.CONTEXT_ID, c.PROFILE, c.COUNTRY, c.AT, c.DEVICE, c.TENURE_BAND, c.ACTIVITY_BAND)


def trec_run(frames: Iterable[Frame], model: str, names: Mapping[int, str], *, top: int = 100) -> Iterator[str]:
    """Lines `query Q0 document rank score tag`: a model's first `top` candidates of each context, best first.

    Equal scores stand in the order that trec_eval gives them (document id descending). `SchemaError` for a model that is
    not there.
    """
    for frame in frames:
        score, inside = score_of(frame, model), candidates(frame)
        if ranked_before(frame):
            inside = inside & (np.asarray(frame.item(f"{c.N_ABOVE}.{model}")) < top)
        title, context = frame.item(c.TITLE), frame.context_of_item
        documents = np.array([document(names, one) for one in title.tolist()], dtype=object)
        queries = frame.context(c.CONTEXT_ID)
        rows = np.flatnonzero(inside)
        ordered = sorted(rows.tolist(), key=lambda row: documents[row], reverse=True)
        ordered.sort(key=lambda row: (context[row], -score[row]))
        rank, current = 0, -1
        for row in ordered:
            rank = rank + 1 if context[row] == current else 1
            current = context[row]
            if rank <= top:
                yield f"{queries[current]} Q0 {documents[row]} {rank} {float(score[row])!r} {TAG}-{model}\n"


def trec_qrels(frames: Iterable[Frame], names: Mapping[int, str]) -> Iterator[str]:
    """Lines `query 0 document relevance`: every positive of each context; a title given twice stands once."""
    for frame in frames:
        rows = np.flatnonzero(np.asarray(frame.item(c.LABEL)) > 0)
        queries, title = frame.context(c.CONTEXT_ID)[frame.context_of_item[rows]], frame.item(c.TITLE)[rows]
        for query, one in dict.fromkeys(zip(queries.tolist(), title.tolist(), strict=True)):
            yield f"{query} 0 {document(names, one)} 1\n"


def document(names: Mapping[int, str], title: int) -> str:
    """A title's id in a TREC file, whose fields are parted by blanks.

    >>> document({7: "The  Wire"}, 7), document({}, 9)
    ('The_Wire', '9')
    """
    return "_".join(names.get(title, str(title)).split()) or str(title)


def context_values(
    frames: Iterable[Frame],
    *,
    metrics: Sequence[Metric] = STANDARD,
    models: Sequence[str] | None = None,
    cutoffs: tuple[int, ...] = (5, 10, 20, 100),
    knowledge: Knowledge = NOTHING,
    list_length: int = 100,
    seed: int = 0,
) -> Iterator[pa.Table]:
    """One row per context and model, frame by frame: what the context is, its weight, and the value of every metric.

    A value is null where the metric is not defined on the context (no positive). `weight` times value over the sum of the
    weights of the contexts that have one is the metric: nothing else is in it. Arguments as of `evaluate`.
    """
    for frame in frames:
        chosen = tuple(models or (name for name in frame.scores.column_names if name not in (RANDOM, CEILING)))
        block = Block(frame, scored(frame, chosen), knowledge, longest=list_length, seed=seed)
        about = frame.contexts.select([name for name in ABOUT if name in frame.contexts.column_names])
        for model in (*chosen, RANDOM, CEILING):
            there = offered(frame, model, chosen, knowledge)
            usable = [one for one in metrics if set(one.needs) <= there]
            yield _values(about, block, View(block, model), usable, cutoffs, list_length, weights(frame))


def _values(
    about: pa.Table, block: Block, view: View, metrics: Sequence[Metric], cutoffs: tuple[int, ...], longest: int,
    weight: np.ndarray,
) -> pa.Table:  # fmt: skip
    table = about.append_column(c.MODEL, pa.array([view.model] * about.num_rows, pa.string()))
    table = table.append_column(c.WEIGHT, pa.array(weight))
    for metric in metrics:
        inside = members(metric.counted_in, view.truth, block.has_taste)
        for k in metric.cutoffs(cutoffs):
            if k > longest and metric.needs:
                continue
            name = f"{metric.name}@{k}" if k else metric.name
            table = table.append_column(name, pa.array(metric.of(view, k), pa.float64(), mask=~inside))
    return table
