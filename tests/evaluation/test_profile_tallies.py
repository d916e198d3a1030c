"""What is no mean over contexts, with each profile counting once: coverage, ranks, accumulators of one's own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Accumulator, Added, Slices, compare, evaluate, metric_rows
from rec_platform.evaluation.accumulators import joined
from rec_platform.evaluation.metrics import Population
from rec_platform.evaluation.plan import PROFILE
from rec_platform.evaluation.registry import ACCUMULATORS


def listed(view, k):
    context, title = view.lists.shown(k)
    return Added(context, title)


def wanted(view, k):
    """The labels of each context's positives, by title."""
    truth = view.truth
    return Added(truth.context, truth.context % 5, amount=truth.gain.astype(np.float64))


def share_of_most(tally):
    return float(tally.totals.max() / tally.totals.sum()) if len(tally.ids) else float("nan")


OWN = (
    Accumulator("places", listed, {"share_of_most_shown": share_of_most}, cut=True, needs=("lists",)),
    Accumulator("wanted", wanted, {"share_of_most_wanted": share_of_most}, population=Population.POSITIVE),
)
EVERY = (*ACCUMULATORS, *OWN)


def judged(frame, **changes):
    options = {"seed": 3, "metrics": (), "cutoffs": (3,), "slices": Slices(("country", "device")), "replicates": 20,
               "list_length": 30, "accumulators": EVERY}  # fmt: skip
    return evaluate(frame, **(options | changes))


def rows_of(sums):
    rows = metric_rows(sums, min_contexts=2, accumulators=EVERY).to_pylist()
    return {(row["model"], row["metric"], row["slice"], row["slice_value"]): row for row in rows}


def test_a_profile_with_many_contexts_counts_once():
    """Ana has three contexts and is shown title 1 in each, Ben one and is shown title 2."""
    contexts = pa.table({"profile_id": [1, 1, 1, 2], "inclusion_probability": [1.0, 0.5, 0.25, 1.0]})
    items = {"title_id": np.tile([1, 2], 4), "label": np.tile([1.0, 0.0], 4)}
    scores = {"a": np.array([2.0, 1.0] * 3 + [1.0, 2.0])}
    frame = Frame.of(contexts, np.arange(5) * 2, items=items, scores=scores)
    key = ("a", "share_of_most_shown", "all", "all")
    found = {
        estimand: rows_of(judged(frame, cutoffs=(1,), slices=Slices(()), estimand=estimand))[key]
        for estimand in ("context", PROFILE)
    }
    assert found["context"]["value"] == pytest.approx(Fraction(1 + 2 + 4, 1 + 2 + 4 + 1))
    assert found[PROFILE]["value"] == pytest.approx(Fraction(1, 2))
    assert {row["n"] for row in found.values()} == {4}
    assert {row["estimand"] for row in found.values()} == {"context", PROFILE}


def shared(frame, population):
    """The frame with each context weighing its share of its profile's weight among those of a population, times 64."""
    profile, weight = frame.context("profile_id"), 1.0 / frame.context("inclusion_probability") * population
    total = np.bincount(profile, weights=weight)[profile]
    share = np.divide(64 * weight, total, out=np.ones_like(weight), where=weight > 0)
    return frame.with_contexts({"inclusion_probability": 1.0 / share})


EXPECTED = {
    "listed": {"gini", "share_of_most_shown"}, "positive": {"share_of_most_wanted"}, "reachable": {"mean_rank", "median_rank"},
}  # fmt: skip


@pytest.mark.parametrize("population", ["listed", "positive", "reachable"])
def test_it_is_what_contexts_give_that_weigh_their_share_of_their_profile(full, population):
    frame = full(8, contexts=160, profiles=25, titles=30)
    context, found = frame.context_of_item, frame.item("label") > 0
    found = {"listed": np.ones(frame.n_items), "positive": found, "reachable": found & frame.item("reachable")}[
        population
    ]
    there = np.bincount(context, weights=found, minlength=frame.n_contexts) > 0
    wanted_here = [one for one in EVERY if one.population == population]
    one = rows_of(judged(frame, estimand=PROFILE, slices=Slices(())))
    other = rows_of(judged(shared(frame, there), slices=Slices(())))
    names = {name for each in wanted_here for name in each.readings}
    keys = [key for key in one if key[1] in names]
    assert {key[1] for key in keys} >= EXPECTED[population]
    for key in keys:
        for name in ("value", "low", "high"):
            assert one[key][name] == pytest.approx(other[key][name], rel=1e-6, abs=1e-8, nan_ok=True), (key, name)
        assert one[key]["n"] == other[key]["n"]


def test_a_country_is_the_profiles_contexts_there_alone(full):
    frame = full(9, contexts=120, profiles=15, titles=25)
    here = np.flatnonzero(frame.context("country") == "FR")
    one, alone = (
        rows_of(judged(part, estimand=PROFILE, slices=Slices(("country",)))) for part in (frame, frame.take(here))
    )
    keys = [key for key in one if key[2:] == ("country", "FR") and key[1] in ("gini", "share_of_most_shown")]
    assert keys
    for key in keys:
        assert one[key]["value"] == pytest.approx(alone[key]["value"], abs=1e-9)


def test_the_parts_of_frames_make_no_difference(full):
    frame = full(10, contexts=90, profiles=12, titles=20)
    parts = [frame.take(np.arange(40)), frame.take(np.arange(40, 90))]
    one, other = (judged(frames, estimand=PROFILE) for frames in (frame, parts))
    assert one.tallies.keys() == other.tallies.keys()
    for key, tally in one.tallies.items():
        assert tally.ids.tolist() == other.tallies[key].ids.tolist()
        assert tally.weights.tolist() == other.tallies[key].weights.tolist()


def test_models_are_paired_by_it_too(full):
    frame = full(11, contexts=200, profiles=150, titles=30)
    sums = judged(frame, estimand=PROFILE, slices=Slices(()))
    row = next(
        row for row in compare(sums, "a", "b", accumulators=EVERY).to_pylist() if row["metric"] == "share_of_most_shown"
    )
    values = rows_of(sums)
    assert row["estimand"] == PROFILE
    assert row["value_a"] == values["a", "share_of_most_shown", "all", "all"]["value"]
    assert np.isfinite([row["low"], row["high"], row["p_t"]]).all()


def test_joined_additions_know_their_contexts():
    first = Added(np.array([0, 1]), np.array([7, 8]), size=np.array([3, 3]))
    parts = [first, Added(np.array([0]), np.array([9]), size=np.array([4]))]
    found = joined(parts, np.array([0, 2]))
    assert (found.context.tolist(), found.ids.tolist(), found.amount) == ([0, 1, 2], [7, 8, 9], None)
    assert found.size.tolist() == [3, 3, 4]
