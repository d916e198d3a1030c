"""Draws: exact probabilities, fixed size, no repeats, and nothing that depends on the future or on chunks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from context_worlds import DAY_ONE, histories, play_table, timeline
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, label_close, midnight
from rec_platform.config import NegativeConfig, SeenRule, SessionRule
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.contexts.labels import with_labels
from rec_platform.contexts.negatives import STEP, NegativeGenerator, segment_lengths, systematic
from rec_platform.contexts.sessions import sessions
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.testing import context_oracle as oracle
from rec_platform.testing.context_oracle import Play

CLOSE = label_close(DAY_ONE, 1)
START = midnight(DAY_ONE)


def labelled(plays: list[Play]) -> Frame:
    table = play_table([p for p in plays if p.country == "FR"])
    contexts = sessions(table, country="FR", day=DAY_ONE, cut=CLOSE, rule=SessionRule())
    return with_labels(contexts, table, close=CLOSE)


def filled(plays: list[Play], start: Frame, *, items: int = 3, seed: int = 1, rule: SeenRule | None = None) -> Frame:
    step = NegativeGenerator(NegativeConfig(items=items), seed)
    return Pipeline([step]).apply(start, Sources(CandidateSets(timeline(plays), rule or SeenRule())))


def of(frame: Frame, row: int) -> dict[int, tuple[float, float]]:
    mine = slice(frame.offsets[row], frame.offsets[row + 1])
    columns = [frame.item(name)[mine].tolist() for name in (c.TITLE, c.LABEL, c.ITEM_INCLUSION_PROBABILITY)]
    return {title: (label, p) for title, label, p in zip(*columns, strict=True)}


def old(titles: int, per_title: int = 1) -> list[Play]:
    """Plays of other profiles on the day before, so that titles 1..n are available and have 1..n x per_title plays."""
    return [
        Play(100 + title, START - DAY + k, title, 1000 * title + k, START - DAY + k)
        for title in range(1, titles + 1)
        for k in range(title * per_title)
    ]


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.25, 0.5, 0.9375]),
)
def test_lengths_are_the_exact_probabilities(plays: list[int], k: int, share: float) -> None:
    k = min(k, len(plays))
    lengths = segment_lengths(np.array(plays), k, share)
    assert lengths.sum() == k * STEP and lengths.min() >= 1 and lengths.max() <= STEP
    wanted = [float(p) for p in oracle.draw_probabilities(plays, k, Fraction(share))]
    np.testing.assert_allclose(lengths / STEP, wanted, rtol=0, atol=1e-10)


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=12),
    st.integers(1, 11),
    st.integers(0, STEP - 1),
    st.integers(0, 99),
)
def test_exactly_k_different_titles_are_drawn(plays: list[int], k: int, start: int, seed: int) -> None:
    k = min(k, len(plays))
    lengths = segment_lengths(np.array(plays), k, 0.5)
    drawn = systematic(lengths, mix(seeded(seed, purpose="test"), np.arange(len(plays))), start)
    assert len(drawn) == k == len(set(drawn.tolist()))
    assert set(np.flatnonzero(lengths == STEP).tolist()) <= set(drawn.tolist())


@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.integers(0, 99))
def test_over_all_starts_each_title_is_drawn_exactly_as_often_as_it_should(parts: list[int], seed: int) -> None:
    """Lengths in coarse units: one start per unit is every start there is."""
    unit = STEP // 8
    rest = (-sum(parts)) % 8 or 8
    lengths = np.array([*parts, rest], dtype=np.int64) * unit
    keys = mix(seeded(seed, purpose="test"), np.arange(len(lengths)))
    counts = np.zeros(len(lengths))
    for eighth in range(8):
        counts[systematic(lengths, keys, eighth * unit)] += 1
    np.testing.assert_array_equal(counts * unit, lengths)


def test_inclusion_probabilities_hold_over_seeds() -> None:
    plays = np.array([0, 0, 1, 3, 9, 40, 200])
    step = [NegativeGenerator(NegativeConfig(items=3), seed) for seed in range(4000)]
    words = [seeded(seed, purpose="negatives")[0] for seed in range(4000)]
    titles = np.arange(10, 17)
    counts = np.zeros(7)
    for one, word in zip(step, words, strict=True):
        counts[one.draw(titles, plays, word)[0]] += 1
    expected = segment_lengths(plays, 3, 0.5) / STEP
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert (np.abs(counts / 4000 - expected) <= 4 * error + 1e-9).all()
    assert expected[6] > expected[0] > 0


@given(histories(profiles=2, titles=6), st.integers(2, 4))
def test_items_are_the_played_titles_and_draws_from_the_candidate_set(plays: list[Play], items: int) -> None:
    plays = plays + old(6)
    start = labelled(plays)
    frame = filled(plays, start, items=items, rule=SeenRule(kind="drop"))
    for row in range(frame.n_contexts):
        profile, at = int(frame.context(c.PROFILE)[row]), int(frame.context(c.AT)[row])
        played = oracle.labels(plays, profile_id=profile, country="FR", at=at, close=CLOSE)
        pool = oracle.candidates(plays, [], profile_id=profile, country="FR", at=at, rule=SeenRule(kind="drop"))
        found = of(frame, row)
        assert list(found) == sorted(found)
        for title, label in played.items():
            assert found.get(title) == (None if label is None else (label, 1.0))
        drawn = {title: values for title, values in found.items() if title not in played}
        k = min(items, len(pool))
        recent = oracle.recent_plays(plays, country="FR", at=at, days=28)
        wanted = oracle.draw_probabilities([recent.get(title, 0) for title in pool], k, Fraction(1, 2)) if pool else []
        probability = dict(zip(pool, wanted, strict=True))
        for title, (label, p) in drawn.items():
            assert label == 0.0 and p == pytest.approx(float(probability[title]), abs=1e-9)
        assert k - len(set(played) & set(pool)) <= len(drawn) <= k


def test_chunks_and_order_change_nothing() -> None:
    plays = old(30) + [Play(p, START + h * HOUR, 1 + (p * h) % 30, p * 100 + h, START + h * HOUR)
                       for p in range(1, 12) for h in range(1, 20, 3)]  # fmt: skip
    start = labelled(plays)
    whole = filled(plays, start, items=5)
    pieces = [filled(plays, start.take(np.array([row])), items=5) for row in range(start.n_contexts)]
    assert concat(pieces).items.equals(whole.items)
    backwards = np.arange(start.n_contexts)[::-1].copy()
    assert filled(plays, start.take(backwards), items=5).take(backwards).items.equals(whole.items)


def test_a_small_run_of_candidates_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plays = old(30) + [Play(p, START + HOUR, p, p, START + HOUR) for p in range(1, 20)]
    whole = filled(plays, labelled(plays), items=5)
    monkeypatch.setattr("rec_platform.contexts.negatives.MAX_ITEMS", 64)
    assert filled(plays, labelled(plays), items=5).items.equals(whole.items)


def test_a_title_played_but_unknown_at_the_cut_is_never_drawn() -> None:
    now = START + HOUR
    plays = [*old(4), Play(1, now, 1, 1, now), Play(1, now + 1, 2, 2, CLOSE)]
    for seed in range(20):
        assert set(of(filled(plays, labelled(plays), items=4, seed=seed), 0)) == {1, 3, 4}


def test_a_positive_outside_the_candidate_set_stays() -> None:
    now = START + HOUR
    plays = [*old(3), Play(1, START - HOUR, 2, 1, START - HOUR), Play(1, now, 2, 2, now), Play(1, now, 99, 3, now)]
    found = of(filled(plays, labelled(plays), items=50, rule=SeenRule(kind="drop")), 0)
    assert found == {1: (0.0, 1.0), 2: (1.0, 1.0), 3: (0.0, 1.0), 99: (1.0, 1.0)}


def test_what_is_drawn_does_not_depend_on_what_is_played() -> None:
    now = START + HOUR
    other = [*old(40), Play(1, now, 1, 1, now)]
    played = [Play(1, now + title, title, title, now + title) for title in range(2, 30, 2)]
    before, after = (of(filled(plays, labelled(plays), items=20), 0) for plays in (other, other + played))
    gone = {p.title_id for p in played}
    assert {t: v for t, v in before.items() if t not in gone} == {t: v for t, v in after.items() if t not in gone}
    assert len(before) > 20 - 1 and gone <= set(after)


def test_popular_titles_are_drawn_more_often() -> None:
    plays = [*old(50, per_title=3)] + [Play(p, START + HOUR, 1, p, START + HOUR) for p in range(1, 90)]
    frame = filled(plays, labelled(plays), items=10)
    drawn = frame.item(c.TITLE)[frame.item(c.LABEL) == 0]
    assert (drawn > 25).sum() > 1.3 * (drawn <= 25).sum()


def test_seeds_differ_and_an_empty_frame_passes() -> None:
    plays = [*old(40), Play(1, START, 1, 1, START)]
    one, two = (filled(plays, labelled(plays), items=10, seed=seed).items for seed in (1, 2))
    assert not one.equals(two)
    empty = filled(plays, labelled(plays).take(np.empty(0, dtype=np.int64)))
    assert empty.n_contexts == empty.n_items == 0
