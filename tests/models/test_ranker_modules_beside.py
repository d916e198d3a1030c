"""Modules beside a ranker file: part of it, met by nothing else, their faults named there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ranker_files import PARTS, apart, file, fitted

from rec_platform.errors import ArtefactError, ConfigError
from rec_platform.models.own import declared_in
from rec_platform.models.registry import load_scorer
from rec_platform.testing.model_contract import made_frame, stored


def test_modules_beside_a_file_are_part_of_it(tmp_path: Path) -> None:
    """Also those that they import, in a function or not; whatever else stands in the folder is not."""
    files = [apart(tmp_path)]
    (trainer,) = declared_in(files[0])
    artefact, frame = stored(fitted(trainer)), made_frame(seed=2)
    assert trainer.imports == ("factors", "parts")
    assert np.array_equal(trainer.load(artefact).score(frame), np.asarray(frame.features.column("signal"), dtype=float))
    apart(tmp_path, "# A comment\n" + PARTS, '"""Factors."""\nONE = 1.0\n')
    file(tmp_path, "ONE = 2.0\n", "others.py")
    load_scorer(artefact, files)
    apart(tmp_path, factors="ONE = 2.0\n")
    with pytest.raises(ArtefactError, match="other code than the file holds now"):
        load_scorer(artefact, files)
    (again,) = declared_in(files[0])
    assert np.array_equal(again.load(stored(fitted(again))).score(frame), 2 * trainer.load(artefact).score(frame))


def test_modules_of_two_folders_do_not_meet(tmp_path: Path) -> None:
    frame = made_frame(seed=2)
    here, there = (declared_in(apart(tmp_path / str(n), factors=f"ONE = {n}.0\n"))[0] for n in (1, 3))
    scores = [one.load(fitted(one)).score(frame) for one in (here, there, here)]
    assert np.array_equal(3 * scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])
    assert not {"parts", "factors"} & set(sys.modules)


def test_what_is_run_is_what_was_read(tmp_path: Path) -> None:
    """A module imported in a function, when it is called: the file was changed since, and is gone."""
    lazy = PARTS.replace("import factors\n", "").replace("    from rec_", "    import factors\n    from rec_")
    (trainer,) = declared_in(apart(tmp_path, lazy))
    (tmp_path / "factors.py").unlink()
    artefact, frame = fitted(trainer), made_frame(seed=2)
    assert np.array_equal(trainer.load(artefact).score(frame), np.asarray(frame.features.column("signal"), dtype=float))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("x = 1\ny = x / 0\n", "parts.py, line 2: ZeroDivisionError"),
        ("x = (\n", "parts.py, line 1: not Python"),
        ("import nothing_of_this_name\n", "parts.py, line 1: ModuleNotFoundError"),
        (
            "import factors.more\n",
            "parts.py, line 1: ModuleNotFoundError: No module named 'factors.more'; factors.py is not",
        ),
        ("x = 1\n", "line 3: ImportError: cannot import name 'score_of'"),
    ],
)
def test_faults_of_modules_beside_a_file_are_named_there(tmp_path: Path, parts: str, said: str) -> None:
    for _ in range(2):  # nothing half made is left from the first time
        with pytest.raises(ConfigError) as refused:
            declared_in(apart(tmp_path, parts))
        assert refused.value.fault.startswith(said)


def test_modules_may_import_each_other_and_all_names(tmp_path: Path) -> None:
    both = PARTS.replace("import factors\n", "from factors import *\n").replace("factors.ONE", "ONE")
    (trainer,) = declared_in(apart(tmp_path, both, "import parts\nONE = 1.0\n"))
    fitted(trainer)
