"""A feature file is checked whole: every fault with its line and repair, encoders tried, nothing honest refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rec_platform.cli_features import features, taken_up
from rec_platform.config import load_settings
from rec_platform.errors import ConfigError
from rec_platform.features import FeatureSet
from rec_platform.features.check import CheckedFile, arguments_of, check_file, impurities, values_of
from rec_platform.features.feature_set import declared_in
from rec_platform.features.sample import Sample
from rec_platform.features.standard import FACTS
from rec_platform.timetravel.kernels import NONE

EXAMPLE = Path(__file__).parents[2] / "examples" / "features" / "binge.py"
HEAD = "import numpy as np\nfrom rec_platform.features import Fact, encoder\n"


def checked(tmp_path: Path, body: str) -> CheckedFile:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + body, encoding="utf-8")
    return check_file(file)


def declared(name: str, reads: str, code: str, unit: str = "share") -> str:
    return f'@encoder(unit="{unit}", about="words")\ndef {name}({reads}):\n    {code}\n'


def test_the_example_is_without_fault() -> None:
    found = check_file(EXAMPLE)
    assert (found.faults, found.notes) == ((), ())
    assert [fact.name for fact in found.facts] == ["binge_plays", "binge_all"]
    assert [found.line(one) for one in found.encoders] == [12, 17]


def test_the_standard_encoders_are_pure() -> None:
    """Nothing honest is refused."""
    features, sample = FeatureSet.standard(), Sample.drawn()
    tried = dict(arguments_of(features, values_of(features, sample), np.diff(sample.frame.offsets)))
    assert {one.name for one in tried} == set(features.names)
    assert [(one.name, *fault) for one, arguments in tried.items() for fault in impurities(one, arguments)] == []


@pytest.mark.parametrize(
    ("body", "line", "fault", "repair"),
    [
        ('a = Fact("a", "profile", "palys", 3)\n', 3, r"fact 'a': measure 'palys' of entity profile", "plays"),
        ('a = Fact("a", "profle", "plays", 3)\n', 3, "fact 'a': entity 'profle'", "profile"),
        ('a = Fact("a", "profile", "plays", "3 weeks", "x")\n', 3, "window '3 weeks' cannot be read", "30min"),
        ('a = Fact("a", "profile", "plays", 3, where="devise == 1")\n', 3, "no column 'devise'", "device"),
        ('a = Fact("device", "profile", "plays", 3, "x")\n', 3, "fact 'device' has the name of a column", "another name"),
        ('a = Fact("profile_plays_7d", "profile", "plays", 3, "x")\n', 3, "'profile_plays_7d' is the standard set's", "Rename"),
        ('a = Fact("twice_as", "profile", "plays", 3, "x")\nb = Fact("twice_as", "profile", "plays", 7, "x")\n', 4,
         "'twice_as' is declared twice", "Rename"),
        (declared("far", "profile_last_played_at, at", "return (at - profile_last_played_at) / 1e6", "seconds"), 4,
         "where there is no profile_last_played_at: it reckoned with NONE", "days_since"),
        (declared("raises", "profile_plays_7d", "raise ValueError('no')", "plays"), 4, r"ValueError: no \(line 5 of .*mine.py\)",
         "Correct that line"),
        ("1 / 0\n", 3, "ZeroDivisionError", "Correct that line"),
        ("def f(:\n", 3, "not Python", "Correct that line"),
        ("x = 1\n", None, "declares no facts and no encoders", "docs/features.md"),
        (declared("f", "profile_play_7d", "return profile_play_7d"), 4, "'profile_play_7d'", "profile_plays_7d"),
        ("@encoder\ndef f(at):\n    return at\n" + declared("g", "f", "return f"), 3,
         "^encoder 'f': it is declared without unit and about$", '@encoder(unit="...", about="...")'),
        ('@encoder(unit="plays")\ndef f(at):\n    return at\n', 3, "^encoder: it is declared without about$", "@encoder(unit="),
        (declared("f", "at, days=3", "return at"), 3, "a parameter with a default", "names one fact"),
        (declared("f", "g", "return g") + declared("g", "f", "return f"), 4, "read each other: f -> g -> f", "ring"),
        (declared("f", "f", "return f"), 4, "read each other: f -> f", "ring"),
        (declared("f", "at", "return at", unit=""), 4, "encoder 'f': unit is ''", "short text"),
        (declared("f", "profile_plays_7d", "return profile_plays_7d.no"), 4, "raised AttributeError", "give NaN where"),
        (declared("f", "profile_plays_7d", "return 1 / profile_plays_7d"), 4,
         "an infinity, for example for profile_plays_7d=0.0", "NaN where"),
        (declared("f", "profile_plays_7d", "return profile_plays_7d * 1e300"), 4, "an infinity once it is float32", "3.4e38"),
        (declared("f", "profile_plays_7d", "return 1.0"), 4, r"float64 of shape \(\) for rows of shape", "per row"),
        (declared("f", "device", "return device"), 4, "it returned object of shape", "one number per row"),
        (declared("f", "title_plays_7d", "title_plays_7d += 1\n    return title_plays_7d"), 4,
         "writes into title_plays_7d", "copy"),
        (declared("f", "at", "return np.random.random(len(at))"), 4, "other numbers for the same rows", "parameters alone"),
        (declared("f", "title_plays_7d", "return title_plays_7d - title_plays_7d.mean()"), 4,
         "when other rows stood beside it", "element by element"),
        (declared("f", "title_plays_7d", "return np.argsort(title_plays_7d)"), 4, "other rows", "ranks"),
        (declared("f", "at", "return at * 1.0") + declared("f", "at", "return at * 2.0"), 7, "a second time", "Rename"),
    ],
)  # fmt: skip
def test_a_fault_has_its_line_and_its_repair(tmp_path: Path, body: str, line: int, fault: str, repair: str) -> None:
    found = checked(tmp_path, body)
    assert len(found.faults) >= 1
    first = found.faults[0]
    assert first.line == line
    assert re.search(fault, first.fault), first.fault
    assert repair in first.repair
    with pytest.raises(ConfigError, match="feature file"):
        found.raise_if_faulty()


def test_all_faults_are_told_at_once_and_none_twice(tmp_path: Path) -> None:
    """A fact that could not be declared is one fault; that an encoder then misses it is none of its own."""
    body = (
        'gone = Fact("gone", "profile", "palys", 3)\n'
        + declared("uses_gone", "gone", "return gone")
        + declared("late", "profile_plays_1d", "return 1 / profile_plays_1d")
        + declared("reads_late", "late", "return late")
        + declared("lost", "nowhere", "return nowhere")
    )
    found = checked(tmp_path, body)
    assert [one.line for one in found.faults] == [3, 8, 14]
    assert "'nowhere'" in found.faults[2].fault


def test_facts_and_encoders_may_stand_in_lists(tmp_path: Path) -> None:
    """As the standard set itself holds them; what a later statement adds to a list is there, too."""
    body = (
        'FACTS = [Fact("tv", "profile", "plays", 3, where="device == \'tv\'"), Fact("all", "profile", "plays", 3)]\n'
        'FACTS.append(Fact("films", "profile", "plays", 5))\n'
        + declared("of_tv", "tv, all", "return tv - all")
        + "both = (of_tv,)\n"
        + declared("of_films", "films", "return 1.0 * films")
    )
    found = checked(tmp_path, body)
    assert not found.faults
    assert [fact.name for fact in found.facts] == ["tv", "all", "films"]
    assert [found.line(one) for one in (*found.facts, *found.encoders)] == [3, 3, 4, 6, 10]
    facts, encoders = declared_in(found.file)
    assert [one.name for one in (*facts, *encoders)] == ["tv", "all", "films", "of_tv", "of_films"]


def test_facts_stand_where_they_are_called(tmp_path: Path) -> None:
    """Two of one name, too; what no call names literally stands where its container does."""
    body = """
FACTS = (
    Fact("tv", "profile", "plays", 3),
    features.Fact(
        name="all", entity="profile", measure="plays", window=3), Fact("films", "profile", "plays", 5),
    *(Fact(f"of_{n}", "profile", "plays", n) for n in (1, 2)),
    *(Fact("often", "profile", "plays", n) for n in (1, 2)),
)
one = Fact("twice", "profile", "plays", 3)
other = Fact("twice", "profile", "plays", 4)
more = [
    Fact("again", "profile", "plays", 3),
    Fact("again", "profile", "plays", 3),
]
"""
    found = checked(tmp_path, "from rec_platform import features\n" + body)
    assert [(one.name, found.line(one)) for one in found.facts] == [
        ("tv", 6), ("all", 7), ("films", 8), ("of_1", 5), ("of_2", 5), ("often", 5), ("often", 5), ("twice", 12), ("twice", 13),
        ("again", 15), ("again", 16),
    ]  # fmt: skip
    assert [(one.line, one.fault) for one in found.faults] == [
        (5, "fact 'often' is declared twice"), (13, "fact 'twice' is declared twice"), (16, "fact 'again' is declared twice"),
    ]  # fmt: skip
    assert "fact 'twice' (line 12) is read by no encoder, so it is never computed" in found.notes


def test_of_a_list_with_a_fault_the_other_facts_are_not_missed_as_well(tmp_path: Path) -> None:
    body = 'FACTS = [Fact("tv", "profile", "plays", 3), Fact("all", "profile", "seconds", 3)]\n' + declared(
        "of_tv", "tv, all", "return tv - all"
    )
    (fault,) = checked(tmp_path, body).faults
    assert (fault.line, fault.fault) == (3, "fact 'all': measure 'seconds' of entity profile cannot be declared")
    assert "did you mean 'watched_ms'" in fault.repair


def test_a_file_named_by_a_relative_path_has_the_same_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that Python makes from text, such as the start of a dataclass, is in no file beside it."""
    body = 'one = Fact("one", "profile_tag", "plays", 3)\n'
    whole = checked(tmp_path, body).faults
    monkeypatch.chdir(tmp_path)
    assert check_file(Path("mine.py")).faults == whole
    assert whole[0].fault == "fact 'one': entity 'profile_tag' cannot be declared"
    assert "did you mean 'profile_attribute'" in whole[0].repair


def test_what_is_odd_but_harmless_is_a_note(tmp_path: Path) -> None:
    body = 'a = Fact("a", "profile", "plays", 3)\n' + declared("f", "at", "open\n    return at * 1.0", unit="mins")
    found = checked(tmp_path, body)
    assert not found.faults
    said = " ".join(found.notes)
    assert "fact 'a' (line 3) is read by no encoder" in said
    assert "says nothing about itself" in said
    assert "unit 'mins' of 'f'" in said
    assert "encoder 'f' names open" in said


@pytest.mark.parametrize(
    "fact",
    [
        'Fact("few", "profile", "plays", "1min")',
        'Fact("few", "profile", "plays", 90, where="device == \'submarine\'")',
        'Fact("few", "title", "last_played_at", 90, where="device == \'submarine\'")',
    ],
)
def test_a_mean_over_rows_is_found_where_the_drawn_past_has_nothing_of_the_fact(tmp_path: Path, fact: str) -> None:
    honest = checked(tmp_path, f"a = {fact}\n" + declared("f", "few", "return np.where(few < 0, np.nan, few / 1e6)"))
    assert honest.faults == ()
    rows = checked(tmp_path, f"a = {fact}\n" + declared("f", "few", "return few - few.mean()"))
    assert [one.fault for one in rows.faults] == [
        "encoder 'f': it gave a row other numbers when other rows stood beside it"
    ]
    # 0 plays in a minute, 9 in a quarter: no infinity that a real past could give
    apart = checked(tmp_path, f"a = {fact}\n" + declared("f", "few", "return 1.0 / (few - 3)"))
    assert apart.faults == ()


def test_a_name_given_twice_says_where_it_was_first(tmp_path: Path) -> None:
    found = checked(
        tmp_path, 'f = Fact("few", "profile", "plays", 3, about="x")\n' + declared("f", "few", "return few")
    )
    assert [one.fault for one in found.faults] == ["'f' is given a second time, so the first (line 3) is lost"]


def test_a_name_of_the_standard_set_given_again_was_imported(tmp_path: Path) -> None:
    found = checked(
        tmp_path, "from rec_platform.features.standard import profile_trend\n"
        + declared("profile_trend", "profile_plays_7d", "return profile_plays_7d")
    )  # fmt: skip
    assert "'profile_trend' is given a second time, so the first (imported) is lost" in [
        one.fault for one in found.faults
    ]


def test_a_file_that_is_not_there() -> None:
    found = check_file(Path("nowhere.py"))
    assert "cannot be read" in found.faults[0].fault
    assert found.to_json()["faults"][0]["place"] == "nowhere.py"


def test_a_file_beside_others_of_the_home(tmp_path: Path) -> None:
    """What another file of the settings declares can be read, and cannot be declared again."""
    file = tmp_path / "more.py"
    file.write_text(HEAD + declared("twice", "binge_share", "return 2 * binge_share"), encoding="utf-8")
    example = check_file(EXAMPLE)
    standard = FeatureSet.standard()
    beside = FeatureSet((*standard.facts, *example.facts), (*standard.encoders, *example.encoders))
    assert check_file(file).faults
    assert not check_file(file, beside=beside).faults
    assert "declared twice" in check_file(EXAMPLE, beside=beside).faults[0].fault


def test_the_sample_holds_what_breaks_encoders() -> None:
    """Every standard fact is somewhere 0, missing or without an instant, and somewhere not."""
    sample = Sample.drawn()
    values = values_of(FeatureSet.standard(), sample)
    for fact in FACTS:
        if fact.name not in values or fact.entity == "platform":
            continue
        found = values[fact.name]
        empty = found == NONE if found.dtype == np.int64 else (found == 0) | np.isnan(found)
        assert empty.any(), fact.name
        assert not empty.all(), fact.name


def test_everything_that_can_be_declared_is_tried(tmp_path: Path) -> None:
    """Filters, shares, distinct titles, numeric columns, minutes and hour ticks, each read by an encoder."""
    body = """
a = Fact("a", "profile", "plays", "90min", "x", where="device == 'tv' and 'drama' in genres")
b = Fact("b", "profile_title", "share", 28, "x")
d = Fact("d", "profile", "distinct_titles", 28, "x")
e = Fact("e", "title_country", "position", "6h", "x", tick="hour")
"""
    found = checked(
        tmp_path, body + declared("f", "a, b, d, e", "return np.where(d > 0, (a + e) / np.maximum(d, 1), b)")
    )
    assert [one.fault for one in found.faults] == []


def test_the_sample_is_the_same_every_time() -> None:
    assert Sample.drawn().frame.items.equals(Sample.drawn().frame.items)
    assert not Sample.drawn(seed=8).frame.items.equals(Sample.drawn().frame.items)


def test_what_to_do_with_a_tried_file_can_be_copied_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "mine.py").write_text(
        HEAD + declared("f", "profile_plays_7d", "return profile_plays_7d"), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    said = taken_up(Path("mine.py"), Path("home"), "2025-01-01", "2025-01-02")
    named = re.match(r"(\[features\]) (files = .*) in home/platform.toml, then rec-platform run .* --home home$", said)
    assert named is not None
    (tmp_path / "home" / "platform.toml").write_text("\n".join(named.groups()), encoding="utf-8")
    assert load_settings(tmp_path / "home").features.files == (str(tmp_path / "mine.py"),)


def test_the_command_ends_with_the_faults_and_how_many(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        HEAD + declared("f", "profile_plays_7d", "return 1 / 0") + declared("g", "no_such", "return no_such")
    )
    told = CliRunner().invoke(features, ["check", str(file), "--home", str(tmp_path)])
    assert told.exit_code == 2
    assert told.output.index("Declared in") < told.output.index("error ")
    assert told.output.rstrip().endswith("mine.py: 2 faults")
