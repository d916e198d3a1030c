"""What a rule is, and the conditions that recur. The rules themselves: rules.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rec_platform import columns as c
from rec_platform.config import AuditConfig
from rec_platform.tables import TableSpec
from rec_platform.wording import measured

#: A bound: a number, none, or a choice of the deployment by its key in `[audit]`; `1/volume_factor` is its inverse.
Bound = float | Literal["max_quarantined_share", "volume_factor", "1/volume_factor"] | None


@dataclass(frozen=True)
class Rule:
    """A check of one table.

    Attributes:
        check: stable name, in words that say what must hold.
        means: one line: what is wrong where it fails.
        repair: what to do then.
        sql: aggregate expression over the partition's rows; empty where another module measures.
        low, high: bounds of the measure, both included; None is open.
        unit: what the measure counts.
        blocking: a partition that fails is not published; else a warning.
        wants: the expectation in words, where the bounds do not say enough.
    """

    check: str
    means: str
    repair: str
    sql: str = ""
    low: Bound = 0.0
    high: Bound = 0.0
    unit: str = "rows"
    blocking: bool = True
    wants: str = ""

    def bounds(self, settings: AuditConfig) -> tuple[float | None, float | None]:
        """The bounds as numbers."""
        return _number(self.low, settings), _number(self.high, settings)

    def expected(self, settings: AuditConfig) -> str:
        """The expectation in words."""
        if self.wants:
            return self.wants
        low, high = self.bounds(settings)
        if low is not None and high is not None:
            return measured(low, self.unit) if low == high else f"{low:g} to {high:g} {self.unit}"
        if low is not None:
            return f"at least {measured(low, self.unit)}"
        return "" if high is None else f"at most {measured(high, self.unit)}"


def _number(bound: Bound, settings: AuditConfig) -> float | None:
    if bound is None or isinstance(bound, int | float):
        return bound
    value = float(getattr(settings, bound.removeprefix("1/")))
    return 1 / value if bound.startswith("1/") else value


def no_row(check: str, where: str, means: str, repair: str, *, blocking: bool = True, unit: str = "rows") -> Rule:
    """A rule that no row may break: it fails where `where` is true. A condition that is null breaks nothing."""
    return Rule(check, means, repair, sql=f"count(*) FILTER (WHERE {where})", unit=unit, blocking=blocking)


# --- conditions that recur -------------------------------------------------------------------------------------------

#: What to do where only the stage, or only the source, can be at fault.
ENCODER: Final = "The stage has a fault: run its tests; nothing of the partition was published."
SOURCE: Final = "Correct the source's mapping or the delivery, ingest again, and run the partition again."


def quoted(column: str) -> str:
    """A column's name as SQL takes it even where it is a key word, as `at` is."""
    return f'"{column}"'


def outside_date(column: str) -> str:
    return f"{quoted(column)} < {c.DATE} OR {quoted(column)} >= {c.DATE} + 1"


def not_probability(column: str) -> str:
    return f"NOT ({column} > 0 AND {column} <= 1)"


def _not_after_previous(order: Sequence[str]) -> str:
    """Lexicographic `key <= previous key`, column by column, so that most rows are settled by the first."""
    head, before, rest = quoted(order[0]), f"previous_{order[0]}", order[1:]
    if not rest:
        return f"{head} <= {before}"
    return f"{head} < {before} OR ({head} = {before} AND ({_not_after_previous(rest)}))"


def key_rules(spec: TableSpec) -> tuple[Rule, ...]:
    nulls = " OR ".join(f"{quoted(name)} IS NULL" for name in spec.order)
    key = ", ".join(spec.order)
    return (
        no_row("keys_present", nulls, f"A key column ({key}) is null.", ENCODER),
        no_row(
            "keys_ascending",
            f"NOT is_first AND ({_not_after_previous(spec.order)})",
            f"Two rows have the same key ({key}), or rows are not in its order.",
            ENCODER,
        ),
    )
