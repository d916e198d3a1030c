"""Writes a world: the delivery, day by day, and the truth beside it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rec_platform.config import Frozen
from rec_platform.errors import SourceError
from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.delivery import COPIES, KINDS, MISSING_USER, delivered
from rec_platform.simulation.files import PlaysFormat, numbered, texts, write_plays
from rec_platform.simulation.localtime import DAY_MS, Ints, day_number
from rec_platform.simulation.plays import LATE_FROM, PLAY, Rows, State, plays_of
from rec_platform.simulation.policy import Days, Lists
from rec_platform.simulation.sessions import FOUND, MEAN_PLAYS, expected_weight, sessions_of
from rec_platform.simulation.store import save_truth, write_reference
from rec_platform.simulation.truth import Truth
from rec_platform.simulation.world import make_truth, stream

Progress = Callable[[str, float], None]
_SIMULATED_DAY: Final = 5
#: Lines made into text at a time.
BLOCK: Final = 50_000


class WorldSummary(Frozen):
    """What a delivery holds: rows = plays + shown + missing_user + sum(duplicates) + sum(corrupt).

    Attributes:
        rows: data rows in all files of plays.
        plays: undamaged plays with a user, each counted once; what a correct ingest accepts.
        shown: rows with event `shown`.
        duplicates: exact copies of such plays, `duplicate_same_file` and `duplicate_later_file`.
        corrupt: damaged plays by kind. missing_user: plays without a user id.
        late: of `plays`, those received an hour or more after they ended.
        plays_by_country, plays_by_date: `plays`, by country and by UTC date of the start. Without plays, no entry.
        files: rows per file, in order.
    """

    rows: int
    plays: int
    shown: int
    missing_user: int
    duplicates: dict[str, int]
    corrupt: dict[str, int]
    late: int
    plays_by_country: dict[str, int]
    plays_by_date: dict[str, int]
    files: dict[str, int]
    profiles: int
    titles: int
    windows: int


@dataclass
class _Tally:
    """Counts while writing, and the place of every row that is damaged or a copy."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    planted: list[pa.Table] = field(default_factory=list)

    def add(self, kind: str, names: list[str] | tuple[str, ...], codes: Ints) -> None:
        for code, count in enumerate(np.bincount(codes).tolist()):
            if count:
                self.counts[kind, names[code]] += count

    def of(self, kind: str) -> dict[str, int]:
        return {name: count for (this, name), count in sorted(self.counts.items()) if this == kind}


def simulate(
    config: WorldConfig, out: Path, *, progress: Progress | None = None, plays_format: PlaysFormat = "csv"
) -> WorldSummary:
    """Write the world of `config` into `out/delivery` and `out/truth` and return what the delivery holds.

    `out` appears when everything in it is complete, or not at all. Memory holds about a day of plays and what of
    earlier days is still to be delivered. `progress` is called with a phrase and the share done, rising to 1.

    Raises `SourceError` if `out` already holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError("there is already something here", place=str(out), repair="Give a new or an empty folder.")
    report = progress or (lambda phrase, share: None)
    with _all_or_nothing(out.absolute()) as folder:
        report("people and titles", 0.0)
        summary = _write_world(make_truth(config), folder, report, plays_format)
    report("done", 1.0)
    return summary


@contextmanager
def _all_or_nothing(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` (absent or empty so far) if all goes well, and vanishes if not.

    What a killed attempt left behind is removed first.
    """
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "delivery").mkdir(parents=True)
    (partial / "truth").mkdir()
    try:
        yield partial
        partial.replace(out)
    except BaseException:  # an interrupt, too: no half of a world stays
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_world(truth: Truth, folder: Path, report: Progress, plays_format: PlaysFormat) -> WorldSummary:
    write_reference(truth, folder / "delivery")
    save_truth(truth, folder / "truth")
    tally = _Tally()
    for day, rows in _deliveries(truth, report):
        _write_day(truth, day, rows, folder / "delivery", plays_format, tally)
    pq.write_table(_planted(tally), folder / "truth" / "corruptions.parquet", compression="zstd")
    summary = _summary(truth, tally)
    (folder / "truth" / "summary.json").write_text(summary.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return summary


def _deliveries(truth: Truth, report: Progress) -> Iterator[tuple[int, Rows]]:
    """(UTC day, its rows in order of arrival) for every day on which something arrives."""
    config = truth.config
    first, waiting = day_number(config.start), _Waiting()
    for day, rows in _simulated_days(truth):
        report(f"plays of {date(1970, 1, 1) + timedelta(days=day)}", (day - first) / config.days)
        waiting.put(rows)
        yield from waiting.until(day)
    yield from waiting.until(max(waiting.by_day, default=first))


def _simulated_days(truth: Truth) -> Iterator[tuple[int, Rows]]:
    config = truth.config
    new = round(config.n_profiles * config.new_profile_share)
    scale = max(config.plays / FOUND / MEAN_PLAYS - new, 0.0) / expected_weight(truth)
    lists, state, number = Lists.of(truth.titles.genres), State.new(config.n_profiles), 0
    for day in range(day_number(config.start), day_number(config.start) + config.days):
        rng = stream(config, _SIMULATED_DAY, day)
        parts: list[Rows] = []
        if day - day_number(config.start) != config.empty_day:
            parts = list(plays_of(truth, Days.of(truth, lists, day), sessions_of(truth, day, scale, rng), state, rng))
        if parts:
            rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            yield day, delivered(rows, config, number, rng)
            number += len(rows["start"])


@dataclass
class _Waiting:
    """Rows that are still to arrive, by the UTC day on which they will."""

    by_day: dict[int, list[Rows]] = field(default_factory=dict)

    def put(self, rows: Rows) -> None:
        arrival = rows["arrives"] // DAY_MS
        for day in np.unique(arrival).tolist():
            chosen = np.flatnonzero(arrival == day)
            self.by_day.setdefault(day, []).append({name: values[chosen] for name, values in rows.items()})

    def until(self, last: int) -> Iterator[tuple[int, Rows]]:
        for day in sorted(day for day in self.by_day if day <= last):
            parts = self.by_day.pop(day)
            rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            order = np.lexsort((rows["copy"], rows["number"], rows["arrives"]))
            yield day, {name: values[order] for name, values in rows.items()}


def _write_day(truth: Truth, day: int, rows: Rows, folder: Path, kind: PlaysFormat, tally: _Tally) -> None:
    text = (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    blocks = (
        {name: values[at : at + BLOCK] for name, values in rows.items()} for at in range(0, len(rows["start"]), BLOCK)
    )
    name = write_plays(folder, text, (texts(block, truth) for block in blocks), kind)
    tally.counts["files", name] += len(rows["start"])
    copy, damage = rows["copy"], rows["damage"]
    tally.add("copy", COPIES, copy[copy > 0])
    tally.add("damage", KINDS, damage[damage > 0])
    tally.add("event", ("plays", "shown"), rows["event"])
    good = (rows["event"] == PLAY) & (copy == 0) & (damage == 0)
    tally.add("country", [country.code for country in truth.config.countries], rows["country"][good])
    days, counts = np.unique(rows["start"][good] // DAY_MS, return_counts=True)
    for start_day, count in zip(days.tolist(), counts.tolist(), strict=True):
        tally.counts["date", (date(1970, 1, 1) + timedelta(days=start_day)).isoformat()] += count
    ended = rows["start"] + 100 * rows["watched"]
    tally.counts["late", ""] += int((good & (rows["received"] - ended >= LATE_FROM)).sum())
    tally.planted.append(_places(name, rows))


def _places(name: str, rows: Rows) -> pa.Table:
    """One row per damaged or copied line of a file; the first data line is 1."""
    hit = np.flatnonzero((rows["copy"] > 0) | (rows["damage"] > 0))
    kinds = np.where(rows["copy"][hit] > 0, np.array(COPIES)[rows["copy"][hit]], np.array(KINDS)[rows["damage"][hit]])
    play_ids = numbered("p", rows["number"][hit], 10)
    return pa.table(
        {"file": pa.array([name] * len(hit), pa.string()), "line": hit + 1, "kind": pa.array(kinds, pa.string()),
         "play_id": play_ids}
    )  # fmt: skip


def _planted(tally: _Tally) -> pa.Table:
    schema = pa.schema([("file", pa.string()), ("line", pa.int64()), ("kind", pa.string()), ("play_id", pa.string())])
    return pa.concat_tables([schema.empty_table(), *tally.planted])


def _summary(truth: Truth, tally: _Tally) -> WorldSummary:
    damage, files = tally.of("damage"), tally.of("files")
    missing = damage.pop(KINDS[MISSING_USER], 0)
    by_country = tally.of("country")
    return WorldSummary(
        rows=sum(files.values()), plays=sum(by_country.values()), shown=tally.of("event").get("shown", 0),
        missing_user=missing, duplicates=tally.of("copy"), corrupt=damage, late=tally.counts["late", ""],
        plays_by_country=by_country, plays_by_date=tally.of("date"), files=files,
        profiles=len(truth.people.home), titles=len(truth.titles.quality), windows=len(truth.windows.title),
    )  # fmt: skip
