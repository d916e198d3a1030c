"""The report's sections about data: volume against what was expected, the shapes of columns, drift of features and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.clock import DAY, HOUR
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.reports import data_plots, gather, style
from rec_platform.reports.distributions import FAR_OUT, LARGE, NOTABLE, Reference, distribution
from rec_platform.reports.findings import listed
from rec_platform.reports.page import Picture, Rows, Section, Words
from rec_platform.reports.tables import Cell

Floats = npt.NDArray[np.float64]
#: Columns by date and name.
ByDay = dict[date, dict[str, Floats]]

#: Contexts looked at per date, evenly spaced over its largest countries; countries of a date that are read.
CONTEXTS: Final = 400
COUNTRIES: Final = 5
#: Rows looked at per date of a flat table.
ROWS: Final = 20_000
_BATCH: Final = 2_048
#: Small histograms of one picture: eight lines, with the words around them a page of paper.
MOST_SHAPES: Final = 8 * data_plots.ACROSS


def volume_section(lake: Lake, partitions: Sequence[Partition]) -> Section:
    """How much there was of everything by date, and the days that are not as the days before them."""
    series = {name: volume for name, volume in _volumes(lake, partitions).items() if volume.dates}
    odd: list[dict[str, Cell]] = [
        {"series": name, "date": volume.dates[place].isoformat(), "value": volume.values[place],
         "expected from": volume.bands[place][0], "to": volume.bands[place][1]}
        for name, volume in series.items()
        for place in volume.unexpected
    ]  # fmt: skip
    where = dict.fromkeys(str(row["series"]) for row in odd)
    title = (
        "No day left the band that the days before it let one expect." if not odd
        else f"{len(odd)} value{'s' if len(odd) > 1 else ''} left the band of what was expected (the dots): {listed(where)}."
    )  # fmt: skip
    caption = (
        "The thin line is the days before; the grey band is what they let one expect: the median of the same weekday of the last "
        "four weeks, and 3 standard deviations around it, told by how much days differ from the same weekday a week before."
    )
    return Section("Volume", (Picture(data_plots.volume_plot(series), caption, odd, title=title),))


def _volumes(lake: Lake, partitions: Sequence[Partition]) -> dict[str, data_plots.Volume]:
    """Each series over the days of the partitions; days before them are read for what is expected."""
    first, last = (end((one.day for one in partitions), default=date.min) for end in (min, max))
    places = {one.place for one in partitions}
    every = [one for one in lake.state(t.PLAY_FACTS.name) if one.place in places and one.day <= last]
    raw, facts, items = (
        gathered(lake, every) for gathered in (gather.raw_play_counts, gather.fact_counts, gather.training_items)
    )
    delivered = ("accepted", "duplicates", "quarantined")
    found = {
        "plays": _by_date(facts, "plays"),
        "refused share of rows": _by_date(raw, "quarantined", over=delivered),
        "engaged share of plays": _by_date(facts, "engaged", over=("plays",)),
        "items of training sets": _by_date(items, "items"),
        "positive share of items": _by_date(items, "positives", over=("items",)),
        "recommendations": _by_date(_rows_of(lake, t.RECOMMENDATIONS.name, every), "rows"),
    }
    return {name: data_plots.Volume.of(*pairs, first=first) for name, pairs in found.items()}


def _rows_of(lake: Lake, table: str, partitions: Sequence[Partition]) -> pa.Table:
    states = lake.state(table)
    rows = [{c.DATE: one.date, "rows": states[one].rows} for one in partitions if one in states]
    return pa.Table.from_pylist(rows, schema=pa.schema([(c.DATE, pa.date32()), ("rows", pa.int64())]))


def _by_date(table: pa.Table, name: str, over: Sequence[str] = ()) -> tuple[list[date], list[float]]:
    """Sums per date, or their ratio to the sums of other columns (NaN where those are 0)."""
    summed = table.group_by(c.DATE).aggregate([(one, "sum") for one in {name, *over}]).sort_by(c.DATE)
    values = summed.column(f"{name}_sum").to_numpy().astype(np.float64)
    if over:
        whole = np.sum([summed.column(f"{one}_sum").to_numpy() for one in over], axis=0, dtype=np.float64)
        values = np.divide(values, whole, out=np.full(len(values), np.nan), where=whole > 0)
    return summed.column(c.DATE).to_pylist(), values.tolist()


def plays_section(lake: Lake, partitions: Sequence[Partition]) -> Section:
    """The columns of plays and of training contexts: histograms, and a table of what is odd about them."""
    contexts = _stacked([_context_columns(frame) for _, frame in _sampled(lake, t.TRAINING_SETS.name, partitions)])
    return Section("Plays and contexts", _shapes({**_play_columns(lake, partitions), **contexts}, "Plays and contexts"))


def features_section(lake: Lake, partitions: Sequence[Partition]) -> Section:
    """The features of training items, likewise."""
    return Section("Features", _shapes(all_days(sampled_features(lake, partitions)), "Features of training items"))


def sampled_features(lake: Lake, partitions: Sequence[Partition]) -> ByDay:
    """The features of some training items by date and name: those of evenly spaced contexts."""
    return _by_day(_sampled(lake, t.TRAINING_SETS.name, partitions), _features_of)


def all_days(columns: ByDay) -> dict[str, Floats]:
    """The columns of all dates, one after another."""
    return _stacked(list(columns.values()))


def _shapes(columns: Mapping[str, Floats], what: str) -> tuple[Picture, ...]:
    """Small histograms, in as many pictures as pages of paper hold; the numbers of all stand under the last."""
    rows = [_numbers(name, values) for name, values in columns.items()]
    caption = (
        f"{what}, between their 1st and 99th percentile; the mass beyond stands in the outer bars. Far out: more than "
        f"{FAR_OUT:g} interquartile ranges outside the quartiles."
    )
    first, *others = _in_pages(list(columns))
    titles = {standing_out(rows): first} | {f"From {part[0]} to {part[-1]}.": part for part in others}
    drawn = [
        Picture(data_plots.shapes_plot({name: columns[name] for name in part}), "", title=title)
        for title, part in titles.items()
    ]
    return (*drawn[:-1], replace(drawn[-1], caption=caption, rows=rows))


def _in_pages(names: Sequence[str]) -> list[Sequence[str]]:
    """The names in as few parts as hold at most `MOST_SHAPES` each: whole lines of panels, evenly many. At least one part.

    >>> [len(part) for part in _in_pages([str(n) for n in range(51)])], _in_pages([])
    ([30, 21], [[]])
    """
    lines = max(-(-len(names) // data_plots.ACROSS), 1)
    each = data_plots.ACROSS * -(-lines // -(-lines * data_plots.ACROSS // MOST_SHAPES))
    return [names[start : start + each] for start in range(0, max(len(names), 1), each)]


def standing_out(rows: Sequence[Mapping[str, Cell]]) -> str:
    """What is odd about columns, as a sentence: those that hold one value, that are mostly missing, and long tails."""
    found = {
        word: [str(row["column"]) for row in rows if word in str(row["noted"])]
        for word in ("constant", "mostly missing", "far out")
    }
    said = [
        f"{len(found['constant'])} constant ({', '.join(found['constant'][:4])})" if found["constant"] else "",
        f"{len(found['mostly missing'])} mostly missing ({', '.join(found['mostly missing'][:4])})"
        if found["mostly missing"] else "",
        f"{len(found['far out'])} with long tails" if found["far out"] else "",
    ]  # fmt: skip
    return f"{len(rows)} columns: {', '.join(one for one in said if one) or 'nothing stands out'}."


def _numbers(name: str, values: Floats) -> dict[str, Cell]:
    found = distribution(values)
    low, first, middle, third, high = found.quantiles
    noted = [
        word
        for word, holds in (
            ("constant", found.constant), ("mostly missing", found.missing > 0.5),
            ("skewed", abs(found.skew) > 0.5), (f"{found.outliers:.1%} far out", found.outliers > 0.01),
        ) if holds
    ]  # fmt: skip
    return {
        "column": name, "n": found.n, "missing": f"{found.missing:.2%}", "zero": f"{found.zero:.1%}", "p1": low,
        "p25": first, "median": middle, "p75": third, "p99": high, "noted": ", ".join(noted),
    }  # fmt: skip


def drift_section(lake: Lake, partitions: Sequence[Partition]) -> Section:
    """How far the features and scores of each date stand from those of the first."""
    features = sampled_features(lake, partitions)
    scores = _by_day(_sampled(lake, t.SCORES_TABLE.name, partitions), _scores_of)
    return Section("Drift", (*_drift_parts("features", *drift(features)), *_drift_parts("scores", *drift(scores))))


def _drift_parts(
    what: str, indices: Mapping[str, Sequence[float]], dates: Sequence[date]
) -> tuple[Picture | Words | Rows, ...]:
    """A picture where anything moved; else a sentence alone, with the numbers folded away."""
    peaks = {name: data_plots.peak(values) for name, values in indices.items()}
    rows: list[dict[str, Cell]] = [
        {"name": name, "largest index": peak, "moved": "a lot" if peak >= LARGE else "some" if peak >= NOTABLE else ""}
        for name, peak in sorted(peaks.items(), key=lambda one: (-one[1], one[0]))
    ]
    large = [str(row["name"]) for row in rows if row["moved"] == "a lot"]
    said = (
        f"{len(large)} of {len(peaks)} {what} changed a lot on some day: {listed(large, most=4)}." if large
        else f"None of {len(peaks)} {what} changed a lot." if dates
        else f"One date only: {what} have nothing to be compared with."
    )  # fmt: skip
    if not any(row["moved"] for row in rows):
        return (Words(said), *([Rows(rows, folded=f"The numbers of {what}")] if dates and rows else ()))
    caption = (
        f"Population stability index of each date's {what} against the first date's, the most restless on top: from "
        f"{NOTABLE} worth a look, from {LARGE} large. Features that count days grow with every day."
    )
    key = (
        (style.DIVERGING[0], "large"), (style.DIVERGING[1], "worth a look"), (style.DIVERGING[2], "little"),
        (style.BLANK, "nothing to compare"),
    )  # fmt: skip
    return (Picture(data_plots.drift_plot(indices, dates), caption, rows, title=said, key=key),)


def drift(columns: ByDay) -> tuple[dict[str, list[float]], list[date]]:
    """Per column the stability index of each date after the first against the first, and those dates."""
    days = sorted(columns)
    first = {name: Reference.of(values) for name, values in columns[days[0]].items()} if days else {}
    none = np.empty(0)
    return (
        {name: [one.stability(columns[day].get(name, none)) for day in days[1:]] for name, one in first.items()},
        days[1:],
    )


# --- columns ---------------------------------------------------------------------------------------------------------


def _features_of(frame: Frame) -> dict[str, Floats]:
    return {name: _floats(frame.features.column(name)) for name in frame.features.column_names}


def _scores_of(frame: Frame) -> dict[str, Floats]:
    return {name: _floats(frame.scores.column(name)) for name in frame.scores.column_names}


def _context_columns(frame: Frame) -> dict[str, Floats]:
    return {
        "tenure in days": _floats(frame.contexts.column(c.TENURE_DAYS)),
        "items of a context": np.diff(frame.offsets).astype(np.float64),
        "inclusion probability": _floats(frame.contexts.column(c.INCLUSION_PROBABILITY)),
    }


def _play_columns(lake: Lake, partitions: Sequence[Partition]) -> dict[str, Floats]:
    names = [c.PLAYED_AT, c.KNOWN_AT, c.WATCHED_MS, c.ENGAGED]
    states = lake.state(t.PLAY_FACTS.name)
    known = [one for one in partitions if one in states and states[one].rows]
    if not known:
        return {}
    parts = []
    for one in known:
        table = lake.read(t.PLAY_FACTS.name, [one], names)
        parts.append(table.take(np.arange(0, table.num_rows, -(-table.num_rows // ROWS))))
    plays = pa.concat_tables(parts)
    played, given = (plays.column(name).cast(pa.int64()).to_numpy() for name in names[:2])
    return {
        "minutes watched": _floats(plays.column(c.WATCHED_MS)) / 60_000,
        "engaged": _floats(plays.column(c.ENGAGED)),
        "hour of day (UTC)": ((played % DAY) / HOUR).astype(np.float64),
        "hours until known": ((given - played) / HOUR).astype(np.float64),
    }


def _floats(column: pa.ChunkedArray) -> Floats:
    filled = column.cast(pa.float64()).fill_null(float("nan")) if column.null_count else column
    return np.asarray(filled.to_numpy(), dtype=np.float64)


def _by_day(frames: Sequence[tuple[date, Frame]], columns: Callable[[Frame], dict[str, Floats]]) -> ByDay:
    found: dict[date, list[dict[str, Floats]]] = {}
    for day, frame in frames:
        found.setdefault(day, []).append(columns(frame))
    return {day: _stacked(parts) for day, parts in found.items()}


def _stacked(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}


def _sampled(lake: Lake, table: str, partitions: Sequence[Partition]) -> list[tuple[date, Frame]]:
    """Evenly spaced contexts of each date's largest countries."""
    states = lake.state(table)
    found = []
    for day in sorted({one.day for one in partitions}):
        known = [one for one in partitions if one.day == day and one in states and states[one].rows]
        chosen = sorted(known, key=lambda one: (-states[one].rows, one.place))[:COUNTRIES]
        step = max(sum(states[one].rows for one in chosen) // CONTEXTS, 1)
        found += [(day, frame) for frame in _every(lake.files(table, chosen), step)]
    return found


def _every(paths: Sequence[str], step: int) -> Iterator[Frame]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield flat(pa.Table.from_batches([batch]).take(np.arange(0, batch.num_rows, step)))
