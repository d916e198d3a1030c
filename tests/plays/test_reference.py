"""Titles, profiles and availability: their history, their ids, and what is derived from plays."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import midnight
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused, SourceError
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.plays import reference
from rec_platform.plays.ids import id_of, text_hash
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import parse_mapping
from rec_platform.plays.reference import Reference, as_known, read_section, resolve_id, sections, source_ids
from rec_platform.tables import PROFILES, TITLES

PLAYS = """
[source]
name = "shop"
live = false
[plays]
files = ["plays*.csv"]
profile = { column = "who", kind = "text" }
title = { column = "what", kind = "integer" }
played_at = { column = "at" }
known_at = { rule = "end_of_play" }
country = { constant = "FR" }
"""
OWN = """
[titles]
files = ["titles*.jsonl"]
format = "jsonl"
title = { column = "id", kind = "integer" }
known_at = { rule = "column", column = "known" }
name = { column = "name" }
genres = { kind = "list", column = "genres" }
tags = { kind = "multi_hot", columns = ["old", "new"] }
runtime = { column = "minutes", unit = "min" }
released = { column = "name", pattern = '\\((\\d{4})\\)', format = "year" }

[profiles]
files = ["profiles*.csv"]
profile = { column = "who", kind = "text" }
known_at = { rule = "static" }
signup = { column = "since" }
country = { column = "home" }

[availability]
files = ["offers*.csv"]
title = { column = "id", kind = "integer" }
country = { column = "where" }
available_from = { column = "from" }
available_to = { column = "to" }
known_at = { rule = "column", column = "known" }
"""


OFFERS = "id,where,from,to,known\n7,FR,2025-01-01,,2025-01-01\n7,DE,2025-02-01,2025-01-01,2025-01-01\n"


class LakeReader:
    def __init__(self, home: Path) -> None:
        self._lake = Lake(home)

    def published(self, table, day=None):
        return sorted(self._lake.state(table))

    def read(self, table, partitions, columns=None):
        return self._lake.read(table, partitions, columns)


def built(home: Path, mapping) -> dict[str, pa.Table]:
    (one,) = Reference(mapping).build([Partition()], LakeReader(home), Settings())
    for table in Reference.tables:
        table.check(one.tables[table.name].schema)
    return dict(one.tables)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def deliver(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def title(**values: object) -> str:
    return json.dumps({"id": 7, "known": "2025-03-01", "genres": ["Crime"], "old": 0, "new": 1, "minutes": 90,
                       "name": "The Bank (1915)", **values}) + "\n"  # fmt: skip


def test_own_files_become_typed_rows(tmp_path):
    mapping = parse_mapping(PLAYS + OWN, place="test")
    files = [
        deliver(tmp_path, "titles.jsonl", title() + title(id="x") + title(id=8, genres="[", known="2025-03-02")),
        deliver(tmp_path, "profiles.csv", "who,since,home\nana,2024-01-01T00:00:00Z,FR\nbo,,\ncy,,*\n"),
        deliver(tmp_path, "offers.csv", OFFERS),
    ]  # fmt: skip
    account = ingest(tmp_path / "home", mapping, files)
    assert account.reference["titles"].unreadable == 2
    assert account.reference["titles"].examples == ("titles.jsonl, row 2: id: x", "titles.jsonl, row 3: genres: [")
    assert account.reference["profiles"].examples == ("profiles.csv, row 3: home: *",)
    assert account.reference["availability"].examples == ("offers.csv, row 2: to: 2025-01-01",)
    tables = built(tmp_path / "home", mapping)
    assert tables["titles"].to_pylist() == [{
        "title_id": 7, "known_at": utc(2025, 3, 1), "source_id": "7", "name": "The Bank (1915)", "genres": ["Crime"],
        "tags": ["new"], "runtime_ms": 5_400_000, "released_at": utc(1915, 1, 1)}]  # fmt: skip
    people = {
        row["source_id"]: (row["signup_at"], row["home_country"], row["known_at"])
        for row in tables["profiles"].to_pylist()
    }
    assert people == {"ana": (utc(2024, 1, 1), "FR", utc(1970, 1, 1)), "bo": (None, None, utc(1970, 1, 1))}
    (offer,) = tables["availability"].to_pylist()
    assert (offer["title_id"], offer["country"], offer["available_to"]) == (7, "FR", None)


def test_a_changed_attribute_is_a_further_row_and_an_equal_one_is_not(tmp_path):
    mapping = parse_mapping(PLAYS + OWN, place="test")
    versions = [
        title(),
        title(known="2025-03-05"),
        title(known="2025-03-09", name="The Bank"),
        title(known="2025-03-12"),
    ]
    for number, text in enumerate(versions):
        ingest(tmp_path / "home", mapping, [deliver(tmp_path, f"titles-{number}.jsonl", text)])
    titles = built(tmp_path / "home", mapping)["titles"]
    assert [(row["known_at"].day, row["name"]) for row in titles.to_pylist()] == [
        (1, "The Bank (1915)"), (9, "The Bank"), (12, "The Bank (1915)")]  # fmt: skip
    names = [
        as_known(titles, c.TITLE, midnight(date(2025, 3, day))).column("name").to_pylist() for day in (1, 2, 9, 10)
    ]
    assert names == [[], ["The Bank (1915)"], ["The Bank (1915)"], ["The Bank"]]


def test_titles_and_profiles_are_derived_where_no_files_say(tmp_path):
    mapping = parse_mapping(PLAYS + "[titles]\nfrom_plays = true\nname = { column = 'label' }\n", place="test")
    first = "who,what,at,label\nana,7,2025-03-10T20:00:00Z,Later\nbo,8,2025-03-10T20:00:00Z,\n,9,2025-03-10T20:00:00Z,Nobody's\n"
    ingest(tmp_path / "home", mapping, [deliver(tmp_path, "plays-1.csv", first)])
    again = "who,what,at,label\nbo,7.0,2025-03-09T20:00:00Z,Earlier\nana,8,2025-03-12T20:00:00Z,Too late\n"
    ingest(tmp_path / "home", mapping, [deliver(tmp_path, "plays-2.csv", again)])
    tables = built(tmp_path / "home", mapping)
    assert [(row["title_id"], row["name"], row["known_at"].day) for row in tables["titles"].to_pylist()] == [
        (7, "Earlier", 9), (7, "Later", 10), (8, None, 10)]  # fmt: skip
    assert sorted(tables["profiles"].column("source_id").to_pylist()) == ["ana", "bo"]
    assert tables["profiles"].column("signup_at").null_count == 2 and not tables["availability"].num_rows


def test_a_changed_rule_derives_titles_anew_from_all_that_landed(tmp_path):
    plain = parse_mapping(PLAYS, place="test")
    path = deliver(tmp_path, "plays-1.csv", "who,what,at,label\nana,7,2025-03-10T20:00:00Z,Named\n")
    ingest(tmp_path / "home", plain, [path])
    assert built(tmp_path / "home", plain)["titles"].column("name").to_pylist() == [None]
    named = parse_mapping(PLAYS + "[titles]\nfrom_plays = true\nname = { column = 'label' }\n", place="test")
    ingest(tmp_path / "home", named, [path])
    assert built(tmp_path / "home", named)["titles"].column("name").to_pylist() == ["Named"]


def test_equal_hashes_of_different_ids_are_refused(tmp_path):
    mapping = parse_mapping(PLAYS + OWN, place="test")
    section = sections(mapping)["profiles"]
    section.reading.values["id"] = "CAST(0 AS BIGINT)"
    landed = Lake(tmp_path / "home")
    ingest(landed.home, mapping, [deliver(tmp_path, "profiles.csv", "who,since,home\nana,,\nana,,\n")])
    assert read_section(landed.read("landing_profiles"), section).rows.num_rows == 1
    ingest(landed.home, mapping, [deliver(tmp_path, "profiles-2.csv", "who,since,home\nbo,,\n")])
    with pytest.raises(SourceError, match="the ids 'ana' and 'bo' have the same 63-bit hash"):
        read_section(landed.read("landing_profiles"), section)


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.strip(" ")))
def test_text_ids_are_stable_and_fit(text):
    assert 0 <= text_hash(text) < 2**63 and id_of(text, "text", place="test") == text_hash(text.strip(" "))


def test_the_engine_hashes_as_the_library_does():
    connection = reference.connect()
    found = connection.execute(f"SELECT {reference.dialect.text_hash('$text')}", {"text": "u0000123 é"}).fetchone()
    assert found == (text_hash("u0000123 é"),)


def test_ids_are_found_by_either_name():
    rows = {
        c.PROFILE: [7, 9],
        c.KNOWN_AT: [0, 0],
        c.SOURCE_ID: ["7", "nine"],
        c.SIGNUP_AT: [None] * 2,
        c.HOME_COUNTRY: [None] * 2,
    }
    profiles = pa.table(rows, schema=PROFILES.schema)
    assert [resolve_id(profiles, c.PROFILE, text) for text in ("7", "7.0", "nine", "9")] == [7, 7, 9, 9]
    assert source_ids(profiles, c.PROFILE) == {7: "7", 9: "nine"}
    with pytest.raises(KeyRefused, match=r"there is no profile_id 'ten'.*known ones some are: 7, nine"):
        resolve_id(profiles, c.PROFILE, "ten")
    with pytest.raises(KeyRefused, match="not an id"):
        id_of("ten", "integer", place="--profile")


def test_as_known_of_nothing_is_nothing():
    assert as_known(TITLES.schema.empty_table(), c.TITLE, 0).num_rows == 0
