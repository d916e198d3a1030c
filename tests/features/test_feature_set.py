"""Feature sets: what is checked, what is loaded, what the digest covers."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rec_platform.config import FeatureConfig
from rec_platform.errors import ConfigError, NumericError
from rec_platform.features import Encoder, Fact, FeatureSet, encoder
from rec_platform.features.encoders import code_identity

WEEK = Fact("week", "profile", "plays", 7)
TITLE_WEEK = Fact("title_week", "title", "plays", 7)

USER_FILE = """
from rec_platform.features import Fact, encoder

evening_plays = Fact("my_hour_plays", "profile_hour", "plays", 28, about="plays in the same local hour")

@encoder(unit="share", about="of the month's plays, those in this hour")
def my_hour_share(my_hour_plays, profile_plays_28d):
    return (my_hour_plays + 1) / (profile_plays_28d + 24)
"""


def doubled(name: str, reads: str) -> Encoder:
    return Encoder(name, (reads,), lambda value: 2 * value, "x", "twice")


def test_the_standard_set_stands() -> None:
    features = FeatureSet.standard()
    assert 40 <= len(features.names) == len(set(features.names))
    assert "days_since_title_last_played" in features.names
    assert all(one.unit and one.about for one in features.encoders)
    assert all(fact.about for fact in features.facts)


def test_only_facts_that_are_read_are_needed() -> None:
    features = FeatureSet((WEEK, TITLE_WEEK), (doubled("twice", "week"),))
    assert features.needed == (WEEK,)


def test_an_unknown_parameter_is_named_with_its_likely_meaning() -> None:
    with pytest.raises(ConfigError, match=r"no fact, column or encoder is called 'weak'.*encoder 'a'.*mean week"):
        FeatureSet((WEEK,), (doubled("a", "weak"),))


def test_a_name_like_no_other_gets_no_list_of_all_but_where_they_are_listed() -> None:
    """The encoder's own name is none it could read; columns are told of, for the list has facts and features."""
    with pytest.raises(ConfigError) as raised:
        FeatureSet((WEEK, TITLE_WEEK), (doubled("zzyy", "zzyx"), doubled("b", "week")))
    assert raised.value.repair == (
        "There are the 3 that `rec-platform features list` lists, and the columns profile_id, country, at, device, tenure_days, "
        "title_id."
    )
    with pytest.raises(ConfigError) as raised:
        FeatureSet.standard().select(["country_title_trends"])
    assert raised.value.repair.startswith("Did you mean country_title_trend or ")
    assert raised.value.repair.endswith(
        f"There are the {len(FeatureSet.standard().names)} that `rec-platform features list` lists."
    )
    assert len(raised.value.repair) < 200


def test_encoders_in_a_ring_are_refused() -> None:
    with pytest.raises(ConfigError, match="a -> b -> a"):
        FeatureSet((WEEK,), (doubled("a", "b"), doubled("b", "a")))


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder 'a' is declared twice"):
        FeatureSet((WEEK,), (doubled("a", "week"), doubled("a", "week")))
    with pytest.raises(ConfigError, match="fact 'week' is declared twice"):
        FeatureSet((WEEK, WEEK), ())


def test_encoders_read_each_other_and_levels_follow() -> None:
    total = Encoder("total", ("twice", "title_week"), lambda mine, theirs: mine + theirs, "x", "sum")
    features = FeatureSet((WEEK, TITLE_WEEK), (total, doubled("twice", "week")))
    values = {"week": np.array([1.0, 5.0]), "title_week": np.array([10.0, 20.0, 30.0])}
    found = dict(features.encode(values, np.array([1, 2])))
    assert features.feature_level("twice") == "context" and found["twice"].tolist() == [2.0, 10.0]
    assert features.feature_level("total") == "item" and found["total"].tolist() == [12.0, 30.0, 40.0]


def test_left_out_features_others_read_stay_hidden() -> None:
    features = FeatureSet((WEEK,), (doubled("twice", "week"), doubled("four", "twice"))).select(["four"])
    assert features.names == ("four",)
    assert [name for name, _ in features.encode({"week": np.array([3.0])}, np.array([1]))] == ["four"]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda value: value.missing, ConfigError, "raised AttributeError"),
        (lambda value: value[:1], ConfigError, "shape"),
        (lambda value: value.astype(str), ConfigError, "one number per row"),
        (lambda value: value / 0, NumericError, "infinity"),
        (lambda value: value * 1e300, NumericError, r"returned 1e\+300, an infinity once it is float32.*for week=1.0"),
    ],
)
def test_an_encoder_that_misbehaves_is_named(function, error, message) -> None:  # type: ignore[no-untyped-def]
    features = FeatureSet((WEEK,), (Encoder("odd", ("week",), function, "x", "odd"),))
    with pytest.raises(error, match=message) as caught:
        list(features.encode({"week": np.array([1.0, 2.0])}, np.array([1, 1])))
    assert "encoder 'odd'" in str(caught.value)


def test_the_decorator_reads_the_signature() -> None:
    @encoder(unit="x", about="sum")
    def both(week, title_week):  # type: ignore[no-untyped-def]
        return week + title_week

    assert (both.name, both.reads) == ("both", ("week", "title_week"))
    with pytest.raises(ConfigError, match="default"):

        @encoder(unit="x", about="bad")
        def bad(week, by=3):  # type: ignore[no-untyped-def]
            return week * by


def test_the_decorator_takes_no_function_beside_its_words() -> None:
    with pytest.raises(ConfigError, match=r"without parentheses .encoder 'both'"):

        def both(week):  # type: ignore[no-untyped-def]
            return week

        encoder(both, unit="x", about="x")


@pytest.mark.parametrize(("function", "kind"), [(np.log1p, "ufunc"), (partial(np.add, 1), "partial"), (abs, "builtin")])
def test_an_encoder_whose_code_cannot_be_told_is_refused(function: Any, kind: str) -> None:
    """Its digest would be that of any other, or of none."""
    with pytest.raises(ConfigError, match=f"{kind}.*encoder 'a'.*def"):
        Encoder("a", ("week",), function, "plays", "")


@pytest.mark.parametrize(
    "fact",
    [
        {"name": "1x", "entity": "profile", "measure": "plays"},
        {"name": "x", "entity": "person", "measure": "plays"},
        {"name": "x", "entity": "profile", "measure": "released_at"},
        {"name": "x", "entity": "profile", "measure": "plays", "window": 0},
        {"name": "x", "entity": "title", "measure": "first_played_at", "window": 7},
        {"name": "x", "entity": "profile_attribute", "measure": "plays", "attribute": "colours"},
    ],
)
def test_a_fact_that_cannot_be_meant_is_refused(fact: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"fact {fact['name']!r}")):
        Fact(**fact)  # type: ignore[arg-type]


def test_a_users_file_joins_the_standard_set(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(USER_FILE)
    features = FeatureSet.from_config(FeatureConfig(files=(str(file),), leave_out=("history_days",)))
    assert features.names[-1] == "my_hour_share"
    assert "history_days" not in features.names
    assert "my_hour_plays" in [fact.name for fact in features.needed]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def (", "line 1: not Python"),
        ("x = 1", "declares no facts"),
        ("import nothing_like_it", "ModuleNotFoundError"),
        (
            "from rec_platform.features import encoder\n@encoder\ndef f(at): return at",
            "without unit and about .encoder 'f'; feature file .*mine.py, line 2.*Write @encoder.unit=",
        ),
    ],
)
def test_a_users_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        FeatureSet.from_config(FeatureConfig(files=(str(file),)))


def test_a_missing_file_and_an_unknown_feature_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        FeatureSet.from_config(FeatureConfig(files=(str(tmp_path / "none.py"),)))
    with pytest.raises(ConfigError, match="history_days"):
        FeatureSet.from_config(FeatureConfig(leave_out=("history_dayz",)))


def test_the_digest_changes_with_meaning_only(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text)
        return FeatureSet.from_config(FeatureConfig(files=(str(file),))).digest

    plain = digest(USER_FILE)
    assert digest(USER_FILE + "\n# a remark\n") == plain
    assert digest(USER_FILE.replace("+ 24", "+ 25")) != plain
    assert digest(USER_FILE.replace('"plays", 28', '"plays", 27')) != plain
    assert FeatureSet.standard().digest == FeatureSet.standard().digest != plain


def test_code_identity_leaves_docstrings_out() -> None:
    assert code_identity('def f(x):\n    """One."""\n    return x') == code_identity("def f(x): return x")
    assert code_identity("def f(x): return x") != code_identity("def f(x): return -x")
