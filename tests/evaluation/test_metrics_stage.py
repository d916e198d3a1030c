"""The stage: from published scores to metrics and sums, and their roll-up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.config import Settings
from rec_platform.dmc12.frame import nested
from rec_platform.errors import MissingInput
from rec_platform.evaluation import STANDARD, Metrics, Slices, evaluate, metric_rows, roll_up, stored_sums
from rec_platform.evaluation import stage as stage_module
from rec_platform.evaluation.beyond import BEYOND
from rec_platform.evaluation.gather import History, knowledge
from rec_platform.evaluation.on_demand import judged
from rec_platform.evaluation.own import Own
from rec_platform.evaluation.pages import PAGE, PAGE_RANK
from rec_platform.partition import Partition
from rec_platform.tables import METRIC_SUMS, METRICS, PLAY_FACTS, SCORES_TABLE, TITLE_SNAPSHOT, TITLES
from rec_platform.testing.readers import MemoryReader

EXAMPLE = Path(__file__).parents[2] / "examples" / "metrics" / "patience.py"
MODELS = ("a", "b", "random")
FIRST, SECOND = Partition(date(2025, 3, 10), "FR"), Partition(date(2025, 3, 11), "GB")
EMPTY = Partition(date(2025, 3, 11), "FR")
SETTINGS = Settings.model_validate(
    {"evaluation": {"cutoffs": [3, 10], "replicates": 20, "keep_top": 10, "min_contexts": 5}}
)


def in_country(frame, country):
    return frame.with_contexts({"country": np.array([country] * frame.n_contexts)})


def scores_table(frame):
    """A frame as the `scores` stage writes it."""
    part = {name: frame.items.select([f"{name}.{model}" for model in MODELS]).rename_columns(list(MODELS)) for name in
            (c.N_ABOVE, c.N_EQUAL)}  # fmt: skip
    full = frame.with_contexts(
        {
            c.AT: pa.array(np.arange(frame.n_contexts), pa.timestamp("us", "UTC")),
            c.TENURE_DAYS: np.ones(frame.n_contexts),
            c.STRATUM: np.array(["FR/new"] * frame.n_contexts),
        }
    ).with_items({c.WEIGHT: np.ones(frame.n_items), c.ITEM_INCLUSION_PROBABILITY: np.ones(frame.n_items)})
    columns = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY, c.REACHABLE)
    table = nested(full, item_columns=columns, structs={c.SCORES: full.scores, **part}).select(
        SCORES_TABLE.schema.names
    )
    SCORES_TABLE.check(table.schema)
    return table


def snapshot(plays):
    columns = {name: np.zeros(len(plays), np.int64) for name in TITLE_SNAPSHOT.schema.names}
    columns |= {c.TITLE: np.arange(len(plays)), "country_plays_28d": plays}
    return pa.table({one.name: pa.array(columns[one.name]).cast(one.type) for one in TITLE_SNAPSHOT.schema})


def titles():
    """Genres a, b, c in turn; title 0 was drama until the day before FIRST, and will be comedy."""
    rows = [(title, KNOWN, [GENRES[title % 3]]) for title in range(30)]
    rows += [(0, KNOWN - 1, ["drama"]), (0, TODAY, ["comedy"])]
    columns = [list(column) for column in zip(*sorted(rows), strict=True)]
    given = dict(zip((c.TITLE, c.KNOWN_AT, c.GENRES), columns, strict=True))
    return table_of(TITLES, given)


def plays(rows):
    """(profile, title, known_at) as play facts of one partition."""
    columns = dict(
        zip((c.PROFILE, c.TITLE, c.KNOWN_AT), (list(column) for column in zip(*rows, strict=True)), strict=True)
    )
    return table_of(PLAY_FACTS, columns)


def table_of(spec, given):
    n = len(next(iter(given.values())))
    fill = {pa.int64(): 0, pa.int8(): 0, pa.string(): "", pa.list_(pa.string()): []}
    return pa.table(
        {one.name: pa.array(given.get(one.name, [fill.get(one.type, 0)] * n), type=one.type) for one in spec.schema},
        schema=spec.schema,
    )


GENRES = ("action", "biography", "crime")
TODAY = midnight(FIRST.day)
KNOWN = TODAY - 9 * DAY
EARLIER = Partition(FIRST.day - timedelta(days=2), "GB")
LONG_AGO = Partition(FIRST.day - timedelta(days=91), "FR")


@pytest.fixture(name="world", scope="module")
def world_fixture(full, stored, tmp_path_factory):
    frames = {FIRST: in_country(stored(full(1), 10), "FR"), SECOND: in_country(stored(full(2), 10), "GB")}
    tables = {partition: scores_table(frame) for partition, frame in frames.items()}
    tables[EMPTY] = SCORES_TABLE.schema.empty_table()
    snapshots = {FIRST: snapshot(np.arange(30)[::-1] ** 3)}
    facts = {
        EARLIER: plays([(profile, profile % 7, KNOWN) for profile in range(5)] + [(6, 1, TODAY), (10**6, 1, KNOWN)]),
        LONG_AGO: plays([(7, 3, KNOWN)]),
        FIRST: plays([(8, 3, TODAY + 5)]),
    }
    known = {"title_snapshot": snapshots, "titles": {Partition(): titles()}, "play_facts": facts}
    reader = MemoryReader({"scores": tables, **known}, folder=tmp_path_factory.mktemp("lake"))
    built = list(Metrics().build([FIRST, EMPTY, SECOND], reader, SETTINGS))
    for one in built:
        reader.add("metric_sums", one.partition, one.tables["metric_sums"])
    return frames, reader, built


def test_it_builds_both_tables_for_every_partition_in_order(world):
    _, _, built = world
    assert [one.partition for one in built] == [FIRST, EMPTY, SECOND]
    for one in built:
        METRICS.check(one.tables["metrics"].schema)
        METRIC_SUMS.check(one.tables["metric_sums"].schema)
    assert built[1].tables["metrics"].num_rows == built[1].tables["metric_sums"].num_rows == 0
    assert built[0].extra["contexts"] + built[0].extra["contexts_without_positive"] == 60


def test_popularity_bands_come_from_the_snapshot_of_the_partition_where_there_is_one(world):
    _, _, built = world
    slices = [set(one.tables["metrics"].column("slice").to_pylist()) for one in built]
    usual = {"all", "country", "tenure_band", "activity_band", "device", "title_age"}
    assert slices == [usual | {"popularity"}, set(), usual]


def test_files_read_in_batches_give_the_same_rows(world, monkeypatch):
    _, reader, built = world
    monkeypatch.setattr(stage_module, "BATCH", 7)
    (again,) = Metrics().build([FIRST], reader, SETTINGS)
    for name, table in built[0].tables.items():
        pd.testing.assert_frame_equal(table.to_pandas(), again.tables[name].to_pandas(), check_exact=True)


def test_the_roll_up_over_days_and_countries_equals_the_whole(world):
    frames, reader, _ = world
    sums = stored_sums(reader, date(2025, 3, 10), date(2025, 3, 11))
    rolled = roll_up(sums, min_contexts=5).to_pandas()
    options = {"seed": SETTINGS.seed, "cutoffs": (3, 10), "replicates": 20, "slices": Slices(), "list_length": 10}
    whole = metric_rows(evaluate(list(frames.values()), **options), min_contexts=5).to_pandas()
    rules = [{json.loads(text)["data"] for text in rows.pop("rules")} for rows in (rolled, whole)]
    assert rules[0] == rules[1]
    bands, told = rolled["slice"].isin(["popularity", "title_age"]), ~rolled["metric"].isin(whole["metric"])
    pd.testing.assert_frame_equal(rolled[~bands & ~told].reset_index(drop=True), whole, check_exact=True)
    assert bands.any()
    of_titles, of_pages = (
        {"novelty", "diversity", "popularity_lift", "genre_divergence"},
        {*PAGE.readings, *PAGE_RANK.readings},
    )
    assert set(rolled[told]["metric"]) == of_titles | of_pages


def test_what_one_partition_alone_could_tell_is_a_mean_over_its_own_contexts(world):
    """Only FIRST has a title snapshot, so only its contexts have a novelty."""
    _, reader, built = world
    rolled = roll_up(stored_sums(reader, date(2025, 3, 10), date(2025, 3, 11)), min_contexts=5).to_pandas()
    alone = built[0].tables["metrics"].to_pandas()
    ours, theirs = (
        table[(table["metric"] == "novelty") & (table["slice"] == "all")].drop(columns="rules").reset_index(drop=True)
        for table in (rolled, alone)
    )
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_tastes_are_of_plays_visible_at_midnight_within_the_window(world):
    _, reader, _ = world
    history = History(reader, reader.files("scores", [FIRST, SECOND]))
    facts = knowledge(FIRST, reader, history)
    assert facts.tastes.profiles.tolist() == [0, 1, 2, 3, 4]
    names = np.array(facts.titles.names)
    assert names.tolist() == [*GENRES, "unknown"]
    assert [names[row.argmax()] for row in facts.tastes.genres] == [
        "action",
        "biography",
        "crime",
        "action",
        "biography",
    ]
    assert facts.titles.popularity(np.array([0, 999])) * (np.sum(np.arange(30) ** 3) + 31) == pytest.approx(
        [29**3 + 1, 1]
    )
    assert facts.scales == {"logistic": "log_odds"}
    assert knowledge(SECOND, reader, history).tastes is None


def test_every_baseline_stands_beside_every_metric(world):
    _, _, built = world
    rows = built[0].tables["metrics"].to_pandas()
    models = rows[rows["slice"] == "all"].groupby("metric")["model"].agg(set).to_dict()
    assert {"novelty", "diversity", "gini", "median_rank", "nmrr"} < set(models)
    assert {name for name, there in models.items() if there != {"a", "b", "random", "ceiling"}} == set()


def test_the_roll_up_of_one_country_or_of_nothing(world):
    _, reader, built = world
    days = (date(2025, 3, 10), date(2025, 3, 11))
    rolled = roll_up(stored_sums(reader, *days, ["FR"]), min_contexts=5)
    pd.testing.assert_frame_equal(rolled.to_pandas(), built[0].tables["metrics"].to_pandas(), check_exact=True)
    with pytest.raises(MissingInput, match=r"rec-platform run --from A --to B"):
        roll_up(stored_sums(reader, *days, ["DE"]), min_contexts=5)


def test_it_reads_its_own_partition_and_its_fingerprint_covers_what_it_reads(tmp_path):
    stage = Metrics()
    read = [(one.table, one.first, one.last, one.countries, one.optional) for one in stage.inputs(FIRST, Settings())]
    day = date(2025, 3, 10)
    assert read == [
        ("scores", day, day, ("FR",), False), ("play_facts", day, day, ("FR",), True),
        ("title_snapshot", day, day, ("FR",), True),
        ("titles", None, None, None, False),
        ("play_facts", day - timedelta(days=90), day - timedelta(days=1), None, True),
        ("profile_snapshot", day, day, ("FR",), True),
    ]  # fmt: skip
    assert [one.cut for one in stage.inputs(FIRST, Settings())] == [
        None, date(2025, 3, 11), None, day, day, None
    ]  # fmt: skip
    (tmp_path / "mine.py").write_text("A = 1\n")
    mine = {"evaluation": {"files": [str(tmp_path / "mine.py")]}}
    before = stage.config(Settings.model_validate(mine))
    (tmp_path / "mine.py").write_text("A = 2\n")
    assert stage.config(Settings.model_validate(mine)) != before != stage.config(Settings())


def test_files_of_the_settings_are_stored_with_their_slices(world):
    """All that the example declares stands in the tables, beside what stands there without it."""
    _, reader, plain = world
    settings = SETTINGS.model_copy(
        update={"evaluation": SETTINGS.evaluation.model_copy(update={"files": (str(EXAMPLE),)})}
    )
    (built,) = Metrics().build([FIRST], reader, settings)
    rows, before = (one.tables["metrics"].to_pandas() for one in (built, plain[0]))
    own = rows["metric"].isin(["rbp", "even_ids", "effective_catalogue"]) | rows["slice"].isin(["weekend", "length"])
    pd.testing.assert_frame_equal(rows[~own].reset_index(drop=True), before, check_exact=True)
    whole = rows[(rows["model"] == "a") & (rows["slice"] == "all")].set_index(["metric", "k"])["value"]
    assert {("rbp", 0), ("even_ids", 3), ("even_ids", 10), ("effective_catalogue", 10)} <= set(whole.index)
    days = rows[(rows["model"] == "a") & (rows["slice"] == "weekend")]
    assert set(days["slice_value"]) == {"weekday"}  # 1970-01-01 was a Thursday
    assert days.set_index(["metric", "k"])["value"]["nmrr", 0] == whole["nmrr", 0]
    assert "length" in set(rows["slice"])


def test_what_own_metrics_need_is_read_on_demand_as_the_stage_reads_it(world):
    """Copies of the platform's metrics of lists, under names of their own: the same numbers, in every slice."""
    _, reader, built = world
    copies = Own(tuple(replace(one, name=f"my_{one.name}") for one in (*BEYOND, *STANDARD)))
    rows = metric_rows(judged(reader, [FIRST], SETTINGS, by=None, metrics=(), own=copies), min_contexts=5).to_pandas()
    stored = built[0].tables["metrics"].to_pandas()
    stored = stored[("my_" + stored["metric"]).isin(set(rows["metric"]))].reset_index(drop=True)
    assert set(stored["metric"]) == {one.name for one in (*BEYOND, *STANDARD)} - {
        "serendipity"
    }  # no model `popularity`
    pd.testing.assert_frame_equal(rows.assign(metric=rows["metric"].str[3:]), stored, check_exact=True)
