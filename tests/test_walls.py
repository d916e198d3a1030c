"""Walls: who may import whom, what may not be called, what may not be written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "rec_platform").rglob("*.py"))
CODE = [*LIBRARY, *sorted((ROOT / "assets").rglob("*.py"))]
TEXT = [
    path
    for path in ROOT.rglob("*")
    if path.is_file()
    and path.suffix in {".py", ".md", ".toml", ".yaml", ".lock", ".in", ".cfg", ""}
    and not {".git", ".venv", ".rec-platform", "__pycache__"} & set(path.relative_to(ROOT).parts)
    and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts[:-1])
]


def offenders(pattern: str, files: list[Path]) -> list[str]:
    rule = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if rule.search(line) and path != Path(__file__)
    ]


def test_import_contracts_hold() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_the_library_runs_without_dagster() -> None:
    code = "import sys; sys.modules['dagster'] = None; import rec_platform.flow, rec_platform.cli"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_command_starts_without_the_heavy_libraries() -> None:
    """Half of its start would go to them; they are imported where they are used."""
    heavy = ("pandas", "matplotlib", "xgboost", "sklearn", "implicit", "great_expectations")
    code = f"import sys, rec_platform.cli; print(*(name for name in {heavy} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout.split()) == (0, []), found.stdout + found.stderr


@pytest.mark.parametrize(
    ("what", "pattern", "files"),
    [
        ("pickle in any form", r"\b(import|from) (pickle|joblib|cloudpickle|dill)\b|allow_pickle=True", CODE),
        ("a clock inside the library", r"\b(datetime|date|Timestamp)\.(now|today|utcnow)\(|\btime\.time\(", LIBRARY),
        (
            "deltalake readers that abort at exit",
            r"\.to_pyarrow_(table|dataset)\(|DeltaTable\([^)]*\)\.to_pandas",
            CODE,
        ),
        ("unfinished work", r"\b(TODO|FIXME|XXX|NotImplementedError)\b", CODE),
        ("servers beyond loopback", r"0\.0\.0\.0", CODE),
        (
            "download addresses in pins",
            r"https?://|--(extra-)?index-url",
            [p for p in TEXT if p.suffix in {".lock", ".in"}],
        ),
    ],
)
def test_nothing_of_this_kind_stands_in_the_code(what: str, pattern: str, files: list[Path]) -> None:
    assert files
    assert offenders(pattern, files) == [], what


def test_files_are_read_with_named_partitions_only() -> None:
    """Never list the tree: a country called `*` would read every country."""
    assert offenders(r"read_parquet\(\s*f?['\"][^'\"]*\*", CODE) == []
