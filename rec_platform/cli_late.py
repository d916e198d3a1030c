"""`rec-platform late`: what was made without plays that came later, and how much its numbers would differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from rec_platform.clock import FIRST_DAY, LAST_DAY, iso
from rec_platform.commands import not_taken_in
from rec_platform.flow import Platform
from rec_platform.flow.late import Ledger, ledger
from rec_platform.flow.late_changes import KINDS, LATE, NOW, SEED, Change, Difference, summed
from rec_platform.flow.late_features import CONTEXTS, shares_of_rankers, training_differences
from rec_platform.flow.late_models import DATES, STAGE, model_differences
from rec_platform.flow.late_snapshots import snapshot_differences
from rec_platform.tables import PROFILE_SNAPSHOT, RANKER_MODELS, TITLE_SNAPSHOT, TRAINING_SETS
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, busy, days_of, note, print_rows, progress

Row = dict[str, Any]
SNAPSHOTS = (PROFILE_SNAPSHOT.name, TITLE_SNAPSHOT.name)
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
        print(json.dumps(as_dict(found, made) | more))
        return
    said, taking_in = not_taken_in(platform, waiting)
    note(f"{said}; late plays among them are listed after {taking_in}" if said else "")
    if not found.lines:
        among = " among those taken in" if waiting else ""
        print(f"No late plays{among}: nothing that stands was made without a play that came later.")
    else:
        _show(platform, whole, found, contexts)
        _show_models(platform, found, contexts, models)
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


def as_dict(found: Ledger, made: Sequence[Difference]) -> Row:
    """The whole answer as JSON."""
    partitions = [
        {
            "table": one.stage, "date": one.partition.day.isoformat(), "country": one.partition.country,
            "plays": one.plays, "profiles": one.profiles, "played_from": iso(one.played_from),
            "played_to": iso(one.played_to), "known_from": iso(one.known_from),
        }
        for one in found.lines
    ]  # fmt: skip
    return {
        "partitions": partitions,
        "differences": [_difference(one) for one in made],
        "columns": list(_columns(made)),
    }


def _difference(one: Difference) -> Row:
    return {
        "table": one.table, "date": one.partition.day.isoformat(), "country": one.partition.country, "with": one.kind,
        "compared": one.compared, "of": one.of, "changed": one.changed, "changed_share": one.share, "added": one.added,
        "stale": one.stale,
    }  # fmt: skip


def _columns(made: Sequence[Difference]) -> Iterator[Row]:
    """Every feature and fact that would differ, over all partitions of a table, most changed first."""
    for table, kind in dict.fromkeys((one.table, one.kind) for one in made):
        changes = summed(one for one in made if (one.table, one.kind) == (table, kind)).values()
        for one in sorted(changes, key=lambda one: (-one.share, one.name)):
            if one.changed:
                yield {"table": table, "with": kind, **_change(one)}


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


def _show(platform: Platform, whole: Ledger, found: Ledger, contexts: int) -> None:
    """The ledger at once, a line for each kind of difference as soon as it is worked out, then all of them in tables."""
    rows = [
        {name: row[name] for name in ("table", "date", "country", "plays", "profiles")}
        | {
            "played": f"{row['played_from'][:10]} to {row['played_to'][:10]}",
            "known from": f"{row['known_from'][:16]}Z",
        }
        for row in as_dict(found, [])["partitions"]
    ]
    print_rows(rows, f"Made without plays that came later: {len(rows)} partitions", as_json=False)
    made: list[Difference] = []
    for part in _parts(platform, found, contexts):
        with progress(part.what) as told:
            fresh = list(part.differences(progress=told))
        made += fresh
        if fresh:
            print(_summary(part, fresh))
    for tables in (SNAPSHOTS, (TRAINING_SETS.name,)):
        mine = [one for one in made if one.table in tables]
        columns = list(_side_by_side(mine))
        if columns:
            what = "Features" if tables[0] == TRAINING_SETS.name else "Facts of snapshots"
            print_rows(columns, f"{what} that would differ, of {_of(mine)}", as_json=False)
    _show_partitions(made, _rankers(platform, whole, found, made))


def _scores(found: Ledger, scored: Sequence[Difference]) -> Iterator[Row]:
    """Candidate models fitted again: a row per date, feature they give, and kind."""
    late = {line.partition: line.plays for line in found.lines if line.stage == STAGE}
    for one in scored:
        for part in one.changes:
            yield {
                "date": one.partition.day.isoformat(), "with": one.kind, "late_plays": late[one.partition],
                "compared": one.compared, "of": one.of, "stale": one.stale, **_change(part),
            }  # fmt: skip


def _show_models(platform: Platform, found: Ledger, contexts: int, models: int) -> None:
    """Scores of candidate models fitted again, by date."""
    with progress("Scores of candidate models") as told:
        scored = list(model_differences(platform, found, dates=models, at_most=contexts, progress=told))
    if not scored:
        return
    fitted, of = {one.partition for one in scored}, sum(line.stage == STAGE for line in found.lines)
    what = f"Candidate models fitted again: {len(fitted)} of {of} dates, {_of(scored)}; mean and largest difference of scores"
    print_rows(_beside_chance(found, scored), what, as_json=False)
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
        about = {name: row[name] for name in ("date", "name", "late_plays", "values")}
        one = rows.setdefault((row["date"], row["name"]), about | dict.fromkeys((*KINDS, SEED), ""))
        one[row["with"]] = f"{row['mean']:.4f} ({row['largest']:.4f})"
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
    one_kind = [one for one in made if one.kind == made[0].kind]
    compared, of = sum(one.compared for one in one_kind), sum(one.of for one in one_kind)
    which = f"all {of:,}" if compared == of else f"a sample of {compared:,} of {of:,}"
    partitions = len({one.partition for one in made})
    return f"{which} {_unit(made)} of {partitions} partition{'' if partitions == 1 else 's'}"


def _side_by_side(made: Sequence[Difference]) -> Iterator[Row]:
    """Each column that would differ, most changed by the late plays first: by them alone, and with all known now."""
    for table in dict.fromkeys(one.table for one in made):
        alone, now = (summed(one for one in made if (one.table, one.kind) == (table, kind)) for kind in (LATE, NOW))
        for name in sorted(alone, key=lambda name: (-alone[name].changed, -now[name].changed, name)):
            if alone[name].changed or now[name].changed:
                late, known = alone[name], now[name]
                yield ({} if table == TRAINING_SETS.name else {"table": table}) | {
                    "name": name, "values": late.values, "late plays: changed": _changed(late), _unit(made): late.groups,
                    "mean": late.mean, "largest": late.largest if late.numbers else None, "all known now": _changed(known),
                    "largest ": known.largest if known.numbers else None,
                }  # fmt: skip


def _changed(one: Change) -> str:
    missing = one.changed - one.numbers
    return f"{one.changed:,} ({one.share:.2%})" + (f", {missing:,} missing" if missing else "")


def _show_partitions(made: Sequence[Difference], rankers: Sequence[Row]) -> None:
    """A row per partition and table: what would differ, by the late plays alone and with all known now."""
    told: dict[tuple[str, str, str], Row] = {}
    for one in made:
        key = (one.table, one.partition.day.isoformat(), one.partition.place)
        told.setdefault(key, dict(zip(("table", "date", "country"), key, strict=True)))[one.kind] = _said(one)
    for row in rankers:
        key = (RANKER_MODELS.name, row["date"], "")
        said = f"{row['changed_share']:.2%} of the contexts trained on" + (" (by the sample)" if row["sampled"] else "")
        told.setdefault(key, dict(zip(("table", "date", "country"), key, strict=True)))[row["with"]] = said
    rows = [{name: row.get(name, "") for name in ("table", "date", "country", *KINDS)} for row in told.values()]
    if rows:
        print_rows(rows, "What would differ, by partition", as_json=False)


def _said(one: Difference) -> str:
    if one.table == TRAINING_SETS.name:
        said = f"{one.share:.2%} of values, {one.changed} of {one.compared} contexts"
        said += f" (sampled of {one.of})" if one.compared < one.of else ""
    else:
        said = f"{one.changed} of {one.compared} rows" + (f", {one.added} more" if one.added else "")
    return said + (" (not up to date: differs for other reasons, too)" if one.stale else "")
