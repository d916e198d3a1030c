"""Deliveries: worlds simulated, files taken in, and what waits to be taken in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from rec_platform.commands.options import Progress, Row
from rec_platform.errors import KeyRefused
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.plays.reconciliation import Reconciliation
from rec_platform.tables import RECOMMENDATIONS
from rec_platform.terminal import of_home, plain, print_rows


def simulated(out: Path, *, plays: int | None, seed: int, plays_format: str, progress: Progress) -> Row:
    """Make a world; counts by kind."""
    from rec_platform.simulation import WorldConfig, simulate

    if plays_format not in ("csv", "jsonl", "parquet"):
        raise KeyRefused(f"no format {plays_format!r}", place="--format", repair="Choose csv, jsonl or parquet.")
    config = WorldConfig.small(seed=seed) if plays is None else WorldConfig.sized(plays, seed=seed)
    summary = simulate(config, out, progress=progress, plays_format=plays_format)  # type: ignore[arg-type]
    body = summary.model_dump(mode="json")
    return {name: value for name, value in body.items() if not isinstance(value, dict)}


def ingested(
    home: Path, mapping: Path | None, files: Sequence[Path], *, delivered_at: int | None, progress: Progress
) -> Reconciliation:
    """Take files in by the mapping given, or by the one the home has stored."""
    source = Platform(home).mapping if mapping is None else load_mapping(mapping)
    return ingest(
        home, source, files, delivered_at=delivered_at,
        progress=lambda what, done, of: progress(what, done / of if of else 1.0),
    )  # fmt: skip


def print_reconciliation(result: Reconciliation, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.to_json(), default=str))
        return
    print_rows(result.rows(), "delivered = accepted + duplicates + quarantined", as_json=False)
    console = Console(soft_wrap=True, highlight=False)
    for line in result.said():
        console.print(plain(line))
    for fault in result.faults:
        console.print(f"[red]error: {plain(str(fault))}[/red]")


def newest_days(home: Path) -> tuple[date, date] | None:
    """The last two days delivered, to try the flow on; None where no play was delivered yet."""
    index = Platform(home).index
    if not index.delivered:
        return None
    return max(index.first_day, index.last_day - timedelta(days=1)), index.last_day


def not_taken_in(platform: Platform, waiting: Sequence[Partition]) -> tuple[str, str]:
    """What was delivered and not taken in yet, and the command that takes it in; empty if nothing waits."""
    if not waiting:
        return "", ""
    days = f"{waiting[0].day}" + ("" if waiting[0].day == waiting[-1].day else f" to {waiting[-1].day}")
    what = "1 partition" if len(waiting) == 1 else f"{len(waiting):,} partitions"
    made = [day for day in platform.index.days(RECOMMENDATIONS.name) if day]
    day = max(made, default=platform.index.last_day)
    return (
        f"not taken in yet: {what} of delivered plays ({days})",
        f"rec-platform run --from {day} --to {day}{of_home(platform.home)}",
    )
