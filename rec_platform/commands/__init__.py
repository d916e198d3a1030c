"""What each command of the CLI calls: plain functions from a home and checked arguments to rows.

`rec_platform/cli.py` parses and prints.

    options.py       options as lists; what commands give
    delivered.py     simulate, ingest
    published.py     status
    judged.py        metrics, report
    recommended.py   recommend
"""

from __future__ import annotations

from rec_platform.commands.delivered import ingested, newest_days, not_taken_in, print_reconciliation, simulated
from rec_platform.commands.judged import MAIN_METRICS, after_metrics, metrics, reported
from rec_platform.commands.options import Progress, Row, countries, names
from rec_platform.commands.published import LACKING, RAISED_IN, status, status_notes
from rec_platform.commands.recommended import recommendations, sample_recommendations

__all__ = [
    "LACKING",
    "MAIN_METRICS",
    "RAISED_IN",
    "Progress",
    "Row",
    "after_metrics",
    "countries",
    "ingested",
    "metrics",
    "names",
    "newest_days",
    "not_taken_in",
    "print_reconciliation",
    "recommendations",
    "reported",
    "sample_recommendations",
    "simulated",
    "status",
    "status_notes",
]
