"""Countries whose local hours are those of UTC only because no time zone was declared."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from rec_platform.cli import app
from rec_platform.config import SourceRules
from rec_platform.features import FeatureSet
from rec_platform.features.local_clocks import undeclared_zones
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.timetravel.declared import Fact

HOURLY = Fact("this_hour", "profile_hour", "plays", 28)
EVENINGS = Fact("evenings", "title", "plays", 28, where="hour >= 18")
PLAIN = Fact("plays", "profile", "plays", 28, where="device == 'tv'")
MAPPING = """
[source]
name = "shop"
live = false
[plays]
files = ["*.csv"]
profile = { column = "who", kind = "text" }
title = { column = "what", kind = "text" }
played_at = { column = "at" }
known_at = { rule = "end_of_play" }
country = { column = "where", kind = "code" }
"""


def test_facts_by_the_hour_and_filters_of_the_hour_read_a_local_clock() -> None:
    assert [fact.by_local_clock for fact in (HOURLY, EVENINGS, PLAIN)] == [True, True, False]
    read = [fact.name for fact in FeatureSet.standard().needed if fact.by_local_clock]
    assert read == ["profile_hour_plays", "profile_weekday_plays"]


def test_countries_without_a_zone_are_named_and_what_reads_their_clock() -> None:
    rules = SourceRules(time_zones={"FR": "Europe/Paris", "IS": "UTC"})
    said = undeclared_zones([PLAIN, HOURLY, EVENINGS], ["IS", "FR", "DE", "AT"], rules)
    assert said == (
        "local hours and weekdays of AT, DE are those of UTC: [rules.time_zones] of the mapping has no zone for them; "
        "read by this_hour, evenings"
    )
    many = undeclared_zones([HOURLY], ["AT", "BE", "CH", "DE", "ES", "FI", "GB"], SourceRules())
    assert "of AT, BE, CH, DE, ES and 2 more are those of UTC" in many


def test_nothing_is_said_where_all_is_declared_or_nobody_reads_it() -> None:
    assert undeclared_zones([HOURLY], ["FR", "DE"], SourceRules(time_zones={"default": "Europe/Paris"})) == ""
    assert undeclared_zones([HOURLY], ["FR"], SourceRules(time_zones={"FR": "Europe/Paris"})) == ""
    assert undeclared_zones([PLAIN], ["FR"], SourceRules()) == ""
    assert undeclared_zones([HOURLY], [], SourceRules()) == ""


def test_the_list_of_features_notes_them(tmp_path: Path) -> None:
    plays = tmp_path / "plays.csv"
    plays.write_text("who,what,at,where\na,x,2025-01-05T20:00:00Z,FR\na,y,2025-01-05T21:00:00Z,DE\n", encoding="utf-8")
    notes = []
    for number, zones in enumerate(("", 'FR = "Europe/Paris"\n')):
        mapping, home = tmp_path / "mapping.toml", tmp_path / f"home{number}"
        mapping.write_text(f"{MAPPING}[rules.time_zones]\n{zones}", encoding="utf-8")
        home.mkdir()
        ingest(home, load_mapping(mapping), [plays])
        done = CliRunner().invoke(app, ["features", "list", "--home", str(home), "--json"])
        assert done.exit_code == 0 and json.loads(done.stdout)
        notes.append(done.stderr)
    assert "local hours and weekdays of DE, FR are those of UTC" in notes[0]
    assert "local hours and weekdays of DE are those of UTC" in notes[1]
