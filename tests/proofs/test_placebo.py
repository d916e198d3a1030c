"""What features know of the future: laws of the measure, planted leaks, honest features, and a real leak."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli_prove import prove
from rec_platform.clock import DAY, LAST_DAY, midnight
from rec_platform.contexts.extension import NoExtension
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import MissingInput
from rec_platform.flow import Platform, Window
from rec_platform.pipeline import Column, Level, Sources, Transformer
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.proofs import placebo
from rec_platform.proofs.placebo import MIN_NEW, Knowledge, Plays, controls, examined, low_end, partial, ranks, verdict
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


def whole_period(home: Path, *countries: str) -> Planted:
    platform = Platform(home)
    rows = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=LAST_DAY))
    plays = rows.read(
        "play_facts", [one for one in rows.published("play_facts") if one.place in countries or not countries]
    )
    titles, counts = np.unique(np.asarray(plays.column(c.TITLE)), return_counts=True)
    return Planted("plays_of_the_whole_period", titles, counts.astype(np.float64))


def looked_at(home: Path, first: date, *planted: Planted, countries: Sequence[str] = ()) -> Finding:
    platform = Platform(home)
    reader = platform.reader(*timeline_inputs(last=platform.index.last_day, cut=LAST_DAY))
    until = midnight(platform.index.last_day) + DAY
    return examined(
        reader, platform.settings, NoExtension(), midnight(first), until=until, countries=countries, planted=planted
    )


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


def test_of_a_few_titles_that_nobody_had_played_nothing_is_said() -> None:
    """Any two correlate by 1 or -1."""
    values = np.arange(MIN_NEW, dtype=np.float64)
    assert placebo._plain(values, values) == pytest.approx(1.0)
    assert np.isnan(placebo._plain(values[:-1], values[:-1]))
    assert np.isnan(placebo._plain(values[:0], values[:0]))


def test_the_low_end_is_missed_by_about_one_in_a_thousand() -> None:
    """Of 20,000 pairs without any relation, the share above the threshold that a low end of 0 means."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 20_000, 60))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    r = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    positive = np.mean([low_end(one, 60, 0) > 0 for one in r if one > 0]) * np.mean(r > 0)
    assert 0.0003 < positive < 0.0025


def test_the_low_end_holds_with_controls_ties_and_labels_that_are_mostly_nothing() -> None:
    """Features that are functions of the past and noise, against plays that only the past explains: 0.2 % of either sign."""
    rng = np.random.default_rng(5)
    n = 240
    past = rng.lognormal(size=(n, 6))
    label = rng.poisson(0.3 * past[:, 0]).astype(float)
    assert 0.5 < np.mean(label == 0) < 0.9
    basis = controls(past)
    ordered = np.stack([ranks(column) for column in past.T], axis=1)
    features = np.tanh(3 * (ordered - 0.5) @ rng.normal(size=(6, 4_000))) + rng.random(4_000) * rng.normal(
        size=(n, 4_000)
    )
    features[:, ::2] = features[:, ::2] > 1.5
    found = np.array([partial(one, label, basis) for one in features.T])
    assert np.nanstd(found) * np.sqrt(n - basis.shape[1] - 1) == pytest.approx(1.0, abs=0.04)
    assert 0.0005 < np.mean([low_end(one, n, basis.shape[1]) > 0 for one in found]) < 0.005


def log(at: int, countries: str = "US US US US") -> pa.Table:
    """Plays of title 5: one seen, one known too late, one just seen, one at the instant."""
    instants = ((c.PLAYED_AT, [at - DAY, at - DAY, at - 1, at]), (c.KNOWN_AT, [at - DAY, at, at - 1, at]))
    return pa.table(
        {
            c.TITLE: [5] * 4, c.PROFILE: range(4), c.COUNTRY: countries.split(), **dict(instants), c.WATCHED_MS: [10] * 4,
            c.ENGAGED: [1] * 4,
        }
    )  # fmt: skip


def test_known_facts_see_only_what_both_clocks_show() -> None:
    at = midnight(date(2025, 3, 10))
    rows = Plays.of(log(at))
    facts = rows.known_facts(at)[0]
    assert facts[:5].tolist() == [2, 2, 2, 2, 2]
    assert rows.between(at, at + DAY).tolist() == [1]


def test_the_past_of_a_country_stands_before_everybodys() -> None:
    at = midnight(date(2025, 3, 10))
    everybody = Plays.of(log(at)).known_facts(at)[0]
    rows = Plays.of(log(at, "DE US US US"), ["US"])
    assert rows.between(at, at + DAY).tolist() == [1]
    facts = rows.known_facts(at)[0]
    assert len(facts) == 2 * len(everybody)
    assert facts[:5].tolist() == [1, 1, 1, 1, 1]
    assert facts[len(everybody) :].tolist() == everybody.tolist()
    assert Plays.of(log(at, "US US US DE"), ["US"]).between(at, at + DAY).tolist() == [0]
    assert Plays.of(log(at), ["US"]).known_facts(at)[0].tolist() == everybody.tolist()


def test_of_many_titles_some_are_drawn_by_hash_with_all_their_plays() -> None:
    rows = pa.concat_tables([log(midnight(date(2025, 3, 10)))] * 50)
    rows = rows.set_column(rows.schema.get_field_index(c.TITLE), c.TITLE, pa.array(np.repeat(np.arange(50), 4)))
    some, others = Plays.of(rows, at_most=10, seed=1), Plays.of(rows, at_most=10, seed=2)
    assert (len(some.titles), len(some.title)) == (10, 40)
    assert np.bincount(some.title).tolist() == [4] * 10
    assert np.all(np.diff(some.titles) > 0) and set(some.titles.tolist()) != set(others.titles.tolist())
    assert np.array_equal(some.titles, Plays.of(rows, at_most=10, seed=1).titles)
    assert len(Plays.of(rows, at_most=50).titles) == 50


def knowing(knows: float, titles: int, controls: int) -> Knowledge:
    low = low_end(knows, titles, controls)
    return Knowledge("shown", knows, low, 0.0, 0.0, 0.0, 0.0, titles, titles - controls)


def test_titles_that_the_controls_use_up_judge_nothing() -> None:
    at = midnight(date(2025, 3, 10))
    few = verdict([knowing(0.99, 90, 79)], at, 1)
    assert (few.passed, few.observed) == (True, "not judged: 90 titles have a past, 99 are needed")
    assert verdict([knowing(0.99, 50, 10)], at, 1).observed.endswith("50 titles have a past, 60 are needed")
    assert not verdict([knowing(0.99, 99, 79)], at, 1).passed
    nothing = verdict([knowing(float("nan"), 99, 79)], at, 1)
    assert nothing.observed == "1 features know of the plays of 2025-03-10 what 99 titles' past tells; none says more"


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


def test_a_countrys_whole_period_count_is_caught_in_it_and_no_standard_feature_is(made: Path, last: date) -> None:
    first = last - timedelta(days=3)
    found = looked_at(made, first, whole_period(made, "US"), countries=["US"])
    assert not found.passed
    assert [row["feature"] for row in found.rows if row["leaks"]] == ["plays_of_the_whole_period"]
    few = looked_at(made, first, whole_period(made, "DE"), countries=["DE"])
    assert few.observed == "not judged: 64 titles have a past, 69 are needed"
    assert (few.passed, few.judged, found.judged) == (True, False, True)
    everywhere = looked_at(made, first, countries=["US", "DE"])
    assert repr(everywhere) == repr(looked_at(made, first))  # NaN is not NaN


def test_the_command_takes_countries_and_refuses_days_without_plays(made: Path, last: date) -> None:
    day, home = str(last - timedelta(days=3)), ["--home", str(made)]
    window = ["placebo", "--from", day, "--to", str(last), *home]
    done = CliRunner().invoke(prove, [*window, "--countries", "US"])
    assert done.exit_code == 0, done.output
    assert f"{day} to {last} for US" in done.output
    told = CliRunner().invoke(prove, [*window, "--countries", "US", "--json"]).stdout
    (proof,) = json.loads(told, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (proof["subject"], proof["judged"]) == (f"{day} to {last} for US", True)
    assert None in {row["knows"] for row in proof["rows"]}
    with pytest.raises(MissingInput, match=f"play_facts has no rows from {day} to {last} for FR"):
        CliRunner().invoke(prove, [*window, "--countries", "FR"], catch_exceptions=False)
    begins = str(Platform(made).index.first_day)
    early = CliRunner().invoke(prove, ["placebo", "--from", begins, "--to", begins, *home])
    assert early.exit_code == 0
    assert re.search(r"not judged +nobody had played before", early.output)
    assert "0 of 1 hold, 1 not judged" in early.output
    later = str(last + timedelta(days=60))
    with pytest.raises(MissingInput, match="play_facts has no rows"):
        CliRunner().invoke(prove, ["placebo", "--from", later, "--to", later, *home], catch_exceptions=False)


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
