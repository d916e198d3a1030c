"""One pass, both forms, slices, weights, merging: laws on small worlds."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, NumericError, SchemaError
from rec_platform.evaluation import (
    ACCUMULATORS,
    STANDARD,
    Slices,
    compare,
    evaluate,
    merge,
    metric,
    metric_rows,
    popularity,
)
from rec_platform.evaluation.sums import LIMIT, ONE, added, fixed, of_table, product, to_table
from rec_platform.tables import METRIC_SUMS, METRICS
from rec_platform.testing import metric_oracle

BANDS = popularity(np.arange(30), np.arange(30)[::-1] ** 3)
SLICES = Slices(items=(BANDS,))
OPTIONS = {"seed": 7, "cutoffs": (3, 10), "replicates": 25, "slices": SLICES}


def same(left, right):
    assert left.keys == right.keys
    assert (left.counts == right.counts).all()
    assert (left.totals == right.totals).all()
    assert (left.protocol, left.evidence) == (right.protocol, right.evidence)
    assert set(left.tallies) == set(right.tallies)
    for key, one in left.tallies.items():
        other = right.tallies[key]
        assert one.size == other.size
        for name in ("ids", "weights", "groups"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist(), (key, name)


def assert_equal(left, right):
    """Equal to the bit, NaN equal to NaN."""
    pd.testing.assert_frame_equal(left.to_pandas(), right.to_pandas(), check_exact=True)


def number(rows, **wanted):
    """The one row that matches, as a dict; `k` is 0 unless given."""
    wanted = {"slice": "all", "slice_value": "all", "k": 0} | wanted
    found = [row for row in rows.to_pylist() if all(row[name] == one for name, one in wanted.items())]
    assert len(found) == 1, (wanted, len(found))
    return found[0]


def by_hand(frame, name, k, model, chosen=lambda row: True, keep=None):
    """The weighted mean over contexts, from full lists one by one; ties by exact formulas checked elsewhere."""
    weighed = weight = 0.0
    score = frame.scores.column(model).to_numpy()
    for i, context in enumerate(frame.contexts.to_pylist()):
        rows = np.arange(frame.offsets[i], frame.offsets[i + 1])
        label, there = frame.item("label")[rows], frame.item("reachable")[rows]
        stays = np.ones(len(rows), bool) if keep is None else (label == 0) | keep[frame.item("title_id")[rows]]
        if not chosen(context) or not (label[stays] > 0).any():
            continue
        inside = there & stays
        order = np.argsort(-score[rows][inside], kind="stable")
        lost = label[stays & ~there].tolist()
        w = 1 / context["inclusion_probability"]
        weight += w
        weighed += w * metric_oracle.BY_NAME[name](label[inside][order].tolist(), lost, k)
    return weighed / weight


@pytest.mark.parametrize(
    ("name", "k"), [("nmrr", 0), ("mrr", 0), ("ndcg", 10), ("recall", 3), ("map", 0), ("hit_rate", 3)]
)
def test_values_are_weighted_means_over_contexts(full, name, k):
    frame = full(1)
    rows = metric_rows(evaluate(frame, **OPTIONS))
    assert number(rows, model="b", metric=name, k=k)["value"] == pytest.approx(by_hand(frame, name, k, "b"), abs=1e-8)
    french = number(rows, model="b", metric=name, k=k, slice="country", slice_value="FR")["value"]
    assert french == pytest.approx(by_hand(frame, name, k, "b", lambda row: row["country"] == "FR"), abs=1e-8)
    for code, label in enumerate(BANDS.labels):
        keep = BANDS.of(np.arange(30)) == code
        band = number(rows, model="b", metric=name, k=k, slice="popularity", slice_value=label)["value"]
        assert band == pytest.approx(by_hand(frame, name, k, "b", keep=keep), abs=1e-8), label


def test_both_forms_of_a_frame_give_the_same_sums(full, stored):
    frame = full(2)
    same(evaluate(frame, **OPTIONS), evaluate(stored(frame), **OPTIONS))


def test_few_kept_titles_give_the_same_rank_metrics(full, stored):
    frame = full(3)
    whole, few = evaluate(frame, **OPTIONS), evaluate(stored(frame, 3), **OPTIONS, list_length=3)
    totals = dict(zip(whole.keys, whole.totals.tolist(), strict=True))
    assert [totals[key] for key in few.keys] == few.totals.tolist()
    assert {key.k for key in few.tallies if key.metric == "exposure"} == {3}


@settings(max_examples=12)
@given(seed=st.integers(0, 1000), parts=st.integers(2, 5))
def test_partitions_merge_to_exactly_the_whole(full, seed, parts):
    frame = full(seed, contexts=25)
    piece = np.random.default_rng(seed).integers(0, parts, frame.n_contexts)
    pieces = [frame.take(np.flatnonzero(piece == one)) for one in range(parts)]
    whole = evaluate(frame, **OPTIONS)
    same(whole, merge(*(evaluate(part, **OPTIONS) for part in pieces)))
    same(whole, evaluate(pieces, **OPTIONS))
    same(whole, merge(*(of_table(to_table(evaluate(part, **OPTIONS))) for part in pieces)))


def test_merging_is_associative_and_ignores_order(full):
    a, b, c = (evaluate(full(seed), **OPTIONS) for seed in (1, 2, 3))
    same(merge(a, merge(b, c)), merge(merge(c, a), b))


def test_countries_roll_up_to_the_whole(full):
    frame = full(4)
    country = np.array(frame.contexts.column("country").to_pylist())
    parts = [evaluate(frame.take(np.flatnonzero(country == one)), **OPTIONS) for one in ("FR", "GB")]
    assert_equal(metric_rows(merge(*parts)), metric_rows(evaluate(frame, **OPTIONS)))


@given(st.integers(0, 1000))
def test_permuting_items_and_contexts_changes_nothing(full, seed):
    frame = full(seed, contexts=20)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(np.arange(*pair)) for pair in itertools.pairwise(frame.offsets)])
    shuffled = Frame(
        frame.contexts,
        frame.offsets,
        frame.items.take(pa.array(order)),
        frame.features,
        frame.scores.take(pa.array(order)),
    )
    same(evaluate(frame, **OPTIONS), evaluate(shuffled, **OPTIONS))
    same(evaluate(frame, **OPTIONS), evaluate(frame.take(rng.permutation(frame.n_contexts)), **OPTIONS))


def test_chunks_change_nothing(full, monkeypatch):
    frame = full(5)
    whole = evaluate(frame, **OPTIONS)
    monkeypatch.setattr(sys.modules["rec_platform.evaluation.evaluate"], "CHUNK", 7)
    same(whole, evaluate(frame, **OPTIONS))


def test_a_constant_model_is_the_random_one_and_a_perfect_model_reaches_the_ceiling(full):
    frame = full(6)
    label = frame.item("label")
    frame = frame.with_scores({"constant": np.zeros(len(label)), "perfect": label})
    sums = evaluate(frame, **OPTIONS)
    rows = {key: sums.totals[row].tolist() for row, key in enumerate(sums.keys)}
    for model, pseudo in (("constant", "random"), ("perfect", "ceiling")):
        pairs = [(total, rows[key._replace(model=pseudo)]) for key, total in rows.items() if key.model == model]
        assert pairs
        assert all(ours == theirs for ours, theirs in pairs)


def test_a_column_called_random_is_not_read(full):
    frame = full(6).with_scores({"random": np.full(1800, np.nan)})
    same(evaluate(frame, **OPTIONS), evaluate(full(6), **OPTIONS))


def test_counts_say_what_n_rests_on(full):
    frame = full(8)
    label = frame.item("label").reshape(60, 30)
    lost = (label > 0) & ~frame.item("reachable").reshape(60, 30)
    row = number(metric_rows(evaluate(frame, **OPTIONS)), model="a", metric="mrr")
    with_positive = int((label > 0).any(axis=1).sum())
    assert (row["n"], row["n_excluded"], row["n_unreachable"]) == (with_positive, 60 - with_positive, int(lost.sum()))


def test_the_profile_estimand_is_the_mean_over_profiles_of_weighted_means(full):
    frame = full(9)
    one = evaluate(frame, **OPTIONS, estimand="profile")
    profiles = []
    for profile in np.unique(frame.context("profile_id")):
        mine = [i for i in range(60) if frame.context("profile_id")[i] == profile]
        if (frame.take(np.array(mine)).item("label") > 0).any():
            profiles.append(by_hand(frame.take(np.array(mine)), "recall", 3, "b"))
    value = number(metric_rows(one), model="b", metric="recall", k=3)["value"]
    assert value == pytest.approx(np.mean(profiles), abs=1e-8)
    same(one, evaluate([frame.take(np.arange(20)), frame.take(np.arange(20, 60))], **OPTIONS, estimand="profile"))
    with pytest.raises(ConfigError, match="do not merge"):
        merge(one, one)


def test_coverage_counts_distinct_titles_and_breaks_ties_by_the_seed():
    contexts = pa.table({"profile_id": np.arange(40), "context_id": np.arange(40)})
    label = np.tile([1.0] + [0.0] * 9, 40)
    items = {"title_id": np.tile(np.arange(10), 40), "label": label}
    scores = {"same": np.tile(-np.arange(10.0), 40), "tied": np.zeros(400)}
    frame = Frame.of(contexts, np.arange(41) * 10, items=items, scores=scores)
    rows = metric_rows(evaluate(frame, seed=1, cutoffs=(3,), replicates=20))
    fixed_list = number(rows, model="same", metric="coverage", k=3)
    assert (fixed_list["value"], fixed_list["low"], fixed_list["high"]) == (3 / 10, 3 / 10, 3 / 10)
    assert number(rows, model="tied", metric="coverage", k=3)["value"] == 1.0
    small = [evaluate(frame.take(np.arange(1)), seed=seed, cutoffs=(3,), replicates=0) for seed in range(8)]
    titles = {tuple(next(s for k, s in one.tallies.items() if k.model == "tied").ids.tolist()) for one in small}
    assert len(titles) > 1


def test_tables_have_their_declared_form(full):
    sums = evaluate(full(1), **OPTIONS)
    for table, spec in ((metric_rows(sums), METRICS), (to_table(sums), METRIC_SUMS)):
        assert table.schema.equals(spec.schema)
        assert_equal(table, table.sort_by([(name, "ascending") for name in spec.order]))
        keys = list(zip(*(table.column(name).to_pylist() for name in spec.order), strict=True))
        assert len(set(keys)) == len(keys)
    same(sums, of_table(to_table(sums)))


def test_nothing_to_evaluate_is_empty_and_merges_away(full):
    nothing = evaluate([], seed=7, replicates=25)
    assert metric_rows(nothing).num_rows == to_table(nothing).num_rows == 0
    something = evaluate(full(1), **OPTIONS)
    same(something, merge(of_table(to_table(nothing)), something, nothing))


def test_sums_of_older_code_are_refused_with_the_repair(full):
    table = to_table(evaluate(full(1), **OPTIONS))
    place = table.schema.get_field_index("rules")
    old = table.set_column(place, "rules", pa.nulls(table.num_rows, pa.string()))
    with pytest.raises(ConfigError, match="written by older code") as fault:
        of_table(old)
    assert "rec-platform run" in fault.value.repair


def test_contexts_without_any_positive_give_no_number():
    contexts = pa.table({"profile_id": [1, 2]})
    items = {"title_id": np.array([1, 2, 1, 2]), "label": np.zeros(4)}
    frame = Frame.of(contexts, np.array([0, 2, 4]), items=items, scores={"a": np.arange(4.0)})
    row = number(metric_rows(evaluate(frame, seed=1, cutoffs=(1,))), model="a", metric="mrr")
    assert np.isnan(row["value"])
    assert (row["n"], row["n_excluded"]) == (0, 2)


def test_sampled_candidates_say_so_in_every_name(full):
    frame = full(1).with_items({"item_inclusion_probability": np.full(1800, 0.5)})
    names = set(metric_rows(evaluate(frame, **OPTIONS)).column("metric").to_pylist())
    read = [name for one in ACCUMULATORS if not {"chances", "pages"} & set(one.needs) for name in one.readings]
    assert names == {f"{name}_sampled" for name in (*(one.name for one in STANDARD), *read)}


def test_nan_scores_are_an_error_naming_the_model(full):
    score = full(1).scores.column("a").to_numpy().copy()
    score[np.flatnonzero(full(1).item("reachable"))[40]] = np.nan
    with pytest.raises(NumericError, match=r"model 'a' gave 1 NaN scores \(context 1"):
        evaluate(full(1).with_scores({"a": score}), **OPTIONS)


@pytest.mark.parametrize("chance", [0.0, 1.5, np.nan])
def test_impossible_inclusion_probabilities_are_refused(full, chance):
    frame = full(1).with_contexts({"inclusion_probability": np.full(60, chance)})
    with pytest.raises(NumericError, match="inclusion probability"):
        evaluate(frame, **OPTIONS)


def test_faults_of_the_caller_are_named(full, stored):
    with pytest.raises(SchemaError, match="no scores of a model 'c'"):
        evaluate(full(1), **OPTIONS, models=("c",))
    with pytest.raises(ConfigError, match="no estimand"):
        evaluate(full(1), **OPTIONS, estimand="user")
    with pytest.raises(SchemaError, match="no context column 'planet'"):
        evaluate(full(1), seed=1, slices=Slices(contexts=("planet",)))
    with pytest.raises(SchemaError, match="too few for a list of 10"):
        evaluate(stored(full(1), 2), **OPTIONS)
    bad = metric("bad", about="never finite")(lambda groups, k: np.full(groups.truth.n_contexts, np.inf))
    with pytest.raises(NumericError, match="metric 'bad' is not finite"):
        evaluate(full(1), **OPTIONS, metrics=(bad,))
    with pytest.raises(ConfigError, match="different bootstrap seeds"):
        merge(evaluate(full(1), **OPTIONS), evaluate(full(1), **(OPTIONS | {"seed": 8})))


@given(st.integers(0, 1000))
def test_the_product_of_counts_and_amounts_is_exact(seed):
    rng = np.random.default_rng(seed)
    counts, amounts = rng.integers(0, 9, (50, 4)), rng.integers(-(2**40), 2**53, (50, 3))
    exact = [[sum(int(a) * int(b) for a, b in zip(x, y, strict=True)) for y in amounts.T] for x in counts.T]
    assert product(counts.astype(float), amounts).tolist() == exact


def test_sums_are_refused_before_they_wrap():
    assert fixed(np.array([1 / 3])) == round(ONE / 3)
    with pytest.raises(NumericError, match="below 2\\^29"):
        fixed(np.array([2.0**29]))
    with pytest.raises(NumericError, match="passes 2\\^32"):
        product(np.full((200, 1), 8.0), np.full((200, 1), 2**58))
    with pytest.raises(NumericError, match="passes 2\\^32"):
        added(np.array([LIMIT - 1]), np.array([1]))


def test_compare_pairs_the_replicates(full):
    frame = full(11, contexts=400, profiles=150)
    sums = evaluate(frame, **(OPTIONS | {"replicates": 100}))
    row = number(compare(sums, "a", "b"), metric="nmrr")
    values = {model: number(metric_rows(sums), model=model, metric="nmrr") for model in ("a", "b")}
    assert row["difference"] == pytest.approx(values["a"]["value"] - values["b"]["value"])
    assert row["verdict"] == "a is higher"
    assert row["low"] < row["difference"] < row["high"]
    same_model = number(compare(sums, "a", "a"), metric="nmrr")
    assert (same_model["low"], same_model["high"], same_model["verdict"]) == (0.0, 0.0, "no difference shown")


def test_a_model_absent_on_some_days_is_a_mean_over_its_own_and_not_compared(full):
    first, second = full(1), full(2)
    both = merge(evaluate(first, **OPTIONS), evaluate(second, **OPTIONS, models=("b",)))
    alone = metric_rows(evaluate(first, **OPTIONS, models=("a",)))
    row = number(metric_rows(both), model="a", metric="nmrr")
    assert row | {"rules": ""} == number(alone, model="a", metric="nmrr") | {"rules": ""}
    assert row["n"] < number(metric_rows(both), model="b", metric="nmrr")["n"]
    assert number(compare(both, "a", "b"), metric="nmrr")["verdict"] == "different contexts"


def test_small_n_gets_no_verdict(full):
    sums = evaluate(full(1), **OPTIONS)
    row = number(metric_rows(sums, min_contexts=1000), model="a", metric="nmrr")
    assert np.isfinite(row["value"])
    assert np.isnan([row["low"], row["high"]]).all()
    sure = number(metric_rows(sums), model="a", metric="nmrr")
    assert row["detectable"] == pytest.approx(sure["detectable"], rel=0.5)
    pair = number(compare(sums, "a", "b", min_contexts=1000), metric="nmrr")
    assert pair["verdict"] == "no verdict"
    assert pair["detectable"] == pytest.approx(number(compare(sums, "a", "b"), metric="nmrr")["detectable"], rel=0.5)
    assert np.isnan([pair[name] for name in ("low", "high", "p_t", "p_randomisation", "p_holm", "p_bh")]).all()


def test_a_profile_without_candidates_scores_nothing():
    contexts = pa.table({"profile_id": [1], "n_candidates": [0]})
    items = {"title_id": np.array([4]), "label": np.ones(1), "reachable": np.array([False])}
    counts = {"n_above.a": np.zeros(1, np.int64), "n_equal.a": np.zeros(1, np.int64)}
    frame = Frame.of(contexts, np.array([0, 1]), items=items | counts, scores={"a": np.zeros(1)})
    rows = metric_rows(evaluate(frame, seed=1, cutoffs=(5,))).to_pylist()
    values = {(row["model"], row["metric"]): (row["value"], row["n"]) for row in rows}
    assert values["ceiling", "recall"] == values["random", "map"] == values["a", "nmrr"] == (0.0, 1)
    assert values["a", "auc"][1] == 0
