"""What an ingest does with good files, bad files, the same files again, and late ones."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plays_oracle import account

from rec_platform.clock import midnight
from rec_platform.config import Settings
from rec_platform.errors import ConfigError, SourceError
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping, parse_mapping
from rec_platform.plays.raw import RawPlays, classify, split_by_partition
from rec_platform.tables import RAW_PLAYS

MAPPING = """
[source]
name = "shop"
live = false

[plays]
files = ["*.csv"]
profile = { column = "who", kind = "text" }
title = { column = "title", kind = "integer" }
played_at = { column = "at" }
known_at = { rule = "column", column = "known" }
country = { column = "where" }
duration = { column = "seconds", unit = "s" }
filters = [{ name = "no_amount", keep = "amount > 0" }]
"""
HEADER = "who,title,at,known,where,seconds,amount"
GOOD = "ana,7,2025-03-10T20:00:00Z,2025-03-12T06:00:00Z,FR,1800,1"


def write(folder: Path, name: str, *lines: str, header: str = HEADER) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def shop(text: str = MAPPING):
    return parse_mapping(text, place="test")


def landed(home: Path, table: str = "landing") -> pa.Table:
    return Lake(home).read(table)


def rules(home: Path) -> list[tuple[str, str, int]]:
    judged = classify(landed(home), shop().plays)
    return [(row["rule"], row["detail"], row["line"]) for row in judged.quarantined.to_pylist()]


def test_a_play_lands_and_becomes_a_row(tmp_path):
    account_ = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD)])
    assert account_.ok and account_.call.accepted == account_.whole.accepted == 1
    assert account_.touched == (Partition(date(2025, 3, 10), "FR"),)
    row = landed(tmp_path / "home").to_pylist()[0]
    assert json.loads(row["delivered"]) == dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    assert row["delivered"] == json.dumps(json.loads(row["delivered"]), sort_keys=True, separators=(",", ":"))
    play = classify(landed(tmp_path / "home"), shop().plays).plays.to_pylist()[0]
    assert (play["title_id"], play["watched_ms"], play["event"]) == (7, 1_800_000, "play")
    assert str(play["known_at"]) == "2025-03-12 06:00:00+00:00"


def test_known_at_is_never_before_the_end_of_the_play(tmp_path):
    early = "ana,7,2025-03-10T20:00:00Z,2025-03-10T20:10:00Z,FR,1800,1"
    result = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD.replace("1800", "10"), early)])
    plays = classify(landed(tmp_path / "home"), shop().plays).plays
    assert result.call.known_at_raised == 1
    assert sorted(str(row) for row in plays.column("known_at").to_pylist())[0] == "2025-03-10 20:30:00+00:00"


def test_the_same_files_twice_change_nothing(tmp_path):
    home, files = (
        tmp_path / "home",
        [write(tmp_path, "a.csv", GOOD), write(tmp_path, "b.csv", GOOD.replace("ana", "bo"))],
    )
    first = ingest(home, shop(), files)
    versions = {name: Lake(home).version(name) for name in ("landing", "landing_titles", "landing_profiles")}
    renamed = write(tmp_path / "again", "other-name.csv", GOOD)
    second = ingest(home, shop(), [*files, renamed])
    assert versions == {name: Lake(home).version(name) for name in versions}
    assert second.whole == first.whole and second.call.delivered == 0 and second.touched == ()
    assert [file.status for file in second.files] == ["skipped"] * 3


def test_a_late_file_touches_its_partitions_and_no_others(tmp_path):
    home = tmp_path / "home"
    days = [GOOD.replace("-10T20", f"-{day}T20") for day in (10, 11, 12)]
    ingest(home, shop(), [write(tmp_path, "a.csv", *days)])
    before = {partition: state.content_hash for partition, state in Lake(home).state("landing").items()}
    late = ingest(home, shop(), [write(tmp_path, "late.csv", days[1].replace("ana", "bo"))])
    after = {partition: state.content_hash for partition, state in Lake(home).state("landing").items()}
    assert late.touched == (Partition(date(2025, 3, 11), "FR"),)
    assert {partition for partition in after if after[partition] != before.get(partition)} == set(late.touched)
    assert (late.call.delivered, late.whole.delivered) == (1, 4)


def test_a_duplicate_in_a_later_file_is_told_and_the_one_known_first_stays(tmp_path):
    mapping = shop(MAPPING.replace("files = ", 'play_id = { columns = ["who", "title"] }\nfiles = ', 1))
    later, earlier = GOOD.replace("03-12", "03-14"), GOOD
    ingest(tmp_path / "home", mapping, [write(tmp_path, "a.csv", later)])
    result = ingest(tmp_path / "home", mapping, [write(tmp_path, "b.csv", earlier)])
    assert (result.whole.duplicates, result.whole.accepted) == (1, 1)
    plays = classify(landed(tmp_path / "home"), mapping.plays).plays
    assert [str(row) for row in plays.column("known_at").to_pylist()] == ["2025-03-12 06:00:00+00:00"]


# --- bad input: each fault names file, row or column, and what to do; nothing else is lost -----------------------------


def refused(tmp_path: Path, *paths: Path) -> SourceError:
    """Ingest a good file beside bad ones: the good one must be in, and one fault be told."""
    good = write(tmp_path / "good", "good.csv", GOOD)
    result = ingest(tmp_path / "home", shop(), [*paths, good])
    assert result.whole.accepted == 1 and not result.ok and len(result.faults) == 1
    return result.faults[0]


def test_a_missing_column(tmp_path):
    fault = refused(tmp_path, write(tmp_path, "bad.csv", "ana,7", header="who,titel"))
    assert "column at, where, title, seconds, known, amount is missing: the file has who, titel (bad.csv)" in str(fault)
    assert "name the right one in the mapping" in fault.repair


def test_an_unknown_column_is_ignored_with_a_note(tmp_path):
    result = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD + ",x", header=HEADER + ",colour")])
    assert result.ok and result.call.accepted == 1
    assert result.notes == ("plays: columns the mapping does not read: colour",)


def test_text_where_a_number_belongs(tmp_path):
    ingest(
        tmp_path / "home",
        shop(),
        [write(tmp_path, "a.csv", GOOD, GOOD.replace("1800", "long"), GOOD.replace(",7,", ",x7,"))],
    )
    assert rules(tmp_path / "home") == [("unreadable", "seconds: long", 2), ("unreadable", "title: x7", 3)]


def test_a_retyped_column_refuses_the_file(tmp_path):
    rows = [GOOD.replace("1800", "long").replace("ana", f"p{number}") for number in range(25)]
    fault = refused(tmp_path, write(tmp_path, "bad.csv", *rows))
    assert "column seconds cannot be read in any of its 25 rows, for example 'long'" in str(fault) and "bad.csv" in str(
        fault
    )


def test_an_unreadable_file(tmp_path):
    folder = tmp_path / "folder.csv"
    mapping = shop(MAPPING.replace("*.csv", "*.parquet").replace("[plays]", '[plays]\nformat = "parquet"'))
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not parquet at all")
    result = ingest(tmp_path / "home", mapping, [broken])
    assert "cannot be read" in str(result.faults[0]) and "broken.parquet" in str(result.faults[0])
    missing = ingest(tmp_path / "home", mapping, [folder])
    assert "there is no such file or folder" in str(missing.faults[0])


@pytest.mark.parametrize("country", ["*", "../x", "fr", "XX", "", "FRA"])
def test_a_hostile_country_stands_apart(tmp_path, country):
    ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD, GOOD.replace("FR", country))])
    assert set(Lake(tmp_path / "home").state("landing")) == {
        Partition(date(2025, 3, 10), "FR"), Partition(date(2025, 3, 10), "__")}  # fmt: skip
    assert rules(tmp_path / "home") == [("unreadable", f"where: {country or '(empty)'}", 2)]


@pytest.mark.parametrize("year", ["1970", "2099"])
def test_a_date_that_cannot_be(tmp_path, year):
    ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD, GOOD.replace("2025-03-10", f"{year}-03-10"))])
    assert rules(tmp_path / "home") == [("impossible", f"at: {year}-03-10T20:00:00Z", 2)]
    assert Partition(date(2025, 3, 12), "__") in Lake(tmp_path / "home").state("landing")


def test_an_empty_file_and_an_empty_folder(tmp_path):
    (tmp_path / "nothing").mkdir()
    assert "the folder is empty" in str(refused(tmp_path, tmp_path / "nothing"))
    (tmp_path / "empty.csv").touch()
    result = ingest(tmp_path / "home", shop(), [tmp_path / "empty.csv"])
    assert "the file is empty (0 bytes) (empty.csv)" in str(result.faults[0])


def test_a_file_that_no_section_reads(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert "no section of the mapping reads this file" in str(refused(tmp_path, tmp_path / "notes.txt"))


def test_a_header_alone_is_a_delivery_without_rows(tmp_path):
    result = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv")])
    assert result.ok and result.call.delivered == 0 and result.notes == ("plays: a.csv holds no rows",)


def test_rows_that_cannot_be_taken_apart_are_refused_alone(tmp_path):
    path = tmp_path / "a.csv"
    bo, cy = (GOOD.replace("ana", name).encode() for name in ("bo", "cy"))
    broken_bytes = GOOD.encode().replace(b"ana", b"an\xff")
    quoted = GOOD.replace("ana", '"ana, the\nfirst"').encode()
    path.write_bytes(b"\n".join([HEADER.encode(), quoted, b"ana,7", bo, broken_bytes, GOOD.encode() + b",more", cy]))
    result = ingest(tmp_path / "home", shop(), [path])
    assert result.ok and result.call.accepted == 3
    assert sorted(rules(tmp_path / "home"), key=lambda rule: rule[2]) == [
        ("unreadable", "2 fields where 7 belong", 2),
        ("unreadable", "bytes that are not UTF-8", 4),
        ("unreadable", "8 fields where 7 belong", 5),
    ]


def test_an_open_quote_loses_its_own_row_only(tmp_path):
    rows = [GOOD.replace("ana", f"p{number}") for number in range(5)]
    rows[1] = '"' + rows[1]
    result = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", *rows)])
    assert (result.call.delivered, result.call.accepted) == (5, 4)
    assert [(rule, line) for rule, _, line in rules(tmp_path / "home")] == [("unreadable", 2)]
    assert sorted(landed(tmp_path / "home").column("line").to_pylist()) == [1, 2, 3, 4, 5]


# --- homes, mappings, times of delivery --------------------------------------------------------------------------------


def test_a_home_holds_one_source(tmp_path):
    ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD)])
    assert (tmp_path / "home" / "source.toml").read_text() == MAPPING
    with pytest.raises(ConfigError, match="this home holds the source 'shop', not 'other'"):
        ingest(tmp_path / "home", shop(MAPPING.replace('"shop"', '"other"')), [tmp_path / "a.csv"])


def test_a_changed_mapping_applies_to_what_has_landed_unless_it_moves_rows(tmp_path):
    ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", GOOD, GOOD.replace(",1800,1", ",1800,5"))])
    stricter = shop(MAPPING.replace("amount > 0", "amount > 3"))
    assert ingest(tmp_path / "home", stricter, [tmp_path / "a.csv"]).whole.quarantined["no_amount"] == 1
    moved = shop(MAPPING.replace('{ column = "at" }', '{ column = "at", time_zone = "Europe/Paris" }'))
    with pytest.raises(ConfigError, match="changes played_at or country"):
        ingest(tmp_path / "home", moved, [tmp_path / "a.csv"])
    with pytest.raises(ConfigError, match=r"now reads FR\|2025-03-12 from a row that landed under FR\|2025-03-10"):
        classify(landed(tmp_path / "home"), shop(MAPPING.replace('column = "at"', 'column = "known"')).plays)


def test_delivery_times_must_be_said_where_they_are_the_rule(tmp_path):
    mapping = shop(MAPPING.replace('{ rule = "column", column = "known" }', '{ rule = "delivered" }'))
    path = write(tmp_path, "a.csv", GOOD)
    with pytest.raises(SourceError, match="--delivered-at"):
        ingest(tmp_path / "home", mapping, [path])
    at = midnight(date(2025, 4, 1))
    ingest(tmp_path / "home", mapping, [path], delivered_at=at)
    play = classify(landed(tmp_path / "home"), mapping.plays).plays.to_pylist()[0]
    assert str(play["known_at"]) == "2025-04-01 00:00:00+00:00"


def test_csv_jsonl_and_parquet_give_the_same_plays(tmp_path):
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    write(tmp_path, "a.csv", GOOD)
    (tmp_path / "a.jsonl").write_text(json.dumps({**values, "title": 7, "seconds": 1800, "amount": 1}) + "\nnot json\n")
    pq.write_table(pa.table({**{name: [text] for name, text in values.items()}, "title": [7]}), tmp_path / "a.parquet")
    found = []
    for kind in ("csv", "jsonl", "parquet"):
        mapping = shop(MAPPING.replace("*.csv", f"*.{kind}").replace("[plays]", f'[plays]\nformat = "{kind}"'))
        result = ingest(tmp_path / kind, mapping, [tmp_path / f"a.{kind}"])
        assert result.call.accepted == 1 and result.call.refused == (kind == "jsonl")
        found.append(classify(landed(tmp_path / kind), mapping.plays).plays.drop_columns(["play_id"]))
    assert found[0].equals(found[1]) and found[0].equals(found[2])


def test_the_stage_gives_the_account_of_each_partition(tmp_path):
    lines = [GOOD, GOOD, GOOD.replace("FR", "DE"), GOOD.replace("ana", ""), GOOD.replace("FR", "*")]
    result = ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", *lines)])
    keys = [Partition(date(2025, 3, 10), country) for country in ("DE", "FR")]
    built = list(RawPlays(shop()).build(keys, _LakeReader(tmp_path / "home"), Settings()))
    assert [one.partition for one in built] == keys
    assert [one.extra["delivered"] for one in built] == [1, 3]
    assert built[1].extra | {"hits": None} == {
        "delivered": 3, "accepted": 1, "duplicates": 1, "hits": None, "known_at_raised": 0,
        "quarantined": {"unreadable": 0, "impossible": 0, "missing_id": 1, "no_amount": 0}}  # fmt: skip
    for one in built:
        for table in RawPlays.tables:
            table.check(one.tables[table.name].schema)
    assert result.whole.delivered == 5


class _LakeReader:
    def __init__(self, home: Path) -> None:
        self._lake = Lake(home)

    def read(self, table, partitions, columns=None):
        return self._lake.read(table, partitions, columns)


# --- the law: every row is accounted for, as the slow account says -----------------------------------------------------

_field = st.sampled_from
_row = st.builds(
    lambda *fields: ",".join(fields),
    _field(["ana", "bo", ""]), _field(["7", "8.0", "x", ""]),
    _field(["2025-03-10T20:00:00Z", "2025-03-11T00:00:00Z", "2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon", ""]),
    _field(["2025-03-12T06:00:00Z", "2025-03-12T07:00:00Z", "never"]),
    _field(["FR", "DE", "*", "fr"]), _field(["10", "0.5", "-1", "", "ten"]), _field(["1", "0", "", "2.5", "a"]),
)  # fmt: skip
_sound = st.builds(
    lambda who, at: f"{who},7,2025-03-{at}T20:00:00Z,2025-03-12T06:00:00Z,FR,10,1", _field("ab"), _field(["10", "11"])
)
_file = st.lists(st.one_of(_sound, _row, _field(["ana,7", "a,b,c,d,e,f,g,h"])), max_size=12)


@settings(max_examples=25)
@given(deliveries=st.lists(_file, min_size=1, max_size=3, unique_by=tuple))
def test_every_row_is_accounted_for(tmp_path_factory, deliveries):
    folder = tmp_path_factory.mktemp("case")
    texts, whole, mapping = [], None, shop()
    for number, lines in enumerate(deliveries):
        path = write(folder, f"{number}.csv", *lines)
        texts.append(path.read_text())
        whole = ingest(folder / "home", mapping, [path]).whole
    expected = account(texts)
    found = {
        "delivered": whole.delivered,
        "accepted": whole.accepted,
        "duplicates": whole.duplicates,
        **whole.quarantined,
    }
    assert {name: count for name, count in found.items() if count} == {name: n for name, n in expected.items() if n}


def test_rows_stand_in_table_order_and_split_cleanly(tmp_path):
    lines = [GOOD.replace("T20", f"T{hour}").replace("-10T", f"-{day}T") for day in (11, 10) for hour in (22, 20, 21)]
    ingest(tmp_path / "home", shop(), [write(tmp_path, "a.csv", *lines)])
    parts = split_by_partition(classify(landed(tmp_path / "home"), shop().plays).plays)
    assert [part.num_rows for part in parts.values()] == [3, 3]
    for rows in parts.values():
        assert rows.equals(rows.sort_by([(name, "ascending") for name in RAW_PLAYS.order]))
        RAW_PLAYS.check(rows.schema)


# --- real data ---------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_online_retail_adds_up(tmp_path, shared_data):
    mapping = load_mapping(Path(__file__).parents[2] / "examples" / "mappings" / "online_retail.toml")
    result = ingest(tmp_path / "home", mapping, [shared_data / "online-retail-by-day"])
    assert result.ok
    found = result.whole
    assert found.delivered == 541_909 == found.accepted + found.duplicates + found.refused
    assert (found.hits["missing_id"], found.hits["cancellation"], found.hits["duplicate"]) == (135_080, 9_288, 5_268)
    countries = {partition.place for partition in result.touched}
    assert len(countries) == 36 and {"IE", "ZA", "US", "ZZ"} <= countries and "__" not in countries


@pytest.mark.real_data
def test_kuairand_tells_its_duplicates(tmp_path, shared_data):
    mapping = load_mapping(Path(__file__).parents[2] / "examples" / "mappings" / "kuairand.toml")
    result = ingest(tmp_path / "home", mapping, [shared_data / "kuairand-pure-subset" / "val.parquet"])
    assert result.call.delivered == 94_784 and {partition.place for partition in result.touched} == {"CN"}
    assert result.call.duplicates > 0 and result.call.refused == 0


@pytest.mark.real_data
def test_movietweetings_reads_two_character_separators(tmp_path, shared_data):
    mapping = load_mapping(Path(__file__).parents[2] / "examples" / "mappings" / "movietweetings.toml")
    result = ingest(tmp_path / "home", mapping, [shared_data / "movietweetings-100k"])
    assert (result.call.delivered, result.call.accepted) == (100_000, 100_000)
    assert result.reference["titles"].delivered == 10_506 and result.reference["titles"].unreadable == 0
