"""Worlds of scored contexts for the tests of evaluation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.dmc12.frame import Frame
from rec_platform.scoring.ranking import tie_words


def _full(seed: int, *, contexts: int = 60, profiles: int = 20, titles: int = 30, levels: int = 6) -> Frame:
    """Full lists of all titles, with ties, unreachable positives, contexts without positives and unequal chances."""
    rng = np.random.default_rng(seed)
    m = contexts * titles
    label = rng.choice([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0], m) * np.repeat(rng.random(contexts) < 0.85, titles)
    reachable = ~((label > 0) & (rng.random(m) < 0.2))
    table = pa.table(
        {
            "profile_id": rng.integers(0, profiles, contexts),
            "country": rng.choice(["FR", "GB"], contexts),
            "context_id": rng.integers(0, 2**60, contexts),
            "tenure_band": rng.choice(["new", "1y+"], contexts),
            "activity_band": rng.choice(["none", "heavy"], contexts),
            "device": rng.choice(["tv", "phone"], contexts),
            "inclusion_probability": rng.choice([1.0, 0.3], contexts),
        }
    )
    items = {"title_id": np.tile(np.arange(titles), contexts), "label": label, "reachable": reachable}
    scores = {"a": rng.integers(0, levels, m) + label, "b": rng.random(m)}
    return Frame.of(table, np.arange(contexts + 1) * titles, items=items, scores=scores)


def _stored(frame: Frame, keep: int = 100, *, seed: int = 7) -> Frame:
    """The same contexts in the form of the scores table: positives, each model's best, and counts over all candidates.

    As the stage does: `random` is among the models, and equal scores at the border are kept by the seeded hash.
    """
    frame = frame.with_scores({"random": np.zeros(frame.n_items)})
    words = tie_words(seed, frame.context("context_id")[frame.context_of_item], frame.item("title_id"))
    models = frame.scores.column_names
    reachable, label = frame.item("reachable"), frame.item("label")
    chosen, counts = label > 0, {name: np.zeros(frame.n_items, np.int64) for model in models for name in
                                 (f"n_above.{model}", f"n_equal.{model}")}  # fmt: skip
    sizes = np.zeros(frame.n_contexts, np.int64)
    for i in range(frame.n_contexts):
        rows = np.arange(frame.offsets[i], frame.offsets[i + 1])
        inside = rows[reachable[rows]]
        sizes[i] = len(inside)
        for model in models:
            score = frame.scores.column(model).to_numpy()
            chosen[inside[np.lexsort((words[inside], -score[inside]))[:keep]]] = True
            for row in rows:
                higher, same = (score[inside] > score[row]).sum(), (score[inside] == score[row]).sum() - 1
                counts[f"n_above.{model}"][row] = higher if reachable[row] else len(inside)
                counts[f"n_equal.{model}"][row] = same if reachable[row] else 0
    lengths = np.bincount(frame.context_of_item[chosen], minlength=frame.n_contexts)
    items = {name: frame.item(name)[chosen] for name in frame.items.column_names}
    items |= {name: values[chosen] for name, values in counts.items()}
    scores = {model: frame.scores.column(model).to_numpy()[chosen] for model in models}
    contexts = frame.contexts.append_column("n_candidates", pa.array(sizes))
    return Frame.of(contexts, np.append(0, np.cumsum(lengths)), items=items, scores=scores)


@pytest.fixture(name="full", scope="session")
def full_fixture():
    return _full


@pytest.fixture(name="stored", scope="session")
def stored_fixture():
    return _stored
