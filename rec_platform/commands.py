"""What each command of the CLI calls: plain functions from a home and checked arguments to rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from rec_platform import columns as c
from rec_platform.clock import iso
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.comparison import compare_pairs, only
from rec_platform.evaluation.intervals import measured, metric_rows
from rec_platform.evaluation.own import Own
from rec_platform.evaluation.scored import CEILING
from rec_platform.evaluation.sums import MetricSums
from rec_platform.flow import Platform, Window
from rec_platform.flow.late import counts, ledger
from rec_platform.flow.raised import Raised
from rec_platform.judging import (
    Files,
    ages,
    chosen_metrics,
    heading,
    not_counted,
    published,
    refuse_not_counted,
    sums_of,
)
from rec_platform.partition import Partition, checked_country
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.plays.reconciliation import Reconciliation
from rec_platform.plays.reference import resolve_id, source_ids
from rec_platform.reports.glossary import LOWER, term
from rec_platform.scoring.stage import recommend_one
from rec_platform.stage import Input
from rec_platform.tables import LANDING, PLAY_FACTS, PROFILES, RECOMMENDATIONS, TABLES, TITLES
from rec_platform.terminal import Measured, note, of_home, plain, print_rows

Row = dict[str, Any]
Progress = Callable[[str, float], None]

#: The columns of the metrics table unless others are asked for: metric and cut-off (0: the metric has none).
MAIN_METRICS: Final = (("nmrr", 0), ("ndcg", 10), ("recall", 10), ("hit_rate", 10), ("coverage", 10))
#: What only the JSON of `status` has: the runs in which the stage of a table raised, and what partitions were made without.
RAISED_IN: Final = "raised_in"
LACKING: Final = "lacking"


def names(text: str) -> list[str]:
    """A comma-separated option as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def countries(text: str) -> list[str]:
    """The countries of a comma-separated option; `KeyRefused` names one that is none."""
    return [checked_country(country, place="--countries") for country in names(text)]


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


# --- metrics ---------------------------------------------------------------------------------------------------------


def metrics(
    home: Path,
    first: date,
    last: date,
    *,
    countries: list[str],
    by: str,
    metrics: list[str],
    versus: str,
    estimand: str = "context",
    protocol: str = "session",
    files: Sequence[Path] = (),
) -> list[Row]:
    """Metrics of some days and countries together: one row per model and slice value.

    From stored sums where they hold it, else (crossed slices, means over profiles, published lists, metrics and slices of
    `files`) from stored scores: then the metrics of ranks, and of the others those asked for.
    """
    platform = Platform(home)
    own = Files.of(platform.settings, files)
    sums = sums_of(
        platform, first, last, countries, by=by, protocol=protocol, estimand=estimand, files=own.asked(metrics)
    )
    wanted = _chosen(measured(sums, own.accumulators), metrics, own.given)
    if versus:
        return _differences(sums, versus, by, wanted, platform.settings, own.accumulators)
    least = platform.settings.evaluation.min_contexts
    found = metric_rows(sums, min_contexts=least, accumulators=own.accumulators).to_pylist()
    return _pivot(found, by, wanted, lambda row: (row[c.MODEL],), (c.MODEL,), c.VALUE)


def after_metrics(rows: Sequence[Row], versus: str) -> str:
    """What one would look at after a table of metrics: the two best models paired, or the page."""
    models = [name for name in dict.fromkeys(str(row.get(c.MODEL, "")) for row in rows) if name not in ("", CEILING)]
    return f"compare {models[0]} {models[1]}" if not versus and len(models) > 1 else "report --out report.html"


def _chosen(known: list[tuple[str, int]], asked: list[str], own: Own) -> list[tuple[str, int]]:
    return (
        chosen_metrics(known, asked) if asked else [pair for pair in MAIN_METRICS if pair in known] + own.shown(known)
    )


def _differences(
    sums: MetricSums,
    versus: str,
    by: str,
    wanted: list[tuple[str, int]],
    settings: Settings,
    accumulators: tuple[Accumulator, ...],
) -> list[Row]:
    others = sorted({key.model for key in sums.keys} - {versus})
    least = settings.evaluation.min_contexts
    rows = compare_pairs(
        only(sums, lambda key: key.slice == by), [(model, versus) for model in others], min_contexts=least,
        accumulators=accumulators,
    ).to_pylist()  # fmt: skip
    return _pivot(rows, by, wanted, lambda row: (f"{row['model_a']} - {versus}",), ("difference",), "difference")


def _pivot(
    rows: list[Row],
    by: str,
    wanted: list[tuple[str, int]],
    who: Callable[[Row], tuple[str, ...]],
    heads: tuple[str, ...],
    value: str,
) -> list[Row]:
    """One row per model and slice value, one column per metric: value [low, high]; no interval is no verdict.

    The model with the best value of the first metric stands on top: by its mean over slice values, where there are some.
    The ceiling, which is no model, stands at the foot.
    """
    chosen = [row for row in rows if row[c.SLICE] == by]
    if not chosen:
        have = sorted({row[c.SLICE] for row in rows})
        raise KeyRefused(f"no slice {by!r}", place="--by", repair=f"There are: {', '.join(have)}.")
    named = f"by {by}" if by in heads else by  # published lists are sliced by the model that made each
    lines: dict[tuple[str, ...], Row] = {}
    leading: dict[tuple[str, ...], list[float]] = {}
    counted = {(row[c.METRIC], row[c.CUTOFF]) for row in chosen}
    absent = [pair for pair in wanted if pair not in counted]
    if absent == wanted:
        raise refuse_not_counted(absent, by)
    note(not_counted(absent, by))
    wanted = [pair for pair in wanted if pair in counted]
    sign = -1 if term(wanted[0][0]).better == LOWER else 1
    for row in chosen:
        key = (*who(row), row[c.SLICE_VALUE])
        line = lines.setdefault(
            key, dict(zip(heads, who(row), strict=True)) | ({} if by == "all" else {named: key[-1]}) | {"n": 0}
        )
        if (row[c.METRIC], row[c.CUTOFF]) in wanted:
            if (row[c.METRIC], row[c.CUTOFF]) == wanted[0]:
                line["n"] = row[c.N]
                leading.setdefault(who(row), []).append(sign * row[value])
            ends = row[c.LOW], row[c.HIGH]
            line[heading(row[c.METRIC], row[c.CUTOFF])] = Measured(row[value], *ends, sign=value != c.VALUE)
    order = [heading(*pair) for pair in wanted]
    return [
        {name: line[name] for name in line if name not in order} | {name: line.get(name) for name in order}
        for _, line in sorted(lines.items(), key=lambda one: _order(one[0], leading))
    ]


def _order(line: tuple[str, ...], leading: Mapping[tuple[str, ...], list[float]]) -> tuple[Any, ...]:
    """Where a line stands: models from the best to the worst, slice values inside them, the ceiling at the foot."""
    foot = line[0] == CEILING or line[0].startswith(f"{CEILING} - ")
    return foot, *_downwards(leading.get(line[:-1], [])), line


def _downwards(values: list[float]) -> tuple[bool, float]:
    """A sort key that puts a high mean first and no mean last."""
    there = [value for value in values if not np.isnan(value)]
    return not there, -float(np.mean(there)) if there else 0.0


def reported(
    home: Path, first: date, last: date, *, countries: list[str], out: Path, progress: Progress, ageing: bool = False,
    files: Sequence[Path] = (),
) -> Row:  # fmt: skip
    """Write the report of some days and countries as one HTML page; where it stands and what it covers."""
    from rec_platform.reports.report import report

    platform = Platform(home)
    own = Files.of(platform.settings, files)
    sums = None
    if own.given:
        progress("judging by metrics of your own", 0.0)
        sums = sums_of(platform, first, last, countries, by=None, files=own)
    aged: list[Row] = []
    if ageing:
        progress("scoring with the models of the first day", 0.0)
        aged = ages(platform, first, days=(last - first).days, countries=countries, metric="nmrr")
    partitions = published(platform, first, last, countries)
    text = report(
        platform.lake, first, last, sorted(partitions), min_contexts=platform.settings.evaluation.min_contexts,
        progress=progress, aged=aged, own=own.stored + own.given, sums=sums,
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return {"report": str(out), "partitions": len(partitions), "bytes": len(text.encode())}


# --- recommendations -------------------------------------------------------------------------------------------------


def recommendations(home: Path, *, profile: str, country: str, as_of: date, k: int) -> list[Row]:
    """The list of one profile: the published one where it is long enough, else made now by the same code."""
    if not profile or not country:
        raise KeyRefused(
            "no profile or no country given", place="recommend", repair="Give --profile ID --country FR, or --sample."
        )
    partition = Partition(as_of, checked_country(country, place="--country"))
    platform = Platform(home)
    Window.checked(platform.index, platform.settings, as_of, as_of, (partition.place,))
    reader = _recommending(platform, partition)
    profile_id = _profile_or_stranger(reader.read(PROFILES.name, [Partition()]), profile)
    rows = reader.read(RECOMMENDATIONS.name, [partition], RECOMMENDATIONS.schema.names)
    rows = rows.filter(pc.equal(rows.column(c.PROFILE), profile_id))
    if rows.num_rows < k:
        settings = _longer(platform.settings, k)
        rows = recommend_one(reader, settings, profile_id=profile_id, country=partition.place, as_of=as_of)
    return _named(rows.slice(0, k), reader.read(TITLES.name, [Partition()]))


def sample_recommendations(home: Path, as_of: date, *, k: int, profiles: int = 1) -> list[Row]:
    """Published lists of the first profiles of each country."""
    platform = Platform(home)
    lists = Input(RECOMMENDATIONS.name, as_of, as_of, every_country=True, optional=True)
    reader = platform.reader(lists, Input(TITLES.name), Input(PROFILES.name))
    found: list[Row] = []
    titles = reader.read(TITLES.name, [Partition()])
    people = source_ids(reader.read(PROFILES.name, [Partition()]), c.PROFILE)
    for partition in reader.published(RECOMMENDATIONS.name, as_of):
        rows = reader.read(RECOMMENDATIONS.name, [partition], RECOMMENDATIONS.schema.names)
        some = pc.unique(rows.column(c.PROFILE)).slice(0, profiles)
        kept = rows.filter(pc.and_(pc.is_in(rows.column(c.PROFILE), some), pc.less_equal(rows.column(c.RANK), k)))
        who = kept.column(c.PROFILE).to_pylist()
        found += [
            {c.COUNTRY: partition.place, "profile": people.get(profile, str(profile))} | row
            for profile, row in zip(who, _named(kept, titles), strict=True)
        ]
    if not found:
        raise MissingInput(
            f"no recommendations are published for {as_of}", place="recommendations",
            repair="Run `rec-platform run` for that day.",
        )  # fmt: skip
    return found


def _recommending(platform: Platform, partition: Partition) -> Any:
    """A reader over what recommendations of the partition read, and over those published."""
    stage = platform.stages[RECOMMENDATIONS.name]
    inputs = stage.inputs(partition, platform.settings)
    published = Input(RECOMMENDATIONS.name, partition.day, partition.day, (partition.place,), optional=True)
    return platform.reader(*inputs, published)


def _profile_or_stranger(profiles: pa.Table, text: str) -> int:
    """The profile's id; a number that nobody has heard of is a stranger, who is served by popularity."""
    try:
        return resolve_id(profiles, c.PROFILE, text)
    except KeyRefused:
        if text.strip().isdigit() and len(text.strip()) < 19:
            return int(text)
        raise


def _longer(settings: Settings, k: int) -> Settings:
    n = max(k, settings.recommend.n)
    return settings.model_copy(update={"recommend": settings.recommend.model_copy(update={"n": n})})


def _named(rows: pa.Table, titles: pa.Table) -> list[Row]:
    """Rows for people: the title's name and the source's id beside ours."""
    newest = {row[c.TITLE]: row for row in titles.select([c.TITLE, c.SOURCE_ID, c.NAME]).to_pylist()}
    shown = []
    for row in rows.to_pylist():
        title = newest.get(row[c.TITLE], {})
        shown.append(
            {
                c.RANK: row[c.RANK],
                "title": title.get(c.SOURCE_ID, str(row[c.TITLE])),
                c.NAME: title.get(c.NAME) or "",
                c.SCORE: round(row[c.SCORE], 4),
                c.MODEL: row[c.MODEL],
                "why": "\n".join(row[c.REASONS]),
            }
        )
    return shown
