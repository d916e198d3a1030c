"""`rec-platform late`: what was made without plays that came later, and how much its numbers would differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from rec_platform.clock import FIRST_DAY, LAST_DAY, iso
from rec_platform.commands import not_taken_in
from rec_platform.features import FeatureSet
from rec_platform.flow import Platform
from rec_platform.flow.late import Late, Ledger, ledger
from rec_platform.flow.late_changes import KINDS, LATE, NOW, SEED, Change, Difference, summed
from rec_platform.flow.late_features import CONTEXTS, shares_of_rankers, training_differences
from rec_platform.flow.late_models import DATES, STAGE, model_differences
from rec_platform.flow.late_snapshots import UNITS, snapshot_differences
from rec_platform.tables import PROFILE_SNAPSHOT, TITLE_SNAPSHOT, TRAINING_SETS
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, busy, days_of, note, print_rows, progress
from rec_platform.wording import counted

Row = dict[str, Any]
SNAPSHOTS = (PROFILE_SNAPSHOT.name, TITLE_SNAPSHOT.name)
#: Rows of a listing that are shown unless all are asked for.
MOST = 10
#: What each kind of difference is.
ABOUT = {
    LATE: "with the late plays, as if they had come in time",
    NOW: "with all that is known now (what was there but not known yet, too)",
}


def late(
    first: Annotated[str, typer.Option("--from", help="First day of partitions to list, YYYY-MM-DD.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day of partitions to list, YYYY-MM-DD, included.")] = "",
    contexts: Annotated[int, typer.Option(help="Training contexts compared at most; 0 for all.", min=0)] = CONTEXTS,
    models: Annotated[int, typer.Option(help="Newest dates whose candidate models are fitted again.", min=0)] = DATES,
    every: Annotated[
        bool, typer.Option("--all", help=f"Every partition and column, not the first {MOST} of each listing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List partitions and models that were made without plays that came later, and how their numbers would differ.

    Example: rec-platform late --from 2011-11-01 --to 2011-12-09
    """
    days = days_of(first or str(FIRST_DAY), last or str(LAST_DAY))
    platform = Platform(home)
    with busy("comparing versions"):
        whole = ledger(platform.lake, platform.index, platform.stages, platform.settings)
        waiting = platform.waiting()
    found = whole.between(*days)
    if as_json:
        with progress("comparing features") as told:
            made = [one for part in _parts(platform, found, contexts) for one in part.differences(progress=told)]
            scored = list(model_differences(platform, found, dates=models, at_most=contexts, progress=told))
        more = {"rankers": _rankers(platform, whole, found, made), "models": list(_scores(found, scored))}
        more["waiting"] = [{"date": one.day.isoformat(), "country": one.country} for one in waiting]
        print(json.dumps(as_dict(found, made, _units(platform)) | more))
        return
    said, taking_in = not_taken_in(platform, waiting)
    note(f"{said}; late plays among them are listed after {taking_in}" if said else "")
    if not found.lines:
        among = " among those taken in" if waiting else ""
        print(f"No late plays{among}: no play came in after something that it belongs to was made.")
    else:
        _show(platform, whole, found, contexts, every=every)
        _show_models(platform, found, contexts, models, every=every)
        print(
            'To build training sets with all that is known now: [training] known_by = "now" in platform.toml, then run.'
        )


@dataclass(frozen=True)
class _Part:
    """Differences that are shown together: one kind, of some tables."""

    kind: str
    what: str
    differences: Callable[..., Iterable[Difference]]


def _parts(platform: Platform, found: Ledger, contexts: int) -> Iterator[_Part]:
    """Snapshots, then training sets; with all that is known now, which is there sooner, before the late plays alone."""
    for kind in reversed(KINDS):
        yield _Part(kind, "Facts of snapshots", partial(snapshot_differences, platform, found, kinds=(kind,)))
    for kind in reversed(KINDS):
        made = partial(training_differences, platform, found, kinds=(kind,), at_most=contexts)
        yield _Part(kind, "Training features", made)


def as_dict(found: Ledger, made: Sequence[Difference], units: Mapping[str, str]) -> Row:
    """The whole answer as JSON.

    Args:
        units: of features and of columns of snapshots, by name.
    """
    partitions = [
        {
            "stage": one.stage, "date": one.partition.day.isoformat(), "country": one.partition.country,
            "plays": one.plays, "profiles": one.profiles, "played_from": iso(one.played_from),
            "played_to": iso(one.played_to), "known_from": iso(one.known_from),
        }
        for one in found.lines
    ]  # fmt: skip
    return {
        "partitions": partitions,
        "differences": [_difference(one) for one in made],
        "columns": list(_columns(made, units)),
    }


def _difference(one: Difference) -> Row:
    return {
        "table": one.table, "date": one.partition.day.isoformat(), "country": one.partition.country, "with": one.kind,
        "compared": one.compared, "of": one.of, "changed": one.changed, "changed_share": one.share, "added": one.added,
        "stale": one.stale,
    }  # fmt: skip


def _units(platform: Platform) -> dict[str, str]:
    """The units of columns of snapshots and of features, by name."""
    return UNITS | {one.name: one.unit for one in FeatureSet.from_config(platform.settings.features).encoders}


def _columns(made: Sequence[Difference], units: Mapping[str, str]) -> Iterator[Row]:
    """Every feature and fact that would differ, over all partitions of a table, most changed first."""
    for table, kind in dict.fromkeys((one.table, one.kind) for one in made):
        changes = summed(one for one in made if (one.table, one.kind) == (table, kind)).values()
        for one in sorted(changes, key=lambda one: (-one.share, one.name)):
            if one.changed:
                yield {"table": table, "with": kind, "unit": units.get(one.name, ""), **_change(one)}


def _change(one: Change) -> Row:
    return {
        "name": one.name, "values": one.values, "changed": one.changed, "changed_share": one.share, "contexts": one.groups,
        "from_or_to_missing": one.changed - one.numbers, "mean": one.mean, "largest": one.largest if one.numbers else None,
    }  # fmt: skip


def _rankers(platform: Platform, whole: Ledger, found: Ledger, made: Sequence[Difference]) -> list[Row]:
    """Rankers whose late training sets were all compared: the share of contexts with a feature that would differ."""
    sampled = any(one.compared < one.of for one in made)
    return [
        {"date": day.isoformat(), "with": kind, "changed_share": share, "sampled": sampled}
        for kind in KINDS
        for day, share in shares_of_rankers(platform, whole, found, [one for one in made if one.kind == kind]).items()
    ]


def _show(platform: Platform, whole: Ledger, found: Ledger, contexts: int, *, every: bool) -> None:
    """The ledger at once, a line for each kind of difference as soon as it is worked out, then all of them in tables."""
    print(_in_one_line(found))
    by_stage = list(_by_stage(found))
    print_rows(
        by_stage, "Made without them, by stage" + ("" if every else " (--all: by partition, too)"), as_json=False
    )
    if every:
        print_rows(
            list(_by_partition(found)), f"Made without them: {counted(len(found.lines), 'partition')}", as_json=False
        )
    made: list[Difference] = []
    for part in _parts(platform, found, contexts):
        with progress(part.what) as told:
            fresh = list(part.differences(progress=told))
        made += fresh
        if fresh:
            print(_summary(part, fresh))
    units = _units(platform)
    for table in (*SNAPSHOTS, TRAINING_SETS.name):
        mine = [one for one in made if one.table == table]
        columns = list(_side_by_side(mine, units)) if mine else []
        if columns:
            what = "Features" if table == TRAINING_SETS.name else f"Columns of {table}"
            _listed(columns, f"{what} that would differ, of {_of(mine)}", every=every)
    _show_partitions(made, every=every)
    _show_rankers(_rankers(platform, whole, found, made), every=every)


def _in_one_line(found: Ledger) -> str:
    """How many plays came after how much had been made."""
    late, lines = found.together(found.lines), len(found.lines)
    return (
        f"{counted(late.plays, 'play')} of {counted(late.profiles, 'profile')} came after {counted(lines, 'partition')} "
        f"had been made without them: {_played(late)}, known from {_minute(late.known_from)} on."
    )


def _played(late: Late) -> str:
    days = sorted({iso(late.played_from)[:10], iso(late.played_to)[:10]})
    return f"played {' to '.join(days)}"


def _minute(instant: int) -> str:
    return f"{iso(instant)[:16]}Z"


def _by_stage(found: Ledger) -> Iterator[Row]:
    """A row per stage: which partitions, and the late plays of all of them together."""
    for stage in dict.fromkeys(line.stage for line in found.lines):
        lines = [line for line in found.lines if line.stage == stage]
        days = sorted(line.partition.day for line in lines)
        late = found.together(lines)
        yield {
            "stage": stage, "partitions": len(lines), "from": str(days[0]), "to": str(days[-1]),
            "countries": len({line.partition.country for line in lines} - {None}) or None, **_of_plays(late),
        }  # fmt: skip


def _by_partition(found: Ledger) -> Iterator[Row]:
    for line in found.lines:
        cell = line.partition
        yield {"stage": line.stage, "date": str(cell.day), "country": cell.country or "", **_of_plays(line)}


def _of_plays(late: Late) -> Row:
    return {
        "late plays": late.plays, "of profiles": late.profiles, "played (UTC)": _played(late).removeprefix("played "),
        "known from (UTC)": _minute(late.known_from),
    }  # fmt: skip


def _listed(rows: list[Row], title: str, *, every: bool) -> None:
    """Rows, or the first of them and how many there are."""
    shown = rows if every else rows[:MOST]
    cut = "" if len(shown) == len(rows) else f" (the first {len(shown)} of {len(rows):,}; --all shows all)"
    print_rows(shown, title + cut, as_json=False)


def _scores(found: Ledger, scored: Sequence[Difference]) -> Iterator[Row]:
    """Candidate models fitted again: a row per date, feature they give, and kind."""
    late = {line.partition: line.plays for line in found.lines if line.stage == STAGE}
    for one in scored:
        for part in one.changes:
            yield {
                "date": one.partition.day.isoformat(), "with": one.kind, "late_plays": late[one.partition],
                "compared": one.compared, "of": one.of, "stale": one.stale, **_change(part),
            }  # fmt: skip


def _show_models(platform: Platform, found: Ledger, contexts: int, models: int, *, every: bool) -> None:
    """Scores of candidate models fitted again, by date."""
    with progress("Scores of candidate models") as told:
        scored = list(model_differences(platform, found, dates=models, at_most=contexts, progress=told))
    if not scored:
        return
    fitted, of = {one.partition for one in scored}, sum(line.stage == STAGE for line in found.lines)
    which = "" if len(fitted) == of else f", the newest {len(fitted)} of {of} dates (--models {of} for all)"
    what = f"Candidate models fitted again{which}: by how much their scores differ for the items of {_contexts(scored)}"
    _listed(_beside_chance(found, scored), f"{what} of training sets", every=every)
    stale = sorted({one.partition.key for one in scored if one.stale})
    if stale:
        print(f"Not up to date, so different for other reasons, too: {', '.join(stale)}.")
    print(
        f"{SEED}: the plays it had, from another start. Late plays that move scores no more matter no more than chance does."
    )


def _beside_chance(found: Ledger, scored: Sequence[Difference]) -> list[Row]:
    """A row per date and feature whose scores moved; the kinds beside each other."""
    rows: dict[tuple[str, str], Row] = {}
    for row in (row for row in _scores(found, scored) if row["mean"] is not None):
        about = {"date": row["date"], "score": row["name"], "scores\ncompared": row["values"]}
        heads = {kind: f"{kind}:\nmean (largest)" for kind in (*KINDS, SEED)}
        one = rows.setdefault((row["date"], row["name"]), about | dict.fromkeys(heads.values(), ""))
        one[heads[row["with"]]] = f"{row['mean']:.4f} ({row['largest']:.4f})"
    return list(rows.values())


def _summary(part: _Part, made: Sequence[Difference]) -> str:
    changes = summed(made).values()
    share = sum(one.changed for one in changes) / max(sum(one.values for one in changes), 1)
    held = f"in {sum(one.changed for one in made):,} of {sum(one.compared for one in made):,} {_unit(made)}"
    return f"{part.what} {ABOUT[part.kind]}: {share:.2%} of values would differ, {held} ({_of(made)})."


def _unit(made: Sequence[Difference]) -> str:
    return "rows" if made[0].table in SNAPSHOTS else "contexts"


def _of(made: Sequence[Difference]) -> str:
    """How much was looked at: n of N, always."""
    return f"{_contexts(made)} of {counted(len({one.partition for one in made}), 'partition')}"


def _contexts(made: Sequence[Difference]) -> str:
    """How many contexts (rows) were looked at, and of how many; each once, however many kinds of differences there are."""
    one_kind = [one for one in made if one.kind == made[0].kind]
    compared, of = sum(one.compared for one in one_kind), sum(one.of for one in one_kind)
    return f"{f'all {of:,}' if compared == of else f'a sample of {compared:,} of {of:,}'} {_unit(made)}"


def _side_by_side(made: Sequence[Difference], units: Mapping[str, str]) -> Iterator[Row]:
    """Each column of a table that would differ, most changed by the late plays first: by them alone, and with all known now.

    Means and largest differences are in the column's unit.
    """
    alone, now = (summed(one for one in made if one.kind == kind) for kind in (LATE, NOW))
    for name in sorted(alone, key=lambda name: (-alone[name].changed, -now[name].changed, name)):
        if alone[name].changed or now[name].changed:
            late, known = alone[name], now[name]
            yield {
                "name": name, "unit": units.get(name, ""), "values": late.values,
                f"{LATE}:\nchanged": _changed(late), f"in\n{_unit(made)}": late.groups, "mean\ndifference": late.mean,
                "largest\ndifference": late.largest if late.numbers else None,
                f"{NOW}:\nchanged": _changed(known), f"{NOW}:\nlargest difference": known.largest if known.numbers else None,
            }  # fmt: skip


def _changed(one: Change) -> str:
    missing = one.changed - one.numbers
    return f"{one.changed:,} ({one.share:.2%})" + (f", {missing:,} missing" if missing else "")


def _show_partitions(made: Sequence[Difference], *, every: bool) -> None:
    """A row per partition and table: what would differ, by the late plays alone and with all known now.

    All of them in the order of the ledger; where they are cut, those first of which most values would differ by the late plays.
    """
    told: dict[tuple[str, str, str], Row] = {}
    shares: dict[tuple[str, str, str], float] = {}
    for one in made:
        key = (one.table, one.partition.day.isoformat(), one.partition.place)
        told.setdefault(key, dict(zip(("table", "date", "country"), key, strict=True)))[one.kind] = _said(one)
        shares[key] = one.share if one.kind == LATE else shares.get(key, 0.0)
    keys = list(told) if every or len(told) <= MOST else sorted(told, key=lambda key: -shares[key])
    if keys:
        rows = [{name: told[key].get(name, "") for name in ("table", "date", "country", *KINDS)} for key in keys]
        order = ", those first of which most values would" if keys != list(told) else ""
        _listed(rows, f"What would differ, by partition{order}", every=every)


def _show_rankers(rankers: Sequence[Row], *, every: bool) -> None:
    """A row per date: how much of what its rankers were trained on would differ."""
    told: dict[str, Row] = {}
    for row in rankers:
        one = told.setdefault(row["date"], {"date": row["date"], **dict.fromkeys(KINDS, "")})
        one[row["with"]] = f"{row['changed_share']:.2%}" + (" (by the sample)" if row["sampled"] else "")
    if told:
        _listed(
            list(told.values()),
            "Rankers: share of the contexts trained on that hold a feature that would differ",
            every=every,
        )


def _said(one: Difference) -> str:
    if one.table == TRAINING_SETS.name:
        if not one.compared:
            return "no contexts"
        said = f"{one.share:.2%} of values, {one.changed} of {counted(one.compared, 'context')}"
        said += f" (sampled of {one.of})" if one.compared < one.of else ""
    else:
        said = f"{one.changed} of {one.compared} rows" + (f", {one.added} more" if one.added else "")
    return said + (" (not up to date: differs for other reasons, too)" if one.stale else "")
