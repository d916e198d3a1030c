"""`rankers check` and `rankers list`: what is told of a file that keeps the contract, and of those that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ranker_files import EXAMPLE, FIRST, apart, file
from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.config import RankerConfig, Settings
from rec_platform.models.check import check_rankers, drawn
from rec_platform.models.features import feature_notes
from rec_platform.models.training import both_labels

SETTINGS = Settings()
FIT = "        training = TrainingFrames.of("
SCORE = "np.nan_to_num(column(frame, self.notes[0].name)).astype(float)"


def fault(folder: Path, *changes: tuple[str, str]) -> str:
    """The one fault of `FIRST` with some changes."""
    source = FIRST
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    checked = check_rankers(Path(file(folder, source)), SETTINGS)
    (found,) = checked.faults
    assert "mine.py" in found.place
    assert found.repair
    return found.fault


def test_the_example_has_nothing_wrong() -> None:
    checked = check_rankers(EXAMPLE, SETTINGS)
    (one,) = checked.rankers
    assert (one.trainer.name, checked.faults, checked.imports) == ("evidence", (), ())
    assert one.reads == tuple(note.name for note in feature_notes(SETTINGS))


def test_what_is_drawn_can_be_learned_from_and_has_every_feature() -> None:
    notes = feature_notes(SETTINGS)
    frame = drawn(notes, seed=1)
    assert tuple(frame.features.column_names) == tuple(note.name for note in notes)
    assert len(both_labels(frame)) > 50


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("if training.n_items else None", "")], "line 25: ranker 'first' makes a model with no training set"),
        (
            [(FIT, "        first = frames[0]\n" + FIT)],
            "line 30: IndexError: list index out of range, with no training set",
        ),
        ([("if training.n_items else None", "if frames else None")], "makes a model with no context with a label above 0"),
        ([("if training.n_items else None", "if False else None")], "makes no model of contexts that hold both labels"),
        (
            [("{}) if", "{'x.npy': npy_bytes(np.random.default_rng().random(2))}) if"),
             ("import Artefact", "import Artefact, npy_bytes")],
            "makes two models of the same data: manifest.json, x.npy is not the same",
        ),
        (
            [("import numpy as np\n", "import numpy as np\nSIGN = [0.0]\n"), (FIT, "        SIGN[0] = 1.0\n" + FIT),
             (SCORE, "SIGN[0] * " + SCORE)],
            "scores otherwise when the file is run anew",
        ),
        ([(SCORE, SCORE + " + np.arange(frame.n_items) - frame.offsets[:-1][frame.context_of_item]")],
         "gives an item another score when the items stand in another order"),
        ([("column(frame, self.notes[0].name)", "column(frame, 'singal')")], "singal"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_told(tmp_path: Path, changes: list[tuple[str, str]], said: str) -> None:
    assert said in fault(tmp_path, *changes)


def test_faults_of_every_ranker_are_told_at_once(tmp_path: Path) -> None:
    second = FIRST[FIRST.index("class FirstTrainer") :].replace("FirstTrainer", "SecondTrainer")
    source = (FIRST + second.replace('"first"', '"second"')).replace(" if training.n_items else None", "")
    checked = check_rankers(Path(file(tmp_path, source)), SETTINGS)
    assert [one.fault.split(" makes")[0] for one in checked.faults] == [
        "line 25: ranker 'first'",
        "line 38: ranker 'second'",
    ]


def test_names_of_the_homes_other_files_are_taken_and_its_own_is_not(tmp_path: Path) -> None:
    mine, yours = file(tmp_path, FIRST), file(tmp_path, FIRST, "yours.py")
    assert not check_rankers(Path(mine), Settings(rankers=RankerConfig(files=(mine,)))).faults
    (found,) = check_rankers(Path(mine), Settings(rankers=RankerConfig(files=(yours,)))).faults
    assert "is there already, of" in found.fault


def test_the_command_says_what_there_is_and_what_to_do(tmp_path: Path) -> None:
    asked = ["rankers", "check", apart(tmp_path), "--home", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0
    assert "mine.py: 1 ranker, nothing wrong" in done.stdout
    assert "parts.py beside it is part of it" in done.stdout
    as_json = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (as_json["imports"], as_json["faults"]) == (["factors", "parts"], [])
    assert [one["name"] for one in as_json["rankers"]] == ["first"]
    (tmp_path / "parts.py").write_text("x = (\n")
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert "parts.py, line 1: not Python" in done.output


def test_the_list_names_the_platforms_and_those_of_files(tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text("[rankers]\nmodels = ['logistic']\nfiles = ['mine.py']\n")
    file(tmp_path, FIRST)
    rows = json.loads(CliRunner().invoke(app, ["rankers", "list", "--home", str(tmp_path), "--json"]).stdout)
    assert [(row["ranker"], row["fitted"]) for row in rows] == [("logistic", True), ("xgboost", False), ("first", True)]
    assert rows[2]["from"] == str(tmp_path / "mine.py")
    assert "3 rankers, 2 fitted" in CliRunner().invoke(app, ["rankers", "list", "--home", str(tmp_path)]).stdout
