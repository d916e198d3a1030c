"""The timeline: every play, attribute and offer, ready to be asked about any past instant.

All answers follow one rule (clock.py): at instant T only what happened before T *and* was known before T is visible.
Ana's evening, played on the 10th and delivered on the 12th, is not in any answer about the 11th.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.errors import ConfigError
from rec_platform.timetravel import kernels
from rec_platform.timetravel.codes import Ids, Texts
from rec_platform.timetravel.gathered import Gathered, Gathering
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.kernels import ALL_TIME, FOREVER, NONE, Int32, Int64
from rec_platform.timetravel.log import KEYS, SUMMED, Log, LogReader, Plays, Predicate
from rec_platform.timetravel.revisions import Offers, ProfileRevisions, TitleRevisions, instants, value_at
from rec_platform.timetravel.ticks import Column, Sweep, TickRoller, TitlePlays

#: The columns `Timeline.build` reads of the plays, unless other measures are named.
PLAY_COLUMNS = (*KEYS, *SUMMED)

#: A sweep keeps all countries of the log while its state is smaller than this, so that their partitions share it.
_SHARED_BYTES = 1 << 26


@dataclass(frozen=True, eq=False, repr=False)
class Timeline:
    """See the module. Build one with `Timeline.build`.

    Attributes:
        profiles, titles, countries: the ids and texts of all inputs, as dense codes.
        histories: plays by profile.
        days: plays as they came, for title-side facts.
        title_rows, profile_rows: reference rows by key and known_at.
        offers: availability; None where the source has none.
        first_visible: int64 per title code: when its first play became visible; the largest int64 if never.
        rules: the source's rules; its time zones are read here.
        subsets: by name, a timeline of some of the plays, with the same codes, records and offers.
        title_side: where the histories are those of some profiles only: the title-side sums over all plays, gathered
            elsewhere (features/sweep.py), instead of `days`.
    """

    profiles: Ids
    titles: Ids
    countries: Texts
    histories: Histories
    days: TitlePlays
    title_rows: TitleRevisions
    profile_rows: ProfileRevisions
    offers: Offers | None
    first_visible: Int64
    rules: SourceRules
    subsets: Mapping[str, Timeline] = field(default_factory=dict)
    title_side: Gathering | None = None
    _sweeps: dict[tuple[object, ...], Sweep] = field(default_factory=dict, compare=False, repr=False)
    _changes: dict[str, Int64] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(
        cls, plays: Plays, titles: pa.Table, profiles: pa.Table, availability: pa.Table, *, rules: SourceRules,
        measures: Sequence[str] = SUMMED, subsets: Mapping[str, Predicate] | None = None,
    ) -> Timeline:  # fmt: skip
        """A timeline over everything given.

        From files, without ever holding their rows:

            def batches():
                for file in files:
                    with pyarrow.parquet.ParquetFile(file, read_dictionary=["country"]) as parquet:
                        yield from parquet.iter_batches(1 << 20, columns=PLAY_COLUMNS, use_threads=False)

            Timeline.build(batches(), titles, profiles, availability, rules=rules)

        Args:
            plays: play facts with their `country`, in any order (day by day is fastest): a table, or batches of one.
            titles, profiles, availability: as in rec_platform.tables; no availability rows means the source has none.
            rules: the source's rules.
            measures: the integer columns of the plays that facts may sum; a missing value adds 0.
            subsets: for each name a predicate: a batch of the plays in, true for those that belong to it out. Asked once
                per play, when it is read; `timeline.subset(name)` is the timeline of the plays where it held.

        Raises:
            SchemaError: a column of the plays is missing.
        """
        reader = LogReader(measures, subsets or {})
        reader.take_in(plays)
        return cls.of(reader, titles, profiles, availability, rules=rules)

    @classmethod
    def of(
        cls, reader: LogReader, titles: pa.Table, profiles: pa.Table, availability: pa.Table, *, rules: SourceRules,
    ) -> Timeline:  # fmt: skip
        """As `build`, of the plays that a reader has taken in. The reader is spent then."""
        reader.titles.codes(np.concatenate([ids(titles, c.TITLE), ids(availability, c.TITLE)]))
        reader.profiles.codes(ids(profiles, c.PROFILE))
        (profile_ids, profile), (title_ids, title), (countries, country) = (
            reader.profiles.ordered(), reader.titles.ordered(), reader.countries.ordered(),
        )  # fmt: skip
        log, masks = reader.log(profile, title, country), reader.masks()
        first_visible = np.full(len(title_ids), FOREVER, dtype=np.int64)
        kernels.take_least(first_visible, log.title, log.known)
        whole = cls(
            profile_ids, title_ids, countries, *_sides(log, profile_ids, title_ids),
            TitleRevisions.of(titles, title_ids), ProfileRevisions.of(profiles, profile_ids),
            Offers.of(availability, title_ids) if availability.num_rows else None, first_visible, rules,
        )  # fmt: skip
        return replace(whole, subsets={name: whole._of(log.where(mask)) for name, mask in masks.items()})

    def _of(self, log: Log) -> Timeline:
        """The timeline of other plays beside the same records."""
        histories, days = _sides(log, self.profiles, self.titles)
        return replace(self, histories=histories, days=days, subsets={}, _sweeps={})

    def subset(self, name: str) -> Timeline:
        """The timeline of the plays for which a predicate given to `build` held; `ConfigError` for an unknown name."""
        if name not in self.subsets:
            raise ConfigError(
                f"no subset {name!r}", place="timeline",
                repair=f"It was built with {sorted(self.subsets)}; name the predicate when building it.",
            )  # fmt: skip
        return self.subsets[name]

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
        return kernels.first_played(h.starts, h.played, h.known, profile, now, ALL_TIME)

    def signup_at(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> Int64:
        """Each profile's signup as its record known before the instant has it; `NONE` (the least int64) if not."""
        profile, now = self._asked(profile_ids, at)
        rows = self.profile_rows
        return value_at(rows.starts, rows.known, rows.signup_at, profile, now)

    def sweep(
        self, columns: tuple[Column, ...], countries: Sequence[str], *, per_tick: int, ends: bool
    ) -> Sweep | Gathered:
        """The walk over ticks that keeps these sums per title; one for all who ask for the same.

        Its state has a place per country of the timeline, so that the partitions of all countries share a walk; where
        so many would take too much room, a place per country asked for; `Sweep.place` tells. The last is for the others.
        """
        if self.title_side is not None:
            return self.title_side.sweep(columns, per_tick=per_tick, ends=ends)
        n_columns = len(columns) + 2 * ends
        fits = 8 * n_columns * len(self.titles) * len(self.countries) <= _SHARED_BYTES
        kept = self.countries.texts if fits else tuple(countries)
        key = (columns, kept, per_tick, ends)
        if key not in self._sweeps:
            place = np.array(
                [kept.index(text) if text in kept else len(kept) for text in self.countries.texts], np.int32
            )
            roller = TickRoller(self.days, columns, place, len(kept) + 1, per_tick=per_tick, ends=ends)
            self._sweeps.setdefault(key, Sweep(roller, kept))
        return self._sweeps[key]

    def last_counted(self, counts: Int64, at: Int64, *, per_tick: int) -> Int64:
        """`known` of the last of the first so many plays of all profiles, in the order they became known; `NONE` of no plays.

        Args:
            counts: the plays that were counted as of the tick of each instant in `at`.
            per_tick: hours of a tick.
        """
        if self.title_side is not None:
            return self.title_side.known_order(per_tick).last_of(counts, at)
        known = self._known_order
        return (
            np.where(counts > 0, known[np.maximum(counts - 1, 0)], NONE) if len(known) else np.full_like(counts, NONE)
        )

    @cached_property
    def _known_order(self) -> Int64:
        """`known` of all plays, ascending: the order in which a tick takes them in."""
        return np.sort(self.histories.known)

    def changes(self, attribute: str) -> Int64:
        """When a list attribute of a title that had visible plays by then became another, ascending."""
        if attribute not in self._changes:
            self._changes[attribute] = self.title_rows.changes(attribute, self.first_visible)
        return self._changes[attribute]

    def country_title_plays(self, country: str, at: int, days: int) -> tuple[Int64, Int64]:
        """Plays of each title in the country over the last `days` days, as of the last tick (00:00 UTC) <= at.

        Returns:
            title ids (ascending) and counts, for titles with at least one.
        """
        if self.countries.code(country) < 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        sweep = self.sweep(((c.PLAYS, days),), (country,), per_tick=24, ends=False)
        counts = sweep.table(at // DAY).sums[sweep.place(country), :, 0]
        played = np.flatnonzero(counts)
        return self.titles.ids[played], counts[played]

    def ask_country_title_plays(self, days: int) -> None:
        """Say beforehand that `country_title_plays` will be read: where title-side sums are gathered, these are then."""
        if self.title_side is not None:
            self.title_side.sweep(((c.PLAYS, days),), per_tick=24, ends=False)

    def _asked(self, profile_ids: npt.ArrayLike, at: npt.ArrayLike) -> tuple[Int32, Int64]:
        profile = self.profiles.codes(profile_ids)
        return profile, kernels.plain(np.broadcast_to(np.asarray(at, dtype=np.int64), profile.shape), np.int64)


def _sides(log: Log, profiles: Ids, titles: Ids) -> tuple[Histories, TitlePlays]:
    return Histories.of(log, len(profiles), len(titles)), TitlePlays.of(log, len(titles))


def ids(table: pa.Table, name: str) -> Int64:
    """An id column as int64."""
    return instants(table.column(name))


def countries_of(values: Sequence[str] | npt.NDArray[np.generic]) -> tuple[str, ...]:
    """The distinct countries of some contexts, ascending."""
    return tuple(sorted({str(value) for value in np.asarray(values, dtype=object)}))


__all__ = ["NONE", "PLAY_COLUMNS", "Timeline", "countries_of"]
