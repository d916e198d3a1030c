"""Verdicts hold for a whole table: a difference that is sure alone is not sure among many, and pictures say the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rec_platform.dmc12.frame import Frame
from rec_platform.evaluation import Slices, compare, evaluate
from rec_platform.evaluation.comparison import (
    COMPARISON,
    DIFFERENT_CONTEXTS,
    HIGHER,
    LEVEL,
    LOWER,
    NO_VERDICT,
    SURE,
    VERY_SURE,
    corrected,
    sureness,
)
from rec_platform.evaluation.metrics import mrr

NAN = float("nan")
WINS = (HIGHER, LOWER)


def table(*rows: tuple[float, float, float], verdict: str = LEVEL) -> pa.Table:
    """A comparison's rows as (p of the paired t, low, high)."""
    texts = {field.name: "x" for field in COMPARISON if field.type == pa.string()}
    numbers = {field.name: 0 for field in COMPARISON if field.type != pa.string()}
    made = [
        texts | numbers | {"p_t": p, "low": low, "high": high, "difference": (low + high) / 2, "verdict": verdict}
        for p, low, high in rows
    ]
    return pa.Table.from_pylist(made, schema=COMPARISON)


def verdicts(rows: pa.Table) -> list[str]:
    return [str(one) for one in corrected(rows).column("verdict").to_pylist()]


def test_a_win_alone_is_no_win_among_four() -> None:
    rows = table((0.01, 0.1, 0.3), (0.02, 0.1, 0.4), (0.03, -0.4, -0.1), (0.04, 0.01, 0.3))
    assert corrected(rows).column("p_holm").to_pylist() == pytest.approx([4 / 100, 6 / 100, 6 / 100, 6 / 100])
    assert verdicts(rows) == [HIGHER, LEVEL, LEVEL, LEVEL]
    alone = [verdicts(rows.slice(row, 1))[0] for row in range(4)]
    assert alone == [HIGHER, HIGHER, LOWER, HIGHER]


def test_no_rows_are_no_family() -> None:
    assert corrected(table()).num_rows == 0
    assert corrected(table()).schema == COMPARISON


def test_what_has_no_interval_has_no_verdict_and_is_no_test_of_the_family() -> None:
    assert verdicts(table((0.04, 0.1, 0.3), (NAN, NAN, NAN))) == [HIGHER, NO_VERDICT]
    assert verdicts(table((0.04, 0.1, 0.3), verdict=DIFFERENT_CONTEXTS)) == [DIFFERENT_CONTEXTS]
    assert verdicts(table((NAN, 0.1, 0.3))) == [NO_VERDICT]


def test_a_test_and_an_interval_that_disagree_show_no_difference() -> None:
    assert verdicts(table((0.001, -0.01, 0.3), (0.2, 0.01, 0.3))) == [LEVEL, LEVEL]


chances = st.floats(0, 1).map(lambda p: p**4)
rows_of = st.lists(st.tuples(chances, st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=12).map(
    lambda drawn: table(*((p, low, low + width) for p, low, width in drawn))
)


@given(rows_of)
def test_a_verdict_never_contradicts_its_corrected_p_and_its_interval(rows: pa.Table) -> None:
    for row in corrected(rows).to_pylist():
        beside = row["low"] > 0 or row["high"] < 0
        assert (row["verdict"] in WINS) == (row["p_holm"] <= SURE and beside)
        assert row["verdict"] != (HIGHER if row["difference"] < 0 else LOWER)
        level = sureness(row)
        assert level is not None and (level != 0) == (row["verdict"] in WINS)
        assert (abs(level) == 2) == (level != 0 and row["p_holm"] <= VERY_SURE)


@given(rows_of, st.data())
def test_a_smaller_family_loses_no_win(rows: pa.Table, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.integers(0, rows.num_rows - 1), min_size=1, unique=True))
    before, after = verdicts(rows), verdicts(rows.take(pa.array(kept)))
    assert all(after[place] == before[row] for place, row in enumerate(kept) if before[row] in WINS)


def equal_models(rng: np.random.Generator, profiles: int = 240, slices: int = 12) -> Frame:
    """Two models that find what was watched equally often, over contexts of so many slices."""
    profile = np.repeat(np.arange(profiles), rng.integers(1, 5, profiles))
    n, taste = len(profile), rng.beta(2, 2, profiles)[profile]
    hits = {name: rng.random(n) < taste for name in "ab"}
    contexts = pa.table(
        {"profile_id": profile + int(rng.integers(2**40)), "device": [f"d{one % slices}" for one in profile]}
    )
    items = {"title_id": np.tile([1, 2], n), "label": np.tile([1.0, 0.0], n)}
    scores = {name: np.column_stack([hit, ~hit]).ravel().astype(float) for name, hit in hits.items()}
    return Frame.of(contexts, np.arange(n + 1) * 2, items=items, scores=scores)


@pytest.mark.slow
def test_tables_of_equal_models_hold_a_wrong_verdict_in_at_most_5_percent() -> None:
    rng, worlds, wrong, beside = np.random.default_rng(20_250_312), 120, 0, 0
    for _ in range(worlds):
        sums = evaluate(
            equal_models(rng), seed=1, metrics=(mrr,), accumulators=(), slices=Slices(("device",)), cutoffs=(),
            replicates=100,
        )  # fmt: skip
        rows = compare(sums, "a", "b").to_pylist()
        assert len(rows) == 13
        wrong += any(row["verdict"] in WINS for row in rows)
        beside += any(row["low"] > 0 or row["high"] < 0 for row in rows)
    low, _ = stats.binomtest(wrong, worlds).proportion_ci(0.99, method="exact")
    print(f"a wrong verdict in {wrong / worlds:.3f} of {worlds} tables; an interval beside 0 in {beside / worlds:.3f}")
    assert low <= SURE
    assert beside > worlds / 4
