"""`rec-platform run`: plan a window of days, show the plan, and run what is stale through Dagster, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from assets import materialise
from assets.definitions import defs
from assets.home import share
from assets.landed import report_landed
from rec_platform.flow import LAYERS, Platform, Window
from rec_platform.flow.lacking import lacks_told
from rec_platform.flow.plan import Fate, Planned, foreseen
from rec_platform.partition import Partition
from rec_platform.plays.raw import RawPlays
from rec_platform.terminal import LOOK, next_step, plain

#: The fates that are not plain.
_MEANINGS: Final = {
    Fate.AFTER: "will be made as soon as earlier stages of this run have made what it reads",
    Fate.IF_CHANGED: "an earlier stage makes again what it reads; it is made again only if that turns out different",
}
_LEFT: Final = "left: as they are, for what they read should have been made again and was not."
_SILENT: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What happened to one stage, in partitions.

    `left` stand on inputs that this run should have made again and could not; `up_to_date` are the other current ones.
    """

    stage: str
    partitions: int
    made: int
    up_to_date: int
    left: int
    events_only: int
    failed: int
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    first: date
    last: date
    countries: tuple[str, ...] = ()
    force: bool = False
    allow_stale: bool = False


def run(platform: Platform, asked: Request, *, instance: dg.DagsterInstance, console: Console) -> list[Outcome]:
    """Run the stages in order, each over what is stale; goes on past failures with whatever does not depend on them."""
    window = Window.checked(platform.index, platform.settings, asked.first, asked.last, asked.countries)
    share(platform)
    report_landed(instance, platform.lake, platform.needed(RawPlays.name, window))
    order = [stage for layer in LAYERS for stage in layer]
    return [_run_stage(platform, stage, window, asked, instance, console) for stage in order]


def _run_stage(
    platform: Platform, stage: str, window: Window, asked: Request, instance: dg.DagsterInstance, console: Console
) -> Outcome:
    started = perf_counter()
    partitions = platform.needed(stage, window)
    todo = platform.due(stage, partitions, force=asked.force, allow_stale=asked.allow_stale)
    unseen, left = _without_event(stage, todo.current, instance), set(todo.current) & set(todo.behind)
    keys = [*unseen, *todo.stale, *todo.blocked]
    error = ""
    if keys:
        with _progress(console, stage, len(todo.stale)):
            error = _launch(stage, keys, asked, instance)
    after = platform.plan(stage, partitions, allow_stale=asked.allow_stale)
    failed = len(after.stale) + len(after.blocked)
    return Outcome(
        stage,
        len(partitions),
        len(todo.stale) - len(set(todo.stale) & set(after.stale)),
        len(todo.current) - len(left),
        len(left),
        len(unseen),
        failed,
        round(perf_counter() - started, 2),
        error,
    )


def _without_event(stage: str, current: Sequence[Partition], instance: dg.DagsterInstance) -> list[Partition]:
    """Partitions that were published without Dagster hearing of it (killed in between): they get the event only."""
    asset = dg.AssetKey(stage)
    if not current:
        return []
    if current[0].date is None:
        return [] if instance.get_latest_materialization_event(asset) else list(current)
    seen = instance.get_materialized_partitions(asset)
    return [partition for partition in current if partition.key not in seen]


def _launch(stage: str, keys: Sequence[Partition], asked: Request, instance: dg.DagsterInstance) -> str:
    """Run the stage's job; returns the error of a failed run, or nothing."""
    job = defs.resolve_job_def(f"run_{stage}")
    options = {"force": asked.force, "allow_stale": asked.allow_stale}
    config = {"partitions": [partition.key for partition in keys], **options}
    result = job.execute_in_process(
        instance=instance,
        run_config={"ops": {f"make_{stage}": {"config": config}}, **_SILENT},
        raise_on_error=False,
        tags={"rec_platform/launched_by": "rec-platform run"},
    )
    if result.success:
        return ""
    failures = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    return next((text for data in failures if (text := _said(data))), "the run failed; see it in the UI")


def _said(failure: Any) -> str:
    """The failure in the words of the error that caused it."""
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return "" if error is None else str(error.message).strip()


@contextmanager
def _progress(console: Console, stage: str, partitions: int) -> Any:
    """A bar on a terminal; nothing elsewhere."""
    columns = TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(stage, total=max(partitions, 1))
        materialise.listener = lambda _what, share_done: bar.update(task, completed=share_done * partitions)
        try:
            yield
        finally:
            materialise.listener = None


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """The outcomes as a table for the terminal."""
    table = Table(title="What was run", **LOOK)
    left = ["left"] if any(one.left for one in outcomes) else []
    for heading in ("stage", "partitions", "made", "up to date", *left, "failed", "seconds"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for one in outcomes:
        counts = [one.partitions, one.made, one.up_to_date, *([one.left] if left else [])]
        failed = f"[red]{one.failed}[/red]" if one.failed else "0"
        table.add_row(one.stage, *(f"{count:,}" for count in counts), failed, f"{one.seconds:.1f}")
    return table


def plan(platform: Platform, asked: Request) -> list[Planned]:
    """What a run would do, by stage, before it does anything."""
    window = Window.checked(platform.index, platform.settings, asked.first, asked.last, asked.countries)
    stages = [platform.stages[stage] for layer in LAYERS for stage in layer]
    return foreseen(platform.index, stages, window, platform.settings, force=asked.force, allow_stale=asked.allow_stale)


def plan_rows(planned: Sequence[Planned]) -> list[dict[str, Any]]:
    """The plan as JSON: per stage how many partitions, how many of each fate, which ones, why not, and what some lack."""
    return [
        {
            "stage": one.stage, "partitions": len(one.fates), **{fate.value: len(one.those(fate)) for fate in Fate},
            "keys": {fate.value: [partition.key for partition in one.those(fate)] for fate in Fate},
            "reasons": {partition.key: reason for partition, reason in one.reasons.items()},
            "lacking": {partition.key: dict(lacks) for partition, lacks in one.lacking.items()},
        }
        for one in planned
    ]  # fmt: skip


def plan_table(planned: Sequence[Planned], asked: Request) -> Table:
    """The plan for the terminal: how many partitions of each fate, by stage."""
    table = Table(title=f"Plan for {asked.first} to {asked.last}, in partitions", **LOOK)
    table.add_column("stage", no_wrap=True)
    table.add_column("partitions", justify="right", no_wrap=True)
    for fate in Fate:
        table.add_column(fate, justify="right")
    for one in planned:
        counts = (len(one.fates), *(len(one.those(fate)) for fate in Fate))
        table.add_row(one.stage, *(f"{count:,}" for count in counts))
    return table


def plan_notes(planned: Sequence[Planned]) -> list[str]:
    """What the headings mean of which the plan has partitions; by stage, why the first cannot be made, what is tried again."""
    met = {fate for one in planned for fate in one.fates.values()}
    meanings = [f"{fate}: {meaning}." for fate, meaning in _MEANINGS.items() if fate in met]
    return meanings + [_why(one) for one in planned if one.reasons] + [_again(one) for one in planned if one.lacking]


def _again(one: Planned) -> str:
    """What partitions lack; why, `status` says, as the run did in which it raised."""
    lacking = {partition: dict.fromkeys(lacks, "raised, is tried again") for partition, lacks in one.lacking.items()}
    return f"{one.stage} {'; '.join(lacks_told(lacking))}"


def _why(one: Planned) -> str:
    partition, reason = next(iter(one.reasons.items()))
    more = f" (and {len(one.reasons) - 1:,} more; --plan --json names all)" if len(one.reasons) > 1 else ""
    return f"{one.stage} {partition.key} cannot be made: {reason}{more}"


def main(arguments: Sequence[str]) -> int:
    """Entry of the process that `rec-platform run` becomes; the request is one JSON argument."""
    body = json.loads(arguments[0])
    home = Path(body["home"])
    asked = Request(
        date.fromisoformat(body["first"]), date.fromisoformat(body["last"]), tuple(body["countries"]), body["force"],
        body["allow_stale"],
    )  # fmt: skip
    console = Console(stderr=True)
    platform = Platform(home)
    planned = plan(platform, asked)
    if body["plan"] and body["json"]:
        print(json.dumps(plan_rows(planned)))
        return 0
    console.print(plan_table(planned, asked))
    for line in plan_notes(planned):
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
    if body["plan"]:
        return 0
    with dg.DagsterInstance.get() as instance:
        outcomes = run(platform, asked, instance=instance, console=console)
    if body["json"]:
        print(json.dumps([asdict(one) for one in outcomes]))
    else:
        Console().print(table_of(outcomes))
        if any(one.left for one in outcomes):
            console.print(_LEFT, style="dim", highlight=False, soft_wrap=True)
    for one in outcomes:
        if one.error:
            console.print(f"[red]{one.stage}[/red]: {plain(one.error)}", highlight=False)
    failed = any(one.failed or one.error for one in outcomes)
    if not failed and not body["json"]:
        next_step(f"rec-platform metrics --from {asked.first} --to {asked.last}{body['of_home']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
