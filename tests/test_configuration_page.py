"""docs/configuration.md lists every key with type, range, default and meaning."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from rec_platform.config import Settings, SourceRules, checked
from rec_platform.configuration_page import keys, models, page

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
TABLES = [("", Settings), *models(Settings), *models(SourceRules)]


def test_the_page_is_up_to_date() -> None:
    said = "run: python -m rec_platform.configuration_page > docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == page(), said


@pytest.mark.parametrize(("name", "model"), TABLES, ids=lambda given: given if isinstance(given, str) else "")
def test_every_key_stands_on_it_and_says_what_it_is(name: str, model: type[BaseModel]) -> None:
    assert [key for key, field in keys(model).items() if not field.description] == []
    assert [key for key in keys(model) if f"| `{key}` |" not in page()] == []


def test_a_row_of_a_table_is_one_line() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row for row in rows if not row.endswith(" |")] == []


def test_ranges_types_and_defaults_are_those_of_the_models() -> None:
    assert "| `training_days` | whole number | >= 1 | `28` |" in page()
    assert "| `cutoffs` | list of whole number | >= 1 | `[5, 10, 20, 100]` |" in page()
    assert '| `kind` | one of `"keep"`, `"drop"`, `"drop_within_days"` |  | `"keep"` |' in page()
    assert "| `seed` | whole number | >= 0, < 2^31 | `20250101` |" in page()


def test_the_worked_example_is_accepted() -> None:
    lines = page().split("# platform.toml\n")[1].split("\n\n`files`")[0].splitlines()
    settings = checked(
        Settings, tomllib.loads("\n".join(line.strip() for line in lines)), place="docs/configuration.md"
    )
    assert (settings.rankers.training_days, settings.countries) == (10, ("FR", "GB"))
