"""The list of what there is: what each reads, through other encoders too, and a cost for each."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.features import FeatureSet
from rec_platform.features.catalogue import catalogue, costs
from rec_platform.features.sample import Sample

EXAMPLE = Path(__file__).parents[2] / "examples" / "features" / "binge.py"


def test_every_fact_that_is_read_and_every_feature_stands_in_it() -> None:
    features = FeatureSet.standard()
    rows = {(row["what"], row["name"]): row for row in catalogue(features)}
    assert {name for what, name in rows if what == "fact"} == {fact.name for fact in features.needed}
    assert [name for what, name in rows if what == "feature"] == list(features.names)
    trend = rows["feature", "country_title_trend"]
    assert trend["facts"] == ["country_title_plays_28d", "country_title_plays_7d"]
    assert (trend["per"], trend["as of"]) == ("item", "last full day")
    fact = rows["fact", "profile_genre_plays_max"]
    assert (fact["unit"], fact["window"], fact["as of"]) == ("plays", "90d", "the instant")
    assert rows["fact", "title_runtime_ms"]["window"] == "record"
    assert rows["feature", "tenure_days"]["facts"] == []


def test_costs_are_measured_for_each(tmp_path: Path) -> None:
    features = FeatureSet.standard().select(["profile_plays_7d", "country_title_trend", "genre_share_max", "device_tv"])
    found, resolution = costs(features, Sample.drawn(plays=5_000, contexts=50, items=20))
    assert resolution >= 0
    assert {name for what, name in found if what == "fact"} == {fact.name for fact in features.needed}
    assert all(cost.alone >= 0 and cost.added >= 0 for cost in found.values())
    assert {cost.row for (what, _), cost in found.items() if what == "feature"} == {4}
    # title-side facts keep running sums of every title in every country; a feature of the device reads no fact at all
    assert found["fact", "country_title_plays_7d"].state > 3 * 50 * 8
    assert found["feature", "device_tv"].alone == found["feature", "device_tv"].added


def test_the_command_takes_a_file_in_besides(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["features", "list", "--file", str(EXAMPLE), "--home", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout) if row["what"] == "feature"}
    assert rows["binge_pace"]["facts"] == ["binge_plays", "profile_title_plays"]
    shown = CliRunner().invoke(app, ["features", "list", "--home", str(tmp_path)])
    assert "facts" in shown.stdout and "features" in shown.stdout
