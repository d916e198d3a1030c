"""What a stage left when it raised is told by `status` until a later run makes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from simulated_homes import MAPPING
from test_run import CELLS, Breaking, deliver, failing, play
from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.config import SOURCE_FILE
from rec_platform.errors import StorageFault
from rec_platform.facts.stage import Facts
from rec_platform.flow import Platform, Report, raised
from rec_platform.flow import run as flow_run
from rec_platform.flow.raised import FOLDER
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.stage import Stage

LEFT = CELLS[CELLS.index(Breaking.bad) :]
SAID = "`share` raised KeyError (features.py, line 3)"
#: 2025-03-11, 00:31:07 UTC: the time of a note, as the file system has it.
AT = 1_741_653_067


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six delivered days of two countries; checks always pass unless a test says otherwise."""
    monkeypatch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
    shutil.copy(MAPPING, tmp_path / SOURCE_FILE)
    deliver(Lake(tmp_path), {cell: [play(cell.day, p, p + 10) for p in (1, 2)] for cell in CELLS})
    return tmp_path


def platform(home: Path, stage: Stage) -> Platform:
    """The home, where facts are made by another stage."""
    found = Platform(home)
    found.stages["facts"] = stage
    return found


def make(home: Path, stage: Stage, cells: Sequence[Partition] = CELLS, run: str = "later") -> Report:
    return platform(home, stage).run("facts", cells, run_id=run)


def breaking(home: Path, cells: Sequence[Partition] = CELLS, *, run: str = "0123456789", at: int = AT) -> None:
    """A run in which the stage raises, at this time."""
    with pytest.raises(type(Breaking.fault)):
        make(home, Breaking(), cells, run).raise_if_failed()
    os.utime(home / FOLDER / "facts" / f"{run}.json", (at, at))


def left(home: Path, stage: Stage | None = None) -> list[tuple[str, list[Partition]]]:
    """The runs that left something, with that."""
    told = platform(home, stage or Breaking()).raised()
    assert set(told) <= {"facts"}
    return [(one.run_id, list(one.left)) for one in told.get("facts", [])]


def status(home: Path, *options: str) -> tuple[str, str]:
    shown = CliRunner().invoke(app, ["status", "--home", str(home), *options])
    assert shown.exit_code == 0
    return shown.stdout, " ".join(shown.stderr.split())


def test_status_says_which_stage_raised_when_what_and_what_it_left(home: Path) -> None:
    breaking(home)
    table, notes = status(home)
    assert (
        f"raised: facts in run 01234567, 2025-03-11 00:31 UTC: not made since {LEFT[0].key} and 7 others: {SAID}"
        in notes
    )
    assert "raised_in" not in table
    rows = {row["table"]: row for row in json.loads(status(home, "--json")[0])}
    assert {name for name, row in rows.items() if row["raised"]} == {"play_facts", "title_tiles", "profile_tiles"}
    assert (rows["play_facts"]["partitions"], rows["play_facts"]["raised"], len(LEFT)) == (4, 8, 8)
    assert rows["play_facts"]["raised_in"] == [
        {"run": "0123456789", "at": "2025-03-11T00:31:07Z", "left": 8, "first": LEFT[0].key, "fault": SAID}
    ]
    assert rows["landing"]["raised_in"] == []


def test_a_table_of_which_nothing_stands_is_told_of_too(home: Path) -> None:
    breaking(home, LEFT)
    row = next(row for row in json.loads(status(home, "--json")[0]) if row["table"] == "play_facts")
    assert (row["partitions"], row["version"], row["raised"]) == (0, None, 8)


def test_it_is_told_until_a_later_run_makes_it(home: Path) -> None:
    breaking(home)
    make(home, Facts(), LEFT[:3])
    assert left(home) == [("0123456789", LEFT[3:])], "of another code version, but made"
    make(home, Facts(), LEFT)
    assert left(home) == []
    assert "raised:" not in status(home)[1]


def test_what_is_up_to_date_as_it_stands_was_not_left(home: Path) -> None:
    """The code of before is back: what it made then is current, and needs no run to be."""
    make(home, Facts())
    breaking(home)
    assert left(home) == [("0123456789", LEFT)]
    assert left(home, Facts()) == []


def test_a_failed_check_is_told_as_such_and_not_as_raised(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the run that raised, and in one after it."""
    monkeypatch.setattr(flow_run, "audit", failing(CELLS[0]))
    breaking(home)
    assert left(home) == [("0123456789", LEFT)]
    monkeypatch.setattr(flow_run, "audit", failing(LEFT[0]))
    assert make(home, Facts(), LEFT[:1]).failed
    assert left(home) == [("0123456789", LEFT[1:])]


def test_each_partition_is_told_of_the_newest_run_that_left_it(home: Path) -> None:
    breaking(home, LEFT[:4], run="first-run", at=AT)
    breaking(home, [LEFT[0], *LEFT[5:]], run="second-run", at=AT + 86_400)
    assert left(home) == [("second-run", [LEFT[0], *LEFT[5:]]), ("first-run", LEFT[1:4])]
    assert (
        f"2025-03-12 00:31 UTC: not made since {LEFT[0].key} and 3 others (3 more since runs before)" in status(home)[1]
    )


def test_notes_that_tell_of_nothing_any_more_go_with_the_next(home: Path) -> None:
    breaking(home, LEFT[:4], run="first")
    breaking(home, LEFT, run="second")
    assert [path.name for path in (home / FOLDER / "facts").iterdir()] == ["second.json"]


def test_a_storage_fault_is_noted_and_what_it_hid_is_not_raised_in_its_place(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may be so full that there is no room for the note either."""
    monkeypatch.setattr(Breaking, "fault", StorageFault("the disk is full", place="lake", repair="Make room."))
    breaking(home)
    assert left(home) == [("0123456789", CELLS)], "nothing of that run was published"
    shutil.rmtree(home / FOLDER)
    (home / FOLDER).touch()
    with pytest.raises(StorageFault, match="the disk is full"):
        make(home, Breaking())
    (home / FOLDER).unlink()

    def unreadable(*_: object) -> None:
        raise StorageFault("nor can the log be read", place="lake", repair="")

    monkeypatch.setattr(raised, "_named_since", unreadable)
    with pytest.raises(StorageFault, match="the disk is full"):
        make(home, Breaking())


def test_a_note_lost_or_damaged_does_no_harm(home: Path) -> None:
    breaking(home)
    (home / FOLDER / "facts" / "0123456789.json").write_text('{"left"')
    (home / FOLDER / "facts" / "other.json").write_text("[]")
    assert left(home) == []
    assert "raised:" not in status(home)[1]


def test_settings_that_cannot_be_planned_with_are_noted_as_raised(home: Path) -> None:
    class Unread(Facts):
        def config(self, settings: object) -> dict[str, object]:
            raise Breaking.fault

    with pytest.raises(type(Breaking.fault)):
        make(home, Unread(), CELLS, "run")
    assert left(home, Unread()) == [("run", CELLS)]
