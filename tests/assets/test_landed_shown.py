"""What landed, in Dagster: told by who reads it, once, and again when more has landed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from deployment import Deployment
from test_commands import WINDOW, copy_of, hashes

from assets.landed import news, report_landed
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import parse_mapping

LANDING = dg.AssetKey("landing")
MAPPING = """
[source]
name = "shop"
live = false

[plays]
files = ["*.csv"]
profile = { column = "who", kind = "text" }
title = { column = "title", kind = "integer" }
played_at = { column = "at" }
known_at = { rule = "delivered" }
country = { column = "where" }
duration = { column = "seconds", unit = "s" }
"""


def deliver(folder: Path, files: dict[str, tuple[str, ...]], *, day: int) -> Lake:
    """Take in files of plays (as `10 FR`: day of March, country), delivered at 06:00 of a day; the lake as it is then."""
    for name, plays in files.items():
        rows = [f"{name},7,2025-03-{play[:2]}T20:00:00Z,{play[3:]},60" for play in plays]
        (folder / name).write_text("\n".join(["who,title,at,where,seconds", *rows]) + "\n")
    at = int(datetime(2025, 3, day, 6, tzinfo=UTC).timestamp()) * 1_000_000
    mapping, paths = parse_mapping(MAPPING, place="test"), [folder / name for name in files]
    assert ingest(folder / "home", mapping, paths, delivered_at=at).ok
    return Lake(folder / "home")


def test_what_landed_is_told_once_and_again_when_more_has_landed(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert news(instance, Lake(tmp_path / "home"), [Partition()]) == [], "nothing has landed"
        lake = deliver(tmp_path, {"a.csv": ("10 FR", "10 DE", "10 **")}, day=11)
        cells = list(lake.state("landing"))
        assert "__|2025-03-10" in {cell.key for cell in cells}
        report_landed(instance, lake, cells)
        assert instance.get_materialized_partitions(LANDING) == {"DE|2025-03-10", "FR|2025-03-10"}
        assert news(instance, lake, cells) == []
        lake = deliver(tmp_path, {"b.csv": ("10 FR", "11 FR")}, day=12)
        assert [one.partition for one in news(instance, lake, cells)] == ["FR|2025-03-10"], "of those asked about"
        (one,) = news(instance, lake, cells)
        assert {name: found.value for name, found in one.metadata.items()} == {
            "rows_landing": 2, "n_files": 2, "files": "a.csv, b.csv",
            "delivered_at": datetime(2025, 3, 12, 6, tzinfo=UTC).timestamp(),
        }  # fmt: skip
        report_landed(instance, lake, cells)
        assert news(instance, lake, cells) == []


def test_of_many_files_the_first_are_named(tmp_path: Path) -> None:
    lake = deliver(tmp_path, {f"{n:02}.csv": ("10 FR",) for n in range(22)}, day=11)
    with dg.DagsterInstance.ephemeral() as instance:
        (one,) = news(instance, lake, lake.state("landing"))
    assert one.metadata["n_files"].value == 22
    assert str(one.metadata["files"].value).endswith("18.csv, 19.csv and 2 more")


_TOLD = """
import json, sys
import dagster as dg
landing = dg.AssetKey("landing")
with dg.DagsterInstance.get() as instance:
    events = [one.asset_materialization for one in instance.fetch_materializations(landing, 1000).records]
    if "forget" in sys.argv:
        instance.wipe_assets([landing])
print(json.dumps([[one.partition, one.tags["dagster/data_version"]] for one in events]))
"""


def told(home: Deployment, *then: str) -> list[tuple[str, str]]:
    """Partition and data version of each event of `landing`; `forget` forgets them then."""
    return sorted((key, version) for key, version in json.loads(home.python("-c", _TOLD, *then)))


def test_the_command_line_tells_each_delivered_partition_once_even_where_it_makes_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    home = copy_of(deployment, tmp_path / "home", without=())
    landed = sorted((key, found) for key, found in hashes(home.home)["landing"].items() if not key.startswith("__"))
    assert len(landed) > 6
    assert told(home, "forget") == landed
    assert told(home) == []
    assert not any(one["made"] or one["events_only"] for one in home.rows("run", *WINDOW))
    assert told(home) == landed
