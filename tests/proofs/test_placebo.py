"""What features know of the future: laws of the measure, planted leaks, honest features, and a real leak."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_platform import columns as c
from rec_platform.clock import DAY, LAST_DAY, midnight
from rec_platform.contexts.extension import NoExtension
from rec_platform.dmc12.frame import Frame
from rec_platform.flow import Platform, Window
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.proofs.placebo import Plays, controls, examined, low_end, partial, ranks
from rec_platform.proofs.verdict import Finding
from rec_platform.scoring.stage import timeline_inputs

KUAIRAND = Path(__file__).parents[3] / "shared" / "data" / "kuairand-pure-subset"
MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"


@dataclass(frozen=True, eq=False)
class Planted(Transformer):
    """A feature out of a table that somebody made of the whole log: one number per title."""

    feature: str
    titles: Any
    numbers: Any

    name = "planted"

    @property
    def reads(self) -> tuple[Column, ...]:
        return (Column(Level.ITEM, c.TITLE, pa.int64()),)

    @property
    def adds(self) -> tuple[Column, ...]:
        return (Column(Level.FEATURE, self.feature, pa.float32()),)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        place = np.searchsorted(self.titles, frame.item(c.TITLE)).clip(0, len(self.titles) - 1)
        found = np.where(self.titles[place] == frame.item(c.TITLE), self.numbers[place], np.nan)
        return frame.with_features({self.feature: found.astype(np.float32)})

    def to_json(self) -> dict[str, Any]:
        return {}


def whole_period(home: Path) -> Planted:
    platform = Platform(home)
    rows = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=LAST_DAY))
    plays = rows.read("play_facts", rows.published("play_facts"))
    titles, counts = np.unique(np.asarray(plays.column(c.TITLE)), return_counts=True)
    return Planted("plays_of_the_whole_period", titles, counts.astype(np.float64))


def looked_at(home: Path, first: date, *planted: Planted) -> Finding:
    platform = Platform(home)
    reader = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=LAST_DAY))
    until = midnight(platform.index.last_day) + DAY
    return examined(reader, platform.settings, NoExtension(), midnight(first), until=until, planted=planted)


# --- the measure -----------------------------------------------------------------------------------------------------


def test_what_is_wholly_explained_by_the_past_has_nothing_to_tell() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(300, 2))
    assert np.isnan(partial(known[:, 0], rng.normal(size=300), controls(known)))


def test_a_copy_of_the_label_knows_it_all_and_noise_knows_nothing() -> None:
    rng = np.random.default_rng(1)
    known, label = rng.normal(size=(2_000, 3)), rng.normal(size=2_000)
    basis = controls(known)
    assert partial(label, label, basis) == pytest.approx(1.0)
    assert abs(partial(rng.normal(size=2_000), label, basis)) < 0.1
    through_the_past = known[:, 0] + 0.1 * rng.normal(size=2_000)
    assert abs(partial(through_the_past, known[:, 0] ** 3 + 0.1 * rng.normal(size=2_000), basis)) < 0.1


def test_partial_is_the_textbook_formula_for_one_linear_control() -> None:
    """(r_ab - r_ac r_bc) / sqrt((1 - r_ac^2)(1 - r_bc^2)), Yule 1907."""
    rng = np.random.default_rng(2)
    control = rng.normal(size=500)
    a, b = control + rng.normal(size=500), control + rng.normal(size=500)
    r = np.corrcoef([ranks(a), ranks(b), ranks(control)])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    whole = np.stack([np.ones(500), ranks(control)], axis=1)
    basis = np.linalg.svd(whole, full_matrices=False)[0]
    assert partial(a, b, basis) == pytest.approx(expected, abs=1e-12)


def test_the_low_end_is_missed_by_about_one_in_a_thousand() -> None:
    """Of 20,000 pairs without any relation, the share above the threshold that a low end of 0 means."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 20_000, 60))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    r = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    positive = np.mean([low_end(one, 60, 0) > 0 for one in r if one > 0]) * np.mean(r > 0)
    assert 0.0003 < positive < 0.0025


def test_known_facts_see_only_what_both_clocks_show() -> None:
    at = midnight(date(2025, 3, 10))
    played = np.array([at - DAY, at - DAY, at - 1, at])
    known = np.array([at - DAY, at, at - 1, at])
    rows = Plays(
        np.array([5]), np.zeros(4, int), np.arange(4), np.array(["US"] * 4, dtype=object), played, known,
        np.full(4, 10), np.ones(4, int),
    )  # fmt: skip
    facts = rows.known_facts(at)[0]
    assert facts[:5].tolist() == [2, 2, 2, 2, 2]
    assert rows.between(at, at + DAY).tolist() == [1]


# --- simulated -------------------------------------------------------------------------------------------------------


def test_a_whole_period_count_is_caught_and_no_standard_feature_is(made: Path, last: date) -> None:
    first = last - timedelta(days=3)
    honest = looked_at(made, first)
    assert honest.passed, honest.observed
    assert len(honest.rows) >= 45
    assert {"knows", "placebo", "permuted", "jump"} <= honest.rows[0].keys()
    planted = looked_at(made, first, whole_period(made))
    assert not planted.passed
    assert [row["feature"] for row in planted.rows if row["leaks"]] == ["plays_of_the_whole_period"]


def test_an_honest_count_jumps_when_the_cut_moves_past_the_label_and_a_leak_does_not(made: Path, last: date) -> None:
    rows = {row["feature"]: row for row in looked_at(made, last - timedelta(days=3), whole_period(made)).rows}
    assert rows["country_title_plays_1d"]["jump"] > 0.5
    assert rows["plays_of_the_whole_period"]["jump"] == 0


# --- KuaiRand's own whole-period statistics ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.real_data
def test_kuairands_item_statistics_are_caught_and_no_standard_feature_is(tmp_path: Path) -> None:
    if not KUAIRAND.is_dir():
        pytest.skip("the KuaiRand subset does not stand beside the project")
    home = tmp_path / "home"
    home.mkdir()
    ingest(home, load_mapping(MAPPINGS / "kuairand.toml"), [KUAIRAND])
    platform = Platform(home)
    window = Window.checked(platform.index, platform.settings, platform.index.last_day, platform.index.last_day)
    for stage in ("reference", "raw_plays", "facts"):
        platform.run(stage, platform.needed(stage, window), run_id="placebo").raise_if_failed()
    statistics = pq.read_table(KUAIRAND / "item_features.parquet").sort_by("video_id")
    names = ("play_cnt", "show_cnt", "long_time_play_cnt", "like_cnt", "comment_cnt", "share_cnt")
    ids = np.asarray(statistics.column("video_id"))
    planted = [Planted(name, ids, np.asarray(statistics.column(name))) for name in names]
    found = looked_at(home, date(2022, 4, 28), *planted)
    assert {row["feature"] for row in found.rows if row["leaks"]} == set(names)
