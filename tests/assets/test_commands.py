"""The command line on a small deployment: what people type, what they see, and how it ends."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL

import pytest
from daemon import DAY, FIRST
from deployment import Deployment
from typer.main import get_command

from rec_platform.cli import app
from rec_platform.commands import newest_days
from rec_platform.lake import Lake
from rec_platform.tables import TABLES

STAGES = 10
EXAMPLES = Path(__file__).parents[2] / "examples"
WINDOW = ("--from", DAY.isoformat(), "--to", DAY.isoformat())


def hashes(home: Path) -> dict[str, dict[str, str]]:
    lake = Lake(home)
    return {
        spec.name: {partition.key: state.content_hash for partition, state in lake.state(spec.name).items()}
        for spec in TABLES
    }


def copy_of(deployment: Deployment, folder: Path, *, without: tuple[str, ...] = ("dagster",)) -> Deployment:
    """A home to write to. The index is a cache that others may be writing just now."""
    shutil.copytree(deployment.home, folder, ignore=shutil.ignore_patterns("locks", "index", *without))
    return Deployment(folder)


def test_every_table_was_published(deployment: Deployment) -> None:
    tables = {row["table"]: row for row in deployment.rows("status")}
    assert set(tables) >= {spec.name for spec in TABLES if not spec.name.startswith("landing_")}
    assert all(row["stale"] == row["failed"] == 0 for row in tables.values())


def test_a_second_run_makes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    outcomes = copy_of(deployment, tmp_path / "second", without=()).rows("run", *WINDOW)
    assert len(outcomes) == STAGES
    assert {one["stage"] for one in outcomes} >= {"facts", "metrics"}
    assert [one["made"] for one in outcomes] == [0] * STAGES
    assert all(one["partitions"] == one["up_to_date"] for one in outcomes)


def test_force_gives_the_same_content_hashes(deployment: Deployment, tmp_path: Path) -> None:
    again = copy_of(deployment, tmp_path / "again")
    outcomes = again.rows("run", *WINDOW, "--force")
    assert all(one["made"] == one["partitions"] for one in outcomes)
    assert hashes(again.home) == hashes(deployment.home)


def test_the_plan_changes_nothing(deployment: Deployment) -> None:
    before = hashes(deployment.home)
    assert deployment.command("run", *WINDOW, "--force", "--plan") == ""
    assert hashes(deployment.home) == before


def test_published_without_its_event_gets_the_event_only(deployment: Deployment, tmp_path: Path) -> None:
    """Dagster's own folder is lost: nothing is made again, the events are."""
    bare = copy_of(deployment, tmp_path / "bare")
    outcomes = bare.rows("run", *WINDOW)
    assert [one["made"] for one in outcomes] == [0] * STAGES
    assert all(one["events_only"] == one["partitions"] for one in outcomes)
    assert all(one["events_only"] == 0 for one in bare.rows("run", *WINDOW))


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_ends_in_the_same_hashes(deployment: Deployment, tmp_path: Path) -> None:
    """SIGKILL as soon as a given table appears; then again; then let it finish."""
    folder = tmp_path / "killed"
    made_by_run = {spec.name for spec in TABLES if spec.stage != "landing"}
    killed = copy_of(deployment, folder, without=("dagster", *made_by_run))
    for table in ("raw_plays", "title_tiles", "contexts", "scores"):
        running = killed.started("run", *WINDOW)
        while not (folder / "lake" / table).exists() and not running.ended(within=0.005):
            pass
        running.kill()
        assert running.wait() == -SIGKILL, f"the run ended before it could be killed at {table}"
    killed.command("run", *WINDOW)
    assert hashes(killed.home) == hashes(deployment.home)
    assert not list((folder / "staging").iterdir())


def test_metrics_stand_beside_baselines_with_intervals(deployment: Deployment) -> None:
    rows = {row["model"]: row for row in deployment.rows("metrics", *WINDOW)}
    assert set(rows) == {"random", "popularity", "last_played", "collaborative", "logistic", "xgboost", "ceiling"}
    ends = [row["ndcg@10"] for row in rows.values()]
    assert all(one["low"] <= one["value"] <= one["high"] for one in ends)
    assert all("[" in line for line in deployment.command("metrics", *WINDOW).splitlines()[4:17:2])
    leading = [row["nmrr"]["value"] for name, row in rows.items() if name != "ceiling"]
    assert leading == sorted(leading, reverse=True), "the best of the first metric stands on top"
    assert list(rows)[-1] == "ceiling", "which is no model"
    ranks = deployment.rows("metrics", *WINDOW, "--metric", "mean_rank,ndcg@10,nmrr")
    assert list(ranks[0]) == ["model", "n", "mean_rank", "ndcg@10", "nmrr"], "columns in the order asked for"
    leading = [row["mean_rank"]["value"] for row in ranks[:-1]]
    assert leading == sorted(leading), "of ranks, the lowest"
    by_country = deployment.rows("metrics", *WINDOW, "--by", "country", "--metric", "nmrr")
    assert {row["country"] for row in by_country} == {"DE", "FR"}
    whole = rows["popularity"]["n"]
    assert whole == sum(int(str(row["n"])) for row in by_country if row["model"] == "popularity")
    versus = deployment.rows("metrics", *WINDOW, "--versus", "popularity")
    assert "xgboost - popularity" in {row["difference"] for row in versus}


def test_recommendations_are_published_or_made_alike(deployment: Deployment) -> None:
    sample = deployment.rows("recommend", "--sample", "--as-of", DAY.isoformat(), "-k", "3")
    assert {row["country"] for row in sample} == {"DE", "FR"}
    person = next(row for row in sample if row["country"] == "DE")["profile"]
    options = ("--profile", str(person), "--country", "DE", "--as-of", DAY.isoformat(), "-k")
    published = deployment.rows("recommend", *options, "5")
    made_now = deployment.rows("recommend", *options, "25")
    assert [row["title"] for row in published] == [row["title"] for row in made_now[:5]]
    assert [row["rank"] for row in made_now] == list(range(1, len(made_now) + 1))
    assert all(row["why"] for row in published)


def test_a_stranger_is_served_by_popularity(deployment: Deployment) -> None:
    rows = deployment.rows("recommend", "--profile", "123456", "--country", "FR", "--as-of", DAY.isoformat(), "-k", "3")
    assert {row["model"] for row in rows} == {"popularity"}


def test_travel_shows_facts_and_features_and_no_future(deployment: Deployment) -> None:
    person = str(deployment.rows("recommend", "--sample", "--as-of", DAY.isoformat())[0]["profile"])
    late = {
        row["name"]: row["value"]
        for row in deployment.rows("travel", "--profile", person, "--as-of", f"{DAY}T00:00:00Z")
    }
    assert float(str(late["profile_plays_28d"])) > 0
    early = deployment.command("travel", "--profile", person, "--as-of", FIRST.isoformat(), code=2)
    assert "no visible play then" in early


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--from", "1970-01-01", "--to", "2025-01-06"), "outside the days"),
        (("run", "--from", "2025-01-06", "--to", "2025-01-05"), "Swap them"),
        (("run", "--from", "2024-12-01", "--to", "2025-01-05"), "Choose days from 2025-01-01"),
        (("run", *WINDOW, "--countries", "*"), "is not a country"),
        (("run", *WINDOW, "--countries", "US"), "no plays of US"),
        (("metrics", *WINDOW, "--by", "shoe_size"), "There are: "),
        (("metrics", *WINDOW, "--metric", "luck"), "no metric luck"),
        (("metrics", *WINDOW, "--versus", "luck"), "no model 'luck'"),
        (("recommend", "--as-of", "2025-01-06"), "Give --profile"),
        (("recommend", "--profile", "nobody", "--country", "FR", "--as-of", "2025-01-06"), "no profile_id 'nobody'"),
        (("recommend", "--sample", "--as-of", "2025-01-02"), "no recommendations are published"),
        (("travel", "--profile", "u0000001", "--as-of", "noon"), "is not an instant"),
        (("ingest", "nowhere.csv"), "nowhere.csv"),
        (("export", "metrics", *WINDOW, "--out", "platform.toml/metrics.csv"), "can be written to"),
        (("report", *WINDOW, "--out", "platform.toml/report.html"), "can be written to"),
        (("run", *WINDOW, "--home", "platform.toml/home"), "can be written to"),
    ],
)
def test_bad_input_is_named_with_its_repair(deployment: Deployment, arguments: tuple[str, ...], message: str) -> None:
    said = deployment.command(*arguments, code=1 if arguments[0] == "ingest" else 2)
    assert message in " ".join(said.split())
    assert "Traceback" not in said


def test_every_command_has_an_example() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == {
        "simulate", "ingest", "run", "metrics", "compare", "ageing", "report", "export", "protocol", "late", "recommend",
        "travel", "features", "rankers", "prove", "status", "ui",
    }  # fmt: skip
    told = {name: command for name, command in commands.items() if not hasattr(command, "commands")}
    for group in set(commands) - set(told):
        told |= {f"{group} {name}": command for name, command in commands[group].commands.items()}
    for name, command in told.items():
        assert f"Example: rec-platform {name}" in command.help, name


def test_help_lists_commands_in_the_order_of_the_flow() -> None:
    commands = list(get_command(app).commands)  # type: ignore[attr-defined]
    assert commands[:5] == ["simulate", "ingest", "run", "status", "metrics"]
    assert commands[-3:] == ["features", "rankers", "prove"]


def test_after_an_ingest_the_newest_days_are_proposed(deployment: Deployment, tmp_path: Path) -> None:
    assert newest_days(tmp_path) is None
    world = deployment.home.parent / "world" / "delivery"
    own, mapping = Deployment(tmp_path), EXAMPLES / "mappings" / "simulated.toml"
    said = own.command("ingest", "--mapping", str(mapping), str(world / "titles.jsonl"))
    assert "Next:" not in said, "without a play there is nothing to run"
    said = own.command("ingest", *(str(world / f"plays-{FIRST + timedelta(days=n)}.csv") for n in range(3)))
    first, last = newest_days(tmp_path) or (DAY, FIRST)
    assert (last - first).days == 1
    assert f"Next: rec-platform run --from {first} --to {last}" in said
    own.command("run", "--from", str(first), "--to", str(last), "--plan")


def test_the_next_command_names_the_home_it_was_asked_for(deployment: Deployment, tmp_path: Path) -> None:
    named = Deployment(tmp_path).command("run", *WINDOW, "--home", str(deployment.home))
    assert f"--to {DAY} --home {deployment.home}" in named.replace("\n", " ")
    assert "--home" not in deployment.command("metrics", *WINDOW)


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    home = Deployment(tmp_path)
    said = home.typed("status", code=2)
    assert "rec-platform ingest" in said
    assert home.command("status", code=2) == said
