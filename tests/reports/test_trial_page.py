"""The page of new features: on the page that reports stand on, with what each feature is worth said in words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rec_platform.reports.trial import trial_page, trial_plot


def auc(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "contexts": 40}


def feature(whole: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {"name": "pace", "unit": "share", "about": "plays < 3 days", "flags": [], "edges": [0.0, 0.5, 1.0]}
    return plain | {"engaged": [0.25, 0.75], "others": [0.9, 0.1], "auc_sampled": {"all": whole, "LI": auc(0.9)}} | more


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (auc(0.7, 0.65, 0.75), "better than chance: AUC 0.700 [0.650, 0.750]."),
        (auc(0.3, 0.25, 0.35), "worse than chance, so turned round better: AUC 0.300"),
        (auc(0.51, 0.48, 0.54), "no better than chance: AUC 0.510"),
        (auc(0.9), "AUC alone 0.900, without a verdict"),
        (auc(None), "There was nothing to put in order."),
    ],
)
def test_what_a_feature_is_worth_is_said_in_words(whole: dict[str, Any], said: str) -> None:
    assert said in trial_page([feature(whole)], "mine.py")


def test_the_page_is_that_of_reports_and_fetches_nothing() -> None:
    text = trial_page(
        [feature(auc(0.7, 0.6, 0.8), flags=["knows the answer"]), feature(auc(0.5), name="other")], "mine.py"
    )
    assert "plays &lt; 3 days" in text
    assert '<p class="lead">Flagged: knows the answer.</p>' in text
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["pace", "other"]
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert text == trial_page(
        [feature(auc(0.7, 0.6, 0.8), flags=["knows the answer"]), feature(auc(0.5), name="other")], "mine.py"
    )


def test_a_feature_that_is_missing_everywhere_says_so() -> None:
    drawn = trial_plot(feature(auc(None), edges=[], engaged=[], others=[]))
    assert "missing everywhere" in drawn
    assert len(drawn) < 100_000
