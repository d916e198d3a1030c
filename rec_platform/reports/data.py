"""The report's sections about data: volume against what was expected, the shapes of columns, drift of features and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from rec_platform.reports import data_plots, gather
from rec_platform.reports.distributions import LARGE, NOTABLE, Reference, distribution
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


def volume_section(lake: Lake, partitions: Sequence[Partition]) -> Section:
    """How much there was of everything by date, and the days that are not as the days before them."""
    series = {name: volume for name, volume in _volumes(lake, partitions).items() if volume.dates}
    odd: list[dict[str, Cell]] = [
        {"series": name, "date": volume.dates[place].isoformat(), "value": volume.values[place],
         "expected from": volume.bands[place][0], "to": volume.bands[place][1]}
        for name, volume in series.items()
        for place in volume.unexpected
    ]  # fmt: skip
    words = (
        "No day left the band of what was expected of it." if not odd
        else f"{len(odd)} values left the band of what was expected of them: the dots."
    )  # fmt: skip
    caption = (
        "Grey is what the days before a day let one expect: the median and 3 robust standard deviations around it, of the "
        "same weekday where there are 3 of them, else of up to 28 days."
    )
    return Section("Volume", (Words(words), Picture(data_plots.volume_plot(series), caption, odd)))


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
        "refused rows, share": _by_date(raw, "quarantined", over=delivered),
        "engaged, share of plays": _by_date(facts, "engaged", over=("plays",)),
        "items of training sets": _by_date(items, "items"),
        "positives, share of items": _by_date(items, "positives", over=("items",)),
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


def _shapes(columns: Mapping[str, Floats], what: str) -> tuple[Picture, Rows]:
    rows = [_numbers(name, values) for name, values in columns.items()]
    caption = f"{what}, between their 1st and 99th percentile; the mass beyond stands in the outer bars."
    return (
        Picture(data_plots.shapes_plot(columns), caption, rows),
        Rows([row for row in rows if row["noted"]], "What stands out: constant, mostly missing, skewed, or with outliers."),
    )  # fmt: skip


def _numbers(name: str, values: Floats) -> dict[str, Cell]:
    found = distribution(values)
    low, first, middle, third, high = found.quantiles
    noted = [
        word
        for word, holds in (
            ("constant", found.constant), ("mostly missing", found.missing > 0.5),
            ("skewed", abs(found.skew) > 0.5), (f"outliers {found.outliers:.1%}", found.outliers > 0.01),
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


def _drift_parts(what: str, indices: Mapping[str, Sequence[float]], dates: Sequence[date]) -> tuple[Words, Picture]:
    peaks = {name: data_plots.peak(values) for name, values in indices.items()}
    large = sorted((name for name, peak in peaks.items() if peak >= LARGE), key=lambda name: -peaks[name])
    words = (
        f"{len(large)} of {len(peaks)} {what} changed a lot on some day: {', '.join(large[:8])}"
        f"{' and others' if len(large) > 8 else ''}." if large
        else f"None of {len(peaks)} {what} changed a lot."
    )  # fmt: skip
    caption = (
        f"Population stability index of each date's {what} against the first date's, the most restless on top: from "
        f"{NOTABLE} worth a look (light), from {LARGE} large (deep)."
    )
    rows: list[dict[str, Cell]] = [{"name": name, "largest index": peak} for name, peak in sorted(peaks.items())]
    return Words(words), Picture(data_plots.drift_plot(indices, dates), caption, rows)


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
        "tenure, days": _floats(frame.contexts.column(c.TENURE_DAYS)),
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
        "watched, minutes": _floats(plays.column(c.WATCHED_MS)) / 60_000,
        "engaged": _floats(plays.column(c.ENGAGED)),
        "hour of day, UTC": ((played % DAY) / HOUR).astype(np.float64),
        "known after, hours": ((given - played) / HOUR).astype(np.float64),
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
