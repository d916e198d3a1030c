"""What `simulate` delivers: the same bytes for the same seed, and counts that add up."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rec_platform.errors import KeyRefused, SourceError
from rec_platform.simulation import WorldConfig, simulate
from rec_platform.simulation import files as files_module
from rec_platform.simulation.delivery import DAMAGES
from rec_platform.simulation.files import COLUMNS, NUMBERS

TINY = WorldConfig.small(plays=1_500, n_profiles=60, n_titles=60, days=9, empty_day=4, shown_per_play=1)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tmp_path):
    simulate(TINY, tmp_path / "a")
    simulate(TINY, tmp_path / "b")
    simulate(TINY.model_copy(update={"seed": 7}), tmp_path / "c")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    a, c = digests(tmp_path / "a" / "delivery"), digests(tmp_path / "c" / "delivery")
    assert all(a[name] != c[name] for name in a.keys() & c.keys())


def test_lines_add_up_to_the_summary(world):
    s, lines = world.summary, world.lines
    planted = s.missing_user + sum(s.duplicates.values()) + sum(s.corrupt.values())
    assert len(lines) == s.rows == s.plays + s.shown + planted
    assert lines.groupby("file").size().to_dict() == s.files
    assert (lines["event"] == "shown").sum() == s.shown > s.plays
    assert (lines["user_id"] == "").sum() == s.missing_user > 0
    assert lines.duplicated(list(COLUMNS)).sum() == sum(s.duplicates.values()) > 0
    assert lines.duplicated([*COLUMNS, "file"]).sum() == s.duplicates["duplicate_same_file"] > 0
    assert lines["play_id"].nunique() == s.rows - sum(s.duplicates.values())


def test_good_plays_add_up_by_country_and_date(world):
    plays, s = world.plays, world.summary
    assert len(plays) == s.plays
    assert plays.groupby("country").size().to_dict() == s.plays_by_country
    assert plays.groupby(plays["start_time"].dt.date.astype(str)).size().to_dict() == s.plays_by_date
    delay = plays["received_time"] - plays["start_time"] - pd.to_timedelta(plays["watch_seconds"] * 10, unit="s") / 10
    assert (delay >= pd.Timedelta(hours=1)).sum() == s.late


def test_each_damaged_line_stands_where_the_truth_says(world):
    planted = world.planted.merge(world.lines, on=["file", "line"], suffixes=("", "_line"), how="left")
    assert (planted["play_id"] == planted["play_id_line"]).all()
    for kind, column, text in DAMAGES:
        of_kind = planted[planted["kind"] == kind]
        assert len(of_kind) == world.summary.corrupt[kind] > 0
        assert (of_kind[column] == text).all()
        assert (world.lines[column] == text).sum() == len(of_kind)
    assert (planted.loc[planted["kind"] == "missing_user", "user_id"] == "").all()


def test_a_line_stands_in_the_file_of_its_reception_unless_it_is_a_later_copy(world):
    lines = world.lines.merge(world.planted[["file", "line", "kind"]], on=["file", "line"], how="left")
    own_day = lines["file"] == "plays-" + lines["received_time"].str[:10] + ".csv"
    assert (own_day == (lines["kind"] != "duplicate_later_file")).all()
    own = lines[own_day & (lines["kind"] != "duplicate_same_file")]
    assert own.groupby("file")["received_time"].apply(lambda times: times.is_monotonic_increasing).all()


def test_on_the_empty_day_nobody_plays_anywhere_but_late_plays_arrive(world):
    assert "2025-01-17" not in world.summary.plays_by_date
    assert len(world.summary.plays_by_date) == 34
    assert world.summary.files["plays-2025-01-17.csv"] > 0


def test_a_country_with_almost_no_plays(world):
    assert sorted(world.summary.plays_by_country) == ["BR", "DE", "JP", "LI", "US"]
    assert 0 < world.summary.plays_by_country["LI"] < 200
    assert min(count for code, count in world.summary.plays_by_country.items() if code != "LI") > 5_000


def test_the_number_of_plays_is_near_the_one_asked_for(world):
    assert abs(sum(world.summary.plays_by_country.values()) / world.truth.config.plays - 1) < 0.08


def test_the_three_formats_hold_the_same_texts(tmp_path):
    config = TINY.model_copy(update={"corrupt_share": 0.1})
    for kind in ("csv", "jsonl", "parquet"):
        simulate(config, tmp_path / kind, plays_format=kind)
    for path in sorted((tmp_path / "csv" / "delivery").glob("plays-*.csv")):
        csv = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
        parquet = pq.read_table(tmp_path / "parquet" / "delivery" / path.with_suffix(".parquet").name).to_pylist()
        assert [{name: value or "" for name, value in row.items()} for row in parquet] == csv
        text = (tmp_path / "jsonl" / "delivery" / path.with_suffix(".jsonl").name).read_text()
        for row, line in zip(csv, text.splitlines(), strict=True):
            assert same_as_json(row, json.loads(line))


def same_as_json(row: dict[str, str], parsed: dict[str, object]) -> bool:
    def same(name: str, text: str, value: object) -> bool:
        if name in NUMBERS and text not in ("", "twelve", "seven"):
            return isinstance(value, int | float) and float(text) == value
        return value == (text or None)

    return list(row) == list(parsed) and all(same(name, text, parsed[name]) for name, text in row.items())


@pytest.mark.parametrize(("plays", "days"), [(40, 1), (400, 2), (3_000, 3), (3_000, 40)])
def test_a_world_of_any_size_and_length(tmp_path, plays, days):
    config = WorldConfig.sized(plays, days)
    summary = simulate(config, tmp_path / "world")
    assert 0.6 * plays < summary.plays < 1.4 * plays
    assert len(summary.plays_by_date) == days - (config.empty_day is not None)
    assert config.empty_day == {1: None, 2: None, 3: 0, 40: 19}[days]


def test_progress_rises_to_one(tmp_path):
    seen: list[tuple[str, float]] = []
    simulate(TINY, tmp_path / "world", progress=lambda phrase, share: seen.append((phrase, share)))
    shares = [share for _, share in seen]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0
    assert len(seen) >= TINY.days
    assert any("2025-01-09" in phrase for phrase, _ in seen)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"already something here .*Give a new or an empty folder"):
        simulate(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_appears_when_writing_fails_and_the_next_attempt_is_whole(tmp_path, monkeypatch):
    simulate(TINY, tmp_path / "whole")
    calls = iter(range(4))

    def fail_at_the_end(*arguments):
        if next(calls, None) is None:
            raise OSError("disk full")
        return files_module.write_plays(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("rec_platform.simulation.generate.write_plays", fail_at_the_end)
        with pytest.raises(OSError, match="disk full"):
            simulate(TINY, tmp_path / "world")
    assert not (tmp_path / "world").exists()
    simulate(TINY, tmp_path / "world")
    assert digests(tmp_path / "world") == digests(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole", "world"]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**40), days=st.integers(1, 5), plays=st.integers(1, 300), n_profiles=st.integers(5, 80),
    shares=st.tuples(*[st.sampled_from([0.0, 0.01, 0.2])] * 4), shown=st.integers(0, 3), empty=st.booleans(),
)  # fmt: skip
def test_counts_add_up_in_any_world(tmp_path_factory, seed, days, plays, n_profiles, shares, shown, empty):
    config = WorldConfig(
        seed=seed, days=days, plays=min(plays, 2 * n_profiles * days), n_profiles=n_profiles, n_titles=20,
        empty_day=0 if empty else None, shown_per_play=shown, late_share=shares[0], duplicate_share=shares[1],
        corrupt_share=shares[2], missing_user_share=shares[3],
    )  # fmt: skip
    out = tmp_path_factory.mktemp("any") / "world"
    s = simulate(config, out)
    found = sum(len(path.read_text().splitlines()) - 1 for path in (out / "delivery").glob("plays-*.csv"))
    planted = pd.read_parquet(out / "truth" / "corruptions.parquet")["kind"].value_counts().to_dict()
    assert found == s.rows == s.plays + s.shown + sum(planted.values())
    expected = s.corrupt | s.duplicates | ({"missing_user": s.missing_user} if s.missing_user else {})
    assert planted == expected
    assert shares[0] > 0 or s.late == 0
    assert not (empty and "2025-01-01" in s.plays_by_date)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"empty_day": 35}, "empty_day 35 lies outside the 35 days"),
        ({"shown_per_play": 12}, "must be below page_rows"),
        ({"plays": 1_000_000}, "plays per profile and day, at most"),
        ({"n_profiles": 2, "plays": 10}, "countries fix 3 profiles"),
        ({"countries": [{"code": "*", "time_zone": "UTC"}]}, "is not a country"),
        ({"countries": [{"code": "FR", "time_zone": "Europe/Atlantis"}]}, "is not a time zone"),
        ({"countries": [{"code": "FR", "time_zone": "UTC"}] * 2}, "named twice"),
        ({"sead": 1}, "sead"),
    ],
)
def test_an_impossible_world_is_refused_with_the_reason(changes, message):
    with pytest.raises((ValidationError, KeyRefused), match=message):
        WorldConfig.small(**changes)
