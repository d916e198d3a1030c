"""Pictures of differences: they say what is in the rows, whichever way round a pair is given."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.evaluation.comparison import HIGHER, LEVEL, LOWER, NO_VERDICT
from rec_platform.reports import comparison, data, data_plots, paired, style
from rec_platform.reports.data_plots import Volume

NAN = float("nan")
MOST_BYTES = 100_000


def difference(a: str, b: str, value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """A row of one comparison that stands alone: half a width is 1.96 standard errors, and Holm's p that of a normal."""
    p = math.erfc(abs(value) / max(high - low, 1e-9) * 1.96 * math.sqrt(2)) if math.isfinite(low) else NAN
    sure = LEVEL if low <= 0 <= high else HIGHER if value > 0 else LOWER
    told = {"p_holm": p, "verdict": sure if math.isfinite(low) else NO_VERDICT}
    where = {c.SLICE: "all", c.SLICE_VALUE: "all", c.N: 900} | told | more
    return {"model_a": a, "model_b": b, "difference": value, c.LOW: low, c.HIGH: high} | where


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("}text")]


def test_a_pair_reads_the_same_from_both_ends() -> None:
    one = comparison.pairs_plot([difference("x", "y", 0.1, 0.05, 0.15)], metric="nmrr")
    other = comparison.pairs_plot([difference("y", "x", -0.1, -0.15, -0.05)], metric="nmrr")
    assert one == other
    assert {"+0.100", "\u22120.100"} <= set(texts(one))


def test_slices_colour_by_sureness_and_mark_no_verdict() -> None:
    rows = [
        difference("x", "y", 0.1, 0.05, 0.15), difference("x", "y", -0.2, -0.3, -0.1, slice="country", slice_value="LI"),
        difference("x", "y", 0.3, NAN, NAN, slice="device", slice_value="tv", n=4),
    ]  # fmt: skip
    svg = comparison.slices_plot(rows, metric="nmrr", versus="y")
    assert "+0.300 ?" in texts(svg)
    assert all(colour.lower() in svg.lower() for colour in (style.DIVERGING[0], style.DIVERGING[-1], style.BLANK))
    assert "no slices" in texts(comparison.slices_plot([], metric="nmrr", versus="y"))
    alone = comparison.slices_plot(rows, metric="nmrr", versus="y", explained=True)
    assert [text for text in texts(alone) if text.startswith("blue: surely better")], "where no page has a key"


def test_the_smallest_slices_are_left_out() -> None:
    rows = [difference("x", "y", 0.1, 0.0, 0.2, slice="country", slice_value=f"{n}", n=n) for n in range(1, 60)]
    svg = comparison.slices_plot(rows, metric="nmrr", versus="y")
    shown = texts(svg)
    assert shown.count("59") == 1 and "country: 59" in shown, "the first of a slice bears its name; n stands at the end"
    assert shown.count("58") == 2
    assert "3" not in shown
    assert len(svg) < MOST_BYTES


def test_a_difference_that_is_none_among_many_is_not_coloured() -> None:
    """Its own interval lies beside 0, and its verdict says that chance explains it."""
    row = difference("x", "y", 0.1, 0.02, 0.18, verdict=LEVEL, p_holm=0.4)
    for drawn in (
        comparison.pairs_plot([row], metric="nmrr"), comparison.slices_plot([row], metric="nmrr", versus="y"),
        style.svg(paired.differences_figure([row | {"label": "nmrr"}], heading="x less y")),
    ):  # fmt: skip
        loud = (*style.DIVERGING[:2], *style.DIVERGING[3:], paired.SURE)
        assert not any(colour.lower() in drawn.lower() for colour in loud)


def test_days_and_countries() -> None:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(40)]
    rows = [{c.DATE: day, c.MODEL: name, c.VALUE: 0.3, c.LOW: 0.2, c.HIGH: 0.4} for day in days for name in "xyz"]
    assert len(comparison.days_plot(pa.Table.from_pylist(rows), metric="nmrr")) < MOST_BYTES
    countries = [
        {c.SLICE_VALUE: f"{n:02}", c.MODEL: name, c.VALUE: 0.3, c.LOW: NAN if n == 3 else 0.2, c.HIGH: 0.4, c.N: n}
        for n in range(40) for name in "xyz"
    ]  # fmt: skip
    svg = comparison.countries_plot(countries, metric="nmrr")
    assert "39, n 39" in texts(svg)
    assert len(svg) < MOST_BYTES
    unsure = [row | {c.LOW: NAN} for row in countries]
    assert "no country with contexts enough for a verdict" in texts(comparison.countries_plot(unsure, metric="nmrr"))
    assert not any(text.startswith("03,") for text in texts(comparison.countries_plot(countries[:15], metric="nmrr")))


def some(draws: np.random.Generator) -> dict[str, float]:
    value = float(draws.random())
    return {c.VALUE: value, c.LOW: value - 0.1, c.HIGH: value + 0.1}


def test_pictures_of_a_dozen_models_stay_small() -> None:
    """Ninety days, forty countries, sixty slices, a month of age in twenty countries."""
    draws, models = np.random.default_rng(0), [f"model_number_{n}" for n in range(12)]
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(90)]
    places = [f"{n:02}" for n in range(60)]
    dated = pa.Table.from_pylist([{c.DATE: day, c.MODEL: model} | some(draws) for day in days for model in models])
    by_country = [{c.SLICE_VALUE: one, c.MODEL: model, c.N: 9} | some(draws) for one in places[:40] for model in models]
    pairs = [difference(a, b, float(draws.normal()), -0.1, 0.1) for a in models for b in models if a < b]
    sliced = [
        difference(model, "b", float(draws.normal()), -0.1, 0.1, slice="country", slice_value=one, n=9)
        for one in places for model in models
    ]  # fmt: skip
    ages = [
        {c.COUNTRY: one, c.MODEL: model, "age": age, c.N: 9} | some(draws)
        for one in ["all", *places[:20]] for model in models for age in range(1, 31)
    ]  # fmt: skip
    drawn = {
        "days": comparison.days_plot(dated, metric="nmrr"),
        "countries": comparison.countries_plot(by_country, metric="nmrr"),
        "pairs": comparison.pairs_plot(pairs, metric="nmrr"),
        "slices": comparison.slices_plot(sliced, metric="nmrr", versus="b"),
        "ageing": style.svg(paired.ageing_figure(ages, heading="nmrr")),
    }
    assert {name: len(svg) for name, svg in drawn.items() if len(svg) >= MOST_BYTES} == {}


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
    assert {"novelty@10", "Gini@10", "popularity lift@10", "x"} <= set(texts(svg))
    assert not {"random", "ceiling"} & set(texts(svg))
    assert "no metrics of lists" in texts(comparison.values_plot(pa.Table.from_pylist(rows).slice(0, 0)))


def test_reliability_stands_empty_bins_at_the_foot() -> None:
    curve = pa.table({"candidates": [1000.0, 10.0], "probability": [0.001, 0.2], "rate": [0.0, 0.25]})
    svg = comparison.reliability_plot({"logistic": curve})
    assert {"logistic", "probability promised"} <= set(texts(svg))
    assert "no probabilities" in texts(comparison.reliability_plot({}))


def shapes(svg: str) -> int:
    """How many shapes of markers there are; a marker that is used again is defined once."""
    outlines = re.findall(r'<path id="\w+" d="([^"]*)"', svg)
    return len({re.sub(r"[^A-Za-z]+", "", one) for one in outlines} - {"ML"})


def test_models_of_one_colour_have_markers_of_their_own() -> None:
    """Past six models colours repeat: dots that no line joins need another shape."""
    curve = pa.table({"candidates": [1000.0, 10.0], "probability": [0.001, 0.2], "rate": [0.01, 0.25]})
    models = list("abcdefg")
    row = {c.SLICE_VALUE: "FR", c.VALUE: 0.5, c.LOW: 0.4, c.HIGH: 0.6, c.N: 9}
    for drawn, kinds in (("ab", 1), ("ag", 2)):
        curves = comparison.reliability_plot(dict.fromkeys(drawn, curve), order=models)
        places = comparison.countries_plot([row | {c.MODEL: name} for name in drawn], metric="nmrr", order=models)
        assert (shapes(curves), shapes(places)) == (kinds, kinds)


def test_models_of_one_age_stand_at_a_whole_day() -> None:
    rows = [{c.COUNTRY: "all", c.MODEL: "a", "age": 1, c.VALUE: 0.3, c.LOW: 0.2, c.HIGH: 0.4, c.N: 9}]
    shown = texts(style.svg(paired.ageing_figure(rows, heading="nmrr")))
    assert {"0", "1", "2"} <= set(shown)
    assert not [text for text in shown if text.startswith(("0.9", "1.0"))]


def test_volume_marks_the_day_that_left_its_band() -> None:
    dates = [date(2025, 1, 1) + timedelta(days=n) for n in range(8)]
    volume = Volume.of(dates, [10.0] * 7 + [50.0], first=dates[6])
    assert volume.dates == tuple(dates[6:])
    assert [day for day, _ in volume.before] == dates[:6]
    assert volume.unexpected == [1]
    svg = data_plots.volume_plot({"plays": volume})
    assert style.PALETTE[5].lower() in svg
    assert "no partitions" in texts(data_plots.volume_plot({}))
    single = Volume.of([*dates, date(2025, 1, 9)], [10.0] * 9, first=date(2025, 1, 9))
    (band,) = re.findall(
        r'<defs>\s*<path id="m[0-9a-f]+" d="([^"]*)"/>\s*</defs>\s*<g [^>]*>\s*<use [^>]*fill: #e3e6ea',
        data_plots.volume_plot({"a": single}),
    )
    across = [float(point.split()[0]) for point in re.findall(r"[ML] ([\d. ]+)", band)]
    assert max(across) - min(across) > 2, "the band of a single day can be seen"


def test_weekdays_are_told_by_dates_where_some_never_have_a_value() -> None:
    """A shop that is shut on Saturdays: counting rows by sevens would hold Mondays against Tuesdays."""
    open_days = [day for n in range(42) if (day := date(2025, 1, 6) + timedelta(days=n)).weekday() != 5]
    values = [300.0 if day.weekday() == 0 else 100.0 for day in open_days]
    volume = Volume.of(open_days, values, first=date(2025, 2, 3))
    assert volume.unexpected == []
    assert volume.bands[0] == (270.0, 330.0)


def test_shapes_name_what_is_missing() -> None:
    svg = data_plots.shapes_plot({"a": np.array([0.0, 1.0, NAN, 2.0]), "gone": np.full(4, NAN), "same": np.ones(4)})
    assert {"25% missing", "all missing", "same"} <= set(texts(svg))
    many = {f"feature_{n}": np.random.default_rng(n).normal(size=500) for n in range(60)}
    assert len(data_plots.shapes_plot(many)) < MOST_BYTES


@pytest.mark.parametrize("n", [0, 1, 40, 41, 51, 203])
def test_every_column_is_drawn_once_on_a_page_that_holds_it(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []
    monkeypatch.setattr(data_plots, "shapes_plot", lambda columns: drawn.append(list(columns)) or "<svg/>")
    pictures = data._shapes({f"feature_{name:03}": np.arange(4.0) for name in range(n)}, "Features")
    assert len(pictures) == len(drawn) == max(-(-n // data.MOST_SHAPES), 1)
    assert [name for part in drawn for name in part] == [f"feature_{name:03}" for name in range(n)]
    assert all(len(part) <= data.MOST_SHAPES for part in drawn)
    assert pictures[0].title.startswith(f"{n} columns:")
    assert [len(picture.rows) for picture in pictures] == [0] * (len(pictures) - 1) + [n]
    assert [bool(picture.caption) for picture in pictures].index(True) == len(pictures) - 1
    assert all(
        picture.title == f"From {part[0]} to {part[-1]}." for picture, part in zip(pictures[1:], drawn[1:], strict=True)
    )


def test_drift_puts_the_restless_on_top() -> None:
    dates = [date(2025, 1, 2), date(2025, 1, 3)]
    svg = data_plots.drift_plot({"calm": [0.01, 0.02], "restless": [0.12, 0.4], "unknown": [NAN, NAN]}, dates)
    labels = [text for text in texts(svg) if re.fullmatch("[a-z]+", text)]
    assert labels == ["restless", "calm", "unknown"]
    assert labels[0] == "restless"
    assert "0.40" in texts(svg), "the largest of a row is written into its cell"
    assert "0.12" not in texts(svg)
    assert svg.lower().count(style.DIVERGING[0].lower()) == 1, "cells of a colour are one path"
    growing = {f"feature_{n}": list(np.linspace(0, n / 40, 60)) for n in range(60)}
    assert len(data_plots.drift_plot(growing, [date(2025, 1, 1 + n % 28) for n in range(60)])) < MOST_BYTES
    calm = {f"calm_{n}": [0.01] for n in range(30)} | {"restless": [0.3]}
    drawn = [text for text in texts(data_plots.drift_plot(calm, dates[:1])) if text.startswith("calm_")]
    assert len(drawn) == data_plots.FEWEST_ROWS - 1, "of the calm ones a few"
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
