"""docs/tables.md says what the tables are, and each column says what it means."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from rec_platform.tables import TABLES, TableSpec
from rec_platform.tables_page import page

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m rec_platform.tables_page > docs/tables.md"


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_every_table_and_column_stands_on_it(spec: TableSpec) -> None:
    section = page().split(f"\n## {spec.name}\n")[1].split("\n## ")[0]
    assert spec.one_row in section and spec.grain.value in section
    for column in spec.schema:
        assert f"| `{column.name}` |" in section


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_every_column_says_what_it_is(spec: TableSpec) -> None:
    fields = list(spec.schema)
    for nested in [f.type.value_type for f in spec.schema if pa.types.is_list(f.type)]:
        fields += list(nested) if pa.types.is_struct(nested) else []
    assert [f.name for f in fields if not (f.metadata or {}).get(b"about")] == []
