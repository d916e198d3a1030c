"""Judging a plain log: by hand on five titles, against a slow count on random logs, and on published data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli import app
from rec_platform.cli_protocol import rows_of
from rec_platform.errors import ConfigError, KeyRefused
from rec_platform.protocols import (
    GlobalTime,
    Interactions,
    LeaveOneOut,
    RandomPerProfile,
    Result,
    judged,
    of_plays,
    read_sequences,
)
from rec_platform.tables import INSTANT
from rec_platform.terminal import in_numbers

BEAUTY = Path(__file__).parents[3] / "shared" / "data" / "s3rec-beauty" / "Beauty.txt"


def value(result: Result, model: str, metric: str, k: int = 0) -> float:
    (row,) = (
        row
        for row in result.rows.to_pylist()
        if (row[c.MODEL], row[c.METRIC], row[c.CUTOFF], row[c.SLICE]) == (model, metric, k, "all")
    )
    return float(row[c.VALUE])


def sequences(*lines: str) -> Interactions:
    pairs = [(line.split()[0], title) for line in lines for title in line.split()[1:]]
    who, what = zip(*pairs, strict=True)
    return Interactions.of(pa.array(who), pa.array(what), None)


def test_popularity_by_hand() -> None:
    # Training: a 3 times, b 2, c 1, d 1. Judged: x has c left (b, c, d are not played by x: b > c = d), y has b (b, c, d).
    log = sequences("x a c", "y a b", "z a b b", "v c d a", "w d b")
    result = judged(log, LeaveOneOut(), models=("popularity",), cutoffs=(1, 2), replicates=0)
    # training counts: a 3 (x, y, z), b 1 (z), c 1 (v), d 2 (v, w); judged: x c, y b, z b (played: dropped), v a, w b.
    # x: of b 1, c 1, d 2 the judged c shares ranks 2 and 3 with b; y: b likewise; v: of a 3, b 1 it is a, rank 1;
    # w: of a 3, b 1, c 1 it is b, ranks 2 and 3.
    mean = (3 * (1 / 2 + 1 / 3) / 2 + 1) / 4
    assert value(result, "popularity", "mrr") == pytest.approx(mean)
    assert value(result, "popularity", "hit_rate", 2) == pytest.approx((3 / 2 + 1) / 4)
    assert value(result, "ceiling", "mrr") == 1.0
    assert (result.counts["judged profiles"], result.counts["judged dropped as seen"]) == (4, 1)


def slow(log: Interactions, split: LeaveOneOut | RandomPerProfile, seen: str, cold: str) -> list[float]:
    """Reciprocal rank of the first judged title by popularity, ties by the mean over all orders, profile by profile."""
    parts = split(log)
    trained = [(int(p), int(t)) for p, t in zip(log.profile[parts.train], log.title[parts.train], strict=True)]
    counts = {title: sum(other == title for _, other in trained) for title in {t for _, t in trained}}
    out = []
    for profile in range(len(log.profiles)):
        mine = {t for p, t in trained if p == profile}
        wanted = {int(t) for t in log.title[parts.test & (log.profile == profile)]}
        if cold == "drop":
            wanted = {t for t in wanted if t in counts} if mine else set()
        if seen == "drop":
            wanted -= mine
        if not wanted:
            continue
        ranked = {t: n for t, n in counts.items() if not (seen == "drop" and t in mine)}
        reached = [t for t in wanted if t in ranked]
        if not reached:
            out.append(0.0)
            continue
        best = max(ranked[t] for t in reached)
        above = sum(n > best for n in ranked.values())
        level = [t for t, n in ranked.items() if n == best]
        hits = sum(t in wanted for t in level)
        draws = np.random.default_rng(0)
        orders = [draws.permutation(len(level)) for _ in range(4000)]
        first = [min(order[:hits]) for order in orders]
        out.append(float(np.mean([1 / (above + 1 + place) for place in first])))
    return out


@pytest.mark.parametrize(("seen", "cold"), [("drop", "drop"), ("keep", "keep"), ("drop", "keep"), ("keep", "drop")])
@pytest.mark.parametrize("split", [LeaveOneOut(), RandomPerProfile(0.4, 3)], ids=lambda one: one.name)
def test_against_a_slow_count(split: LeaveOneOut | RandomPerProfile, seen: str, cold: str) -> None:
    draws = np.random.default_rng(11)
    who, what = draws.integers(0, 25, 140), draws.zipf(1.6, 140) % 17
    log = Interactions.of(pa.array(who), pa.array(what), np.arange(140))
    result = judged(log, split, models=("popularity",), seen=seen, cold=cold, replicates=0)  # type: ignore[arg-type]
    expected = slow(log, split, seen, cold)
    assert value(result, "popularity", "mrr") == pytest.approx(np.mean(expected), abs=0.01)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(3)
    log = Interactions.of(pa.array(draws.integers(0, 30, 300)), pa.array(draws.integers(0, 40, 300)), np.arange(300))
    models = ("popularity", "collaborative", "last_played")
    whole = judged(log, GlobalTime(), models=models, replicates=5).rows
    monkeypatch.setattr("rec_platform.protocols.judge.CHUNK", 100)
    parts = judged(log, GlobalTime(), models=models, replicates=5).rows
    assert str(parts.to_pylist()) == str(whole.to_pylist())


def test_columns_are_named_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "log.tsv"
    file.write_text("user\titem\nx\ta\nx\tb\ny\tb\ny\ta\n")
    asked = ["protocol", str(file), "--models", "popularity", "--json", "--columns"]
    done = CliRunner().invoke(app, [*asked, "user, item", "--separator", "\\t"])
    assert done.exit_code == 0
    assert [row["n"] for row in json.loads(done.stdout)] == [2, 2, 2]
    for columns in ("user,user", "user", ""):
        refused = CliRunner().invoke(app, [*asked, columns, "--separator", "\\t"])
        assert isinstance(refused.exception, KeyRefused)
        assert "is not who, what, when" in refused.exception.fault


def test_what_was_played_last_is_found_where_repeats_are_kept() -> None:
    log = sequences("x a b b", "y c a a", "z b c c")
    result = judged(log, LeaveOneOut(), models=("last_played",), seen="keep", replicates=0)
    assert value(result, "last_played", "mrr") == 1.0


def test_it_says_what_leaks_and_by_which_rules() -> None:
    log = Interactions.of(pa.array([1, 1, 2, 2]), pa.array([5, 6, 6, 5]), np.array([1, 2, 3, 4]))
    result = judged(log, LeaveOneOut(), models=("popularity",), seen="keep", replicates=0)
    assert "other profiles" in result.leaks
    assert result.foreknowledge == pytest.approx(1 / 4)
    assert (result.protocol.seen, result.protocol.cold) == ("keep", "dropped")
    assert result.protocol.split == "leave-one-out [leaks]"
    assert all("[leaks]" in row["rules"] for row in result.rows.to_pylist())


def test_plays_of_the_lake() -> None:
    plays = pa.table({
        c.PROFILE: [7, 7, 8, 8], c.TITLE: [1, 2, 2, 1],
        c.PLAYED_AT: pa.array([1, 2, 3, 4], pa.int64()).cast(INSTANT),
    })  # fmt: skip
    log = of_plays(plays)
    assert log.timed
    assert log.profiles == ("7", "8")


def test_rows_given_twice_are_counted_and_judge_nothing_where_seen_titles_leave() -> None:
    """Delivered twice, the last interaction of everybody is in the training part, too."""
    who, what, when = [1, 1, 2, 2], [5, 6, 6, 5], [1, 2, 3, 4]
    twice = Interactions.of(pa.array(who * 2), pa.array(what * 2), np.array(when * 2))
    assert twice.given_twice == 4
    with pytest.raises(ConfigError, match="nothing is left") as fault:
        judged(twice, LeaveOneOut(), models=("popularity",), replicates=0)
    assert "2 judged dropped as seen, 4 rows given twice" in fault.value.repair
    once = Interactions.of(pa.array(who), pa.array(what), np.array(when))
    assert judged(once, LeaveOneOut(), models=("popularity",), replicates=0).counts["rows given twice"] == 0
    assert sequences("x a a", "y b a").given_twice == 0


def test_a_terminal_shows_the_best_first_and_no_nan() -> None:
    draws = np.random.default_rng(3)
    log = Interactions.of(pa.array(draws.integers(0, 30, 300)), pa.array(draws.zipf(1.5, 300) % 40), np.arange(300))
    rows = rows_of(judged(log, GlobalTime(), models=("collaborative", "popularity"), replicates=5))
    assert rows[-1]["model"] == "ceiling"
    values = [row["map"].value for row in rows[:-1]]
    assert values == sorted(values, reverse=True)
    single = rows_of(
        judged(sequences("x a b", "y b c", "z a c b"), LeaveOneOut(), models=("popularity",), cutoffs=(2,))
    )
    assert "nan" not in "".join(str(cell) for row in single for cell in row.values())
    assert "no verdict" in str(single[0]["map"])
    assert {"low": None, "high": None}.items() <= in_numbers(single)[0]["map"].items()


def test_nothing_left_and_models_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="no model to judge"):
        judged(sequences("x a b", "y b a", "z a b"), LeaveOneOut(), models=(), seen="keep")
    with pytest.raises(ConfigError, match="nothing is left"):
        judged(sequences("x a", "y b"), LeaveOneOut())
    with pytest.raises(ConfigError, match="no model 'magic'"):
        judged(sequences("x a b", "y b a", "z a b"), LeaveOneOut(), models=("magic",), seen="keep")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not BEAUTY.exists(), reason="the Beauty sequences are not beside the project")
def test_beauty_as_its_published_tables_cut_it() -> None:
    log = read_sequences(BEAUTY)
    assert (len(log), len(log.profiles), len(log.titles)) == (198_502, 22_363, 12_101)
    result = judged(log, LeaveOneOut(), models=("popularity",), cutoffs=(10,), replicates=0)
    assert result.counts["judged profiles"] == 22_311
    assert value(result, "popularity", "hit_rate", 10) == pytest.approx(0.0136, abs=0.0002)
