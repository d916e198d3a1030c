"""Pictures of differences: they say what is in the rows, whichever way round a pair is given."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.reports import comparison, data_plots, paired, style
from rec_platform.reports.data_plots import Volume

NAN = float("nan")
MOST_BYTES = 100_000


def difference(a: str, b: str, value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    where = {c.SLICE: "all", c.SLICE_VALUE: "all", c.N: 900} | more
    return {"model_a": a, "model_b": b, "difference": value, c.LOW: low, c.HIGH: high} | where


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("}text")]


@pytest.mark.parametrize(
    ("low", "high", "sure"), [(0.05, 0.15, 2), (0.01, 0.19, 1), (-0.01, 0.21, 0), (NAN, NAN, None), (0.1, 0.1, 2)]
)
def test_sureness(low: float, high: float, sure: int | None) -> None:
    assert comparison.sureness(0.1, low, high) == sure
    assert comparison.sureness(-0.1, -high, -low) == (None if sure is None else -sure)


def test_a_pair_reads_the_same_from_both_ends() -> None:
    one = comparison.pairs_plot([difference("x", "y", 0.1, 0.05, 0.15)], metric="nmrr")
    other = comparison.pairs_plot([difference("y", "x", -0.1, -0.15, -0.05)], metric="nmrr")
    assert one == other
    assert {"+0.100", "-0.100"} <= set(texts(one))


def test_slices_colour_by_sureness_and_mark_no_verdict() -> None:
    rows = [
        difference("x", "y", 0.1, 0.05, 0.15), difference("x", "y", -0.2, -0.3, -0.1, slice="country", slice_value="LI"),
        difference("x", "y", 0.3, NAN, NAN, slice="device", slice_value="tv", n=4),
    ]  # fmt: skip
    svg = comparison.slices_plot(rows, metric="nmrr", versus="y")
    assert "+0.300 ?" in texts(svg)
    assert all(colour.lower() in svg.lower() for colour in (style.DIVERGING[0], style.DIVERGING[-1], style.BLANK))
    assert "no slices" in texts(comparison.slices_plot([], metric="nmrr", versus="y"))


def test_the_smallest_slices_are_left_out() -> None:
    rows = [difference("x", "y", 0.1, 0.0, 0.2, slice="country", slice_value=f"{n}", n=n) for n in range(1, 60)]
    svg = comparison.slices_plot(rows, metric="nmrr", versus="y")
    assert "country: 59   n 59" in texts(svg)
    assert not any(text.startswith("country: 3 ") for text in texts(svg))
    assert len(svg) < MOST_BYTES


def test_days_and_countries() -> None:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(40)]
    rows = [{c.DATE: day, c.MODEL: name, c.VALUE: 0.3, c.LOW: 0.2, c.HIGH: 0.4} for day in days for name in "xyz"]
    assert len(comparison.days_plot(pa.Table.from_pylist(rows), metric="nmrr")) < MOST_BYTES
    countries = [
        {c.SLICE_VALUE: f"{n:02}", c.MODEL: name, c.VALUE: 0.3, c.LOW: NAN if n == 3 else 0.2, c.HIGH: 0.4, c.N: n}
        for n in range(40) for name in "xyz"
    ]  # fmt: skip
    svg = comparison.countries_plot(countries, metric="nmrr")
    assert "39   n 39" in texts(svg)
    assert len(svg) < MOST_BYTES


def test_the_long_tail_of_one_title_for_all() -> None:
    coverage = pa.table({c.MODEL: ["x", "x"], c.CUTOFF: [5, 10], c.VALUE: [0.01, 0.02]})
    svg = comparison.long_tail_plot({"x": np.array([30.0])}, 100, coverage)
    assert "x" in texts(svg)
    empty = comparison.long_tail_plot({}, 0, coverage.slice(0, 0))
    assert texts(empty).count("no lists") == 2


def test_a_panel_per_metric_of_lists() -> None:
    rows = [
        {c.MODEL: model, c.METRIC: metric, c.CUTOFF: 10, c.VALUE: 0.3, c.LOW: 0.2, c.HIGH: 0.4}
        for metric in ("novelty", "diversity", "gini", "popularity_lift") for model in ("x", "random", "ceiling")
    ]  # fmt: skip
    svg = comparison.values_plot(pa.Table.from_pylist(rows))
    assert {"novelty@10", "popularity lift@10", "x"} <= set(texts(svg))
    assert not {"random", "ceiling"} & set(texts(svg))
    assert "no metrics of lists" in texts(comparison.values_plot(pa.Table.from_pylist(rows).slice(0, 0)))


def test_reliability_stands_empty_bins_at_the_foot() -> None:
    curve = pa.table({"candidates": [1000.0, 10.0], "probability": [0.001, 0.2], "rate": [0.0, 0.25]})
    svg = comparison.reliability_plot({"logistic": curve})
    assert {"logistic", "probability promised"} <= set(texts(svg))
    assert "no probabilities" in texts(comparison.reliability_plot({}))


def test_volume_marks_the_day_that_left_its_band() -> None:
    dates = [date(2025, 1, 1) + timedelta(days=n) for n in range(8)]
    volume = Volume.of(dates, [10.0] * 7 + [50.0], first=dates[6])
    assert volume.dates == tuple(dates[6:])
    assert volume.unexpected == [1]
    svg = data_plots.volume_plot({"plays": volume})
    assert style.PALETTE[5].lower() in svg
    assert "no partitions" in texts(data_plots.volume_plot({}))


def test_shapes_name_what_is_missing() -> None:
    svg = data_plots.shapes_plot({"a": np.array([0.0, 1.0, NAN, 2.0]), "gone": np.full(4, NAN), "same": np.ones(4)})
    assert {"25.0% missing", "all missing", "same"} <= set(texts(svg))
    many = {f"feature_{n}": np.random.default_rng(n).normal(size=500) for n in range(60)}
    assert len(data_plots.shapes_plot(many)) < MOST_BYTES


def test_drift_puts_the_restless_on_top() -> None:
    dates = [date(2025, 1, 2), date(2025, 1, 3)]
    svg = data_plots.drift_plot({"calm": [0.01, 0.02], "restless": [0.12, 0.4], "unknown": [NAN, NAN]}, dates)
    labels = [text for text in texts(svg) if re.fullmatch("[a-z]+", text)]
    assert labels[0] == "restless"
    assert "0.40" in texts(svg), "the largest of a row is written into its cell"
    assert "0.12" not in texts(svg)
    assert svg.lower().count(style.DIVERGING[0].lower()) == 1, "cells of a colour are one path"
    growing = {f"feature_{n}": list(np.linspace(0, n / 40, 60)) for n in range(60)}
    assert len(data_plots.drift_plot(growing, [date(2025, 1, 1 + n % 28) for n in range(60)])) < MOST_BYTES
    assert "one date only: nothing to compare with" in texts(data_plots.drift_plot({}, []))


def test_differences_that_go_beyond_one_have_a_panel_of_their_own(tmp_path: Path) -> None:
    rows = [
        difference("x", "y", 0.1, 0.05, 0.15) | {"label": "nmrr"},
        difference("x", "y", 0.2, NAN, NAN) | {"label": "map"},
    ]
    wide = difference("x", "y", -9.0, -12.0, -6.0) | {"label": "mean_rank"}
    alone, both = (paired.differences_figure(some, heading="x less y") for some in (rows, [*rows, wide]))
    assert [len(figure.axes) for figure in (alone, both)] == [1, 2]
    assert [[text.get_text().split("  ")[0] for text in axes.get_yticklabels()] for axes in both.axes] == [
        ["nmrr", "map"], ["mean_rank"]
    ]  # fmt: skip
    assert "nothing to compare" in texts(style.svg(paired.differences_figure([], heading="none")))
    paired.save(both, tmp_path / "pair.svg")
    assert (tmp_path / "pair.svg").read_text().startswith("<?xml")
