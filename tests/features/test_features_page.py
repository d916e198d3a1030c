"""docs/features.md says what the standard set is."""

from __future__ import annotations

import re
from pathlib import Path

from rec_platform.config import FeatureConfig
from rec_platform.features import FeatureSet
from rec_platform.features.page import page

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(FeatureSet.standard()), (
        "run: python -m rec_platform.features.page > docs/features.md"
    )


def test_the_example_on_the_page_runs(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert example is not None
    file = tmp_path / "my_features.py"
    file.write_text(example.group(1))
    assert FeatureSet.from_config(FeatureConfig(files=(str(file),))).names[-1] == "my_hour_share"
