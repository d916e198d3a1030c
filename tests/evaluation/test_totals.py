"""Totals of rows of amounts by slice, replicate and group of profiles are those of plain sums, one row after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.evaluation import significance, ties
from rec_platform.evaluation import totals as totals_module
from rec_platform.evaluation.tallies import distinct
from rec_platform.evaluation.ties import place, positives
from rec_platform.evaluation.totals import Slice, drawn_by, first_of_each, joint, totals


def plainly(slices: list[Slice], amounts: np.ndarray, drawn) -> list[list]:
    """The same in Python's integers."""
    groups = significance.GROUPS if drawn.counts.shape[1] else 0
    found = []
    for one in slices:
        sums = [[[0] * (one.end - one.begin) for _ in range(1 + drawn.counts.shape[1] + groups)] for _ in one.labels]
        for code, numbers, counts, group in zip(one.codes, amounts, drawn.counts, drawn.group, strict=True):
            times = [1, *counts.tolist(), *(int(group == other) for other in range(groups))]
            for row, factor in enumerate(times):
                for column, amount in enumerate(numbers[one.begin : one.end].tolist()):
                    sums[code][row][column] += factor * int(amount)
        found.append(sums)
    return found


def sliced(rng: np.random.Generator, n: int) -> list[Slice]:
    """Slices of one, few and many values, over all columns and over some."""
    return [
        Slice("all", np.zeros(n, dtype=np.int64), ["all"], 0, 4),
        Slice("few", rng.integers(0, 3, n), ["a", "b", "c"], 0, 4),
        Slice("many", rng.integers(0, 20, n), [str(one) for one in range(20)], 0, 4),
        Slice("two", rng.integers(0, 2, n), ["x", "y"], 2, 3),
    ]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(0, 60), replicates=st.sampled_from([0, 5]),
    bits=st.sampled_from([20, 40, 55]), whole=st.booleans(),
)  # fmt: skip
def test_totals_are_those_of_plain_sums(seed, n, replicates, bits, whole):
    rng = np.random.default_rng(seed)
    slices = sliced(rng, n)
    if seed % 2:
        slices = slices[:1]
    amounts = rng.integers(-(2**bits), 2**bits, (n, 4)) >> 4 << 4  # numbers that float64 holds
    drawn = drawn_by(rng.integers(0, 9, n), replicates, seed)
    given = amounts if whole else amounts.astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals_module, "ROWS_PER_PRODUCT", 1 + seed % 3)
        patch.setattr(totals_module, "ROWS", 7)
        patch.setattr(totals_module, "RUNS", 3)
        found = totals(slices, given, float(np.abs(amounts).max(initial=0)), n, drawn)
    assert [one.tolist() for one in found] == plainly(slices, amounts, drawn)


@given(st.integers(0, 10_000))
def test_joint_codes_have_no_gap_and_tell_apart_what_slices_do(seed):
    rng = np.random.default_rng(seed)
    slices = sliced(rng, 30)
    codes = joint(slices, 30)
    values = list(zip(*(one.codes.tolist() for one in slices), strict=True))
    assert len(set(zip(codes.tolist(), values, strict=True))) == len(set(values)) == codes.max() + 1
    assert codes[first_of_each(codes)].tolist() == list(range(codes.max() + 1))
    assert first_of_each(codes).tolist() == [codes.tolist().index(one) for one in range(codes.max() + 1)]


@given(st.lists(st.integers(0, 9) | st.integers(-(2**62), 2**62)), st.integers(-(2**40), 2**40))
def test_distinct_values_are_those_of_sorting(values, moved):
    for some in (values, [one % 7 + moved for one in values]):  # far from each other, and close
        found, place = distinct(np.array(some, dtype=np.int64))
        assert found.tolist() == sorted(set(some))
        assert found[place].tolist() == some


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([np.float32, np.float64]), share=st.sampled_from([0.1, 0.9]))
def test_places_are_counts_of_what_scores_above_and_equal(seed, dtype, share):
    rng = np.random.default_rng(seed)
    sizes = rng.choice([0, 1, 3, 7, 8, 9, 16, 50, 64, 65, 130, 600], 6)  # eight scores, 64 labels, and more or less
    offsets = np.append(0, np.cumsum(sizes))
    scores = rng.integers(0, 1 + seed % 60, offsets[-1]).astype(dtype) / dtype(7)
    label, candidate = (rng.random(offsets[-1]) < share).astype(float), rng.random(offsets[-1]) < 0.9
    rows, first, context, gain = positives(label * 3, offsets)
    assert rows.tolist() == np.flatnonzero(label > 0).tolist()
    assert first.tolist() == np.searchsorted(rows, offsets).tolist()
    assert context.tolist() == (np.searchsorted(offsets, rows, "right") - 1).tolist()
    assert gain.tolist() == [3.0] * len(rows)
    for some in (None, candidate):
        above, equal = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        assert not place(scores, offsets, rows, first, some, above, equal)
        inside = np.ones(len(scores), dtype=bool) if some is None else some
        for one, row in enumerate(rows.tolist()):
            context = np.searchsorted(offsets, row, "right") - 1
            others = [j for j in range(offsets[context], offsets[context + 1]) if inside[j] and j != row]
            assert above[one] == sum(scores[j] > scores[row] for j in others)
            assert equal[one] == sum(scores[j] == scores[row] for j in others)
    if len(scores):
        scores[rng.integers(0, len(scores))] = np.nan
        assert place(scores, offsets, rows, first, None, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))


def test_contexts_with_too_many_positives_to_compare_are_sorted(monkeypatch):
    rng = np.random.default_rng(3)
    offsets, scores = np.array([0, 300, 310, 500]), rng.integers(0, 40, 500) / 7
    rows, first, *_ = positives((rng.random(500) < 0.3).astype(float), offsets)
    compared, by_sorting = np.zeros((2, len(rows)), np.int64), np.zeros((2, len(rows)), np.int64)
    monkeypatch.setattr(ties, "MANY", 500)
    assert not place(scores, offsets, rows, first, None, *compared)
    for many in (0, 5):
        monkeypatch.setattr(ties, "MANY", many)
        assert not place(scores, offsets, rows, first, None, *by_sorting)
        assert by_sorting.tolist() == compared.tolist()
