"""Lists of titles: of one profile, or a few published ones of each country."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.commands.options import Row
from rec_platform.config import Settings
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.flow import Platform, Window
from rec_platform.partition import Partition, checked_country
from rec_platform.plays.reference import resolve_id, source_ids
from rec_platform.scoring.stage import recommend_one
from rec_platform.stage import Input
from rec_platform.tables import PROFILES, RECOMMENDATIONS, TITLES


def recommendations(home: Path, *, profile: str, country: str, as_of: date, k: int) -> list[Row]:
    """The list of one profile: the published one where it is long enough, else made now by the same code."""
    if not profile or not country:
        raise KeyRefused(
            "no profile or no country given", place="recommend", repair="Give --profile ID --country FR, or --sample."
        )
    partition = Partition(as_of, checked_country(country, place="--country"))
    platform = Platform(home)
    Window.checked(platform.index, platform.settings, as_of, as_of, (partition.place,))
    reader = _recommending(platform, partition)
    profile_id = _profile_or_stranger(reader.read(PROFILES.name, [Partition()]), profile)
    rows = reader.read(RECOMMENDATIONS.name, [partition], RECOMMENDATIONS.schema.names)
    rows = rows.filter(pc.equal(rows.column(c.PROFILE), profile_id))
    if rows.num_rows < k:
        settings = _longer(platform.settings, k)
        rows = recommend_one(reader, settings, profile_id=profile_id, country=partition.place, as_of=as_of)
    return _named(rows.slice(0, k), reader.read(TITLES.name, [Partition()]))


def sample_recommendations(home: Path, as_of: date, *, k: int, profiles: int = 1) -> list[Row]:
    """Published lists of the first profiles of each country."""
    platform = Platform(home)
    lists = Input(RECOMMENDATIONS.name, as_of, as_of, every_country=True, optional=True)
    reader = platform.reader(lists, Input(TITLES.name), Input(PROFILES.name))
    found: list[Row] = []
    titles = reader.read(TITLES.name, [Partition()])
    people = source_ids(reader.read(PROFILES.name, [Partition()]), c.PROFILE)
    for partition in reader.published(RECOMMENDATIONS.name, as_of):
        rows = reader.read(RECOMMENDATIONS.name, [partition], RECOMMENDATIONS.schema.names)
        some = pc.unique(rows.column(c.PROFILE)).slice(0, profiles)
        kept = rows.filter(pc.and_(pc.is_in(rows.column(c.PROFILE), some), pc.less_equal(rows.column(c.RANK), k)))
        who = kept.column(c.PROFILE).to_pylist()
        found += [
            {c.COUNTRY: partition.place, "profile": people.get(profile, str(profile))} | row
            for profile, row in zip(who, _named(kept, titles), strict=True)
        ]
    if not found:
        raise MissingInput(
            f"no recommendations are published for {as_of}", place="recommendations",
            repair="Run `rec-platform run` for that day.",
        )  # fmt: skip
    return found


def _recommending(platform: Platform, partition: Partition) -> Any:
    """A reader over what recommendations of the partition read, and over those published."""
    stage = platform.stages[RECOMMENDATIONS.name]
    inputs = stage.inputs(partition, platform.settings)
    published = Input(RECOMMENDATIONS.name, partition.day, partition.day, (partition.place,), optional=True)
    return platform.reader(*inputs, published)


def _profile_or_stranger(profiles: pa.Table, text: str) -> int:
    """The profile's id; a number that nobody has heard of is a stranger, who is served by popularity."""
    try:
        return resolve_id(profiles, c.PROFILE, text)
    except KeyRefused:
        if text.strip().isdigit() and len(text.strip()) < 19:
            return int(text)
        raise


def _longer(settings: Settings, k: int) -> Settings:
    n = max(k, settings.recommend.n)
    return settings.model_copy(update={"recommend": settings.recommend.model_copy(update={"n": n})})


def _named(rows: pa.Table, titles: pa.Table) -> list[Row]:
    """Rows for people: the title's name and the source's id beside ours."""
    newest = {row[c.TITLE]: row for row in titles.select([c.TITLE, c.SOURCE_ID, c.NAME]).to_pylist()}
    shown = []
    for row in rows.to_pylist():
        title = newest.get(row[c.TITLE], {})
        shown.append(
            {
                c.RANK: row[c.RANK],
                "title": title.get(c.SOURCE_ID, str(row[c.TITLE])),
                c.NAME: title.get(c.NAME) or "",
                c.SCORE: round(row[c.SCORE], 4),
                c.MODEL: row[c.MODEL],
                "why": "\n".join(row[c.REASONS]),
            }
        )
    return shown
