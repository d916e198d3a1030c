"""The timeline: every play, attribute and offer, ready to be asked about any past instant.

All answers follow one rule (clock.py): at instant T only what happened before T *and* was known before T is visible.
Ana's evening, played on the 10th and delivered on the 12th, is not in any answer about the 11th.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.errors import SchemaError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids, Texts
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.kernels import ALL_TIME, NONE, Int32, Int64
from rec_platform.timetravel.revisions import Offers, ProfileRevisions, TitleRevisions, instants, value_at
from rec_platform.timetravel.ticks import DayPlays, TickRoller, TickTable

#: The columns `Timeline.build` reads of the plays.
PLAY_COLUMNS = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.WATCHED_MS, c.ENGAGED, c.COUNTRY)

_FOREVER = np.iinfo(np.int64).max


@dataclass
class _Popularity:
    """The walk behind `country_title_plays` for one window; it keeps the newest tick, which is asked for many times."""

    roller: TickRoller
    lock: Lock = field(default_factory=Lock)
    newest: TickTable | None = None

    def table(self, day: int) -> TickTable:
        with self.lock:
            if self.newest is None or self.newest.tick != day:
                self.newest = self.roller.table(day)
            return self.newest


@dataclass(frozen=True, eq=False, repr=False)
class Timeline:
    """See the module. Build one with `Timeline.build`.

    Attributes:
        profiles, titles, countries: the ids and texts of all inputs, as dense codes.
        histories: plays by profile, in both orders.
        days: plays by day, for title-side facts.
        title_rows, profile_rows: reference rows by key and known_at.
        offers: availability; None where the source has none.
        first_visible: int64 per title code: when its first play became visible; the largest int64 if never.
        rules: the source's rules; its time zones are read here.
    """

    profiles: Ids
    titles: Ids
    countries: Texts
    histories: Histories
    days: DayPlays
    title_rows: TitleRevisions
    profile_rows: ProfileRevisions
    offers: Offers | None
    first_visible: Int64
    rules: SourceRules
    _popularity: dict[int, _Popularity] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(
        cls, plays: pa.Table, titles: pa.Table, profiles: pa.Table, availability: pa.Table, *, rules: SourceRules
    ) -> Timeline:
        """A timeline over everything given.

        Args:
            plays: play facts with their `country`, in any order (day by day is fastest).
            titles, profiles, availability: as in tables.py; no availability rows means the source has none.
            rules: the source's rules.

        Raises:
            SchemaError: a column of `PLAY_COLUMNS` is missing.
        """
        _check(plays)
        title_ids = Ids.of(plays.column(c.TITLE), titles.column(c.TITLE), availability.column(c.TITLE))
        profile_ids = Ids.of(plays.column(c.PROFILE), profiles.column(c.PROFILE))
        countries = Texts.of(plays.column(c.COUNTRY))
        title = title_ids.codes(_ints(plays, c.TITLE))
        played = instants(plays.column(c.PLAYED_AT))
        known = np.maximum(played, instants(plays.column(c.KNOWN_AT)))
        watched, engaged = _ints(plays, c.WATCHED_MS), _ints(plays, c.ENGAGED).astype(np.int8)
        first_visible = np.full(len(title_ids), _FOREVER, dtype=np.int64)
        kernels.take_least(first_visible, title, known)
        return cls(
            profile_ids, title_ids, countries,
            Histories.of(profile_ids.codes(_ints(plays, c.PROFILE)), len(profile_ids),
                         played=played, known=known, title=title, watched=watched, engaged=engaged),
            DayPlays.of(country=countries.codes(plays.column(c.COUNTRY)), title=title, played=played, known=known,
                        watched=watched, engaged=engaged, n_titles=len(title_ids)),
            TitleRevisions.of(titles, title_ids), ProfileRevisions.of(profiles, profile_ids),
            Offers.of(availability, title_ids) if availability.num_rows else None, first_visible, rules,
        )  # fmt: skip

    def available(self, country: str, at: int) -> Int64:
        """The titles offered in the country at an instant, as known then: ids, ascending.

        Without an availability source, every title with a play visible at the instant, wherever it was played.
        """
        if self.offers is None:
            return self.titles.ids[self.first_visible < at]
        return self.titles.ids[self.offers.available(country, at)]

    def seen(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> tuple[Int64, Int64, Int64]:
        """The distinct titles each profile was seen to play before its instant.

        Returns:
            offsets (n + 1), title ids (ascending per profile and instant) and when each was last visibly played.
        """
        profile, now = self._asked(profile_ids, at)
        offsets = np.zeros(len(now) + 1, dtype=np.int64)
        h, n = self.histories, len(self.titles)
        none32, none64 = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        kernels.seen_titles(h.starts, h.played, h.known, h.title, n, profile, now, offsets, none32, none64)
        offsets = np.cumsum(offsets)
        codes, last = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.int64)
        if len(codes):
            kernels.seen_titles(h.starts, h.played, h.known, h.title, n, profile, now, offsets, codes, last)
        return offsets, self.titles.ids[codes], last

    def first_visible_play(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> Int64:
        """When each profile's first play began, of those visible at its instant; `NONE` (the least int64) if none."""
        profile, now = self._asked(profile_ids, at)
        h = self.histories
        return kernels.first_played(h.starts, h.played, h.known, h.known_sorted, profile, now, ALL_TIME)

    def signup_at(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> Int64:
        """Each profile's signup as its record known before the instant has it; `NONE` (the least int64) if not."""
        profile, now = self._asked(profile_ids, at)
        rows = self.profile_rows
        return value_at(rows.starts, rows.known, rows.signup_at, profile, now)

    def country_title_plays(self, country: str, at: int, days: int) -> tuple[Int64, Int64]:
        """Plays of each title in the country over the last `days` days, as of the last tick (00:00 UTC) <= at.

        Returns:
            title ids (ascending) and counts, for titles with at least one.
        """
        place = self.countries.code(country)
        if place < 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if days not in self._popularity:
            n = len(self.countries)
            roller = TickRoller(self.days, ((c.PLAYS, days),), np.arange(n, dtype=np.int32), n)
            self._popularity.setdefault(days, _Popularity(roller))
        counts = self._popularity[days].table(at // DAY).sums[place, :, 0]
        played = np.flatnonzero(counts)
        return self.titles.ids[played], counts[played]

    def _asked(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> tuple[Int32, Int64]:
        profile = self.profiles.codes(profile_ids)
        return profile, kernels.plain(np.broadcast_to(np.asarray(at, dtype=np.int64), profile.shape), np.int64)


def _check(plays: pa.Table) -> None:
    missing = [name for name in PLAY_COLUMNS if name not in plays.column_names]
    if missing:
        raise SchemaError(
            f"columns missing: {missing}", place=f"plays of a timeline, which have {plays.column_names}",
            repair=f"Read play_facts with {list(PLAY_COLUMNS)}.",
        )  # fmt: skip


def _ints(table: pa.Table, name: str) -> Int64:
    return instants(table.column(name))


def countries_of(values: Sequence[str] | npt.NDArray[np.generic]) -> tuple[str, ...]:
    """The distinct countries of some contexts, ascending."""
    return tuple(sorted({str(value) for value in np.asarray(values, dtype=object)}))


__all__ = ["NONE", "PLAY_COLUMNS", "Timeline", "countries_of"]
