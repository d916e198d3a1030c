"""Data-quality checks between stages: expectations per table, and the time-travel check of training features.

A stage stages its rows, `audit` judges them, and only partitions that pass every blocking check are published. Importing
this package is cheap; Great Expectations (5 to 12 s) is imported by the first `audit` of a process and by nothing else.
docs/checks.md lists every check.
"""

from rec_platform.checks.audit import audit
from rec_platform.checks.result import CheckResult, cost
from rec_platform.checks.rule import Rule
from rec_platform.checks.rules import RULES

__all__ = ["RULES", "CheckResult", "Rule", "audit", "cost"]
