"""Pictures: the same bytes, small, nothing global, and they say what is in the data."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.reports import model_colours, model_plots, plots, style

MOST_BYTES = 100_000
NAN = float("nan")


def days(n: int, repeat: int = 1) -> pa.Array:
    return pa.array([date(2024, 1, 1) + timedelta(days=day) for day in range(n)] * repeat, pa.date32())


def counts(n: int, *names: str, repeat: int = 1) -> pa.Table:
    noise = np.random.default_rng(0)
    return pa.table({c.DATE: days(n, repeat), **{name: noise.integers(0, 3_000_000, n * repeat) for name in names}})


def raw(n: int) -> str:
    return plots.raw_plays_plot(counts(n, "accepted", "duplicates", "quarantined"))


def facts(n: int) -> str:
    return plots.facts_plot(counts(n, "plays", "engaged"))


def snapshots(n: int) -> str:
    table = counts(n, "profiles", "titles", repeat=8)
    return plots.feature_snapshots_plot(
        table.append_column(c.COUNTRY, [[f"{x}A" for x in "ABCDEFGH" for _ in range(n)]])
    )


def training(n: int) -> str:
    names = [f"F{x}/{band}" for x in "ABCDE" for band in ("new", "1-4w", "1-3m", "1y+")][: 20 if n else 0]
    strata = pa.table({
        c.STRATUM: pa.array(names, pa.string()), "before": pa.array(range(len(names)), pa.float64()),
        "kept": pa.array([1.0] * len(names), pa.float64()),
    })  # fmt: skip
    return plots.training_sets_plot(strata, counts(n, "items", "positives"))


def candidates(n: int) -> str:
    models = pa.array(["collaborative"] * n + ["popularity"] * n, pa.string())
    return plots.candidate_models_plot(counts(n, "plays", repeat=2).append_column(c.MODEL, models))


def rankers(n: int) -> str:
    features = [f"a_rather_long_feature_name_{row}" for row in range(40 if n else 0)]
    table = pa.table({
        c.MODEL: pa.array(["xgboost"] * len(features), pa.string()), "feature": pa.array(features, pa.string()),
        "importance": pa.array([1 / 40] * len(features), pa.float64()),
    })  # fmt: skip
    return plots.ranker_models_plot(counts(n, "days", "contexts"), table)


def scores(n: int) -> str:
    ranks = np.unique(np.geomspace(1, 100_000, 60).round()).astype(np.int64)[: 60 if n else 0]
    table = pa.table({
        c.MODEL: pa.array(["xgboost"] * len(ranks), pa.string()), c.RANK: ranks, "share": np.linspace(0, 1, len(ranks))
    })  # fmt: skip
    return model_plots.scores_plot(table)


def metric_rows(n: int) -> pa.Table:
    rows = [
        {
            "protocol": "session", "estimand": "context", c.MODEL: model, c.METRIC: metric, c.CUTOFF: k, c.SLICE: "all",
            c.SLICE_VALUE: "all", c.VALUE: 0.3, c.LOW: NAN if model == "popularity" else 0.2,
            c.HIGH: NAN if model == "popularity" else 0.4, c.DETECTABLE: NAN, c.N: 10, c.N_EXCLUDED: 0, c.N_UNREACHABLE: 0,
        }
        for model in ("xgboost", "popularity", "random", "ceiling")
        for metric, cuts in (("map", (0,)), ("ndcg", (5, 10)), ("recall", (5, 10)), ("nmrr", (0,)))
        for k in cuts
    ]  # fmt: skip
    return pa.Table.from_pylist(
        rows if n else [], schema=pa.schema([pa.field(f.name, f.type) for f in t.METRICS.schema])
    )


def metrics(n: int) -> str:
    return model_plots.metrics_plot(metric_rows(n))


def recommendations(n: int) -> str:
    shown = pa.table({c.TITLE: np.arange(n * 10), "lists": np.arange(1, n * 10 + 1)})
    return model_plots.recommendations_plot(shown, n * 100)


PICTURES: list[Callable[[int], str]] = [
    raw, facts, snapshots, training, candidates, rankers, scores, metrics, recommendations
]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 400])
@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_small_well_formed_and_the_same_twice(picture: Callable[[int], str], n: int) -> None:
    drawn = picture(n)
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert len(drawn.encode()) < MOST_BYTES
    assert drawn == picture(n)


@pytest.mark.parametrize("picture", PICTURES)
def test_no_picture_says_when_or_by_what_it_was_made(picture: Callable[[int], str]) -> None:
    assert not re.search(r"<dc:date>|<dc:creator>|Matplotlib v", picture(3))


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_brings_its_own_background(picture: Callable[[int], str]) -> None:
    """Text must read on dark pages too: the first shape is the opaque card."""
    first_path = picture(3).split("<path")[1].split("/>")[0]
    assert "fill: #fcfcfb" in first_path


def texts(drawn: str) -> list[str]:
    return [(node.text or "").strip() for node in ET.fromstring(drawn).iter() if node.tag.endswith("text")]


def test_a_picture_without_data_says_so() -> None:
    assert "no partitions" in texts(raw(0))
    assert "no metrics" in texts(metrics(0))
    assert "baselines only: too few usable days" in texts(rankers(0))


def test_metrics_show_models_in_order_and_the_ceiling_in_figures() -> None:
    shown = texts(metrics(1))
    assert [text for text in shown if text in ("xgboost", "popularity", "random")] == [
        "xgboost", "popularity", "random"
    ]  # fmt: skip
    assert "ceiling" not in shown and "ceiling 0.300" in shown
    assert [text for text in shown if "@" in text or text in ("NMRR", "MAP")] == ["NMRR", "NDCG@10", "recall@10", "MAP"]
    assert shown.count("0.300") == 4 * 3, "every value stands beside its tick"


def test_the_metrics_worth_showing() -> None:
    chosen = model_plots.shown_metrics(metric_rows(1))
    pairs = list(dict.fromkeys(zip(*(chosen.column(name).to_pylist() for name in (c.METRIC, c.CUTOFF)), strict=True)))
    assert pairs == [("nmrr", 0), ("ndcg", 10), ("recall", 10), ("map", 0)]


def test_what_only_describes_has_no_ceiling() -> None:
    rows = metric_rows(1)
    coverage = rows.set_column(rows.schema.get_field_index(c.METRIC), c.METRIC, pa.array(["coverage"] * rows.num_rows))
    assert not [text for text in texts(model_plots.metrics_plot(coverage)) if "ceiling" in text]


def test_a_model_has_its_colour_in_every_picture_and_its_line_where_colours_repeat() -> None:
    order = [f"m{n}" for n in range(8)]
    whole = model_colours.coloured([*order, "random"], order)
    assert model_colours.coloured(["m3", "m1"], order) == {"m1": whole["m1"], "m3": whole["m3"]}
    looks = {(colour, style.dash(whole, name)) for name, colour in whole.items()}
    assert len(looks) == 9
    assert whole["random"] == style.FAINT


def test_half_of_all_recommendations_is_named() -> None:
    shown = pa.table({c.TITLE: [1, 2, 3, 4], "lists": [1, 1, 5, 1]})
    assert "half of all recommendations: 1 title" in texts(model_plots.recommendations_plot(shown, 8))
    assert "Share of recommendations by title; titles shown: 4 of 8 (50 %)" in texts(
        model_plots.recommendations_plot(shown, 8)
    )


def test_countries_of_a_date_are_added_up() -> None:
    table = pa.table({c.DATE: days(1, 2), "accepted": [2, 3], "duplicates": [0, 0], "quarantined": [0, 1]})
    whole = pa.table({c.DATE: days(1), "accepted": [5], "duplicates": [0], "quarantined": [1]})
    assert plots.raw_plays_plot(table) == plots.raw_plays_plot(whole)


def test_pyplot_is_never_imported_and_no_setting_stays_changed() -> None:
    code = (
        "import sys, matplotlib as m; before = m.rcParams.copy(); "
        "import pyarrow as pa, datetime as d; from rec_platform.reports import plots; "
        "plots.facts_plot(pa.table({'date': [d.date(2025, 1, 1)], 'plays': [3], 'engaged': [1]})); "
        "assert 'matplotlib.pyplot' not in sys.modules; assert m.rcParams.copy() == before"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
