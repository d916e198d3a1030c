"""What is measured, through the commands: slices, other estimands and protocols, own metrics, pairs, ageing, report, exports."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from daemon import DAY
from deployment import Deployment
from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.errors import PlatformError
from rec_platform.flow import Platform
from rec_platform.judging import Files, sums_of
from rec_platform.reports import judged, report
from rec_platform.reports.page import Picture, Words

WINDOW = ("--from", DAY.isoformat(), "--to", DAY.isoformat())
EXAMPLE = Path(__file__).parents[2] / "examples" / "metrics" / "patience.py"
MODELS = {"random", "popularity", "last_played", "collaborative", "logistic", "xgboost", "ceiling"}
Row = dict[str, Any]


def said(home: Deployment, *arguments: str) -> str:
    """What a command prints, notes aside, in this process; it must end well."""
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.home)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def rows(home: Deployment, *arguments: str) -> list[Row]:
    found: list[Row] = json.loads(said(home, *arguments, "--json"))
    return found


def number(cell: dict[str, float]) -> float:
    """The value, without its interval."""
    return cell["value"]


@pytest.fixture(scope="module")
def whole(deployment: Deployment) -> dict[str, Row]:
    """The main metrics of the day, by model."""
    return {row["model"]: row for row in rows(deployment, "metrics", *WINDOW)}


# --- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["device", "device,stratum"])
def test_slices_add_up_to_the_whole(deployment: Deployment, whole: dict[str, Row], by: str) -> None:
    """A stored slice, and one crossed with a column that nobody stored."""
    counted: dict[str, int] = defaultdict(int)
    for row in rows(deployment, "metrics", *WINDOW, "--metric", "recall", "--by", by):
        counted[row["model"]] += row["n"]
        assert set(row) >= {by, "recall@5", "recall@100"}
    assert counted == {model: row["n"] for model, row in whole.items()}
    assert set(whole) == MODELS


def test_estimands_and_protocols_say_different_things(deployment: Deployment, whole: dict[str, Row]) -> None:
    of_profiles = {row["model"]: row for row in rows(deployment, "metrics", *WINDOW, "--estimand", "profile")}
    assert whole["popularity"]["n"] == of_profiles["popularity"]["n"]
    assert whole["popularity"]["nmrr"] != of_profiles["popularity"]["nmrr"]
    assert number(of_profiles["ceiling"]["nmrr"]) <= 1
    asked = rows(deployment, "metrics", *WINDOW, "--estimand", "profile", "--metric", "coverage,log_loss,nmrr")
    told = {row["model"]: row for row in asked}
    assert told["popularity"]["nmrr"] == of_profiles["popularity"]["nmrr"]
    assert all(0 < number(row["coverage@5"]) <= number(row["coverage@100"]) <= 1 for row in asked)
    assert told["logistic"]["log_loss"] and not told["popularity"]["log_loss"]
    published = {row["model"]: row for row in rows(deployment, "metrics", *WINDOW, "--protocol", "daily_list")}
    assert set(published) == {"published", "random", "ceiling"}
    by_model = rows(deployment, "metrics", *WINDOW, "--protocol", "daily_list", "--by", "model", "--metric", "nmrr")
    assert {row["by model"] for row in by_model} <= MODELS
    assert sum(row["n"] for row in by_model if row["model"] == "ceiling") == published["ceiling"]["n"]


def test_places_on_the_page_stand_beside_ranks(deployment: Deployment) -> None:
    names = ("logged_places", "mean_logged_row", "mean_rank_first_row", "mean_rank_lower_rows")
    found = {row["model"]: row for row in rows(deployment, "metrics", *WINDOW, "--metric", ",".join(names))}
    assert 0 < number(found["random"]["logged_places"]) <= 1
    assert len({number(row["mean_logged_row"]) for row in found.values()}) == 1
    assert all(number(found["ceiling"][name]) < number(found["random"][name]) for name in names[2:])


def test_days_and_countries_that_nobody_made_are_named(deployment: Deployment) -> None:
    wide = ("--from", str(DAY - timedelta(days=3)), "--to", str(DAY + timedelta(days=6)))
    for command in (("metrics",), ("compare", "xgboost", "popularity")):
        done = CliRunner().invoke(app, [*command, *wide, "--countries", "FR,GB", "--home", str(deployment.home)])
        assert f"1 of these 10 days are published, from {DAY} to {DAY}; nothing is published of GB" in done.stderr
        assert "note" not in CliRunner().invoke(app, [*command, *WINDOW, "--home", str(deployment.home)]).stderr
    for command in ("metrics", "compare", "report"):
        with pytest.raises(PlatformError, match=f"Published are {DAY} to {DAY} for DE, FR: choose among those, or run"):
            refused(deployment, command, *WINDOW, "--countries", "GB")


# --- metrics of one's own --------------------------------------------------------------------------------------------


def test_own_metrics_are_what_their_values_by_context_give(
    deployment: Deployment, whole: dict[str, Row], tmp_path: Path
) -> None:
    """The command's number is the weighted mean of the values that the export writes, and stands beside the stored ones."""
    own = {row["model"]: row for row in rows(deployment, "metrics", *WINDOW, "--with", str(EXAMPLE))}
    assert all(own[model] | row == own[model] for model, row in whole.items())
    assert set(own["xgboost"]) - set(whole["xgboost"]) == {"rbp", "even_ids@10", "effective_catalogue@10"}
    out = tmp_path / "contexts.parquet"
    said(deployment, "export", "contexts", *WINDOW, "--out", str(out), "--with", str(EXAMPLE))
    table = pq.read_table(out)
    for model in ("xgboost", "random"):
        mine = table.filter(pc.field("model") == model)
        for name in ("rbp", "even_ids@10", "ndcg@10"):
            there = mine.filter(pc.is_valid(mine.column(name)))
            weighed = pc.sum(pc.multiply(there.column(name), there.column("weight"))).as_py()
            assert number(own[model][name]) == pytest.approx(weighed / pc.sum(there.column("weight")).as_py(), abs=6e-4)


def test_own_slices_are_slices(deployment: Deployment, whole: dict[str, Row]) -> None:
    """The day is a Monday; titles are divided by what was watched, which leaves positives out."""
    asked = ("metrics", *WINDOW, "--with", str(EXAMPLE), "--by")
    days = {row["model"]: row for row in rows(deployment, *asked, "weekend")}
    assert {row["weekend"] for row in days.values()} == {"weekday"}
    assert all(days[model][name] == whole[model][name] for model in MODELS for name in ("n", "nmrr", "ndcg@10"))
    told = CliRunner().invoke(app, [*asked, "weekend", "--home", str(deployment.home)])
    assert "effective_catalogue@10: not counted by weekend" in told.stderr
    assert "effective_catalogue" not in told.stdout
    lengths = [row for row in rows(deployment, *asked, "length,weekend") if row["model"] == "popularity"]
    assert {row["length,weekend"] for row in lengths} >= {"long,weekday", "short,weekday"}
    assert max(row["n"] for row in lengths) < whole["popularity"]["n"] < sum(row["n"] for row in lengths)


@pytest.mark.parametrize(
    ("by", "counted"),
    [
        ("all", {"ndcg@10", "novelty@10", "coverage@10", "effective_catalogue@10"}),
        ("country", {"ndcg@10", "novelty@10", "coverage@10", "effective_catalogue@10"}),
        ("device", {"ndcg@10", "novelty@10"}),
        ("device,country", {"ndcg@10", "novelty@10"}),
        ("popularity", {"ndcg@10"}),
        ("country,title_age", {"ndcg@10"}),
    ],
)  # fmt: skip
def test_what_a_slice_counts_is_what_the_docs_say(deployment: Deployment, by: str, counted: set[str]) -> None:
    asked = {"ndcg@10", "novelty@10", "coverage@10", "effective_catalogue@10"}
    wanted = ("--by", by, "--metric", ",".join(sorted(asked)), "--with", str(EXAMPLE))
    arguments = ["metrics", *WINDOW, *wanted, "--home", str(deployment.home)]
    told = CliRunner().invoke(app, [*arguments, "--json"])
    shown = {name for row in json.loads(told.stdout) for name, cell in row.items() if cell and name in asked}
    assert shown == counted
    assert all(name in told.stderr for name in asked - counted)
    pair = CliRunner().invoke(app, ["compare", "xgboost", "popularity", *arguments[1:], "--json"])
    assert {row["metric"] for row in json.loads(pair.stdout)["rows"]} == counted
    assert all(name in pair.stderr for name in asked - counted)


def test_own_metrics_that_the_settings_name_are_read_by_every_command(deployment: Deployment, tmp_path: Path) -> None:
    """Of a file that is stored and given, what is given counts; another file may not use its names."""
    home = Deployment(tmp_path / "home")
    shutil.copytree(deployment.home, home.home, ignore=shutil.ignore_patterns("dagster", "locks", "index"))
    settings = home.home / "platform.toml"
    settings.write_text(settings.read_text().replace("[evaluation]\n", f"[evaluation]\nfiles = ['{EXAMPLE}']\n"))
    assert "rbp" in rows(home, "metrics", *WINDOW, "--with", str(EXAMPLE))[0]
    crossed = rows(home, "metrics", *WINDOW, "--by", "device,tenure_band", "--metric", "rbp,effective_catalogue")
    assert "rbp" in crossed[0]
    other = tmp_path / "other.py"
    other.write_text(EXAMPLE.read_text())
    with pytest.raises(PlatformError, match=r"'even_ids' stands in a file that platform\.toml names, too"):
        refused(home, "metrics", *WINDOW, "--with", str(other))


# --- comparing -------------------------------------------------------------------------------------------------------


def test_a_comparison_says_what_the_metrics_say(deployment: Deployment, whole: dict[str, Row], tmp_path: Path) -> None:
    picture = tmp_path / "pair.svg"
    text = said(deployment, "compare", "xgboost", "popularity", *WINDOW, "--out", str(picture), "--json")
    found = json.loads(text)
    by_metric = {row["metric"]: row for row in found["rows"]}
    for name in ("nmrr", "ndcg@10", "coverage@10"):
        ours = by_metric[name]
        values = [ours[model] for model in ("xgboost", "popularity")]
        assert values == pytest.approx([number(whole[model][name]) for model in ("xgboost", "popularity")])
        assert number(ours["difference"]) == pytest.approx(values[0] - values[1])
    assert {name: row["by"] for name, row in by_metric.items() if row["by"] != "bootstrap"} == {
        "coverage@10": "jackknife"
    }
    assert found["sentence"].startswith(("xgboost ", "popularity "))
    assert "<svg" in picture.read_text()
    turned = json.loads(said(deployment, "compare", "popularity", "xgboost", *WINDOW, "--json"))
    difference = {row["metric"]: number(row["difference"]) for row in turned["rows"]}
    assert difference == pytest.approx({name: -number(row["difference"]) for name, row in by_metric.items()})


def test_what_is_no_mean_is_compared_with_each_profile_counting_once(deployment: Deployment) -> None:
    asked = ("--estimand", "profile", "--metric", "coverage@10,median_rank,nmrr")
    for by in ("all", "country"):
        alone = {(row["model"], row.get(by)): row for row in rows(deployment, "metrics", *WINDOW, *asked, "--by", by)}
        text = said(deployment, "compare", "xgboost", "popularity", *WINDOW, *asked, "--by", by, "--json")
        found = json.loads(text)["rows"]
        assert {row["metric"]: row["by"] for row in found} == {
            "coverage@10": "jackknife", "median_rank": "jackknife", "nmrr": "bootstrap"
        }  # fmt: skip
        for row in found:
            for model in ("xgboost", "popularity"):
                assert row[model] == pytest.approx(number(alone[model, row.get(by)][row["metric"]]))


def test_a_slice_called_as_a_model_stands_beside_its_values(deployment: Deployment) -> None:
    text = said(
        deployment, "compare", "xgboost", "popularity", *WINDOW, "--by", "popularity", "--metric", "nmrr", "--json"
    )
    found = json.loads(text)["rows"]
    assert {row["by popularity"] for row in found} >= {"hot", "cold"}
    assert all(row["popularity"] < 1 for row in found)


def test_n_is_that_of_a_metric_that_is_counted(deployment: Deployment, whole: dict[str, Row]) -> None:
    found = rows(deployment, "metrics", *WINDOW, "--by", "device", "--metric", "coverage,nmrr")
    assert sum(row["n"] for row in found if row["model"] == "xgboost") == whole["xgboost"]["n"]


def test_what_one_model_alone_has_is_named(deployment: Deployment) -> None:
    pair = ["compare", "xgboost", "logistic", *WINDOW, "--home", str(deployment.home), "--metric", "log_loss,nmrr"]
    told = CliRunner().invoke(app, [*pair, "--json"])
    assert {row["metric"] for row in json.loads(told.stdout)["rows"]} == {"nmrr"}
    assert "log_loss: not measured of both models of a pair" in told.stderr


def test_every_pair_and_every_slice_can_be_compared(deployment: Deployment) -> None:
    pairs = json.loads(said(deployment, "compare", *WINDOW, "--metric", "nmrr", "--json"))
    assert len({row["models"] for row in pairs["rows"]}) == 15 == len(pairs["rows"]), (
        "the ceiling is no model to choose"
    )
    assert pairs["sentence"].startswith("15 pairs, 15 comparisons")
    assert all(number(row["difference"]) >= 0 for row in pairs["rows"]), "the better model of a pair first"
    covered = json.loads(said(deployment, "compare", *WINDOW, "--metric", "coverage", "--json"))["rows"]
    first = [row for row in covered if row["metric"] == covered[0]["metric"]]
    assert len(first) == 15
    assert all(number(row["difference"]) >= 0 for row in first), "of tallies, too"
    few = json.loads(
        said(deployment, "compare", "random", "xgboost", "popularity", *WINDOW, "--metric", "ndcg@10", "--json")
    )
    assert [row["models"] for row in few["rows"]] == ["random - xgboost", "random - popularity", "xgboost - popularity"]
    assert {row["metric"] for row in few["rows"]} == {"ndcg@10"}
    told = said(deployment, "compare", *WINDOW).splitlines()
    assert len(told) == 2 + 1 + 15 + 3, "in the first metric alone"
    assert told[0].startswith("Paired differences in nmrr, ")
    assert max(map(len, told[1:-3])) <= 120
    assert told[-1].startswith("Next: rec-platform report ")
    asked = ("compare", "collaborative", "random", *WINDOW, "--with", str(EXAMPLE), "--json")
    sliced = json.loads(said(deployment, *asked, "--by", "length", "--metric", "rbp"))
    assert {row["length"] for row in sliced["rows"]} >= {"long", "short"}


def test_models_age_from_the_day_after(deployment: Deployment, whole: dict[str, Row], tmp_path: Path) -> None:
    """Candidate models of the day before; last_played is never trained, so it does what it does in the stored metrics."""
    picture = tmp_path / "ages.svg"
    asked = (
        "--as-of",
        (DAY - timedelta(days=1)).isoformat(),
        "--days",
        "3",
        "--metric",
        "ndcg@10",
        "--out",
        str(picture),
    )
    found = rows(deployment, "ageing", *asked)
    assert [(row["country"], row["age"]) for row in found] == [("all", 1), ("DE", 1), ("FR", 1)]
    assert number(found[0]["last_played"]) == pytest.approx(number(whole["last_played"]["ndcg@10"]))
    assert "<svg" in picture.read_text()
    own = rows(deployment, "ageing", *asked[:4], "--metric", "rbp", "--with", str(EXAMPLE))
    assert 0 < number(own[0]["popularity"]) < 1


# --- report and exports ----------------------------------------------------------------------------------------------


def test_the_report_has_own_metrics_and_slices_and_says_who_gives_probabilities(deployment: Deployment) -> None:
    platform = Platform(deployment.home)
    files = Files.of(platform.settings, [EXAMPLE])
    sums = sums_of(platform, DAY, DAY, [], by=None, files=files)
    found = judged.judged(platform.lake, sorted(platform.index.state("metric_sums")), own=files.given, sums=sums)
    (picture,) = report.own_section(found, files.given).parts
    assert isinstance(picture, Picture)
    assert "rank-biased precision" in picture.caption
    assert {"rbp", "even_ids@10", "effective_catalogue@10"} <= set(picture.rows[0])
    assert {"weekend", "length", "device"} <= {row["slice"] for row in judged.differences(found, versus="random")}
    words = report.chances_section(found).parts[-1]
    assert isinstance(words, Words)
    _, _, others = words.text.rpartition("Not here: ")
    assert set(others.rstrip(".").split(", ")) == {"popularity", "last_played", "collaborative", "xgboost"}
    nothing = replace(found, sums=replace(sums, tallies={}))
    (words,) = report.chances_section(nothing).parts
    assert isinstance(words, Words)
    assert words.text.endswith("No model here does.")


def test_exports_agree_with_the_metrics(deployment: Deployment, whole: dict[str, Row], tmp_path: Path) -> None:
    names = {what: tmp_path / what for what in ("metrics", "run", "qrels")}
    for what, file in names.items():
        said(deployment, "export", what, *WINDOW, "--out", str(file), "--with", str(EXAMPLE), "--model", "popularity")
    with names["metrics"].open(encoding="utf-8", newline="") as file:
        tidy = {
            (row["model"], row["metric"], row["k"]): row
            for row in csv.DictReader(file)
            if (row["slice"], row["estimand"]) == ("all", "context")
        }
    assert f"{float(tidy['logistic', 'ndcg', '10']['value']):.3f}" == f"{number(whole['logistic']['ndcg@10']):.3f}"
    assert ("logistic", "effective_catalogue", "10") in tidy
    assert tidy["logistic", "ndcg", "10"]["rule_split"] == "time"
    positives: dict[str, set[str]] = defaultdict(set)
    for line in names["qrels"].read_text().splitlines():
        query, _, title, relevance = line.split()
        positives[query].add(title)
        assert relevance == "1"
    assert len(positives) == int(tidy["logistic", "ndcg", "10"]["n"])
    places: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
    for line in names["run"].read_text().splitlines():
        query, _, title, rank, score, tag = line.split()
        places[query].append((title, int(rank), float(score)))
        assert tag == "rec-platform-popularity"
    assert set(places) >= set(positives)
    for given in places.values():
        assert [rank for _, rank, _ in given] == list(range(1, len(given) + 1))
        assert [score for *_, score in given] == sorted((score for *_, score in given), reverse=True)


# --- what cannot be ---------------------------------------------------------------------------------------------------


def refused(home: Deployment, *arguments: str) -> None:
    """Raise what the command refused."""
    result = CliRunner().invoke(app, [*arguments, "--home", str(home.home)])
    assert result.exit_code != 0, result.output
    assert isinstance(result.exception, PlatformError), (result.output, result.exception)
    raise result.exception


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("compare", "xgboost", *WINDOW), "nothing to compare 'xgboost' with"),
        (("compare", "xgboost", "luck", *WINDOW), "no model 'luck'"),
        (("compare", "xgboost", "popularity", *WINDOW, "--metric", "luck"), "no metric luck .* with k of"),
        (("compare", "xgboost", "popularity", *WINDOW, "--by", "device,device"), "cannot slice by"),
        (
            ("compare", "xgboost", "popularity", *WINDOW, "--by", "device", "--metric", "gini"),
            "gini@5, .* not counted by",
        ),
        (
            ("compare", "xgboost", "popularity", *WINDOW, "--by", "device,stratum", "--metric", "coverage"),
            "not counted by device,stratum",
        ),
        (("compare", "xgboost", "logistic", *WINDOW, "--metric", "log_loss"), "log_loss: not measured of both models"),
        (("metrics", *WINDOW, "--with", "nowhere.py"), "no such file"),
        (("metrics", *WINDOW, "--by", "weekend"), "no context column 'weekend'"),
        (("metrics", *WINDOW, "--by", "device", "--metric", "coverage"), "coverage@5, .* not counted by device"),
        (("metrics", *WINDOW, "--protocol", "weekly"), "no protocol 'weekly'"),
        (("metrics", *WINDOW, "--estimand", "profile", "--by", "popularity"), "cannot be sliced by popularity"),
        (("metrics", *WINDOW, "--estimand", "profile", "--metric", "novelty"), "novelty: with --estimand context and"),
        (
            ("metrics", *WINDOW, "--protocol", "daily_list", "--metric", "gini,luck"),
            "no metric gini, luck .* gini: with",
        ),
        (("metrics", "--from", "2025-01-02", "--to", "2025-01-02"), "no metrics are published"),
        (("ageing", "--as-of", DAY.isoformat()), "no contexts are published"),
        (("ageing", "--as-of", (DAY - timedelta(days=1)).isoformat(), "--metric", "luck"), "no metric 'luck'"),
        (("export", "run", *WINDOW, "--out", "x"), "a run is of one model"),
        (("export", "everything", *WINDOW, "--out", "x"), "no export 'everything'"),
    ],
)
def test_what_cannot_be_measured_is_named(deployment: Deployment, arguments: tuple[str, ...], match: str) -> None:
    with pytest.raises(PlatformError, match=match):
        refused(deployment, *arguments)


def test_a_faulty_file_is_named_before_anything_is_read(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from rec_platform.evaluation import metric\n"
        "@metric('mine', about='')\n"
        "def mine(groups, k):\n"
        "    return 1.0 / groups.truth.n_candidates\n"
    )
    for command in (("metrics",), ("compare", "xgboost", "popularity"), ("report", "--out", str(tmp_path / "r.html"))):
        with pytest.raises(PlatformError, match=r"line 2: .mine. is inf for a context of its population"):
            refused(deployment, *command, *WINDOW, "--with", str(file))
    assert not (tmp_path / "r.html").exists()
