"""Metrics by kind of tie group are those of every group, to the last bit of every sum."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.contexts.hashing import mix, seeded
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.errors import NumericError
from rec_platform.evaluation import STANDARD, Slices, evaluate, kernels, metric, metric_rows, plan, popularity
from rec_platform.evaluation import kinds as kinds_module
from rec_platform.evaluation.kinds import Kinds, depends_on_kind
from rec_platform.evaluation.protocol import data_hash
from rec_platform.evaluation.scored import scored, weights

BANDS = popularity(np.arange(30), np.arange(30)[::-1] ** 3)
OPTIONS = {"seed": 7, "cutoffs": (3, 10), "slices": Slices(items=(BANDS,)), "metrics": STANDARD, "accumulators": ()}


def binary(frame: Frame) -> Frame:
    """With gains of 1."""
    return frame.with_items({"label": np.minimum(frame.item("label"), 1.0)})


def uneven(frame: Frame, seed: int) -> Frame:
    """Some items left out, so that lists differ in length, and some contexts emptied."""
    rng = np.random.default_rng(seed)
    keep = rng.random(frame.n_items) < np.repeat(rng.choice([0.0, 0.5, 1.0], frame.n_contexts), np.diff(frame.offsets))
    offsets = np.append(0, np.cumsum(np.bincount(frame.context_of_item[keep], minlength=frame.n_contexts)))
    rows = pa.array(np.flatnonzero(keep))
    return Frame(frame.contexts, offsets, frame.items.take(rows), frame.features, frame.scores.take(rows))


def without_kinds(frame: Frame, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.setattr(plan, "depends_on_kind", lambda one: False)
        return evaluate(frame, **options)


def same(left, right):
    assert left.keys == right.keys
    assert left.counts.tolist() == right.counts.tolist()
    assert left.totals.tolist() == right.totals.tolist()
    assert left.evidence == right.evidence


def test_every_standard_metric_is_worked_out_by_kind():
    assert [one.name for one in STANDARD if not depends_on_kind(one)] == []


@pytest.mark.parametrize("replicates", [0, 5])
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_sums_by_kind_are_those_of_every_group(full, seed, replicates):
    frame = uneven(binary(full(seed, levels=3 + seed % 9)), seed)
    with pytest.MonkeyPatch.context() as patch:
        slow = without_kinds(frame, patch, **OPTIONS, replicates=replicates)
    same(evaluate(frame, **OPTIONS, replicates=replicates), slow)


def test_the_stored_form_is_worked_out_by_kind_too(full, stored, monkeypatch):
    frame = stored(binary(full(3)))
    same(evaluate(frame, **OPTIONS), without_kinds(frame, monkeypatch, **OPTIONS))


def test_chunks_and_forgotten_kinds_change_nothing(full, monkeypatch):
    frame = binary(full(5))
    whole = evaluate(frame, **OPTIONS, replicates=5)
    monkeypatch.setattr(sys.modules["rec_platform.evaluation.evaluate"], "CHUNK", 7)
    same(whole, evaluate(frame, **OPTIONS, replicates=5))
    monkeypatch.setattr(kinds_module, "MOST", 3)
    same(whole, evaluate(frame, **OPTIONS, replicates=5))


def test_kinds_are_kept_from_one_evaluation_to_the_next_and_forgotten_after_a_fault(full):
    worlds = [binary(full(seed)) for seed in range(3)]
    alone = []
    for frame in worlds:
        kinds_module._LOCAL.kinds = None
        alone.append(evaluate(frame, **OPTIONS, replicates=5))
    for frame, expected in zip(worlds[::-1], alone[::-1], strict=True):
        same(evaluate(frame, **OPTIONS, replicates=5), expected)

    def refuse(groups, k):
        if calls:
            raise ValueError("not today")
        return groups.positives / groups.size

    own = metric("own", about="refuses once", over=lambda truth, k: np.ones(truth.n_contexts))(refuse)
    options, calls = OPTIONS | {"metrics": (*STANDARD, own)}, [1]
    with pytest.raises(ValueError, match="not today"):
        evaluate(worlds[0], **options)
    calls.clear()
    again = evaluate(worlds[0], **options)
    kinds_module._LOCAL.kinds = None
    same(again, evaluate(worlds[0], **options))


@pytest.mark.parametrize("replicates", [0, 5])
def test_lists_of_32_bits_are_compared_as_they_are(full, replicates):
    frame = binary(full(5))
    frame = frame.with_scores({name: frame.scores.column(name).to_numpy().astype(np.float32) for name in "ab"})
    wide = frame.with_scores({name: frame.scores.column(name).to_numpy().astype(np.float64) for name in "ab"})
    same(evaluate(frame, **OPTIONS, replicates=replicates), evaluate(wide, **OPTIONS, replicates=replicates))


@pytest.mark.parametrize("room", [0, 10**6])
def test_kinds_named_all_at_once_are_those_met_one_by_one(full, room, monkeypatch):
    worlds = [uneven(binary(full(seed, levels=1_000)), seed) for seed in range(3)]
    usual = [evaluate(frame, **OPTIONS, replicates=5) for frame in worlds]
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    name_all = Kinds._name_all
    monkeypatch.setattr(Kinds, "_name_all", lambda kinds, contexts, at_hand: name_all(kinds, contexts, room))
    for frame, expected in zip(worlds, usual, strict=True):
        same(evaluate(frame, **OPTIONS, replicates=5), expected)


def test_kinds_of_contexts_first_met_in_a_few_are_named_at_once_when_many_come(full, monkeypatch):
    frame = binary(full(5, levels=10**6))
    few = frame.take(np.arange(2))
    alone = [evaluate(one, **OPTIONS) for one in (few, frame)]
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    same(evaluate(few, **OPTIONS), alone[0])
    names = kinds_module._LOCAL.kinds
    met = len(names._facts)
    assert not names._named[names._facts[:, 1] > 0].any()
    big = concat([frame] * 40)
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
    expected = evaluate(big, **OPTIONS)
    monkeypatch.setattr(kinds_module._LOCAL, "kinds", names)
    same(evaluate(big, **OPTIONS), expected)
    assert names._named[:met].all()
    keys = names._keys[: names._n].tolist()
    assert len({tuple(one) for one in keys}) == len(keys) == len(names._parts)


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_one_candidate_may_have_no_place_of_their_own(full, seed, monkeypatch):
    frame = uneven(binary(full(seed, levels=1_000)), seed)
    usual = evaluate(frame, **OPTIONS, replicates=5)
    for room in (0, 200):
        monkeypatch.setattr(kinds_module, "DIRECT", room)
        monkeypatch.setattr(kinds_module._LOCAL, "kinds", None)
        same(usual, evaluate(frame, **OPTIONS, replicates=5))


def test_more_kinds_than_the_table_holds_make_it_grow(monkeypatch):
    monkeypatch.setattr(kinds_module, "SLOTS", 2**8)
    rng = np.random.default_rng(1)
    n, items = 400, 90
    frame = Frame.of(
        pa.table({"profile_id": np.arange(n)}), np.arange(n + 1) * items,
        items={"title_id": np.tile(np.arange(items), n), "label": (rng.random(n * items) < 0.4).astype(float)},
        scores={"a": rng.random(n * items)},
    )  # fmt: skip
    truth = scored(frame, ("a",))
    names = Kinds(tuple((one, 5) for one in STANDARD))
    out = np.zeros((n, 3 * len(STANDARD)), dtype=np.int64)
    names.add(out, np.arange(n), 0, weights(frame), truth, truth.truth)
    kinds = names._keys[: names._n].tolist()
    assert len(kinds) > 5_000
    assert len({tuple(one) for one in kinds}) == len(kinds)
    with pytest.MonkeyPatch.context() as patch:
        slow = without_kinds(frame, patch, **(OPTIONS | {"slices": Slices(())}))
    same(evaluate(frame, **(OPTIONS | {"slices": Slices(())})), slow)


def test_graded_gains_and_metrics_of_ones_own_take_the_long_way(full):
    own = metric("first@k", cut=True, about="positives in groups that start in the first k")(
        lambda groups, k: groups.total(groups.positives * (groups.start < k))
    )
    by_group = metric("first2@k", cut=True, about="the same", over=lambda truth, k: np.ones(truth.n_contexts))(
        lambda groups, k: groups.positives * (groups.start < k)
    )
    options = OPTIONS | {"metrics": (own, *STANDARD, by_group)}
    for frame in (full(2), binary(full(2))):
        rows = metric_rows(evaluate(frame, **options)).to_pylist()
        found = {
            name: [(row["value"], row["low"], row["n"]) for row in rows if row["metric"] == name]
            for name in ("first@k", "first2@k")
        }
        assert str(found["first@k"]) == str(found["first2@k"])
        assert len(found["first@k"]) > 10


def test_faults_are_named_as_without_kinds(full, stored):
    bad = metric("bad", about="never finite", over=lambda truth, k: np.ones(truth.n_contexts))(
        lambda groups, k: np.full(len(groups.context), np.inf)
    )
    with pytest.raises(NumericError, match="metric 'bad' is not finite"):
        evaluate(binary(full(1)), **(OPTIONS | {"metrics": (bad,)}))
    frame = stored(binary(full(1)))
    for name, shift in (("n_above.a", 1000), ("n_equal.a", 1)):
        wrong = frame.with_items({name: frame.item(name) + shift * (frame.item("title_id") == 4)})
        with pytest.raises(NumericError, match="n_above and n_equal"):
            evaluate(wrong, **OPTIONS)


def test_tiny_inclusion_probabilities_add_up_exactly_or_not_at_all(full):
    frame = binary(full(1))
    plain = evaluate(frame.with_contexts({"inclusion_probability": np.ones(60)}), **OPTIONS, replicates=5)
    for few, power in ((60, 24), (1, 27)):
        chance = np.where(np.arange(60) < few, 2.0**-power, 1.0)
        rare = frame.with_contexts({"inclusion_probability": chance})
        sums, alone = evaluate(rare, **OPTIONS, replicates=5), evaluate(rare, **OPTIONS, replicates=0)
        assert alone.totals[:, 0].tolist() == sums.totals[:, 0].tolist()
        assert (sums.by_group.sum(axis=1) == sums.totals[:, 0]).all()
        everything = sums.keys.index(next(key for key in sums.keys if key.population == "any" and key.slice == "all"))
        assert sums.totals[everything, 0] == 2**30 * (few * 2**power + 60 - few)
        if few == 60:
            assert np.allclose(sums.totals / 2.0**power, plain.totals, atol=100)
    for replicates in (0, 5):
        with pytest.raises(NumericError, match="passes 2\\^32"):
            evaluate(
                frame.with_contexts({"inclusion_probability": np.full(60, 2.0**-28.5)}), **OPTIONS,
                replicates=replicates,
            )  # fmt: skip


@given(st.integers(0, 10_000))
def test_the_compiled_hash_of_the_data_is_the_plain_one(full, seed):
    frame = full(seed, contexts=9)
    truth, titles = scored(frame, ("a",)).truth, scored(frame, ("a",)).titles
    ids, weight = frame.context("context_id"), weights(frame)
    words = mix(mix(seeded(0, purpose="judged"), ids), weight.view(np.int64) + truth.n_candidates)
    positives = mix(words[truth.context] + titles.astype(np.uint64), truth.gain.view(np.int64) + truth.reachable)
    assert data_hash(ids, weight, truth, titles) == (int(words.sum()) + int(positives.sum())) % 2**64


def test_draws_are_four_to_a_hash_and_count_the_ends_they_reach():
    ends = np.arange(0, 2**16, 257).astype(np.uint16)[:255]
    states = np.arange(5, dtype=np.uint64)
    hashes = mix(states[:, None], np.arange(2)[None, :])
    lanes = (hashes[:, :, None] >> (np.uint64(16) * np.arange(4, dtype=np.uint64))) & np.uint64(0xFFFF)
    expected = np.searchsorted(ends, lanes.reshape(5, 8)[:, :7], side="right")
    counts = kernels.draw(states, 7, ends)
    assert counts.tolist() == expected.tolist()
    assert kernels.most_drawn(counts) == counts.sum(axis=0, dtype=np.int64).max()
