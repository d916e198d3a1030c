"""docs/features.md, generated: `python -m rec_platform.features.page > docs/features.md`."""

from __future__ import annotations

from rec_platform.features.encoders import COLUMNS
from rec_platform.features.feature_set import FeatureSet
from rec_platform.timetravel.facts import MEASURES, Fact

_HEAD = """# Features

A **fact** is a count, a sum or an instant about the past; a **feature** is the number an **encoder** makes of facts.
Both are declared, so only the facts that some encoder needs are ever computed, and the same code gives training sets
of old dates, batch scores and live requests. When facts are read, and by which clock, is told in
[clocks.md](clocks.md).

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

The function is named for the feature, its parameters for what it reads: facts (yours and those below), columns of the
context or item ({columns}), or other encoders. It gets NumPy arrays of equal length, returns a float per row, and NaN
means "missing"; an infinity is an error. It touches no storage and no clock. Unknown parameters, rings, doubled names
and code that raises are refused with the name of the encoder. `[features] leave_out` takes features away.

What can be measured of what:

| entity | whose past | measures |
|---|---|---|
{entities}

Windows are days, or none for all time. `plays`, `watched_ms`, `engaged_plays` and `runtime_ms` are float64, the
instants int64 microseconds with the least int64 for "none" (`days_since` of `rec_platform.features.encoders` turns
them into days). Facts per profile and list attribute walk over the profile's plays in their window, the others cost a
few look-ups.
"""
_TAIL = "What an idea is worth before anything is run with it: [trying-features.md](trying-features.md)."
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


def page(features: FeatureSet) -> str:
    """The page for a feature set, as Markdown."""
    entities = "\n".join(
        f"| `{name}` | {_WHOSE[name]} | {', '.join(f'`{m}`' for m in measures)} |"
        for name, measures in MEASURES.items()
    )
    head = _HEAD.replace("{columns}", ", ".join(f"`{name}`" for name in COLUMNS)).replace("{entities}", entities)
    return "\n".join([head, *_features(features), "", *_facts(features), "", _TAIL, ""])


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
    return "all time" if fact.window is None else f"{fact.window} d"


if __name__ == "__main__":
    print(page(FeatureSet.standard()), end="")
