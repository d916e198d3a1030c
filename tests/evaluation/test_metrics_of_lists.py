"""Numbers about lists: against brute force over orders, closed forms, and other people's figures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_platform.dmc12.frame import Frame
from rec_platform.errors import SchemaError
from rec_platform.evaluation import ACCUMULATORS, Knowledge, Slices, Tastes, TitleFacts, evaluate, merge, metric_rows
from rec_platform.evaluation import beyond as b
from rec_platform.evaluation.exposure import coverage, gini
from rec_platform.evaluation.own import load
from rec_platform.evaluation.positions import HALVES, mean, median
from rec_platform.evaluation.scored import scored
from rec_platform.evaluation.tallies import ONE, Tally, merged, tallied
from rec_platform.evaluation.view import Block, View
from rec_platform.testing import metric_oracle as oracle

PLAYS = {0: 40, 1: 20, 2: 9, 3: 9, 4: 0, 5: 2}
GENRES = {0: ["drama"], 1: ["drama", "crime"], 2: ["comedy"], 3: [], 4: ["comedy", "crime", "drama"], 6: ["western"]}
FACTS = TitleFacts.of(PLAYS, GENRES)
POPULARITY = [(PLAYS.get(title, 0) + 1) / (80 + 7 + 1) for title in range(7)]
SETS = [set(GENRES.get(title, ())) or {"unknown"} for title in range(7)]


def view_of(scores, labels=None, *, played=(), popular=None, longest=10):
    """The view of one context whose candidates are the titles 0, 1, 2, ..."""
    n = len(scores)
    given = {"run": np.asarray(scores, float)} | ({} if popular is None else {"popularity": np.asarray(popular, float)})
    items = {"title_id": np.arange(n), "label": np.asarray(labels if labels is not None else np.zeros(n), float)}
    frame = Frame.of(pa.table({"profile_id": [5]}), np.array([0, n]), items=items, scores=given)
    tastes = Tastes.of(FACTS, np.full(len(played), 5), np.asarray(played, dtype=np.int64))
    known = Knowledge(FACTS, tastes)
    return View(Block(frame, scored(frame, tuple(given)), known, longest=longest, seed=1), "run")


LISTS = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@given(LISTS, st.integers(1, 8))
def test_linear_and_pairwise_numbers_are_means_over_the_orders_of_equal_scores(scores, k):
    view = view_of(scores)
    assert b.novelty.of(view, k) == pytest.approx(
        oracle.over_orders(scores, k, lambda s: oracle.novelty(s, POPULARITY))
    )
    assert b.diversity.of(view, k)[0] == pytest.approx(
        oracle.over_orders(scores, k, lambda s: oracle.diversity(s, SETS)), abs=1e-12
    )


@given(LISTS, st.integers(1, 8), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_lift_is_a_mean_over_orders_and_divergence_that_of_the_shown_order(scores, k, played):
    view = view_of(scores, played=played)
    lift = oracle.over_orders(scores, k, lambda shown: oracle.popularity_lift(shown, played, POPULARITY))
    assert b.popularity_lift.of(view, k)[0] == pytest.approx(lift)
    order = view.lists.shown(k)[1].tolist()
    assert sorted((scores[title] for title in range(len(scores))), reverse=True)[:k] == [
        scores[title] for title in order
    ]
    assert b.genre_divergence.of(view, k)[0] == pytest.approx(oracle.genre_divergence(order, played, SETS))


@given(st.data(), st.integers(1, 5))
def test_serendipity_counts_positives_that_popularity_does_not_show(data, k):
    n = data.draw(st.integers(1, 5))
    scores, popular, labels = (data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)) for _ in range(3))

    def found(shown):
        return oracle.over_orders(popular, k, lambda usual: sum(labels[title] > 0 for title in {*shown} - {*usual}) / k)

    assert b.serendipity.of(view_of(scores, labels, popular=popular), k)[0] == pytest.approx(
        oracle.over_orders(scores, k, found), abs=1e-12
    )


def test_popularity_itself_is_never_serendipitous_whatever_the_ties():
    view = view_of([1, 1, 0], [1, 0, 1], popular=[1, 1, 0])
    view.model = "popularity"
    assert b.serendipity.of(view, 2).tolist() == [0.0]


def test_stecks_divergence():
    """p = (.7, .3), a list all of the first genre, alpha .01."""
    assert b.divergence(np.array([[0.7, 0.3]]), np.array([[1.0, 0.0]]))[0] == pytest.approx(1.1340, abs=5e-5)
    assert b.divergence(np.array([[0.7, 0.3]]), np.array([[0.7, 0.3]]))[0] == pytest.approx(0, abs=1e-12)


def test_diversity_by_hand():
    """drama; drama, crime; comedy: cosines 1/sqrt(2), 0, 0."""
    assert b.diversity.of(view_of([3, 2, 1]), 3)[0] == pytest.approx(1 - (1 / np.sqrt(2)) / 3)
    assert b.diversity.of(view_of([3, 2, 1]), 1)[0] == 0.0


def lists_of(titles, *, catalogue, profiles=None):
    """A frame where each context lists its titles first, of a catalogue."""
    n = len(titles)
    score = np.zeros((n, catalogue))
    for row, shown in enumerate(titles):
        score[row, shown] = 1.0
    columns = {"profile_id": np.arange(n) if profiles is None else profiles, "context_id": np.arange(n)}
    items = {"title_id": np.tile(np.arange(catalogue), n), "label": np.zeros(n * catalogue)}
    return Frame.of(pa.table(columns), np.arange(n + 1) * catalogue, items=items, scores={"run": score.ravel()})


def read(frame, k, name, **options):
    sums = evaluate(
        frame, seed=1, cutoffs=(k,), replicates=20, slices=Slices(()), metrics=(), models=("run",), **options
    )
    return number(metric_rows(sums, min_contexts=2), "run", name)


def number(rows, model, metric):
    return next(row for row in rows.to_pylist() if (row["model"], row["metric"]) == (model, metric))


def test_the_same_titles_for_everybody_cover_k_of_n_with_gini_1_less_that():
    frame = lists_of([[2, 5, 7]] * 40, catalogue=12)
    row = read(frame, 3, "coverage")
    assert (row["value"], row["low"], row["high"]) == (3 / 12, 3 / 12, 3 / 12)
    row = read(frame, 3, "gini")
    assert row["value"] == row["low"] == row["high"] == pytest.approx(1 - 3 / 12)


def test_uniform_exposure_has_gini_0():
    frame = lists_of([[row % 12] for row in range(48)], catalogue=12)
    assert (read(frame, 1, "gini")["value"], read(frame, 1, "coverage")["value"]) == (0.0, 1.0)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 5))
def test_gini_is_the_mean_absolute_difference(exposure, more):
    given_some = [one for one in exposure if one]
    if not given_some:
        return
    n = len(given_some) + more
    given_ids = np.arange(len(given_some))
    tally = tallied(given_ids, np.zeros_like(given_ids), np.array(given_some) * ONE, n)
    assert gini(tally) == pytest.approx(oracle.gini([*given_some, *[0] * more]), abs=1e-12)
    assert coverage(tally) == len(given_some) / n


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_tallies_merge_exactly_and_leaving_out_a_group_is_leaving_out_its_additions(seed):
    rng = np.random.default_rng(seed)
    ids, group, amount = rng.integers(0, 9, 50), rng.integers(0, 20, 50), rng.integers(1, 2**58, 50)
    whole, cut = tallied(ids, group, amount, 7), int(rng.integers(0, 51))
    parts = [tallied(ids[part], group[part], amount[part], 7) for part in (slice(cut), slice(cut, None))]
    joined = merged(parts)
    for name in ("ids", "groups", "weights"):
        assert getattr(whole, name).tolist() == getattr(joined, name).tolist()
    sums = {int(one): sum(int(a) for a, i in zip(amount, ids, strict=True) if i == one) for one in np.unique(ids)}
    assert whole.totals == pytest.approx([value / ONE for value in sums.values()])
    rest = group != group[0]
    without, expected = whole.without(int(group[0])), tallied(ids[rest], group[rest], amount[rest], 7)
    assert (without.ids.tolist(), without.weights.tolist()) == (expected.ids.tolist(), expected.weights.tolist())


@given(st.lists(st.integers(1, 9), min_size=1, max_size=15))
def test_the_median_rank_is_the_middle_one(ranks):
    tally = tallied(np.array(ranks) * HALVES, np.zeros(len(ranks), np.int64), np.full(len(ranks), ONE))
    assert (median(tally), mean(tally)) == (np.median(ranks), pytest.approx(np.mean(ranks)))


def test_positions_by_hand():
    """Positives at ranks 1 and 4; then two positives among four that tie behind one: 2 + 3/2 each, the first at 1 + 5/3."""
    items = {"title_id": np.tile(np.arange(5), 2), "label": np.array([1, 0, 0, 1, 0, 0, 1, 1, 0, 0.0])}
    scores = {"run": np.array([5, 4, 3, 2, 1, 9, 1, 1, 1, 1.0])}
    frame = Frame.of(pa.table({"profile_id": [1, 2]}), np.array([0, 5, 10]), items=items, scores=scores)
    wanted = {"mean_rank": (1 + 4 + 3.5 + 3.5) / 4, "median_rank": 3.5,
              "mean_first_rank": (1 + 2.5) / 2, "median_first_rank": 1.75}  # fmt: skip
    assert {name: read(frame, 1, name)["value"] for name in wanted} == wanted


def test_a_group_that_reaches_past_the_places_kept_is_represented_by_a_sample_of_it(full):
    """The constant scorer's lists, cut at 5 of 30 places, average to what the whole catalogue would give."""
    frame = full(2, contexts=1500, profiles=1500)
    facts = TitleFacts.of({title: title**2 for title in range(30)}, {title: [f"g{title % 4}"] for title in range(30)})

    def random(name, length):
        sums = evaluate(
            frame, seed=1, accumulators=(), cutoffs=(5,), replicates=200, slices=Slices(()), list_length=length,
            knowledge=Knowledge(facts),
        )  # fmt: skip
        return number(metric_rows(sums), "random", name)

    for name in ("novelty", "diversity"):
        short, whole = random(name, 5), random(name, 30)
        assert short["low"] < whole["value"] < short["high"]


def test_what_is_not_known_leaves_metrics_out_and_says_so_where_they_are_asked_directly():
    names = {
        row["metric"] for row in metric_rows(evaluate(lists_of([[1]], catalogue=3), seed=1, cutoffs=(1,))).to_pylist()
    }
    assert names.isdisjoint({one.name for one in b.BEYOND})
    assert "gini" in names
    frame = lists_of([[1]], catalogue=3)
    view = View(Block(frame, scored(frame, ("run",)), Knowledge(), longest=3, seed=1), "run")
    with pytest.raises(SchemaError, match="titles are not known"):
        b.novelty.of(view, 1)


def test_an_accumulator_in_a_file_of_its_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from rec_platform.evaluation.accumulators import Accumulator, Added\n"
        "def listed(view, k):\n"
        "    context, title = view.lists.shown(k)\n"
        "    return Added(context, title)\n"
        "SHOWN = Accumulator('shown', listed, {'titles_shown': lambda tally: float(len(tally.ids))}, cut=True,\n"
        "                    needs=('lists',))\n"
    )
    own = load((str(file),))
    assert own.metrics == ()
    frame = lists_of([[1, 2], [2, 3]], catalogue=6)
    known = (*ACCUMULATORS, *own.accumulators)
    sums = evaluate(frame, seed=1, cutoffs=(2,), accumulators=known)
    rows = {(row["model"], row["metric"]): row["value"] for row in metric_rows(sums, accumulators=known).to_pylist()}
    assert rows["run", "titles_shown"] == 3.0
    assert "titles_shown" not in {row["metric"] for row in metric_rows(sums).to_pylist()}


def of_candidates(*sets):
    """A context per set of candidates, each a profile of its own; `run` puts the least title first."""
    titles = np.concatenate([np.array(sorted(one)) for one in sets])
    offsets = np.append(0, np.cumsum([len(one) for one in sets]))
    return Frame.of(
        pa.table({"profile_id": np.arange(len(sets)), "context_id": titles[offsets[:-1]]}), offsets,
        items={"title_id": titles, "label": np.zeros(len(titles))}, scores={"run": -titles.astype(float)},
    )  # fmt: skip


def test_the_catalogue_is_the_union_of_the_candidate_sets_as_far_as_anybody_showed_it():
    """Sets {0..5}, {4..9} and, in another partition, {20..23}: their union has 14, the largest 6; run shows 0, 4 and 20."""
    parts = [of_candidates(range(6), range(4, 10)), of_candidates(range(20, 24))]
    sums = merge(*(evaluate(one, seed=1, cutoffs=(1, 6), metrics=(), replicates=0, list_length=6) for one in parts))
    found = {(row["model"], row["metric"], row["k"]): row["value"] for row in metric_rows(sums).to_pylist()}
    assert found["run", "coverage", 1] == pytest.approx(3 / 14)
    assert found["run", "coverage", 6] == found["random", "coverage", 6] == 1.0
    assert found["run", "gini", 1] == pytest.approx(1 - 3 / 14)
    # with the first place of each list alone the union is not seen: the largest set, or what anybody showed
    few = evaluate(of_candidates(range(6), range(4, 10)), seed=1, cutoffs=(1,), metrics=(), replicates=0)
    (value,) = (
        row["value"] for row in metric_rows(few).to_pylist() if (row["model"], row["metric"]) == ("run", "coverage")
    )
    assert value == pytest.approx(2 / 6)


@given(sets=st.lists(st.sets(st.integers(0, 15), min_size=1), min_size=1, max_size=6))
def test_no_model_covers_more_than_all_and_random_with_whole_lists_covers_all(sets):
    sums = evaluate(of_candidates(*sets), seed=1, cutoffs=(1, 16), metrics=(), replicates=0, list_length=16)
    rows = [row for row in metric_rows(sums).to_pylist() if row["metric"] == "coverage"]
    union = len(set().union(*sets))
    assert all(row["value"] == 1 for row in rows if row["k"] == 16)
    assert all(round(row["value"] * union, 6) == round(row["value"] * union) for row in rows)


def test_an_empty_tally_has_no_number():
    empty = Tally(*(np.zeros(0, np.int64) for _ in range(3)))
    for one in ACCUMULATORS:
        for name, value in one.readings.items():
            assert np.isnan(value(empty)), name


@given(
    plays=st.dictionaries(st.integers(0, 9), st.integers(0, 50)),
    genres=st.dictionaries(st.integers(0, 9), st.lists(st.sampled_from(["drama", "comedy", "unknown"]), max_size=3)),
)
def test_genres_of_a_date_take_the_plays_of_each_country(plays, genres):
    """Made once for all countries of a date, they are what each country's own would be."""
    ids = np.array(sorted(plays), dtype=np.int64)
    joined = TitleFacts.of(genres=genres).with_plays(
        ids, np.array([plays[one] for one in ids.tolist()], dtype=np.int64)
    )
    alone = TitleFacts.of(plays, genres)
    assert joined.names == alone.names
    for name in ("titles", "plays", "offsets", "codes"):
        assert getattr(joined, name).tolist() == getattr(alone, name).tolist()
