"""docs/checks.md is the page the rules write."""

from __future__ import annotations

from pathlib import Path

from rec_platform.checks.page import markdown
from rec_platform.checks.rules import RULES
from rec_platform.proofs.flow import FLOW_PROOFS

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run python -m rec_platform.checks.page > docs/checks.md"


def test_every_check_says_what_to_do() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert f"| `{rule.check}` | {'blocking' if rule.blocking else 'warning'} |" in markdown()
            assert rule.means.endswith(".") and rule.repair.endswith(".")


def test_a_check_has_one_name_per_table() -> None:
    for rules in RULES.values():
        assert len({rule.check for rule in rules}) == len(rules)


def test_every_proof_beside_a_run_is_named_with_its_stage() -> None:
    section = markdown().split("## Proofs beside a run")[1].split("\n## ")[0]
    assert all(f"`{proof.name}`" in section for proofs in FLOW_PROOFS.values() for proof in proofs)
    assert all(stage in section for stage in FLOW_PROOFS)
