"""Small random worlds for the timeline's tests: late, duplicate, simultaneous plays, changed attributes, new ids."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, midnight, parse_day
from rec_platform.config import SourceRules
from rec_platform.errors import ConfigError
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.testing.timeline_oracle import TimelineOracle
from rec_platform.timetravel.declared import INSTANTS, MEASURES, NUMERIC, OF_RECORDS, SHARE, Fact
from rec_platform.timetravel.filters import parse_filter
from rec_platform.timetravel.timeline import Timeline

#: The last Saturday before clocks change in Paris; the worlds lie around it.
START = midnight(parse_day("2025-03-29", place="test"))
RULES = SourceRules(time_zones={"default": "UTC", "FR": "Europe/Paris", "IN": "Asia/Kolkata"})
COUNTRIES = ("FR", "IN", "US")
PLAY_SCHEMA = pa.schema(
    [
        (c.PROFILE, pa.int64()), (c.TITLE, pa.int64()), (c.PLAYED_AT, INSTANT), (c.KNOWN_AT, INSTANT),
        (c.WATCHED_MS, pa.int64()), (c.ENGAGED, pa.int8()), (c.COUNTRY, pa.string()), (c.DEVICE, pa.string()),
        (c.SURFACE, pa.string()), (c.ROW, pa.int32()), (c.POSITION, pa.int32()), (c.PROPENSITY, pa.float64()),
        (c.SESSION_ID, pa.int64()),
    ]
)  # fmt: skip

# few distinct instants, so that plays, ticks, window edges and contexts often coincide
_instants = st.one_of(
    st.builds(lambda day, hour: START + day * DAY + hour * HOUR, st.integers(-95, 6), st.sampled_from([0, 1, 2, 20])),
    st.builds(lambda day, off: START + day * DAY + off, st.integers(-3, 6), st.sampled_from([-1, 0, 1])),
    st.builds(lambda minutes: START + minutes * MINUTE, st.integers(-150, 150)),
    st.just(START - 4000 * DAY),
)
_lags = st.sampled_from([0, 1, 20 * MINUTE, HOUR, 5 * HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY, 10 * DAY, 100 * DAY])
_profiles, _titles = st.sampled_from([1, 2, 2**62]), st.sampled_from([3, 5, 8, 13])
_words = st.lists(st.sampled_from(["drama", "crime", "noir", "war"]), max_size=5)


_shown = st.fixed_dictionaries(
    {
        c.DEVICE: st.sampled_from(["tv", "web"]), c.SURFACE: st.sampled_from([None, "home", "search"]),
        c.ROW: st.sampled_from([None, 0, 1, 7]), c.POSITION: st.sampled_from([None, 0, 3, 2**31 - 1]),
        c.PROPENSITY: st.sampled_from([None, 0.25, 1.0]), c.SESSION_ID: st.sampled_from([None, 4, 2**62 + 1]),
    }
)  # fmt: skip


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
                lambda profile, title, played, lag, watched, engaged, country, shown: {
                    c.PROFILE: profile, c.TITLE: title, c.PLAYED_AT: played, c.KNOWN_AT: played + lag,
                    c.WATCHED_MS: watched, c.ENGAGED: engaged, c.COUNTRY: country, **shown,
                },
                _profiles, _titles, _instants, _lags, st.integers(0, 2**33), st.integers(0, 1),
                st.sampled_from(COUNTRIES), _shown,
            ),
            max_size=max_size,
        )
    )  # fmt: skip
    return pa.Table.from_pylist(rows + rows[: draw(st.integers(0, 2))], schema=PLAY_SCHEMA)


_title_rows = st.builds(
    lambda title, known, genres, tags, runtime, released, name: {
        c.TITLE: title, c.KNOWN_AT: known, c.SOURCE_ID: str(title), c.NAME: name, c.GENRES: genres, c.TAGS: tags,
        c.RUNTIME_MS: runtime, c.RELEASED_AT: released,
    },
    _titles, _instants, _words, _words, st.one_of(st.none(), st.integers(1, 10**7)), st.one_of(st.none(), _instants),
    st.sampled_from([None, "Noir", "A long noir"]),
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
    """What every timeline holds: each entity and measure, over one day, a month and all time where a window may be."""
    facts = []
    for entity, measures in MEASURES.items():
        for measure in measures:
            if measure == SHARE or measure in NUMERIC:
                continue
            fixed = measure in OF_RECORDS or (
                measure == "first_played_at" and entity in ("title", "title_country", "country", "platform")
            )
            for window in (None,) if fixed else (None, 1, 28):
                ways = [("genres", "mean"), ("genres", "max"), ("tags", "mean")] if entity == "profile_attribute" else [
                    ("genres", "mean")]  # fmt: skip
                for attribute, over in ways[:: 2 if measure in INSTANTS else 1]:
                    name = f"{entity}_{measure}_{window}_{attribute}_{over}"
                    facts.append(Fact(name, entity, measure, window, attribute=attribute, over=over))
    return facts


# ------------------------------------------------------------------------------------------------- random filters

_NUMBERS = ("watched_ms", "engaged", "row", "position", "propensity", "runtime_ms", "hour", "weekday")
_TEXTS = ("device", "surface", "country", "name", "source_id")
_SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_EQUAL = st.sampled_from(["==", "!="])
_numbers = st.recursive(
    st.one_of(
        st.sampled_from(_NUMBERS), st.sampled_from([0, 1, 2, 6, 20, -1, 0.25, 1.0, 5_000_000, 2**32]).map(str),
    ),
    lambda inner: st.builds(lambda left, sign, right: f"({left} {sign} {right})", inner, st.sampled_from("+-*/"), inner)
    | inner.map(lambda one: f"(-{one})"),
    max_leaves=4,
)  # fmt: skip
_text_literals = st.sampled_from(["tv", "web", "home", "FR", "noir", "Noir", "drama", "3", "it's", ""]).map(repr)
_instant_texts = st.sampled_from(["2025-03-29", "2025-03-29T01:00:00Z", "2025-03-30T20:00:00+02:00", "1990-01-01"])
_tests = st.one_of(
    st.builds(lambda a, s, b: f"{a} {s} {b}", _numbers, _SIGNS, _numbers),
    st.builds(lambda a, s, b, t, d: f"{a} {s} {b} {t} {d}", _numbers, _SIGNS, _numbers, _SIGNS, _numbers),
    st.builds(lambda a, n, b: f"{a} {n}in ({b[0]}, {b[1]})", st.sampled_from(_NUMBERS), st.sampled_from(["", "not "]),
              st.tuples(st.integers(0, 7), st.sampled_from([0.25, 1, 20, 2**31 - 1]))),
    st.builds(lambda a, s, b: f"{a} {s} {b}", st.sampled_from(_TEXTS), _SIGNS,
              st.one_of(_text_literals, st.sampled_from(_TEXTS))),
    st.builds(lambda a, n, b: f"{a} {n}in [{b}, 'tv']", st.sampled_from(_TEXTS), st.sampled_from(["", "not "]), _text_literals),
    st.builds(lambda a, n, b: f"{a} {n}in {b}", _text_literals, st.sampled_from(["", "not "]),
              st.sampled_from(["genres", "tags", "name", "surface"])),
    st.builds(lambda a, s, b: f"{a} {s} {b}", st.sampled_from(["title_id", "profile_id", "session_id"]), _EQUAL,
              st.sampled_from(["3", "1", "title_id", str(2**62), str(2**62 + 1)])),
    st.builds(lambda n: f"session_id {n}in (4, {2**62 + 1})", st.sampled_from(["", "not "])),
    st.builds(lambda a, n: f"{a} is {n}None", st.sampled_from([*_NUMBERS, *_TEXTS, "genres", "released_at", "row / 0"]),
              st.sampled_from(["", "not "])),
    st.builds(lambda a, s, b: f"{a} {s} {b!r}", st.sampled_from(["played_at", "known_at", "released_at"]), _SIGNS,
              _instant_texts),
    st.builds(lambda a, s: f"{a} {s} released_at", st.sampled_from(["played_at", "known_at"]), _SIGNS),
    st.builds(lambda a, s, b: f"{a} {s} {b!r}", st.sampled_from(["known_at - played_at", "played_at - released_at"]),
              _SIGNS, st.sampled_from(["20min", "5h", "1d", "4000d"])),
)  # fmt: skip
_conditions = st.recursive(
    _tests,
    lambda inner: (
        st.builds(lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["and", "or"]), inner)
        | inner.map(lambda one: f"not ({one})")
    ),
    max_leaves=4,
)


def _declarable(text: str) -> bool:
    """Those that name no column, or compare one with what it can never be (hour == 25), are refused."""
    try:
        parse_filter(text, place="worlds")
    except ConfigError as error:
        if "names no column" not in error.fault and ", never " not in error.fault:
            raise
        return False
    return True


#: Conditions as a user writes them, and as may be declared.
filters = _conditions.filter(_declarable)
