"""Each rule: holds on a good partition, fails on a planted fault, and fails only that partition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import good_tables as g
import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform import tables
from rec_platform.checks import RULES, CheckResult, audit
from rec_platform.config import AuditConfig
from rec_platform.lake import Lake
from rec_platform.partition import Grain, Partition

NAN, INF = float("nan"), float("inf")
Fault = Callable[[], pa.Table]


def put(table: str, column: str, values: list[Any]) -> Fault:
    """The good rows with a column in place of another."""
    return lambda: g.typed(tables.table(table), {**g.FLAT[table](), column: values})


def item(table: str, column: str, value: object, row: int = 0) -> Fault:
    """The good DMC-12 rows with one item's value replaced."""

    def change(contexts: g.Columns, items: g.Columns) -> None:
        items[column] = np.array(items[column], dtype=type(value))
        items[column][row] = value

    return lambda: g.dmc12("FR", 4, change, scores=table == "scores")


def context(table: str, column: str, values: list[Any]) -> Fault:
    def change(contexts: g.Columns, items: g.Columns) -> None:
        contexts[column] = values

    return lambda: g.dmc12("FR", 4, change, scores=table == "scores")


def no_items() -> pa.Table:
    def change(contexts: g.Columns, items: g.Columns) -> None:
        offsets = items["offsets"]
        for name in items:
            items[name] = items[name][3:] if name != "offsets" else items[name]
        items["offsets"] = np.maximum(offsets - 3, 0)

    return g.dmc12("FR", 4, change, scores=False)


def null_feature() -> pa.Table:
    def change(contexts: g.Columns, items: g.Columns) -> None:
        items["features.plays_28d"] = pa.array([None, *items["features.plays_28d"][1:]])

    return g.dmc12("FR", 4, change, scores=False)


def one_label() -> pa.Table:
    def change(contexts: g.Columns, items: g.Columns) -> None:
        items[c.LABEL] = np.zeros(12)

    return g.dmc12("FR", 4, change, scores=False)


def empty_feature() -> pa.Table:
    def change(contexts: g.Columns, items: g.Columns) -> None:
        items["features.days_since"] = np.full(12, NAN)

    return g.dmc12("FR", 4, change, scores=False)


EARLY, LATE = g.MIDNIGHT - 1, g.MIDNIGHT + 24 * g.HOUR
FOUR = [g.MIDNIGHT + hour * g.HOUR for hour in (1, 2, 2, 23)]

#: (table, the check that must fail, the faulty rows)
FAULTS: list[tuple[str, str, Fault]] = [
    ("landing", "keys_present", put("landing", c.LINE, [1, None])),
    ("landing", "keys_ascending", put("landing", c.LINE, [2, 2])),
    ("landing", "lines_counted_from_one", put("landing", c.LINE, [0, 1])),
    ("raw_plays", "keys_present", put("raw_plays", c.PROFILE, [7, None, 8, 7])),
    ("raw_plays", "keys_ascending", put("raw_plays", c.PROFILE, [7, 9, 8, 7])),
    ("raw_plays", "played_at_inside_date", put("raw_plays", c.PLAYED_AT, [EARLY, *FOUR[1:]])),
    ("raw_plays", "played_at_inside_date", put("raw_plays", c.PLAYED_AT, [*FOUR[:3], LATE])),
    ("raw_plays", "known_after_played", put("raw_plays", c.KNOWN_AT, [FOUR[0] - 1, *FOUR[1:]])),
    ("raw_plays", "watched_not_negative", put("raw_plays", c.WATCHED_MS, [1, None, -1, 0])),
    ("raw_plays", "runtime_not_negative", put("raw_plays", c.RUNTIME_MS, [1, None, -1, 0])),
    ("raw_plays", "propensity_is_probability", put("raw_plays", c.PROPENSITY, [1.0, None, 0.0, 0.5])),
    ("raw_plays", "propensity_is_probability", put("raw_plays", c.PROPENSITY, [1.0, None, 1.5, 0.5])),
    ("raw_plays", "propensity_is_probability", put("raw_plays", c.PROPENSITY, [1.0, None, NAN, 0.5])),
    ("raw_plays", "place_on_page_not_negative", put("raw_plays", c.POSITION, [0, None, -1, 0])),
    ("raw_plays", "event_known", put("raw_plays", c.EVENT, ["play", "pause", "play", "shown"])),
    ("raw_plays", "play_ids_unique", put("raw_plays", c.PLAY_ID, [1, 2, 3, 1])),
    ("quarantined_plays", "rule_named", put("quarantined_plays", c.RULE, ["", "missing_id"])),
    ("titles", "runtime_not_negative", put("titles", c.RUNTIME_MS, [-1, None])),
    ("titles", "keys_ascending", put("titles", c.TITLE, [2, 1])),
    ("profiles", "country_is_code", put("profiles", c.HOME_COUNTRY, ["fr", None])),
    ("availability", "availability_not_reversed", put("availability", c.AVAILABLE_TO, [None, -1])),
    ("availability", "country_is_code", put("availability", c.COUNTRY, ["*", "FR"])),
    ("play_facts", "engaged_is_0_or_1", put("play_facts", c.ENGAGED, [1, 2, 0])),
    ("play_facts", "known_after_played", put("play_facts", c.KNOWN_AT, [0, *FOUR[1:3]])),
    ("play_facts", "watched_not_negative", put("play_facts", c.WATCHED_MS, [-5, 0, 0])),
    ("title_tiles", "known_date_not_before_date", put("title_tiles", c.KNOWN_DATE, [g.DAY.replace(day=9), g.DAY])),
    ("title_tiles", "last_play_inside_date", put("title_tiles", c.LAST_PLAYED_AT, [g.MIDNIGHT, LATE])),
    ("title_tiles", "counts_consistent", put("title_tiles", c.ENGAGED_PLAYS, [2, 0])),
    ("title_tiles", "tile_sums_equal_facts", put("title_tiles", c.PLAYS, [1, 3])),
    ("profile_tiles", "tile_sums_equal_facts", put("profile_tiles", c.WATCHED_MS, [1000, 1])),
    ("profile_snapshot", "windows_monotone", put("profile_snapshot", c.windowed(c.PLAYS, 28), [1, 0])),
    ("profile_snapshot", "windows_monotone", put("profile_snapshot", c.windowed(c.WATCHED_MS, 1), [-1, 0])),
    ("profile_snapshot", "engaged_within_plays", put("profile_snapshot", c.windowed(c.ENGAGED_PLAYS, 90), [5, 0])),
    ("profile_snapshot", "snapshot_sees_no_future", put("profile_snapshot", c.LAST_PLAYED_AT, [g.MIDNIGHT, None])),
    ("profile_snapshot", "last_play_matches_window", put("profile_snapshot", c.LAST_PLAYED_AT, [None, None])),
    ("profile_snapshot", "last_play_matches_window",
     put("profile_snapshot", c.LAST_PLAYED_AT, [g.MIDNIGHT - 91 * 24 * g.HOUR, None])),
    ("profile_snapshot", "country_within_all_countries",
     put("profile_snapshot", c.windowed(c.PLAYS, 90, "country"), [5, 0])),
    ("title_snapshot", "windows_monotone", put("title_snapshot", c.windowed(c.PLAYS, 7, "country"), [4, 0])),
    ("contexts", "at_inside_date", put("contexts", c.AT, [EARLY, FOUR[0], FOUR[1], FOUR[3]])),
    ("contexts", "inclusion_is_probability", put("contexts", c.INCLUSION_PROBABILITY, [0.5, 0.0, 1.0, 1.0])),
    ("contexts", "stratum_starts_with_country", put("contexts", c.STRATUM, ["DE/new"] + ["FR/new"] * 3)),
    ("contexts", "tenure_not_negative", put("contexts", c.TENURE_DAYS, [0.0, 1.0, -1.0, 2.0])),
    ("contexts", "context_ids_unique", put("contexts", c.CONTEXT_ID, [100, 101, 102, 100])),
    ("training_sets", "country_is_partition", context("training_sets", "country_iso_code", ["DE"] + ["FR"] * 3)),
    ("training_sets", "at_inside_date", context("training_sets", c.AT, [*FOUR[:3], LATE])),
    ("training_sets", "label_is_0_or_1", item("training_sets", c.LABEL, 0.5)),
    ("training_sets", "item_inclusion_is_probability", item("training_sets", c.ITEM_INCLUSION_PROBABILITY, 0.0)),
    ("training_sets", "titles_once_per_context", item("training_sets", c.TITLE, 2)),
    ("training_sets", "titles_once_per_context", item("training_sets", c.TITLE, 3)),
    ("training_sets", "items_not_empty", no_items),
    ("training_sets", "weight_positive_finite", item("training_sets", c.WEIGHT, 0.0)),
    ("training_sets", "weight_positive_finite", item("training_sets", c.WEIGHT, INF)),
    ("training_sets", "features_not_null", null_feature),
    ("training_sets", "features_finite", item("training_sets", "features.plays_28d", -INF)),
    ("training_sets", "features_present", empty_feature),
    ("training_sets", "both_labels_present", one_label),
    ("candidate_models", "payload_matches_hash", put("candidate_models", "payload", [b'{"data":{}}', b"\x93NUMPY"])),
    ("candidate_models", "manifest_per_model", put("candidate_models", c.MODEL, ["a", "b"])),
    ("candidate_models", "file_kind_allowed", put("candidate_models", "file", ["manifest.json", "model.pickle"])),
    ("ranker_models", "file_kind_allowed", put("ranker_models", "file", ["manifest.json", "../x.npy"])),
    ("contexts", "newest_played_before_at", put("contexts", c.NEWEST_PLAYED_AT, [None, *[g.MIDNIGHT + g.HOUR] * 3])),
    ("contexts", "newest_known_before_at", put("contexts", c.NEWEST_KNOWN_AT, [g.MIDNIGHT, None, None, None])),
    ("contexts", "known_by_is_one", put("contexts", c.KNOWN_BY, ["then", "then", "now", "now"])),
    ("contexts", "known_by_is_one", put("contexts", c.KNOWN_BY, ["then", "then", "then", None])),
    ("training_sets", "newest_played_before_at", context("training_sets", c.NEWEST_PLAYED_AT, [g.MIDNIGHT] * 4)),
    ("training_sets", "newest_known_before_at", context("training_sets", c.NEWEST_KNOWN_AT, [g.MIDNIGHT] * 4)),
    ("scores", "label_is_0_or_1", item("scores", c.LABEL, NAN)),
    ("scores", "scores_not_nan", item("scores", "scores.random", NAN)),
    ("scores", "ranks_within_candidates", item("scores", "n_equal.random", 2)),
    ("scores", "ranks_within_candidates", item("scores", "n_above.random", -1)),
    ("scores", "reachable_consistent", item("scores", "n_above.random", 1, row=2)),
    ("scores", "reachable_consistent", context("scores", c.N_CANDIDATES, [1, 2, 2, 2])),
    ("scores", "candidates_not_negative", context("scores", c.N_CANDIDATES, [-1, 2, 2, 2])),
    ("metrics", "bounded_metric_in_0_1", put("metrics", c.VALUE, [0.1, 1.01, NAN])),
    ("metrics", "interval_holds_value", put("metrics", c.LOW, [0.15, NAN, NAN])),
    ("metrics", "interval_holds_value", put("metrics", c.HIGH, [0.2, NAN, 0.3])),
    ("metrics", "counts_not_negative", put("metrics", c.N_EXCLUDED, [1, -1, 0])),
    ("metrics", "value_where_counted", put("metrics", c.N, [40, 0, 0])),
    ("metric_sums", "counts_not_negative", put("metric_sums", c.N, [-1, 0])),
    ("metric_sums", "replicates_agree", put("metric_sums", "kind", ["mean", "weight"])),
    ("metric_sums", "tally_lists_paired", put("metric_sums", "weights", [[], [4]])),
    ("recommendations", "ranks_without_gaps", put("recommendations", c.RANK, [1, 3, 1])),
    ("recommendations", "ranks_without_gaps", put("recommendations", c.RANK, [1, 2, 2])),
    ("recommendations", "titles_once_per_profile", put("recommendations", c.TITLE, [1, 1, 1])),
    ("recommendations", "score_falls_with_rank", put("recommendations", c.SCORE, [0.5, 0.6, 0.9])),
    ("recommendations", "score_is_number", put("recommendations", c.SCORE, [NAN, 0.6, 0.9])),
]  # fmt: skip

#: Faults that a single partition cannot show; each has its own test.
ELSEWHERE = {
    "landing_reconciles", "quarantined_share_bounded", "some_row_accepted", "volume_like_history", "quarantined_rows_counted",
    "contexts_match", "too_good_feature", "model_sees_no_future",
}  # fmt: skip


def partition_of(spec: tables.TableSpec, day: int) -> Partition:
    when = g.DAY.replace(day=day)
    return {Grain.NONE: Partition(), Grain.DATE: Partition(when), Grain.DATE_COUNTRY: Partition(when, "FR")}[spec.grain]


def checked(home: Path, rows: dict[str, pa.Table], extra: dict[str, Any] | None = None) -> list[CheckResult]:
    """Audit one partition of each table given (all of one stage)."""
    lake = Lake(home)
    with lake.staging("test") as staging:
        staged = [
            staging.write(
                tables.table(name), partition_of(tables.table(name), 10), table, extra=extra or g.extra_of(name)
            )
            for name, table in rows.items()
        ]
        return audit(staged[0].spec.stage, staged, lake=lake, settings=AuditConfig())


#: Tables that a rule compares its own with.
BESIDE = {"title_tiles": ("play_facts",), "profile_tiles": ("play_facts",)}


@pytest.mark.parametrize("stage", sorted({spec.stage for spec in tables.TABLES}))
def test_good_partitions_pass_every_rule(tmp_path: Path, stage: str) -> None:
    names = [spec.name for spec in tables.TABLES if spec.stage == stage]
    results = checked(tmp_path, {name: g.good(name) for name in names})
    assert [result for result in results if not result.passed] == []
    assert {(result.table, result.check) for result in results} == {
        (name, rule.check) for name in names for rule in RULES[name]
    }


@pytest.mark.parametrize(
    ("table", "check", "fault"), FAULTS, ids=[f"{t}-{k}-{n}" for n, (t, k, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_fails_its_rule(tmp_path: Path, table: str, check: str, fault: Fault) -> None:
    results = checked(tmp_path, {name: g.good(name) for name in BESIDE.get(table, ())} | {table: fault()})
    failed = {(result.table, result.check) for result in results if not result.passed}
    assert (table, check) in failed


def test_every_rule_has_a_planted_fault() -> None:
    planted = {check for _, check, _ in FAULTS} | ELSEWHERE
    assert {rule.check for rules in RULES.values() for rule in rules} == planted


def test_nothing_is_published_or_left_out_for_an_empty_partition(tmp_path: Path) -> None:
    empty = {name: tables.table(name).schema.empty_table() for name in ("play_facts", "title_tiles", "profile_tiles")}
    results = checked(tmp_path, empty)
    assert all(result.passed for result in results)
    assert len(results) == sum(len(RULES[name]) for name in empty)
