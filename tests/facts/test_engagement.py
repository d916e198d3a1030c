"""The engagement rule, worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.config import EngagementRule
from rec_platform.facts.engagement import engaged

SECOND = 1_000


def plays(*rows: tuple[int | None, int | None, bool | None]) -> pa.Table:
    watched, runtime, verdict = zip(*rows, strict=True)
    return pa.table({
        "watched_ms": pa.array(watched, pa.int64()),
        "runtime_ms": pa.array(runtime, pa.int64()),
        "engaged": pa.array(verdict, pa.bool_()),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (EngagementRule(kind="always"), [1, 1, 1, 1, 1, 1]),
        (EngagementRule(kind="min_seconds", seconds=60), [1, 0, 1, 0, 0, 0]),
        # the share of 100 s is 70 s, of 50 s it is 35 s; 60 s is enough wherever the share asks for more
        (EngagementRule(kind="min_share", seconds=60, share=0.7), [1, 0, 1, 0, 1, 0]),
        (EngagementRule(kind="column"), [1, 0, 0, 0, 0, 1]),
    ],
)
def test_each_rule(rule: EngagementRule, expected: list[int]) -> None:
    rows = plays(
        (60 * SECOND, 100 * SECOND, True),
        (60 * SECOND - 1, 100 * SECOND, False),
        (60 * SECOND, None, None),
        (None, 100 * SECOND, None),
        (35 * SECOND, 50 * SECOND, False),
        (35 * SECOND, 0, True),
    )
    assert engaged(rows, rule).tolist() == expected


@given(st.integers(1, 10**14), st.integers(1, 1_000_000))
def test_the_share_is_exact_in_integers(runtime: int, millionths: int) -> None:
    rule = EngagementRule(kind="min_share", seconds=10**12, share=millionths / 1_000_000)
    least = -(-runtime * millionths // 1_000_000)
    rows = plays((least, runtime, None), (least - 1, runtime, None))
    assert engaged(rows, rule).tolist() == [1, 0]


def test_no_rows() -> None:
    for kind in ("always", "min_seconds", "min_share", "column"):
        assert engaged(plays((1, 1, True)).slice(0, 0), EngagementRule(kind=kind)).tolist() == []


def test_the_smallest_share_still_asks_for_something() -> None:
    assert engaged(plays((0, 100, None), (1, 100, None)), EngagementRule(kind="min_share", share=1e-9)).tolist() == [
        0,
        1,
    ]
