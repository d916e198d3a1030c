"""Words change no digest; whatever could change a number does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.config import FeatureConfig
from rec_platform.features import Fact, FeatureSet, standard
from rec_platform.features.identity import code_identity, identity_of, reads_words
from rec_platform.tables import TABLES

FILE = '''
"""A feature file."""
from rec_platform.features import Fact, encoder
from rec_platform.features.encoders import scaled

PRIOR = 24.0

def shrunk(part, whole, by=1):
    """Drawn together."""
    return (part + by) / (whole + PRIOR)

def halved(days):
    return lambda value: value / days

half = halved(2)
evening = Fact("evening", "profile", "plays", 28, "plays of an evening", where="hour >= 18")
ms = Fact("ms", "profile", "watched_ms", 7, about="watched")
minutes = scaled("minutes", ms, 60000.0, "minutes", about="in a week")

@encoder(unit="share", about="of the plays of four weeks, those of an evening")
def evening_share(evening, profile_plays_28d):
    return half(shrunk(evening, profile_plays_28d))
'''


def digest(folder: Path, text: str, **beside: str) -> str:
    for name, source in {"mine": text, **beside}.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return FeatureSet.from_config(FeatureConfig(files=(str(folder / "mine.py"),))).digest


WORDS = [
    ('"plays of an evening"', '"plays after six"'),
    ('"plays of an evening"', 'f"plays after {PRIOR}"'),
    ('about="watched")', 'about="seen")'),
    ('"minutes", about="in a week"', '"min", about="seen"'),
    ('unit="share"', 'unit="ratio"'),
    ("of the plays of four weeks", "of four weeks"),
    ('"""Drawn together."""', '"""Shrunk."""'),
    ("PRIOR = 24.0", "PRIOR = 24.0  # a play an hour"),
]
MEANING = [
    ("PRIOR = 24.0", "PRIOR = 25.0"),
    ("by=1", "by=2"),
    ("halved(2)", "halved(3)"),
    ("value / days", "value * days"),
    ('"plays", 28,', '"plays", 27,'),
    ("hour >= 18", "hour >= 19"),
    ("60000.0", "60001.0"),
    ("evening, profile_plays_28d)", "evening, profile_plays_7d)"),
]


@pytest.mark.parametrize(("old", "new"), WORDS)
def test_words_change_no_digest(tmp_path: Path, old: str, new: str) -> None:
    assert old in FILE
    assert digest(tmp_path, FILE.replace(old, new)) == digest(tmp_path, FILE)


@pytest.mark.parametrize(("old", "new"), MEANING)
def test_whatever_could_change_a_number_changes_the_digest(tmp_path: Path, old: str, new: str) -> None:
    assert old in FILE
    assert digest(tmp_path, FILE.replace(old, new)) != digest(tmp_path, FILE)


def test_corrected_words_reach_who_asks(tmp_path: Path) -> None:
    digest(tmp_path, FILE)
    digest(tmp_path, FILE.replace('unit="share"', 'unit="ratio"').replace("four weeks", "28 days"))
    features = FeatureSet.from_config(FeatureConfig(files=(str(tmp_path / "mine.py"),)))
    share = features.encoders[-1]
    assert (share.unit, share.about) == ("ratio", "of the plays of 28 days, those of an evening")


BESIDE = "from rec_platform.features import Fact\nevening = Fact('evening', 'profile', 'plays', 28, about='{}')\n"
IMPORTING = """
from rec_platform.features import encoder
from facts_beside import evening

@encoder(unit="plays", about="of an evening")
def evenings(evening):
    return evening
"""


def test_words_of_a_module_beside_are_words_too(tmp_path: Path) -> None:
    made = [digest(tmp_path, IMPORTING, facts_beside=BESIDE.format(about)) for about in ("one", "other")]
    assert made[0] == made[1]
    assert made[0] != digest(tmp_path, IMPORTING, facts_beside=BESIDE.format("one").replace("28", "27"))


def test_words_that_code_reads_are_no_mere_words(tmp_path: Path) -> None:
    """Here or in a module beside: a number may hang on them."""
    reading = IMPORTING.replace("return evening", "return evening * LENGTH") + "\nLENGTH = len(evening.about)\n"
    made = [digest(tmp_path, reading, facts_beside=BESIDE.format(about)) for about in ("one", "other")]
    assert made[0] != made[1]


FACT = "from rec_platform.features import Fact\n"


@pytest.mark.parametrize(
    "source",
    [
        "def Fact(name, about):\n    return about\nx = Fact('a', about={})",
        "from elsewhere import Fact\nx = Fact('a', 'profile', 'plays', about={})",
        f"{FACT}from elsewhere import Fact\nx = Fact('a', 'profile', 'plays', about={{}})",
        f"{FACT}from elsewhere import *\nx = Fact('a', 'profile', 'plays', about={{}})",
        f"{FACT}Fact = dict\nx = Fact(about={{}})",
        f"{FACT}def f(Fact):\n    return Fact(about={{}})",
        f"{FACT}for Fact in ():\n    Fact(about={{}})",
        f"{FACT}match 1:\n    case Fact:\n        Fact(about={{}})",
        f"{FACT}try:\n    pass\nexcept OSError as Fact:\n    Fact(about={{}})",
        "from rec_platform.features import Fact, encoder as Fact\nx = Fact(about={})",
        "from .rec_platform import Fact\nx = Fact('a', 'profile', 'plays', about={})",
        f"{FACT}x = Fact('a', 'profile', 'plays', about=(n := {{}}))",
        f"{FACT}x = Fact('a', 'profile', 'plays', about=noted({{}}))",
        f"{FACT}x = Fact('a', 'profile', 'plays', about=[]).where({{}})",
        f"{FACT}from rec_platform.wording import counted\nx = Fact('a', 'profile', 'plays', about=counted(1, what={{}}))",
        f"{FACT}x = Fact('a', 'profile', 'plays', **{{{{'about': {{}}}}}})",
        f"{FACT}x = Fact('a', 'profile', 'plays', about={{}}); y = getattr(x, 'about')",
        f"{FACT}x = Fact(*rest, 'profile', 'plays', 7, {{}})",
        f"{FACT}x = Fact({{}}, 'profile', 'plays', 7, 'words')",
        f"{FACT}x = other(about={{}})",
    ],
)
def test_what_may_be_more_than_words_counts(source: str) -> None:
    assert code_identity(source.format("'one'")) != code_identity(source.format("'other'"))


def test_a_module_in_the_platforms_place_is_not_the_platform() -> None:
    one, other = (f"{FACT}x = Fact(about='{about}')" for about in ("one", "other"))
    assert identity_of(one, ()) == identity_of(other, ())
    beside = [("rec_platform", "")]
    assert identity_of(one, beside) != identity_of(other, beside)


@given(about=st.text(), unit=st.text())
def test_any_text_is_words(about: str, unit: str) -> None:
    """But those that name words, which code that reads them would hold."""
    source = "from rec_platform.features import encoder as e\n@e(unit={!r}, about={!r})\ndef f(x):\n    return x\n"
    text = source.format(unit, about)
    assert reads_words(text) or code_identity(text) == code_identity(source.format("", ""))


def test_code_without_declarations_is_what_it_was() -> None:
    """Identities in stored artefacts of rankers hold on."""
    kept = "def f(x, unit=1):\n    return dict(unit=unit, about=x)\n"
    assert code_identity(kept) == code_identity(kept, with_words=True)


def test_the_digest_of_the_standard_set_is_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(standard.__file__).read_text(encoding="utf-8")
    before, whole = code_identity(source), FeatureSet.standard()
    for old, new in (
        ("since the profile's last play;", "days since its last play;"), ("{over} over them, over 90 days", "{over}"),
        ('over_days("watched in plays", scope, days)', '"watched"'), ("any_of(names)", "names[0]"),
        ('"days",\n    "since the profile\'s signup', '"d",\n    "since signup'),
    ):  # fmt: skip
        assert old in source
        assert code_identity(source.replace(old, new)) == before, old
    assert code_identity(source.replace("prior=0.5, weight=5.0", "prior=0.5, weight=6.0")) != before
    reworded = FeatureSet(
        tuple(replace(fact, about=f"{fact.about}, corrected") for fact in whole.facts),
        tuple(replace(one, about=f"{one.about}, corrected", unit=f"{one.unit}.") for one in whole.encoders),
    )
    assert reworded.digest == whole.digest
    assert reworded.to_json() == whole.to_json()


def test_a_window_of_one_day_is_over_1_day() -> None:
    """Said by a file that no digest covers, so it could be put right."""
    whole = FeatureSet.standard()
    said = [one.about for one in (*whole.facts, *whole.encoders)]
    said += [field.metadata[b"about"].decode() for table in TABLES for field in table.schema]
    assert "plays of the title in all countries, over 1 day" in said
    assert not [one for one in said if "1 days" in one]


def test_a_fact_without_words_is_all_but_its_words() -> None:
    fact = Fact("x", "profile", "plays", 7, about="words")
    assert fact.without_words() | {"about": "words"} == fact.to_json()
