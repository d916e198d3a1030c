"""Settings: frozen, checked, and wrong ones named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from rec_platform.config import Settings, load_settings
from rec_platform.errors import ConfigError
from rec_platform.flow import STAGES


def test_an_empty_home_has_the_defaults_of_the_design(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert (settings.rankers.training_days, settings.labels.horizon_days, settings.negatives.items) == (28, 1, 50)
    assert settings.rules.sessions.gap_minutes == 30
    assert settings.evaluation.cutoffs == (5, 10, 20, 100)
    assert settings.sampler.max_contexts == 20_000


def test_rules_come_from_the_source_and_choices_from_the_platform(tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text('seed = 7\ncountries = ["FR", "DE"]\n[labels]\nhorizon_days = 2\n')
    (tmp_path / "source.toml").write_text('[source]\nname = "x"\n[rules.seen]\nkind = "drop"\n')
    settings = load_settings(tmp_path)
    assert (settings.seed, settings.countries, settings.labels.horizon_days) == (7, ("DE", "FR"), 2)
    assert settings.rules.seen.kind == "drop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 'x'", r"\[seed\]"),
        ("[labels]\nhorizon = 1", r"\[labels.horizon\] there is no such key; did you mean horizon_days\?"),
        ("[rankrs]\nn_trees = 1", r"\[rankrs\] there is no such key; did you mean rankers\?"),
        ("[training]\nknown_by = 'soon'", r"\[training.known_by\] 'soon' is not an instant"),
        ("countries = ['*']", "is not a country"),
        ("[rules]", "belong to the source"),
        ("[rankers]\ntraining_days = 2\nmin_training_days = 3", "larger than"),
        ("seed = ", "not TOML"),
        ("[memory]\nscratch = 5", r"\[memory.scratch\]"),
    ],
)
def test_a_wrong_file_is_named_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "platform.toml").write_text(text)
    with pytest.raises((ConfigError, Exception), match=message) as refused:
        load_settings(tmp_path)
    assert not isinstance(refused.value, ValidationError)


def test_what_runs_keep_in_files_stands_in_the_home_unless_told(tmp_path: Path) -> None:
    assert load_settings(tmp_path).memory.scratch == str(tmp_path / "staging")
    (tmp_path / "platform.toml").write_text('[memory]\nplays_at_once = 5\nscratch = "/fast/disk"\n')
    assert load_settings(tmp_path).memory.model_dump() == {"plays_at_once": 5, "scratch": "/fast/disk"}


def test_a_ranker_that_is_none_is_refused_when_a_run_is_planned(tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text('[rankers]\nmodels = ["xgbost"]\n')
    with pytest.raises(ConfigError, match=r"there is no ranker .xgbost.*logistic, xgboost"):
        STAGES["ranker_models"]().config(load_settings(tmp_path))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("section", ["features", "rankers", "evaluation"])
@pytest.mark.parametrize("files", ['"mine.py"', "[3]"])
def test_files_that_are_no_list_of_paths_are_refused_by_key(tmp_path: Path, section: str, files: str) -> None:
    (tmp_path / "platform.toml").write_text(f"[{section}]\nfiles = {files}\n")
    said = (
        r"\[{}\.files\] a list is wanted, in brackets: \['mine\.py'\]"
        if "mine" in files
        else r"\[{}\.files\.0\] .* string"
    )
    with pytest.raises(ConfigError, match=said.format(section)):
        load_settings(tmp_path)


def test_files_are_of_the_home_or_stand_where_their_path_says(tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text('[rankers]\nfiles = ["mine.py", "~/yours.py", "/there/ours.py"]\n')
    files = load_settings(tmp_path).rankers.files
    assert files == (str(tmp_path / "mine.py"), str(Path.home() / "yours.py"), "/there/ours.py")
