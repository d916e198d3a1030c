"""Tables of the terminal: nothing is broken inside a word, titles are not folded, numbers stand right, JSON has everything."""

from __future__ import annotations

import json
import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from rec_platform import commands
from rec_platform.cli import app
from rec_platform.errors import ConfigError, KeyRefused, PlatformError, SourceError
from rec_platform.plays.counts import Counts
from rec_platform.plays.reconciliation import FileReport, Reconciliation, ReferenceCounts
from rec_platform.terminal import DEFAULT_HOME, WIDTH, of_home, print_rows, to_write


@pytest.fixture(autouse=True)
def _no_home_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REC_PLATFORM_HOME", raising=False)


def printed(capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]], title: str = "T", **more: Any) -> list[str]:
    print_rows(rows, title, as_json=False, **more)
    return capsys.readouterr().out.splitlines()


def test_a_title_longer_than_its_table_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    title = "Metrics of 2011-11-28 to 2011-12-09: [95 % interval]"
    assert printed(capsys, [{"a": 1}], title)[0] == title


def test_numbers_and_texts_that_begin_with_one_stand_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"model": "a", "n": 1_056, "nmrr": "0.349\n[0.333, 0.363]", "word": "x1"},
        {"model": "bb", "n": 7, "nmrr": "-", "word": "yy"},
    ]
    lines = printed(capsys, rows)
    assert lines[3].startswith("a      1,056           0.349  x1")
    assert lines[5].startswith("bb         7               -  yy")


def test_only_running_text_is_folded_and_only_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    name = "days_since_title_played_by_anyone"
    row = {"name": name, "about": "word " * 60, "value": "0.123456 [0.1, 0.2]", "when": "2011-12-01 11:59:00"}
    lines = printed(capsys, [row])
    assert max(map(len, lines)) <= WIDTH
    assert name in lines[3] and "0.123456 [0.1, 0.2]" in lines[3] and "2011-12-01 11:59:00" in lines[3]
    assert {word for line in lines[4:] for word in line.split()} == {"word"}


def test_a_long_word_of_running_text_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    word = "days_since_title_last_played_anywhere"
    row = {f"text_{n}": f"{word} is like this one here" for n in range(6)}
    lines = printed(capsys, [row])
    assert "\n".join(lines).count(word) == 6


def test_a_table_of_many_columns_is_as_wide_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    """In a file or a pipe; a terminal has the width it has."""
    row = {f"column_{n}": "x" * 12 for n in range(20)}
    lines = printed(capsys, [row])
    assert lines[3].split() == ["x" * 12] * 20


def on_a_terminal(width: int, rows: list[dict[str, Any]]) -> list[str]:
    """The table as a terminal of so many columns shows it, without its title."""
    terminal = {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": str(width), "LINES": "50"}
    out = StringIO()
    with patch.dict(os.environ, terminal), redirect_stdout(out):
        print_rows(rows, "T", as_json=False)
    return out.getvalue().splitlines()[1:]


def test_no_table_is_wider_than_its_terminal_and_cropped() -> None:
    """Rich, left to share out what was short, went below a column's least width and cropped the last: `drawn to 0.`"""
    row = {
        "name": "country_title_engaged_rate", "value": "0.67284", "unit": "share",
        "reads": "country_title_engaged_plays_90d, country_title_plays_90d",
        "meaning": "engaged share of the title's plays over 90 days, drawn to 0.5 by 5 plays",
    }  # fmt: skip
    for width in range(80, 180):
        lines = on_a_terminal(width, [row])
        assert max(map(len, lines)) <= width
        assert set(row["meaning"].split()) <= {word for line in lines for word in line.split()}


cells = st.one_of(
    st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), st.none(),
    st.lists(st.text("ab漢1.,[(", min_size=1, max_size=14), max_size=9).map(" ".join),
)  # fmt: skip


@given(
    st.integers(40, 200), st.lists(st.lists(cells, min_size=7, max_size=7), min_size=1, max_size=3), st.integers(1, 7)
)
def test_no_letter_is_lost_and_no_word_broken_at_any_width(width: int, drawn: list[list[Any]], n: int) -> None:
    names = ["a", "share of it", "largest\ndifference", "d", "played (UTC)", "f", "g"][:n]
    rows = [dict(zip(names, row, strict=False)) for row in drawn]
    wide, narrow = on_a_terminal(1_000, rows), on_a_terminal(width, rows)
    assert max(map(cell_len, narrow)) <= width
    assert {word for line in wide[2:] for word in line.split() if set(word) != {"─"}} <= {
        word for line in narrow for word in line.split()
    }


def test_on_a_narrow_terminal_headings_are_folded_and_numbers_stay_whole() -> None:
    row = {
        "name": "binge",
        "late plays:\nlargest difference": "11,944 (0.16%), 2 missing",
        "known from": "2025-01-02 10:00Z",
    }
    lines = on_a_terminal(50, [row])
    assert "11,944 (0.16%), 2 missing" in "\n".join(lines)
    assert all(
        set(line.split()) <= {"name", "late", "plays:", "largest", "difference", "known", "from"} for line in lines[:2]
    )


def test_many_columns_stand_in_tables_below_each_other_that_name_their_rows() -> None:
    rows = [{"day": "d1", "place": f"p{m}"} | {f"count_{n}": 1_000 * n + m for n in range(9)} for m in range(3)]
    lines = on_a_terminal(60, rows)
    assert [line.split()[:3] for line in lines if "p2" in line] == [["d1", "p2", "2"], ["d1", "p2", "5,002"]]
    assert [line.split()[:3] for line in lines if "day" in line] == [["day", "place", f"count_{n}"] for n in (0, 5)]


def test_what_does_not_fit_beside_each_other_stands_in_a_block_per_row() -> None:
    row = {f"share\nof {n}": "0.500 [0.500, 0.500]" for n in range(4)}
    lines = on_a_terminal(60, [row | {"blank": None}] * 2)
    block = [f"share of {n}  0.500 [0.500, 0.500]" for n in range(4)]
    assert [line.strip() for line in lines] == [*block, "", *block]


def test_no_rows_have_their_title_and_what_is_missing_is_blank(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, [], "None found") == ["None found"]
    lines = printed(capsys, [{"a": float("nan"), "b": None, "c": 1_234_567.8, "d": 0.25}])
    assert lines[3].split() == ["1,234,568", "0.25"]


def test_markup_in_data_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, [{"a": "[red]x[/red]"}])[3].startswith("[red]x[/red]")


def test_json_has_the_hidden_columns_and_no_advice(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 1, "b": 2}]
    assert printed(capsys, rows, hide={"b"}, then="rec-platform ui")[1:] == ["a", "─", "1", "Next: rec-platform ui"]
    print_rows(rows, "T", as_json=True, hide={"b"}, then="rec-platform ui")
    assert json.loads(capsys.readouterr().out) == rows


def test_advice_names_a_home_that_is_not_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REC_PLATFORM_HOME", raising=False)
    assert of_home(DEFAULT_HOME) == ""
    assert of_home(Path("/tmp/one")) == " --home /tmp/one"
    monkeypatch.setenv("REC_PLATFORM_HOME", "/tmp/one")
    assert of_home(Path("/tmp/one")) == ""
    assert of_home(Path("/tmp/other")) == " --home /tmp/other"


def test_an_ingest_is_told_as_other_tables_are(capsys: pytest.CaptureFixture[str]) -> None:
    call = Counts(1_000, 990, 4, {"missing_id": 6}, {"missing_id": 6, "duplicate": 5})
    result = Reconciliation(
        call, call + call, {"titles": ReferenceCounts(10, 1, ("line 3: [bold]x[/bold]",))},
        (FileReport("a.csv", "plays", "landed", 1_000), FileReport("b.csv", "plays", "skipped")), (),
        ("column 'x' is ignored",), (SourceError("no column 'y'", place="c.csv", repair="Name it."),),
    )  # fmt: skip
    commands.print_reconciliation(result, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[3:7] == [
        ["delivered", "1,000", "2,000"], ["accepted", "990", "1,980"], ["duplicates", "4", "8", "10"],
        ["quarantined:", "missing_id", "6", "12", "12"],
    ]  # fmt: skip
    assert [" ".join(line) for line in lines[7:]] == [
        "1 files landed, 1 skipped (already in), 1 refused", "titles: 10 rows delivered, 1 unreadable",
        "line 3: [bold]x[/bold]", "note: column 'x' is ignored", f"error: {result.faults[0]}",
    ]  # fmt: skip
    commands.print_reconciliation(result, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(result.to_json()))


def windows_of_days(group: typer.core.TyperGroup, *path: str) -> dict[tuple[str, ...], list[str]]:
    """Every command that takes --from and --to, with what else it must be given."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= windows_of_days(command, *path, name)
        elif {"--from", "--to"} <= {option for part in command.params for option in part.opts}:
            more = [part for part in command.params if part.required and not {"--from", "--to"} & set(part.opts)]
            found[*path, name] = [
                text for part in more for text in ([part.opts[0]] if part.opts[0][0] == "-" else []) + ["x"]
            ]
    return found  # fmt: skip


@pytest.mark.parametrize("command, more", windows_of_days(typer.main.get_command(app)).items(), ids=str)
def test_days_the_wrong_way_round_are_refused(command: tuple[str, ...], more: list[str], tmp_path: Path) -> None:
    days = ["--from", "2025-02-03", "--to", "2025-02-02"]
    found = CliRunner().invoke(app, [*command, *more, *days, "--home", str(tmp_path)])
    assert isinstance(found.exception, KeyRefused)
    assert "2025-02-03 is after 2025-02-02" in str(found.exception) and found.exception.place == "--from, --to"


def test_after_metrics_the_two_best_are_compared() -> None:
    rows = [{"model": name, "country": place} for name in ("b", "a", "ceiling") for place in ("FR", "DE")]
    assert commands.after_metrics(rows, "") == "compare b a"
    assert commands.after_metrics(rows, "popularity") == "report --out report.html"
    assert commands.after_metrics(rows[-2:], "") == "report --out report.html"


# --- files to write ---------------------------------------------------------------------------------------------------


def test_a_file_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    there, beside, deeper = tmp_path / "there.html", tmp_path / "new.html", tmp_path / "a" / "b" / "new.html"
    there.write_text("as it was")
    (tmp_path / "link.html").symlink_to(beside)
    for out in (there, beside, deeper, tmp_path / "link.html"):
        assert to_write()(out) == out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "there.html"]
    assert there.read_text() == "as it was" and (tmp_path / "link.html").is_symlink()
    assert to_write()(None) is None


def test_a_pipe_is_not_opened_before_it_is_written_to(tmp_path: Path) -> None:
    """Whoever reads it would see its end; and without a reader nobody could open it."""
    os.mkfifo(tmp_path / "pipe")
    assert to_write()(tmp_path / "pipe") == tmp_path / "pipe"


@pytest.mark.parametrize("out", ["file/report.html", "file/deeper/report.html", f"{'x' * 300}.html"])
def test_a_file_that_cannot_be_written_is_refused_with_its_place_and_repair(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match="See that the path is right, can be written to") as raised:
        to_write()(tmp_path / out)
    assert raised.value.place.startswith(str(tmp_path))
    assert ("Not a directory" in str(raised.value)) == out.startswith("file/")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_endings_are_looked_at_first(tmp_path: Path) -> None:
    picture = to_write(".svg", ".png")
    assert picture(tmp_path / "one.png") is not None
    with pytest.raises(ConfigError, match=r"written as \.gif .*End it in \.svg or \.png"):
        picture(tmp_path / "one.gif")
    with pytest.raises(ConfigError, match="a file without an ending"):
        picture(tmp_path / "one")


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--from", "2025-01-01", "--to", "2025-01-02"),
        ("export", "metrics", "--from", "2025-01-01", "--to", "2025-01-02"),
        ("compare", "--from", "2025-01-01", "--to", "2025-01-02"),
        ("ageing", "--as-of", "2025-01-01"),
        ("features", "try", "mine.py", "--from", "2025-01-01", "--to", "2025-01-02"),
    ],
)
def test_commands_refuse_such_a_file_before_they_look_at_anything_else(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """There is no home and no mine.py either, and nothing is said of them."""
    (tmp_path / "file").touch()
    out, home = tmp_path / "file" / "out.svg", tmp_path / "home"
    result = CliRunner().invoke(app, [*command, "--out", str(out), "--home", str(home)])
    assert isinstance(result.exception, PlatformError)
    assert result.exception.place == str(tmp_path / "file")
