"""Scores of whole candidate sets: by hand, against a slow oracle, and the same in every chunk."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from scoring_world import DAY, AgainstRemainder, ByRemainder, Remainder, played_frame, timeline

from rec_platform import columns as c
from rec_platform.config import SeenRule
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.dmc12.frame import flat
from rec_platform.errors import ArtefactError, SchemaError
from rec_platform.models.baselines import RandomScorer
from rec_platform.pipeline import Sources
from rec_platform.scoring.candidates import PLAYED, whole_sets
from rec_platform.scoring.score import ContextScorer
from rec_platform.tables import SCORES_TABLE

NAN = float("nan")


def scorer(seen: str = "keep", keep_top: int = 3) -> ContextScorer:
    return ContextScorer(
        DAY, CandidateSets(timeline(), SeenRule(kind=seen)), [Remainder()],
        [RandomScorer(), ByRemainder(), AgainstRemainder()], Sources(), keep_top=keep_top, seed=11,
    )  # fmt: skip


def test_whole_sets_by_hand():
    """Candidates 1 2 3 and 2 4. Played: 2 (engaged), 3 (late), 9 (no candidate); then 4 (not engaged), 5 (late)."""
    played = played_frame([1, 2], [[2, 3, 9], [4, 5]], [[1.0, NAN, 1.0], [0.0, NAN]])
    frame = whole_sets(played, np.array([0, 3, 5]), np.array([1, 2, 3, 2, 4]))
    assert frame.offsets.tolist() == [0, 3, 5]
    assert frame.item(c.TITLE).tolist() == [1, 2, 9, 2, 4]
    assert frame.item(c.LABEL).tolist() == [0, 1, 1, 0, 0]
    assert frame.item(PLAYED).tolist() == [False, True, True, False, True]
    assert frame.item(c.REACHABLE).tolist() == [True, True, False, True, True]
    assert frame.context(c.N_CANDIDATES).tolist() == [2, 2]


def test_whole_sets_where_a_context_has_no_candidate():
    played = played_frame([1, 2, 3], [[7], [], [8]], [[1.0], [], [NAN]])
    frame = whole_sets(played, np.array([0, 0, 2, 2]), np.array([5, 6]))
    assert frame.item(c.TITLE).tolist() == [7, 5, 6]
    assert frame.context(c.N_CANDIDATES).tolist() == [0, 2, 0]
    assert frame.offsets.tolist() == [0, 1, 3, 3]


def oracle(played, seen: str) -> dict[tuple[int, int, str], tuple[int, int]]:
    """(context, title, model) -> counts above and equal, one by one from the definition, for every played title."""
    sets = CandidateSets(timeline(), SeenRule(kind=seen))
    counts = {}
    for row in range(played.n_contexts):
        profile = int(played.context(c.PROFILE)[row])
        ((_, _, titles),) = sets.chunks(played.take(np.array([row])))
        mine = slice(played.offsets[row], played.offsets[row + 1])
        labels = dict(zip(played.item(c.TITLE)[mine].tolist(), played.item(c.LABEL)[mine].tolist(), strict=True))
        candidates = [int(t) for t in titles if not np.isnan(labels.get(int(t), 0.0))]
        for model, sign in (("random", 0), ("by_remainder", 1), ("against_remainder", -1)):
            score = {t: sign * ((t + profile) % 7) for t in {*candidates, *labels}}
            for title, label in labels.items():
                if np.isnan(label):
                    continue
                above = sum(score[o] > score[title] for o in candidates)
                equal = sum(score[o] == score[title] for o in candidates if o != title)
                counts[row, title, model] = (above, equal) if title in candidates else (len(candidates), 0)
    return counts


PLAYED_TITLES = [[3, 21, 500], [], [7, 8, 9], [0]]
PLAYED_LABELS = [[1.0, NAN, 1.0], [], [0.0, 1.0, NAN], [1.0]]


@pytest.mark.parametrize("seen", ["keep", "drop"])
def test_counts_agree_with_the_oracle_and_every_played_title_is_kept(seen):
    played = played_frame([4, 5, 6, 700], PLAYED_TITLES, PLAYED_LABELS)
    scored = scorer(seen).score(played)
    frame, context = scored.frame, scored.frame.context_of_item
    expected = oracle(played, seen)
    got = {
        (int(context[row]), int(frame.item(c.TITLE)[row]), model): (
            scored.above.column(model)[row].as_py(), scored.equal.column(model)[row].as_py(),
        )
        for row in range(frame.n_items)
        for model in ("random", "by_remainder", "against_remainder")
    }  # fmt: skip
    assert {key: got[key] for key in expected} == expected
    late = [(0, 21), (2, 9)]
    assert not any((row, title) in late for row, title, _ in got)


def test_the_size_of_chunks_changes_nothing():
    played = played_frame([4, 5, 6, 700], PLAYED_TITLES, PLAYED_LABELS)
    whole = scorer().score(played).rows()
    for max_items in (1, 50, 97):
        assert scorer().score(played, max_items=max_items).rows().equals(whole)


def test_rows_are_of_the_declared_table_and_read_back():
    scored = scorer().score(played_frame([4, 5], [[3], []], [[1.0], []]))
    rows = scored.rows()
    SCORES_TABLE.check(rows.schema)
    back = flat(rows)
    assert back.scores.column_names == ["random", "by_remainder", "against_remainder"]
    assert back.item("n_above.by_remainder").tolist() == scored.above.column("by_remainder").to_pylist()
    assert set(back.item(c.WEIGHT).tolist()) == {1.0}
    assert (np.diff(back.offsets) >= 6).all()


def test_no_contexts_are_no_rows_of_the_same_shape():
    rows = scorer().score(played_frame([], [], [])).rows()
    assert rows.num_rows == 0
    SCORES_TABLE.check(rows.schema)
    assert flat(rows).scores.column_names == ["random", "by_remainder", "against_remainder"]


def test_a_context_before_the_models_date_is_refused():
    early = played_frame([4], [[3]], [[1.0]], day=DAY - timedelta(days=1))
    with pytest.raises(ArtefactError, match="models as of 2025-03-10, which saw plays after it"):
        scorer().score(early)


def test_a_feature_nobody_adds_is_named_before_anything_is_scored():
    lacking = ContextScorer(DAY, CandidateSets(timeline(), SeenRule()), [], [ByRemainder()], Sources(), 3, 1)
    with pytest.raises(SchemaError, match="remainder"):
        lacking.score(played_frame([4], [[3]], [[1.0]]))


def test_kept_items_hold_the_top_of_each_model_exactly():
    scored = scorer(keep_top=5).score(played_frame([4], [[]], [[]]))
    for model in ("by_remainder", "against_remainder"):
        above = np.asarray(scored.above.column(model))
        assert (above < 5).sum() >= 5
    assert isinstance(scored.rows(), pa.Table)
