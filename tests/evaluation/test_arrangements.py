"""Arrangements have the numbers of their groups added up, and a loop finds each by the places of its positives."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import NumericError
from rec_platform.evaluation import STANDARD, Slices, evaluate, kernels, metric, plan
from rec_platform.evaluation import kinds as kinds_module
from rec_platform.evaluation.kinds import Kinds
from rec_platform.evaluation.scored import scored

OPTIONS = {
    "seed": 7,
    "cutoffs": (2, 10),
    "slices": Slices(()),
    "metrics": STANDARD,
    "accumulators": (),
    "replicates": 0,
}


def by_number(n: int, p: int) -> list[tuple[int, ...]]:
    """Places of all arrangements in the order of their numbers: by the highest place, then the next."""
    return sorted(combinations(range(n), p), key=lambda places: places[::-1])


def lists(rng: np.random.Generator, n: int, items: int, weight: np.ndarray, levels: int = 10**6) -> Frame:
    """Contexts of up to five positives; with few levels of scores, many ties."""
    label = (rng.random((n, items)).argsort(axis=1) < rng.integers(0, 6, n)[:, None]).astype(float)
    return Frame.of(
        pa.table({"profile_id": np.arange(n), "inclusion_probability": 1 / weight}), np.arange(n + 1) * items,
        items={"title_id": np.tile(np.arange(items), n), "label": label.ravel()},
        scores={name: rng.integers(0, levels, n * items) / 7 for name in "ab"},
    )  # fmt: skip


def without_kinds(frame: Frame, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "depends_on_kind", lambda one: False)
        return evaluate(frame, **options)


def same(left, right):
    assert (left.keys, left.evidence) == (right.keys, right.evidence)
    assert left.counts.tolist() == right.counts.tolist()
    assert left.totals.tolist() == right.totals.tolist()


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 100))
def test_arrangements_add_up_their_groups_in_the_order_of_their_numbers(n, p, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(n * p).astype(np.int32).reshape(n, p)
    parts, over = rng.random((n * p, 4)), np.array([1.0, 3.0, 0.7, np.inf])
    many = comb(n, p)
    values, fixed = np.zeros((many, 4)), np.zeros((many, 4), dtype=np.int64)
    largest = kernels.arrange(groups, parts, over, values, fixed)
    expected = []
    for places in by_number(n, p):
        total = np.zeros(4)
        for before, start in enumerate(places):
            total = total + parts[groups[start, before]]
        expected.append((total / over).tolist())
    assert values.tolist() == expected
    assert fixed.tolist() == np.rint(values * 2**30).astype(np.int64).tolist()
    assert largest == (values.max() if many else 0.0)
    parts[groups[0, 0], 1] = np.nan
    assert kernels.arrange(groups, parts, over, values, fixed) == (np.inf if many else 0.0)


@settings(max_examples=60)
@given(st.data())
def test_an_arrangement_is_found_by_its_places_in_any_order(data):
    n, p = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    places = data.draw(st.lists(st.integers(-1, n), min_size=p, max_size=p))
    ties = data.draw(st.sampled_from([0, 0, 0, 1]))
    begin = 100 if data.draw(st.booleans()) else -1
    above, equal = np.array([places]), np.array([[0] * (p - 1) + [ties]])
    arranged, rows, later = np.zeros(2, np.int64), np.full((3, 1), -5, np.int32), np.zeros(2, np.int64)
    done, left = kernels.number_arrangements(
        np.array([0, 1]), above, equal, np.array([0, 0, p]), np.array([9, n]), np.array([0, 1]), np.array([7, begin]),
        arranged, rows, later,
    )  # fmt: skip
    whole = begin >= 0 and not ties and len(set(places)) == p and min(places) >= 0 and max(places) < n
    assert (done, left) == ((1, 0) if whole else (0, 1))
    if whole:
        assert arranged[0] == 1
        assert rows[0, 0] == begin + by_number(n, p).index(tuple(sorted(places)))
    else:
        assert later[0] == 1


@pytest.mark.parametrize("levels", [4, 10**6])
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_sums_by_arrangement_are_those_of_every_context(levels, seed):
    rng = np.random.default_rng(seed)
    weight = rng.choice([1.0, 1.0, 2.0, 1 / 0.3], 300)
    frame = lists(rng, 300, 9, weight, levels)
    kinds_module._LOCAL.kinds = None
    found = evaluate(frame, **OPTIONS)
    assert (kinds_module._LOCAL.kinds._arranged >= 0).sum() >= 2
    same(found, without_kinds(frame, **OPTIONS))
    replicated = OPTIONS | {"replicates": 5}
    same(evaluate(frame, **replicated), without_kinds(frame, **replicated))


@pytest.mark.parametrize("room", [0, 9 * len(STANDARD) * 2, 10**6])
def test_arrangements_may_have_no_room(room, monkeypatch):
    frame = lists(np.random.default_rng(1), 300, 9, np.ones(300))
    usual = without_kinds(frame, **OPTIONS)
    monkeypatch.setattr(kinds_module, "ARRANGED", room)
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    same(evaluate(frame, **OPTIONS), usual)
    assert kinds_module._LOCAL.kinds._n_arranged <= room


def test_few_contexts_learn_no_arrangements(monkeypatch):
    frame = lists(np.random.default_rng(1), 300, 60, np.ones(300))
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    found, kinds = evaluate(frame, **OPTIONS), kinds_module._LOCAL.kinds
    same(found, without_kinds(frame, **OPTIONS))
    learnt = kinds._facts[kinds._arranged >= 0].tolist()
    assert [60, 1, 1] in learnt
    assert [60, 3, 3] not in learnt  # 34,220 of them, and some fifty contexts


def test_numbers_past_the_bound_are_left_to_those_who_name_the_fault(monkeypatch):
    large = metric(
        "large", about="past the bound where two stand first", over=lambda truth, k: np.ones(truth.n_contexts)
    )(lambda groups, k: 2.0**28.5 * (groups.start < 2))
    frame = lists(np.random.default_rng(1), 300, 9, np.ones(300))
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    with pytest.raises(NumericError, match="not a number below 2\\^29"):
        evaluate(frame, **(OPTIONS | {"metrics": (large,)}))
    kinds = Kinds(((large, 0),))
    truth = scored(frame, ("a", "b"))
    out = np.zeros((300, 4), dtype=np.int64)
    assert kinds.add(out, np.arange(300), 0, np.ones(300), truth, truth.truth) == np.inf
    states = dict(zip(map(tuple, kinds._facts.tolist()), kinds._arranged.tolist(), strict=True))
    assert states[9, 1, 1] >= 0  # alone it is below
    assert states[9, 2, 2] < 0
