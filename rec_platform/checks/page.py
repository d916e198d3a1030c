"""docs/checks.md, written from the rules: `python -m rec_platform.checks.page > docs/checks.md`."""

from __future__ import annotations

from collections.abc import Iterator

from rec_platform.checks.rule import ENCODER, Rule
from rec_platform.checks.rules import RULES
from rec_platform.config import AuditConfig
from rec_platform.tables import TABLES

_HEAD = """# Checks

Written from `rec_platform/checks/rules.py` by `python -m rec_platform.checks.page > docs/checks.md`; a test keeps it current.

A stage writes its partitions to staging, where nothing reads them. There every rule of its tables is judged, partition by
partition. Nothing is judged where there is nothing to judge (no rows, no history yet).

| rule | where a partition breaks it |
|---|---|
| **blocking** | it is not published; readers keep its last good version, marked stale |
| **warning** | it is published |

Either way the report names the rule with what was observed and expected.

Below, every rule by table. **Stage fault** in the last column stands for: {fault}

## One failure, read

    landing_reconciles on raw_plays: 8 delivered = 4 accepted + 1 duplicates + 2 quarantined, 4 in the table: 1 unaccounted
    for, expected 0 rows unaccounted for

The partition's delivery held 8 rows and only 7 are accounted for. It was not published; find it below for what to do.

## The time-travel check

`too_good_feature` asks of every feature of `training_sets`, alone, how well it ranks a context's items: the share of
(positive, other item) pairs it puts in the right order, ties 1/2, averaged over contexts (AUC), with missing values once below
and once above all numbers.

- It asks twice: does the feature know the label, and does it know the title that was played at the context's very instant,
  which the context began with.
- It asks over all partitions of the run together and of each partition alone, from 100 contexts on, over at most 256 contexts
  of a partition.
- A feature that reaches 0.98 (or 0.02) leaks.
- So does one beyond 0.90 (0.10) that is 0, or missing, for at least half of the other items and for at most 0.5 % of those it
  should not know: a count that includes the play itself is never 0.

It cannot see a leak that barely helps (a count of 500 that should be 499). The future-scramble test does: it proves of every
declared feature that nothing after the context's instant can change it.

## Proofs beside a run

What these checks cannot judge in staging is proven on a sample of what was published, as checks named `proof__...`:

| stage | proofs |
|---|---|
| feature_snapshots | `incremental_equals_full` |
| training_sets | `future_scramble`, `replay`, `knows_the_future` |
| scores | `split_audit` |

What each asks, costs, and means where it fails: [proofs.md](proofs.md).

## What checks cost

DuckDB computes the numbers of all row rules of a table in one query over the staged files; items of DMC-12 tables are read
with pyarrow; Great Expectations judges what came out, all tables of a stage at once. So a check costs about one scan of the
partition, and Great Expectations' own import (5 to 12 s) once per process.

Each check shows its CPU-seconds over all partitions of a run, in Dagster and in the manifest (`cpu_seconds.checks`). A pass that
measures several checks counts for each alike, so they add up to what all of them took, without that import.

"""


def markdown() -> str:
    """The page."""
    return _HEAD.replace("{fault}", ENCODER) + "\n".join(_sections())


def _sections() -> Iterator[str]:
    for spec in TABLES:
        yield f"## {spec.name}\n\nStage `{spec.stage}`; one row is {spec.one_row}.\n"
        yield "| check | | what is wrong where it fails | expected | what to do |\n|---|---|---|---|---|"
        yield from (_line(rule) for rule in RULES[spec.name])
        yield ""


def _line(rule: Rule) -> str:
    kind = "blocking" if rule.blocking else "warning"
    repair = "Stage fault." if rule.repair == ENCODER else rule.repair
    cells = (f"`{rule.check}`", kind, rule.means, _expected(rule), repair)
    return f"| {' | '.join(cells)} |"


def _expected(rule: Rule) -> str:
    """The expectation with the default bounds, and the keys that set them."""
    keys = sorted({f"`audit.{bound.removeprefix('1/')}`" for bound in (rule.low, rule.high) if isinstance(bound, str)})
    said = rule.expected(AuditConfig())
    return f"{said} ({', '.join(keys)})" if keys else said


if __name__ == "__main__":
    print(markdown(), end="")
