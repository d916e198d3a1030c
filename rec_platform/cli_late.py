"""`rec-platform late`: what was made without plays that came later, and how much its features would differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from rec_platform.clock import iso, parse_day
from rec_platform.flow import Platform
from rec_platform.flow.late import Late, ledger
from rec_platform.flow.late_features import CONTEXTS, Difference, differences, together
from rec_platform.terminal import DEFAULT_HOME, AsJson, Home, busy, print_rows

Row = dict[str, Any]


def late(
    first: Annotated[str, typer.Option("--from", help="First day of partitions to list, YYYY-MM-DD.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day of partitions to list, YYYY-MM-DD, included.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List partitions and models that were made without plays that came later, and how their features would differ.

    Example: rec-platform late --from 2011-11-01 --to 2011-12-09
    """
    days = (parse_day(first, place="--from") if first else None), (parse_day(last, place="--to") if last else None)
    with busy("comparing versions"):
        found, compared = looked_up(home, *days)
    if as_json:
        print(json.dumps(as_dict(found, compared)))
    elif not found:
        print("No late plays: nothing that stands was made without a play that came later.")
    else:
        _show(found, compared)


def looked_up(home: Path, first: date | None, last: date | None) -> tuple[list[Late], list[Difference]]:
    """The ledger of the partitions from `first` to `last` (None: open), and the features of a sample of them."""
    platform = Platform(home)
    whole = ledger(platform.lake, platform.index, platform.stages, platform.settings)
    found = [one for one in whole if (first or one.partition.day) <= one.partition.day <= (last or one.partition.day)]
    return found, differences(platform, found)


def as_dict(found: Sequence[Late], compared: Sequence[Difference]) -> Row:
    """The whole answer as JSON."""
    partitions = [
        {
            "table": one.stage, "date": one.partition.day.isoformat(), "country": one.partition.country,
            "plays": one.plays, "profiles": one.profiles, "played_from": iso(one.played_from),
            "played_to": iso(one.played_to), "known_from": iso(one.known_from),
        }
        for one in found
    ]  # fmt: skip
    sampled = [
        {
            "date": one.partition.day.isoformat(), "country": one.partition.country, "contexts": one.contexts,
            "of": one.of, "changed_contexts": one.changed_contexts, "changed_share": one.share,
        }
        for one in compared
    ]  # fmt: skip
    features = [
        {
            "feature": one.feature, "values": one.values, "changed": one.changed, "from_or_to_missing": one.changed - one.numbers,
            "largest": one.largest if one.numbers else None, "mean": one.mean,
        }
        for one in together(compared)
    ]  # fmt: skip
    return {"partitions": partitions, "sampled": sampled, "features": features}


def _show(found: Sequence[Late], compared: Sequence[Difference]) -> None:
    body = as_dict(found, compared)
    shares = {("training_sets", row["date"], row["country"]): _told(row) for row in body["sampled"]}
    rows = [
        {name: row[name] for name in ("table", "date", "country", "plays", "profiles")}
        | {
            "played": f"{row['played_from'][:10]} to {row['played_to'][:10]}",
            "known from": f"{row['known_from'][:16]}Z",
        }
        | {"features with all known now": shares.get((row["table"], row["date"], row["country"]), "")}
        for row in body["partitions"]
    ]
    print_rows(rows, f"Made without plays that came later: {len(rows)} partitions", as_json=False)
    if compared:
        contexts = sum(one.contexts for one in compared)
        of = f"{len(compared)} training partitions, {contexts} contexts (at most {CONTEXTS} of each)"
        print_rows(
            body["features"], f"Features that would differ with all that is known now, on a sample: {of}", as_json=False
        )
    print('To build training sets with all that is known now: [training] known_by = "now" in platform.toml, then run.')


def _told(row: Row) -> str:
    return f"{row['changed_share']:.2%} of values, {row['changed_contexts']} of {row['contexts']} contexts"
