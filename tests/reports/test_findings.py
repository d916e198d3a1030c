"""Sentences say what their rows say, and no more; every metric has a name for readers; rules are told in words."""

from __future__ import annotations

from typing import Any

import pytest

from rec_platform import columns as c
from rec_platform.evaluation.comparison import HIGHER, LEVEL, LOWER, NO_VERDICT
from rec_platform.evaluation.protocol import Evidence, Protocol
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS
from rec_platform.reports import findings, glossary
from rec_platform.reports.rules import rules, words

NAN = float("nan")


def value(model: str, number: float, low: float = NAN, high: float = NAN, **more: Any) -> dict[str, Any]:
    return {c.MODEL: model, c.VALUE: number, c.LOW: low, c.HIGH: high, c.METRIC: "nmrr", c.CUTOFF: 0} | more


def pair(a: str, b: str, number: float, verdict: str, p: float = 0.01, **more: Any) -> dict[str, Any]:
    low, high = (NAN, NAN) if verdict == NO_VERDICT else (number - 0.05, number + 0.05)
    told = {"model_a": a, "model_b": b, "difference": number, c.LOW: low, c.HIGH: high, "verdict": verdict, "p_holm": p}
    return told | {c.SLICE: "all", c.SLICE_VALUE: "all"} | more


VALUES = {"a": value("a", 0.4, 0.35, 0.45), "b": value("b", 0.39, 0.34, 0.44), "base": value("base", 0.2, 0.15, 0.25)}
PAIRS = [pair("b", "a", -0.01, LEVEL, 0.5), pair("base", "a", -0.2, LOWER, 0.0001), pair("base", "b", -0.19, LOWER)]


def test_the_headline_names_the_leader_its_gain_and_who_may_be_as_good() -> None:
    said = findings.headline(VALUES, findings.turned(PAIRS, "a"), best="a", baseline="base", metric="NMRR")
    assert said == (
        "a leads 3 models: NMRR 0.400 [0.350, 0.450], against 0.200 of base (+0.200 [+0.150, +0.250]: very surely better). "
        "Against b no difference is shown."
    )


def test_the_headline_claims_nothing_that_is_not_shown() -> None:
    unsure = [pair("a", "base", 0.2, NO_VERDICT, NAN)]
    said = findings.headline(VALUES, findings.turned(unsure, "a"), best="a", baseline="base", metric="NMRR")
    assert "(+0.200: no verdict: too little was measured)" in said
    alone = findings.headline({"base": VALUES["base"]}, {}, best="base", baseline="base", metric="NMRR")
    assert (
        alone == "base is the only model: NMRR 0.200 [0.150, 0.250], and it is the baseline itself: no model beats it."
    )


def test_a_difference_turned_round_is_the_other_models() -> None:
    (one,) = findings.turned([pair("base", "a", -0.2, LOWER)], "a").values()
    (same,) = findings.turned([one | {"model_a": "a", "model_b": "base"}], "a").values()
    assert (one["difference"], one[c.LOW], one["verdict"]) == (0.2, pytest.approx(0.15), HIGHER)
    assert same["verdict"] == HIGHER


def test_what_is_won_is_a_share_of_what_there_is_to_win() -> None:
    assert "(1.000) that is 25 %" in findings.reached(0.4, 0.2, 1.0)
    assert findings.reached(0.4, 0.4, 0.4) == ""


def test_only_metrics_with_a_better_side_have_a_first() -> None:
    rows = [
        value("a", 0.4), value("b", 0.3), value("a", 9.0, metric="mean_rank"), value("b", 5.0, metric="mean_rank"),
        value("a", 0.9, metric="coverage", k=10), value("b", 0.1, metric="coverage", k=10),
    ]  # fmt: skip
    assert findings.firsts(rows, ["a", "b"]) == "a is first in NMRR; b is first in mean rank."


def test_pairs_are_counted_by_their_verdicts() -> None:
    said = findings.pairs([*PAIRS, pair("c", "a", -0.3, NO_VERDICT, NAN)])
    assert said == "2 of 4 pairs of models differ surely; no difference is shown between b and a; 1 without a verdict."


def test_slices_are_counted_by_their_verdicts() -> None:
    rows = [
        pair("a", "base", 0.2, HIGHER), *(pair("a", "base", 0.2, HIGHER, slice="country", slice_value=one) for one in "XY"),
        pair("a", "base", -0.2, LOWER, slice="tenure_band", slice_value="new"),
        pair("a", "base", 0.4, NO_VERDICT, NAN, slice="device", slice_value="tv"), pair("b", "base", 0.1, HIGHER),
    ]  # fmt: skip
    assert findings.slices(rows, model="a", versus="base") == (
        "a is surely better than base in 2 of 4 slices, surely worse in 1 (tenure band new); "
        "in 1 there is too little for a verdict."
    )


def test_half_of_what_was_watched() -> None:
    rows = [
        {c.MODEL: model, c.RANK: rank, "share": share}
        for model, shares in (("a", (0.5, 0.8, 1.0)), ("b", (0.1, 0.2, 0.6)), ("c", (0.0, 0.0, 0.2)))
        for rank, share in zip((1, 10, 1000), shares, strict=True)
    ]
    assert (
        findings.ranks(rows, ["a", "b", "c"])
        == "Half of what was watched stood in the first place of a; b needs 1,000."
    )
    assert "No model" in findings.ranks(rows, ["c"])


def test_winners_by_day() -> None:
    rows = [value(model, number, day=day) for day, number in ((1, 0.5), (2, 0.1)) for model in ("a",)]
    rows += [value("b", 0.3, day=day) for day in (1, 2)]
    assert findings.winners(rows, "day", "days", models=["a", "b"]) == "a has the highest value in 1 of 2 days, b in 1."
    assert findings.winners(rows[:1], "day", "days", models=["a"]) == "a has the highest value (1)."
    assert findings.winners(rows, "day", "days", models=[]) == ""


def test_coverage_and_chances() -> None:
    rows = [value(name, number, k=10) for name, number in (("a", 0.25), ("b", 0.5), ("random", 1.0))]
    assert findings.coverage(rows, 10) == "In lists of 10, a shows 25 % of the catalogue to somebody; b shows 50 %."
    ratio = value("logistic", 0.84, 0.79, 0.88, metric="calibration_ratio")
    assert findings.chances([ratio]) == "Of 100 plays that logistic promises 84 come about [79, 88]."


def test_every_metric_of_the_platform_has_a_name_for_readers() -> None:
    names = {one.name for one in ALL_METRICS} | {name for one in ACCUMULATORS for name in one.readings}
    assert set(glossary.TERMS) == names
    assert {one.kind for one in glossary.TERMS.values()} == set(glossary.KINDS) - {glossary.OWN}
    spoken = [one.spoken for one in glossary.TERMS.values()]
    assert len(set(spoken)) == len(spoken)
    assert glossary.term("recall_sampled").spoken == "recall, sampled"


def test_rules_are_told_in_words_and_a_leak_is_named() -> None:
    told = {row["rule"]: row["here"] for row in rules(Protocol(), Evidence("2025-01-01", "2025-01-03"), replicates=100)}
    assert "from 2025-01-01 to 2025-01-03" in str(told["split"])
    assert "100 replicates" in str(told["intervals"])
    assert not any("_" in str(text) for text in told.values()), "words, not names of settings"
    other = Protocol(split="random", seen="drop_within_days(7)", known_by="now", horizon_days=3)
    told = {row["rule"]: row["here"] for row in rules(other, Evidence(), replicates=0)}
    assert "LEAKS" in str(told["split"])
    assert told["titles already played"] == "drop_within_days(7)"
    assert "3 days after" in str(told["what is judged"])
    assert "now" in str(told["training sets know"])
    assert {row["word"] for row in words()} >= {"context", "ceiling", "no verdict"}
