"""Future-scramble through the whole flow: what could not be seen at 00:00 of a date changes nothing made for that date.

Three homes take in the same delivery up to a cut. What was not visible there (received or begun at the cut or later; titles,
profiles and offers told of later) is removed, corrupted or added to before ingest in two of them. Everything the flow makes
as of the cut has the same content hash and the same fingerprint in all of them.

One home goes easy on late plays of the training days: who played what, when and where stays, the rest of the row does
not. For such a play takes its title out of its contexts (decision 0026), so training sets may know of it by design.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from simulated_homes import fill, world

from rec_platform.flow import Platform, Window
from rec_platform.partition import Partition
from rec_platform.simulation import simulate

Row = dict[str, str]
Hashes = dict[tuple[str, str], tuple[str, str]]

CONFIG = world(plays=4_000, days=11, n_titles=100, empty_day=2, late_share=0.15)
TRAINING_DAYS = 3
CUT = CONFIG.start + timedelta(days=8)
TRAINED_FROM = CUT - timedelta(days=TRAINING_DAYS)
SETTINGS = f"""
countries = ["DE", "US"]
[rankers]
training_days = {TRAINING_DAYS}
n_trees = 5
"""
EARLY = ("profile_snapshot", "title_snapshot", "candidate_models")
LATER = ("contexts", "training_sets", "ranker_models", "recommendations")


# --- the scrambled delivery ------------------------------------------------------------------------------------------


class Scrambler:
    """A delivery in which everything not visible at the cut is another. `easy`: see the module."""

    def __init__(self, delivery: Path, *, easy: bool) -> None:
        self.delivery, self.easy, self.rng = delivery, easy, np.random.default_rng(5)
        self.users = [row["user_id"] for row in read_csv(delivery / "profiles.csv")]
        self.videos = [json.loads(line)["video_id"] for line in (delivery / "titles.jsonl").open(encoding="utf-8")]

    def write(self, out: Path) -> Path:
        out.mkdir()
        visible: list[Row] = []
        for file in sorted(self.delivery.glob("plays-*.csv")):
            rows = read_csv(file)
            visible += [row for row in rows if not hidden(row)]
            write_csv(out / file.name, [new for row in rows for new in self.play(row)], list(rows[0]))
        write_csv(out / "plays-added.csv", list(self.added(visible)), list(visible[0]))
        profiles, offers = read_csv(self.delivery / "profiles.csv"), read_csv(self.delivery / "availability.csv")
        write_csv(out / "profiles.csv", self.records(profiles, self.profile), list(profiles[0]))
        write_csv(out / "availability.csv", self.records(offers, self.offer), list(offers[0]))
        titles = [json.loads(line) for line in (self.delivery / "titles.jsonl").open(encoding="utf-8")]
        lines = [json.dumps(row) for row in self.records(titles, self.title)]
        (out / "titles.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return out

    def play(self, row: Row) -> Iterator[Row]:
        """What becomes of a delivered row: itself, or nothing, or others."""
        if not hidden(row):
            yield row
        elif self.easy and iso(TRAINED_FROM) <= row["start_time"] < iso(CUT):
            yield row | {
                "watch_seconds": "1.0",
                "device": "tablet",
                "session": "s-other",
                "received_time": self.later(),
            }
        elif self.rng.random() < 0.7:
            yield self.other(row)

    def other(self, row: Row) -> Row:
        """Another play in place of one: somebody's, of something, somewhere, still not visible at the cut."""
        country = str(self.rng.choice(["US", "DE", "FR"]))
        begun = self.moment(CUT, CUT + timedelta(days=2)) if self.rng.random() < 0.5 else self.early()
        return row | self.who_and_what() | {
            "country": country, "start_time": begun, "received_time": self.later(), "watch_seconds": "600.0"
        }  # fmt: skip

    def added(self, visible: list[Row]) -> Iterator[Row]:
        """Further plays: of known profiles, of unknown ones (also in training days), and changed copies of visible plays."""
        plays = [row for row in visible if row["event"] == "play" and row["user_id"]]
        for number, row in enumerate(self.rng.permutation(np.array(plays, dtype=object))[:400]):
            yield self.other(row) | {"play_id": f"added-{number}"}
            stranger = {"user_id": f"u9{number:06d}", "start_time": self.moment(CONFIG.start, CUT)}
            yield row | stranger | {"play_id": f"stranger-{number}", "received_time": self.later()}
            yield row | {
                "watch_seconds": "1.0",
                "video_id": str(self.rng.choice(self.videos)),
                "received_time": self.later(),
            }

    def early(self) -> str:
        """An instant before the cut, also before the first delivered day; none of a training day if `easy`."""
        return self.moment(CONFIG.start - timedelta(days=4), TRAINED_FROM if self.easy else CUT)

    def later(self) -> str:
        return self.moment(CUT + timedelta(days=2, hours=1), CUT + timedelta(days=3))

    def moment(self, first: date, end: date) -> str:
        start = midnight(first)
        seconds = (midnight(end) - start).total_seconds()
        return f"{(start + timedelta(seconds=int(self.rng.integers(seconds)))).isoformat()}.000Z"

    def who_and_what(self) -> Row:
        return {"user_id": str(self.rng.choice(self.users)), "video_id": str(self.rng.choice(self.videos))}

    def records(self, rows: list[Row], changed: Callable[[Row], Row]) -> list[Row]:
        """What was told before the cut stays; what was told later is changed, and everything gets a later revision."""
        kept = [row if row["known_time"] < iso(CUT) else changed(row) for row in rows if self.stays(row)]
        return [*kept, *(changed(row) | {"known_time": self.later()} for row in rows)]

    def stays(self, row: Row) -> bool:
        return row["known_time"] < iso(CUT) or bool(self.rng.random() < 0.5)

    def profile(self, row: Row) -> Row:
        return row | {"signup_time": self.moment(date(2019, 1, 1), CUT), "country": str(self.rng.choice(["FR", "US"]))}

    def title(self, row: Row) -> Row:
        return row | {"genres": ["opera"], "tags": ["changed"], "runtime_seconds": 60, "release_date": "1950-01-01"}

    def offer(self, row: Row) -> Row:
        return row | {"to_time": f"{midnight(CUT - timedelta(days=1)).isoformat()}.000Z"}


def hidden(row: Row) -> bool:
    """Whether a row was not visible at the cut: it had not come, or tells of a play that had not begun."""
    return row["received_time"] >= iso(CUT) or row["start_time"] >= iso(CUT)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def iso(day: date) -> str:
    return f"{day.isoformat()}T00:00:00.000Z"


def read_csv(file: Path) -> list[Row]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def write_csv(file: Path, rows: list[Row], names: list[str]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, names)
        writer.writeheader()
        writer.writerows(rows)


# --- the flow in each home -------------------------------------------------------------------------------------------


def make(home: Path, delivery: Path, *, all_stages: bool) -> Hashes:
    """Content hash and fingerprint by table and partition; without `all_stages` up to candidate models."""
    platform = Platform(fill(home, delivery.iterdir(), SETTINGS))
    window = Window.checked(platform.index, platform.settings, CUT, CUT + timedelta(days=1))
    stages = ["reference", "raw_plays", "facts", "feature_snapshots", "candidate_models"]
    for stage in [*stages, *(["training_sets", "ranker_models", "recommendations"] if all_stages else [])]:
        wanted = [part for part in platform.needed(stage, window) if stage not in LATER or as_of_the_cut(stage, part)]
        platform.run(stage, wanted, run_id="scramble").raise_if_failed()
    tables = ("play_facts", *EARLY, *(LATER if all_stages else ()))
    return {
        (table, partition.key): (state.content_hash, state.fingerprint)
        for table in tables
        for partition, state in platform.lake.state(table).items()
    }


def as_of_the_cut(stage: str, partition: Partition) -> bool:
    return partition.day < CUT if stage == "training_sets" else partition.day == CUT


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scramble")
    simulate(CONFIG, folder / "world")
    return folder / "world" / "delivery"


@pytest.fixture(scope="module")
def undisturbed(delivery: Path, tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    return make(tmp_path_factory.mktemp("undisturbed") / "home", delivery, all_stages=True)


@pytest.fixture(scope="module")
def scrambled(delivery: Path, tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    """Late plays of training days scrambled like all others."""
    folder = tmp_path_factory.mktemp("scrambled")
    return make(folder / "home", Scrambler(delivery, easy=False).write(folder / "delivery"), all_stages=False)


@pytest.fixture(scope="module")
def scrambled_easily(delivery: Path, tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    folder = tmp_path_factory.mktemp("easy")
    return make(folder / "home", Scrambler(delivery, easy=True).write(folder / "delivery"), all_stages=True)


def of(hashes: Hashes, table: str, first: date, last: date) -> Hashes:
    """Those of a table for days from `first` to `last`, in the two countries of the undisturbed home."""
    days = {(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)}
    return {
        (name, key): found
        for (name, key), found in hashes.items()
        if name == table and key[-10:] in days and not key.startswith("FR")
    }


@pytest.mark.parametrize("table", EARLY)
def test_snapshots_and_candidate_models_are_the_same(undisturbed: Hashes, scrambled: Hashes, table: str) -> None:
    expected = of(undisturbed, table, TRAINED_FROM, CUT)
    assert expected
    assert of(scrambled, table, TRAINED_FROM, CUT) == expected


@pytest.mark.parametrize("table", [*EARLY, *LATER])
def test_training_sets_rankers_and_recommendations_are_the_same(
    undisturbed: Hashes, scrambled_easily: Hashes, table: str
) -> None:
    expected = of(undisturbed, table, TRAINED_FROM, CUT)
    assert expected
    assert of(scrambled_easily, table, TRAINED_FROM, CUT) == expected


def test_the_scramble_reached_everything_after_the_cut(
    undisturbed: Hashes, scrambled: Hashes, scrambled_easily: Hashes
) -> None:
    """The same comparison a day later fails for every table and partition, so it can fail."""
    for other in (scrambled, scrambled_easily):
        for table in ("profile_snapshot", "title_snapshot", "candidate_models"):
            day_after = CUT + timedelta(days=1)
            before, after = of(undisturbed, table, day_after, day_after), of(other, table, day_after, day_after)
            assert before.keys() == after.keys() and before
            assert all(before[key][0] != after[key][0] for key in before)


def test_late_plays_of_days_before_the_cut_were_scrambled(
    undisturbed: Hashes, scrambled: Hashes, scrambled_easily: Hashes
) -> None:
    before = of(undisturbed, "play_facts", TRAINED_FROM, CUT - timedelta(days=1))
    for other in (scrambled, scrambled_easily):
        assert all(other[key][0] != found[0] for key, found in before.items())
