"""From a feature file to metrics on old dates: the trial computes what the flow would store, and writes nothing."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from simulated_homes import TO_SCORES, fill, run, world
from typer.testing import CliRunner

from rec_platform import columns as c
from rec_platform.cli import app
from rec_platform.clock import DAY, HOUR, iso, midnight
from rec_platform.contexts.stage import read_timeline
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import ConfigError, KeyRefused, MissingInput, NumericError
from rec_platform.evaluation import evaluate, metric_rows
from rec_platform.flow import Platform, travel
from rec_platform.flow.travel import travelled
from rec_platform.flow.trial import Trial, alone, examined, sought_in_vain, spearman, trained
from rec_platform.flow.trial.trial import read_frame, with_added
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources
from rec_platform.simulation import simulate
from rec_platform.tables import SCORES_TABLE, TABLES, TRAINING_SETS

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "features" / "binge.py"
CONFIG = world(plays=4_000, days=9, n_titles=80)
LAST = CONFIG.start + timedelta(days=CONFIG.days - 1)
EVE = LAST - timedelta(days=1)
SETTINGS = "[rankers]\ntraining_days = 3\nn_trees = 5\n[evaluation]\nreplicates = 40\n"
IDEAS = """
import numpy as np
from rec_platform.features import encoder

@encoder(unit="plays", about="nothing at all")
def flat_line(title_plays_7d):
    return 0 * title_plays_7d + 3.0

@encoder(unit="plays", about="a known feature in other units")
def doubled(country_title_plays_7d):
    return 2 * country_title_plays_7d + 1

@encoder(unit="plays", about="of the profile alone")
def of_profile(profile_plays_7d):
    return np.sqrt(profile_plays_7d)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    simulate(CONFIG, folder / "world")
    home = fill(folder / "home", (folder / "world" / "delivery").iterdir(), SETTINGS)
    run(home, EVE, LAST, TO_SCORES)  # What a trial reads, and scores to compare with.
    return home


@pytest.fixture(scope="module")
def ideas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ideas") / "ideas.py"
    file.write_text(IDEAS, encoding="utf-8")
    return file


def versions(home: Path) -> dict[str, int | None]:
    lake = Platform(home).lake
    return {spec.name: lake.version(spec.name) for spec in TABLES}


def stored(home: Path, partition: Partition) -> Frame:
    return flat(Platform(home).lake.read(TRAINING_SETS.name, [partition], TRAINING_SETS.schema.names))


def auc_by_hand(values: np.ndarray, label: np.ndarray) -> float | None:
    won = [(a > b) + 0.5 * (a == b) for a in values[label > 0] for b in values[label <= 0]]
    return float(np.mean(won)) if won else None


def test_a_trial_computes_what_the_flow_then_stores(home: Path) -> None:
    """Named in the settings, the file makes training sets of the same columns, to the bit."""
    looked = Trial.of(home, EXAMPLE, LAST, LAST)
    reader = looked.reader(LAST)
    partition = Partition(LAST, "US")
    frame = read_frame(reader, partition)
    timeline = read_timeline(reader, looked.settings, until=LAST, features=looked.features.select(looked.added))
    tried = with_added(looked, frame, Sources(timeline)).features
    (home / "platform.toml").write_text(f"{SETTINGS}[features]\nfiles = ['{EXAMPLE}']\n", encoding="utf-8")
    try:
        Platform(home).run("training_sets", [partition], run_id="named").raise_if_failed()
        made = stored(home, partition).features
        assert looked.added == ("binge_share", "binge_pace")
        for name in looked.added:
            np.testing.assert_array_equal(tried.column(name).to_numpy(), made.column(name).to_numpy())
        assert Trial.of(home, EXAMPLE, LAST, LAST).added == looked.added  # a file in use can be tried, too
    finally:
        (home / "platform.toml").write_text(SETTINGS, encoding="utf-8")
        Platform(home).run("training_sets", [partition], run_id="back").raise_if_failed()


def test_the_numbers_of_a_feature_are_those_of_its_values(home: Path) -> None:
    before = versions(home)
    found = {one.name: one for one in examined(Trial.of(home, EXAMPLE, EVE, LAST))}["binge_pace"]
    assert versions(home) == before
    frames = [stored(home, Partition(day, country)) for day in (EVE, LAST) for country in ("DE", "US")]
    assert found.rows == sum(frame.n_items for frame in frames)
    assert 0 < found.missing < 1
    assert found.quantiles[0] <= found.quantiles[3] <= found.quantiles[-1] <= 1
    there = (found.engaged.sum(), found.others.sum())
    assert all(0 < share <= 1 for share in there)
    value, low, high, contexts = found.auc[""]
    assert low < value < high
    assert contexts == sum(found.auc[country][3] for country in ("DE", "US"))
    assert found.flags == ()


def test_the_power_alone_is_the_auc_by_hand(home: Path) -> None:
    """Of a stored feature, declared anew under another name; contexts weigh 1 / inclusion probability."""
    looked = Trial.of(home, EXAMPLE, LAST, LAST, ("US",))
    frame = stored(home, Partition(LAST, "US"))
    values = np.asarray(frame.features.column("country_title_plays_28d"), dtype=np.float64)
    label, chance = frame.item(c.LABEL), frame.context(c.INCLUSION_PROBABILITY)
    by_hand = [
        (auc_by_hand(values[a:b], label[a:b]), 1 / chance[i])
        for i, (a, b) in enumerate(zip(frame.offsets[:-1], frame.offsets[1:], strict=True))
    ]
    held = [(auc, weight) for auc, weight in by_hand if auc is not None]
    wanted = np.average([auc for auc, _ in held], weights=[weight for _, weight in held])
    value, _, _, contexts = alone._aucs(looked, values, frame, label > 0)["US"]
    assert contexts == len(held)
    assert value == pytest.approx(wanted, abs=1e-12)


def test_what_adds_nothing_is_flagged(home: Path, ideas: Path) -> None:
    found = {one.name: one for one in examined(Trial.of(home, ideas, LAST, LAST))}
    assert found["flat_line"].flags == ("constant",)
    assert found["flat_line"].auc[""][0] == 0.5
    assert found["doubled"].flags == ("orders items as country_title_plays_7d does",)
    assert found["doubled"].correlation == pytest.approx(1.0)
    assert found["of_profile"].flags[-1].startswith("one value per context")


def test_a_feature_that_knows_the_answer_is_flagged(home: Path, ideas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared feature cannot; so the label is planted where the new columns come from."""

    def planted(_trial: Trial, frame: Frame, _sources: object) -> Frame:
        noise = np.random.default_rng(1).normal(0, 0.05, frame.n_items)
        return frame.with_features(dict.fromkeys(_trial.added, (frame.item(c.LABEL) + noise).astype(np.float32)))

    monkeypatch.setattr(alone, "with_added", planted)
    for one in examined(Trial.of(home, ideas, EVE, LAST)):
        assert any(flag.startswith(f"too good: {one.name} AUC") for flag in one.flags)


def test_a_text_that_nothing_has_is_named_with_those_there_are(home: Path, tmp_path: Path) -> None:
    """Of the texts a filter looks for: one of another case, one that is there, a piece of no name, and a device nobody has."""
    file = tmp_path / "rare.py"
    file.write_text(
        "from rec_platform.features import Fact, encoder\n"
        "WHERE = \"'Drama' in genres or 'drama' in genres or 'zzz' in name or device not in ('tv', 'TV')\"\n"
        "rare = Fact('rare', 'title', 'plays', '7d', where=WHERE)\n"
        "@encoder(unit='plays', about='plays of what is there')\n"
        "def of_rare(rare):\n    return rare\n",
        encoding="utf-8",
    )  # fmt: skip
    genre, name, device = sought_in_vain(Trial.of(home, file, LAST, LAST))
    lake = Platform(home).lake
    genres = Counter(one for row in lake.read("titles").column("genres").to_pylist() for one in row)
    assert genre.there[0] == "drama" and set(genre.there) <= set(genres) and genre.of == len(genres)
    assert str(genre).startswith("rare: no title has 'Drama' in genres; there are: drama, ")
    assert (name.sought.text, name.sought.piece) == ("zzz", True) and "anywhere in its name" in str(name)
    devices = set(lake.read("play_facts", columns=["device"]).column("device").to_pylist()) - {None}
    assert (device.sought.text, device.there[0], set(device.there)) == ("TV", "tv", devices)
    command = ["features", "try", str(file), "--from", str(LAST), "--to", str(LAST), "--home", str(home)]
    assert f"note {device}" in CliRunner().invoke(app, command).stderr
    said = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["absent"]
    assert [(one["fact"], one["column"], one["text"]) for one in said] == [
        ("rare", "genres", "Drama"), ("rare", "name", "zzz"), ("rare", "device", "TV")
    ]  # fmt: skip


def test_a_feature_without_information_changes_no_metric(home: Path, tmp_path: Path) -> None:
    """And the ranker without it is the published one: the same numbers for the same day."""
    file = tmp_path / "constant.py"
    file.write_text(IDEAS.split('@encoder(unit="plays", about="a known')[0], encoding="utf-8")
    result = trained(Trial.of(home, file, LAST, LAST), max_items=500_000)
    assert (result.ranker, result.days, result.left_out) == ("xgboost", (LAST,), {})
    rows = result.differences(min_contexts=2)
    assert {row["difference"] for row in rows} == {0.0}
    scores = Platform(home).lake.read(SCORES_TABLE.name, [Partition(LAST, "US")], SCORES_TABLE.schema.names)
    judged = metric_rows(evaluate(flat(scores), seed=1, models=("xgboost",), replicates=0)).to_pylist()
    wanted = next(row for row in judged if (row[c.METRIC], row[c.MODEL], row[c.SLICE]) == ("nmrr", "xgboost", "all"))
    mine = next(row for row in rows if (row[c.METRIC], row[c.SLICE_VALUE]) == ("nmrr", "US"))
    assert mine["value_b"] == wanted[c.VALUE]


def test_from_idea_to_metrics_in_one_command(home: Path, tmp_path: Path) -> None:
    before, out = versions(home), tmp_path / "tried.html"
    options = ["--from", str(EVE), "--to", str(LAST), "--home", str(home)]
    done = CliRunner().invoke(app, ["features", "try", str(EXAMPLE), *options, "--train", "--json", "--out", str(out)])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [one["name"] for one in said["features"]] == ["binge_share", "binge_pace"]
    assert said["ranker"] == "xgboost"
    whole = {(row["metric"], row["k"]): row for row in said["differences"] if row["slice"] == "all"}
    assert set(whole) == {("nmrr", 0), ("ndcg", 10), ("recall", 10), ("mrr", 0)}
    assert all(row["low"] <= row["difference"] <= row["high"] for row in whole.values())
    assert versions(home) == before
    page = out.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://creativecommons", "").replace(
        "http://purl", ""
    )
    table = CliRunner().invoke(app, ["features", "try", str(EXAMPLE), *options])
    assert "binge_pace" in table.stdout and "Ranking power alone" in table.stdout


def test_travel_shows_the_plays_behind_each_fact(home: Path) -> None:
    frame = stored(home, Partition(LAST, "US"))
    profile, at = int(frame.context(c.PROFILE)[-1]), int(frame.context(c.AT)[-1])
    found = travelled(home, profile=str(profile), title="", country="", as_of=at)
    plays = {row["name"]: row for row in found.rows() if row["what"] == "fact"}
    assert plays["profile_plays_7d"]["plays"] and plays["profile_plays_7d"]["until"] == iso(at)
    assert len(plays["profile_plays_7d"]["plays"]) == float(plays["profile_plays_7d"]["value"])
    assert sum(plays["title_plays_28d"]["per_day"].values()) == float(plays["title_plays_28d"]["value"])
    assert plays["title_plays_28d"]["until"] == iso(at // DAY * DAY)
    features = {row["name"]: row for row in found.rows() if row["what"] == "feature"}
    assert features["profile_trend"]["reads"] == "profile_plays_7d, profile_plays_28d"
    # the context's own play begins at the very instant: never counted, always shown
    own = [row[""] for row in found.play_rows(2) if row[""].startswith("left out")]
    assert "left out: begins at the very instant" in own
    said = CliRunner().invoke(app, ["travel", "--profile", str(profile), "--as-of", iso(at), "--home", str(home)])
    assert said.exit_code == 0, said.output
    assert "begins at the very instant" in " ".join(said.stdout.split())
    # January: five hours behind UTC in New York
    there = f"{datetime.fromisoformat(iso(at - 5 * HOUR)):%a %Y-%m-%d %H:%M:%S} (America/New_York)"
    assert f"as of {iso(at)}, local time {there}" in " ".join(said.stdout.split())
    assert {row["name"]: row["value"] for row in found.rows()}["local_time"] == there


def test_the_numbers_of_travel_in_json_are_those_of_the_training_set(home: Path) -> None:
    frame = stored(home, Partition(LAST, "US"))
    asked = ["--profile", str(int(frame.context(c.PROFILE)[-1])), "--as-of", iso(int(frame.context(c.AT)[-1]))]
    asked += ["--title", str(int(frame.items.column(c.TITLE)[-1].as_py())), "--home", str(home), "--json"]
    rows = json.loads(CliRunner().invoke(app, ["travel", *asked]).stdout)
    # The device of a context is not known to travel.
    features = {row["name"]: row["value"] for row in rows if row["what"] == "feature" and row.get("reads") != "device"}
    made = {name: frame.features.column(name)[-1].as_py() for name in frame.features.column_names}
    assert features == {name: made[name] if made[name] == made[name] else None for name in features}
    assert any(value and len(str(value)) > 8 for value in features.values())  # more than six digits
    facts = {row["name"]: row for row in rows if row["what"] == "fact"}
    assert (
        facts["profile_plays_7d"]["value"]
        == facts["profile_plays_7d"]["n_plays"]
        == len(facts["profile_plays_7d"]["plays"])
    )
    assert facts["profile_plays_7d"]["n_left_out"] == len(facts["profile_plays_7d"]["left_out"]) > 0
    assert facts["profile_last_played_at"]["value"] == facts["profile_last_played_at"]["plays"][-1]["played_at"]


def test_travel_shows_first_plays_behind_a_first_play_and_earlier_ones_per_day(home: Path) -> None:
    frame = stored(home, Partition(LAST, "US"))
    found = travelled(home, profile=str(int(frame.context(c.PROFILE)[-1])), title="", country="", as_of=midnight(LAST))
    (first,) = (one for one in found.facts if one.fact.name == "platform_first_played_at")
    rows = [row for row in found.play_rows(2) if row["facts"] == first.fact.name or not row["facts"]]
    at = next(place for place, row in enumerate(rows) if row["facts"] == first.fact.name)
    assert rows[at]["played at"] == iso(first.value)[:19].replace("T", " ")
    assert rows[at + 2][""].startswith(f"and {first.plays.num_rows - 2} later; per day: ")
    earlier = next(one for one in found.facts if one.fact.name == "profile_plays_90d")
    said = next(
        row[""] for row in found.play_rows(2) if row[""].startswith(f"and {earlier.plays.num_rows - 2} earlier")
    )
    if "..." not in said:
        assert (
            sum(int(part.split()[-1]) for part in said.split("per day: ")[1].split(", ")) == earlier.plays.num_rows - 2
        )
    assert len(travelled(home, profile=str(int(frame.context(c.PROFILE)[-1])), title="", country="", as_of=midnight(LAST),
                         files=[EXAMPLE]).facts) > len(found.facts)  # fmt: skip


def test_travel_goes_where_plays_were_delivered(home: Path) -> None:
    frame = stored(home, Partition(LAST, "US"))
    asked = {"profile": str(int(frame.context(c.PROFILE)[-1])), "title": ""}
    with pytest.raises(KeyRefused, match="no plays of ZZ"):
        travelled(home, **asked, country="ZZ", as_of=midnight(LAST))
    with pytest.raises(KeyRefused, match="outside of what was delivered"):
        travelled(home, **asked, country="", as_of=midnight(LAST) + 400 * DAY)


def test_travel_refuses_numbers_that_the_plays_do_not_give(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, honest = stored(home, Partition(LAST, "US")), travel.compute
    profile, at = int(frame.context(c.PROFILE)[-1]), int(frame.context(c.AT)[-1])

    def one_more(*given: object, **asked: object) -> dict[str, np.ndarray]:
        return {n: values + (n == "profile_plays_7d") for n, values in honest(*given, **asked).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(travel, "compute", one_more)
    with pytest.raises(NumericError, match=r"fact 'profile_plays_7d' is .*, but the plays behind it give"):
        travelled(home, profile=str(profile), title="", country="", as_of=at)


def test_days_that_cannot_be_tried_are_named(home: Path, ideas: Path) -> None:
    first = CONFIG.start
    with pytest.raises(MissingInput, match=f"no training sets are published for {first}"):
        examined(Trial.of(home, ideas, first, first))
    with pytest.raises(
        MissingInput, match=rf"no day can be trained for: {LAST - timedelta(days=2)}: no contexts|usable training days"
    ):
        trained(Trial.of(home, ideas, LAST - timedelta(days=2), LAST - timedelta(days=2)))


def test_a_file_with_faults_is_not_tried(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "faulty.py"
    file.write_text(IDEAS.replace("title_plays_7d)", "titel_plays_7d)"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 6: encoder 'flat_line'.*titel_plays_7d"):
        Trial.of(home, file, LAST, LAST)


def test_rank_correlation_shares_ranks_among_equal_values() -> None:
    assert spearman(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.9486832980505138)
    assert np.isnan(spearman(np.array([1.0, 1.0]), np.array([1.0, 2.0])))


def test_a_partition_without_contexts_has_no_columns_of_features() -> None:
    """As `training_sets` publishes a country of a day on which nobody played."""
    some = pa.table({c.CONTEXT_ID: [1]})
    full = Frame.of(some, np.array([0, 2]), items={c.TITLE: np.array([5, 6])}, features={"a": np.array([0.5, 0.25])})
    none = Frame.of(some.slice(0, 0))
    assert alone._stored_features([none, full, none]).to_pydict() == {"a": [0.5, 0.25]}
    assert alone._stored_features([none]).num_rows == 0
