"""The sentence and the bars of a comparison."""

from __future__ import annotations

import pytest

from rec_platform.evaluation.comparison import (
    BOOTSTRAP,
    DIFFERENT_CONTEXTS,
    HIGHER,
    JACKKNIFE,
    LEVEL,
    LOWER,
    NO_VERDICT,
)
from rec_platform.judging.told import BAR, Row, bar, numbers, sentence, told
from rec_platform.terminal import in_numbers

NAN = float("nan")
ROW: Row = {
    "model_a": "new", "model_b": "old", "metric": "nmrr", "k": 0, "slice": "all", "slice_value": "all", "difference": 0.1,
    "low": 0.05, "high": 0.15, "p_t": 0.001, "p_randomisation": 0.002, "p_holm": 0.001, "detectable": 0.07, "n": 400,
    "verdict": HIGHER, "method": BOOTSTRAP,
}  # fmt: skip


MORE: Row = {"value_a": 0.4, "value_b": 0.3, "p_bh": NAN, "effect": NAN}
FEW: Row = {"difference": 0.9, "low": NAN, "high": NAN, "verdict": NO_VERDICT, "n": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "new is better than old on nmrr: +0.1000 [+0.0500, +0.1500], p 0.001 by paired t, 0.002 by randomisation"),
        (
            {"difference": -0.1, "low": -0.15, "high": -0.05, "verdict": LOWER},
            "old is better than new on nmrr: +0.1000 [+0.0500, +0.1500]",
        ),
        ({"metric": "novelty"}, "new is higher than old on novelty"),
        ({"metric": "percentile_rank"}, "new is higher than old on percentile_rank"),
        (
            {"metric": "coverage", "k": 10, "method": JACKKNIFE, "p_randomisation": NAN},
            "coverage@10: +0.1000 [+0.0500, +0.1500], p 0.001 by leaving out each of 20 groups of profiles, 0.001 after",
        ),
        (
            {"verdict": LEVEL, "low": -0.01, "p_holm": 0.2},
            "(+0.1000, n 400); alone, a difference of 0.0700 would have been found 4 times in 5",
        ),
        (
            {"verdict": LEVEL, "p_holm": 0.2},
            "though its own interval [+0.0500, +0.1500] does not hold 0: p 0.2 after Holm's correction among 1; alone, ",
        ),
        (
            {"verdict": NO_VERDICT, "low": NAN, "high": NAN, "p_holm": NAN},
            "new and old: no verdict on nmrr (+0.1000, n 400); alone, a difference of 0.0700 would have been found",
        ),
        ({"verdict": DIFFERENT_CONTEXTS, "p_holm": 1.0}, "choose days on which both were scored"),
        ({"slice": "device", "slice_value": "tv"}, "on nmrr in device tv: +0.1000"),
    ],
)  # fmt: skip
def test_the_sentence_says_which_is_better_and_how_sure(change, said):
    assert said in sentence([ROW | change])


def test_what_speaks_against_the_winner_is_counted():
    against = ROW | {"metric": "mrr", "difference": -0.1, "low": -0.2, "high": -0.05, "verdict": LOWER}
    unsure = ROW | {"metric": "map", "p_holm": 0.3, "verdict": LEVEL}
    assert "of 3 comparisons 1 are surely in its favour and 1 surely against it" in sentence([ROW, against, unsure])
    assert sentence([]) == "Nothing to compare."
    assert sentence([ROW, ROW | {"model_b": "older"}]).startswith("2 pairs, 2 comparisons; 2 differences are sure")


def test_bars_stand_around_zero_and_stay_inside():
    assert bar(0.0, NAN, NAN, 0.0)[BAR // 2] == "o"
    assert bar(-2.0, -3.0, -1.0, 1.0)[0] == "o"
    assert all(len(bar(value, value - 1, value + 1, 2.0)) == BAR for value in (-5.0, 0.0, 0.3, 9.0))


def test_one_comparison_alone_is_not_counted():
    assert sentence([ROW]).endswith(" after Holm's correction.")
    assert "comparisons" not in sentence([ROW]) and "of 2 comparisons 2 are" in sentence([ROW, ROW])


def test_rows_without_a_verdict_have_no_bar_and_no_say_in_its_scale():
    wide, narrow = told([ROW | MORE, ROW | MORE | FEW], "all", several=False)
    assert (wide["bar"], narrow["bar"]) == (bar(0.1, 0.05, 0.15, 0.15), "")


def test_machines_are_given_numbers():
    sure, few = in_numbers(numbers([ROW | MORE, ROW | MORE | FEW], "all", several=False))
    assert sure == {
        "metric": "nmrr", "new": 0.4, "old": 0.3, "difference": {"value": 0.1, "low": 0.05, "high": 0.15}, "p t": 0.001,
        "p flips": 0.002, "p Holm": 0.001, "p BH": None, "effect": None, "detectable": 0.07, "n": 400, "verdict": HIGHER,
        "by": BOOTSTRAP,
    }  # fmt: skip
    assert few["difference"] == {"value": 0.9, "low": None, "high": None}
    (pair,) = numbers([ROW | MORE | {"slice_value": "tv"}], "device", several=True)
    assert {name: pair[name] for name in ("models", "device", "a", "b")} == {
        "models": "new - old", "device": "tv", "a": 0.4, "b": 0.3
    }  # fmt: skip
