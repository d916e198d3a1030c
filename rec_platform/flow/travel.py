"""A profile and a title as they were at a past instant: every feature, its facts, and the very plays behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import FIRST_DAY, day_of, iso, window_text
from rec_platform.contexts.stage import read_timeline
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.encoders import Encoder
from rec_platform.flow.index import Index
from rec_platform.flow.platform import Platform
from rec_platform.partition import Partition, checked_country
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.plays.reference import as_known, resolve_id, source_ids
from rec_platform.scoring.recommend import contexts_at
from rec_platform.stage import Input
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, TABLES, TITLES
from rec_platform.timetravel.declared import INSTANTS
from rec_platform.timetravel.explain import WHY, Asked, Explanation, Past, explained, in_json, per_day, plain, shown
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import PLAY_COLUMNS, Timeline
from rec_platform.timetravel.zones import local

Row = dict[str, Any]

#: Plays of a fact about titles, countries or the platform that JSON holds; facts about profiles have all of theirs.
MOST_PLAYS: Final = 20
#: Days whose counts stand beside such a fact, the newest.
DAYS: Final = 7
#: Names of facts in one line; those beyond are counted.
_NAMES: Final = 4


@dataclass(frozen=True)
class Journey:
    """What was travelled to.

    Attributes:
        asked: profile, country, instant and title.
        title: the title in words, as known then.
        features: every feature with its value, in the order of the set; hidden encoders among them.
        facts: the facts behind them, in declared order.
        titles: the source's id of each title.
        zone: the time zone that local hours and weekdays of the context are read on.
    """

    asked: Asked
    title: str
    features: tuple[tuple[Encoder, float], ...]
    facts: tuple[Explanation, ...]
    titles: dict[int, str]
    zone: str

    @property
    def local_time(self) -> str:
        """The context's instant on its country's clock: weekday, date, time and zone."""
        return f"{local(self.asked.at, self.zone):%a %Y-%m-%d %H:%M:%S} ({self.zone})"

    def rows(self) -> list[Row]:
        """One row per thing: context, feature or fact, all with what, name, value, unit and meaning; for JSON.

        Values of features and facts are the numbers models read, to the bit (instants as text); None where there is none.
        """
        clock = _of_context("local_time", self.local_time, "the instant on the declared clock of the country")
        return [*self.context_rows(), clock, *self.fact_rows(whole=True), *self.feature_rows(whole=True)]

    def context_rows(self) -> list[Row]:
        told = (
            ("as_of", iso(self.asked.at), "the first instant that is not visible"),
            ("country", self.asked.country, "the country of the context"),
            ("title", self.title, "the title that facts of titles are about"),
        )
        return [_of_context(*one) for one in told]

    def feature_rows(self, *, whole: bool = False) -> list[Row]:
        """Features with value and the facts they read; `whole` has the values as numbers."""
        return [
            {
                "what": "feature",
                "name": one.name,
                "value": (None if math.isnan(value) else value) if whole else plain(float(value)),
                "unit": one.unit,
                "reads": ", ".join(one.reads),
                "meaning": one.about,
            }
            for one, value in self.features
        ]

    def fact_rows(self, *, whole: bool = False) -> list[Row]:
        """Facts with value and window; `whole` has the values as numbers, and adds the plays themselves."""
        value, n_plays, n_left_out = (in_json, "n_plays", "n_left_out") if whole else (shown, "plays", "left out")
        return [
            {
                "what": "fact",
                "name": found.fact.name,
                "value": value(found.fact, found.value),
                "unit": "" if found.fact.measure in INSTANTS else found.fact.unit,
                "window": "all time" if found.fact.window is None else window_text(found.fact.micros),
                "from": "" if found.since is None else iso(found.since),
                "until": iso(found.as_of),
                n_plays: found.plays.num_rows if whole else _counted(found),
                n_left_out: found.left_out.num_rows,
                "meaning": found.fact.about,
                **(self._behind(found) if whole else {}),
            }
            for found in self.facts
        ]

    def _behind(self, found: Explanation) -> Row:
        """The plays for JSON: all of a profile's; of others' counts per day and the newest (of a first play the first)."""
        body = found.to_json()
        whole = {} if found.whole is None else found.whole.as_whole()
        if not found.fact.by_tick:
            return {name: body[name] for name in ("plays", "left_out", "records")} | whole
        days = {str(day_of(day)): count for day, count in per_day(found.plays)}
        some = slice(MOST_PLAYS) if _from_the_first(found) else slice(-MOST_PLAYS, None)
        return {"plays": body["plays"][some], "left_out": body["left_out"][-MOST_PLAYS:], "records": body["records"],
                "per_day": days, **whole}  # fmt: skip

    def play_rows(self, most: int) -> list[Row]:
        """The plays behind the facts, newest first and at most `most` of each selection; facts that count the same share.

        Behind a first play stand the first ones.
        """
        groups: dict[tuple[object, ...], list[Explanation]] = {}
        for found in self.facts:
            if found.plays.num_rows or found.left_out.num_rows:
                groups.setdefault((*found.selection, _from_the_first(found)), []).append(found)
        return [row for same in groups.values() for row in self._group(same, most)]

    def _group(self, same: Sequence[Explanation], most: int) -> list[Row]:
        first = same[0]
        names = [found.fact.name for found in same]
        more = len(names) - _NAMES
        facts = "\n".join(names[:_NAMES]) + (f"\nand {more} more" if more > 0 else "")
        hidden = max(first.plays.num_rows - most, 0)
        if _from_the_first(first):
            rows, others = first.plays.slice(0, most).to_pylist(), first.plays.slice(most)
        else:
            rows, others = first.plays.slice(hidden).to_pylist()[::-1], first.plays.slice(0, hidden)
        rows = [self._play(row, "") for row in rows]
        if hidden:
            which = "later" if _from_the_first(first) else "earlier"
            rows.append(self._note(f"and {hidden} {which}; per day: {_days(others)}"))
        out = first.left_out.to_pylist()[::-1]
        rows += [self._play(row, f"left out: {row[WHY]}") for row in out[:most]]
        if len(out) > most:
            rows.append(self._note(f"and {len(out) - most} more left out"))
        return [{"facts": facts if place == 0 else "", **row} for place, row in enumerate(rows)]

    def _play(self, row: Row, note: str) -> Row:
        return {
            "played at": _text(row[c.PLAYED_AT]), "known at": _text(row[c.KNOWN_AT]),
            "title": self.titles.get(row[c.TITLE], str(row[c.TITLE])), "watched": f"{row[c.WATCHED_MS] / 1000:.0f} s",
            "engaged": "yes" if row[c.ENGAGED] else "no", "country": row[c.COUNTRY], "": note,
        }  # fmt: skip

    def _note(self, text: str) -> Row:
        return dict.fromkeys(("played at", "known at", "title", "watched", "engaged", "country"), "") | {"": text}


def _counted(found: Explanation) -> int | str:
    """How many plays; behind a share of how many, and of whose."""
    if found.whole is None:
        return int(found.plays.num_rows)
    return f"{found.plays.num_rows} of {found.whole.plays.num_rows} ({found.whole.fact.entity})"


def _of_context(name: str, value: str, meaning: str) -> Row:
    return {"what": "context", "name": name, "value": value, "unit": "", "meaning": meaning}


def _from_the_first(found: Explanation) -> bool:
    return found.fact.measure == "first_played_at"


def _days(plays: pa.Table) -> str:
    """Plays per day, the newest days."""
    counts = per_day(plays)
    more = "... " if len(counts) > DAYS else ""
    return more + ", ".join(f"{day_of(day)} {count}" for day, count in counts[-DAYS:])


def _text(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%d %H:%M:%S"))


def travelled(
    home: Path, *, profile: str, title: str, country: str, as_of: int, files: Sequence[Path] = ()
) -> Journey:  # fmt: skip
    """Every feature and fact of a profile and a title as of an instant, by both clocks, with the plays behind them.

    `files`: feature files beside those of the settings. Raises `NumericError` if the plays of a fact do not give its number
    (`timetravel/explain.py`), `KeyRefused` for a country without plays and an instant outside of what was delivered.
    """
    platform = Platform(home)
    settings, last = platform.settings, day_of(as_of)
    _within(platform.index, last)
    reader = platform.reader(
        Input(PLAY_FACTS.name, FIRST_DAY, last, every_country=True, optional=True),
        *(Input(spec.name) for spec in TABLES if spec.stage == "reference"),
    )
    chosen = dict.fromkeys((*settings.features.files, *(str(file.resolve()) for file in files)))
    features = FeatureSet.from_config(settings.features.model_copy(update={"files": tuple(chosen)}))
    timeline = read_timeline(reader, settings, until=last, features=features)
    columns = tuple(dict.fromkeys((*PLAY_COLUMNS, *features.play_columns)))
    titles, profiles, offers = (reader.read(spec.name, [Partition()]) for spec in (TITLES, PROFILES, AVAILABILITY))
    plays = reader.read(PLAY_FACTS.name, reader.published(PLAY_FACTS.name), columns)
    past = Past(plays, titles, profiles, offers, settings.rules)
    profile_id = resolve_id(past.profiles, c.PROFILE, profile)
    title_id = resolve_id(past.titles, c.TITLE, title) if title else _last_title(timeline, profile_id, as_of)
    place = _delivered(platform.index, country) if country else _place_of(past, profile_id, as_of)
    asked = Asked(profile_id, place, as_of, title_id)
    return Journey(
        asked, _title_name(past.titles, title_id, as_of), _features(features, timeline, asked),
        tuple(explained(past, features.needed, asked, _facts(features, timeline, asked))),
        source_ids(past.titles, c.TITLE), settings.rules.zone_of(place),
    )  # fmt: skip


def _within(index: Index, day: date) -> None:
    """A day that plays were delivered of or before, or that a late one became known on, or the day after these."""
    known = [state.newest_known for state in index.state(PLAY_FACTS.name).values() if state.newest_known]
    last = max([index.last_day, *map(date.fromisoformat, known)]) + timedelta(days=1)
    if not index.first_day <= day <= last:
        raise KeyRefused(
            f"{day} is outside of what was delivered", place="--as-of",
            repair=f"Choose an instant from {index.first_day} to {last}; plays were delivered of {index.first_day} to "
            f"{index.last_day}, and the last of them became known the day before {last}.",
        )  # fmt: skip


def _delivered(index: Index, country: str) -> str:
    if checked_country(country, place="--country") not in index.countries:
        raise KeyRefused(
            f"no plays of {country}", place="--country",
            repair=f"Choose among those that were delivered: {', '.join(index.countries)}.",
        )  # fmt: skip
    return country


def _facts(features: FeatureSet, timeline: Timeline, asked: Asked) -> dict[str, float | int]:
    """What the kernels say of each fact."""
    found = compute(
        timeline, features.needed, profile_id=[asked.profile_id], country=[asked.country], at=[asked.at], offsets=[0, 1],
        title_id=[asked.title_id],
    )  # fmt: skip
    return {name: values[0].item() for name, values in found.items()}


def _features(features: FeatureSet, timeline: Timeline, asked: Asked) -> tuple[tuple[Encoder, float], ...]:
    frame = Frame.of(
        contexts_at(np.array([asked.profile_id]), asked.country, asked.at), np.array([0, 1]),
        items={c.TITLE: np.array([asked.title_id])},
    )  # fmt: skip
    made = Pipeline([Tagger(), FeatureGenerator(features)]).apply(frame, Sources(timeline)).features
    return tuple((one, made.column(one.name)[0].as_py()) for one in features.encoders if one.name in made.column_names)


def _last_title(timeline: Timeline, profile_id: int, as_of: int) -> int:
    """The title the profile played last, of what was visible then."""
    _, titles, last = timeline.seen([profile_id], [as_of])
    if not len(titles):
        raise MissingInput(
            "the profile has no visible play then, so no title stands out", place=f"as of {iso(as_of)}",
            repair="Name one with --title.",
        )  # fmt: skip
    return int(titles[np.argmax(last)])


def _place_of(past: Past, profile_id: int, as_of: int) -> str:
    """Where the profile's last visible play was; else its record's country."""
    moment, plays = pa.scalar(as_of, pa.timestamp("us", tz="UTC")), past.plays
    seen = pc.and_(pc.less(plays.column(c.PLAYED_AT), moment), pc.less(plays.column(c.KNOWN_AT), moment))
    own = plays.filter(pc.and_(seen, pc.equal(plays.column(c.PROFILE), profile_id)))
    if own.num_rows:
        return str(own.sort_by(c.PLAYED_AT).column(c.COUNTRY)[-1].as_py())
    record = as_known(past.profiles, c.PROFILE, as_of)
    homes = record.filter(pc.equal(record.column(c.PROFILE), profile_id)).column(c.HOME_COUNTRY).drop_null()
    if len(homes):
        return str(homes[-1].as_py())
    raise MissingInput(
        "nobody knew then where the profile is", place=f"as of {iso(as_of)}", repair="Name it with --country."
    )


def _title_name(titles: pa.Table, title_id: int, as_of: int) -> str:
    known = as_known(titles, c.TITLE, as_of)
    rows = known.filter(pc.equal(known.column(c.TITLE), title_id)).to_pylist()
    return f"{rows[0][c.SOURCE_ID]} {rows[0][c.NAME] or ''}".strip() if rows else str(title_id)
