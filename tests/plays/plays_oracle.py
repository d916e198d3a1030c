"""The slow, obvious account of a delivery: plain Python, straight from docs/mapping.md, row by row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import UTC, datetime

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
CODES = {"FR", "DE", "ZZ", "GB"}


def _instant(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _whole(text):
    return int(text.partition(".")[0]) if re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", text) else None


def _number(text):
    return float(text) if re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", text) else None


def partition_of(row):
    """Date and country a row lands under; None for what cannot be read (the delivery day, `__`)."""
    at = _instant(row["at"]) if row else None
    if at is None or not FIRST <= at < LAST:
        return None, "__"
    return at.date(), row["where"] if row["where"] in CODES else "__"


def rule_of(row):
    """The rule a row breaks by itself, duplicates apart."""
    if row is None:
        return "unreadable"
    at, known, seconds, amount = _instant(row["at"]), _instant(row["known"]), row["seconds"], row["amount"]
    if at is None or known is None or row["where"] not in CODES or (row["title"] and _whole(row["title"]) is None):
        return "unreadable"
    if (seconds and _number(seconds) is None) or (amount and _number(amount) is None):
        return "unreadable"
    if not FIRST <= at < LAST or not FIRST <= known < LAST:
        return "impossible"
    if seconds and not 0 <= _number(seconds) <= 366 * 86400:
        return "impossible"
    return None


def later_rule(row):
    if not row["who"] or not row["title"]:
        return "missing_id"
    return None if row["amount"] and _number(row["amount"]) > 0 else "no_amount"


def account(texts):
    """Counts of CSV texts (each with a header): delivered, accepted, duplicates, and the rest by rule."""
    counts = Counter()
    groups = {}
    for text in texts:
        header, *lines = list(csv.reader(io.StringIO(text)))
        for fields in lines:
            row = (
                dict(zip(header, (field.strip(" ") for field in fields), strict=True))
                if len(fields) == len(header)
                else None
            )
            counts["delivered"] += 1
            rule = rule_of(row)
            if rule:
                counts[rule] += 1
            else:
                groups.setdefault((partition_of(row), tuple(fields)), []).append(row)
    for rows in groups.values():
        counts["duplicates"] += len(rows) - 1
        counts[later_rule(rows[0]) or "accepted"] += 1
    return counts
