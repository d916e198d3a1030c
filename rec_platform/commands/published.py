"""What is published, table by table: stale, late, failed, raised and lacking partitions, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rec_platform.clock import iso
from rec_platform.commands.options import Row
from rec_platform.errors import MissingInput
from rec_platform.flow import Platform
from rec_platform.flow.late import counts, ledger
from rec_platform.flow.raised import Raised
from rec_platform.partition import Partition
from rec_platform.tables import LANDING, PLAY_FACTS, TABLES
from rec_platform.terminal import of_home

#: What only the JSON of `status` has: the runs in which the stage of a table raised, and what partitions were made without.
RAISED_IN: Final = "raised_in"
LACKING: Final = "lacking"


def status(platform: Platform, waiting: Sequence[Partition]) -> list[Row]:
    """One row per table that was ever published, or tried.

    `late` counts partitions made without plays that came later, `raised` those that a stage has left since it raised (in
    which runs, and what: `raised_in`), `waiting` delivered ones that no run has taken in yet. `lacking` names what raised of
    partitions that were made without it.
    """
    index = platform.index
    made_without, raised = _made_without(platform), platform.raised()
    rows = []
    for spec in TABLES:
        states, never = index.state(spec.name), index.lake.holes(spec.name, index.versions[spec.name])
        runs = raised.get(spec.stage, [])
        if not states and not never and not runs:
            continue
        days = sorted(partition.date for partition in states if partition.date)
        rows.append(
            {
                "table": spec.name,
                "partitions": len(states),
                "rows": sum(state.rows for state in states.values()),
                "first day": str(days[0]) if days else "",
                "last day": str(days[-1]) if days else "",
                "version": index.versions[spec.name],
                "stale": sum(bool(state.stale) for state in states.values()),
                "late": made_without.get(spec.name, 0),
                "failed": len(never),
                "raised": sum(len(one.left) for one in runs),
                "waiting": len(waiting) if spec is LANDING else 0,
                RAISED_IN: [_raised_in(one) for one in runs],
                LACKING: {one.key: dict(state.lacks) for one, state in states.items() if state.lacks},
            }
        )
    if not rows:
        raise MissingInput(
            "the lake is empty", place=str(platform.home), repair="Run `rec-platform ingest --mapping FILE FILES`."
        )
    return rows


def _raised_in(run: Raised) -> Row:
    """A run in which a stage raised, for machines."""
    return {"run": run.run_id, "at": iso(run.at), "left": len(run.left), "first": run.left[0].key, "fault": run.fault}


def status_notes(platform: Platform, rows: Sequence[Row]) -> list[str]:
    """What there is to know about the partitions that are not as they should be, with the first of them and why."""
    index = platform.index
    stale: dict[str, str] = {}
    failed: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for row in rows:
        name = row["table"]
        lacking |= {f"{name} {key} {part}": why for key, lacks in row[LACKING].items() for part, why in lacks.items()}
        stale |= {f"{name} {one.key}": state.stale for one, state in index.state(name).items() if state.stale}
        holes = index.lake.holes(name, index.versions[name])
        failed |= {f"{name} {one.key}": state.stale for one, state in holes.items()}
    late = f"late: made without plays that came later; rec-platform late{of_home(platform.home)} says by how much they differ"
    return [
        *_first_of("stale: did not pass when made again, the version before stands", stale),
        *_first_of("failed: never passed, nothing stands", failed),
        *_first_of("lacking: raised, the rest of its partition was made; each run tries it again", lacking),
        *(_raised(stage, runs) for stage, runs in platform.raised().items()),
        *([late] if any(row["late"] for row in rows) else []),
    ]


def _raised(stage: str, runs: Sequence[Raised]) -> str:
    """One line about a stage that raised: the newest run with what it left and why, and what runs before it left."""
    newest, before = runs[0], sum(len(one.left) for one in runs[1:])
    more = f" ({before:,} more since runs before)" if before else ""
    when = iso(newest.at)[:16].replace("T", " ")
    return (
        f"raised: {stage} in run {newest.run_id[:8]}, {when} UTC: not made since {newest.left[0].key}"
        + (f" and {len(newest.left) - 1:,} others" if len(newest.left) > 1 else "")
        + f"{more}: {newest.fault}"
    )


def _first_of(what: str, reasons: Mapping[str, str]) -> list[str]:
    """One line about some partitions: how many, and why the first; none about none."""
    if not reasons:
        return []
    name, reason = min(reasons.items())
    return [f"{what}: {name}: {reason}" + (f" (and {len(reasons) - 1:,} more)" if len(reasons) > 1 else "")]


def _made_without(platform: Platform) -> dict[str, int]:
    """Partitions in the late ledger, by table."""
    if not platform.index.state(PLAY_FACTS.name):
        return {}
    return counts(ledger(platform.lake, platform.index, platform.stages, platform.settings), platform.stages)
