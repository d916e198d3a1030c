"""A feature file may import modules of its own folder; they are part of what its features are made from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rec_platform.config import FeatureConfig
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureSet
from rec_platform.features.check import check_file
from rec_platform.features.encoders import code_identity

FACTS = """
from rec_platform.features import Fact
tv_plays_7d = Fact("tv_plays_7d", "profile", "plays", 7, "plays on a television", where="device == 'tv'")
"""
FILE = """
from rec_platform.features import encoder
from shared_facts import tv_plays_7d
from sums import twice

@encoder(unit="plays", about="plays on a television, twice")
def tv_twice(tv_plays_7d):
    return twice(tv_plays_7d)
"""


def written(folder: Path, *, sums: str = "def twice(value):\n    return 2 * value\n") -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in (("shared_facts", FACTS), ("sums", sums), ("mine", FILE)):
        (folder / f"{name}.py").write_text(text)
    return folder / "mine.py"


def of(file: Path) -> FeatureSet:
    return FeatureSet.from_config(FeatureConfig(files=(str(file),)))


def test_what_it_takes_from_beside_is_its_own(tmp_path: Path) -> None:
    features = of(written(tmp_path)).select(["tv_twice"])
    assert [fact.name for fact in features.needed] == ["tv_plays_7d"]
    assert features.encoders[0].function(21) == 42
    assert not {"sums", "shared_facts"} & set(sys.modules)


def test_another_text_beside_is_another_feature_and_a_comment_is_not(tmp_path: Path) -> None:
    digests = [
        of(written(tmp_path, sums=f"def twice(value):\n    {body}\n")).digest
        for body in ("return 2 * value", "return 2 * value  # twice", "return 3 * value")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_equal_names_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    one = of(written(tmp_path / "a"))
    other = of(written(tmp_path / "b", sums="def twice(value):\n    return -2 * value\n"))
    assert [made.select(["tv_twice"]).encoders[0].function(1) for made in (one, other)] == [2, -2]


def test_it_is_what_was_run_whose_identity_counts(tmp_path: Path) -> None:
    file = written(tmp_path)
    before = of(file)
    (tmp_path / "sums.py").write_text("def twice(value):\n    return 3 * value\n")
    assert before.digest == of(written(tmp_path)).digest


def test_checked_with_what_stands_beside(tmp_path: Path) -> None:
    checked = check_file(written(tmp_path))
    assert not checked.faults
    assert [fact.name for fact in checked.facts] == ["tv_plays_7d"]
    assert [one.name for one in checked.encoders] == ["tv_twice"]


@pytest.mark.parametrize(
    ("sums", "said"),
    [("def twice(:\n", "sums.py, line 1: not Python"), ("twice = 1 / 0\n", "sums.py, line 1: ZeroDivisionError")],
)
def test_a_fault_beside_is_named_with_its_line(tmp_path: Path, sums: str, said: str) -> None:
    file = written(tmp_path, sums=sums)
    with pytest.raises(ConfigError, match=said):
        of(file)
    assert any(said in fault.fault for fault in check_file(file).faults)


def test_the_identity_of_a_file_alone_is_that_of_its_code(tmp_path: Path) -> None:
    """And what the platform's helpers make is told by them, as it was: no stored feature is stale for this."""
    file = tmp_path / "alone.py"
    file.write_text(
        FACTS
        + """
from rec_platform.features.encoders import as_is, encoder, scaled
shown = as_is(tv_plays_7d)
halved = scaled("halved", tv_plays_7d, 2.0, "pairs", "of plays on a television")
@encoder(unit="plays", about="more")
def more(tv_plays_7d):
    return tv_plays_7d + 1
"""
    )
    made = {one.name: one for one in of(file).encoders}
    assert made["more"].identity == code_identity(file.read_text())
    assert made["halved"].identity == repr(made["halved"].function)
    assert made["tv_plays_7d"].identity != made["more"].identity
