"""Ranking power against its definition, and the check that catches a feature that knows the answer."""

from __future__ import annotations

from pathlib import Path

import good_tables as g
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform import tables
from rec_platform.checks import CheckResult, audit
from rec_platform.checks.leak import (
    HIGH_AUC,
    LEAK_AUC,
    RankingPower,
    context_auc,
    own_play,
    pairs_of,
    play_keys,
    verdict,
)
from rec_platform.config import AuditConfig
from rec_platform.lake import Lake, Manifest
from rec_platform.partition import Partition

NAN = float("nan")


def plain_auc(values: list[float], label: list[float]) -> float | None:
    """Straight from the definition: each positive against each other item, ties 1/2."""
    won = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, positive in zip(values, label, strict=True)
        if positive
        for b, other in zip(values, label, strict=True)
        if not other
    ]
    return sum(won) / len(won) if won else None


contexts = st.lists(
    st.lists(st.tuples(st.integers(0, 3).map(float), st.sampled_from([0.0, 1.0])), max_size=6), max_size=6
)


@given(contexts)
def test_the_auc_of_every_context_is_that_of_the_definition(lists: list[list[tuple[float, float]]]) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    values = np.array([value for one in lists for value, _ in one])
    label = np.array([mark for one in lists for _, mark in one])
    expected = [plain_auc([v for v, _ in one], [y for _, y in one]) for one in lists]
    found = context_auc(values, pairs_of(label > 0, offsets))
    assert found.tolist() == pytest.approx([auc for auc in expected if auc is not None])


def test_hand_worked() -> None:
    offsets, label = np.array([0, 3, 5]), np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    power = RankingPower.of({"x": np.array([2.0, 1.0, 2.0, 5.0, 4.0])}, label > 0, offsets)
    assert power.auc() == {"x": pytest.approx((3 / 4 + 0) / 2)}


def test_a_missing_value_counts_on_the_side_that_tells_more() -> None:
    """Days since the last play of this title: 0 for the context's own play, missing for titles never played."""
    offsets, label = np.array([0, 3]), np.array([1.0, 0.0, 0.0])
    assert RankingPower.of({"x": np.array([0.0, NAN, NAN])}, label > 0, offsets).auc() == {"x": 1.0}
    assert RankingPower.of({"x": np.array([NAN, 3.0, 4.0])}, label > 0, offsets).auc()["x"] in (0.0, 1.0)


@given(contexts, contexts)
def test_parts_add_up_to_the_whole(
    first: list[list[tuple[float, float]]], second: list[list[tuple[float, float]]]
) -> None:
    def power(lists: list[list[tuple[float, float]]]) -> RankingPower:
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
        flat = np.array([pair for one in lists for pair in one]).reshape(-1, 2)
        return RankingPower.of({"x": flat[:, 0].copy()}, flat[:, 1] > 0, offsets)

    parts = power(first)
    parts.add(power(second))
    assert parts.contexts == power(first + second).contexts
    assert parts.auc() == pytest.approx(power(first + second).auc())


def test_few_contexts_are_not_judged() -> None:
    offsets, label = np.array([0, 2]), np.array([1.0, 0.0])
    leaking, note = verdict([RankingPower.of({"x": label.copy()}, label > 0, offsets)])
    assert leaking == {} and "too few" in note


def test_the_own_play_is_the_title_played_at_the_very_instant() -> None:
    profile, at = np.array([7, 7]), np.array([100, 200])
    titles, context = np.array([1, 2, 1, 3]), np.array([0, 0, 1, 1])
    plays = play_keys(np.array([7, 7, 8]), np.array([100, 199, 200]), np.array([1, 1, 3]))
    assert own_play(titles, context, profile, at, plays).tolist() == [True, False, False, False]


@pytest.mark.parametrize(("empty_positives", "leaks"), [(0.0, True), (0.05, False)])
def test_a_count_that_is_never_empty_for_what_was_played_leaks_at_a_lower_auc(
    empty_positives: float, leaks: bool
) -> None:
    """Honest plays of the title before: high in a world of repeats, but some titles are played for the first time."""
    n, rng = 1_000, np.random.default_rng(0)
    label = np.tile([1.0] + [0.0] * 9, n)
    values = np.where(rng.random(10 * n) < 0.1, 1.0, 0.0)
    values[::10] = np.where(rng.random(n) < empty_positives, 0.0, 1.0)
    power = RankingPower.of({"x": values}, label > 0, np.arange(0, 10 * n + 1, 10))
    assert HIGH_AUC < power.auc()["x"] < LEAK_AUC
    assert bool(power.leaking()) is leaks


def world(seed: int, n: int, leak: str | None) -> dict[str, np.ndarray]:
    """n contexts of 20 items: one positive, drawn by popularity, and an honest popularity feature beside the leak."""
    rng = np.random.default_rng(seed)
    plays = rng.zipf(1.6, size=(n, 20)).clip(max=5_000).astype(float)
    chosen = (np.log(plays) + rng.gumbel(size=plays.shape)).argmax(axis=1)
    label = np.zeros((n, 20))
    label[np.arange(n), chosen] = 1.0
    before = rng.poisson(0.05, size=(n, 20)).astype(float)
    features = {
        "honest_popularity": plays,
        "honest_previous_plays": before + label * (rng.random((n, 20)) < 0.4),
        "honest_noise": rng.random((n, 20)),
        "honest_hour": np.repeat(rng.random((n, 1)), 20, axis=1),
    }
    leaks = {
        "label": label,
        "label_missing": np.where(label == 1, 1.0, NAN),
        "label_reversed": 1 - label,
        "own_play_counted": before + label,
        "days_since_own_play": np.where(label == 1, 0.0, np.where(before > 0, 3.0, NAN)),
    }
    if leak:
        features["leak"] = leaks[leak]
    return {"label": label.ravel(), **{name: values.ravel() for name, values in features.items()}}


def own_plays(table: pa.Table, values: dict[str, np.ndarray]) -> pa.Table:
    """A play at the instant of each context, of the title that `played` marks."""
    mine = np.flatnonzero(values["played"] == 1) if "played" in values else np.zeros(0, dtype=np.int64)
    context = mine // 20
    rows = [
        dict.fromkeys(tables.PLAY_FACTS.schema.names, 0)
        | {"profile_id": who, "title_id": int(title), "played_at": at, "known_at": at, "device": "tv", "surface": None}
        for who, at, title in zip(
            table.column("profile_id").take(pa.array(context)).to_pylist(),
            table.column("at").take(pa.array(context)).to_pylist(),
            mine % 20,
            strict=True,
        )
    ]
    return pa.Table.from_pylist(rows, schema=tables.PLAY_FACTS.schema)


def judged(home: Path, *columns: dict[str, np.ndarray]) -> list[CheckResult]:
    """The leak check of one partition per set of columns."""
    lake = Lake(home)
    with lake.staging("test") as staging:
        staged = []
        for number, values in enumerate(columns):
            n = len(values["label"]) // 20

            def change(
                contexts: g.Columns, items: g.Columns, values: dict[str, np.ndarray] = values, n: int = n
            ) -> None:
                items.clear()
                items[c.TITLE] = np.tile(np.arange(20), n)
                items[c.LABEL] = values["label"]
                items[c.WEIGHT] = np.ones(20 * n)
                items[c.ITEM_INCLUSION_PROBABILITY] = values.get("played", np.full(20 * n, 0.5))
                items["offsets"] = np.arange(0, 20 * n + 1, 20)
                items.update(
                    {f"features.{name}": column for name, column in values.items() if name not in ("label", "played")}
                )

            table = g.dmc12("FR", n, change, scores=False)
            partition = Partition(g.DAY.replace(day=10 + number), "FR")
            staged.append(staging.write(tables.TRAINING_SETS, partition, table))
            facts = staging.write(tables.PLAY_FACTS, partition, own_plays(table, values))
            lake.publish([facts], Manifest("test", "facts"))
        results = audit("training_sets", staged, lake=lake, settings=AuditConfig())
    return [result for result in results if result.check == "too_good_feature"]


@pytest.mark.parametrize(
    "leak", ["label", "label_missing", "label_reversed", "own_play_counted", "days_since_own_play"]
)
def test_a_leaking_feature_is_caught_and_named(tmp_path: Path, leak: str) -> None:
    (result,) = judged(tmp_path, world(1, 400, leak))
    assert not result.passed and result.blocking
    assert result.observed.startswith("leak AUC") and "honest" not in result.observed
    assert "features.leave_out" in result.expected


@pytest.mark.parametrize("seed", range(3))
def test_honest_features_are_not(tmp_path: Path, seed: int) -> None:
    (result,) = judged(tmp_path, world(seed, 400, None))
    assert result.passed and "honest" in result.observed


def test_a_leak_in_one_day_does_not_drown_in_the_others(tmp_path: Path) -> None:
    honest = [world(seed, 150, None) | {"leak": np.random.default_rng(seed).random(3_000)} for seed in range(3)]
    results = judged(tmp_path, *honest, world(9, 150, "label"))
    assert [result.passed for result in results] == [True, True, True, False]


def test_small_partitions_are_judged_together(tmp_path: Path) -> None:
    results = judged(tmp_path, *(world(seed, 30, "label") for seed in range(5)))
    assert not any(result.passed for result in results)


def test_a_count_of_the_own_play_is_caught_where_nobody_engaged_with_it(tmp_path: Path) -> None:
    """The label does not know of the play the context began with, but the one title drawn for certain does."""
    columns = world(3, 400, None)
    played = np.full(len(columns["label"]), 0.5)
    played[np.arange(400) * 20 + np.random.default_rng(0).integers(0, 20, 400)] = 1.0
    columns |= {"played": played, "leak": columns["honest_noise"].round() * 0 + (played == 1)}
    (result,) = judged(tmp_path, columns)
    assert not result.passed
    assert result.observed.startswith("leak AUC 1.0000")
