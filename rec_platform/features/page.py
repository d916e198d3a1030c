"""docs/features.md, generated: `python -m rec_platform.features.page > docs/features.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rec_platform.clock import window_text
from rec_platform.features.encoders import COLUMNS
from rec_platform.features.feature_set import FeatureSet
from rec_platform.timetravel.declared import (
    DISTINCT,
    ITEM_LEVEL,
    LISTS,
    MEASURES,
    NUMERIC,
    OF_RECORDS,
    SUMS,
    WHOLES,
    Fact,
)
from rec_platform.timetravel.filters import OF_CLOCKS, OF_PLAYS, OF_TITLES

_HEAD = """# Features

A **fact** is a count, a sum or an instant about the past; a **feature** is the number an **encoder** makes of facts.
Both are declared, so only the facts that some encoder needs are ever computed, and the same code gives training sets
of old dates, batch scores and live requests.

| you want | read |
|---|---|
| a feature of your own | the next section, then [declaring facts](#declaring-facts) |
| what an idea is worth, before anything is run with it | [trying-features.md](trying-features.md) |
| when facts are read, and by which clock | [clocks.md](clocks.md) |
| what there is already | the tables at the end |

This page is generated from the standard set: `python -m rec_platform.features.page > docs/features.md`.

## A feature of your own

One file, named in `platform.toml` under `[features] files = ["my_features.py"]`:

```python
from rec_platform.features import Fact, encoder

my_evening = Fact("my_hour_plays", "profile_hour", "plays", 28, about="the profile's plays in this local hour")

@encoder(unit="share", about="of the profile's plays over 28 days, those in this hour of the day")
def my_hour_share(my_hour_plays, profile_plays_28d):
    return (my_hour_plays + 1) / (profile_plays_28d + 24)
```

Facts and encoders stand under names of their own, or in lists. Of an encoder:

- The function is named for the feature, its parameters for what it reads: facts (yours and those below), other encoders, or
  columns of the context or item ({columns}).
- It gets NumPy arrays of equal length and returns a float per row. NaN means "missing"; an infinity is an error, and
  so is a number that would be one as float32, in which features are stored (3.4e38 and above).
- It touches no storage and no clock.
- Unknown parameters, rings, doubled names and code that raises are refused with the name of the encoder.

`[features] leave_out` takes features away.

The file may import modules of its own folder by name (`from shared import tv_plays_7d`): facts and encoders that it takes
from them are its own, and a change there is a change of the features, as in the file
([0133](decisions/0133-modules-beside-a-ranker-file-are-part-of-it.md)).

Correct words whenever you like: `unit`, `about`, comments and docstrings change no number, so nothing is made again for
them. Lists, reports and `travel` say the new words at once. A model keeps the words it was fitted with, and the reasons in
lists are in the words of their model. Where code reads words (`.about`, `.unit`), or declares by anything else than the
names that it imports from `rec_platform`, they count as code
([0138](decisions/0138-words-are-no-part-of-a-digest.md)).

## Declaring facts

```python
Fact("drama_plays_7d", "profile", "plays", "7d", where="'drama' in genres")
```

says whose past is looked at (entity), what is measured of it, over which window, and which plays count. A declaration that
cannot be meant is refused when the file is read, naming the fact, the fault and the repair. What can be measured of what:

{entities}

- **Sums**: `plays` counts, the others sum a column of the plays; {numeric} add 0 where a play has none (`where="position is
  not None"` leaves such plays out). Sums are exact integers, so that they merge and roll; a column of fractions
  (`propensity`) has none and can only stand in a filter. `watched_ms` is in milliseconds: seconds are made by encoders.
- **`distinct_titles`** counts titles with at least one such play.
- **`share`** is the fact's plays over the plays, in the same window, of what it is a share of: filtered or not the whole is
  without the filter. `of` names another whole of the table; a share of the entity itself needs a filter
  (`Fact("tv_share", "profile", "share", 28, where="device == 'tv'")`). It is missing (NaN) where the whole is 0.
  Of `profile_attribute` with `of="profile"` it is the mean or the greatest (`over`) of the shares that the item's values
  have of the profile's plays. With `of="profile_attribute"` it is one ratio: the filtered plays of all the item's values
  over all plays of these, where a play counts under each value it has; not the mean of the values' own shares. `over="max"`
  of it is refused, for each value has a whole of its own.
- **Instants** are int64 microseconds with the least int64 for "none": `days_since` of `rec_platform.features.encoders`
  turns them into days. Everything else is float64.
- **`profile_attribute`** takes `attribute` ({lists}) and `over` (`"mean"` or `"max"` over the item's values); it is missing
  for an item without values. A play counts under the values its title is known to have at the context's instant. Its instants
  are those of a play that shares any of the values, and take no `over`.
- **`profile_hour`, `profile_weekday`**: the hour and weekday are local, on the declared clock of the context's country. When
  the profile last played at this hour of the day is `Fact("last_at_this_hour", "profile_hour", "last_played_at", 28)`.

**Windows** are whole days as a number, text such as `"30min"`, `"6h"`, `"7d"`, or None for all time. Facts of a profile end at
the context's own instant, to the microsecond. Facts of a title, a country and the platform end at the last tick, 00:00 UTC,
or with `tick="hour"` the last full hour: their windows are whole days, or whole hours. `first_played_at` of these, and what
is read from records, is over all time.

**Filters.** `where` is a condition in Python's syntax on a play and its title; without one all plays count (an empty
`where=""` is refused). It is parsed to an allow-list and typed when it is
declared; nothing of it is run or becomes part of a query. It may hold:

| column | of | kind |
|---|---|---|
{columns_of_filters}

- numbers and texts, `and`, `or`, `not`, `==`, `!=`, `<`, `<=`, `>`, `>=` (chained: `1 < row <= 3`), `+ - * /` between numbers;
- `x in (1, 2)`, `'drama' in genres`, `'noir' in name` (a piece of the text), each with `not in`; `x is None`, `x is not None`;
- an instant against a date or an instant as text, `released_at >= '2024-01-01'`; the time between two instants against a
  window, `played_at - released_at < '7d'`.

Numbers are float64; one too large, or divided by 0, is missing. A missing value makes every comparison with it false, `!=`
and `not in` too; `is None` finds it. `not` turns a condition over, missing or not: `not position < 3` holds for plays
without a position. `hour` and `weekday` are those of the play, on the declared clock of the country where it was played.
What cannot stand in a filter (`&&`, `AND`, `device in ()`), and a number that a column can never be (`engaged == 2`,
`hour == 25`), is refused when the fact is declared, by its column in the text, with what to write.

Columns of titles are read **as known when the play became visible** (just after the later of its two clocks). Whether a play
passes is settled at that moment for ever: a row about the title that becomes known later changes no filtered fact, not
even of later contexts. A title that nobody had described by then has no genres: `'drama' in genres` is false.

What facts cost: those of one filter share a timeline of the plays that pass; an unfiltered set pays nothing for filters. Equal
facts, and the wholes of shares, are computed once.

Whole files to start from: `examples/features/binge.py`, `examples/features/moods.py`.
"""
_TAIL = """## Logs that do not fit into memory

A `Timeline` holds about 48 bytes a play. Where that is too much, the stages sweep the log by themselves
([training-sets.md](training-sets.md#logs-that-do-not-fit-into-memory)). In a notebook, `rec_platform.features.sweep` computes
the same bytes bucket by bucket of the contexts' profiles, from a log that it reads twice:

```python
past = Past(lambda: dataset.to_batches(columns=columns), titles, profiles, availability, rules)
for rows, part in parts(frame, past, features, buckets=32, scratch=folder):
    ...  # `part` is frame.take(rows) with its features: write it, drop it
```

- `columns` are `PLAY_COLUMNS` of `rec_platform.timetravel.timeline` and `features.play_columns`; plays may come in any order.
- `swept(...)`, with the same arguments, returns the whole frame.
- Everything that can be declared is served, filters and facts by the hour included.
- Many frames and whole pipelines, certificates too, go through `Swept` of `rec_platform.features.by_bucket`.
- What it costs is in [performance.md](performance.md)."""
_WHOSE = {
    "profile": "the profile's plays, in all countries",
    "profile_hour": "those in the context's local hour of the day",
    "profile_weekday": "those on the context's local weekday",
    "profile_title": "the profile's plays of the item",
    "profile_attribute": "the profile's plays of titles sharing a value of `attribute` (genres or tags), mean or max "
    "`over` the item's values",
    "title": "everybody's plays of the item; the item's record",
    "title_country": "everybody's plays of the item in the context's country; the item's offer there",
    "country": "all plays in the context's country",
    "platform": "all plays",
}


#: The measures that stand in one column of the table.
_GROUPS: Final = {
    "sums": (*SUMS, *NUMERIC),
    "distinct titles": (DISTINCT,),
    "instants": ("last_played_at", "first_played_at"),
    "of its record": OF_RECORDS,
}


def page(features: FeatureSet) -> str:
    """The page for a feature set, as Markdown."""
    put_in = {
        "columns": _ticked(COLUMNS), "entities": "\n".join(_entities()), "numeric": _ticked(NUMERIC), "lists": _ticked(LISTS),
        "columns_of_filters": "\n".join(_columns_of_filters()),
    }  # fmt: skip
    head = _HEAD
    for name, text in put_in.items():
        head = head.replace(f"{{{name}}}", text)
    return "\n".join([head, *_features(features), "", *_facts(features), "", _TAIL, ""])


def _ticked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _entities() -> list[str]:
    """The table of entities by measures."""
    rows = ["| entity | whose past | one per | " + " | ".join(_GROUPS) + " | share, and of what |"]
    rows.append("|---" * (len(_GROUPS) + 4) + "|")
    for name, measures in MEASURES.items():
        level = "item" if name in ITEM_LEVEL else "context"
        groups = [_ticked(one for one in group if one in measures) or "-" for group in _GROUPS.values()]
        wholes = [f"`{whole}`" + (" (filtered)" if whole == name else "") for whole in WHOLES[name]]
        rows.append(" | ".join([f"| `{name}`", _WHOSE[name], level, *groups, ", ".join(wholes)]) + " |")
    return rows


def _columns_of_filters() -> list[str]:
    whose = (("the play", OF_PLAYS), ("its title", OF_TITLES), ("the play's local clock", OF_CLOCKS))
    said = {"texts": "list of texts"}
    return [
        f"| {_ticked(name for name, its in columns.items() if its == kind)} | {of} | {said.get(kind, kind)} |"
        for of, columns in whose
        for kind in dict.fromkeys(columns.values())
    ]


def _features(features: FeatureSet) -> list[str]:
    rows = [
        f"| `{one.name}` | {one.unit} | {features.feature_level(one.name)} | {one.about} | "
        f"{', '.join(f'`{name}`' for name in one.reads)} |"
        for one in features.encoders
    ]
    head = ["| feature | unit | one per | what it says | reads |", "|---|---|---|---|---|"]
    return [f"## The {len(rows)} standard features", "", *head, *rows]


def _facts(features: FeatureSet) -> list[str]:
    rows = [
        f"| `{fact.name}` | `{fact.entity}` | `{fact.measure}` | {_window(fact)} | {fact.about} |"
        for fact in features.facts
    ]
    return [
        "## The standard facts",
        "",
        "| fact | entity | measure | window | what it is |",
        "|---|---|---|---|---|",
        *rows,
    ]


def _window(fact: Fact) -> str:
    return "all time" if fact.window is None else window_text(fact.micros)


if __name__ == "__main__":
    print(page(FeatureSet.standard()), end="")
