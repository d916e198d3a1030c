"""Small random worlds for the timeline's tests: late, duplicate, simultaneous plays, changed attributes, new ids."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight, parse_day
from rec_platform.config import SourceRules
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.testing.timeline_oracle import TimelineOracle
from rec_platform.timetravel.declared import INSTANTS, MEASURES, OF_RECORDS, SUMS, Fact
from rec_platform.timetravel.timeline import Timeline

#: The last Saturday before clocks change in Paris; the worlds lie around it.
START = midnight(parse_day("2025-03-29", place="test"))
RULES = SourceRules(time_zones={"default": "UTC", "FR": "Europe/Paris", "IN": "Asia/Kolkata"})
COUNTRIES = ("FR", "IN", "US")
PLAY_SCHEMA = pa.schema(
    [
        (c.PROFILE, pa.int64()), (c.TITLE, pa.int64()), (c.PLAYED_AT, INSTANT), (c.KNOWN_AT, INSTANT),
        (c.WATCHED_MS, pa.int64()), (c.ENGAGED, pa.int8()), (c.COUNTRY, pa.string()),
    ]
)  # fmt: skip

# few distinct instants, so that plays, ticks, window edges and contexts often coincide
_instants = st.one_of(
    st.builds(lambda day, hour: START + day * DAY + hour * HOUR, st.integers(-95, 6), st.sampled_from([0, 1, 2, 20])),
    st.builds(lambda day, off: START + day * DAY + off, st.integers(-3, 6), st.sampled_from([-1, 0, 1])),
    st.just(START - 4000 * DAY),
)
_lags = st.sampled_from([0, 1, HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY, 10 * DAY, 100 * DAY])
_profiles, _titles = st.sampled_from([1, 2, 2**62]), st.sampled_from([3, 5, 8, 13])
_words = st.lists(st.sampled_from(["drama", "crime", "noir"]), max_size=3)


@dataclass(frozen=True)
class World:
    plays: pa.Table
    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table

    def timeline(self) -> Timeline:
        return Timeline.build(self.plays, self.titles, self.profiles, self.availability, rules=RULES)

    def oracle(self) -> TimelineOracle:
        return TimelineOracle.of(self.plays, self.titles, self.profiles, self.availability, rules=RULES)


@st.composite
def plays(draw: st.DrawFn, max_size: int = 25) -> pa.Table:
    rows = draw(
        st.lists(
            st.builds(
                lambda profile, title, played, lag, watched, engaged, country: {
                    c.PROFILE: profile, c.TITLE: title, c.PLAYED_AT: played, c.KNOWN_AT: played + lag,
                    c.WATCHED_MS: watched, c.ENGAGED: engaged, c.COUNTRY: country,
                },
                _profiles, _titles, _instants, _lags, st.integers(0, 2**33), st.integers(0, 1),
                st.sampled_from(COUNTRIES),
            ),
            max_size=max_size,
        )
    )  # fmt: skip
    return pa.Table.from_pylist(rows + rows[: draw(st.integers(0, 2))], schema=PLAY_SCHEMA)


_title_rows = st.builds(
    lambda title, known, genres, tags, runtime, released: {
        c.TITLE: title, c.KNOWN_AT: known, c.SOURCE_ID: str(title), c.NAME: None, c.GENRES: genres, c.TAGS: tags,
        c.RUNTIME_MS: runtime, c.RELEASED_AT: released,
    },
    _titles, _instants, _words, _words, st.one_of(st.none(), st.integers(1, 10**7)), st.one_of(st.none(), _instants),
)  # fmt: skip
_profile_rows = st.builds(
    lambda profile, known, signup: {
        c.PROFILE: profile, c.KNOWN_AT: known, c.SOURCE_ID: str(profile), c.SIGNUP_AT: signup, c.HOME_COUNTRY: None
    },
    _profiles, _instants, st.one_of(st.none(), _instants),
)  # fmt: skip
_offer_rows = st.builds(
    lambda title, country, begin, end, known: {
        c.TITLE: title, c.COUNTRY: country, c.AVAILABLE_FROM: begin, c.AVAILABLE_TO: end, c.KNOWN_AT: known
    },
    _titles, st.sampled_from(COUNTRIES[:2]), _instants, st.one_of(st.none(), _instants), _instants,
)  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    tables = (
        pa.Table.from_pylist(draw(st.lists(rows, max_size=8)), schema=spec.schema)
        for rows, spec in ((_title_rows, TITLES), (_profile_rows, PROFILES), (_offer_rows, AVAILABILITY))
    )
    return World(draw(plays()), *tables)


@dataclass(frozen=True)
class Asked:
    """Contexts with their items, as `compute` takes them."""

    profile_id: np.ndarray
    country: np.ndarray
    at: np.ndarray
    offsets: np.ndarray
    title_id: np.ndarray


@st.composite
def asked(draw: st.DrawFn, max_contexts: int = 4) -> Asked:
    contexts = draw(
        st.lists(
            st.tuples(st.one_of(_profiles, st.just(99)), st.sampled_from([*COUNTRIES, "BR"]), _instants,
                      st.lists(st.one_of(_titles, st.just(77)), max_size=4)),
            max_size=max_contexts,
        )
    )  # fmt: skip
    return Asked(
        np.array([row[0] for row in contexts], dtype=np.int64),
        np.array([row[1] for row in contexts], dtype=object),
        np.array([row[2] for row in contexts], dtype=np.int64),
        np.concatenate([[0], np.cumsum([len(row[3]) for row in contexts])]).astype(np.int64),
        np.array([title for row in contexts for title in row[3]], dtype=np.int64),
    )


def every_fact() -> list[Fact]:
    """Each entity and measure that can be declared, over one day, a month and all time where a window may be."""
    facts = []
    for entity, measures in MEASURES.items():
        for measure in measures:
            if measure not in (*SUMS, *INSTANTS, *OF_RECORDS):
                continue
            fixed = measure in ("signup_at", "released_at", "runtime_ms", "available_from") or (
                measure == "first_played_at" and entity in ("title", "title_country", "country", "platform")
            )
            for window in (None,) if fixed else (None, 1, 28):
                ways = [("genres", "mean"), ("genres", "max"), ("tags", "mean")] if entity == "profile_attribute" else [
                    ("genres", "mean")]  # fmt: skip
                for attribute, over in ways:
                    name = f"{entity}_{measure}_{window}_{attribute}_{over}"
                    facts.append(Fact(name, entity, measure, window, attribute=attribute, over=over))
    return facts
