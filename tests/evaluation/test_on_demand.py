"""Numbers made from stored scores on demand: crossed slices, profile means, published lists."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, midnight
from rec_platform.config import Settings
from rec_platform.dmc12.frame import nested
from rec_platform.errors import KeyRefused, MissingInput, SchemaError
from rec_platform.evaluation import Slices, evaluate, metric_rows, on_demand, popularity
from rec_platform.evaluation.knowledge import Knowledge
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.on_demand import judged
from rec_platform.evaluation.own import NONE, load, platforms
from rec_platform.evaluation.pages import NO_PLACES, Places, placed
from rec_platform.evaluation.published import judged_lists
from rec_platform.evaluation.slices import profile_bands
from rec_platform.evaluation.stage import scored_frames
from rec_platform.partition import Partition
from rec_platform.tables import PLAY_FACTS, PROFILE_SNAPSHOT, RECOMMENDATIONS, SCORES_TABLE, TITLE_SNAPSHOT, TITLES
from rec_platform.testing.readers import MemoryReader

FIRST, SECOND = Partition(date(2025, 3, 10), "FR"), Partition(date(2025, 3, 11), "GB")
SETTINGS = Settings.model_validate(
    {"evaluation": {"cutoffs": [3, 10], "replicates": 20, "keep_top": 10, "min_contexts": 5}, "recommend": {"n": 3}}
)
MODELS = ("a", "b")
TITLE_PLAYS, PROFILE_PLAYS = np.arange(30)[::-1] ** 3, np.arange(20) ** 2


def scores_rows(frame, country):
    """A frame as the `scores` stage writes it."""
    part = {
        name: frame.items.select([f"{name}.{model}" for model in MODELS]).rename_columns(list(MODELS))
        for name in (c.N_ABOVE, c.N_EQUAL)
    }
    n, m = frame.n_contexts, frame.n_items
    whole = frame.with_contexts(
        {
            c.COUNTRY: np.array([country] * n), c.AT: pa.array(np.arange(n), pa.timestamp("us", "UTC")),
            c.TENURE_DAYS: np.ones(n), c.STRATUM: np.array(["FR/new"] * n), c.KNOWN_BY: np.array(["then"] * n),
            c.NEWEST_PLAYED_AT: pa.nulls(n, pa.timestamp("us", "UTC")),
            c.NEWEST_KNOWN_AT: pa.nulls(n, pa.timestamp("us", "UTC")),
        }
    ).with_items({c.WEIGHT: np.ones(m), c.ITEM_INCLUSION_PROBABILITY: np.ones(m)})  # fmt: skip
    columns = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY, c.REACHABLE)
    rows = nested(whole, item_columns=columns, structs={c.SCORES: whole.scores, **part})
    return rows.select(SCORES_TABLE.schema.names)


def snapshot(spec, key, name, plays):
    columns = {one.name: np.zeros(len(plays), np.int64) for one in spec.schema}
    columns |= {key: np.arange(len(plays)), name: plays}
    return pa.table({one.name: pa.array(columns[one.name]).cast(one.type) for one in spec.schema})


@pytest.fixture(name="world", scope="module")
def world_fixture(full, stored, tmp_path_factory):
    frames = {FIRST: stored(full(1, contexts=200), 10), SECOND: stored(full(2, contexts=200), 10)}
    tables = {
        "scores": {partition: scores_rows(frame, partition.place) for partition, frame in frames.items()},
        "title_snapshot": {FIRST: snapshot(TITLE_SNAPSHOT, c.TITLE, "country_plays_28d", TITLE_PLAYS)},
        "profile_snapshot": {FIRST: snapshot(PROFILE_SNAPSHOT, c.PROFILE, "plays_28d", PROFILE_PLAYS)},
        "titles": {Partition(): TITLES.schema.empty_table()},
    }
    return frames, MemoryReader(tables, folder=tmp_path_factory.mktemp("lake"))


def value(rows, **wanted):
    found = [row for row in rows.to_pylist() if all(row[name] == one for name, one in wanted.items())]
    assert len(found) == 1, (wanted, len(found))
    return found[0]


def test_a_crossed_slice_is_both_filters_at_once(world):
    frames, reader = world
    rows = metric_rows(judged(reader, [FIRST], SETTINGS, by="device,tenure_band"))
    frame = frames[FIRST]
    contexts = frame.contexts.to_pandas()
    for device, band in (("tv", "new"), ("phone", "1y+")):
        inside = np.flatnonzero((contexts["device"] == device) & (contexts["tenure_band"] == band))
        alone = metric_rows(
            evaluate(frame.take(inside), seed=SETTINGS.seed, metrics=STANDARD, accumulators=(), cutoffs=(3, 10),
                     slices=Slices(()), replicates=20, list_length=0)
        )  # fmt: skip
        wanted = {"model": "a", "metric": "ndcg", "k": 3}
        ours = value(rows, slice="device,tenure_band", slice_value=f"{device},{band}", **wanted)
        theirs = value(alone, slice="all", **wanted)
        assert [ours[name] for name in ("value", "low", "high", "n")] == [
            theirs[name] for name in ("value", "low", "high", "n")
        ]


def test_bands_of_titles_cross_with_columns_and_with_bands_of_profiles(world):
    frames, reader = world
    titles, profiles = popularity(np.arange(30), TITLE_PLAYS), profile_bands(np.arange(20), PROFILE_PLAYS)
    hot_profiles = np.flatnonzero(profiles.of(frames[FIRST].context(c.PROFILE)) == 0)
    rows = metric_rows(judged(reader, [FIRST], SETTINGS, by="popularity,profile_band"))
    alone = metric_rows(
        evaluate(frames[FIRST].take(hot_profiles), seed=SETTINGS.seed, metrics=STANDARD, accumulators=(), cutoffs=(3,),
                 slices=Slices((), items=(titles,)), replicates=20, list_length=0)
    )  # fmt: skip
    wanted = {"model": "b", "metric": "nmrr"}
    ours = value(rows, slice="popularity,profile_band", slice_value="warm,hot", **wanted)
    theirs = value(alone, slice="popularity", slice_value="warm", **wanted)
    assert (ours["value"], ours["n"]) == (theirs["value"], theirs["n"])
    assert ours["n"] > 0


def test_two_divisions_of_titles_cross_by_both(world):
    even = popularity(np.arange(30), np.arange(30) % 2 * 100)
    both = popularity(np.arange(30), TITLE_PLAYS).crossed(even)
    assert both.labels[:3] == ("hot,hot", "hot,warm", "hot,cold")
    codes = both.of(np.arange(32))
    hot, other = popularity(np.arange(30), TITLE_PLAYS).of(np.arange(32)), even.of(np.arange(32))
    assert (codes == hot * 3 + other).all()


def test_partitions_merge_and_equal_the_stored_way(world):
    frames, reader = world
    both = metric_rows(judged(reader, [SECOND, FIRST], SETTINGS, by="device")).to_pandas()
    merged = metric_rows(
        evaluate(list(frames.values()), seed=SETTINGS.seed, metrics=STANDARD, accumulators=(), cutoffs=(3, 10),
                 slices=Slices(("device",)), replicates=20, list_length=0)
    ).to_pandas()  # fmt: skip
    pd.testing.assert_frame_equal(both.drop(columns="rules"), merged.drop(columns="rules"), check_exact=True)


def test_profile_means_take_the_contexts_of_all_days(world):
    frames, reader = world
    rows = metric_rows(judged(reader, [FIRST, SECOND], SETTINGS, estimand="profile"))
    whole = metric_rows(
        evaluate(list(frames.values()), seed=SETTINGS.seed, metrics=STANDARD, accumulators=(), cutoffs=(3, 10),
                 slices=Slices(()), replicates=20, list_length=0, estimand="profile")
    )  # fmt: skip
    wanted = {"model": "a", "metric": "recall", "k": 3, "slice": "all"}
    assert value(rows, **wanted)["value"] == value(whole, **wanted)["value"]
    assert value(rows, **wanted)["estimand"] == "profile"


OWN = load((str(Path(__file__).parents[2] / "examples" / "metrics" / "patience.py"),))


def test_own_metrics_and_slices_are_judged_as_the_platforms_are(world):
    """The contexts of 1970 (a Thursday), in the mean over profiles, and crossed with a column."""
    frames, reader = world
    wanted = {"model": "a", "metric": "rbp", "k": 0}
    options = {"seed": SETTINGS.seed, "metrics": OWN.metrics, "accumulators": (), "cutoffs": (3, 10), "replicates": 20,
               "list_length": 10}  # fmt: skip
    for estimand in ("context", "profile"):
        rows = metric_rows(judged(reader, [FIRST, SECOND], SETTINGS, by="weekend", own=OWN, estimand=estimand))
        whole = metric_rows(evaluate(list(frames.values()), slices=Slices(()), estimand=estimand, **options))
        ours, theirs = (
            value(rows, slice="weekend", slice_value="weekday", **wanted),
            value(whole, slice="all", **wanted),
        )
        assert [ours[name] for name in ("value", "low", "high", "n")] == [
            theirs[name] for name in ("value", "low", "high", "n")
        ]
    crossed = metric_rows(judged(reader, [FIRST], SETTINGS, by="device,weekend", own=OWN)).to_pylist()
    told = {
        row["slice_value"]: row["n"] for row in crossed if row["slice"] == "device,weekend" and row["metric"] == "rbp"
    }
    assert set(told) == {"tv,weekday", "phone,weekday"}
    with pytest.raises(KeyRefused, match="cannot be sliced by length"):
        judged(reader, [FIRST], SETTINGS, by="length", own=OWN, estimand="profile")


def test_own_accumulators_have_means_over_profiles(world):
    frames, reader = world
    rows = judged(reader, [FIRST, SECOND], SETTINGS, own=OWN, estimand="profile")
    whole = evaluate(
        list(frames.values()), seed=SETTINGS.seed, metrics=(), accumulators=OWN.accumulators, cutoffs=(3, 10),
        slices=Slices(()), replicates=20, list_length=10, estimand="profile",
    )  # fmt: skip
    ours, theirs = (metric_rows(one, accumulators=OWN.accumulators) for one in (rows, whole))
    wanted = {"model": "a", "metric": "effective_catalogue", "k": 3, "slice": "all"}
    assert value(ours, **wanted)["value"] == value(theirs, **wanted)["value"] > 1
    assert value(ours, **wanted)["estimand"] == "profile"


ASKED = ("coverage", "gini", "median_rank", "log_loss", "logged_places", "mean_logged_row")


def test_means_over_profiles_of_more_than_ranks_are_made_when_asked_for(world, tmp_path, monkeypatch):
    """The plays of one date say where on the page they began, those of the other do not."""
    scales = {"a": "log_odds"}
    monkeypatch.setattr(on_demand, "score_scales", lambda files: scales)
    frames, reader = world
    frame = frames[FIRST]
    titles, labels = (np.asarray(frame.item(name)) for name in (c.TITLE, c.LABEL))
    who = np.asarray(frame.context(c.PROFILE))[frame.context_of_item]
    seen = dict.fromkeys((int(who[i]), int(titles[i])) for i in np.flatnonzero(labels > 0))
    logged = plays(*((*pair, 1, NOON) for pair in list(seen)[::2])).to_pylist()
    rows = [row | {c.ROW: 2 * (row[c.PROFILE] % 2), c.POSITION: 1} for row in logged]
    tables = reader.tables | {"play_facts": {FIRST: pa.Table.from_pylist(rows, PLAY_FACTS.schema), SECOND: plays()}}
    own = platforms(ASKED)
    sums = judged(MemoryReader(tables, folder=tmp_path), [FIRST, SECOND], SETTINGS, own=own, estimand="profile")
    ours = metric_rows(sums).to_pylist()
    assert {*ASKED, "recall"} <= {row["metric"] for row in ours} and "novelty" not in {row["metric"] for row in ours}
    places = Places.of(tables["play_facts"][FIRST], close=TOMORROW)
    first, second = (scored_frames(reader.files("scores", [one])) for one in (FIRST, SECOND))
    both = [*placed(first, places), *placed(second, NO_PLACES)]
    whole = evaluate(
        both, seed=SETTINGS.seed, metrics=(*STANDARD, *own.metrics), accumulators=own.accumulators, cutoffs=(3, 10),
        slices=Slices(()), replicates=20, list_length=10, estimand="profile", knowledge=Knowledge(scales=scales),
    )  # fmt: skip
    theirs = metric_rows(whole).to_pylist()
    assert [[*row.values()][:-1] for row in ours] == [[*row.values()][:-1] for row in theirs]
    (share,) = (row["value"] for row in ours if row["metric"] == "logged_places" and row["model"] == "a")
    assert 0 < share < 0.5


def test_metrics_that_need_a_dates_knowledge_have_crossed_slices_and_no_means_over_profiles(world):
    _, reader = world
    own = platforms(["novelty", "diversity"])
    crossed = metric_rows(judged(reader, [FIRST], SETTINGS, by="device,tenure_band", own=own)).to_pylist()
    assert any(row["metric"] == "novelty" and row["slice"] == "device,tenure_band" for row in crossed)
    rows = metric_rows(judged(reader, [FIRST], SETTINGS, own=own, estimand="profile")).to_pylist()
    assert not any(row["metric"] == "novelty" for row in rows)
    assert platforms(["recall", "nothing"]) == NONE


def test_own_metrics_of_published_lists(tmp_path):
    """Profile 1: the second of its list; profile 2: the first. Metrics of lists have no rows, since nothing else is known."""
    reader = MemoryReader({"recommendations": {FIRST: lists()}, "play_facts": {FIRST: PLAYED}}, folder=tmp_path)
    rows = metric_rows(judged(reader, [FIRST], SETTINGS, protocol="daily_list", own=OWN), min_contexts=2)
    assert value(rows, model="published", slice="all", metric="rbp")["value"] == pytest.approx(0.2 * (0.8 + 1) / 2)
    assert "even_ids" not in rows.column("metric").to_pylist()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"by": "device,tenure_band,country"}, KeyRefused, "one slice, or two"),
        ({"by": "device,device"}, KeyRefused, "two different ones"),
        ({"by": "planet"}, SchemaError, "no context column 'planet'"),
        ({"protocol": "weekly"}, KeyRefused, "no protocol 'weekly'"),
        ({"by": "popularity", "estimand": "profile"}, KeyRefused, "cannot be sliced by popularity"),
    ],
)
def test_what_cannot_be_judged_is_named(world, options, error, match):
    with pytest.raises(error, match=match):
        judged(world[1], [FIRST], SETTINGS, **options)


def test_nothing_published_is_an_error(world):
    with pytest.raises(MissingInput, match="nothing to judge is published"):
        judged(world[1], [], SETTINGS)


# --- published lists -------------------------------------------------------------------------------------------------

NOON, TOMORROW = midnight(FIRST.day) + DAY // 2, midnight(FIRST.day) + DAY


def lists():
    """Profile 1: titles 5, 6, 7 by xgboost; profile 2: 5, 6; profile 3, who plays nothing: 5."""
    rows = [(1, 1, 5), (1, 2, 6), (1, 3, 7), (2, 1, 5), (2, 2, 6), (3, 1, 5)]
    table = [
        {
            c.PROFILE: p,
            c.RANK: r,
            c.TITLE: t,
            c.SCORE: 1 / r,
            c.MODEL: "xgboost" if p == 1 else "popularity",
            c.REASONS: [],
        }
        for p, r, t in rows
    ]
    return pa.Table.from_pylist(table, RECOMMENDATIONS.schema)


def plays(*rows):
    """Plays by (profile, title, engaged, known_at)."""
    empty = {one.name: None for one in PLAY_FACTS.schema}
    table = [
        empty | {c.PLAY_ID: i, c.PROFILE: p, c.TITLE: t, c.PLAYED_AT: NOON, c.KNOWN_AT: known, c.WATCHED_MS: 1, c.ENGAGED: e,
                 c.DEVICE: "tv"}
        for i, (p, t, e, known) in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(table, PLAY_FACTS.schema)


#: Profile 1 engages with its second title and with one not listed, not with its first; profile 2 with its first, and
#: nobody knows until tomorrow whether with its second; profile 9 has no list.
PLAYED = plays(
    (1, 6, 1, NOON), (1, 8, 1, NOON), (1, 5, 0, NOON), (2, 5, 1, NOON), (2, 6, 1, TOMORROW), (9, 5, 1, NOON)
)  # fmt: skip


def test_a_published_list_is_judged_as_it_stands():
    frame = judged_lists(lists(), PLAYED, FIRST)
    told = [
        [(row["title_id"], row["label"], row["reachable"]) for row in frame.take(np.array([i])).items.to_pylist()]
        for i in range(frame.n_contexts)
    ]
    assert told == [
        [(5, 0.0, True), (6, 1.0, True), (7, 0.0, True), (8, 1.0, False)],
        [(5, 1.0, True)],
        [(5, 0.0, True)],
    ]


def test_metrics_of_published_lists(tmp_path):
    reader = MemoryReader({"recommendations": {FIRST: lists()}, "play_facts": {FIRST: PLAYED}}, folder=tmp_path)
    rows = metric_rows(judged(reader, [FIRST, SECOND], SETTINGS, protocol="daily_list"), min_contexts=2)
    whole = {"model": "published", "slice": "all", "protocol": "daily_list"}
    mrr = value(rows, metric="mrr", **whole)
    assert (mrr["value"], mrr["n"], mrr["n_excluded"], mrr["n_unreachable"]) == (
        pytest.approx((1 / 2 + 1) / 2),
        2,
        1,
        1,
    )
    assert value(rows, metric="recall", k=3, **whole)["value"] == pytest.approx((1 / 2 + 1) / 2)
    by_model = value(rows, model="published", slice="model", slice_value="xgboost", metric="recall", k=3)
    assert by_model["value"] == pytest.approx(1 / 2)
    assert "auc" not in rows.column("metric").to_pylist()
    assert set(rows.column("k").to_pylist()) == {0, 3}
