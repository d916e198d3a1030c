"""Rows for the UI and the terminal, and the small tables that pictures are drawn from."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.dmc12.frame import Frame, nested
from rec_platform.lake import Lake, Manifest, Staged
from rec_platform.models.baselines import PopularityScorer
from rec_platform.partition import Partition
from rec_platform.reports import gather
from rec_platform.reports.stages import shown
from rec_platform.reports.tables import cell, compact, metrics_table

NAN = float("nan")
FR, DE = Partition(date(2025, 1, 1), "FR"), Partition(date(2025, 1, 1), "DE")


def test_cells() -> None:
    assert [cell(value) for value in (True, 12, "x" * 80, [], date(2025, 1, 1))] == [
        "yes", 12, "x" * 59 + "…", "", "2025-01-01"
    ]  # fmt: skip
    assert cell(1 / 3, digits=2) == 0.33


def test_compact_takes_the_named_columns_and_first_rows() -> None:
    table = pa.table({"a": [1, 2, 3], "b": [0.123456, None, 2.0], "hidden": [1, 1, 1]})
    assert compact(table, columns=["a", "b"], rows=2) == [{"a": 1, "b": 0.1235}, {"a": 2, "b": ""}]


def test_metrics_stand_beside_each_other() -> None:
    rows = pa.table({
        c.MODEL: ["xgboost", "xgboost", "random"], c.METRIC: ["ndcg", "nmrr", "ndcg"], c.CUTOFF: [10, 0, 10],
        c.VALUE: [0.25, 0.5, 0.1], c.LOW: [0.2, NAN, 0.05], c.HIGH: [0.3, NAN, 0.15], c.N: [40, 30, 40],
    })  # fmt: skip
    assert metrics_table(rows) == [
        {"model": "xgboost", "n": 40, "ndcg@10": "0.250 [0.200, 0.300]", "nmrr": "0.500 (no verdict)"},
        {"model": "random", "n": 40, "ndcg@10": "0.100 [0.050, 0.150]"},
    ]


# --- from the lake ---------------------------------------------------------------------------------------------------


def published(home: Path, *parts: tuple[t.TableSpec, Partition, pa.Table, dict[str, object]]) -> Lake:
    lake = Lake(home)
    with lake.staging("test") as staging:
        staged: list[Staged] = [staging.write(spec, where, rows, extra=extra) for spec, where, rows, extra in parts]
        lake.publish(staged, Manifest("test", "test"))
    return lake


def test_counts_come_from_the_states_alone(tmp_path: Path) -> None:
    empty = t.RAW_PLAYS.schema.empty_table()
    counts = {"accepted": 0, "duplicates": 2, "quarantined": {"missing_id": 3, "unreadable": 1}}
    lake = published(tmp_path, (t.RAW_PLAYS, FR, empty, counts), (t.RAW_PLAYS, DE, empty, {}))
    assert gather.raw_play_counts(lake, [DE, FR]).to_pylist() == [
        {"date": FR.day, "accepted": 0, "duplicates": 0, "quarantined": 0},
        {"date": FR.day, "accepted": 0, "duplicates": 2, "quarantined": 4},
    ]
    assert shown("raw_plays", lake, [FR, DE]).pictures["picture"].startswith("<?xml")
    assert shown("raw_plays", lake, [FR, DE]).rows == []
    assert shown("landing", lake, [FR]).pictures == {}


def test_titles_and_profiles_are_counted_from_the_day_they_were_first_known(tmp_path: Path) -> None:
    def title(which: int, day: int) -> dict[str, object]:
        known = datetime(2025, 1, day, 12)
        return {"title_id": which, "known_at": known, "source_id": str(which), "genres": [], "tags": []}

    rows = pa.Table.from_pylist([title(1, 2), title(1, 5), title(2, 2), title(3, 4)], schema=t.TITLES.schema)
    lake = published(
        tmp_path, (t.TITLES, Partition(), rows, {}), (t.PROFILES, Partition(), t.PROFILES.schema.empty_table(), {})
    )
    assert gather.reference_growth(lake, []).to_pylist() == [
        {"what": "titles", "date": date(2025, 1, 2), "new": 2},
        {"what": "titles", "date": date(2025, 1, 4), "new": 1},
    ]
    assert shown("reference", lake, [Partition()]).pictures["picture"].startswith("<?xml")


def test_strata_before_sampling_are_what_was_kept_over_its_probability(tmp_path: Path) -> None:
    strata = {"FR/new": {"kept": 5, "inclusion_probability": 0.25}, "FR/1y+": {"kept": 2, "inclusion_probability": 1.0}}
    lake = published(
        tmp_path, (t.TRAINING_SETS, FR, t.TRAINING_SETS.schema.empty_table(), {"strata": strata, "items": 9})
    )
    assert gather.strata(lake, [FR]).to_pylist() == [
        {"stratum": "FR/1y+", "before": 2.0, "kept": 2.0},
        {"stratum": "FR/new", "before": 20.0, "kept": 5.0},
    ]
    assert gather.training_items(lake, [FR]).to_pylist() == [{"date": FR.day, "items": 9, "positives": 0}]


def contexts(n: int, *, n_candidates: int | None = None) -> pa.Table:
    columns = {
        c.PROFILE: pa.array(range(n), pa.int64()), c.COUNTRY: ["FR"] * n, c.CONTEXT_ID: pa.array(range(n), pa.int64()),
        c.AT: pa.array([0] * n, t.INSTANT), c.DEVICE: ["tv"] * n, c.TENURE_DAYS: [0.0] * n, c.TENURE_BAND: ["new"] * n,
        c.ACTIVITY_BAND: ["none"] * n, c.STRATUM: ["FR/new"] * n, c.INCLUSION_PROBABILITY: [1.0] * n,
    }  # fmt: skip
    return pa.table(columns if n_candidates is None else columns | {c.N_CANDIDATES: [n_candidates] * n})


def scores(model: str = "m") -> pa.Table:
    """One context of 4 candidates. Positives: ranks 1 or 2 (tied with one other), rank 4, and one that is unreachable."""
    items = {
        c.TITLE: np.arange(4), c.LABEL: np.array([1.0, 1.0, 1.0, 0.0]), c.WEIGHT: np.ones(4),
        c.ITEM_INCLUSION_PROBABILITY: np.ones(4), c.REACHABLE: np.array([True, True, False, True]),
    }  # fmt: skip
    frame = Frame.of(contexts(1, n_candidates=4), np.array([0, 4]), items=items)
    structs = {
        c.SCORES: pa.table({model: [0.9, 0.1, 0.5, 0.9]}),
        c.N_ABOVE: pa.table({model: [0, 3, 4, 0]}),
        c.N_EQUAL: pa.table({model: [1, 0, 0, 1]}),
    }
    return nested(frame, item_columns=tuple(items), structs=structs).select(t.SCORES_TABLE.schema.names)


def test_positives_are_found_up_to_a_rank_in_expectation(tmp_path: Path) -> None:
    lake = published(tmp_path, (t.SCORES_TABLE, FR, scores(), {}))
    found = gather.positive_ranks(lake, [FR])
    assert found.column(c.RANK).to_pylist() == [1, 2, 3, 4]
    assert found.column("share").to_pylist() == pytest.approx([0.5 / 3, 1 / 3, 1 / 3, 2 / 3])


def test_positives_are_found_among_those_that_the_model_scored(tmp_path: Path) -> None:
    lake = published(tmp_path, (t.SCORES_TABLE, FR, scores(), {}), (t.SCORES_TABLE, DE, scores("other"), {}))
    found = gather.positive_ranks(lake, [DE, FR])
    alone = gather.positive_ranks(lake, [FR])
    assert found.filter(pc.equal(found[c.MODEL], "m")).equals(alone)


def test_importance_is_influence_inside_contexts() -> None:
    """A feature that differs between contexts but not inside them moves no ranking."""
    frame = Frame.of(contexts(2), np.array([0, 2, 4]), items={c.TITLE: np.arange(4)})
    values = np.array([[1.0, 7.0], [3.0, 7.0], [2.0, 9.0], [2.0, 9.0]])
    assert gather._centred(values, frame).tolist() == [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    popular = frame.with_features({"candidate_popularity": np.array([0, 5, 1, 1], np.float32)})
    assert gather._contribution_shares(PopularityScorer(), popular) == {"candidate_popularity": 1.0}


def test_no_models_no_importances(tmp_path: Path) -> None:
    lake = published(tmp_path, (t.RANKER_MODELS, Partition(FR.date), t.RANKER_MODELS.schema.empty_table(), {}))
    assert gather.importances(lake, [Partition(FR.date)]).num_rows == 0
    assert "baselines only" in shown("ranker_models", lake, [Partition(FR.date)]).pictures["picture"]


def test_lists_per_title(tmp_path: Path) -> None:
    rows = pa.table({
        c.PROFILE: [1, 1, 2], c.RANK: pa.array([1, 2, 1], pa.int32()), c.TITLE: [7, 8, 7], c.SCORE: [1.0, 0.5, 1.0],
        c.MODEL: ["m"] * 3, c.REASONS: [["a"], [], []],
    })  # fmt: skip
    lake = published(tmp_path, (t.RECOMMENDATIONS, FR, rows, {}))
    assert gather.shown_titles(lake, [FR]).to_pylist() == [{"title_id": 7, "lists": 2}, {"title_id": 8, "lists": 1}]
    assert gather.catalogue(lake) == 0
    assert shown("recommendations", lake, [FR]).rows[0] == {
        "partition": "FR|2025-01-01", "profile_id": 1, "rank": 1, "title_id": 7, "score": 1.0, "model": "m"
    }  # fmt: skip


def test_a_stage_without_metrics_draws_an_empty_card(tmp_path: Path) -> None:
    drawn = shown("metrics", Lake(tmp_path), [FR]).pictures
    assert "no metrics" in drawn["picture"]
    assert "no slices" in drawn["slices"]
    assert shown("metrics", Lake(tmp_path), [FR]).rows == []


def test_metrics_of_a_day_without_contexts_draw_an_empty_card(tmp_path: Path) -> None:
    lake = published(tmp_path, (t.METRIC_SUMS, FR, t.METRIC_SUMS.schema.empty_table(), {}))
    assert "no metrics" in shown("metrics", lake, [FR]).pictures["picture"]
