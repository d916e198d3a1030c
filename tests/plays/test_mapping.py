"""Mapping files: what is refused when they are read, and that the shipped ones are sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from rec_platform.errors import ConfigError, PlatformError
from rec_platform.plays.countries import country_codes
from rec_platform.plays.mapping import CountryRule, digest, load_mapping, parse_mapping
from rec_platform.simulation.config import COUNTRIES

SHIPPED = sorted((Path(__file__).parents[2] / "examples" / "mappings").glob("*.toml"))
SOUND = """
[source]
name = "shop"
live = false
[plays]
files = ["*.csv"]
profile = { column = "who", kind = "text" }
title = { column = "what", kind = "text" }
played_at = { column = "at" }
known_at = { rule = "end_of_play" }
country = { constant = "FR" }
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_mappings_are_read(path):
    assert load_mapping(path).name == path.stem


def test_there_are_four_shipped_mappings():
    assert [path.stem for path in SHIPPED] == ["kuairand", "movietweetings", "online_retail", "simulated"]


def test_the_mapping_of_the_simulated_world_has_the_clocks_people_live_by():
    (simulated,) = (load_mapping(path) for path in SHIPPED if path.stem == "simulated")
    assert simulated.rules.time_zones == {"default": "UTC"} | {one.code: one.time_zone for one in COUNTRIES}


def test_equal_parts_have_equal_digests():
    one, two = parse_mapping(SOUND, place="a"), parse_mapping(f"# said otherwise\n{SOUND}", place="b")
    assert digest(one) == digest(two) and one.text != two.text
    assert digest(parse_mapping(SOUND.replace("FR", "DE"), place="c").plays) != digest(one.plays)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('known_at = { rule = "end_of_play" }', "", "known_at"),
        ("live = false", "live = true", "a live source cannot have `known_at` rule end_of_play"),
        ('"end_of_play"', '"now"', "known_at"),
        ('rule = "end_of_play"', 'rule = "column"', "give `column` exactly where"),
        ('constant = "FR"', 'constant = "../x"', "not a country"),
        ('constant = "FR"', 'constant = "FR", column = "c"', "either `constant` or `column`"),
        ('column = "at"', 'column = "at", time_zone = "Mars/Olympus"', "not a time zone"),
        ('column = "at"', 'column = "at", format = "%Q"', "not known here: %Q"),
        ('column = "at"', 'column = "at", format = "daily"', "neither iso, epoch_s"),
        ('column = "at"', 'column = "at", pattern = "("', "not a regular expression"),
        ('column = "at"', 'column = "at", pattern = "x"', "exactly one group"),
        ('files = ["*.csv"]', 'files = ["*.csv"]\nengaged = "rating > high"', "in condition"),
        (
            'files = ["*.csv"]',
            'files = ["*.csv"]\nfilters = [{name="duplicate", keep="a > 1"}]',
            "name of a standing rule",
        ),
        ('files = ["*.csv"]', 'files = ["*.csv"]\nheader = false', "give `columns` exactly where"),
        ('files = ["*.csv"]', 'files = ["*.csv"]\nplay_id = {columns=["a","b"], kind="integer"}', "one column"),
        ('files = ["*.csv"]', 'files = ["*.csv"]\ncolour = "red"', "colour"),
        ('name = "shop"', 'name = "../shop"', "source.name"),
        ("[plays]", '[titles]\nfiles = ["t.csv"]\n[plays]', "files of their own need title, known_at"),
        ("[plays]", '[titles]\nfrom_plays = true\nfiles = ["t.csv"]\n[plays]', "either `files` or `from_plays"),
        ("[plays]", '[rules.engagement]\nkind = "column"\n[plays]', "needs plays.engaged"),
        ("[plays]", '[rules.sessions]\nkind = "session_id"\n[plays]', "needs plays.session"),
    ],
)
def test_what_cannot_be_meant_is_refused(old, new, message):
    assert old in SOUND
    with pytest.raises(PlatformError) as caught:
        parse_mapping(SOUND.replace(old, new, 1), place="mapping.toml")
    assert message in str(caught.value)


def test_a_broken_file_and_no_file_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"not TOML.*mapping\.toml"):
        parse_mapping("[source", place="mapping.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_mapping(tmp_path / "none.toml")


def test_names_codes_and_overrides():
    rule = CountryRule(column="c", kind="name", overrides={"EIRE": "IE", "RSA": "ZA"})
    codes = dict(zip(*country_codes(rule).to_pydict().values(), strict=True))
    found = [codes.get(name) for name in ("eire", "usa", "united kingdom", "czech republic", "rsa", "channel islands")]
    assert found == ["IE", "US", "GB", "CZ", "ZA", None]
    plain = dict(zip(*country_codes(CountryRule(column="c", overrides={"UK": "GB"})).to_pydict().values(), strict=True))
    assert (plain["UK"], plain["FR"], plain["ZZ"], plain.get("XX"), plain.get("fr")) == ("GB", "FR", "ZZ", None, None)
