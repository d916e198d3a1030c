"""The list of what there is: what each reads, through other encoders too, and a cost for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rec_platform import cli_features
from rec_platform.cli import app
from rec_platform.features import FeatureSet
from rec_platform.features.catalogue import Cost, catalogue, costs
from rec_platform.features.check import check_file
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


def test_what_a_fact_adds_is_a_number_only_where_it_can_be_told_from_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    found = {("fact", "profile_plays_7d"): Cost(0.5, 0.00431, 8, 8), ("fact", "profile_plays_1d"): Cost(0.5, 0.02, 8, 8),
             ("feature", "device_tv"): Cost(0.0001, 0.0001, 0, 4)}  # fmt: skip
    monkeypatch.setattr(cli_features, "costs", lambda *_: (found, 0.00432))
    monkeypatch.setattr(cli_features, "_sample", lambda *_: (None, "nothing"))
    command = ["features", "list", "--cost", "--home", str(tmp_path)]
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
            if (row["what"], row["name"]) in found}  # fmt: skip
    assert {name: (row["added"], row["resolution"]) for name, row in rows.items()} == {
        "profile_plays_7d": (0.0043, 0.0043), "profile_plays_1d": (0.02, 0.0043), "device_tv": (0.0001, 0.0),
    }  # fmt: skip
    shown = CliRunner().invoke(app, command).stdout
    facts = shown.split("features, each made of")[0].splitlines()
    lines = {line.split()[0]: line for line in facts if line[:1].isalpha()}
    assert "< 0.0044" in lines["profile_plays_7d"]
    assert "0.0200" in lines["profile_plays_1d"] and "<" not in lines["profile_plays_1d"]
    assert "lie up to 0.0044 apart" in shown


@pytest.mark.parametrize("command", [["list", "--file"], ["try", "--from", "2025-01-01", "--to", "2025-01-01"]])
def test_each_fault_of_a_broken_file_is_printed_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(
        "from rec_platform.features import Fact\n"
        'a = Fact("a", "profile", "plays", 7, where="row = 3")\n'
        'b = Fact("b", "persona", "plays", 7)\n'
    )
    monkeypatch.setattr(cli_features.Trial, "of", lambda *_: check_file(file).raise_if_faulty())
    done = CliRunner().invoke(app, ["features", *command, str(file), "--home", str(tmp_path)])
    assert done.exit_code == 2
    told = done.stderr.splitlines()
    assert [line.split()[0] for line in told] == ["error", "where", "repair"] * 2
    assert [line.split()[-1] for line in told[1::3]] == ["2", "3"]
    assert "there is no `=`" in told[0] and "'persona'" in told[3]
