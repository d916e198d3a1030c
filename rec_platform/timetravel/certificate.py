"""The certificate: per context, the newest instants of anything its features were made from, as evidence of what was read.

It asks no filter of its own, for the same filter run twice agrees with itself even where it is wrong. A few facts ride
along with those that features need, through the same reader, at the same instant, in the same kernels, and what came back
says how far the kernels reached:

- the number of plays counted is a position: the visible plays of a profile are the first k in known order, so play k - 1
  is the newest known of those counted. A lookup that takes `<=` for `<` counts one play more, and that play shows;
- the same for the tick of title-side facts, over the plays of all profiles;
- the last play of the profile, of the profile and each item, and of the tick, as their own kernels give them;
- the rows of titles and profiles that `revisions_at` chose, and what the set of offers was made from.

Where only one instant of a thing is kept (a record's `known_at`, a title's first visible play without offers), it stands
for both or for `known_at` alone, as `newest` says. *Ana's evening* (clock.py) is in no certificate of the 11th.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.tables import INSTANT
from rec_platform.timetravel import kernels
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.kernels import NONE, Int32, Int64
from rec_platform.timetravel.timeline import Timeline

_COUNTED: Final = Fact("_certificate_plays", "profile", "plays")
_LAST: Final = Fact("_certificate_last", "profile", "last_played_at")
_LAST_OF_TITLE: Final = Fact("_certificate_last_of_title", "profile_title", "last_played_at")
_TICK_COUNTED: Final = "_certificate_tick_plays_"
_TICK_LAST: Final = "_certificate_tick_last_"
_HOURS: Final = {"day": 24, "hour": 1}
_OFFERED: Final = Fact("_certificate_offered", "title_country", "available_from")

Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Witness:
    """Reads the newest instants off what the kernels gave for `facts`.

    Attributes:
        timeline: what is read.
        needed: the facts that the features read; their ticks are witnessed. Draws and weights read the daily one anyway.
    """

    timeline: Timeline
    needed: tuple[Fact, ...] = ()

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that must be read beside the features' own."""
        offered = () if self.timeline.offers is not None else (_OFFERED,)
        ticked = [
            fact
            for tick in self._ticks
            for fact in (
                Fact(_TICK_COUNTED + tick, "platform", "plays", tick=tick),
                Fact(_TICK_LAST + tick, "platform", "last_played_at", tick=tick),
            )
        ]
        return (_COUNTED, _LAST, _LAST_OF_TITLE, *ticked, *offered)

    @property
    def _ticks(self) -> tuple[Literal["day", "hour"], ...]:
        return ("day", "hour") if any(fact.by_tick and fact.tick == "hour" for fact in self.needed) else ("day",)

    def newest(self, values: Values, offsets: Int64) -> tuple[Int64, Int64]:
        """The newest `played_at` and `known_at` of what each context read; `NONE` where it read nothing.

        Args:
            values: context and item columns and the facts, as the reader gave them for these contexts and items.
            offsets: n + 1; the items of context i are rows offsets[i]:offsets[i + 1].
        """
        at = np.asarray(values[c.AT], dtype=np.int64)
        ticked = [
            self.timeline.last_counted(values[_TICK_COUNTED + tick].astype(np.int64), at, per_tick=_HOURS[tick])
            for tick in self._ticks
        ]
        first = self._first_plays(values, offsets)
        last_of_title = most(np.asarray(values[_LAST_OF_TITLE.name], dtype=np.int64), offsets)
        played = [values[_LAST.name], last_of_title, first, *(values[_TICK_LAST + tick] for tick in self._ticks)]
        known = [self._profile_known(values), first, *ticked, *self._records(values, at, offsets)]
        return np.maximum.reduce(played).astype(np.int64), np.maximum.reduce(known).astype(np.int64)

    def _profile_known(self, values: Values) -> Int64:
        histories, profile = self.timeline.histories, self.timeline.profiles.codes(values[c.PROFILE])
        if not len(self.timeline.profiles):
            return np.full(len(profile), NONE, dtype=np.int64)
        starts = histories.starts[np.maximum(profile, 0)]
        return self._counted(values[_COUNTED.name], starts, histories.known_sorted)

    @staticmethod
    def _counted(counts: npt.NDArray[Any], starts: Int64, known: Int64) -> Int64:
        """`known` of the last play counted, the plays being the first of `known` from `starts` on."""
        counts = np.asarray(counts).astype(np.int64)
        if not len(known):
            return np.full(len(counts), NONE, dtype=np.int64)
        return np.where(counts > 0, known[np.maximum(starts + counts - 1, 0)], NONE)

    def _first_plays(self, values: Values, offsets: Int64) -> Int64:
        """Without a table of offers a title is offered from its first visible play: the newest of those, for both clocks."""
        if _OFFERED not in self.facts:
            return np.full(len(offsets) - 1, NONE, dtype=np.int64)
        return most(np.asarray(values[_OFFERED.name], dtype=np.int64), offsets)

    def _records(self, values: Values, at: Int64, offsets: Int64) -> list[Int64]:
        """`known_at` of the rows read of the items' titles, the profile, and the country's offers."""
        t = self.timeline
        titles, profiles = t.titles.codes(values[c.TITLE]), t.profiles.codes(values[c.PROFILE])
        found = [
            most(_revision_known(t.title_rows, titles, np.repeat(at, np.diff(offsets))), offsets),
            _revision_known(t.profile_rows, profiles, at),
        ]
        if t.offers is not None:
            country = np.asarray(values[c.COUNTRY], dtype=object)
            read = [t.offers.newest_known(str(place), int(now)) for place, now in zip(country, at, strict=True)]
            found.append(np.array(read, dtype=np.int64))
        return found


def _revision_known(rows: Any, key: Int32, at: Int64) -> Int64:
    """`known_at` of the revision each key had at its instant; `NONE` where there was none."""
    chosen = kernels.revisions_at(rows.starts, rows.known, key, at)
    if not len(rows.known):
        return np.full(len(chosen), NONE, dtype=np.int64)
    return np.where(chosen >= 0, rows.known[np.maximum(chosen, 0)], NONE)


def most(values: Int64, offsets: Int64) -> Int64:
    """The largest value of each run values[offsets[i]:offsets[i + 1]]; `NONE` for an empty run.

    >>> most(np.array([4, 9, 2]), np.array([0, 2, 2, 3])).tolist() == [9, NONE, 2]
    True
    """
    out = np.full(len(offsets) - 1, NONE, dtype=np.int64)
    filled = np.diff(offsets) > 0
    if filled.any():
        out[filled] = np.maximum.reduceat(values, offsets[:-1][filled])
    return out


def certificate_columns(played: Int64, known: Int64) -> dict[str, pa.Array]:
    """The two columns of a certificate; null where nothing was read."""
    return {c.NEWEST_PLAYED_AT: _instants(played), c.NEWEST_KNOWN_AT: _instants(known)}


def _instants(values: Int64) -> pa.Array:
    return pa.array(values, pa.int64(), mask=values == NONE).cast(INSTANT)
