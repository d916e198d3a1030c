"""What every metric does at the edges that docs/metrics.md names; a new metric cannot skip them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import (
    ACCUMULATORS,
    ALL_METRICS,
    Knowledge,
    Slices,
    Tastes,
    TitleFacts,
    evaluate,
    metric_rows,
)

N = 6
FACTS = TitleFacts.of({title: 9 * title for title in range(N)}, {title: [f"g{title % 3}"] for title in range(N)})
KNOWN = Knowledge(FACTS, Tastes.of(FACTS, np.array([1, 1, 2]), np.array([0, 1, 5])), {"p": "log_odds"})
NAMES = (*(one.name for one in ALL_METRICS), *(name for one in ACCUMULATORS for name in one.readings))
CUT = {one.name for one in ALL_METRICS if one.cut} | {name for one in ACCUMULATORS if one.cut for name in one.readings}
#: Divides by k and not by what there is. (So does serendipity, but a list of everything surprises nobody: 0.)
OVER_K = {"precision"}
OF_PAGES = {"mean_logged_row", "mean_logged_position", "logged_places", "mean_rank_first_row", "mean_rank_lower_rows"}
#: Without a positive there is nothing to judge; the others are about lists and probabilities.
NEED_A_POSITIVE = {
    "nmrr", "mrr", "ndcg", "recall", "precision", "r_precision", "map", "hit_rate", "auc", "percentile_rank", "serendipity",
    "mean_rank", "median_rank", "mean_first_rank", "median_first_rank", *OF_PAGES,
}  # fmt: skip
#: Count a positive that nobody could find as 0.
ZERO_IF_UNREACHABLE = NEED_A_POSITIVE - {
    "auc", "percentile_rank", "mean_rank", "median_rank", "mean_first_rank", "median_first_rank", *OF_PAGES
}  # fmt: skip
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def one_context(score, label, *, candidates=N, reachable=None):
    """A single context of profile 1 with every title a candidate; the stored form where there is none."""
    items = {"title_id": np.arange(len(label)), "label": np.asarray(label, float)}
    items |= {"row": np.arange(len(label)) // 3, "position": np.arange(len(label)) % 3}
    scores = {name: np.asarray(score, float) for name in ("p", "popularity", "random")}
    contexts = {"profile_id": [1], "context_id": [3]}
    if reachable is not None:
        items["reachable"] = np.asarray(reachable)
        items |= {
            f"{count}.{name}": np.zeros(len(label), np.int64) for name in scores for count in ("n_above", "n_equal")
        }
        contexts["n_candidates"] = [candidates]
    return Frame.of(pa.table(contexts), np.array([0, len(label)]), items=items, scores=scores)


def rows_of(frame, k=3, model="p"):
    sums = evaluate(
        frame, seed=1, cutoffs=(k,), replicates=0, slices=Slices(()), knowledge=KNOWN, list_length=max(k, N)
    )
    return {row["metric"]: row for row in metric_rows(sums).to_pylist() if row["model"] == model}


def test_every_metric_is_asked():
    found = set(rows_of(one_context(np.arange(N), [1, 0, 0, 0, 1, 0])))
    assert found == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_every_metric_stands_in_the_docs():
    text = PAGE.read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def told_edges():
    """What docs/metrics.md says of each metric: its words by metric, in the order of the table's columns."""
    _, _, table = PAGE.read_text().partition("| metric | no positive |")
    rows = [row.strip("| ").split(" | ") for row in table.partition("\n\n")[0].splitlines()[2:]]
    return {name.strip("`"): words for names, *words in rows for name in names.split(", ")}


def found_edges(name):
    """The same words, from what the metric does."""
    label = [1, 0, 0, 0, 1, 0]
    none = rows_of(one_context(np.arange(N), np.zeros(N)))[name]
    at_end, beyond = (rows_of(one_context(np.arange(N), label), k)[name] for k in (N, 10 * N))
    tied, random = (rows_of(one_context(np.zeros(N), label), model=model).get(name) for model in ("p", "random"))
    empty = rows_of(one_context([0.0], [1.0], candidates=0, reachable=[False])).get(name)
    same = at_end["value"] == beyond["value"]
    return [
        "counts" if none["n"] else "left out",
        "no k" if not at_end["k"] else "as at the end" if same else "over k",
        "no order" if random is None else "as `random`" if tied["value"] == random["value"] else "otherwise",
        "left out" if empty is None or np.isnan(empty["value"]) else f"{empty['value']:g}",
    ]


def test_the_page_says_of_every_metric_what_it_does_at_the_edges():
    assert told_edges() == {name: found_edges(name) for name in NAMES}


def test_every_formula_has_its_source():
    tables = re.findall(r"^\|[^\n]*\| source \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE.read_text(), flags=re.MULTILINE)
    sources = {
        row.split("|")[1].strip(): row.rstrip(" |").rsplit("|", 1)[1].strip()
        for part in tables
        for row in part.splitlines()
    }
    assert len(sources) > 15
    assert [name for name, source in sources.items() if len(source) < 5] == []


@pytest.mark.parametrize("name", NAMES)
def test_without_a_positive(name):
    row = rows_of(one_context(np.arange(N), np.zeros(N)))[name]
    if name in NEED_A_POSITIVE:
        assert np.isnan(row["value"])
        assert (row["n"], row["n_excluded"]) == (0, 1)
    else:
        assert np.isfinite(row["value"])
        assert (row["n"], row["n_excluded"]) == (1, 0)


@pytest.mark.parametrize("name", sorted(CUT))
def test_k_beyond_the_catalogue(name):
    frame = one_context(np.arange(N), [1, 0, 0, 0, 1, 0])
    whole, beyond = rows_of(frame, N)[name]["value"], rows_of(frame, 10 * N)[name]["value"]
    assert beyond == pytest.approx(whole / 10 if name in OVER_K else whole, abs=1e-8)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in {"log_loss", "calibration_error", "calibration_ratio"}]
)
def test_when_all_scores_are_equal_it_is_what_random_gets(name):
    frame = one_context(np.zeros(N), [1, 0, 0, 2, 0, 0])
    ours, random = (rows_of(frame, model=model)[name]["value"] for model in ("p", "random"))
    assert ours == random
    assert np.isfinite(ours)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_without_candidates(name):
    rows = rows_of(one_context([0.0], [1.0], candidates=0, reachable=[False]))
    if name in ZERO_IF_UNREACHABLE:
        assert (rows[name]["value"], rows[name]["n"]) == (0.0, 1)
    else:
        assert name not in rows or np.isnan(rows[name]["value"])


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_rows_changes_nothing(name):
    label, score = np.array([1, 0, 0, 2, 0, 1.0]), np.array([2, 1, 1, 1, 0, 0.0])
    frame = one_context(score, label)
    for order in itertools.islice(itertools.permutations(range(N)), 0, None, 119):
        rows = pa.array(order)
        mixed = Frame(frame.contexts, frame.offsets, frame.items.take(rows), frame.features, frame.scores.take(rows))
        assert rows_of(mixed)[name]["value"] == rows_of(frame)[name]["value"]
