"""Small random histories for the tests of contexts, and their Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.clock import HOUR, MINUTE, day_of, midnight
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame
from rec_platform.partition import Partition
from rec_platform.tables import AVAILABILITY, INSTANT, PLAY_FACTS, PROFILES, TITLES
from rec_platform.testing.context_oracle import Offer, Play
from rec_platform.testing.readers import MemoryReader
from rec_platform.timetravel.timeline import Timeline

DAY_ONE = date(2025, 3, 10)


@st.composite
def histories(draw: st.DrawFn, days: int = 3, profiles: int = 3, titles: int = 5) -> list[Play]:
    """Plays on a coarse grid of instants, so that simultaneous plays, exact gaps and exact boundaries do occur."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, profiles),
                st.integers(0, days * 24 * 4 - 1),
                st.integers(1, titles),
                st.sampled_from([0, 0, 15, 60, 6 * 60, 24 * 60, 60 * 60]),
                st.integers(0, 1),
                st.sampled_from([None, 1, 2, 3]),
                st.sampled_from(["tv", "phone"]),
                st.sampled_from(["FR", "FR", "DE"]),
            ),
            max_size=30,
        )
    )
    start = midnight(DAY_ONE)
    return [
        Play(
            profile_id=profile,
            played_at=start + quarter * 15 * MINUTE,
            title_id=title,
            play_id=number,
            known_at=start + (quarter * 15 + lag) * MINUTE,
            engaged=engaged,
            session_id=session,
            device=device,
            country=country,
        )
        for number, (profile, quarter, title, lag, engaged, session, device, country) in enumerate(rows)
    ]


@st.composite
def offers(draw: st.DrawFn, days: int = 3, titles: int = 5) -> list[Offer]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, titles),
                st.sampled_from(["FR", "DE"]),
                st.integers(-24, days * 24),
                st.one_of(st.none(), st.integers(1, 48)),
                st.integers(-30, 20),
            ),
            max_size=10,
            unique_by=lambda row: (row[0], row[1], row[2], row[2] + row[4]),
        )
    )
    start = midnight(DAY_ONE)
    return [
        Offer(title, country, start + hour * HOUR, None if length is None else start + (hour + length) * HOUR,
              start + (hour + lag) * HOUR)
        for title, country, hour, length, lag in rows
    ]  # fmt: skip


def play_table(plays: Sequence[Play]) -> pa.Table:
    """Play facts with their country, in the table's order."""
    rows = sorted(plays, key=lambda p: (p.played_at, p.profile_id, p.title_id, p.play_id))
    n = len(rows)
    columns = {
        c.PLAY_ID: pa.array([p.play_id for p in rows], pa.int64()),
        c.PROFILE: pa.array([p.profile_id for p in rows], pa.int64()),
        c.TITLE: pa.array([p.title_id for p in rows], pa.int64()),
        c.PLAYED_AT: instants([p.played_at for p in rows]),
        c.KNOWN_AT: instants([p.known_at for p in rows]),
        c.WATCHED_MS: pa.array([1_000 * (p.play_id + 1) for p in rows], pa.int64()),
        c.ENGAGED: pa.array([p.engaged for p in rows], pa.int8()),
        c.SESSION_ID: pa.array([p.session_id for p in rows], pa.int64()),
        c.DEVICE: pa.array([p.device for p in rows], pa.string()),
        c.SURFACE: pa.nulls(n, pa.string()),
        c.ROW: pa.nulls(n, pa.int32()),
        c.POSITION: pa.nulls(n, pa.int32()),
        c.PROPENSITY: pa.nulls(n, pa.float64()),
    }
    table = pa.table({name: columns[name] for name in PLAY_FACTS.schema.names})
    return table.append_column(c.COUNTRY, pa.array([p.country for p in rows], pa.string()))


def offer_table(rows: Sequence[Offer]) -> pa.Table:
    ordered = sorted(rows, key=lambda o: (o.title_id, o.country, o.since, o.known_at))
    return pa.table(
        {
            c.TITLE: pa.array([o.title_id for o in ordered], pa.int64()),
            c.COUNTRY: pa.array([o.country for o in ordered], pa.string()),
            c.AVAILABLE_FROM: instants([o.since for o in ordered]),
            c.AVAILABLE_TO: instants([o.until for o in ordered]),
            c.KNOWN_AT: instants([o.known_at for o in ordered]),
        },
        schema=AVAILABILITY.schema,
    )


def signup_table(signups: dict[int, tuple[int, int]]) -> pa.Table:
    """Profiles with (signup_at, known_at)."""
    ids = sorted(signups)
    return pa.table(
        {
            c.PROFILE: pa.array(ids, pa.int64()),
            c.KNOWN_AT: instants([signups[i][1] for i in ids]),
            c.SOURCE_ID: pa.array([str(i) for i in ids], pa.string()),
            c.SIGNUP_AT: instants([signups[i][0] for i in ids]),
            c.HOME_COUNTRY: pa.nulls(len(ids), pa.string()),
        },
        schema=PROFILES.schema,
    )


def instants(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(INSTANT)


def timeline(
    plays: Sequence[Play],
    offered: Sequence[Offer] = (),
    *,
    rules: SourceRules | None = None,
    signups: dict[int, tuple[int, int]] | None = None,
) -> Timeline:
    return Timeline.build(
        play_table(plays), TITLES.schema.empty_table(), signup_table(signups or {}), offer_table(offered),
        rules=rules or SourceRules(),
    )  # fmt: skip


def reader(
    plays: Sequence[Play], offered: Sequence[Offer] = (), *, days: int = 4, countries: tuple[str, ...] = ("DE", "FR"),
    signups: dict[int, tuple[int, int]] | None = None,
) -> MemoryReader:  # fmt: skip
    """A reader with every partition of the days published, empty ones too."""
    partitions = {
        Partition(DAY_ONE + timedelta(days=number), country): play_table(
            [p for p in plays if p.country == country and day_of(p.played_at) == DAY_ONE + timedelta(days=number)]
        ).drop_columns([c.COUNTRY])
        for number in range(days)
        for country in countries
    }
    whole = Partition()
    return MemoryReader(
        {
            PLAY_FACTS.name: partitions,
            TITLES.name: {whole: TITLES.schema.empty_table()},
            PROFILES.name: {whole: signup_table(signups or {})},
            AVAILABILITY.name: {whole: offer_table(offered)},
        }
    )


def contexts_frame(rows: Sequence[tuple[int, int]], country: str = "FR", device: str = "tv") -> Frame:
    """Contexts from (profile, at), numbered from 1, without items."""
    return Frame.of(
        pa.table(
            {
                c.PROFILE: pa.array([profile for profile, _ in rows], pa.int64()),
                c.COUNTRY: pa.array([country] * len(rows), pa.string()),
                c.CONTEXT_ID: pa.array(np.arange(1, len(rows) + 1, dtype=np.int64)),
                c.AT: instants([at for _, at in rows]),
                c.DEVICE: pa.array([device] * len(rows), pa.string()),
            }
        ),
        items={c.TITLE: np.empty(0, np.int64), c.LABEL: np.empty(0, np.float64)},
    )
