"""How a plan is shown: counts by stage, words for what is not plain, reasons for what cannot be made."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from daemon import DAY, FIRST
from deployment import Deployment
from rich.console import Console

from assets.launch import Request, plan_notes, plan_rows, plan_table
from rec_platform.flow.plan import Fate, Planned
from rec_platform.partition import Partition

WINDOW = ("--from", DAY.isoformat(), "--to", DAY.isoformat())
CELLS = [Partition(DAY, country) for country in ("DE", "FR", "US")]
PLAN = [
    Planned("raw_plays", dict.fromkeys(CELLS, Fate.MAKE), {}),
    Planned("facts", dict(zip(CELLS, (Fate.AFTER, Fate.IF_CHANGED, Fate.CURRENT), strict=True)), {}),
    Planned("scores", dict.fromkeys(CELLS, Fate.CANNOT), {one: f"never published: x {one.key}" for one in CELLS}),
]


def test_a_plan_fits_a_terminal_of_eighty_columns_with_its_names_whole() -> None:
    console = Console(width=80, record=True)
    console.print(plan_table(PLAN, Request(DAY, DAY)))
    shown = console.export_text().splitlines()
    assert shown[0].strip() == f"Plan for {DAY} to {DAY}, in partitions"
    assert [line.split() for line in shown[-3:]] == [
        ["raw_plays", "3", "3", "0", "0", "0", "0"], ["facts", "3", "0", "1", "1", "1", "0"],
        ["scores", "3", "0", "0", "0", "0", "3"],
    ]  # fmt: skip
    assert "…" not in console.export_text()


def test_words_that_are_not_plain_are_explained_only_where_they_are_met() -> None:
    after, changed, cannot = plan_notes(PLAN)
    assert after.startswith("after earlier stages: will be made as soon as")
    assert changed.startswith("if input changes: ")
    first = CELLS[0].key
    assert cannot == f"scores {first} cannot be made: never published: x {first} (and 2 more; --plan --json names all)"
    assert plan_notes(PLAN[:1]) == []


def test_json_has_the_same_words_and_every_partition() -> None:
    rows = {row["stage"]: row for row in plan_rows(PLAN)}
    assert [rows["facts"][fate] for fate in Fate] == [0, 1, 1, 1, 0]
    assert rows["facts"]["keys"]["if input changes"] == [CELLS[1].key]
    assert rows["raw_plays"]["keys"]["to make"] == [one.key for one in CELLS]
    assert rows["scores"]["reasons"] == {one.key: f"never published: x {one.key}" for one in CELLS}
    for row in rows.values():
        assert sum(row[fate] for fate in Fate) == row["partitions"]


@pytest.mark.slow
def test_the_command_tells_a_late_delivery_from_what_hangs_on_it(deployment: Deployment, tmp_path: Path) -> None:
    late = Deployment(tmp_path / "home")
    shutil.copytree(deployment.home, late.home, ignore=shutil.ignore_patterns("locks", "index", "dagster"))
    late.command(
        "ingest", str(_one_play(deployment.home.parent / "world" / "delivery", tmp_path, FIRST + timedelta(2)))
    )
    rows = {str(row["stage"]): row for row in late.rows("run", *WINDOW, "--plan")}
    assert (rows["reference"]["up to date"], rows["raw_plays"]["to make"], rows["facts"]["to make"]) == (1, 1, 0)
    assert rows["facts"]["keys"]["if input changes"] == rows["raw_plays"]["keys"]["to make"]
    assert rows["metrics"]["if input changes"] == rows["metrics"]["partitions"] > 0


def _one_play(world: Path, folder: Path, day: date) -> Path:
    """A delivery of one play of a day, under an id of its own."""
    head, row, *_ = (world / f"plays-{day}.csv").read_text(encoding="utf-8").splitlines()
    delivery = folder / "plays-late.csv"
    delivery.write_text(f"{head}\np9999999999{row[row.index(',') :]}\n", encoding="utf-8")
    return delivery
